import { createCongestionControl } from "../tcp/congestion/algorithms.ts";
import type { Tcb } from "../tcp/tcb.ts";
import type { IpAddress } from "../wire/address.ts";
import type { Core } from "./core.ts";

/** Gives `to` the socket options of `from`: what an accepted connection has of its listener, as on Linux. */
export function inheritOptions(from: Tcb, to: Tcb): void {
  from.user.isShared = true;
  to.user = from.user;
  to.sendLimit = from.sendLimit;
  to.rcv.limit = from.rcv.limit;
  to.rcv.limitFixed = from.rcv.limitFixed;
  if (to.congestion.name !== from.congestion.name) {
    to.congestion = createCongestionControl(from.congestion.name, to.settings) ?? to.congestion;
  }
}

/** Tells this use of the hash from those of isn.ts and ports.ts. */
const TIMESTAMP = 3;

/**
 * RFC 7323 5.4: an offset for the timestamp clock that differs from peer to peer, so that it does not tell how long this
 * host runs, but stays the same for one peer, so that PAWS and TIME-WAIT can compare successive connections.
 */
export function timestampOffset(core: Core, localAddress: IpAddress, remoteAddress: IpAddress): number {
  const words = core.hashWords;
  words[0] = localAddress;
  words[1] = remoteAddress;
  words[2] = 0;
  words[3] = TIMESTAMP;
  return core.hash.hash(words, 4);
}
