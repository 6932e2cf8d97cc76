import { FIN, type TcpHeader } from "../wire/tcp.ts";
import { State } from "./state.ts";
import type { Tcb } from "./tcb.ts";

const SECOND_US = 1e6;
const MOST = 255;

/**
 * TCP_DEFER_ACCEPT counts, as Linux has it, in SYN-ACKs that go unanswered: after how many timeouts a time of `seconds`
 * is over.
 */
export function deferralOf(seconds: number, rtoInitialUs: number, rtoMaxUs: number): number {
  if (seconds <= 0) return 0;
  let count = 1;
  for (
    let over = timeoutsUs(1, rtoInitialUs, rtoMaxUs);
    seconds * SECOND_US > over && count < MOST;
    count++
  ) {
    over = timeoutsUs(count + 1, rtoInitialUs, rtoMaxUs);
  }
  return count;
}

/** The seconds that `count` timeouts take. */
export function secondsOfDeferral(count: number, rtoInitialUs: number, rtoMaxUs: number): number {
  return Math.floor(timeoutsUs(count, rtoInitialUs, rtoMaxUs) / SECOND_US);
}

function timeoutsUs(count: number, rtoInitialUs: number, rtoMaxUs: number): number {
  let sum = 0;
  let timeout = rtoInitialUs;
  for (let i = 0; i < count; i++) {
    sum += timeout;
    timeout = Math.min(2 * timeout, rtoMaxUs);
  }
  return sum;
}

/** Whether the segment is the bare ACK that completes a handshake but has to wait for data; it is remembered. */
export function defersAccept(tcb: Tcb, seg: TcpHeader): boolean {
  if (tcb.state !== State.SYN_RECEIVED || tcb.recovery.retransmits >= tcb.user.deferAccept) return false;
  if (seg.payloadLength > 0 || (seg.flags & FIN) !== 0) return false;
  if (seg.seq !== tcb.rcv.nxt || seg.ack !== tcb.snd.nxt) return false;
  tcb.handshakeAcked = true;
  return true;
}

/**
 * The SYN-ACK is not sent again while its peer, who acknowledged it, is given time to send data; only at the end of that
 * time, to get the ACK or the data that makes the connection.
 */
export function mayRepeatSynAck(tcb: Tcb): boolean {
  return !tcb.handshakeAcked || tcb.recovery.retransmits >= tcb.user.deferAccept - 1;
}

/** A handshake is given up after `retries` SYN-ACKs; one that was acknowledged not before its deferral is over. */
export function isHandshakeOver(tcb: Tcb, retries: number): boolean {
  const { retransmits } = tcb.recovery;
  return retransmits >= retries && (!tcb.handshakeAcked || retransmits >= tcb.user.deferAccept);
}
