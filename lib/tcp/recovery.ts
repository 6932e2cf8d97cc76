import { type AckFacts, Fact } from "./ack_facts.ts";
import { SSTHRESH_INFINITE } from "./congestion/congestion_control.ts";
import { probeLost } from "./mtu_probe.ts";
import { retransmitNow } from "./path_mtu.ts";
import { rackMarkLost, rackRemaining, TIMEOUT_MIN_US } from "./rack.ts";
import { EVER_RETRANSMITTED, LOST, SACKED } from "./retransmit_queue.ts";
import { addRenoSacks, resetRenoSacks } from "./sack.ts";
import { geq, gt } from "./seq.ts";
import { CaState } from "./state.ts";
import { type Tcb, TransmitTimer } from "./tcb.ts";
import { armTransmitTimer } from "./timers.ts";
import { tryUndoDsack, tryUndoLoss, tryUndoPartial, tryUndoRecovery } from "./undo.ts";

/**
 * The sender's reaction to an ACK that is not plain progress (RFC 5681 3.2, RFC 6675 5, RFC 8985): which state it is
 * in, what is lost, whether an episode begins or ends. `duplicates`: 1 if the ACK is a duplicate.
 */
export function fastRetransmitAlert(tcb: Tcb, facts: AckFacts, duplicates: number, now: number): void {
  const { queue, recovery, snd } = tcb;
  if (queue.packetsOut === 0) queue.sackedOut = 0;
  if ((facts.flags & Fact.ECE) !== 0) recovery.priorSsthresh = 0;
  if (checkReneging(tcb, facts, now)) return;
  if (recovery.caState === CaState.OPEN) {
    if (queue.retransOut === 0) recovery.retransStampUs = 0;
  } else if (geq(snd.una, recovery.highSeq)) {
    if (recovery.caState === CaState.CWR) {
      // CWR is held until something above the mark is acknowledged.
      if (snd.una !== recovery.highSeq) {
        endReduction(tcb, now);
        recovery.caState = CaState.OPEN;
      }
    } else if (recovery.caState === CaState.RECOVERY) {
      if (!tcb.options.sack) resetRenoSacks(tcb);
      if (tryUndoRecovery(tcb, now)) return;
      endReduction(tcb, now);
    }
  }
  react(tcb, facts, duplicates, now);
}

function react(tcb: Tcb, facts: AckFacts, duplicates: number, now: number): void {
  const { recovery } = tcb;
  const advanced = (facts.flags & Fact.UNA_ADVANCED) !== 0;
  if (recovery.caState === CaState.RECOVERY) {
    if (!advanced) {
      if (!tcb.options.sack) addRenoSacks(tcb, duplicates);
    } else if (tryUndoPartial(tcb, facts.previousUna, now)) {
      return;
    }
    if (tryUndoDsack(tcb, now)) tryToOpen(tcb, facts, now);
    identifyLoss(tcb, facts, now);
    if (recovery.caState !== CaState.RECOVERY) {
      if (isTimeToRecover(tcb)) enterRecovery(tcb, facts, now);
    }
    return;
  }
  if (recovery.caState === CaState.LOSS) {
    processLoss(tcb, facts, duplicates, now);
    if (recovery.caState !== CaState.LOSS) identifyLoss(tcb, facts, now);
    if ((recovery.caState as number) !== CaState.OPEN && (facts.flags & Fact.LOST_RETRANS) === 0) return;
  }
  if (!tcb.options.sack) {
    if (advanced) resetRenoSacks(tcb);
    addRenoSacks(tcb, duplicates);
  }
  if (recovery.caState <= CaState.DISORDER) tryUndoDsack(tcb, now);
  identifyLoss(tcb, facts, now);
  if (!isTimeToRecover(tcb)) tryToOpen(tcb, facts, now);
  else if (recovery.caState < CaState.CWR && probeLost(tcb, facts)) {
    tcb.cwnd++;
    retransmitNow(tcb, now);
  } else enterRecovery(tcb, facts, now);
}

/** RFC 2018 8: the receiver discarded what it had SACKed. All marks are void; the RTO sorts it out. */
function checkReneging(tcb: Tcb, facts: AckFacts, now: number): boolean {
  const { queue, rtt } = tcb;
  if ((facts.flags & Fact.UNA_ADVANCED) === 0 || !tcb.options.sack) return false;
  if (queue.head === null || (queue.head.flags & SACKED) === 0) return false;
  const delay = Math.max(rtt.srttUs / 2, 10_000);
  armTransmitTimer(tcb, TransmitTimer.RETRANSMIT, delay, now);
  facts.flags &= ~Fact.SET_TIMER;
  return true;
}

/** Marks lost segments: by time and D-SACK with SACK (RFC 8985), by counting duplicates without (RFC 6582). */
function identifyLoss(tcb: Tcb, facts: AckFacts, now: number): void {
  const { queue } = tcb;
  if (queue.head === null) return;
  if (!tcb.options.sack) {
    markNewRenoLoss(tcb, (facts.flags & Fact.UNA_ADVANCED) !== 0);
    return;
  }
  if (!tcb.settings.rack) {
    markLostByCount(tcb);
    return;
  }
  const retransmitted = queue.retransOut;
  const timeout = rackMarkLost(tcb, now);
  if (timeout > 0) {
    armTransmitTimer(tcb, TransmitTimer.REORDERING, timeout + TIMEOUT_MIN_US, now);
    facts.flags &= ~Fact.SET_TIMER;
  }
  if (retransmitted > queue.retransOut) facts.flags |= Fact.LOST_RETRANS;
}

/** RFC 6675 4, IsLost(): more than DupThresh segments above it were SACKed. */
function markLostByCount(tcb: Tcb): void {
  const { queue, recovery } = tcb;
  let above = queue.sackedOut;
  for (let node = queue.head; node !== null && above >= recovery.reordering; node = node.next) {
    if ((node.flags & SACKED) !== 0) above -= node.count;
    else if ((node.flags & (LOST | EVER_RETRANSMITTED)) === 0) {
      queue.markLost(node);
      recovery.lost += node.count;
    }
  }
}

/** RFC 6582 3.2: three duplicates, or a partial ACK during recovery, mean that the first segment is lost. */
function markNewRenoLoss(tcb: Tcb, advanced: boolean): void {
  const { queue, recovery, snd } = tcb;
  const begins = recovery.caState < CaState.RECOVERY && queue.sackedOut >= recovery.reordering;
  const partial = recovery.caState === CaState.RECOVERY && advanced;
  const head = queue.head!;
  if (!(begins || partial) || (head.flags & LOST) !== 0) return;
  if (head.count > 1) queue.split(head, (head.seq + snd.mss) | 0, snd.mss);
  queue.markLost(head);
  recovery.lost += head.count;
}

function isTimeToRecover(tcb: Tcb): boolean {
  return tcb.queue.lostOut > 0;
}

/** RFC 6675 5, step 4: fast recovery begins. */
export function enterRecovery(tcb: Tcb, facts: AckFacts | null, now: number): void {
  const { recovery } = tcb;
  const ecn = facts !== null && (facts.flags & Fact.ECE) !== 0;
  recovery.priorSsthresh = 0;
  beginUndo(tcb);
  if (recovery.caState < CaState.CWR) {
    if (!ecn) recovery.priorSsthresh = currentSsthresh(tcb);
    beginReduction(tcb, now);
  }
  recovery.caState = CaState.RECOVERY;
}

/** Remembers where the episode began, so that it can be undone if it proves needless (RFC 4015). */
export function beginUndo(tcb: Tcb): void {
  const { recovery, queue, snd } = tcb;
  recovery.undoMarker = snd.una;
  recovery.undoActive = true;
  recovery.undoRetrans = queue.retransOut > 0 ? queue.retransOut : -1;
}

/** The threshold that is worth restoring: at least three quarters of the window while the reduction is not done. */
export function currentSsthresh(tcb: Tcb): number {
  const { recovery } = tcb;
  if (recovery.caState === CaState.CWR || recovery.caState === CaState.RECOVERY) return tcb.ssthresh;
  return Math.max(tcb.ssthresh, (tcb.cwnd >> 1) + (tcb.cwnd >> 2));
}

/** RFC 6937 3: proportional rate reduction begins. */
export function beginReduction(tcb: Tcb, now: number): void {
  const { recovery } = tcb;
  recovery.highSeq = tcb.snd.nxt;
  recovery.tlpActive = false;
  tcb.cwndCount = 0;
  recovery.priorCwnd = tcb.cwnd;
  recovery.prrDelivered = recovery.prrOut = 0;
  tcb.ssthresh = tcb.congestion.ssthresh(tcb, now);
  if (tcb.options.ecn) tcb.ecnCwr = true;
}

/** RFC 6937 3: the window ends at ssthresh. */
export function endReduction(tcb: Tcb, now: number): void {
  const { recovery } = tcb;
  if (tcb.ssthresh < SSTHRESH_INFINITE && (recovery.caState === CaState.CWR || recovery.undoActive)) {
    tcb.cwnd = tcb.ssthresh;
    recovery.cwndStampUs = now;
  }
}

/** RFC 3168 6.1.2: the window is reduced without a loss, at most once a round trip. */
export function enterCwr(tcb: Tcb, now: number): void {
  const { recovery } = tcb;
  recovery.priorSsthresh = 0;
  if (recovery.caState >= CaState.CWR) return;
  recovery.undoActive = false;
  beginReduction(tcb, now);
  recovery.caState = CaState.CWR;
}

/** Nothing is lost (any more): DISORDER while something is missing, else OPEN. */
export function keepOpen(tcb: Tcb): void {
  const { queue, recovery, snd } = tcb;
  const disorder = queue.sackedOut + queue.lostOut > 0 || anyRetransDone(tcb);
  const state = disorder ? CaState.DISORDER : CaState.OPEN;
  if (recovery.caState === state) return;
  recovery.caState = state;
  recovery.highSeq = snd.nxt;
}

function tryToOpen(tcb: Tcb, facts: AckFacts, now: number): void {
  const { recovery } = tcb;
  if (!anyRetransDone(tcb)) recovery.retransStampUs = 0;
  if ((facts.flags & Fact.ECE) !== 0) enterCwr(tcb, now);
  if (recovery.caState !== CaState.CWR) keepOpen(tcb);
}

/** A retransmission is outstanding. */
export function anyRetransDone(tcb: Tcb): boolean {
  const { queue } = tcb;
  if (queue.retransOut > 0) return true;
  return queue.head !== null && (queue.head.flags & EVER_RETRANSMITTED) !== 0;
}

/** After a timeout (RFC 5681 3.1, RFC 5682 2.1 and 3.1). */
function processLoss(tcb: Tcb, facts: AckFacts, duplicates: number, now: number): void {
  const { recovery, snd } = tcb;
  const recovered = geq(snd.una, recovery.highSeq);
  const advanced = (facts.flags & Fact.UNA_ADVANCED) !== 0;
  if (advanced && tryUndoLoss(tcb, false, now)) return;
  if (recovery.frto) {
    // RFC 5682 2.1 and 3.1 step 3b: an original transmission was acknowledged: the timeout was spurious. Without SACK the
    // first ACK cannot tell: the retransmission may have filled a hole before originals that had arrived.
    const tells = tcb.options.sack || gt(snd.nxt, recovery.highSeq);
    if (tells && (facts.flags & Fact.ORIG_ACKED) !== 0 && tryUndoLoss(tcb, true, now)) return;
    if (gt(snd.nxt, recovery.highSeq)) {
      // step 3a: the loss was real
      if ((facts.flags & Fact.DATA_SACKED) !== 0 || duplicates > 0) recovery.frto = false;
    } else if (advanced && !recovered) {
      // step 2b: try new data first
      recovery.highSeq = snd.nxt;
      recovery.preferNew = true;
      return;
    }
  }
  if (recovered) {
    tryUndoRecovery(tcb, now);
    return;
  }
  if (!tcb.options.sack) {
    if (gt(snd.nxt, recovery.highSeq) && duplicates > 0) addRenoSacks(tcb, duplicates);
    else if (advanced) resetRenoSacks(tcb);
  }
}

/** RFC 6298 5.4-5.6 and RFC 5681 3.1: the retransmission timer fired; all is taken for lost, slow start begins. */
export function enterLoss(tcb: Tcb, now: number): void {
  const { recovery, queue, snd, settings } = tcb;
  const isNew = recovery.caState < CaState.RECOVERY;
  markAllLost(tcb, now);
  if (
    isNew || !gt(recovery.highSeq, snd.una) ||
    (recovery.caState === CaState.LOSS && recovery.retransmits === 0)
  ) {
    recovery.priorSsthresh = currentSsthresh(tcb);
    recovery.priorCwnd = tcb.cwnd;
    tcb.ssthresh = tcb.congestion.ssthresh(tcb, now);
    tcb.congestion.onTimeout(tcb, now);
    beginUndo(tcb);
  }
  tcb.cwnd = queue.inFlight + 1;
  tcb.cwndCount = 0;
  recovery.cwndStampUs = now;
  // What looked like reordering was loss.
  if (recovery.caState <= CaState.DISORDER && queue.sackedOut >= settings.reordering) {
    recovery.reordering = Math.min(recovery.reordering, settings.reordering);
  }
  recovery.caState = CaState.LOSS;
  recovery.highSeq = snd.nxt;
  recovery.tlpActive = false;
  recovery.preferNew = false;
  if (tcb.options.ecn) tcb.ecnCwr = true;
  // RFC 5682 2.1 step 1: only for new data, or a timeout of the same.
  recovery.frto = settings.frto && (isNew || recovery.retransmits > 0);
}

function markAllLost(tcb: Tcb, now: number): void {
  const { queue, recovery } = tcb;
  const head = queue.head;
  const reneging = head !== null && (head.flags & SACKED) !== 0;
  if (reneging) recovery.isReneging = true;
  else if (!tcb.options.sack) resetRenoSacks(tcb);
  for (let node = head; node !== null; node = node.next) {
    if (reneging) queue.unmark(node, SACKED);
    else if (
      tcb.options.sack && tcb.settings.rack && node !== head && rackRemaining(tcb, node, 0, now) > 0
    ) continue; // RFC 8985 6.3: what was sent a moment ago is not lost yet
    if ((node.flags & (LOST | SACKED)) === 0) recovery.lost += node.count;
    queue.markLost(node);
  }
}

/** RFC 6937 3.1 during a reduction, else the congestion control algorithm: moves cwnd after an ACK. */
export function adjustWindow(tcb: Tcb, facts: AckFacts, now: number): void {
  const { recovery } = tcb;
  if (recovery.caState === CaState.CWR || recovery.caState === CaState.RECOVERY) {
    reduceWindow(tcb, facts.newlyDelivered, facts.newlyLost, (facts.flags & Fact.UNA_ADVANCED) !== 0);
    return;
  }
  // RFC 5681 3.1: grow with data acknowledged; a reordering path acknowledges through SACK too.
  const progress = recovery.reordering > tcb.settings.reordering
    ? Fact.DATA_ACKED | Fact.DATA_SACKED | Fact.UNA_ADVANCED
    : Fact.DATA_ACKED;
  if ((facts.flags & progress) !== 0 && facts.newlyDelivered > 0) {
    tcb.congestion.onAck(tcb, facts.newlyDelivered, now);
    recovery.cwndStampUs = now;
  }
}

/** RFC 6937 3.1, with its slow-start reduction bound. */
export function reduceWindow(tcb: Tcb, delivered: number, lost: number, advanced: boolean): void {
  const { recovery, queue } = tcb;
  if (delivered <= 0 || recovery.priorCwnd === 0) return;
  const inFlight = queue.inFlight;
  recovery.prrDelivered += delivered;
  const delta = tcb.ssthresh - inFlight;
  let send: number;
  if (delta < 0) {
    send = Math.ceil((tcb.ssthresh * recovery.prrDelivered) / recovery.priorCwnd) - recovery.prrOut;
  } else {
    send = Math.max(recovery.prrDelivered - recovery.prrOut, delivered);
    if (advanced && lost === 0) send++;
    send = Math.min(delta, send);
  }
  // The fast retransmission itself always goes out.
  send = Math.max(send, recovery.prrOut > 0 ? 0 : 1);
  tcb.cwnd = inFlight + send;
}
