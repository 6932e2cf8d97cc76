import { advance, distance, gt, leq } from "./seq.ts";
import { EVENT_WRITABLE } from "./state.ts";
import type { Tcb } from "./tcb.ts";

/** The most that one piece of the send buffer holds, bytes: what a device cuts at once. */
const MAX_PIECE = 65_215;
/** What Linux counts for a piece beside its bytes, and for a segment when it tunes the buffer: headers and bookkeeping. */
const PIECE_OVERHEAD = 1280;
const SEGMENT_OVERHEAD = 256;
const HEADER_ROOM = 640;

/** Writes fill the send buffer in pieces of this many bytes: whole segments, at most half the peer's largest window. */
function pieceSize(tcb: Tcb): number {
  const { mss, maxWnd } = tcb.snd;
  const half = maxWnd > 536 ? maxWnd >> 1 : maxWnd;
  const most = half === 0 ? MAX_PIECE : Math.min(half, MAX_PIECE);
  return Math.max(mss, most - (most % mss));
}

/** What the queued bytes count for against the limit of the send buffer. */
function sendCharge(bytes: number, piece: number): number {
  return bytes + Math.ceil(bytes / piece) * PIECE_OVERHEAD;
}

/** Bytes that the windows would let go at once. */
function sendable(tcb: Tcb): number {
  const { snd, queue } = tcb;
  const quota = Math.max(0, tcb.cwnd - queue.inFlight) * snd.mss;
  const window = Math.max(0, distance(advance(snd.una, snd.wnd), snd.nxt));
  return Math.min(quota, window - (window % snd.mss));
}

/** Bytes that wait although the windows are in full use. Negative: so many more could be sent at once. */
function waiting(tcb: Tcb): number {
  return distance(tcb.dataEnd, tcb.snd.nxt) - sendable(tcb);
}

/**
 * `n` bytes were written. PSH stands at the end of what was written, unless `more` follows; in a long write also wherever
 * a piece has filled up and half the peer's largest window has gone by without one (Linux's forced_push), so that the
 * peer's program need not wait for the end.
 */
export function notePush(tcb: Tcb, n: number, more: boolean): void {
  const { snd } = tcb;
  const end = tcb.dataEnd;
  const half = snd.maxWnd >> 1;
  if (distance(end, snd.pushedEnd) > half) {
    const piece = pieceSize(tcb);
    let at = advance(end, -n);
    // What leaves at once makes room in its piece.
    let atOnce = at === snd.nxt ? sendable(tcb) : 0;
    for (;;) {
      at = advance(at, piece + (atOnce > 0 && atOnce < piece ? atOnce : 0));
      atOnce -= piece;
      if (gt(at, end)) break;
      if (distance(at, snd.pushedEnd) <= half) continue;
      (snd.pushMarks ??= []).push(at);
      snd.pushedEnd = at;
    }
  }
  if (!more) snd.pushedEnd = end;
}

/** Is one of those places in the new text up to `end`? It is forgotten then. */
export function takePush(tcb: Tcb, end: number): boolean {
  const marks = tcb.snd.pushMarks;
  if (marks === null) return false;
  let isPushed = false;
  while (marks.length > 0 && leq(marks[0], end)) {
    marks.shift();
    isPushed = true;
  }
  return isPushed;
}

/** How much may wait unsent before a writer has to wait too; Infinity: no limit. */
function notSentLimit(tcb: Tcb): number {
  return tcb.user.notSentLowWater || tcb.settings.notSentLowWater || Infinity;
}

/**
 * Room for more data in the send buffer, bytes; counted no further than `wanted`. As on Linux the question is asked for
 * each new piece only: what has been begun is filled, so that large segments can be made, and what can be sent at once
 * makes room in it.
 */
export function sendRoom(tcb: Tcb, wanted: number): number {
  const piece = pieceSize(tcb);
  const most = notSentLimit(tcb);
  const backlog = waiting(tcb);
  let room = 0;
  while (room < wanted) {
    const left = backlog + room;
    const begun = left > 0 ? left % piece : 0;
    if (begun > 0) {
      room += piece - begun;
    } else {
      if (sendCharge(tcb.sendBuffer.length + room, piece) >= tcb.sendLimit || left >= most) break;
      room += piece;
    }
  }
  return room;
}

/** poll(2)'s opinion, as on Linux: a third of the buffer is free, and less than half of TCP_NOTSENT_LOWAT waits unsent. */
export function isWritable(tcb: Tcb): boolean {
  return tcb.sendBuffer.length * 1.5 <= tcb.sendLimit && waiting(tcb) * 2 < notSentLimit(tcb);
}

/** The application waits for room: is there enough to wake it? */
export function wakeWriter(tcb: Tcb): void {
  if (!tcb.sendBlocked || !isWritable(tcb)) return;
  tcb.sendBlocked = false;
  tcb.events |= EVENT_WRITABLE;
}

/**
 * Two congestion windows fit in the send buffer, up to its largest size: it grows when the application waits for room
 * although the congestion window has some (as Linux tunes it).
 */
export function tuneSendBuffer(tcb: Tcb): void {
  const { settings, snd, user, queue } = tcb;
  if (user.sendBufferFixed || !tcb.sendBlocked) return;
  const window = distance(advance(snd.una, snd.wnd), snd.nxt);
  const unsent = Math.max(0, Math.min(distance(tcb.dataEnd, snd.nxt), window));
  if (queue.inFlight + Math.ceil(unsent / snd.mss) >= tcb.cwnd) return;
  const segment = 2 ** Math.ceil(Math.log2(snd.mss + HEADER_ROOM)) + SEGMENT_OVERHEAD;
  const wanted = 2 * Math.max(tcb.cwnd, settings.initialWindow) * segment;
  if (wanted > tcb.sendLimit) tcb.sendLimit = Math.min(wanted, settings.sendBufferMax);
}
