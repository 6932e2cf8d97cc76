/** What a congestion control algorithm may look at. Windows in segments, times in microseconds. */
export interface CongestionView {
  cwnd: number;
  ssthresh: number;
  /** Acknowledged segments that have not yet made up one more segment of cwnd. */
  cwndCount: number;
  /** The window, not the application or the peer, limited the last flight (RFC 7661). */
  readonly isCwndLimited: boolean;
  readonly srttUs: number;
  readonly minRttUs: number;
  readonly latestRttUs: number;
  readonly inFlight: number;
  /** SND.UNA and SND.NXT, to tell rounds apart. */
  readonly una: number;
  readonly nxt: number;
}

/** One algorithm for one connection. `slowStart` and `avoid` say by how much cwnd grows; who calls decides whether. */
export interface CongestionControl {
  readonly name: string;
  /** The slow start threshold that a loss leads to (RFC 5681 3.1 step 2, RFC 9438 4.6). */
  ssthresh(view: CongestionView, now: number): number;
  /** `acked` segments were acknowledged and cwnd was in full use: moves view.cwnd and view.cwndCount. */
  onAck(view: CongestionView, acked: number, now: number): void;
  /** An RTT sample with the acknowledgment of new data. */
  onRtt(view: CongestionView, rttUs: number, now: number): void;
  /** A retransmission timeout. */
  onTimeout(view: CongestionView, now: number): void;
  /** The loss was not one: what cwnd goes back to. */
  undo(view: CongestionView): number;
  /** Sending starts again after an idle time. */
  onRestart(view: CongestionView, idleUs: number, now: number): void;
}

/** No threshold yet: slow start until the first loss. */
export const SSTHRESH_INFINITE = 0x7fffffff;

/** Slow start (RFC 5681 3.1 with RFC 3465's byte counting): returns the acked segments left over at ssthresh. */
export function slowStart(view: CongestionView, acked: number): number {
  const target = Math.min(view.cwnd + acked, view.ssthresh);
  const left = acked - (target - view.cwnd);
  view.cwnd = target;
  return left;
}

/** Additive increase: one segment for every `per` acknowledged (RFC 5681 3.1, equation 3, counted). */
export function additiveIncrease(view: CongestionView, per: number, acked: number): void {
  if (view.cwndCount >= per) {
    view.cwndCount = 0;
    view.cwnd++;
  }
  view.cwndCount += acked;
  if (view.cwndCount >= per) {
    const delta = Math.floor(view.cwndCount / per);
    view.cwndCount -= delta * per;
    view.cwnd += delta;
  }
}
