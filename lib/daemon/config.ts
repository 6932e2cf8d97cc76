import { CommandError, EXIT } from "../cli/errors.ts";
import { parseImpair } from "../impair.ts";
import { toHostName } from "../resolver/name.ts";
import type { TcpSettings } from "../tcp/settings.ts";
import { linuxSysctl, SYSCTL_NAMES } from "../tcp/sysctl.ts";
import { formatIp, isBroadcastOf, maskOf, parseCidr, parseIp, parseMac } from "../wire/address.ts";
import { isLoopback, isMulticast, isMulticastMac } from "../wire/address.ts";

export const LOG_LEVELS = ["error", "warn", "info", "debug"] as const;
export type LogLevel = typeof LOG_LEVELS[number];

/** What `lvl-ip daemon` may be told; all of it has a default. */
export interface DaemonOptions {
  /** The stack's address and its network; "10.0.0.4/24". */
  addr?: string;
  /** The TAP's host side: given to the TAP, and the stack's router; "10.0.0.5". */
  gateway?: string;
  /** "tap0". */
  tap?: string;
  /** The stack's MAC address; a locally administered one made from its IP address. */
  mac?: string;
  /** Largest IP packet, 576 to 65535 bytes; that of the TAP. */
  mtu?: number;
  /** The socket for programs; see `socketPaths`. */
  socket?: string;
  /** Where to write every frame, as pcapng. */
  pcap?: string;
  logLevel?: LogLevel;
  /** One JSON object a line, on stdout when ready and in the log. */
  json?: boolean;
  /** Network impairment, as "loss=5% delay=50ms". */
  impair?: string;
  /** Linux's sysctls for TCP, as "net.ipv4.tcp_congestion_control=reno". */
  sysctl?: string[];
  /** Name servers instead of those of /etc/resolv.conf; each word may be several, as "10.0.0.1,10.0.0.2". */
  dns?: string[];
  /** The search list instead of that of /etc/resolv.conf. */
  dnsSearch?: string[];
  /** A group, by name or number, whose members may use the daemon besides its own user and root. */
  group?: string;
}

/** The same, checked and as numbers. Can be sent to a Worker. */
export interface DaemonConfig {
  address: number;
  prefixLength: number;
  gateway: number;
  tap: string;
  mac: number;
  mtu: number | undefined;
  socket: string | undefined;
  pcap: string | undefined;
  logLevel: LogLevel;
  json: boolean;
  impair: string | undefined;
  tcp: Partial<TcpSettings>;
  /** None: those of /etc/resolv.conf. */
  dns: number[];
  /** null: that of /etc/resolv.conf. */
  dnsSearch: string[] | null;
  /** -1: none. */
  gid: number;
}

const MIN_MTU = 576;
const MAX_MTU = 65535;
/** 02-00 makes it locally administered (IEEE 802 8.2); the stack's address makes it unique on its link. */
const MAC_PREFIX = 0x0200_0000_0000;

/** Checks the options. Throws `CommandError` with the status of a usage error. */
export function readConfig(options: DaemonOptions): DaemonConfig {
  const { addr = "10.0.0.4/24", gateway = "10.0.0.5", logLevel = "info", mtu } = options;
  const own = parseCidr(addr);
  if (own === null || isUnusable(own.address, own.address, own.prefixLength)) {
    throw usage(`--addr ${addr} is no address of a host with its prefix length`, "try --addr 10.0.0.4/24");
  }
  // With or without the prefix length that `setup-net` takes; the network is the one of --addr.
  const router = parseIp(gateway.replace(/\/[0-9]+$/, ""));
  if (router === null) throw usage(`--gateway ${gateway} is no IPv4 address`, "try --gateway 10.0.0.5");
  checkGateway(own.address, own.prefixLength, router);
  if (mtu !== undefined && !(Number.isInteger(mtu) && mtu >= MIN_MTU && mtu <= MAX_MTU)) {
    throw usage(`--mtu ${mtu} is out of range`, `it may be ${MIN_MTU} to ${MAX_MTU}`);
  }
  if (!LOG_LEVELS.includes(logLevel)) {
    throw usage(`--log-level ${logLevel} is unknown`, `it may be ${LOG_LEVELS.join(", ")}`);
  }
  checkImpair(options.impair);
  return {
    address: own.address,
    prefixLength: own.prefixLength,
    gateway: router,
    tap: options.tap ?? "tap0",
    mac: readMacOption(options.mac, own.address),
    mtu,
    socket: options.socket,
    pcap: options.pcap,
    logLevel,
    json: options.json ?? false,
    impair: options.impair,
    tcp: readSysctls(options.sysctl ?? []),
    dns: (options.dns ?? []).flatMap((words) => words.split(",")).map(readServer),
    dnsSearch: options.dnsSearch?.flatMap((words) => words.split(",")).map(readDomain) ?? null,
    gid: options.group === undefined ? -1 : findGroup(options.group),
  };
}

function usage(message: string, mend: string): CommandError {
  return new CommandError(message, mend, EXIT.usage);
}

function isUnusable(address: number, net: number, prefixLength: number): boolean {
  const isNetwork = prefixLength < 31 && (address & ~maskOf(prefixLength)) === 0;
  return address === 0 || isNetwork || isMulticast(address) || isBroadcastOf(address, net, prefixLength);
}

function checkGateway(address: number, prefixLength: number, gateway: number): void {
  const mask = maskOf(prefixLength);
  const shown = formatIp(gateway);
  const network = `${formatIp(address & mask)}/${prefixLength}`;
  const hint = `choose another address of that network, as in --gateway ${
    formatIp(neighbour(address, mask))
  }`;
  if ((gateway & mask) !== (address & mask)) {
    throw usage(`--gateway ${shown} lies outside of the stack's network ${network}`, hint);
  }
  if (gateway === address) throw usage(`--gateway ${shown} is the stack's own address`, hint);
  if (isUnusable(gateway, address, prefixLength)) {
    throw usage(`--gateway ${shown} is no address of a host in ${network}`, hint);
  }
}

/** The host after `address`, or before it where that would be the broadcast address. */
function neighbour(address: number, mask: number): number {
  const next = (address + 1) | 0;
  return (next & mask) === (address & mask) && (next | mask) !== -1 ? next : (address - 1) | 0;
}

function readMacOption(text: string | undefined, address: number): number {
  if (text === undefined) return MAC_PREFIX + (address >>> 0);
  const mac = parseMac(text);
  if (mac === null || mac === 0 || isMulticastMac(mac)) {
    throw usage(`--mac ${text} is no MAC address of a single device`, "try --mac 02:00:0a:00:00:04");
  }
  return mac;
}

function readServer(text: string): number {
  const address = parseIp(text);
  if (address === null) throw usage(`--dns ${text} is no IPv4 address`, "try --dns 8.8.8.8");
  if (isLoopback(address)) {
    throw usage(
      `--dns ${text} is the stack's own loopback, not the host's`,
      "name a server that can be reached from the network, as in --dns 8.8.8.8",
    );
  }
  return address;
}

function readDomain(text: string): string {
  const name = toHostName(text);
  if (name === null) {
    throw usage(`--dns-search ${text} is no name of a domain`, "try --dns-search example.org");
  }
  return name;
}

function checkImpair(text: string | undefined): void {
  if (text === undefined) return;
  try {
    parseImpair(text);
  } catch (error) {
    throw new CommandError(error instanceof Error ? error.message : String(error), undefined, EXIT.usage);
  }
}

function readSysctls(words: readonly string[]): Partial<TcpSettings> {
  const settings: Partial<TcpSettings> = {};
  for (const word of words) {
    const [name, value] = word.split(/=(.*)/s);
    const change = value === undefined ? undefined : linuxSysctl(name, value);
    if (change === undefined) {
      throw usage(`--sysctl ${word} is none that the stack has`, `it knows ${SYSCTL_NAMES.join(", ")}`);
    }
    if (change === null) throw usage(`--sysctl ${word} has a value that cannot be`, "see Linux's ip-sysctl");
    Object.assign(settings, change);
  }
  return settings;
}

/** The number of a group, from /etc/group. */
function findGroup(name: string): number {
  if (/^[0-9]+$/.test(name)) return Number(name);
  for (const line of Deno.readTextFileSync("/etc/group").split("\n")) {
    const [group, , gid] = line.split(":");
    if (group === name && /^[0-9]+$/.test(gid)) return Number(gid);
  }
  throw usage(`--group ${name} does not exist`, `make it with: sudo groupadd ${name}`);
}
