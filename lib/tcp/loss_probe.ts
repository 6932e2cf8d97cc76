import { type AckFacts, Fact } from "./ack_facts.ts";
import { beginReduction, endReduction, keepOpen } from "./recovery.ts";
import { gt, lt } from "./seq.ts";
import { CaState } from "./state.ts";
import type { Tcb } from "./tcb.ts";

/** RFC 8985 7.4: did the tail loss probe repair a loss? Then the window is reduced as any loss demands. */
export function processProbeAck(tcb: Tcb, ack: number, facts: AckFacts, now: number): void {
  const { recovery } = tcb;
  if (lt(ack, recovery.tlpHighSeq)) return;
  if (!recovery.tlpRetransmitted || (facts.flags & Fact.DSACK_PROBE) !== 0) {
    // The probe was new data, or the receiver had the original: nothing was lost.
    recovery.tlpActive = false;
  } else if (gt(ack, recovery.tlpHighSeq)) {
    beginReduction(tcb, now);
    recovery.caState = CaState.CWR;
    endReduction(tcb, now);
    keepOpen(tcb);
  } else if ((facts.flags & (Fact.UNA_ADVANCED | Fact.DATA | Fact.WINDOW_UPDATE | Fact.DATA_SACKED)) === 0) {
    // A duplicate ACK: both the original and the probe arrived.
    recovery.tlpActive = false;
  }
}
