import { limitSearch } from "./mtu_probe.ts";
import { retransmitNow } from "./path_mtu.ts";
import { geq, lt } from "./seq.ts";
import { State } from "./state.ts";
import { type Tcb, updateDeadline } from "./tcb.ts";
import { toClosed } from "./transitions.ts";
import { updateSendMss } from "./window.ts";

/** Smallest path MTU that is believed (RFC 1191 3 names 68; Linux takes nothing below 552). */
const MIN_PATH_MTU = 552;

/**
 * An ICMP error that quotes a segment of this connection (RFC 1122 4.2.3.9, RFC 5461). `refusal`: the errno if it
 * says that segments are refused, not only that they could not be delivered; else 0. `seq`: the quoted sequence number, which must be one in
 * flight (RFC 5927 4.1).
 *
 * Before the connection is established an error ends the attempt (that is what programs expect, RFC 5461 4.1; the
 * settings can say otherwise); later it is only remembered, and given as the reason if the connection times out.
 */
export function icmpError(tcb: Tcb, errno: number, refusal: number, seq: number, _now: number): void {
  if (tcb.state === State.CLOSED) {
    // The reset of an aborted connection cannot be delivered: forget it.
    if (tcb.intents.reset || tcb.intents.strayReset) {
      tcb.intents.reset = tcb.intents.strayReset = false;
      toClosed(tcb, tcb.error);
    }
    return;
  }
  if (!isInFlight(tcb, seq)) return;
  if (tcb.state === State.SYN_SENT || tcb.state === State.SYN_RECEIVED) connectFails(tcb, errno, refusal);
  else tcb.softError = errno;
  updateDeadline(tcb);
}

function connectFails(tcb: Tcb, errno: number, refusal: number): void {
  const { icmpEndsConnect } = tcb.settings;
  if (icmpEndsConnect === "any") toClosed(tcb, errno);
  else if (icmpEndsConnect === "hard" && refusal !== 0) toClosed(tcb, refusal);
  else tcb.softError = errno;
}

export { revertBackoff } from "./timers.ts";

/** The next hop does not answer ARP: as an ICMP host unreachable from ourselves. */
export function hostUnreachable(tcb: Tcb, errno: number, now: number): void {
  icmpError(tcb, errno, 0, tcb.snd.una, now);
}

function isInFlight(tcb: Tcb, seq: number): boolean {
  return geq(seq, tcb.snd.una) && (lt(seq, tcb.snd.nxt) || seq === tcb.snd.una);
}

/** RFC 1191 6.4: "fragmentation needed": smaller segments from now on, and what was too large goes again at once. */
export function pathMtuChanged(tcb: Tcb, mtu: number, seq: number, now: number): void {
  if (tcb.state === State.CLOSED || !isInFlight(tcb, seq)) return;
  const pathMtu = Math.max(mtu, MIN_PATH_MTU);
  if (tcb.snd.pathMtu === 0 || pathMtu < tcb.snd.pathMtu) setPathMtu(tcb, pathMtu, now);
}

/** What is known of the path by others: the largest packet in bytes; 0: nothing, so that full segments are tried again. */
export function setPathMtu(tcb: Tcb, mtu: number, now: number): void {
  const { snd } = tcb;
  if (mtu === snd.pathMtu) return;
  snd.pathMtu = mtu;
  if (tcb.state === State.CLOSED) return;
  const before = snd.mss;
  if (mtu > 0) limitSearch(tcb, mtu);
  updateSendMss(tcb);
  if (snd.mss < before) retransmitNow(tcb, now);
  updateDeadline(tcb);
}
