import { linuxSysctl } from "../../lib/tcp/sysctl.ts";
import { DEFAULT_SETTINGS, type TcpSettings } from "../../lib/tcp/settings.ts";

export type Settings = Partial<TcpSettings>;

/** What a sysctl's value means for the stack; null: nothing that it could be told. */
type Mapping = (value: string) => Settings | null;

const flag = (name: keyof TcpSettings): Mapping => (value) => ({ [name]: Number(value) !== 0 });
const count = (name: keyof TcpSettings, scale = 1): Mapping => (value) => ({ [name]: Number(value) * scale });

/** BSD has a switch for resets and one for SYNs; scripts turn one of them, and look at nothing else. */
function withoutRfc5961(value: string): Settings {
  return Number(value) !== 0 ? { rfc5961: false } : {};
}

/** No buffer is larger: Linux counts them in an int. */
const MAX_BUFFER = 0x7fffffff;
const MS = 1000;

/** Names without their common beginning `net.inet.tcp.`. */
const FREEBSD: Record<string, Mapping> = {
  rfc1323: (value) => ({ timestamps: Number(value) !== 0, windowScaling: Number(value) !== 0 }),
  "sack.enable": flag("sack"),
  "ecn.enable": count("ecn"),
  "ecn.maxretries": count("ecnSynRetries"),
  icmp_may_rst: (value) => ({ icmpEndsConnect: Number(value) !== 0 ? "hard" : "none" }),
  rexmit_initial: count("rtoInitialUs", MS),
  rexmit_min: count("rtoMinUs", MS),
  recvspace: count("receiveBuffer"),
  sendspace: count("sendBuffer"),
  delacktime: (value) => ({ delayedAckMinUs: Number(value) * MS, delayedAckMaxUs: Number(value) * MS }),
  drop_synfin: flag("dropSynFin"),
  insecure_rst: withoutRfc5961,
  insecure_syn: withoutRfc5961,
  initcwnd_segments: count("initialWindow"),
  "cc.algorithm": (value) => ({ congestion: value === "cubic" ? "cubic" : "reno" }),
  msl: (value) => ({ timeWaitUs: 2 * Number(value) * MS }),
  keepidle: count("keepaliveTimeUs", MS),
  keepintvl: count("keepaliveIntervalUs", MS),
  keepcnt: count("keepaliveProbes"),
};

/** Settings that give a default that the stack has anyway: nothing to say about them. */
const AS_IT_IS = new Set([
  "net.inet.tcp.blackhole=0",
  "net.inet.tcp.hostcache.purgenow=1",
  "net.inet.tcp.rexmit_drop_options=0",
  "net.inet.tcp.syncookies=1",
]);

export interface SysctlEffect {
  settings: Settings;
  /** The stack has no such setting. */
  ignored: boolean;
}

/** For our own scripts: any setting by its own name, as in `net.lvl_ip.hystart=rfc9406`. */
const OWN = "net.lvl_ip.";

function ownSetting(name: string, value: string): SysctlEffect {
  const usual = (DEFAULT_SETTINGS as unknown as Record<string, unknown>)[name];
  if (usual === undefined) return { settings: {}, ignored: true };
  const meant = typeof usual === "string" ? value : typeof usual === "number" ? Number(value) : value === "1";
  return { settings: { [name]: meant }, ignored: false };
}

/** What setting `name` (with dots) to `value` means for the stack. */
export function sysctlEffect(name: string, value: string): SysctlEffect {
  if (AS_IT_IS.has(`${name}=${value}`)) return { settings: {}, ignored: false };
  if (name === "kern.ipc.maxsockbuf") {
    const max = Math.min(Number(value), MAX_BUFFER);
    return { settings: { receiveBufferMax: max, sendBufferMax: max }, ignored: false };
  }
  if (name.startsWith(OWN)) return ownSetting(name.slice(OWN.length), value);
  let mapping: Mapping | undefined;
  if (name.startsWith("net.ipv4.")) mapping = (text) => linuxSysctl(name, text) ?? null;
  else if (name.startsWith("net.inet.tcp.")) mapping = FREEBSD[name.slice("net.inet.tcp.".length)];
  const settings = mapping?.(value) ?? null;
  return { settings: settings ?? {}, ignored: settings === null };
}

/** What `common/defaults.sh` of Google's scripts sets: the buffers, retries and switches they are written for. */
export function googleDefaults(): Settings {
  const values: Record<string, string> = {
    tcp_rmem: "4096 540000 15728640",
    tcp_wmem: "4096 262144 4194304",
    tcp_timestamps: "1",
    tcp_syn_retries: "5",
    tcp_syn_linear_timeouts: "4",
    tcp_synack_retries: "5",
    tcp_frto: "2",
    tcp_sack: "1",
    tcp_dsack: "1",
    tcp_reordering: "3",
    tcp_congestion_control: "cubic",
    tcp_slow_start_after_idle: "0",
    tcp_early_retrans: "4",
    tcp_recovery: "1",
    tcp_ecn: "0",
    tcp_mtu_probing: "0",
  };
  const settings: Settings = { hystart: "linux", receiveMemory: "linux" };
  for (const [name, value] of Object.entries(values)) {
    Object.assign(settings, sysctlEffect(`net.ipv4.${name}`, value).settings);
  }
  return settings;
}

/** The buffers of a FreeBSD host, from which its window scale and the windows that its scripts probe follow. */
export const FREEBSD_DEFAULTS: Readonly<Settings> = {
  receiveBuffer: 65536,
  receiveBufferMax: 2 << 20,
  sendBuffer: 32768,
  sendBufferMax: 2 << 20,
  rtoMaxUs: 64_000_000,
  // It delays ACKs from the first segment on, and acknowledges every second one however small.
  quickAcks: 0,
  bsd: true,
  rfc1337: true,
  icmpEndsConnect: "hard",
  ecnSynRetries: 1,
  mtuProbing: 0,
};
