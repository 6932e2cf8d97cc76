import type { Tcb } from "./tcb.ts";

/** True if an ACK in answer to an invalid segment would come too soon after the last one (RFC 5961 7). */
export function isLimited(tcb: Tcb, now: number): boolean {
  if (now - tcb.ack.lastInvalidUs < tcb.settings.invalidRateLimitUs) return true;
  tcb.ack.lastInvalidUs = now;
  return false;
}

/** RFC 5961 3.2, 4.2, 5.2: an ACK that makes an honest peer show itself and tells an attacker nothing. */
export function challengeAck(tcb: Tcb, now: number): void {
  if (!isLimited(tcb, now)) tcb.ack.now = true;
}

/**
 * RFC 9293 3.10.7.4, first: an unacceptable segment is answered with an ACK. Segments without data are answered at a
 * limited rate, so that two confused hosts cannot keep each other busy.
 */
export function answerUnacceptable(tcb: Tcb, length: number, now: number): void {
  if (length > 0 || !isLimited(tcb, now)) tcb.ack.now = true;
}
