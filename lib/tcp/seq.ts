/**
 * Sequence number arithmetic (RFC 9293 3.4): 32 bits that wrap, kept as int32. The only place where two sequence
 * numbers are compared; a plain `<` on them is a bug everywhere else.
 */
import { FIN, SYN, type TcpHeader } from "../wire/tcp.ts";

/** a < b */
export function lt(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}

/** a <= b */
export function leq(a: number, b: number): boolean {
  return ((a - b) | 0) <= 0;
}

/** a > b */
export function gt(a: number, b: number): boolean {
  return ((a - b) | 0) > 0;
}

/** a >= b */
export function geq(a: number, b: number): boolean {
  return ((a - b) | 0) >= 0;
}

/** How far `a` is ahead of `b`; negative when it is behind. */
export function distance(a: number, b: number): number {
  return (a - b) | 0;
}

/** `seq` moved on by `n`, wrapped. */
export function advance(seq: number, n: number): number {
  return (seq + n) | 0;
}

/** The later of the two. */
export function later(a: number, b: number): number {
  return ((a - b) | 0) > 0 ? a : b;
}

/** The earlier of the two. */
export function earlier(a: number, b: number): number {
  return ((a - b) | 0) < 0 ? a : b;
}

/** Sequence numbers that the segment takes up. */
export function segmentLength(seg: TcpHeader): number {
  return seg.payloadLength + ((seg.flags & SYN) !== 0 ? 1 : 0) + ((seg.flags & FIN) !== 0 ? 1 : 0);
}
