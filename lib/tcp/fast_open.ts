import type { Slices } from "../buffer/memory.ts";
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
  /** Data went with the SYN and was taken, ours or the peer's. */
  tookSynData = false;
  /** Client: the SYN waits for the data that it is to carry. */
  isHeld = false;
  /** Client: data bytes that went with the SYN. */
  synData = 0;
  /** Client: the most of them, by the MSS that the peer told when it gave the cookie. */
  synDataMax = 0;
  /** Client: bytes of `cookie` that came in the SYN-ACK; 0: none came. */
  receivedLength = 0;
}

/** Whether the program may read and write though the handshake is not complete. */
export function isEarly(tcb: Tcb): boolean {
  const { fastOpen, state } = tcb;
  if (fastOpen === null) return false;
  return (state === State.SYN_RECEIVED && fastOpen.isEarly) || (state === State.SYN_SENT && fastOpen.isHeld);
}

/** Whether the SYN is to wait for data. */
export function isSynHeld(tcb: Tcb): boolean {
  return tcb.fastOpen !== null && tcb.fastOpen.isHeld;
}

/** RFC 7413 4.2.2: the program wrote: the SYN goes, and takes with it what has room. */
export function releaseSyn(tcb: Tcb): void {
  if (tcb.fastOpen !== null) tcb.fastOpen.isHeld = false;
}

/** Puts the first data in the first SYN, behind its sequence number. */
export function fillSynData(tcb: Tcb, slices: Slices, now: number): void {
  const { fastOpen, sendBuffer, snd, queue, totals } = tcb;
  if (fastOpen === null || sendBuffer.length === 0) return;
  const bytes = Math.min(sendBuffer.length, fastOpen.synDataMax);
  if (bytes <= 0) return;
  sendBuffer.slices(0, bytes, slices);
  fastOpen.synData = bytes;
  queue.append(snd.nxt, advance(snd.nxt, bytes), 1, now);
  snd.nxt = advance(snd.nxt, bytes);
  totals.bytesSent += bytes;
}

/** The SYN-ACK came: it may bring a cookie, and tells whether the SYN's data was taken; if not, it goes again at once. */
export function fastOpenAnswered(tcb: Tcb, synAck: TcpHeader): void {
  const { fastOpen, queue, snd, recovery } = tcb;
  if (fastOpen === null) return;
  if (synAck.fastOpen && synAck.fastOpenLength > 0) {
    fastOpen.receivedLength = synAck.fastOpenLength;
    fastOpen.cookie.set(synAck.fastOpenCookie);
  }
  fastOpen.tookSynData = fastOpen.synData > 0 && snd.una !== advance(snd.iss, 1);
  // RFC 7413 4.2.2: what was not acknowledged with the SYN was not taken.
  if (queue.head === null) return;
  recovery.lost += queue.head.count;
  queue.markLost(queue.head);
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
