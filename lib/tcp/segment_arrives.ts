import { ECONNREFUSED, ECONNRESET, EPIPE } from "../errno.ts";
import { ACK, FIN, RST, SYN, type TcpHeader, URG } from "../wire/tcp.ts";
import { countArrival, synArrivesAgain } from "./accurate_ecn.ts";
import { acknowledge, isFinAcked } from "./acknowledge.ts";
import { checkAck } from "./ack_policy.ts";
import { isEarly } from "./fast_open.ts";
import { repeatSynAck, synReceivedAck, synSentArrives } from "./handshake.ts";
import { answerUnacceptable, challengeAck } from "./invalid.ts";
import { receiveFin, receiveText, repeated } from "./receive.ts";
import { countsBuffers } from "./receive_memory.ts";
import { advance, distance, earlier, geq, gt, lt, segmentLength } from "./seq.ts";
import { canReceive, isSynchronized, State } from "./state.ts";
import { type Tcb, updateDeadline } from "./tcb.ts";
import { type TimeWait, TimeWaitAnswer, timeWaitArrives } from "./time_wait.ts";
import { failsPaws } from "./timestamps.ts";
import { resetConnection, toClosed, toFinWait2, toTimeWait } from "./transitions.ts";
import { acceptedWindow } from "./window.ts";

/**
 * RFC 9293 3.10.7, SEGMENT ARRIVES, for a connection that exists: the steps in the RFC's order. It sends nothing; what
 * is to be sent is left in the block for `nextSegment`. (No connection, and LISTEN, are the stack's to handle.)
 */
export function segmentArrives(tcb: Tcb, seg: TcpHeader, now: number): void {
  tcb.totals.segmentsIn++;
  if (seg.payloadLength > 0) tcb.totals.dataSegmentsIn++;
  if (tcb.state === State.SYN_SENT) synSentArrives(tcb, seg, now);
  else if (tcb.timeWait !== null) inTimeWait(tcb, tcb.timeWait, seg, now);
  else if (tcb.state !== State.CLOSED) otherStateArrives(tcb, seg, now);
  updateDeadline(tcb);
}

/** RFC 9293 3.10.7.4, all states but SYN-SENT. */
function otherStateArrives(tcb: Tcb, seg: TcpHeader, now: number): void {
  if (isEarly(tcb) && isRepeatedSyn(tcb, seg)) {
    // Its data was taken (RFC 7413 4.2.2), so it begins before what is expected.
    repeatSynAck(tcb, now);
    return;
  }
  // first, check the sequence number
  if (!checkSequence(tcb, seg, now)) return;
  // second, check the RST bit
  if ((seg.flags & RST) !== 0) {
    resetArrives(tcb, seg, now);
    return;
  }
  // third, check security: there is none
  // fourth, check the SYN bit. RFC 5961 4.2: a challenge ACK, never a reset.
  const isSyn = (seg.flags & SYN) !== 0;
  if (isSyn && !isSimultaneousSynAck(tcb, seg)) {
    if (isRepeatedSyn(tcb, seg)) repeatSynAck(tcb, now);
    else if (tcb.settings.rfc5961) challengeAck(tcb, now);
    // RFC 793 3.9: a SYN in the window is an error.
    else resetConnection(tcb, ECONNRESET);
    if (tcb.accurateEcn !== null) synArrivesAgain(tcb, tcb.accurateEcn, seg);
    return;
  }
  // RFC 9768 3.2.1: every acceptable segment counts.
  if (tcb.accurateEcn !== null) countArrival(tcb, tcb.accurateEcn, seg);
  // fifth, check the ACK field
  if (!checkAckField(tcb, seg, now)) return;
  // Our SYN-ACK may have been lost: this is another ACK of the peer's SYN, as Linux sends it.
  if (isSyn) {
    acknowledgeAgain(tcb, seg, advance(seg.seq, 1));
    if (tcb.accurateEcn !== null) synArrivesAgain(tcb, tcb.accurateEcn, seg);
  }
  // sixth, check the URG bit
  if ((seg.flags & URG) !== 0) urgentArrives(tcb, seg);
  // seventh, process the segment text
  if (seg.payloadLength > 0 && !textArrives(tcb, seg, now)) return;
  // eighth, check the FIN bit
  if ((seg.flags & FIN) !== 0 || tcb.rcv.finSeen) receiveFin(tcb, seg, now);
  checkAck(tcb, now);
}

/** RFC 9293 3.10.7.4, first; with PAWS before it (RFC 7323 5.3 R1). */
function checkSequence(tcb: Tcb, seg: TcpHeader, now: number): boolean {
  const { rcv } = tcb;
  const length = segmentLength(seg);
  if (failsPaws(tcb, seg, now)) {
    answerUnacceptable(tcb, seg.payloadLength, now);
    return false;
  }
  const end = advance(seg.seq, length);
  const edge = advance(rcv.nxt, acceptedWindow(tcb));
  const isInside = (lt(seg.seq, edge) || (seg.seq === edge && countsAtEdge(tcb, seg))) &&
    !isTooLong(tcb, distance(advance(seg.seq, seg.payloadLength), edge));
  if (geq(end, rcv.wup) && isInside) {
    tcb.timestamps.lastEcho = seg.timestamps ? seg.timestampEcho : 0;
    return true;
  }
  if ((seg.flags & RST) !== 0) return false;
  if ((seg.flags & SYN) !== 0) challengeAck(tcb, now);
  else {
    if (length > 0 && lt(seg.seq, rcv.nxt)) {
      repeated(tcb, seg.seq, earlier(end, rcv.nxt));
    }
    answerUnacceptable(tcb, length, now);
  }
  return false;
}

/**
 * `beyond`: how far the text goes beyond the window. Where text is not trimmed to it, as much as the window allows and more
 * is taken only while nothing is unread (tcp_sequence).
 */
function isTooLong(tcb: Tcb, beyond: number): boolean {
  return beyond > 0 && countsBuffers(tcb) && tcb.receiveBuffer.length > 0;
}

/**
 * Who has filled the window stands at its end, and its ACKs are as good as any. So is its reset: it gets a challenge ACK,
 * as on Linux, and can then say it with the number that counts. To the letter (RFC 5961 3.2) resets and SYNs are outside.
 */
function countsAtEdge(tcb: Tcb, seg: TcpHeader): boolean {
  return seg.seq === tcb.rcv.nxt || !tcb.settings.bsd || (seg.flags & (RST | SYN)) === 0;
}

/** Our SYN-ACK was lost or slow, the peer repeats its SYN. */
function isRepeatedSyn(tcb: Tcb, seg: TcpHeader): boolean {
  return tcb.state === State.SYN_RECEIVED && (seg.flags & (SYN | ACK)) === SYN && seg.seq === tcb.rcv.irs;
}

/** Both sides opened at once and this is the peer's SYN-ACK (RFC 9293 3.5, figure 8, lines 4-6). */
function isSimultaneousSynAck(tcb: Tcb, seg: TcpHeader): boolean {
  return tcb.state === State.SYN_RECEIVED && !tcb.passive && (seg.flags & ACK) !== 0 &&
    seg.seq === tcb.rcv.irs &&
    seg.payloadLength === 0 && seg.ack === tcb.snd.nxt;
}

/** RFC 5961 3.2: only a reset with exactly the expected sequence number counts. */
function resetArrives(tcb: Tcb, seg: TcpHeader, now: number): void {
  const { rcv, outOfOrder } = tcb;
  let exact = seg.seq === rcv.nxt || (!tcb.settings.rfc5961 && geq(seg.seq, rcv.nxt));
  if (!exact && tcb.options.sack) {
    // The peer may have sent data that we lack: then its reset stands behind what we SACKed.
    for (let i = 0; i < outOfOrder.count && !exact; i++) exact = seg.seq === outOfOrder.right(i);
  }
  if (exact) resetByPeer(tcb);
  else challengeAck(tcb, now);
}

/** RFC 9293 3.10.7.4, second, by state; errno as Linux gives it. */
function resetByPeer(tcb: Tcb): void {
  if (tcb.state === State.SYN_RECEIVED) toClosed(tcb, tcb.passive ? ECONNRESET : ECONNREFUSED);
  else if (tcb.state === State.CLOSE_WAIT && !tcb.settings.bsd) toClosed(tcb, EPIPE);
  else toClosed(tcb, ECONNRESET);
}

/** RFC 9293 3.10.7.4, fifth. False: drop the segment. */
function checkAckField(tcb: Tcb, seg: TcpHeader, now: number): boolean {
  if ((seg.flags & ACK) === 0) return false;
  if (tcb.state === State.SYN_RECEIVED) {
    if (!synReceivedAck(tcb, seg, now)) return false;
    if (tcb.finQueued) tcb.state = State.FIN_WAIT_1;
    // A FIN can go before the handshake is complete where data can (RFC 7413).
    if (isFinAcked(tcb)) toFinWait2(tcb, now);
    return true;
  }
  if (!acknowledge(tcb, seg, now)) return false;
  if (tcb.state === State.FIN_WAIT_1) {
    if (isFinAcked(tcb)) toFinWait2(tcb, now);
  } else if (tcb.state === State.CLOSING) {
    if (isFinAcked(tcb)) {
      toTimeWait(tcb, now);
      return false;
    }
  } else if (tcb.state === State.LAST_ACK) {
    if (isFinAcked(tcb)) {
      toClosed(tcb, 0);
      return false;
    }
  }
  return true;
}

/** RFC 6093: the urgent pointer is noted; the data stays in line, in its place. */
function urgentArrives(tcb: Tcb, seg: TcpHeader): void {
  if (!isSynchronized(tcb.state) || seg.urgentPointer === 0) return;
  const up = advance(seg.seq, seg.urgentPointer);
  // What the application has read is not urgent any more.
  if (!gt(up, tcb.rcv.readSeq)) return;
  if (!tcb.rcv.urgent || gt(up, tcb.rcv.up)) {
    tcb.rcv.urgent = true;
    tcb.rcv.up = up;
  }
}

/** Seventh. False: the connection was reset, because text came that nobody will ever read (RFC 9293 3.10.7.4). */
function textArrives(tcb: Tcb, seg: TcpHeader, now: number): boolean {
  const end = advance(seg.seq, seg.payloadLength);
  if (tcb.orphan && gt(end, tcb.rcv.nxt) && tcb.state !== State.SYN_RECEIVED) {
    // As to a segment without a connection, which it soon will be (RFC 9293 3.10.7.1).
    tcb.intents.strayReset = true;
    tcb.intents.resetSeq = seg.ack;
    toClosed(tcb, 0);
    return false;
  }
  if (canReceive(tcb.state)) receiveText(tcb, seg, now);
  // After the peer's FIN there can be no text: it is a repetition (or nonsense) and gets an ACK.
  else if (tcb.finReceived) acknowledgeAgain(tcb, seg, end);
  return true;
}

function acknowledgeAgain(tcb: Tcb, seg: TcpHeader, end: number): void {
  repeated(tcb, seg.seq, end);
  tcb.ack.scheduled = true;
}

/** The same for a connection in TIME-WAIT of which all is still there, because a program holds it. */
function inTimeWait(tcb: Tcb, wait: TimeWait, seg: TcpHeader, now: number): void {
  const answer = timeWaitArrives(wait, seg, tcb.settings, now);
  tcb.timers.lifeAtUs = wait.endsAtUs;
  tcb.reopen = answer === TimeWaitAnswer.REOPEN;
  if (answer === TimeWaitAnswer.ACK) tcb.ack.now = true;
  else if (answer !== TimeWaitAnswer.NONE) toClosed(tcb, 0);
}
