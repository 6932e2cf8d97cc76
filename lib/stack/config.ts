import type { TcpSettings } from "../tcp/settings.ts";
import type { IpAddress, MacAddress } from "../wire/address.ts";
import type { LocalAddress } from "./routes.ts";
import type { StackFeatures } from "./socket_types.ts";

/** One interface, with a device behind it. */
export interface InterfaceConfig {
  /** As ip(8) shows it; "eth0", "eth1" ... by default. */
  name?: string;
  mac: MacAddress;
  /** Largest IP packet of the device, bytes: 576 to 65535 (RFC 1122 3.3.3). */
  mtu: number;
  addresses: readonly LocalAddress[];
  /** The router for all that is not on a link; where several interfaces have one, the first counts. */
  gateway?: IpAddress;
  /** What the device does for the stack; nothing by default. */
  features?: StackFeatures;
}

/** What a stack is made from: `interfaces`, or where there is only one, its fields here. */
export interface StackConfig extends Partial<InterfaceConfig> {
  /** In the order of the devices, see `Frame.device`. */
  interfaces?: readonly InterfaceConfig[];
  /** Four random 32-bit words or more: initial sequence numbers (RFC 6528), ports (RFC 6056), the hash tables. */
  secret: Uint32Array;
  /** A uint32; for what may be drawn anew each time (identifiers, spread of timers). */
  random: () => number;
  tcp?: Partial<TcpSettings>;
  /** Heed ICMP redirects of the router in use (RFC 1122 3.2.2.2), unless it is a router itself; false by default. */
  acceptRedirects?: boolean;
  /** Pass packets on from one interface to another (RFC 1812); false by default. */
  forwarding?: boolean;
  /** How long the fragments of a datagram are waited for; 30 s by default. */
  reassemblyTimeoutUs?: number;
  /** Tell the link about the addresses at the start (RFC 5227); true by default. */
  announce?: boolean;
}

const MIN_MTU = 576;
const MAX_MTU = 65535;

/** The interfaces, whichever way they were written. Throws RangeError for what no stack can be made from. */
export function interfacesOf(config: StackConfig): readonly InterfaceConfig[] {
  const { mac, mtu, addresses, name, gateway, features } = config;
  const isShort = mac !== undefined && mtu !== undefined && addresses !== undefined;
  const interfaces = config.interfaces ?? (isShort ? [{ mac, mtu, addresses, name, gateway, features }] : []);
  if (interfaces.length === 0) {
    throw new RangeError(
      "Cannot make a stack: it needs interfaces, or mac, mtu and addresses: current value is none",
    );
  }
  for (const each of interfaces) checkInterface(each);
  return interfaces;
}

/** Throws RangeError for what no stack can be made from. */
export function checkConfig(config: StackConfig): void {
  if (config.secret.length < 4) {
    throw new RangeError(
      `Cannot make a stack: secret must have 4 words: current length is ${config.secret.length}`,
    );
  }
}

function checkInterface({ mtu, addresses }: InterfaceConfig): void {
  if (!Number.isInteger(mtu) || mtu < MIN_MTU || mtu > MAX_MTU) {
    throw new RangeError(
      `Cannot make a stack: mtu must be from ${MIN_MTU} to ${MAX_MTU}: current value is ${mtu}`,
    );
  }
  for (const { prefixLength } of addresses) {
    if (!Number.isInteger(prefixLength) || prefixLength < 0 || prefixLength > 32) {
      throw new RangeError(
        `Cannot make a stack: a prefix length must be from 0 to 32: current value is ${prefixLength}`,
      );
    }
  }
}
