import { mostSegments } from "./accurate_ecn.ts";
import { lt } from "./seq.ts";
import type { Tcb } from "./tcb.ts";

/**
 * Pacing: a window's worth of segments is spread over the round trip instead of being sent at once, as Linux's TCP does
 * it (RFC 9002 7.7 names the idea and the formula for QUIC).
 */

/** So much faster than a window a round trip: Linux's tcp_pacing_ss_ratio and tcp_pacing_ca_ratio. */
const SLOW_START_RATIO = 2;
const AVOIDANCE_RATIO = 1.2;
/** The first segments of a connection go out as the initial window lets them (RFC 6928). */
const UNPACED_SEGMENTS = 10;
/** A burst that the device cuts has the bytes of about a millisecond, but `gsoMinSegments` at least. */
const BURSTS_PER_SECOND = 1024;
const MAX_BURST_BYTES = 65536;
/** Near peers get larger bursts: the largest, halved for every 512 us of the least round trip (tcp_tso_rtt_log 9). */
const RTT_SHIFT = 9;

/** When the next data may leave. */
export class PacingState {
  /** Earliest time of the next data, microseconds; not whole ones. */
  nextAtUs = 0;
  /** When data that waits for that time is to be sent; Infinity: none waits. */
  dueUs = Infinity;
}

/** The rate follows the window and the round trip, whether or not the connection is paced (TCP_INFO tells it). */
export function updatePacingRate(tcb: Tcb): void {
  const { rtt, queue, snd, user } = tcb;
  if (rtt.srttUs === 0) {
    tcb.pacingRate = Math.min(tcb.pacingRate, user.maxPacingRate);
    return;
  }
  // As slow start nears its end, the rate is that of congestion avoidance already.
  const ratio = tcb.cwnd < tcb.ssthresh / 2 ? SLOW_START_RATIO : AVOIDANCE_RATIO;
  const rate = (ratio * snd.mss * Math.max(tcb.cwnd, queue.packetsOut) * 1e6) / rtt.srttUs;
  tcb.pacingRate = Math.min(rate, user.maxPacingRate);
}

/** SO_MAX_PACING_RATE: bytes a second; Infinity: no limit. A limit turns pacing on. */
export function limitPacingRate(tcb: Tcb, rate: number): void {
  tcb.user.maxPacingRate = rate;
  if (rate !== Infinity) tcb.user.paced = true;
  tcb.pacingRate = Math.min(tcb.pacingRate, rate);
}

export function isPaced(tcb: Tcb): boolean {
  return tcb.settings.pacing || tcb.user.paced;
}

/** True while data has to wait for its time; if there is some that only this holds back, the deadline tells until when. */
export function mustPace(tcb: Tcb, now: number): boolean {
  const { pacing, queue, snd } = tcb;
  pacing.dueUs = Infinity;
  if (!isPaced(tcb) || pacing.nextAtUs <= now) return false;
  const isWaiting = lt(snd.nxt, tcb.dataEnd) || (tcb.finQueued && !tcb.finSent) || queue.lostOut > 0;
  if (isWaiting && queue.inFlight < tcb.cwnd) pacing.dueUs = Math.ceil(pacing.nextAtUs);
  return true;
}

/** Data of `bytes` was sent: the next has to wait for as long as these take at the rate. */
export function dataPaced(tcb: Tcb, bytes: number, now: number): void {
  const { pacing, totals } = tcb;
  if (!isPaced(tcb)) return;
  const before = pacing.nextAtUs;
  pacing.nextAtUs = Math.max(before, now);
  if (tcb.pacingRate === Infinity || tcb.pacingRate <= 0 || totals.dataSegmentsOut < UNPACED_SEGMENTS) return;
  const length = (bytes * 1e6) / tcb.pacingRate;
  // Who comes late, because the host or its clock was, catches up a little: half a step at most.
  const late = pacing.nextAtUs - before;
  pacing.nextAtUs += length - Math.min(length / 2, late);
}

/** The most segments that one burst may have. */
export function burstSegments(tcb: Tcb): number {
  const { settings, rtt, snd } = tcb;
  const most = mostSegments(tcb);
  if (!isPaced(tcb) || most === 1) return most;
  const halvings = rtt.minRttUs === Infinity ? 32 : rtt.minRttUs / (1 << RTT_SHIFT);
  let bytes = tcb.pacingRate / BURSTS_PER_SECOND;
  if (halvings < 32) bytes += MAX_BURST_BYTES / 2 ** Math.floor(halvings);
  const segments = Math.floor(Math.min(bytes, MAX_BURST_BYTES) / snd.mss);
  return Math.min(Math.max(segments, settings.gsoMinSegments), most);
}
