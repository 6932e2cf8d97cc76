import { RST, type TcpHeader } from "../wire/tcp.ts";
import { gt } from "./seq.ts";
import type { Tcb, TimestampState } from "./tcb.ts";

/** RFC 7323 5.5: TS.Recent older than this says nothing (the clock may have gone half around). */
const RECENT_LIFETIME_US = 24 * 86400 * 1e6;

/** The timestamp clock: milliseconds, with an offset of the connection's own (RFC 7323 5.4). */
export function timestampOf(tcb: Tcb, now: number): number {
  return timestampAt(tcb.timestamps, now);
}

export function timestampAt({ offset }: TimestampState, now: number): number {
  return (Math.floor(now / 1000) + offset) | 0;
}

/** RFC 7323 5.2: `value` was sent before what TS.Recent tells of. */
export function isOlderThan({ recent, recentAtUs }: TimestampState, value: number, now: number): boolean {
  if (recentAtUs < 0 || ((value - recent) | 0) >= 0) return false;
  return now - recentAtUs <= RECENT_LIFETIME_US;
}

/** RFC 7323 5.2, PAWS: the segment is a duplicate from the past and must go. */
export function failsPaws(tcb: Tcb, seg: TcpHeader, now: number): boolean {
  const { timestamps, options } = tcb;
  if (!options.timestamps || !seg.timestamps) return false;
  if (!isOlderThan(timestamps, seg.timestampValue, now)) return false;
  // RFC 7323 5.3 R1: RST segments are not subject to the test.
  return (seg.flags & RST) === 0 && !isReorderedAck(tcb, seg, now);
}

/** A pure ACK that was overtaken by a later one is old by its timestamp but harmless. */
function isReorderedAck(tcb: Tcb, seg: TcpHeader, now: number): boolean {
  const { timestamps, rcv, snd, rtt } = tcb;
  return seg.payloadLength === 0 && seg.seq === rcv.nxt && seg.ack === snd.una &&
    seg.window << snd.scale === snd.wnd &&
    now - timestamps.recentAtUs <= 1e6 &&
    ((timestamps.recent - seg.timestampValue) | 0) <= Math.max(1, (rtt.rtoUs * 1.2) / 1000);
}

/**
 * RFC 7323 4.3: takes TS.Recent from a segment that begins at or before what we last acknowledged. Only once its ACK is
 * known to be good: what an attacker sends must not move it. True if it is later than before.
 */
export function updateRecent(tcb: Tcb, seg: TcpHeader, now: number): boolean {
  const { timestamps, options, rcv } = tcb;
  if (!options.timestamps || !seg.timestamps || gt(seg.seq, rcv.wup)) return false;
  const advance = (seg.timestampValue - timestamps.recent) | 0;
  if (advance < 0 && now - timestamps.recentAtUs <= RECENT_LIFETIME_US) return false;
  timestamps.recent = seg.timestampValue;
  timestamps.recentAtUs = now;
  return advance > 0;
}
