/** Network interfaces, as ip(8) tells of them. */
import { formatIp, maskOf, parseIp } from "../wire/address.ts";
import { HostError, mustRun, type Run, run } from "./command.ts";

/** One interface of this network namespace. */
export interface Link {
  name: string;
  up: boolean;
  /** A cable is in; for a TAP: a program has it open. */
  carrier: boolean;
  mtu: number;
  /** IPv4 addresses with prefix length. */
  addresses: string[];
  /** What the TUN driver says of it; null for other kinds. */
  tun: { type: string; persistent: boolean; user: string | null } | null;
}

interface IpLink {
  ifname?: string;
  flags?: string[];
  mtu?: number;
  addr_info?: { family?: string; local?: string; prefixlen?: number }[];
  linkinfo?: {
    info_kind?: string;
    info_data?: { type?: string; persist?: boolean; user?: string | number };
  };
}

/** All interfaces. */
export async function listLinks(runner: Run = run): Promise<Link[]> {
  return parseLinks(await mustRun(["ip", "-j", "-d", "addr", "show"], runner));
}

/** Reads what `ip -j -d addr show` prints. */
export function parseLinks(json: string): Link[] {
  let links: IpLink[];
  try {
    links = JSON.parse(json);
  } catch {
    throw new HostError(
      "This ip(8) does not speak JSON (BusyBox?); install iproute2",
      "apt-get install iproute2",
    );
  }
  return links.filter((link) => link.ifname !== undefined).map((link) => ({
    name: link.ifname!,
    up: link.flags?.includes("UP") ?? false,
    carrier: (link.flags?.includes("UP") ?? false) && !link.flags!.includes("NO-CARRIER"),
    mtu: link.mtu ?? 0,
    addresses: (link.addr_info ?? []).filter((info) => info.family === "inet").map((info) =>
      `${info.local}/${info.prefixlen}`
    ),
    tun: link.linkinfo?.info_kind !== "tun" ? null : {
      type: link.linkinfo.info_data?.type ?? "",
      persistent: link.linkinfo.info_data?.persist ?? false,
      user: link.linkinfo.info_data?.user?.toString() ?? null,
    },
  }));
}

/** The interface of the default route, or null. */
export async function defaultInterface(runner: Run = run): Promise<string | null> {
  const { code, stdout } = await runner(["ip", "-j", "route", "show", "default"]);
  if (code !== 0) return null;
  try {
    return (JSON.parse(stdout || "[]") as { dev?: string }[])[0]?.dev ?? null;
  } catch {
    return null;
  }
}

/** An IPv4 address with its prefix length. */
export interface Cidr {
  text: string;
  address: number;
  prefixLength: number;
}

/** Reads "10.0.0.5/24"; a bare address is taken as a /24. Throws a {@linkcode HostError}. */
export function readCidr(text: string, option: string): Cidr {
  const [host, bits = "24", ...rest] = text.split("/");
  const address = parseIp(host);
  const prefixLength = Number(bits);
  const valid = address !== null && rest.length === 0 && /^[0-9]{1,2}$/.test(bits) && prefixLength >= 1 &&
    prefixLength <= 30;
  if (!valid) throw new HostError(`${option} must be an address like 10.0.0.5/24: current value is ${text}`);
  return { text: `${host}/${prefixLength}`, address, prefixLength };
}

/** The network that an address lies in, as "10.0.0.0/24". */
export function networkOf(cidr: Cidr): string {
  return `${formatIp(cidr.address & maskOf(cidr.prefixLength))}/${cidr.prefixLength}`;
}

/** Whether two networks share an address. */
export function overlaps(left: Cidr, right: Cidr): boolean {
  const mask = maskOf(Math.min(left.prefixLength, right.prefixLength));
  return ((left.address ^ right.address) & mask) === 0;
}

/** An address for the stack in the gateway's network: the one before it (10.0.0.4 for 10.0.0.5), else the one after. */
export function neighbourOf({ address, prefixLength }: Cidr): string {
  const hostPart = address & ~maskOf(prefixLength);
  return `${formatIp(hostPart > 1 ? address - 1 : address + 1)}/${prefixLength}`;
}
