import { gt } from "../seq.ts";
import type { CongestionView } from "./congestion_control.ts";

/** Linux's net/ipv4/tcp_cubic.c: hystart_low_window, hystart_ack_delta_us, HYSTART_MIN_SAMPLES, HYSTART_DELAY_THRESH. */
const LOW_WINDOW = 16;
const ACK_DELTA_US = 2_000;
const RTT_SAMPLES = 8;
const MIN_RTT_THRESHOLD_US = 4_000;
const MAX_RTT_THRESHOLD_US = 16_000;
/** What segmentation by the device adds to a train of ACKs, at most. */
const ACK_DELAY_US = 1_000;

/**
 * HyStart as Linux has it (Ha and Rhee, "Taming the elephants", 2011): slow start ends at once when the round-trip time
 * rises, or when the ACKs of one round come closely spaced for half of the least round-trip time.
 */
export class HyStart {
  private roundStartUs = 0;
  private roundEnd = 0;
  private lastAckUs = 0;
  private currentUs = Infinity;
  private samples = 0;
  private minUs = Infinity;
  private hasRound = false;
  private found = false;

  reset(): void {
    this.hasRound = this.found = false;
    this.minUs = Infinity;
  }

  onRtt(view: CongestionView, rttUs: number, now: number): void {
    this.minUs = Math.min(this.minUs, rttUs);
    if (this.found || view.cwnd >= view.ssthresh || view.cwnd < LOW_WINDOW) return;
    if (!this.hasRound || gt(view.una, this.roundEnd)) this.startRound(view, now);
    if (now - this.lastAckUs <= ACK_DELTA_US) {
      this.lastAckUs = now;
      if (now - this.roundStartUs > (this.minUs + ACK_DELAY_US) / 2) this.leave(view);
    }
    this.currentUs = Math.min(this.currentUs, rttUs);
    if (this.samples < RTT_SAMPLES) {
      this.samples++;
      return;
    }
    const threshold = Math.max(MIN_RTT_THRESHOLD_US, Math.min(this.minUs / 8, MAX_RTT_THRESHOLD_US));
    if (this.currentUs > this.minUs + threshold) this.leave(view);
  }

  private startRound(view: CongestionView, now: number): void {
    this.hasRound = true;
    this.roundStartUs = this.lastAckUs = now;
    this.roundEnd = view.nxt;
    this.currentUs = Infinity;
    this.samples = 0;
  }

  private leave(view: CongestionView): void {
    this.found = true;
    view.ssthresh = view.cwnd;
  }
}
