import { NO_RANGES, RangeSet } from "../buffer/range_set.ts";
import { CWR, FIN, type TcpHeader } from "../wire/tcp.ts";
import { textArrivesAgain } from "./accurate_ecn.ts";
import { dataReceived, enterQuickAck, measureSegment, scheduleAck } from "./ack_policy.ts";
import { charge, countsBuffers, hasMemory } from "./receive_memory.ts";
import { advance, distance, earlier, geq, gt, later, leq, lt } from "./seq.ts";
import { EVENT_FIN, EVENT_READABLE, State } from "./state.ts";
import type { Tcb } from "./tcb.ts";
import { timestampOf } from "./timestamps.ts";
import { toCloseWait, toClosing, toTimeWait } from "./transitions.ts";
import {
  clampWindow,
  growWindow,
  makeRoomBehindGap,
  measureReceiveRtt,
  noteReceiveRtt,
  receiveWindow,
} from "./window.ts";

/** RFC 3168 6.1.3: Congestion Experienced. */
const CE = 3;
/** SACK blocks that are kept in the order of their arrival. */
export const MAX_SACK_BLOCKS = 4;

/** RFC 9293 3.10.7.4, seventh: the segment text, in order, out of order, old, or beyond the window. */
export function receiveText(tcb: Tcb, seg: TcpHeader, now: number): void {
  const { rcv } = tcb;
  const end = advance(seg.seq, seg.payloadLength);
  noteEcn(tcb, seg);
  measureRtt(tcb, seg, now);
  if (leq(end, rcv.nxt)) {
    // All of it was here before: a retransmission that was not needed. Say so (RFC 2883), at once.
    repeated(tcb, seg.seq, end);
    scheduleAck(tcb);
    return;
  }
  const windowEnd = advance(rcv.nxt, receiveWindow(tcb));
  if (geq(seg.seq, windowEnd)) {
    // A probe of our closed window (RFC 9293 3.8.6.1) gets an ACK, its text does not get in.
    enterQuickAck(tcb);
    scheduleAck(tcb);
    return;
  }
  const from = later(seg.seq, rcv.nxt);
  if (from !== seg.seq) noteDsack(tcb, seg.seq, rcv.nxt);
  if (countsBuffers(tcb) && refuses(tcb, from, end, windowEnd)) return;
  // RFC 9293 3.10.7.4: segments are trimmed to the window, unless they are taken whole or not at all.
  const to = countsBuffers(tcb) ? end : earlier(end, windowEnd);
  const offset = seg.payloadOffset + distance(from, seg.seq);
  if (from === rcv.nxt) takeInOrder(tcb, seg, from, to, offset, now);
  else takeOutOfOrder(tcb, seg, from, to, offset);
  if (to !== end) scheduleAck(tcb);
}

/** The window is closed, or memory is: the text in [from, end) does not get in (tcp_data_queue). */
function refuses(tcb: Tcb, from: number, end: number, windowEnd: number): boolean {
  const { rcv, receiveBuffer } = tcb;
  if (from === windowEnd) {
    enterQuickAck(tcb);
    scheduleAck(tcb);
    return true;
  }
  const isNext = from === rcv.nxt;
  // With nothing to read the connection could not go on: then even what is too large is taken.
  const isAlone = isNext && receiveBuffer.length === 0;
  if (hasMemory(tcb, isAlone ? distance(end, from) : 0)) return false;
  clampWindow(tcb);
  rcv.noMemory = isNext;
  tcb.ack.now = true;
  return !isAlone;
}

function takeInOrder(tcb: Tcb, seg: TcpHeader, from: number, to: number, offset: number, now: number): void {
  const { rcv, receiveBuffer, outOfOrder, totals } = tcb;
  const length = distance(to, from);
  if (seg.isPlaced) receiveBuffer.advance(length);
  else receiveBuffer.write(seg.memory!.bytes, offset, length);
  rcv.nxt = to;
  charge(tcb, length);
  const hadGap = outOfOrder.count > 0;
  if (hadGap) joinOutOfOrder(tcb, from);
  totals.bytesReceived += distance(rcv.nxt, from);
  dataReceived(tcb, length, seg, now);
  // RFC 5681 4.2: an ACK at once when a segment fills a gap.
  if (hadGap) tcb.ack.now = true;
  tcb.events |= EVENT_READABLE;
}

/** What lay behind the gap that was just filled is in order now; what the segment brought again is reported. */
function joinOutOfOrder(tcb: Tcb, from: number): void {
  const { rcv, receiveBuffer, outOfOrder } = tcb;
  noteOverlap(tcb, from, rcv.nxt);
  while (outOfOrder.count > 0 && leq(outOfOrder.left(0), rcv.nxt)) {
    const right = outOfOrder.right(0);
    if (gt(right, rcv.nxt)) {
      receiveBuffer.advance(distance(right, rcv.nxt));
      rcv.nxt = right;
    }
    outOfOrder.removeBefore(right);
  }
}

function takeOutOfOrder(tcb: Tcb, seg: TcpHeader, from: number, to: number, offset: number): void {
  const { rcv, receiveBuffer } = tcb;
  tcb.totals.outOfOrder++;
  noteOverlap(tcb, from, to);
  receiveBuffer.writeAt(distance(from, rcv.readSeq), seg.memory!.bytes, offset, distance(to, from));
  if (tcb.outOfOrder === NO_RANGES) tcb.outOfOrder = new RangeSet();
  if (tcb.outOfOrder.add(from, to) >= 0) noteRecent(tcb, from);
  if (countsBuffers(tcb)) holdBehindGap(tcb, distance(to, from), seg);
  // RFC 5681 4.2: a duplicate ACK at once.
  enterQuickAck(tcb);
  scheduleAck(tcb);
  tcb.ack.now = true;
}

/** Linux's accounts of a segment that came out of order (tcp_data_queue_ofo). */
function holdBehindGap(tcb: Tcb, length: number, seg: TcpHeader): void {
  measureSegment(tcb, length, seg);
  charge(tcb, length);
  // Without SACK only the same window again makes a duplicate ACK (RFC 5681 2).
  if (tcb.options.sack) growWindow(tcb, length);
  makeRoomBehindGap(tcb);
}

/** RFC 2883 4.2: what of [from, to) lies in the out-of-order data already: the first such piece is reported. */
function noteOverlap(tcb: Tcb, from: number, to: number): void {
  const { outOfOrder } = tcb;
  const first = outOfOrder.search(from);
  if (first === outOfOrder.count) return;
  const left = later(outOfOrder.left(first), from);
  const right = earlier(outOfOrder.right(first), to);
  if (geq(left, right)) return;
  // A D-SACK that waits already (the old part of the same segment) stays; this one may only extend it.
  if (tcb.dsackPending && (gt(left, tcb.dsackRight) || lt(right, tcb.dsackLeft))) return;
  noteDsack(tcb, left, right);
}

/**
 * The block that holds `seq` becomes the first of the next SACK option (RFC 2018 4). Each block is remembered once, or what
 * came to one of them often would push the others out.
 */
function noteRecent(tcb: Tcb, seq: number): void {
  if (tcb.recentSacks.length === 0) tcb.recentSacks = new Int32Array(MAX_SACK_BLOCKS);
  const recent = tcb.recentSacks;
  const block = rangeOf(tcb, seq);
  let kept = 0;
  for (let i = 0; i < tcb.recentSackCount; i++) {
    const other = rangeOf(tcb, recent[i]);
    if (other >= 0 && other !== block) recent[kept++] = recent[i];
  }
  kept = Math.min(kept, MAX_SACK_BLOCKS - 1);
  recent.copyWithin(1, 0, kept);
  recent[0] = seq;
  tcb.recentSackCount = kept + 1;
}

/** Remembers a range that arrived twice, for the next ACK (RFC 2883). */
export function noteDsack(tcb: Tcb, left: number, right: number): void {
  if (!tcb.options.sack || !tcb.settings.dsack || geq(left, right)) return;
  if (tcb.dsackPending && leq(left, tcb.dsackRight) && leq(tcb.dsackLeft, right)) {
    tcb.dsackLeft = earlier(left, tcb.dsackLeft);
    tcb.dsackRight = later(right, tcb.dsackRight);
    return;
  }
  tcb.dsackPending = true;
  tcb.dsackLeft = left;
  tcb.dsackRight = right;
}

/** What was here before came again: a D-SACK (RFC 2883), at once. */
export function repeated(tcb: Tcb, left: number, right: number): void {
  if (tcb.accurateEcn !== null) textArrivesAgain(tcb, tcb.accurateEcn, left);
  noteDsack(tcb, left, right);
  enterQuickAck(tcb);
}

/** RFC 3168 6.1.3: CE is echoed until the sender says CWR. */
function noteEcn(tcb: Tcb, seg: TcpHeader): void {
  if (!tcb.options.ecn) return;
  if ((seg.flags & CWR) !== 0) tcb.ecnEcho = false;
  if (seg.ecn === CE) {
    if (!tcb.ecnEcho) enterQuickAck(tcb);
    tcb.ecnEcho = true;
  }
  if (seg.ecn !== 0) tcb.ecnSeen = true;
}

function measureRtt(tcb: Tcb, seg: TcpHeader, now: number): void {
  if (!tcb.options.timestamps) {
    measureReceiveRtt(tcb, now);
    return;
  }
  if (!seg.timestamps || seg.timestampEcho === tcb.rcv.measuredEcho || seg.payloadLength < tcb.rcv.mss) {
    return;
  }
  tcb.rcv.measuredEcho = seg.timestampEcho;
  const elapsed = (timestampOf(tcb, now) - seg.timestampEcho) | 0;
  if (elapsed >= 0) noteReceiveRtt(tcb, Math.max(1, elapsed) * 1000, true);
}

/** RFC 9293 3.10.7.4, eighth: the FIN, once everything before it is here. */
export function receiveFin(tcb: Tcb, seg: TcpHeader, now: number): void {
  const { rcv } = tcb;
  const finSeq = advance(seg.seq, seg.payloadLength);
  if ((seg.flags & FIN) === 0) {
    takeFinAfterGap(tcb, now);
    return;
  }
  if (countsBuffers(tcb) && !hasMemory(tcb, 0)) {
    // It needs none of its own, but what follows it would (tcp_data_queue).
    rcv.noMemory = true;
    tcb.ack.now = true;
  }
  if (tcb.finReceived) {
    // The peer did not get our ACK of its FIN.
    if (lt(finSeq, rcv.nxt)) {
      noteDsack(tcb, seg.seq, advance(finSeq, 1));
      enterQuickAck(tcb);
      scheduleAck(tcb);
    }
    return;
  }
  rcv.finSeen = true;
  rcv.finSeq = finSeq;
  if (gt(finSeq, rcv.nxt)) {
    // Something before it is missing: a duplicate ACK asks for it.
    scheduleAck(tcb);
    if (seg.payloadLength === 0) tcb.ack.now = true;
    return;
  }
  takeFinAfterGap(tcb, now);
}

/** A FIN that was seen earlier takes effect when RCV.NXT reaches it. */
export function takeFinAfterGap(tcb: Tcb, now: number): void {
  const { rcv } = tcb;
  if (!rcv.finSeen || tcb.finReceived || rcv.nxt !== rcv.finSeq) return;
  rcv.nxt = advance(rcv.nxt, 1);
  tcb.finReceived = true;
  tcb.outOfOrder.clear();
  tcb.recentSackCount = 0;
  tcb.dsackPending = false;
  if (tcb.receiveBuffer.length === 0) tcb.receiveBuffer.release();
  scheduleAck(tcb);
  if (tcb.settings.bsd) tcb.ack.now = true;
  tcb.events |= EVENT_FIN | EVENT_READABLE;
  if (tcb.state === State.ESTABLISHED || tcb.state === State.SYN_RECEIVED) {
    toCloseWait(tcb);
    // What follows is our own close, and its FIN can carry the ACK.
    tcb.ack.pingpong = 1;
  } else if (tcb.state === State.FIN_WAIT_1) {
    toClosing(tcb);
    tcb.ack.now = true;
    tcb.intents.finAgain = tcb.settings.bsd;
  } else if (tcb.state === State.FIN_WAIT_2) {
    toTimeWait(tcb, now);
    tcb.ack.now = true;
  }
}

/** Fills the SACK blocks of `out`, at most `room` of them: a D-SACK first, then the most recent (RFC 2018 4, 2883 4). */
export function fillSackBlocks(tcb: Tcb, out: TcpHeader, room: number): void {
  const { outOfOrder } = tcb;
  let count = 0;
  if (tcb.dsackPending && room > 0) {
    out.sackLeft[0] = tcb.dsackLeft;
    out.sackRight[0] = tcb.dsackRight;
    count = 1;
    tcb.dsackPending = false;
  }
  const first = count;
  for (let i = 0; i < tcb.recentSackCount && count < room; i++) {
    const index = rangeOf(tcb, tcb.recentSacks[i]);
    if (index < 0) continue;
    const left = outOfOrder.left(index);
    let known = false;
    for (let k = first; k < count && !known; k++) known = out.sackLeft[k] === left;
    if (known) continue;
    out.sackLeft[count] = left;
    out.sackRight[count] = outOfOrder.right(index);
    count++;
  }
  out.sackCount = count;
}

/** The index of the out-of-order range that holds `seq`, or -1. */
function rangeOf(tcb: Tcb, seq: number): number {
  const { outOfOrder } = tcb;
  let low = 0;
  let high = outOfOrder.count - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (lt(seq, outOfOrder.left(middle))) high = middle - 1;
    else if (geq(seq, outOfOrder.right(middle))) low = middle + 1;
    else return middle;
  }
  return -1;
}
