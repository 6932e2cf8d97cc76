/** Which TAPs the daemon opens, and what addresses the two sides of each get. */
import { CommandError, EXIT } from "../cli/errors.ts";
import {
  formatIp,
  isBroadcastOf,
  isMulticast,
  isMulticastMac,
  maskOf,
  parseCidr,
  parseIp,
  parseMac,
} from "../wire/address.ts";

/** One TAP. Numbers as everywhere in the stack; can be sent to a Worker. */
export interface InterfaceSetup {
  tap: string;
  /** The stack's address there. */
  address: number;
  prefixLength: number;
  /** The router for all that is on no link: the kernel's side of the TAP; 0: none. */
  gateway: number;
  /** What the kernel's side of the TAP is given; 0: nothing. */
  hostAddress: number;
  mac: number;
  /** undefined: that of the kernel's side. */
  mtu: number | undefined;
}

/** The options that say it; all have a default. */
export interface InterfaceOptions {
  addr?: string;
  gateway?: string;
  tap?: string;
  mac?: string;
  mtu?: number;
  /** More of them, see `readMore`. */
  interface?: string[];
}

const MIN_MTU = 576;
const MAX_MTU = 65535;
/** 02-00 makes it locally administered (IEEE 802 8.2); the stack's address makes it unique on its link. */
const MAC_PREFIX = 0x0200_0000_0000;
const EXAMPLE = "as in --interface tap1,10.1.0.1/24";

/** The TAPs, at least one. Throws `CommandError` with the status of a usage error. */
export function readInterfaces(options: InterfaceOptions): InterfaceSetup[] {
  const { addr = "10.0.0.4/24", gateway = "10.0.0.5", tap = "tap0", mac, mtu } = options;
  const all = [readFirst(addr, gateway, tap, mac, mtu), ...(options.interface ?? []).map(readMore)];
  all.forEach(({ tap, address }, at) => {
    const earlier = all.slice(0, at);
    if (earlier.some((each) => each.tap === tap)) throw usage(`${tap} is named twice`, "name another TAP");
    if (earlier.some((each) => each.address === address)) {
      throw usage(
        `${formatIp(address)} is given to two interfaces`,
        "choose another address for one of them",
      );
    }
  });
  return all;
}

function readFirst(
  addr: string,
  gateway: string,
  tap: string,
  mac: string | undefined,
  mtu: number | undefined,
): InterfaceSetup {
  const own = readAddress(addr, `--addr ${addr}`, "try --addr 10.0.0.4/24");
  const router = gateway === "none" ? 0 : readGateway(own, gateway);
  return {
    tap,
    ...own,
    gateway: router,
    hostAddress: router,
    mac: readMac(mac, own.address, `--mac ${mac}`),
    mtu: readMtu(mtu, `--mtu ${mtu}`),
  };
}

/** "tap1,10.1.0.1/24", and perhaps ",gateway=10.1.0.2", ",peer=10.1.0.2", ",mtu=1400", ",mac=...". */
function readMore(text: string): InterfaceSetup {
  const [tap, addr, ...rest] = text.split(",");
  const what = `--interface ${text}`;
  if (tap === "" || addr === undefined) throw usage(`${what} names no TAP and address`, EXAMPLE);
  const own = readAddress(addr, what, EXAMPLE);
  const given = new Map<string, string>();
  for (const word of rest) {
    const [, name, value] = /^(gateway|peer|mtu|mac)=(.+)$/.exec(word) ?? [];
    if (name === undefined) {
      throw usage(`${what} has "${word}", which is unknown`, "it knows gateway=, peer=, mtu= and mac=");
    }
    given.set(name, value);
  }
  const mtu = given.get("mtu");
  const gateway = given.has("gateway") ? readGateway(own, given.get("gateway")!, what) : 0;
  const peer = given.has("peer") ? readGateway(own, given.get("peer")!, what) : gateway;
  return {
    tap,
    ...own,
    gateway,
    hostAddress: peer,
    mac: readMac(given.get("mac"), own.address, what),
    mtu: readMtu(mtu === undefined ? undefined : Number(mtu), what),
  };
}

function usage(message: string, mend: string): CommandError {
  return new CommandError(message, mend, EXIT.usage);
}

type Own = Pick<InterfaceSetup, "address" | "prefixLength">;

function readAddress(addr: string, what: string, mend: string): Own {
  const own = parseCidr(addr);
  if (own === null || isUnusable(own.address, own.address, own.prefixLength)) {
    throw usage(`${what} is no address of a host with its prefix length`, mend);
  }
  return own;
}

function isUnusable(address: number, net: number, prefixLength: number): boolean {
  const isNetwork = prefixLength < 31 && (address & ~maskOf(prefixLength)) === 0;
  return address === 0 || isNetwork || isMulticast(address) || isBroadcastOf(address, net, prefixLength);
}

/** With or without the prefix length that `setup-net` takes; the network is the one of the stack's address. */
function readGateway({ address, prefixLength }: Own, text: string, what = `--gateway ${text}`): number {
  const gateway = parseIp(text.replace(/\/[0-9]+$/, ""));
  if (gateway === null) throw usage(`${what} is no IPv4 address`, "try --gateway 10.0.0.5");
  const mask = maskOf(prefixLength);
  const shown = what.startsWith("--gateway") ? `--gateway ${formatIp(gateway)}` : what;
  const network = `${formatIp(address & mask)}/${prefixLength}`;
  const hint = `choose another address of that network, as in --gateway ${
    formatIp(neighbour(address, mask))
  }`;
  if ((gateway & mask) !== (address & mask)) {
    throw usage(`${shown} lies outside of the stack's network ${network}`, hint);
  }
  if (gateway === address) throw usage(`${shown} is the stack's own address`, hint);
  if (isUnusable(gateway, address, prefixLength)) {
    throw usage(`${shown} is no address of a host in ${network}`, hint);
  }
  return gateway;
}

/** The host after `address`, or before it where that would be the broadcast address. */
function neighbour(address: number, mask: number): number {
  const next = (address + 1) | 0;
  return (next & mask) === (address & mask) && (next | mask) !== -1 ? next : (address - 1) | 0;
}

function readMac(text: string | undefined, address: number, what: string): number {
  if (text === undefined) return MAC_PREFIX + (address >>> 0);
  const mac = parseMac(text);
  if (mac === null || mac === 0 || isMulticastMac(mac)) {
    throw usage(`${what} is no MAC address of a single device`, "try --mac 02:00:0a:00:00:04");
  }
  return mac;
}

function readMtu(mtu: number | undefined, what: string): number | undefined {
  if (mtu === undefined || (Number.isInteger(mtu) && mtu >= MIN_MTU && mtu <= MAX_MTU)) return mtu;
  throw usage(`${what} is out of range`, `it may be ${MIN_MTU} to ${MAX_MTU}`);
}
