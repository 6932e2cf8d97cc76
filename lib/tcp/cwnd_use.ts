import { geq } from "./seq.ts";
import { CaState } from "./state.ts";
import type { Tcb } from "./tcb.ts";

/** RFC 5681 4.1: after an idle RTO the congestion window is no longer known to be right. */
export function restartAfterIdle(tcb: Tcb, now: number): void {
  const { queue, totals, rtt, settings, recovery } = tcb;
  if (queue.packetsOut > 0) return;
  let idle = now - totals.lastDataSentUs;
  tcb.congestion.onRestart(tcb, idle, now);
  if (!settings.slowStartAfterIdle || idle <= rtt.rtoUs || tcb.cwnd <= settings.initialWindow) return;
  tcb.ssthresh = Math.max(tcb.ssthresh, (tcb.cwnd >> 1) + (tcb.cwnd >> 2));
  while ((idle -= rtt.rtoUs) > 0 && tcb.cwnd > settings.initialWindow) tcb.cwnd >>= 1;
  tcb.cwnd = Math.max(tcb.cwnd, settings.initialWindow);
  recovery.cwndStampUs = now;
  recovery.cwndUsed = 0;
}

/** RFC 7661, RFC 2861: the congestion window grows only while it is what limits the flow. */
export function noteWindowUse(tcb: Tcb, limited: boolean, now: number): void {
  const { recovery, snd, queue } = tcb;
  if (
    geq(snd.una, recovery.cwndUsageSeq) || limited ||
    (!tcb.cwndLimited && queue.packetsOut > recovery.maxPacketsOut)
  ) {
    tcb.cwndLimited = limited;
    recovery.maxPacketsOut = queue.packetsOut;
    recovery.cwndUsageSeq = snd.nxt;
  }
  if (tcb.isCwndLimited) {
    recovery.cwndUsed = 0;
    recovery.cwndStampUs = now;
  } else {
    recovery.cwndUsed = Math.max(recovery.cwndUsed, queue.packetsOut);
    if (tcb.settings.slowStartAfterIdle && now - recovery.cwndStampUs >= tcb.rtt.rtoUs) {
      shrinkUnused(tcb, now);
    }
  }
}

/** RFC 2861 3.2: what was not used for a round trip is no longer known to be available. */
function shrinkUnused(tcb: Tcb, now: number): void {
  const { recovery, settings } = tcb;
  if (recovery.caState === CaState.OPEN && !tcb.sendBlocked) {
    const used = Math.max(recovery.cwndUsed, settings.initialWindow);
    if (used < tcb.cwnd) {
      tcb.ssthresh = Math.max(tcb.ssthresh, (tcb.cwnd >> 1) + (tcb.cwnd >> 2));
      tcb.cwnd = (tcb.cwnd + used) >> 1;
    }
    recovery.cwndUsed = 0;
  }
  recovery.cwndStampUs = now;
}
