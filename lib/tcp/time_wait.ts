import { ACK, FIN, RST, SYN, type TcpHeader } from "../wire/tcp.ts";
import { advance, gt, segmentLength } from "./seq.ts";
import type { TcpSettings } from "./settings.ts";
import type { Tcb, TimestampState } from "./tcb.ts";
import { isOlderThan, timestampAt } from "./timestamps.ts";

/** What a segment is answered with in TIME-WAIT. */
export const TimeWaitAnswer = {
  NONE: 0,
  ACK: 1,
  /** The wait is over at once. */
  END: 2,
  /** The same, and the segment, a SYN, opens a new connection. */
  REOPEN: 3,
} as const;
export type TimeWaitAnswer = typeof TimeWaitAnswer[keyof typeof TimeWaitAnswer];

/**
 * All that a connection needs in TIME-WAIT (RFC 9293 3.6.1, RFC 6191): so little that the rest of its block, ten times as
 * large, can go as soon as no program holds it.
 */
export class TimeWait {
  /** SND.NXT and RCV.NXT. */
  readonly sendNext: number;
  readonly receiveNext: number;
  /** The header's window field: whatever was announced last. */
  readonly window: number;
  /** Null: none were agreed on. */
  readonly timestamps: TimestampState | null;
  /** When the wait is over, microseconds. */
  endsAtUs: number;
  /** When the last segment was answered at a limited rate (RFC 5961 7). */
  private answeredAtUs: number;

  constructor(tcb: Tcb, now: number) {
    const { snd, rcv, options, ack, settings } = tcb;
    this.sendNext = snd.nxt;
    this.receiveNext = rcv.nxt;
    this.window = Math.min(rcv.wnd >> rcv.scale, 0xffff);
    this.timestamps = options.timestamps ? tcb.timestamps : null;
    this.endsAtUs = now + settings.timeWaitUs;
    this.answeredAtUs = ack.lastInvalidUs;
  }

  /** Whether an answer to a segment without data may go now; it then counts as gone. */
  mayAnswer(settings: TcpSettings, now: number): boolean {
    if (now - this.answeredAtUs < settings.invalidRateLimitUs) return false;
    this.answeredAtUs = now;
    return true;
  }
}

/** RFC 9293 3.10.7.4 in TIME-WAIT; RFC 1337: a reset need not end it; RFC 6191: a SYN may. */
export function timeWaitArrives(
  wait: TimeWait,
  seg: TcpHeader,
  settings: TcpSettings,
  now: number,
): TimeWaitAnswer {
  const { timestamps, receiveNext } = wait;
  const length = segmentLength(seg);
  const isOld = timestamps !== null && seg.timestamps && isOlderThan(timestamps, seg.timestampValue, now);
  if ((seg.flags & RST) !== 0) {
    return seg.seq === receiveNext && !settings.rfc1337 ? TimeWaitAnswer.END : TimeWaitAnswer.NONE;
  }
  if ((seg.flags & (SYN | ACK)) === SYN && !isOld && isNewIncarnation(wait, seg)) {
    return TimeWaitAnswer.REOPEN;
  }
  if (settings.bsd && (seg.flags & ACK) === 0) return TimeWaitAnswer.NONE;
  if (!isOld && seg.seq === receiveNext && length === 0) return TimeWaitAnswer.NONE;
  if ((seg.flags & FIN) !== 0 && !isOld && advance(seg.seq, length) === receiveNext) {
    // The peer did not get our last ACK: start the wait again.
    wait.endsAtUs = now + settings.timeWaitUs;
  }
  if ((seg.flags & (ACK | SYN)) === 0) return TimeWaitAnswer.NONE;
  return length > 0 || wait.mayAnswer(settings, now) ? TimeWaitAnswer.ACK : TimeWaitAnswer.NONE;
}

/** RFC 6191 2: a SYN that may open a new incarnation of the connection. */
function isNewIncarnation({ timestamps, receiveNext }: TimeWait, syn: TcpHeader): boolean {
  if (timestamps !== null && syn.timestamps) {
    const later = (syn.timestampValue - timestamps.recent) | 0;
    if (later !== 0) return later > 0;
  }
  return gt(syn.seq, receiveNext);
}

/** Fills `out`, ports aside, with the ACK that says where both directions ended. */
export function fillTimeWaitAck(wait: TimeWait, out: TcpHeader, now: number): void {
  const { timestamps } = wait;
  out.seq = wait.sendNext;
  out.ack = wait.receiveNext;
  out.flags = ACK;
  out.window = wait.window;
  out.timestamps = timestamps !== null;
  if (timestamps === null) return;
  out.timestampValue = timestampAt(timestamps, now);
  out.timestampEcho = timestamps.recent;
}
