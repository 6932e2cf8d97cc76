import { probedMss } from "./mtu_probe.ts";
import { countsBuffers, memoryFor, memoryLimit, windowFrom } from "./receive_memory.ts";
import { advance, distance, gt, later } from "./seq.ts";
import { State } from "./state.ts";
import type { Tcb } from "./tcb.ts";

/** RFC 7323 2.3: the largest shift. */
const MAX_SCALE = 14;
/** The window field is 16 bits. */
const MAX_FIELD = 65535;

/** Bytes the timestamps option takes in every segment, padded (RFC 7323 appendix A). */
export const TIMESTAMPS_LENGTH = 12;

/** Bytes that the option of Accurate ECN takes where there are no SACK blocks (RFC 9768 3.2.3). */
export const ACCECN_LENGTH = 12;

/** What the peer may still send: the window last announced, less what came in since. */
export function receiveWindow(tcb: Tcb): number {
  const { rcv } = tcb;
  return Math.max(0, distance(advance(rcv.wup, rcv.wnd), rcv.nxt));
}

/**
 * What is taken of what the peer sends: what was announced; or, where the field could not say it, what there is room for;
 * or, where the window may have shrunk, what it once was (RFC 7323 2.4).
 */
export function acceptedWindow(tcb: Tcb): number {
  const announced = receiveWindow(tcb);
  const { settings, rcv, passive, state } = tcb;
  if (countsBuffers(tcb) || settings.shrinkWindow) return Math.max(0, distance(rcv.edge, rcv.nxt));
  // A listener has no buffer for those that are half open (FreeBSD's syncache).
  const hasBuffer = !passive || state !== State.SYN_RECEIVED;
  return settings.bsd && rcv.scale === 0 && hasBuffer ? Math.max(announced, freeSpace(tcb)) : announced;
}

/** Room in the receive buffer, and the most that it may have. */
function freeSpace(tcb: Tcb): number {
  if (countsBuffers(tcb)) return Math.max(0, windowFrom(tcb, memoryLimit(tcb) - tcb.rcv.memory));
  return Math.max(0, tcb.rcv.limit - tcb.receiveBuffer.length);
}

/** The largest window that the receive buffer has room for. */
export function fullSpace(tcb: Tcb): number {
  const { rcv, user } = tcb;
  const space = countsBuffers(tcb) ? windowFrom(tcb, memoryLimit(tcb)) : rcv.limit;
  return user.windowClamp > 0 ? Math.min(user.windowClamp, space) : space;
}

/**
 * The first window, whole segments of it, and the shift that lets it grow to the largest buffer.
 * `mss`: what a full segment of the peer will carry. `scaling`: the peer may agree, or has agreed, to window scaling.
 */
export function selectInitialWindow(tcb: Tcb, mss: number, scaling: boolean): void {
  const { rcv, settings } = tcb;
  let space = fullSpace(tcb);
  if (space > mss) space -= space % mss;
  rcv.scale = 0;
  if (scaling) {
    const largest = rcv.limitFixed ? rcv.limit : Math.max(rcv.limit, settings.receiveBufferMax);
    while (largest >> rcv.scale > MAX_FIELD && rcv.scale < MAX_SCALE) rcv.scale++;
  }
  rcv.wnd = Math.min(space, MAX_FIELD);
  rcv.ssthresh = rcv.wnd;
  rcv.wup = rcv.nxt;
  rcv.edge = advance(rcv.nxt, rcv.wnd);
  rcv.space = Math.min(rcv.wnd, 10 * settings.mss);
}

/**
 * The window we would like to announce (RFC 9293 3.8.6.2.2, receiver's silly window avoidance): nothing while less
 * than a segment or a sixteenth of the buffer is free, and without scaling in steps of whole segments.
 */
export function wantedWindow(tcb: Tcb): number {
  const { rcv } = tcb;
  const full = fullSpace(tcb);
  let free = Math.min(freeSpace(tcb), full);
  const mss = Math.min(rcv.mss > 0 ? rcv.mss : tcb.settings.mss, full);
  if (mss <= 0) return 0;
  // Rounding up would promise what there is not: a window that can shrink tells what there is.
  if (mayShrink(tcb)) free -= free % (1 << rcv.scale);
  if (free < full >> 1) {
    // Half the buffer is in use: no silly windows; and on Linux no haste, for reading will announce more.
    if (countsBuffers(tcb)) tcb.ack.quick = 0;
    free -= free % (1 << rcv.scale);
    if (free < full >> 4 || free < mss) return 0;
  }
  if (free > rcv.ssthresh) free = rcv.ssthresh;
  if (rcv.scale > 0) return roundUp(free, rcv.scale);
  const window = rcv.wnd;
  if (window <= free - mss || window > free) return free - (free % mss);
  if (mss === full && free > window + (full >> 1)) return free;
  return window;
}

function roundUp(bytes: number, shift: number): number {
  const unit = 1 << shift;
  return Math.ceil(bytes / unit) * unit;
}

/** A window that is not scaled never shrinks: there is too little of it. */
function mayShrink(tcb: Tcb): boolean {
  return tcb.settings.shrinkWindow && tcb.rcv.scale > 0;
}

/** Decides the window that the segment being built announces, remembers it, and returns the header's 16-bit field. */
export function announceWindow(tcb: Tcb): number {
  const { rcv } = tcb;
  if (rcv.noMemory) {
    // Linux's ICSK_ACK_NOMEM: what would come now would be lost.
    rcv.noMemory = false;
    rcv.wnd = 0;
    rcv.wup = rcv.nxt;
    return 0;
  }
  const current = receiveWindow(tcb);
  let window = wantedWindow(tcb);
  // RFC 9293 3.8.6: a receiver should not shrink the window: the right edge never moves left.
  if (window < current && !mayShrink(tcb)) {
    window = roundUp(current, rcv.scale);
    // But each rounding promises a little more. Beyond what there is room for it is rounded down (RFC 7323 2.4), or a
    // peer of tiny segments could fill the memory.
    if (!countsBuffers(tcb) && distance(rcv.nxt, rcv.readSeq) + window >= rcv.limit + (1 << rcv.scale)) {
      window = (current >> rcv.scale) << rcv.scale;
    }
  }
  window = Math.min(window, rcv.scale === 0 ? MAX_FIELD : MAX_FIELD << rcv.scale);
  rcv.wnd = window;
  rcv.wup = rcv.nxt;
  rcv.edge = later(rcv.edge, advance(rcv.wup, window));
  return window >> rcv.scale;
}

/** After text came in: lets the window open further, as Linux does for segments that fill their buffers well. */
export function growWindow(tcb: Tcb, length: number): void {
  const { rcv } = tcb;
  const room = Math.min(fullSpace(tcb), freeSpace(tcb)) - rcv.ssthresh;
  if (room <= 0) return;
  rcv.ssthresh += Math.min(room, Math.max(2 * tcb.settings.mss, 2 * length));
  tcb.ack.quick |= 1;
}

/** Memory ran out: the window begins small again, and opens as what comes shows to fit (tcp_clamp_window). */
export function clampWindow(tcb: Tcb): void {
  tcb.ack.quick = 0;
  tcb.rcv.ssthresh = Math.min(fullSpace(tcb), 2 * tcb.settings.mss);
}

/** Without timestamps the receiver takes the time of one window of data for its round-trip time. */
export function measureReceiveRtt(tcb: Tcb, now: number): void {
  const { rcv } = tcb;
  if (rcv.rttAtUs !== 0) {
    if (!gt(rcv.nxt, rcv.rttSeq)) return;
    noteReceiveRtt(tcb, now - rcv.rttAtUs, false);
  }
  rcv.rttSeq = advance(rcv.nxt, rcv.wnd);
  rcv.rttAtUs = now;
}

/** A measurement of the receiver's round-trip time; with timestamps it is exact, else an upper bound. */
export function noteReceiveRtt(tcb: Tcb, rttUs: number, exact: boolean): void {
  const { rcv } = tcb;
  const sample = Math.max(1, rttUs);
  if (rcv.rttUs === 0) rcv.rttUs = sample;
  else if (exact) rcv.rttUs += (sample - rcv.rttUs) / 8;
  else rcv.rttUs = Math.min(rcv.rttUs, sample);
}

/**
 * Dynamic right-sizing of the receive buffer: once a round trip, room for twice what the application read in the last
 * one, so that a sender in slow start is never held back by the window.
 */
export function tuneReceiveBuffer(tcb: Tcb, now: number): void {
  const { rcv, settings } = tcb;
  if (rcv.rttUs === 0 || now - rcv.copiedAtUs < rcv.rttUs) return;
  const copied = distance(rcv.readSeq, rcv.copiedSeq);
  if (copied > rcv.space) {
    let window = copied * 2 + 16 * settings.mss;
    window += 2 * Math.floor((window * (copied - rcv.space)) / rcv.space);
    growReceiveBuffer(tcb, window);
    rcv.space = copied;
  }
  rcv.copiedSeq = rcv.readSeq;
  rcv.copiedAtUs = now;
}

function growReceiveBuffer(tcb: Tcb, window: number): void {
  const { rcv, settings } = tcb;
  if (rcv.limitFixed) return;
  const most = settings.receiveBufferMax;
  const limit = countsBuffers(tcb) ? Math.min(memoryFor(tcb, window), most) >> 1 : Math.min(window, most);
  rcv.limit = Math.max(rcv.limit, limit);
}

/**
 * What waits behind a gap fills the receive buffer, and the application cannot read it: there is room for it besides
 * what the application reads in a round trip (tcp_rcvbuf_grow). Not before a program has accepted the connection.
 */
export function makeRoomBehindGap(tcb: Tcb): void {
  const { rcv, outOfOrder } = tcb;
  if (!tcb.isHeld || outOfOrder.count === 0) return;
  growReceiveBuffer(tcb, 2 * rcv.space + distance(outOfOrder.right(outOfOrder.count - 1), rcv.nxt));
}

/** The largest segment that we ask the peer for (RFC 9293 3.7.1): what the MTU allows, or less (TCP_MAXSEG). */
export function announcedMss(tcb: Tcb): number {
  const { user, linkMss } = tcb;
  return user.maxSegment > 0 ? Math.min(user.maxSegment, linkMss) : linkMss;
}

/** Payload bytes of a full segment towards the peer: its MSS, the path MTU and the options of every segment. */
export function updateSendMss(tcb: Tcb): void {
  const { snd, options, user, linkMss, accurateEcn } = tcb;
  let mss = Math.min(snd.peerMss, linkMss);
  if (snd.pathMtu > 0) mss = Math.min(mss, snd.pathMtu - 40);
  if (user.maxSegment > 0) mss = Math.min(mss, user.maxSegment);
  mss = Math.min(mss, probedMss(tcb));
  if (options.timestamps) mss -= TIMESTAMPS_LENGTH;
  if (accurateEcn !== null && accurateEcn.reservesOption) mss -= ACCECN_LENGTH;
  // RFC 9293 3.8.6.2.1: at most half the largest window ever offered, so that small windows are used too.
  if (snd.maxWnd > 0) {
    const half = snd.maxWnd > 536 ? snd.maxWnd >> 1 : snd.maxWnd;
    if (mss > half) mss = Math.max(half, 48);
  }
  snd.mss = Math.max(mss, 8);
}
