import { distance } from "./seq.ts";
import type { Tcb } from "./tcb.ts";

/** Linux's default for the share of buffer memory that is text: a half, of `WHOLE`. */
export const DEFAULT_RATIO = 128;
const WHOLE = 256;

const PAGE = 4096;
/** What Linux adds to a segment's text: headers of IP and TCP, and headroom before them. */
const HEADERS = 40;
const HEADROOM = 64;
/** `struct sk_buff` and, behind the bytes, `struct skb_shared_info`. */
const BUFFER_HEAD = 256;
const SHARED_INFO = 320;
/** Text beyond this goes to pages of its own. */
const LARGEST_LINEAR = PAGE - SHARED_INFO - HEADROOM;
const SMALLEST = 512;

/**
 * Memory that Linux's socket buffer for `length` bytes of text takes (skb->truesize, as the TUN driver makes them): one
 * allocation of a power of two, or a page and further whole pages.
 */
export function truesize(length: number): number {
  const bytes = length + HEADERS;
  if (bytes > LARGEST_LINEAR) {
    return BUFFER_HEAD + PAGE + Math.ceil((bytes - LARGEST_LINEAR) / PAGE) * PAGE;
  }
  let size = SMALLEST;
  while (size < bytes + HEADROOM + SHARED_INFO) size *= 2;
  return BUFFER_HEAD + size;
}

/** The setting that makes the receive buffer count as Linux's does. */
export function countsBuffers(tcb: Tcb): boolean {
  return tcb.settings.receiveMemory === "linux";
}

/** Bytes of text that are expected to fit into `memory` (tcp_win_from_space). */
export function windowFrom(tcb: Tcb, memory: number): number {
  return Math.floor((memory * tcb.rcv.ratio) / WHOLE);
}

/** Memory that a window needs (tcp_space_from_win). */
export function memoryFor(tcb: Tcb, window: number): number {
  return Math.floor((window * WHOLE) / tcb.rcv.ratio);
}

/** The buffer's limit as memory: of what `SO_RCVBUF` asks for Linux makes twice as much (sk_rcvbuf). */
export function memoryLimit(tcb: Tcb): number {
  return 2 * tcb.rcv.limit;
}

/** Text of `length` bytes was queued, in order or not. */
export function charge(tcb: Tcb, length: number): void {
  if (countsBuffers(tcb)) tcb.rcv.memory += truesize(length);
}

/** `n` bytes were read: buffers are not kept one by one, so memory goes as the text does; all of it with the last byte. */
export function uncharge(tcb: Tcb, n: number): void {
  const { rcv, receiveBuffer, outOfOrder } = tcb;
  if (rcv.memory === 0) return;
  let left = receiveBuffer.length;
  for (let i = 0; i < outOfOrder.count; i++) left += distance(outOfOrder.right(i), outOfOrder.left(i));
  rcv.memory = left === 0 ? 0 : Math.floor((rcv.memory * left) / (left + n));
}

/** The peer's segments have a new size: so much of a buffer is text (tcp_measure_rcv_mss, scaling_ratio). */
export function measureRatio(tcb: Tcb, length: number): void {
  if (!countsBuffers(tcb)) return;
  const { rcv } = tcb;
  rcv.ratio = Math.max(1, Math.floor((length * WHOLE) / truesize(length)));
  rcv.space = Math.min(rcv.space, windowFrom(tcb, memoryLimit(tcb)));
}

/** Is there memory left, besides `more` bytes? The segment that takes the last of it may go beyond (tcp_can_ingest). */
export function hasMemory(tcb: Tcb, more: number): boolean {
  return tcb.rcv.memory + more <= memoryLimit(tcb);
}
