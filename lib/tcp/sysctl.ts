import { CONGESTION_ALGORITHMS } from "./congestion/algorithms.ts";
import type { TcpSettings } from "./settings.ts";

/** Turns the text of a value into settings; null: it is not a value that Linux would take. */
type Mapping = (value: string) => Partial<TcpSettings> | null;

const MS = 1000;
const SECOND = 1_000_000;

/** A whole number of at least 0; NaN if `text` is none. */
const whole = (text: string) => /^[0-9]+$/.test(text.trim()) ? Number(text) : NaN;

function number(make: (n: number) => Partial<TcpSettings> | null): Mapping {
  return (text) => Number.isNaN(whole(text)) ? null : make(whole(text));
}

const flag = (name: keyof TcpSettings): Mapping => number((n) => ({ [name]: n !== 0 }));
const count = (name: keyof TcpSettings, scale = 1): Mapping => number((n) => ({ [name]: n * scale }));

/** `min default max`, bytes. */
function threeSizes(
  text: string,
  make: (initial: number, max: number) => Partial<TcpSettings>,
): Partial<TcpSettings> | null {
  const sizes = text.trim().split(/\s+/).map(whole);
  return sizes.length === 3 && sizes.every((size) => size > 0) ? make(sizes[1], sizes[2]) : null;
}

/** Names without their common beginning `net.ipv4.`; see ip-sysctl in Linux's documentation. */
const SYSCTLS: Record<string, Mapping> = {
  tcp_sack: flag("sack"),
  tcp_shrink_window: flag("shrinkWindow"),
  tcp_dsack: flag("dsack"),
  tcp_timestamps: flag("timestamps"),
  tcp_window_scaling: flag("windowScaling"),
  tcp_ecn: number((n) => n <= 5 ? { ecn: n } : null),
  tcp_ecn_option: number((n) => n <= 3 ? { ecnOption: n } : null),
  tcp_ecn_option_beacon: number((n) => n <= 3 ? { ecnOptionBeacon: n } : null),
  tcp_ecn_fallback: number((n) => ({ ecnSynRetries: n === 0 ? Infinity : 0 })),
  tcp_rfc1337: flag("rfc1337"),
  tcp_congestion_control: (value) =>
    (CONGESTION_ALGORITHMS as readonly string[]).includes(value.trim()) ? { congestion: value.trim() } : null,
  tcp_reordering: count("reordering"),
  tcp_recovery: number((n) => ({ rack: (n & 1) !== 0 })),
  tcp_early_retrans: number((n) => ({ tailLossProbe: n >= 3 })),
  tcp_frto: flag("frto"),
  // Of a receive buffer Linux offers half as window.
  tcp_rmem: (value) =>
    threeSizes(value, (initial, max) => ({ receiveBuffer: Math.floor(initial / 2), receiveBufferMax: max })),
  tcp_wmem: (value) => threeSizes(value, (initial, max) => ({ sendBuffer: initial, sendBufferMax: max })),
  tcp_syn_retries: count("synRetries"),
  tcp_syn_linear_timeouts: count("synLinearTimeouts"),
  tcp_synack_retries: count("synAckRetries"),
  tcp_retries2: count("retries"),
  tcp_orphan_retries: number((n) => ({ orphanRetries: n || 8 })),
  tcp_keepalive_time: count("keepaliveTimeUs", SECOND),
  tcp_keepalive_intvl: count("keepaliveIntervalUs", SECOND),
  tcp_keepalive_probes: count("keepaliveProbes"),
  tcp_fin_timeout: count("finTimeoutUs", SECOND),
  tcp_max_tw_buckets: count("maxTimeWaits"),
  tcp_slow_start_after_idle: flag("slowStartAfterIdle"),
  tcp_min_tso_segs: number((n) => n > 0 ? { gsoMinSegments: n } : null),
  tcp_invalid_ratelimit: count("invalidRateLimitUs", MS),
  tcp_abort_on_overflow: flag("abortOnOverflow"),
  tcp_syncookies: count("synCookies"),
  tcp_fastopen: count("fastOpen"),
  tcp_mtu_probing: count("mtuProbing"),
  tcp_base_mss: count("mtuProbeBase"),
  tcp_mtu_probe_floor: count("mtuProbeFloor"),
  // Its default, the largest number there is, means that there is no such limit.
  tcp_notsent_lowat: number((n) => ({ notSentLowWater: n > 0x7fffffff ? 0 : n })),
  tcp_rto_min_us: count("rtoMinUs"),
  tcp_rto_max_ms: count("rtoMaxUs", MS),
};

/** Linux paces where the queueing discipline is fq; here the connections do it themselves. */
const QUEUEING = "net.core.default_qdisc";

/** The names that `linuxSysctl` knows, with their beginning. */
export const SYSCTL_NAMES: readonly string[] = [
  ...Object.keys(SYSCTLS).map((name) => `net.ipv4.${name}`),
  QUEUEING,
];

/**
 * What setting one of Linux's sysctls means here. `name` with or without `net.ipv4.`. Undefined for a name that the stack
 * has nothing for; null for a value that Linux would refuse.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * assertEquals(linuxSysctl("net.ipv4.tcp_rto_min_us", "5000"), { rtoMinUs: 5000 });
 * ```
 */
export function linuxSysctl(name: string, value: string): Partial<TcpSettings> | null | undefined {
  if (name === QUEUEING) return { pacing: value.trim() === "fq" };
  return SYSCTLS[name.replace(/^net\.ipv4\./, "")]?.(value);
}
