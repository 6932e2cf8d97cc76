import { CommandError, EXIT } from "../cli/errors.ts";
import { parseImpair } from "../impair.ts";
import { toHostName } from "../resolver/name.ts";
import { BUSY_POLL_US } from "../run/busy_poll.ts";
import type { TcpSettings } from "../tcp/settings.ts";
import { linuxSysctl, SYSCTL_NAMES } from "../tcp/sysctl.ts";
import { isLoopback, parseIp } from "../wire/address.ts";
import { type InterfaceOptions, type InterfaceSetup, readInterfaces } from "./interface_config.ts";

export const LOG_LEVELS = ["error", "warn", "info", "debug"] as const;
export type LogLevel = typeof LOG_LEVELS[number];

/** What `lvl-ip daemon` may be told; all of it has a default. */
export interface DaemonOptions extends InterfaceOptions {
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
  /** More TAPs, each "tap1,10.1.0.1/24", and perhaps ",gateway=10.1.0.2", ",peer=10.1.0.2", ",mtu=1400", ",mac=...". */
  interface?: string[];
  /** Pass packets on between the TAPs. */
  forward?: boolean;
  /** Heed ICMP redirects of the router in use. */
  acceptRedirects?: boolean;
  /** The socket for programs; see `socketPaths`. */
  socket?: string;
  /** false: checksums and segmentation are not left to the TAP, and frames are as on a wire. */
  offload?: boolean;
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
  /** How long to look for the next event before sleeping, at most, microseconds; 50. 0: never. */
  busyPoll?: number;
  /** A group, by name or number, whose members may use the daemon besides its own user and root. */
  group?: string;
}

/** The same, checked and as numbers. Can be sent to a Worker. */
export interface DaemonConfig {
  /** At least one. */
  interfaces: InterfaceSetup[];
  forwarding: boolean;
  acceptRedirects: boolean;
  socket: string | undefined;
  offload: boolean;
  pcap: string | undefined;
  logLevel: LogLevel;
  json: boolean;
  impair: string | undefined;
  tcp: Partial<TcpSettings>;
  busyPollUs: number;
  /** undefined: the stack's own. */
  reassemblyTimeoutUs: number | undefined;
  /** None: those of /etc/resolv.conf. */
  dns: number[];
  /** null: that of /etc/resolv.conf. */
  dnsSearch: string[] | null;
  /** -1: none. */
  gid: number;
}

/** Checks the options. Throws `CommandError` with the status of a usage error. */
export function readConfig(options: DaemonOptions): DaemonConfig {
  const { logLevel = "info" } = options;
  if (!LOG_LEVELS.includes(logLevel)) {
    throw usage(`--log-level ${logLevel} is unknown`, `it may be ${LOG_LEVELS.join(", ")}`);
  }
  checkImpair(options.impair);
  return {
    interfaces: readInterfaces(options),
    forwarding: options.forward ?? false,
    acceptRedirects: options.acceptRedirects ?? false,
    socket: options.socket,
    offload: options.offload ?? true,
    pcap: options.pcap,
    logLevel,
    json: options.json ?? false,
    impair: options.impair,
    busyPollUs: options.busyPoll ?? BUSY_POLL_US,
    ...readSysctls(options.sysctl ?? []),
    dns: (options.dns ?? []).flatMap((words) => words.split(",")).map(readServer),
    dnsSearch: options.dnsSearch?.flatMap((words) => words.split(",")).map(readDomain) ?? null,
    gid: options.group === undefined ? -1 : findGroup(options.group),
  };
}

function usage(message: string, mend: string): CommandError {
  return new CommandError(message, mend, EXIT.usage);
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

/** The one sysctl that is not TCP's, seconds. */
const FRAGMENT_TIME = "net.ipv4.ipfrag_time";

function readSysctls(words: readonly string[]): Pick<DaemonConfig, "tcp" | "reassemblyTimeoutUs"> {
  const settings: Partial<TcpSettings> = {};
  let reassemblyTimeoutUs: number | undefined;
  for (const word of words) {
    const [name, value] = word.split(/=(.*)/s);
    if (name === FRAGMENT_TIME && /^[1-9][0-9]{0,3}$/.test(value ?? "")) {
      reassemblyTimeoutUs = Number(value) * 1e6;
      continue;
    }
    const change = value === undefined ? undefined : linuxSysctl(name, value);
    if (change === undefined) {
      throw usage(
        `--sysctl ${word} is none that the stack has`,
        `it knows ${[...SYSCTL_NAMES, FRAGMENT_TIME].join(", ")}`,
      );
    }
    if (change === null) throw usage(`--sysctl ${word} has a value that cannot be`, "see Linux's ip-sysctl");
    Object.assign(settings, change);
  }
  return { tcp: settings, reassemblyTimeoutUs };
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
