import { gt } from "../seq.ts";
import {
  additiveIncrease,
  type CongestionControl,
  type CongestionView,
  slowStart,
  SSTHRESH_INFINITE,
} from "./congestion_control.ts";
import { HyStart } from "./hystart.ts";

/** RFC 9438 4.6: the multiplicative decrease factor. */
const BETA = 0.7;
/** RFC 9438 5.1: the scale of the cubic, segments per second cubed. */
const C = 0.4;
/** RFC 9438 4.3: how much Reno's window would grow in a round trip with our beta. */
const RENO_ALPHA = (3 * (1 - BETA)) / (1 + BETA);

/** How many acknowledged segments make the window grow by one as long as nothing was ever lost. */
const UNKNOWN_BANDWIDTH_PER = 20;

/** Linux works the growth out anew when the window has grown, else only after this time, and Reno's in whole segments. */
const LINUX_UPDATE_US = 31_250;

/** RFC 9406 4.2: HyStart++ constants. */
const MIN_RTT_THRESHOLD_US = 4_000;
const MAX_RTT_THRESHOLD_US = 16_000;
const RTT_SAMPLES = 8;
const CSS_GROWTH_DIVISOR = 4;
const CSS_ROUNDS = 5;
/** Below this window HyStart++ has too few samples to judge. */
const LOW_WINDOW = 16;

/** CUBIC (RFC 9438) with HyStart++ (RFC 9406); or with Linux's HyStart and its coarser steps (bictcp_update). */
export class Cubic implements CongestionControl {
  readonly name = "cubic";
  private priorCwnd = 0;
  /** Window before the last reduction, segments. */
  private wMax = 0;
  private lastWMax = 0;
  private hasLost = false;
  /** Start of the current congestion avoidance stage; 0: none yet. */
  private epochStartUs = 0;
  private k = 0;
  private wEst = 0;
  /** The growth in use, for which window and since when. */
  private per = 0;
  private perCwnd = 0;
  private perAtUs = 0;
  private lastAckUs = 0;

  private roundEnd = 0;
  private roundStarted = false;
  private samples = 0;
  private currentMinUs = Infinity;
  private lastMinUs = Infinity;
  private cssBaselineUs = Infinity;
  private cssRounds = 0;
  private cssAcked = 0;
  private readonly linuxHyStart: HyStart | null;
  private readonly isLinux: boolean;

  constructor(likeLinux = false) {
    this.linuxHyStart = likeLinux ? new HyStart() : null;
    this.isLinux = likeLinux;
  }

  ssthresh(view: CongestionView): number {
    this.priorCwnd = view.cwnd;
    this.epochStartUs = 0;
    this.hasLost = true;
    // RFC 9438 4.7, fast convergence: a flow that loses below its last maximum makes room for others.
    this.wMax = view.cwnd < this.lastWMax ? view.cwnd * ((1 + BETA) / 2) : view.cwnd;
    this.lastWMax = this.wMax;
    return Math.max(Math.floor(view.cwnd * BETA), 2);
  }

  onAck(view: CongestionView, acked: number, now: number): void {
    this.lastAckUs = now;
    if (!view.isCwndLimited) return;
    let left = acked;
    if (view.cwnd < view.ssthresh) {
      left = this.slowStart(view, acked);
      if (left === 0) return;
    }
    additiveIncrease(view, this.ackedPerSegment(view, left, now), left);
  }

  /** RFC 9406 4.2: in Conservative Slow Start the window grows at a quarter of the pace. */
  private slowStart(view: CongestionView, acked: number): number {
    if (this.cssBaselineUs === Infinity) return slowStart(view, acked);
    this.cssAcked += acked;
    const grown = Math.floor(this.cssAcked / CSS_GROWTH_DIVISOR);
    this.cssAcked -= grown * CSS_GROWTH_DIVISOR;
    slowStart(view, grown);
    return 0;
  }

  /** How many acknowledged segments make the window grow by one (RFC 9438 4.2-4.5). */
  private ackedPerSegment(view: CongestionView, acked: number, now: number): number {
    const cwnd = view.cwnd;
    if (this.epochStartUs === 0) this.startEpoch(cwnd, now);
    // RFC 9438 4.3: never slower than Reno would be
    this.wEst += (this.wEst < this.priorCwnd ? RENO_ALPHA : 1) * (acked / cwnd);
    if (this.isLinux && cwnd === this.perCwnd && now - this.perAtUs <= LINUX_UPDATE_US) return this.per;
    this.perCwnd = cwnd;
    this.perAtUs = now;
    const rttUs = view.minRttUs === Infinity ? view.srttUs : view.minRttUs;
    const t = (now - this.epochStartUs + rttUs) / 1e6;
    let target = this.wMax + C * (t - this.k) ** 3;
    // RFC 9438 4.2: at most half as much again in one round trip
    target = Math.floor(Math.min(Math.max(target, cwnd), 1.5 * cwnd));
    let per = target > cwnd ? Math.floor(cwnd / (target - cwnd)) : 100 * cwnd;
    // With no loss yet the bandwidth is unknown: at least 5 % a round trip, as Linux does.
    if (!this.hasLost) per = Math.min(per, UNKNOWN_BANDWIDTH_PER);
    const ahead = (this.isLinux ? Math.floor(this.wEst) : this.wEst) - cwnd;
    if (ahead > 0) per = Math.min(per, cwnd / ahead);
    // No faster than one segment for every two acknowledged (RFC 9438 4.4, as Linux bounds it)
    this.per = Math.max(per, 2);
    return this.per;
  }

  private startEpoch(cwnd: number, now: number): void {
    this.epochStartUs = now;
    this.wEst = cwnd;
    if (this.wMax <= cwnd) {
      this.wMax = cwnd;
      this.k = 0;
    } else {
      this.k = Math.cbrt((this.wMax - cwnd) / C);
    }
  }

  onRtt(view: CongestionView, rttUs: number, now: number): void {
    if (this.linuxHyStart !== null) {
      this.linuxHyStart.onRtt(view, rttUs, now);
      return;
    }
    if (view.cwnd >= view.ssthresh || view.ssthresh !== SSTHRESH_INFINITE || view.cwnd < LOW_WINDOW) return;
    this.hyStart(view, rttUs);
  }

  /** RFC 9406 4.2 */
  private hyStart(view: CongestionView, rttUs: number): void {
    if (!this.roundStarted || gt(view.una, this.roundEnd)) this.startRound(view);
    this.currentMinUs = Math.min(this.currentMinUs, rttUs);
    this.samples++;
    if (this.samples < RTT_SAMPLES || this.lastMinUs === Infinity) return;
    if (this.cssBaselineUs === Infinity) {
      const threshold = Math.max(MIN_RTT_THRESHOLD_US, Math.min(this.lastMinUs / 8, MAX_RTT_THRESHOLD_US));
      if (this.currentMinUs >= this.lastMinUs + threshold) {
        this.cssBaselineUs = this.currentMinUs;
        this.cssRounds = 0;
      }
    } else if (this.currentMinUs < this.cssBaselineUs) {
      // The delay went away again: the exit was spurious.
      this.cssBaselineUs = Infinity;
    }
  }

  private startRound(view: CongestionView): void {
    this.roundStarted = true;
    this.roundEnd = view.nxt;
    this.lastMinUs = this.currentMinUs;
    this.currentMinUs = Infinity;
    this.samples = 0;
    if (this.cssBaselineUs !== Infinity && ++this.cssRounds >= CSS_ROUNDS) {
      view.ssthresh = view.cwnd;
      this.cssBaselineUs = Infinity;
    }
  }

  onTimeout(): void {
    this.linuxHyStart?.reset();
    // RFC 9438 4.8: after a timeout the cubic starts flat, from the window that slow start then ends with.
    this.epochStartUs = this.wMax = this.lastWMax = 0;
    this.roundStarted = false;
    this.cssBaselineUs = this.currentMinUs = this.lastMinUs = Infinity;
  }

  undo(view: CongestionView): number {
    this.lastWMax = this.wMax = Math.max(this.wMax, this.priorCwnd);
    return Math.max(view.cwnd, this.priorCwnd);
  }

  onRestart(_view: CongestionView, _idleUs: number, now: number): void {
    // RFC 9438 5.8: idle time is no time of growth: the epoch moves on by it.
    if (this.epochStartUs !== 0 && this.lastAckUs !== 0) {
      this.epochStartUs = Math.min(now, this.epochStartUs + (now - this.lastAckUs));
      this.lastAckUs = now;
    }
  }
}
