import type { TcpSettings } from "../tcp/settings.ts";
import type { IpAddress, MacAddress } from "../wire/address.ts";
import type { LocalAddress } from "./routes.ts";
import type { StackFeatures } from "./socket_types.ts";

/** What a stack is made from. */
export interface StackConfig {
  mac: MacAddress;
  /** Largest IP packet of the device, bytes: 576 to 65535 (RFC 1122 3.3.3). */
  mtu: number;
  addresses: LocalAddress[];
  /** The router for all that is not on the link; none: only the link is reached. */
  gateway?: IpAddress;
  /** Four random 32-bit words or more: initial sequence numbers (RFC 6528), ports (RFC 6056), the hash tables. */
  secret: Uint32Array;
  /** A uint32; for what may be drawn anew each time (identifiers, spread of timers). */
  random: () => number;
  /** What the device does for the stack; nothing by default. */
  features?: StackFeatures;
  tcp?: Partial<TcpSettings>;
  /** Heed ICMP redirects of the router in use (RFC 1122 3.2.2.2); false by default. */
  acceptRedirects?: boolean;
  /** Tell the link about the addresses at the start (RFC 5227); true by default. */
  announce?: boolean;
}

const MIN_MTU = 576;
const MAX_MTU = 65535;

/** Throws RangeError for what no stack can be made from. */
export function checkConfig(config: StackConfig): void {
  if (!Number.isInteger(config.mtu) || config.mtu < MIN_MTU || config.mtu > MAX_MTU) {
    throw new RangeError(
      `Cannot make a stack: mtu must be from ${MIN_MTU} to ${MAX_MTU}: current value is ${config.mtu}`,
    );
  }
  if (config.secret.length < 4) {
    throw new RangeError(
      `Cannot make a stack: secret must have 4 words: current length is ${config.secret.length}`,
    );
  }
  for (const { prefixLength } of config.addresses) {
    if (!Number.isInteger(prefixLength) || prefixLength < 0 || prefixLength > 32) {
      throw new RangeError(
        `Cannot make a stack: a prefix length must be from 0 to 32: current value is ${prefixLength}`,
      );
    }
  }
}
