import type { Slices } from "../buffer/memory.ts";
import { EAGAIN, ECONNABORTED, EINVAL, ENOTCONN, EPIPE } from "../errno.ts";
import { Limit } from "./chronograph.ts";
import { afterRead } from "./ack_policy.ts";
import { restartAfterIdle } from "./cwnd_use.ts";
import { releaseSyn } from "./fast_open.ts";
import { uncharge } from "./receive_memory.ts";
import { advance, gt } from "./seq.ts";
import { State } from "./state.ts";
import { type Tcb, updateDeadline } from "./tcb.ts";
import { resetConnection, toClosed, toFinWait1, toLastAck } from "./transitions.ts";
import { notePush, sendRoom } from "./send_buffer.ts";
import { tuneReceiveBuffer } from "./window.ts";

export { isEarly } from "./fast_open.ts";
export { openActive, openPassive } from "./handshake.ts";
export { getOption, setCongestion, setOption } from "./options.ts";
export { info, type TcpInfo } from "./info.ts";

/** How what is written next joins what is written now. */
export const SendNext = {
  /** One stream: segments are cut where it suits. */
  JOINS: 0,
  /** It comes soon, and a small segment may wait for it (MSG_MORE). */
  SOON: 1,
  /** In a segment of its own (MSG_EOR). */
  APART: 2,
} as const;
export type SendNext = (typeof SendNext)[keyof typeof SendNext];

/** The error that ended the connection, given out once, as `-errno`; 0 if there is none. */
export function takeError(tcb: Tcb): number {
  const error = tcb.error;
  tcb.error = 0;
  return error === 0 ? 0 : -error;
}

/** May data be queued? 0 or -errno (RFC 9293 3.10.2). */
function checkSend(tcb: Tcb): number {
  if (tcb.error !== 0) return takeError(tcb);
  if (tcb.finQueued) return -EPIPE;
  if (tcb.state === State.CLOSED) return -EPIPE;
  return 0;
}

/**
 * RFC 9293 3.10.2, SEND: copies into the send buffer. Bytes taken, -EAGAIN if it is full, or another -errno. `next`: how
 * what is written afterwards is to be joined to it.
 */
export function send(
  tcb: Tcb,
  bytes: Uint8Array,
  offset: number,
  length: number,
  now: number,
  next: SendNext = SendNext.JOINS,
): number {
  const error = checkSend(tcb);
  if (error !== 0) return error;
  if (length === 0) return 0;
  const n = Math.min(length, sendRoom(tcb, length));
  if (n <= 0) return noRoom(tcb);
  willSend(tcb, now);
  tcb.sendBuffer.write(bytes, offset, n);
  tcb.snd.more = tcb.snd.holdForMore = next === SendNext.SOON;
  notePush(tcb, n, tcb.snd.more);
  if (next === SendNext.APART && n === length) (tcb.snd.recordEnds ??= []).push(tcb.dataEnd);
  if (n < length) tcb.sendBlocked = true;
  return n;
}

/** New data: after an idle time the window is stale, and an earlier push does not cover it. */
function willSend(tcb: Tcb, now: number): void {
  if (tcb.queue.packetsOut === 0) restartAfterIdle(tcb, now);
  tcb.snd.pushOnce = false;
  releaseSyn(tcb);
  tcb.chronograph.turn(Limit.APPLICATION_OR_NETWORK, now);
}

function noRoom(tcb: Tcb): number {
  tcb.sendBlocked = true;
  return -EAGAIN;
}

/** SEND without a copy, first part: room for up to `max` bytes in the send buffer, to be filled in by the caller. */
export function reserve(tcb: Tcb, max: number, slices: Slices): number {
  const error = checkSend(tcb);
  if (error !== 0) return error;
  const n = Math.min(max, sendRoom(tcb, max));
  if (n <= 0) return noRoom(tcb);
  tcb.sendBuffer.reserve(n, slices);
  return n;
}

/** SEND without a copy, second part: `n` bytes of the room were filled. */
export function commit(tcb: Tcb, n: number, now: number): number {
  if (n > 0) willSend(tcb, now);
  tcb.snd.more = tcb.snd.holdForMore = false;
  tcb.sendBuffer.advance(n);
  notePush(tcb, n, false);
  tcb.sendBuffer.releaseIfEmpty();
  if (sendRoom(tcb, 1) === 0) tcb.sendBlocked = true;
  return n;
}

/** May text be read? Bytes that can be (0: end of file), or -errno (RFC 9293 3.10.3). */
function checkReceive(tcb: Tcb): number {
  const n = tcb.receiveBuffer.length;
  if (n > 0) return n;
  if (tcb.error !== 0) return takeError(tcb);
  if (tcb.finReceived || tcb.readShut || tcb.state === State.CLOSED) return 0;
  return -EAGAIN;
}

/** RFC 9293 3.10.3, RECEIVE: copies out. Bytes, 0 at the end of file, -EAGAIN when there is nothing yet. */
export function receive(tcb: Tcb, bytes: Uint8Array, offset: number, length: number, now: number): number {
  const available = checkReceive(tcb);
  if (available <= 0) return available;
  const n = tcb.receiveBuffer.read(bytes, offset, length);
  wasRead(tcb, n, now);
  return n;
}

/** RECEIVE without a copy, first part: up to `max` readable bytes, where they lie. */
export function peek(tcb: Tcb, max: number, slices: Slices): number {
  const available = checkReceive(tcb);
  if (available <= 0) return available;
  const n = Math.min(available, max);
  tcb.receiveBuffer.slices(0, n, slices);
  return n;
}

/** RECEIVE without a copy, second part: the application has taken `n` bytes. */
export function consume(tcb: Tcb, n: number, now: number): void {
  tcb.receiveBuffer.consume(n);
  wasRead(tcb, n, now);
}

function wasRead(tcb: Tcb, n: number, now: number): void {
  tcb.rcv.readSeq = advance(tcb.rcv.readSeq, n);
  uncharge(tcb, n);
  if (tcb.rcv.urgent && !gt(tcb.rcv.up, tcb.rcv.readSeq)) tcb.rcv.urgent = false;
  // Bytes placed beyond a gap keep the memory; what lies beyond the peer's FIN does not.
  if (tcb.receiveBuffer.length === 0 && tcb.outOfOrder.count === 0) tcb.receiveBuffer.release();
  if (tcb.state === State.CLOSED) return;
  tuneReceiveBuffer(tcb, now);
  afterRead(tcb, n);
  updateDeadline(tcb);
}

/**
 * Half of a close. `how`: 0 no more reading, 1 no more writing (a FIN follows the last byte), 2 both.
 * 0 or -ENOTCONN, -EINVAL.
 */
export function shutdown(tcb: Tcb, how: number, now: number): number {
  if (how < 0 || how > 2) return -EINVAL;
  if (tcb.state === State.CLOSED) return -ENOTCONN;
  if (tcb.state === State.SYN_SENT) {
    // Nothing is established that could be shut down half: the attempt ends.
    if (how !== 0) toClosed(tcb, ECONNABORTED);
    return 0;
  }
  if (how !== 1) tcb.readShut = true;
  if (how !== 0) queueFin(tcb);
  updateDeadline(tcb);
  void now;
  return 0;
}

/** RFC 9293 3.10.4: the FIN is queued behind the data. */
function queueFin(tcb: Tcb): void {
  if (tcb.finQueued) return;
  tcb.finQueued = true;
  if (tcb.state === State.ESTABLISHED) toFinWait1(tcb);
  else if (tcb.state === State.CLOSE_WAIT) toLastAck(tcb);
  // In SYN-RECEIVED the FIN waits for the ACK of our SYN.
}

/**
 * RFC 9293 3.10.4, CLOSE, by a program that lets go of the connection: it lives on until its data and FIN are
 * acknowledged. Unread data, or SO_LINGER with 0 seconds, makes it a reset (RFC 1122 4.2.2.13).
 */
export function close(tcb: Tcb, now: number): number {
  tcb.orphan = true;
  tcb.readShut = true;
  if (tcb.state === State.CLOSED) {
    tcb.receiveBuffer.release();
    return 0;
  }
  if (tcb.state === State.SYN_SENT) {
    toClosed(tcb, 0);
  } else if (tcb.receiveBuffer.length > 0 || tcb.user.linger === 0) {
    return abort(tcb, now);
  } else {
    queueFin(tcb);
    if (tcb.state === State.FIN_WAIT_2) tcb.timers.lifeAtUs = now + tcb.user.finTimeoutUs;
  }
  updateDeadline(tcb);
  return 0;
}

/** RFC 9293 3.10.5, ABORT: a reset, and everything is forgotten. */
export function abort(tcb: Tcb, _now: number): number {
  tcb.orphan = true;
  tcb.receiveBuffer.release();
  if (tcb.state === State.CLOSED) return 0;
  // Where both FINs have been seen, or no SYN was acknowledged yet by us, there is nobody to reset.
  const silent = tcb.state === State.SYN_SENT || tcb.state === State.TIME_WAIT;
  if (silent) toClosed(tcb, 0);
  else resetConnection(tcb, 0);
  updateDeadline(tcb);
  return 0;
}
