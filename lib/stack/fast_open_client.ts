import { FastOpen } from "../tcp/fast_open.ts";
import type { IpAddress } from "../wire/address.ts";
import type { Connection } from "./connection.ts";
import type { Core } from "./core.ts";

/** Bits of `TcpSettings.fastOpen`, Linux's `net.ipv4.tcp_fastopen`. */
const FAST_OPEN_CLIENT = 1;
const FAST_OPEN_CLIENT_WITHOUT_COOKIE = 4;
/** What all options of a SYN may take. */
const OPTIONS_MAX = 40;
/** Of a peer whose MSS is not known (RFC 9293 3.7.1). */
const DEFAULT_MSS = 536;
const MAX_PEERS = 1024;

/** What a server gave for the next time (RFC 7413 4.1.3). */
interface Grant {
  cookie: Uint8Array;
  mss: number;
}

/** The cookies that servers gave us; of too many the oldest go. */
export class FastOpenCache {
  private readonly grants = new Map<IpAddress, Grant>();

  get(address: IpAddress): Grant | null {
    return this.grants.get(address) ?? null;
  }

  set(address: IpAddress, grant: Grant): void {
    this.grants.delete(address);
    this.grants.set(address, grant);
    if (this.grants.size <= MAX_PEERS) return;
    for (const oldest of this.grants.keys()) {
      this.grants.delete(oldest);
      return;
    }
  }

  delete(address: IpAddress): void {
    this.grants.delete(address);
  }
}

/** RFC 7413 4.2: a SYN that is about to be sent asks for a cookie, or is held until there is data to go with one. */
export function prepareFastOpen(core: Core, connection: Connection): void {
  const { tcb } = connection;
  const { fastOpen: mode, mss } = tcb.settings;
  if ((mode & FAST_OPEN_CLIENT) === 0) return;
  const fastOpen = tcb.fastOpen = new FastOpen();
  const grant = core.fastOpenCache.get(connection.remoteAddress);
  if (grant !== null) {
    fastOpen.cookie.set(grant.cookie);
    fastOpen.cookieLength = grant.cookie.length;
  } else if ((mode & FAST_OPEN_CLIENT_WITHOUT_COOKIE) === 0) {
    fastOpen.cookieLength = 0;
    return;
  }
  fastOpen.isHeld = true;
  fastOpen.synDataMax = Math.min(grant?.mss ?? DEFAULT_MSS, mss) - OPTIONS_MAX;
}

/** A connection that we opened stands: what did its SYN-ACK tell for the next time? */
export function noteFastOpen(core: Core, connection: Connection): void {
  const { tcb, remoteAddress } = connection;
  const { fastOpen } = tcb;
  if (fastOpen === null) return;
  if (fastOpen.synData > 0) {
    if (fastOpen.tookSynData) core.counters.tcpFastOpenActive++;
    else core.counters.tcpFastOpenActiveFailures++;
  }
  if (fastOpen.receivedLength > 0) {
    const cookie = fastOpen.cookie.slice(0, fastOpen.receivedLength);
    core.fastOpenCache.set(remoteAddress, { cookie, mss: tcb.snd.peerMss });
  } else if (fastOpen.synData > 0 && tcb.totals.retransmitted > 0) {
    // RFC 7413 4.1.3.1: a SYN with data that got no answer, where one without did: the way does not let it through.
    core.fastOpenCache.delete(remoteAddress);
  }
}
