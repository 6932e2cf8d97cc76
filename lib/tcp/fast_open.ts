import type { TcpHeader } from "../wire/tcp.ts";
import { receiveText } from "./receive.ts";
import { advance } from "./seq.ts";
import { State } from "./state.ts";
import type { Tcb } from "./tcb.ts";

/** What TCP Fast Open (RFC 7413) has to remember of a connection that uses it. */
export class FastOpen {
  /** The option that the next SYN or SYN-ACK carries: bytes of its cookie, 0 to ask for one; -1: no option. */
  cookieLength = -1;
  readonly cookie = new Uint8Array(16);
  /** A listener believed the cookie: data flows both ways before the handshake is complete. */
  isEarly = false;
  /** Data came with the SYN and was taken. */
  tookSynData = false;
}

/** Whether the program may read and write though the handshake is not complete. */
export function isEarly(tcb: Tcb): boolean {
  return tcb.state === State.SYN_RECEIVED && tcb.fastOpen !== null && tcb.fastOpen.isEarly;
}

/** Puts the option, if there is one to send, in the SYN or SYN-ACK. It goes only once (RFC 7413 4.2). */
export function fillFastOpen(tcb: Tcb, out: TcpHeader): void {
  const { fastOpen } = tcb;
  if (fastOpen === null || fastOpen.cookieLength < 0) return;
  out.fastOpen = true;
  out.fastOpenLength = fastOpen.cookieLength;
  out.fastOpenCookie.set(fastOpen.cookie);
  fastOpen.cookieLength = -1;
}

/** RFC 7413 4.2.2: takes the data of `syn`, whose cookie is good; the connection was opened with it just now. */
export function takeSynData(tcb: Tcb, syn: TcpHeader, now: number): void {
  const fastOpen = tcb.fastOpen ??= new FastOpen();
  fastOpen.isEarly = true;
  // RFC 7413 4.2.2: the answer may be a whole initial window, as after a handshake.
  tcb.cwnd = tcb.settings.initialWindow;
  if (syn.payloadLength === 0) return;
  const { seq } = syn;
  syn.seq = advance(seq, 1);
  receiveText(tcb, syn, now);
  syn.seq = seq;
  tcb.rcv.wup = tcb.rcv.nxt;
  tcb.totals.dataSegmentsIn++;
  fastOpen.tookSynData = true;
}
