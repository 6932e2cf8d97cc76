import { PERSIST_RECOVERIES } from "./rack.ts";
import { anyRetransDone, keepOpen } from "./recovery.ts";
import { LOST } from "./retransmit_queue.ts";
import { checkSackReordering } from "./sack.ts";
import { CaState } from "./state.ts";
import type { Tcb } from "./tcb.ts";
import { timestampOf } from "./timestamps.ts";

/** RFC 3522: the ACK echoes a timestamp older than the retransmission: the original had arrived. */
function originalArrived(tcb: Tcb): boolean {
  const { recovery, options, timestamps } = tcb;
  if (recovery.retransStampUs === 0 || !options.timestamps || timestamps.lastEcho === 0) return false;
  return ((timestamps.lastEcho - timestampOf(tcb, recovery.retransStampUs)) | 0) < 0;
}

/** The episode proved needless: every retransmission was D-SACKed (RFC 3708), or the original arrived (RFC 3522). */
export function canUndo(tcb: Tcb): boolean {
  const { recovery } = tcb;
  return recovery.undoActive && (recovery.undoRetrans === 0 || originalArrived(tcb));
}

/** RFC 4015: the window is given back what the episode took. */
function undoReduction(tcb: Tcb, unmarkLoss: boolean, now: number): void {
  const { recovery, queue } = tcb;
  if (unmarkLoss) {
    for (let node = queue.head; node !== null; node = node.next) queue.unmark(node, LOST);
  }
  if (recovery.priorSsthresh > 0) {
    tcb.cwnd = tcb.congestion.undo(tcb);
    if (recovery.priorSsthresh > tcb.ssthresh) {
      tcb.ssthresh = recovery.priorSsthresh;
      tcb.ecnCwr = false;
    }
  }
  recovery.cwndStampUs = now;
  recovery.undoActive = false;
  recovery.rackAdvanced = true;
}

/** RFC 6582 3.2 step 6 and 4.1: without SACK the old state is held until something above the mark is acknowledged. */
function holdsBack(tcb: Tcb): boolean {
  const { recovery, snd, options } = tcb;
  if (snd.una !== recovery.highSeq || options.sack) return false;
  if (!anyRetransDone(tcb)) recovery.retransStampUs = 0;
  return true;
}

/** The episode is over: undo it if it was needless. True if the state must not change yet. */
export function tryUndoRecovery(tcb: Tcb, now: number): boolean {
  const { recovery } = tcb;
  if (canUndo(tcb)) undoReduction(tcb, false, now);
  else if (recovery.rackPersist > 0) recovery.rackPersist--;
  if (holdsBack(tcb)) return true;
  recovery.caState = CaState.OPEN;
  recovery.isReneging = false;
  return false;
}

/** D-SACKs have accounted for every retransmission. */
export function tryUndoDsack(tcb: Tcb, now: number): boolean {
  const { recovery } = tcb;
  if (!recovery.undoActive || recovery.undoRetrans !== 0) return false;
  recovery.rackPersist = Math.min(PERSIST_RECOVERIES, recovery.rackPersist + 1);
  undoReduction(tcb, false, now);
  return true;
}

/** A partial ACK that shows the original to have arrived: reordering, not loss. True if nothing more is to be done. */
export function tryUndoPartial(tcb: Tcb, previousUna: number, now: number): boolean {
  const { recovery, queue } = tcb;
  if (!recovery.undoActive || !originalArrived(tcb)) return false;
  checkSackReordering(tcb, previousUna);
  // While retransmissions are in flight their ACKs would confuse: wait.
  if (queue.retransOut > 0) return true;
  if (!anyRetransDone(tcb)) recovery.retransStampUs = 0;
  undoReduction(tcb, true, now);
  keepOpen(tcb);
  return false;
}

/** RFC 5682, RFC 4015: the timeout was spurious. */
export function tryUndoLoss(tcb: Tcb, byFrto: boolean, now: number): boolean {
  const { recovery } = tcb;
  if (!byFrto && !canUndo(tcb)) return false;
  undoReduction(tcb, true, now);
  recovery.retransmits = 0;
  recovery.frto = false;
  if (holdsBack(tcb)) return true;
  if (byFrto || tcb.options.sack) {
    recovery.caState = CaState.OPEN;
    recovery.isReneging = false;
  }
  return true;
}
