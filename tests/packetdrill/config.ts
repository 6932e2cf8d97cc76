import type { ScriptOption } from "./ast.ts";

/** How a script is run: packetdrill's own options, with its defaults. */
export interface RunConfig {
  localIp: string;
  prefixLength: number;
  remoteIp: string;
  mtu: number;
  /** Payload of each segment that a longer inbound one stands for (receive offload); 0: as much as the MTU allows. */
  mss: number;
  bindPort: number;
  connectPort: number;
  /** An event may be this early or late ... */
  toleranceUs: number;
  /** ... or this share of the time since the event before it, whichever is more. */
  tolerancePercent: number;
  /** Microseconds that a tick of our TS val stands for; 0: TS val is not checked. */
  tsTickUs: number;
  /** TS ecr that echo no TS val of the script are placed on its scale. */
  tsEcrScaled: boolean;
  /** Each segment must be as long as the script says: several are never taken for one long one. */
  strictSegments: boolean;
  /** Packets that differ are only reported. */
  nonFatalPacket: boolean;
  /** System calls that differ are only reported. */
  nonFatalSyscall: boolean;
  /** TS ecr of our segments must be what the script says (packetdrill itself does not look). */
  checkTsEcr: boolean;
  /** Names that `--define` gives to values. */
  defines: Map<string, string>;
  /** Compare options as a set, and outbound windows only where they are zero. */
  loose: boolean;
  /** The script is for IPv6, which the stack does not have: its TCP runs over IPv4 (see `headersLength`). */
  isForIpv6: boolean;
}

const IPV4_AND_TCP = 40;
const IPV6_AND_TCP = 60;

/** IP and TCP headers without options, of the IP version that the script is for. */
export function headersLength(config: RunConfig): number {
  return config.isForIpv6 ? IPV6_AND_TCP : IPV4_AND_TCP;
}

/** The MTU of IPv4 that leaves TCP as much room as `mtu` does in the script's IP version. */
export function ipv4Mtu(config: RunConfig, mtu: number): number {
  return mtu - headersLength(config) + IPV4_AND_TCP;
}

export function defaultConfig(): RunConfig {
  return {
    localIp: "192.168.0.1",
    prefixLength: 16,
    remoteIp: "192.0.2.1",
    mtu: 1500,
    mss: 0,
    bindPort: 8080,
    connectPort: 8080,
    toleranceUs: 4000,
    tolerancePercent: 12.5,
    tsTickUs: 0,
    tsEcrScaled: false,
    strictSegments: false,
    nonFatalPacket: false,
    nonFatalSyscall: false,
    checkTsEcr: false,
    defines: new Map(),
    loose: false,
    isForIpv6: false,
  };
}

/** What the script asks for cannot be done here: it is neither passed nor failed. */
export class Unsupported extends Error {
  override readonly name = "Unsupported";
}

/**
 * Applies the script's `--name=value` lines to `config`; returns a note for each that is ignored. Throws Unsupported
 * for what cannot be given.
 */
export function applyOptions(config: RunConfig, options: ScriptOption[]): string[] {
  const notes: string[] = [];
  for (const { name, value } of options) {
    if (name === "ip_version") chooseIpVersion(config, value ?? "");
  }
  for (const { name, value, line } of options) {
    const known = applyOption(config, name, value ?? "");
    if (!known) notes.push(`line ${line}: option --${name} is ignored`);
  }
  return notes;
}

/** Whether `--name` means something. */
export function isScriptOption(name: string): boolean {
  return OPTIONS[name] !== undefined;
}

function applyOption(config: RunConfig, name: string, value: string): boolean {
  const apply = OPTIONS[name];
  if (apply === undefined) return false;
  apply(config, value);
  return true;
}

/** `ipv4-mapped-ipv6` is IPv4 as sockets of the other family see it. */
function chooseIpVersion(config: RunConfig, version: string): void {
  if (!["ipv4", "ipv4-mapped-ipv6", "ipv6"].includes(version)) {
    throw new Unsupported(`--ip_version=${version}`);
  }
  config.isForIpv6 = version === "ipv6";
}

const OPTIONS: Record<string, (config: RunConfig, value: string) => void> = {
  // Has been applied before all others.
  ip_version: () => {},
  local_ip: (config, value) => config.localIp = address(config, value) ?? config.localIp,
  remote_ip: (config, value) => config.remoteIp = address(config, value) ?? config.remoteIp,
  netmask_ip: (config, value) => config.prefixLength = prefixLength(value),
  mtu: (config, value) => config.mtu = number("mtu", value, 68, 65535),
  mss: (config, value) => config.mss = number("mss", value, 8, 65535),
  bind_port: (config, value) => config.bindPort = number("bind_port", value, 1, 65535),
  connect_port: (config, value) => config.connectPort = number("connect_port", value, 1, 65535),
  tolerance_usecs: (config, value) => config.toleranceUs = number("tolerance_usecs", value, 0, 1e9),
  tolerance_percent: (config, value) => config.tolerancePercent = number("tolerance_percent", value, 0, 100),
  tcp_ts_tick_usecs: (config, value) => config.tsTickUs = number("tcp_ts_tick_usecs", value, 0, 1e6),
  tcp_ts_ecr_scaled: (config) => config.tsEcrScaled = true,
  strict_segments: (config) => config.strictSegments = true,
  check_ts_ecr: (config) => config.checkTsEcr = true,
  non_fatal: (config, value) => {
    config.nonFatalPacket = value.includes("packet");
    config.nonFatalSyscall = value.includes("syscall");
  },
  define: (config, value) => {
    const equals = value.indexOf("=");
    if (equals > 0) config.defines.set(value.slice(0, equals), value.slice(equals + 1).replace(/^"|"$/g, ""));
  },
};

/** An IPv4 address; null for one of IPv6 in a script for IPv6, where the usual one stands for it. */
function address(config: RunConfig, value: string): string | null {
  const plain = value.split("/")[0];
  if (plain.includes(":") && config.isForIpv6) return null;
  if (plain.includes(":")) throw new Unsupported(`the IPv6 address ${value}`);
  if (!/^\d+\.\d+\.\d+\.\d+$/.test(plain)) throw new Unsupported(`the address ${value}`);
  return plain;
}

function prefixLength(mask: string): number {
  return mask.split(".").map(Number).map((byte) => byte.toString(2).replaceAll("0", "").length)
    .reduce((sum, ones) => sum + ones, 0);
}

function number(name: string, value: string, low: number, high: number): number {
  const parsed = Number(value);
  if (value === "" || !(parsed >= low && parsed <= high)) throw new Unsupported(`--${name}=${value}`);
  return parsed;
}
