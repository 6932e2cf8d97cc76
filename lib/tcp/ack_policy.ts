import { PSH, type TcpHeader } from "../wire/tcp.ts";
import { countsBuffers, measureRatio } from "./receive_memory.ts";
import { distance } from "./seq.ts";
import type { Tcb } from "./tcb.ts";
import { fullSpace, growWindow, receiveWindow, wantedWindow } from "./window.ts";

/**
 * No ACK is delayed by less: a tick of Linux's clock. What waits for no measured time, as the ACK of a FIN before any text,
 * so can still be joined to the answer (it saved 0.77 of 2.77 segments that a connection took which is closed at once).
 */
const TICK_US = 1000;
/** Below this many bytes a segment says nothing about the sender's MSS. */
const MIN_SEGMENT = 88;

/** An acknowledgment is owed (RFC 1122 4.2.3.2). */
export function scheduleAck(tcb: Tcb): void {
  tcb.ack.scheduled = true;
}

/** Segments that are acknowledged at once after the start and after trouble: the sender may be in slow start. */
function addQuickAcks(tcb: Tcb): void {
  const { ack, rcv } = tcb;
  const segments = rcv.mss > 0 ? Math.floor(rcv.wnd / (2 * rcv.mss)) : 2;
  ack.quick = Math.max(ack.quick, Math.min(segments === 0 ? 2 : segments, tcb.settings.quickAcks));
}

/** The next ACKs go out without delay: the sender needs them to recover or to open its window (RFC 5681 4.2). */
export function enterQuickAck(tcb: Tcb): void {
  addQuickAcks(tcb);
  tcb.ack.pingpong = 0;
  tcb.ack.atoUs = tcb.settings.delayedAckMinUs;
}

function inQuickAck(tcb: Tcb): boolean {
  return tcb.ack.quickAckMode || (tcb.ack.quick > 0 && tcb.ack.pingpong === 0);
}

/** Learns what a full segment of the peer carries. `seg` may be several that the device put together. */
export function measureSegment(tcb: Tcb, taken: number, seg: TcpHeader): void {
  const { rcv, ack } = tcb;
  const push = (seg.flags & PSH) !== 0;
  const length = seg.gsoSize > 0 ? Math.min(taken, seg.gsoSize) : taken;
  if (length >= rcv.mss) {
    if (length !== rcv.mss) measureRatio(tcb, taken);
    rcv.mss = Math.min(length, tcb.settings.mss);
  } else if (length >= MIN_SEGMENT - 40 && !push && rcv.mss === 0) {
    rcv.mss = length;
  }
  if (push) ack.pushed = ack.pushed === 0 ? 1 : 2;
}

/** Text came in, in order: adapts the delay of ACKs to the pace of the sender. */
export function dataReceived(tcb: Tcb, length: number, seg: TcpHeader, now: number): void {
  const { ack, settings, rtt } = tcb;
  scheduleAck(tcb);
  if (settings.bsd && ack.delayedAtUs !== Infinity) ack.now = true;
  measureSegment(tcb, length, seg);
  const min = settings.delayedAckMinUs;
  if (ack.atoUs === 0) {
    // The first data: the sender is in slow start and wants every ACK.
    addQuickAcks(tcb);
    ack.atoUs = min;
  } else {
    const gap = now - ack.lastReceivedUs;
    if (gap <= min / 2) ack.atoUs = ack.atoUs / 2 + min / 2;
    else if (gap < ack.atoUs) ack.atoUs = Math.min(ack.atoUs / 2 + gap, rtt.rtoUs);
    else if (gap > rtt.rtoUs) addQuickAcks(tcb);
  }
  ack.lastReceivedUs = now;
  if (length >= 128) growWindow(tcb, length);
}

/**
 * Decides whether the ACK that is owed goes now or later: now for every second full segment (RFC 9293 3.8.6.3), while
 * out-of-order data is held (RFC 5681 4.2), when the ECN field changed (RFC 9768 3.2.2.5.1), and in quick-ACK mode.
 */
export function checkAck(tcb: Tcb, now: number): void {
  const { ack, rcv } = tcb;
  if (!ack.scheduled || ack.now) return;
  const unacknowledged = distance(rcv.nxt, rcv.wup);
  // Linux waits when the right edge would not move: reading will move it, and tell.
  const announced = countsBuffers(tcb) ? rcv.wnd : receiveWindow(tcb);
  const secondSegment = unacknowledged > rcv.mss &&
    (distance(rcv.nxt, rcv.readSeq) < tcb.user.lowWater || wantedWindow(tcb) >= announced);
  const isUrgent = tcb.outOfOrder.count > 0 || (tcb.accurateEcn !== null && tcb.accurateEcn.isUrgent);
  if (secondSegment || inQuickAck(tcb) || isUrgent) ack.now = true;
  else delayAck(tcb, now);
}

function delayAck(tcb: Tcb, now: number): void {
  const { ack, settings, rtt } = tcb;
  let delay = Math.max(ack.atoUs, TICK_US);
  if (delay > settings.delayedAckMinUs) {
    let most = ack.pingpong > 0 || ack.pushed > 0 ? settings.delayedAckMaxUs : 500_000;
    if (rtt.srttUs > 0) most = Math.min(most, Math.max(rtt.srttUs, settings.delayedAckMinUs));
    delay = Math.min(delay, most);
  }
  const at = now + delay;
  if (ack.delayedAtUs !== Infinity) {
    // The timer is about to fire anyway: do not wait.
    if (ack.delayedAtUs <= now + delay / 4) {
      ack.now = true;
      return;
    }
    ack.delayedAtUs = Math.min(ack.delayedAtUs, at);
    return;
  }
  ack.delayedAtUs = at;
}

/** The delayed-ACK timer fired. */
export function delayedAckExpired(tcb: Tcb): void {
  const { ack, settings, rtt } = tcb;
  ack.delayedAtUs = Infinity;
  if (!ack.scheduled) return;
  if (ack.pingpong === 0) {
    ack.atoUs = Math.min(ack.atoUs * 2, rtt.rtoUs);
  } else {
    // The application did not answer in time: it is not that kind of conversation.
    ack.pingpong = 0;
    ack.atoUs = settings.delayedAckMinUs;
  }
  ack.now = true;
}

/** A segment with ACK is on its way: nothing is owed any more. */
export function ackSent(tcb: Tcb): void {
  const { ack } = tcb;
  if (ack.quick > 0) {
    ack.quick--;
    if (ack.quick === 0) ack.atoUs = tcb.settings.delayedAckMinUs;
  }
  ack.now = ack.scheduled = false;
  ack.pushed = 0;
  ack.delayedAtUs = Infinity;
}

/** Data went out soon after data came in: the conversation is interactive, ACKs ride on data. */
export function dataSent(tcb: Tcb, now: number): void {
  const { ack, totals } = tcb;
  totals.lastDataSentUs = now;
  if (now - ack.lastReceivedUs < ack.atoUs) ack.pingpong = 1;
}

/** The application read `copied` bytes: a window update or the owed ACK may be due (RFC 9293 3.8.6.2.2). */
export function afterRead(tcb: Tcb, copied: number): void {
  const { ack, rcv } = tcb;
  if (ack.now) return;
  if (ack.scheduled) {
    const emptied = copied > 0 && tcb.receiveBuffer.length === 0 &&
      (ack.pushed === 2 || (ack.pushed === 1 && ack.pingpong === 0));
    if (distance(rcv.nxt, rcv.wup) > rcv.mss || emptied) {
      ack.now = true;
      return;
    }
  }
  if (copied === 0 || tcb.finReceived) return;
  const current = receiveWindow(tcb);
  if (2 * current > fullSpace(tcb)) return;
  const wanted = wantedWindow(tcb);
  if (wanted > 0 && wanted >= 2 * current) ack.now = true;
}
