import type { Slices } from "../buffer/memory.ts";
import { ACK, ECE, FIN, RST, SYN, type TcpHeader } from "../wire/tcp.ts";
import { fillFeedback, fillSynAck, flagsOfSyn, reflection } from "./accurate_ecn.ts";
import { ackSent } from "./ack_policy.ts";
import { fillSackBlocks } from "./receive.ts";
import { fillFastOpen, fillSynData } from "./fast_open.ts";
import { EVER_RETRANSMITTED } from "./retransmit_queue.ts";
import { advance } from "./seq.ts";
import { EVENT_CLOSED, State } from "./state.ts";
import { type Tcb, TransmitTimer } from "./tcb.ts";
import { timestampOf } from "./timestamps.ts";
import { rearmRetransmit } from "./timers.ts";
import { announcedMss, announceWindow, receiveWindow } from "./window.ts";

const MAX_FIELD = 65535;

/** What every segment of a synchronized connection carries: ACK, window, timestamps, SACK blocks. */
export function fillHeader(tcb: Tcb, out: TcpHeader, seq: number, flags: number, now: number): void {
  const { rcv, options, timestamps, dsackPending } = tcb;
  out.seq = seq;
  out.ack = rcv.nxt;
  out.flags = flags | ACK | (tcb.ecnEcho && options.ecn ? ECE : 0);
  out.window = announceWindow(tcb);
  if (options.timestamps) {
    out.timestamps = true;
    out.timestampValue = timestampOf(tcb, now);
    out.timestampEcho = timestamps.recent;
  }
  if (options.sack && (tcb.outOfOrder.count > 0 || dsackPending)) {
    // Forty bytes of options: three blocks beside timestamps, else four.
    fillSackBlocks(tcb, out, options.timestamps ? 3 : 4);
  }
  if (tcb.accurateEcn !== null) fillFeedback(tcb, tcb.accurateEcn, out, dsackPending, now);
  tcb.totals.lastAckSentUs = now;
  ackSent(tcb);
}

export function sendAck(tcb: Tcb, out: TcpHeader, now: number): boolean {
  const { intents, snd } = tcb;
  const again = intents.finAgain && tcb.state === State.CLOSING;
  intents.finAgain = false;
  const flags = reflection(tcb) | (again ? FIN : 0);
  fillHeader(tcb, out, again ? advance(snd.nxt, -1) : snd.nxt, flags, now);
  return true;
}

/** RFC 9293 3.10.7.3, first: the answer to an ACK of something we never sent; the connection goes on. */
export function sendStrayReset(tcb: Tcb, out: TcpHeader): boolean {
  tcb.intents.strayReset = false;
  out.seq = tcb.intents.resetSeq;
  out.ack = 0;
  out.flags = RST;
  out.window = 0;
  if (tcb.state === State.CLOSED && !tcb.intents.reset) tcb.events |= EVENT_CLOSED;
  return true;
}

/** RFC 9293 3.10.5: the last word of an aborted connection. */
export function sendReset(tcb: Tcb, out: TcpHeader, now: number): boolean {
  tcb.intents.reset = false;
  out.seq = tcb.snd.nxt;
  out.ack = tcb.rcv.nxt;
  out.flags = RST | ACK;
  out.window = tcb.settings.bsd ? 0 : Math.min(receiveWindow(tcb) >> tcb.rcv.scale, MAX_FIELD);
  if (tcb.options.timestamps) {
    out.timestamps = true;
    out.timestampValue = timestampOf(tcb, now);
    out.timestampEcho = tcb.timestamps.recent;
  }
  if (tcb.state === State.CLOSED) tcb.events |= EVENT_CLOSED;
  return true;
}

/** SYN or SYN-ACK, the first or a repeated one (RFC 9293 3.5). */
export function sendSyn(tcb: Tcb, out: TcpHeader, slices: Slices, now: number): boolean {
  const { snd, queue, recovery, totals } = tcb;
  tcb.intents.syn = false;
  fillSyn(tcb, out, now);
  if (queue.head === null) {
    queue.append(snd.iss, advance(snd.iss, 1), 1, now);
    snd.nxt = advance(snd.iss, 1);
    if (tcb.state === State.SYN_SENT) fillSynData(tcb, slices, now);
  } else {
    queue.head.sentAtUs = now;
    queue.head.flags |= EVER_RETRANSMITTED;
    totals.retransmitted++;
    if (recovery.retransStampUs === 0) recovery.retransStampUs = now;
  }
  if (tcb.timers.kind === TransmitTimer.NONE) rearmRetransmit(tcb, now);
  if (tcb.state === State.SYN_RECEIVED) ackSent(tcb);
  return true;
}

/** The header of the SYN or SYN-ACK: what we offer, or what of the peer's offer we agree on. */
export function fillSyn(tcb: Tcb, out: TcpHeader, now: number): void {
  const { snd, rcv, settings, options } = tcb;
  const isAnswer = tcb.state === State.SYN_RECEIVED;
  out.seq = snd.iss;
  out.ack = isAnswer ? rcv.nxt : 0;
  out.flags = isAnswer ? SYN | ACK : SYN;
  // RFC 7323 2.2: never scaled here.
  out.window = Math.min(rcv.wnd, MAX_FIELD);
  out.mss = announcedMss(tcb);
  out.sackPermitted = isAnswer ? options.sack : settings.sack;
  out.timestamps = isAnswer ? options.timestamps : settings.timestamps;
  if (out.timestamps) {
    out.timestampValue = timestampOf(tcb, now);
    out.timestampEcho = isAnswer ? tcb.timestamps.recent : 0;
  }
  const scaling = isAnswer ? options.windowScaling : settings.windowScaling;
  out.windowScale = scaling ? rcv.scale : -1;
  fillFastOpen(tcb, out);
  if (!isAnswer) out.flags |= flagsOfSyn(tcb);
  else if (tcb.accurateEcn !== null) fillSynAck(tcb, tcb.accurateEcn, out);
  else if (options.ecn) out.flags |= ECE;
}
