import {
  additiveIncrease,
  type CongestionControl,
  type CongestionView,
  slowStart,
} from "./congestion_control.ts";

/** The congestion control of RFC 5681; recovery itself (RFC 6582, 6675) is the same for all algorithms. */
export class NewReno implements CongestionControl {
  readonly name = "reno";
  private priorCwnd = 0;

  ssthresh(view: CongestionView): number {
    this.priorCwnd = view.cwnd;
    // RFC 5681 3.1, equation 4
    return Math.max(view.cwnd >> 1, 2);
  }

  onAck(view: CongestionView, acked: number): void {
    if (!view.isCwndLimited) return;
    let left = acked;
    if (view.cwnd < view.ssthresh) {
      left = slowStart(view, acked);
      if (left === 0) return;
    }
    additiveIncrease(view, view.cwnd, left);
  }

  undo(view: CongestionView): number {
    return Math.max(view.cwnd, this.priorCwnd);
  }

  onRtt(): void {}
  onTimeout(): void {}
  onRestart(): void {}
}
