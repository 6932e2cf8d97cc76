import { ECE, SYN, type TcpHeader } from "../wire/tcp.ts";
import { takeFeedback } from "./accurate_ecn_feedback.ts";
import { AckFacts, Fact } from "./ack_facts.ts";
import { noteLimit } from "./chronograph.ts";
import { processProbeAck } from "./loss_probe.ts";
import { probeAcked } from "./mtu_probe.ts";
import { updatePacingRate } from "./pacing.ts";
import { rackAdvance, updateReorderingWindow } from "./rack.ts";
import { adjustWindow, fastRetransmitAlert } from "./recovery.ts";
import { EVER_RETRANSMITTED, SACKED } from "./retransmit_queue.ts";
import { checkSackReordering, removeRenoSacks, tagSacks } from "./sack.ts";
import { advance, distance, geq, gt, leq, lt } from "./seq.ts";
import { CaState } from "./state.ts";
import { type Tcb, TransmitTimer } from "./tcb.ts";
import { timestampOf, updateRecent } from "./timestamps.ts";
import { challengeAck } from "./invalid.ts";
import { rearmRetransmit, rearmWindowProbe, setTransmitTimer } from "./timers.ts";
import { tuneSendBuffer, wakeWriter } from "./send_buffer.ts";
import { updateSendMss } from "./window.ts";

/** Scratch for the acknowledgment being processed; reset for each. */
const facts = new AckFacts();

/**
 * RFC 9293 3.10.7.4, fifth, ESTABLISHED STATE: what `seg` acknowledges. False if the segment is to be dropped.
 */
export function acknowledge(tcb: Tcb, seg: TcpHeader, now: number): boolean {
  const { snd, recovery, queue, totals } = tcb;
  // RFC 5961 5.2: an ACK older than the largest window ever seen is an attack or very late.
  if (lt(seg.ack, snd.una) && lt(seg.ack, advance(snd.una, -snd.maxWnd))) {
    challengeAck(tcb, now);
    return false;
  }
  // RFC 9293 3.10.7.4: an ACK of something not yet sent: send an ACK, drop the segment.
  if (gt(seg.ack, snd.nxt)) {
    challengeAck(tcb, now);
    return false;
  }
  facts.start(tcb);
  totals.lastAckReceivedUs = now;
  recovery.probesOut = 0;
  tcb.snd.holdForMore = false;
  // Something got through: what an ICMP message said has passed (RFC 1122 4.2.3.9).
  tcb.softError = 0;
  if (tcb.options.sack && seg.sackCount > 0) tagSacks(tcb, seg, facts, now);
  if (lt(seg.ack, snd.una)) {
    oldAck(tcb, now);
    return true;
  }
  if (gt(seg.ack, snd.una)) {
    facts.flags |= Fact.UNA_ADVANCED;
    recovery.retransmits = 0;
  }
  if (updateRecent(tcb, seg, now)) facts.flags |= Fact.TIMESTAMP_ADVANCED;
  if (updateWindow(tcb, seg)) facts.flags |= Fact.WINDOW_UPDATE;
  if (seg.payloadLength > 0 || (seg.flags & 3) !== 0) facts.flags |= Fact.DATA;
  echoCongestion(tcb, seg);
  if (queue.packetsOut === 0) nothingOutstanding(tcb, seg, now);
  else outstandingAck(tcb, seg, now);
  noteLimit(tcb, now);
  return true;
}

/** An ACK from the past: only its SACKs, and D-SACKs, can tell something new. */
function oldAck(tcb: Tcb, now: number): void {
  if ((facts.flags & (Fact.DATA_SACKED | Fact.DSACK)) === 0) return;
  fastRetransmitAlert(tcb, facts, 0, now);
  finishAck(tcb, now);
}

/** RFC 3168 6.1.2: the receiver saw congestion. */
function echoCongestion(tcb: Tcb, seg: TcpHeader): void {
  // On a SYN-ACK the bit is part of the negotiation.
  if (tcb.options.ecn && (seg.flags & (ECE | SYN)) === ECE) facts.flags |= Fact.ECE;
}

/** RFC 9293 3.10.7.4, fifth: SND.WND, SND.WL1 and SND.WL2. */
function updateWindow(tcb: Tcb, seg: TcpHeader): boolean {
  const { snd } = tcb;
  // RFC 7323 2.2: in a SYN it is never scaled.
  const window = (seg.flags & SYN) !== 0 ? seg.window : seg.window << snd.scale;
  const newer = gt(seg.ack, snd.una) || gt(seg.seq, snd.wl1) ||
    (seg.seq === snd.wl1 && (window > snd.wnd || window === 0));
  if (newer) {
    snd.wl1 = seg.seq;
    snd.wl2 = seg.ack;
    snd.wnd = window;
    if (window > snd.maxWnd) {
      snd.maxWnd = window;
      updateSendMss(tcb);
    }
  }
  return newer;
}

/** Nothing was in flight: the ACK can open the window, answer a probe, or show by a D-SACK that nothing was lost. */
function nothingOutstanding(tcb: Tcb, seg: TcpHeader, now: number): void {
  if (tcb.accurateEcn !== null) takeFeedback(tcb, tcb.accurateEcn, seg, facts);
  if ((facts.flags & Fact.DSACK) !== 0) fastRetransmitAlert(tcb, facts, 0, now);
  rearmWindowProbe(tcb, now);
  if (tcb.recovery.tlpActive) processProbeAck(tcb, seg.ack, facts, now);
}

function outstandingAck(tcb: Tcb, seg: TcpHeader, now: number): void {
  const { recovery } = tcb;
  cleanQueue(tcb, seg, now);
  if (tcb.accurateEcn !== null) takeFeedback(tcb, tcb.accurateEcn, seg, facts);
  updateReorderingWindow(tcb, facts);
  if (recovery.tlpActive) processProbeAck(tcb, seg.ack, facts, now);
  let duplicate = 0;
  if (isDubious(tcb)) {
    // RFC 5681 2: a duplicate ACK carries no data and no new window and acknowledges nothing new.
    const unusual = Fact.UNA_ADVANCED | Fact.DATA | Fact.WINDOW_UPDATE | Fact.DSACK;
    if ((facts.flags & unusual) === 0) duplicate = 1;
    fastRetransmitAlert(tcb, facts, duplicate, now);
  }
  if ((facts.flags & Fact.SET_TIMER) !== 0) setTransmitTimer(tcb, now);
  finishAck(tcb, now);
  if (tcb.queue.packetsOut === 0) rearmWindowProbe(tcb, now);
}

function isDubious(tcb: Tcb): boolean {
  const usual = Fact.DATA | Fact.WINDOW_UPDATE | Fact.DATA_ACKED | Fact.SYN_ACKED;
  const alert = Fact.DATA_SACKED | Fact.ECE | Fact.DSACK;
  return (facts.flags & usual) === 0 || (facts.flags & alert) !== 0 || tcb.recovery.caState !== CaState.OPEN;
}

function finishAck(tcb: Tcb, now: number): void {
  const { recovery } = tcb;
  facts.newlyDelivered = recovery.delivered - facts.deliveredBefore;
  facts.newlyLost = recovery.lost - facts.lostBefore;
  if (tcb.options.ecn && (facts.flags & Fact.ECE) !== 0) recovery.deliveredCe += facts.newlyDelivered;
  adjustWindow(tcb, facts, now);
  updatePacingRate(tcb);
  tuneSendBuffer(tcb);
  if ((facts.flags & Fact.UNA_ADVANCED) !== 0) wakeWriter(tcb);
}

/** Removes what is acknowledged from the retransmission queue and the send buffer, and takes the RTT (RFC 6298 3). */
function cleanQueue(tcb: Tcb, seg: TcpHeader, now: number): void {
  const { queue } = tcb;
  const ack = seg.ack;
  const acked = takeAcked(tcb, ack, now);
  if ((facts.flags & Fact.UNA_ADVANCED) !== 0) freeAcked(tcb, ack, now);
  takeRtt(tcb, seg, now);
  if (acked === 0) return;
  facts.flags |= Fact.SET_TIMER;
  if (tcb.options.sack) {
    if (lt(facts.reordered, facts.highestSackedBefore)) checkSackReordering(tcb, facts.reordered);
  } else {
    removeRenoSacks(tcb, acked);
  }
  if (queue.packetsOut === 0) {
    queue.sackedOut = 0;
    if (tcb.timers.kind !== TransmitTimer.WINDOW_PROBE) rearmRetransmit(tcb, now);
  }
}

/** Takes acknowledged nodes off the queue; returns how many segments that were. */
function takeAcked(tcb: Tcb, ack: number, now: number): number {
  const { queue, recovery, snd } = tcb;
  let acked = 0;
  for (let node = queue.head; node !== null && lt(node.seq, ack); node = queue.head) {
    const whole = leq(node.end, ack);
    if (!whole && node.count === 1) break;
    const count = whole ? node.count : node.count - Math.ceil(distance(node.end, ack) / snd.mss);
    if (!whole && count <= 0) break;
    if ((node.flags & EVER_RETRANSMITTED) !== 0) {
      facts.flags |= Fact.RETRANS_ACKED;
    } else if ((node.flags & SACKED) === 0) {
      facts.lastAckedUs = node.sentAtUs;
      if (facts.firstAckedUs < 0) facts.firstAckedUs = node.sentAtUs;
      if (lt(node.seq, facts.reordered)) facts.reordered = node.seq;
      if (leq(node.end, recovery.highSeq)) facts.flags |= Fact.ORIG_ACKED;
    }
    const size = Math.min(distance(node.end, node.seq), snd.mss);
    if (size > tcb.mtuProbe.proven) tcb.mtuProbe.proven = size;
    if ((node.flags & SACKED) === 0) {
      recovery.delivered += count;
      facts.deliveredBytes += distance(whole ? node.end : ack, node.seq);
      rackAdvance(tcb, node, now);
    }
    facts.flags |= node.seq === snd.iss && tcb.snd.una === snd.iss ? Fact.SYN_ACKED : Fact.DATA_ACKED;
    acked += count;
    facts.lastDeliveredUs = Math.max(facts.lastDeliveredUs, node.sentAtUs);
    facts.sentAtDelivered = Math.max(facts.sentAtDelivered, node.deliveredBefore);
    if (!whole) {
      queue.trimHead(ack, snd.mss);
      break;
    }
    queue.removeHead();
  }
  return acked;
}

/** Moves SND.UNA and gives the bytes before it back to the send buffer. */
function freeAcked(tcb: Tcb, ack: number, now: number): void {
  const { snd, sendBuffer } = tcb;
  tcb.totals.bytesAcked += distance(ack, snd.una);
  snd.una = ack;
  probeAcked(tcb, now);
  tcb.queue.sackedRanges.removeBefore(ack);
  const bytes = Math.min(Math.max(0, distance(ack, snd.dataSeq)), sendBuffer.length);
  if (bytes > 0) {
    sendBuffer.consume(bytes);
    snd.dataSeq = advance(snd.dataSeq, bytes);
    sendBuffer.releaseIfEmpty();
  }
}

/**
 * The round-trip time that this ACK shows, by the least doubtful evidence (RFC 6298 3, Karn; RFC 7323 4): what was sent
 * once; else, where something was sent again, the timestamp; but where a D-SACK tells that it was the retransmission
 * that made the peer answer (an earlier ACK was lost), the time since that. -1: it shows none.
 */
function roundTrip(tcb: Tcb, seg: TcpHeader, now: number): number {
  const { flags } = facts;
  const acked = (flags & (Fact.DATA_ACKED | Fact.SYN_ACKED)) !== 0;
  if (acked && (flags & Fact.RETRANS_ACKED) === 0) {
    if (facts.firstAckedUs >= 0) return now - facts.firstAckedUs;
  } else if (acked && (flags & Fact.DSACK) !== 0) {
    const sinceRetransmission = now - facts.lastDeliveredUs;
    if (sinceRetransmission >= tcb.rtt.minRttUs) return sinceRetransmission;
    return -1;
  } else if (acked && tcb.options.timestamps && seg.timestamps && seg.timestampEcho !== 0) {
    const elapsed = ((timestampOf(tcb, now) - seg.timestampEcho) | 0) * 1000;
    // Without SACK nothing tells a late original from a lost ACK: then it is no sample (Karn), the backoff stays.
    if (elapsed < 0 || (!tcb.options.sack && elapsed > now - facts.lastDeliveredUs + 1000)) return -1;
    return Math.max(elapsed, 1);
  }
  // The latest sent of what was SACKed made the peer answer; ACKs for those before it may have been lost.
  return facts.lastSackedUs >= 0 ? now - facts.lastSackedUs : -1;
}

function takeRtt(tcb: Tcb, seg: TcpHeader, now: number): void {
  const { rtt, snd } = tcb;
  const sample = roundTrip(tcb, seg, now);
  if (sample < 0) return;
  const latest = Math.max(facts.lastAckedUs, facts.lastSackedUs);
  const congestionRtt = latest >= 0 && (facts.flags & Fact.RETRANS_ACKED) === 0 ? now - latest : sample;
  rtt.updateMin(congestionRtt, now);
  rtt.sample(sample, snd.una, snd.nxt);
  tcb.congestion.onRtt(tcb, congestionRtt, now);
}

/** The ACK of our FIN (RFC 9293 3.10.7.4, fifth, FIN-WAIT-1 and later). */
export function isFinAcked(tcb: Tcb): boolean {
  return tcb.finSent && geq(tcb.snd.una, tcb.snd.nxt) && tcb.sendBuffer.length === 0;
}
