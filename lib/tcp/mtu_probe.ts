import { type AckFacts, Fact } from "./ack_facts.ts";
import type { SentSegment } from "./retransmit_queue.ts";
import { distance, geq, gt } from "./seq.ts";
import { CaState } from "./state.ts";
import type { Tcb } from "./tcb.ts";
import { updateSendMss } from "./window.ts";

/** IPv4 and TCP headers without options. */
const HEADERS = 40;
/** RFC 4821 7.7: after so many timeouts in a row the path may be a black hole for large packets (Linux's tcp_retries1). */
const BLACK_HOLE_TIMEOUTS = 3;
/** The same where segments of this size have got through: plain loss is the likelier cause, or the path has changed. */
const CHANGED_PATH_TIMEOUTS = 8;
/** Probing ends when the search is this narrow, bytes (Linux's tcp_probe_threshold). */
const CLOSE_ENOUGH = 8;
/**
 * In a window too small for probes nothing would ever be larger again: after this time full segments are simply tried.
 * Under heavy loss, which looks like a black hole, that ends the mistake.
 */
const TRY_AGAIN_US = 30e6;
/** How long a search that ended stays ended: the path may have changed since (Linux's tcp_probe_interval). */
const SEARCH_AGAIN_US = 600e6;
/** A probe's loss must be repairable by fast retransmit: in a smaller window it could not be told (Linux asks for 11). */
const LEAST_WINDOW = 6;

/**
 * Packetization-layer path MTU discovery (RFC 4821), for paths whose ICMP messages get lost. Sizes are MTUs in bytes.
 * It sleeps until timeouts in a row suggest a black hole; then small segments are used, and larger ones are tried.
 */
export class MtuProbe {
  enabled = false;
  low = 0;
  high = 0;
  /** Bytes of payload of the probe in flight; 0: none. */
  size = 0;
  start = 0;
  end = 0;
  searchedAtUs = 0;
  /** When segments were last made smaller. */
  reducedAtUs = 0;
  /** The longest payload that was acknowledged, bytes: such segments get through. */
  proven = 0;
}

/** The largest segment that the search has shown to get through; Infinity while it sleeps. */
export function probedMss(tcb: Tcb): number {
  return tcb.mtuProbe.enabled ? tcb.mtuProbe.low - HEADERS : Infinity;
}

function begin(tcb: Tcb, now: number): void {
  const { mtuProbe, settings, snd } = tcb;
  const most = Math.min(tcb.linkMss, snd.peerMss) + HEADERS;
  mtuProbe.enabled = true;
  mtuProbe.high = snd.pathMtu > 0 ? Math.min(most, snd.pathMtu) : most;
  mtuProbe.low = Math.min(settings.mtuProbeBase + HEADERS, mtuProbe.high);
  mtuProbe.size = 0;
  mtuProbe.searchedAtUs = now;
}

/** At the start of a connection: Linux's `tcp_mtu_probing` = 2 searches from the beginning. */
export function startMtuProbing(tcb: Tcb, now: number): void {
  if (tcb.settings.mtuProbing < 2) return;
  begin(tcb, now);
  updateSendMss(tcb);
}

/** RFC 4821 7.7: a retransmission timeout. Smaller segments, if it is one of several in a row. True if they changed. */
export function timeoutOnPath(tcb: Tcb, now: number): boolean {
  const { mtuProbe, settings, recovery, snd } = tcb;
  const before = snd.mss;
  const enough = mtuProbe.proven >= before ? CHANGED_PATH_TIMEOUTS : BLACK_HOLE_TIMEOUTS;
  if (settings.mtuProbing === 0 || recovery.retransmits < enough) return false;
  mtuProbe.proven = 0;
  mtuProbe.reducedAtUs = now;
  if (!mtuProbe.enabled) {
    begin(tcb, now);
  } else {
    const half = (mtuProbe.low - HEADERS) >> 1;
    mtuProbe.low = Math.max(Math.min(settings.mtuProbeBase, half), settings.mtuProbeFloor) + HEADERS;
  }
  updateSendMss(tcb);
  return snd.mss < before;
}

/** ICMP told the path MTU: nothing larger need be tried. */
export function limitSearch(tcb: Tcb, mtu: number): void {
  const { mtuProbe } = tcb;
  if (!mtuProbe.enabled) return;
  mtuProbe.high = Math.min(mtuProbe.high, mtu);
  mtuProbe.low = Math.min(mtuProbe.low, mtuProbe.high);
}

/**
 * RFC 4821 7.3: how many bytes a probe should carry now; 0: none is to be sent. `unsent`: bytes that wait; `window`: bytes
 * that the peer's window has room for.
 */
export function probeSize(tcb: Tcb, unsent: number, window: number, now: number): number {
  const { mtuProbe, recovery, queue, snd } = tcb;
  if (!mtuProbe.enabled || mtuProbe.size > 0 || recovery.caState !== CaState.OPEN) return 0;
  if (tcb.cwnd < LEAST_WINDOW || queue.sackedOut > 0 || tcb.outOfOrder.count > 0) return 0;
  if (mtuProbe.high - mtuProbe.low <= CLOSE_ENOUGH) {
    if (now - mtuProbe.searchedAtUs < SEARCH_AGAIN_US) return 0;
    mtuProbe.high = Math.min(tcb.linkMss, snd.peerMss) + HEADERS;
    mtuProbe.searchedAtUs = now;
    if (mtuProbe.high - mtuProbe.low <= CLOSE_ENOUGH) return 0;
  }
  const options = tcb.options.timestamps ? 12 : 0;
  const bytes = Math.floor((mtuProbe.low + mtuProbe.high + 1) / 2) - HEADERS - options;
  // Enough must follow it, or its loss would show only by a timeout.
  const needed = bytes + (recovery.reordering + 1) * snd.mss;
  if (unsent < needed || window < needed || queue.inFlight + 2 > tcb.cwnd) return 0;
  return bytes;
}

/** `node` is the probe that just left. */
export function probeSent(tcb: Tcb, node: SentSegment): void {
  const { mtuProbe } = tcb;
  mtuProbe.size = distance(node.end, node.seq);
  mtuProbe.start = node.seq;
  mtuProbe.end = node.end;
}

/** SND.UNA moved: the probe, if it is acknowledged, showed that its size gets through (RFC 4821 7.6.1). */
export function probeAcked(tcb: Tcb, now: number): void {
  const { mtuProbe, snd, settings } = tcb;
  if (!mtuProbe.enabled) return;
  if (settings.mtuProbing < 2 && tcb.cwnd < LEAST_WINDOW && now - mtuProbe.reducedAtUs > TRY_AGAIN_US) {
    mtuProbe.enabled = false;
    mtuProbe.size = mtuProbe.proven = 0;
    updateSendMss(tcb);
    return;
  }
  if (mtuProbe.size === 0 || gt(mtuProbe.end, snd.una)) return;
  const options = tcb.options.timestamps ? 12 : 0;
  const before = snd.mss;
  mtuProbe.low = mtuProbe.size + HEADERS + options;
  mtuProbe.size = 0;
  updateSendMss(tcb);
  // The window is in segments: as many bytes as before.
  tcb.cwnd = Math.max(1, Math.floor((tcb.cwnd * before) / snd.mss));
}

/**
 * RFC 4821 7.6.2: the probe alone was lost: its size does not get through, which is no sign of congestion. True if this
 * loss was the probe's, and nothing more is to be made of it.
 */
export function probeLost(tcb: Tcb, facts: AckFacts): boolean {
  const { mtuProbe, snd, queue } = tcb;
  if (mtuProbe.size === 0 || snd.una !== mtuProbe.start || queue.head === null) return false;
  if ((facts.flags & Fact.ECE) !== 0 || !geq(mtuProbe.end, queue.head.end)) return false;
  const options = tcb.options.timestamps ? 12 : 0;
  mtuProbe.high = mtuProbe.size + HEADERS + options - 1;
  mtuProbe.size = 0;
  return true;
}
