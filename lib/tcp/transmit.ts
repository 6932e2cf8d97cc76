import type { Slices } from "../buffer/memory.ts";
import { ACK, CWR, ECE, FIN, PSH, RST, SYN, type TcpHeader } from "../wire/tcp.ts";
import { ackSent, dataSent } from "./ack_policy.ts";
import { fillSackBlocks } from "./receive.ts";
import { EVER_RETRANSMITTED, LOST, RETRANSMITTED, SACKED, type SentSegment } from "./retransmit_queue.ts";
import { advance, distance, geq, gt, later, leq, lt } from "./seq.ts";
import { CaState, EVENT_CLOSED, State } from "./state.ts";
import { type Tcb, TransmitTimer, updateDeadline } from "./tcb.ts";
import { timestampOf } from "./timestamps.ts";
import { armTransmitTimer, armWindowProbe, rearmRetransmit, scheduleLossProbe } from "./timers.ts";
import { announceWindow, receiveWindow } from "./window.ts";

/** RFC 3168 5: ECN-capable transport, codepoint ECT(0). */
const ECT0 = 2;
const MAX_FIELD = 65535;

/**
 * The next segment that the connection has to send: the ONLY place that decides what is sent. Fills `out` (ports and
 * checksum aside) and `slices`, the payload where it lies in the send buffer. False: nothing to send now.
 */
export function nextSegment(tcb: Tcb, out: TcpHeader, slices: Slices, now: number): boolean {
  slices.clear();
  out.clearOptions();
  out.urgentPointer = 0;
  out.ecn = 0;
  const sent = decide(tcb, out, slices, now);
  if (sent) tcb.totals.segmentsOut++;
  updateDeadline(tcb);
  return sent;
}

function decide(tcb: Tcb, out: TcpHeader, slices: Slices, now: number): boolean {
  const { intents, recovery } = tcb;
  if (intents.strayReset) return sendStrayReset(tcb, out);
  if (intents.reset) return sendReset(tcb, out, now);
  if (tcb.state === State.CLOSED) return false;
  if (intents.syn) return sendSyn(tcb, out, now);
  if (tcb.state < State.ESTABLISHED) {
    return tcb.ack.now && tcb.state === State.SYN_RECEIVED && sendAck(tcb, out, now);
  }
  if (recovery.preferNew) {
    // RFC 5682 2.1 step 2b: new data shows whether the timeout was spurious.
    if (sendNew(tcb, out, slices, true, false, now)) return true;
    recovery.preferNew = false;
    if (!gt(tcb.snd.nxt, recovery.highSeq)) recovery.frto = false;
  }
  if (retransmitLost(tcb, out, slices, now)) return true;
  if (intents.lossProbe) {
    intents.lossProbe = false;
    if (sendLossProbe(tcb, out, slices, now)) return true;
  }
  if (sendNew(tcb, out, slices, false, false, now)) return true;
  if (intents.windowProbe) return sendWindowProbe(tcb, out, slices, now);
  if (intents.keepaliveProbe) return sendProbeAck(tcb, out, now);
  if (tcb.ack.now) return sendAck(tcb, out, now);
  return false;
}

/** What every segment of a synchronized connection carries: ACK, window, timestamps, SACK blocks. */
function fillHeader(tcb: Tcb, out: TcpHeader, seq: number, flags: number, now: number): void {
  const { rcv, options, timestamps } = tcb;
  out.seq = seq;
  out.ack = rcv.nxt;
  out.flags = flags | ACK | (tcb.ecnEcho && options.ecn ? ECE : 0);
  out.window = announceWindow(tcb);
  if (options.timestamps) {
    out.timestamps = true;
    out.timestampValue = timestampOf(tcb, now);
    out.timestampEcho = timestamps.recent;
  }
  if (options.sack && (tcb.outOfOrder.count > 0 || tcb.dsackPending)) {
    // Forty bytes of options: three blocks beside timestamps, else four.
    fillSackBlocks(tcb, out, options.timestamps ? 3 : 4);
  }
  tcb.totals.lastAckSentUs = now;
  ackSent(tcb);
}

function sendAck(tcb: Tcb, out: TcpHeader, now: number): boolean {
  fillHeader(tcb, out, tcb.snd.nxt, 0, now);
  return true;
}

/** RFC 9293 3.10.7.3, first: the answer to an ACK of something we never sent; the connection goes on. */
function sendStrayReset(tcb: Tcb, out: TcpHeader): boolean {
  tcb.intents.strayReset = false;
  out.seq = tcb.intents.resetSeq;
  out.ack = 0;
  out.flags = RST;
  out.window = 0;
  return true;
}

/** RFC 9293 3.10.5: the last word of an aborted connection. */
function sendReset(tcb: Tcb, out: TcpHeader, now: number): boolean {
  tcb.intents.reset = false;
  out.seq = tcb.snd.nxt;
  out.ack = tcb.rcv.nxt;
  out.flags = RST | ACK;
  out.window = Math.min(receiveWindow(tcb) >> tcb.rcv.scale, MAX_FIELD);
  if (tcb.options.timestamps) {
    out.timestamps = true;
    out.timestampValue = timestampOf(tcb, now);
    out.timestampEcho = tcb.timestamps.recent;
  }
  if (tcb.state === State.CLOSED) tcb.events |= EVENT_CLOSED;
  return true;
}

/** SYN or SYN-ACK, the first or a repeated one (RFC 9293 3.5). */
function sendSyn(tcb: Tcb, out: TcpHeader, now: number): boolean {
  const { snd, rcv, settings, options, queue, recovery, totals } = tcb;
  tcb.intents.syn = false;
  const isAnswer = tcb.state === State.SYN_RECEIVED;
  out.seq = snd.iss;
  out.ack = isAnswer ? rcv.nxt : 0;
  out.flags = isAnswer ? SYN | ACK : SYN;
  // RFC 7323 2.2: never scaled here.
  out.window = Math.min(rcv.wnd, MAX_FIELD);
  out.mss = tcb.user.maxSegment > 0 ? Math.min(tcb.user.maxSegment, settings.mss) : settings.mss;
  out.sackPermitted = isAnswer ? options.sack : settings.sack;
  out.timestamps = isAnswer ? options.timestamps : settings.timestamps;
  if (out.timestamps) {
    out.timestampValue = timestampOf(tcb, now);
    out.timestampEcho = isAnswer ? tcb.timestamps.recent : 0;
  }
  const scaling = isAnswer ? options.windowScaling : settings.windowScaling;
  out.windowScale = scaling ? rcv.scale : -1;
  if (isAnswer ? options.ecn : settings.ecn === 1 && recovery.retransmits === 0) {
    out.flags |= isAnswer ? ECE : ECE | CWR;
  }
  if (queue.head === null) {
    queue.append(snd.iss, advance(snd.iss, 1), 1, now);
    snd.nxt = advance(snd.iss, 1);
  } else {
    queue.head.sentAtUs = now;
    queue.head.flags |= EVER_RETRANSMITTED;
    totals.retransmitted++;
    if (recovery.retransStampUs === 0) recovery.retransStampUs = now;
  }
  if (tcb.timers.kind === TransmitTimer.NONE) rearmRetransmit(tcb, now);
  if (isAnswer) ackSent(tcb);
  return true;
}

/** Lost segments go before new ones, as far as the congestion window allows (RFC 6675 5, step C). */
function retransmitLost(tcb: Tcb, out: TcpHeader, slices: Slices, now: number): boolean {
  const { queue, snd } = tcb;
  if (queue.lostOut === 0 || queue.lostOut === queue.retransOut || queue.inFlight >= tcb.cwnd) return false;
  for (let node = queue.head; node !== null; node = node.next) {
    if ((node.flags & (LOST | SACKED | RETRANSMITTED)) !== LOST) continue;
    // The peer may have shrunk its window; what it does not want any more is not sent, the head excepted.
    if (node !== queue.head && geq(node.seq, advance(snd.una, snd.wnd))) return false;
    retransmit(tcb, node, tcb.cwnd - queue.inFlight, out, slices, now);
    return true;
  }
  return false;
}

/** Sends `node` again, at most `room` segments of it. */
function retransmit(
  tcb: Tcb,
  node: SentSegment,
  room: number,
  out: TcpHeader,
  slices: Slices,
  now: number,
): void {
  const { queue, snd, recovery, settings, totals } = tcb;
  const most = Math.max(1, Math.min(room, settings.gsoMaxSegments)) * snd.mss;
  const from = later(node.seq, snd.una);
  // The MTU may have shrunk since (RFC 1191 6.4), or the window may allow only a part.
  if (distance(node.end, from) - (endsWithFin(tcb, node) ? 1 : 0) > most) {
    queue.split(node, advance(from, most), snd.mss);
  }
  fillData(tcb, from, node.end, 0, out, slices, now);
  queue.markLost(node);
  queue.mark(node, RETRANSMITTED);
  node.flags |= EVER_RETRANSMITTED;
  node.sentAtUs = now;
  totals.retransmitted += node.count;
  totals.bytesRetransmitted += distance(node.end, from);
  if (recovery.retransStampUs === 0) recovery.retransStampUs = now;
  if (recovery.undoRetrans < 0) recovery.undoRetrans = 0;
  recovery.undoRetrans += node.count;
  if (recovery.caState === CaState.CWR || recovery.caState === CaState.RECOVERY) {
    recovery.prrOut += node.count;
  }
  if (node === queue.head && tcb.timers.kind !== TransmitTimer.REORDERING) rearmRetransmit(tcb, now);
}

function endsWithFin(tcb: Tcb, node: SentSegment): boolean {
  return tcb.finSent && gt(node.end, tcb.dataEnd);
}

/** Header and payload of the data in [from, end), whose last number may be the FIN's. */
function fillData(
  tcb: Tcb,
  from: number,
  end: number,
  flags: number,
  out: TcpHeader,
  slices: Slices,
  now: number,
): void {
  const { snd, sendBuffer, totals } = tcb;
  const dataEnd = tcb.dataEnd;
  const withFin = gt(end, dataEnd);
  const bytes = distance(withFin ? dataEnd : end, from);
  let bits = flags | (withFin ? FIN : 0);
  if (bytes > 0) {
    sendBuffer.slices(distance(from, snd.dataSeq), bytes, slices);
    if (geq(end, dataEnd)) bits |= PSH;
    totals.dataSegmentsOut++;
    totals.bytesSent += bytes;
  }
  if (tcb.options.ecn && bytes > 0 && from === snd.nxt) {
    // RFC 3168 6.1.2 and 6.1.5: new data only is ECN-capable, and tells once that the window was reduced.
    out.ecn = ECT0;
    if (tcb.ecnCwr) {
      bits |= CWR;
      tcb.ecnCwr = false;
    }
  }
  fillHeader(tcb, out, from, bits, now);
  dataSent(tcb, now);
}

/**
 * New data, as windows, Nagle's algorithm and the device's segmentation allow; the FIN after the last byte.
 * `push`: Nagle and corking aside. `force`: one segment in spite of the congestion window (RFC 8985 7.3).
 */
function sendNew(
  tcb: Tcb,
  out: TcpHeader,
  slices: Slices,
  push: boolean,
  force: boolean,
  now: number,
): boolean {
  const { snd, queue } = tcb;
  const from = snd.nxt;
  const wantsFin = tcb.finQueued && !tcb.finSent;
  const unsent = distance(tcb.dataEnd, from);
  if (unsent <= 0 && !wantsFin) return false;
  restartAfterIdle(tcb, now);
  const inFlight = queue.inFlight;
  let quota = tcb.cwnd - inFlight;
  if (quota <= 0) {
    if (!force) {
      noteWindowUse(tcb, true, now);
      return false;
    }
    quota = 1;
  }
  const bytes = sizeOfNew(tcb, unsent, quota, push || force);
  if (bytes < 0) {
    probeLater(tcb, now);
    return false;
  }
  const fin = wantsFin && bytes === unsent;
  transmitNew(tcb, from, bytes, fin, out, slices, now);
  noteWindowUse(tcb, queue.inFlight >= tcb.cwnd, now);
  if (!force) scheduleLossProbe(tcb, false, now);
  return true;
}

/** How many of the `unsent` bytes may go now (0: a FIN alone); -1: none. */
function sizeOfNew(tcb: Tcb, unsent: number, quota: number, push: boolean): number {
  const { snd, settings } = tcb;
  const mss = effectiveMss(tcb);
  const window = distance(advance(snd.una, snd.wnd), snd.nxt);
  const wantsFin = tcb.finQueued && !tcb.finSent;
  const most = Math.min(quota, settings.gsoMaxSegments) * mss;
  let bytes = Math.min(unsent, most);
  const last = bytes === unsent;
  // RFC 9293 3.8.6.2.1: a segment goes whole or, if the window has no room for it, not at all.
  const needed = Math.min(bytes, mss) + (last && bytes <= mss && wantsFin ? 1 : 0);
  if (needed > window) return -1;
  if (bytes > window) bytes = window - (window % mss);
  else if (last && wantsFin && bytes + 1 > window) bytes = window - (window % mss);
  const partial = bytes % mss;
  if (partial !== 0 && !push && !(wantsFin && bytes === unsent) && holdsBack(tcb)) {
    bytes -= partial;
    if (bytes === 0) return -1;
  }
  return bytes;
}

/** Nagle's algorithm in Minshall's form (RFC 9293 3.7.4), and TCP_CORK: a small segment has to wait. */
function holdsBack(tcb: Tcb): boolean {
  const { snd, user, queue } = tcb;
  if (user.cork) return true;
  if (user.noDelay || queue.packetsOut === 0) return false;
  return gt(snd.smallEnd, snd.una) && leq(snd.smallEnd, snd.nxt);
}

/** SACK blocks take room in data segments too. */
function effectiveMss(tcb: Tcb): number {
  const { snd, options, outOfOrder } = tcb;
  if (!options.sack || (outOfOrder.count === 0 && !tcb.dsackPending)) return snd.mss;
  const blocks = Math.min(
    (tcb.dsackPending ? 1 : 0) + Math.min(outOfOrder.count, tcb.recentSackCount),
    options.timestamps ? 3 : 4,
  );
  return Math.max(8, snd.mss - (blocks > 0 ? 4 + 8 * blocks : 0));
}

function transmitNew(
  tcb: Tcb,
  from: number,
  bytes: number,
  fin: boolean,
  out: TcpHeader,
  slices: Slices,
  now: number,
): void {
  const { snd, queue, recovery } = tcb;
  const end = advance(from, bytes + (fin ? 1 : 0));
  const count = Math.max(1, Math.ceil(bytes / snd.mss));
  fillData(tcb, from, end, 0, out, slices, now);
  const prior = queue.packetsOut;
  const node = queue.append(from, end, count, now);
  node.deliveredBefore = recovery.delivered;
  snd.nxt = end;
  if (fin) tcb.finSent = true;
  if (bytes < count * snd.mss) snd.smallEnd = end;
  if (recovery.caState === CaState.CWR || recovery.caState === CaState.RECOVERY) recovery.prrOut += count;
  if (prior === 0 || tcb.timers.kind === TransmitTimer.LOSS_PROBE) rearmRetransmit(tcb, now);
}

/** Data waits, nothing is in flight: the window probe timer sees to it (RFC 9293 3.8.6.1). */
function probeLater(tcb: Tcb, now: number): void {
  if (tcb.queue.packetsOut === 0 && tcb.timers.kind === TransmitTimer.NONE) armWindowProbe(tcb, now);
}

/** RFC 8985 7.3: a new segment if there is one, else the last one again. */
function sendLossProbe(tcb: Tcb, out: TcpHeader, slices: Slices, now: number): boolean {
  const { recovery, queue, snd } = tcb;
  tcb.timers.kind = TransmitTimer.NONE;
  if (queue.packetsOut === 0 || recovery.tlpActive) {
    rearmRetransmit(tcb, now);
    return false;
  }
  recovery.tlpRetransmitted = false;
  if (!sendNew(tcb, out, slices, true, true, now)) {
    let last = queue.tail!;
    if ((last.flags & RETRANSMITTED) !== 0 && (last.flags & LOST) === 0) {
      rearmRetransmit(tcb, now);
      return false;
    }
    if (last.count > 1) {
      queue.split(last, advance(last.seq, (last.count - 1) * snd.mss), snd.mss);
      last = queue.tail!;
    }
    resendProbe(tcb, last, out, slices, now);
    recovery.tlpRetransmitted = true;
  }
  recovery.tlpActive = true;
  recovery.tlpHighSeq = snd.nxt;
  tcb.timers.kind = TransmitTimer.LOSS_PROBE;
  rearmRetransmit(tcb, now);
  if (tcb.timers.transmitAtUs <= now + 1) {
    armTransmitTimer(tcb, TransmitTimer.RETRANSMIT, now + tcb.rtt.backedOffUs);
  }
  return true;
}

/** A probe is a retransmission of something that is not known to be lost. */
function resendProbe(tcb: Tcb, node: SentSegment, out: TcpHeader, slices: Slices, now: number): void {
  const wasLost = (node.flags & LOST) !== 0;
  retransmit(tcb, node, 1, out, slices, now);
  if (!wasLost) tcb.queue.unmark(node, LOST);
}

/** RFC 9293 3.8.6.1: what the window has room for, below the MSS; or an empty segment that asks for an ACK. */
function sendWindowProbe(tcb: Tcb, out: TcpHeader, slices: Slices, now: number): boolean {
  const { snd, rtt, recovery, intents } = tcb;
  intents.windowProbe = false;
  tcb.timers.kind = TransmitTimer.NONE;
  const room = distance(advance(snd.una, snd.wnd), snd.nxt);
  const unsent = distance(tcb.dataEnd, snd.nxt);
  if (room > 0) {
    const bytes = Math.min(room, unsent, snd.mss);
    const fin = tcb.finQueued && !tcb.finSent && bytes === unsent && room > bytes;
    if (bytes > 0 || fin) {
      transmitNew(tcb, snd.nxt, bytes, fin, out, slices, now);
      return true;
    }
  }
  rtt.backoff++;
  recovery.probesOut++;
  armWindowProbe(tcb, now);
  return sendProbeAck(tcb, out, now);
}

/** An empty segment with a sequence number that was acknowledged already: the peer must answer (RFC 9293 3.8.4). */
function sendProbeAck(tcb: Tcb, out: TcpHeader, now: number): boolean {
  tcb.intents.keepaliveProbe = false;
  fillHeader(tcb, out, advance(tcb.snd.una, -1), 0, now);
  return true;
}

/** RFC 5681 4.1: after an idle RTO the congestion window is no longer known to be right. */
function restartAfterIdle(tcb: Tcb, now: number): void {
  const { queue, totals, rtt, settings, recovery } = tcb;
  if (!settings.slowStartAfterIdle || queue.packetsOut > 0) return;
  let idle = now - totals.lastDataSentUs;
  if (idle <= rtt.rtoUs || tcb.cwnd <= settings.initialWindow) return;
  tcb.congestion.onRestart(tcb, idle, now);
  tcb.ssthresh = Math.max(tcb.ssthresh, (tcb.cwnd >> 1) + (tcb.cwnd >> 2));
  while ((idle -= rtt.rtoUs) > 0 && tcb.cwnd > settings.initialWindow) tcb.cwnd >>= 1;
  tcb.cwnd = Math.max(tcb.cwnd, settings.initialWindow);
  recovery.cwndStampUs = now;
  recovery.cwndUsed = 0;
}

/** RFC 7661, RFC 2861: the congestion window grows only while it is what limits the flow. */
function noteWindowUse(tcb: Tcb, limited: boolean, now: number): void {
  const { recovery, snd, queue } = tcb;
  if (
    geq(snd.una, recovery.cwndUsageSeq) || limited ||
    (!tcb.cwndLimited && queue.packetsOut > recovery.maxPacketsOut)
  ) {
    tcb.cwndLimited = limited;
    recovery.maxPacketsOut = queue.packetsOut;
    recovery.cwndUsageSeq = snd.nxt;
  }
  if (tcb.isCwndLimited) {
    recovery.cwndUsed = 0;
    recovery.cwndStampUs = now;
  } else {
    recovery.cwndUsed = Math.max(recovery.cwndUsed, queue.packetsOut);
    if (tcb.settings.slowStartAfterIdle && now - recovery.cwndStampUs >= tcb.rtt.rtoUs) {
      shrinkUnused(tcb, now);
    }
  }
}

/** RFC 2861 3.2: what was not used for a round trip is no longer known to be available. */
function shrinkUnused(tcb: Tcb, now: number): void {
  const { recovery, settings } = tcb;
  if (recovery.caState === CaState.OPEN && !tcb.sendBlocked) {
    const used = Math.max(recovery.cwndUsed, settings.initialWindow);
    if (used < tcb.cwnd) {
      tcb.ssthresh = Math.max(tcb.ssthresh, (tcb.cwnd >> 1) + (tcb.cwnd >> 2));
      tcb.cwnd = (tcb.cwnd + used) >> 1;
    }
    recovery.cwndUsed = 0;
  }
  recovery.cwndStampUs = now;
}

/** True while the connection has something that only `nextSegment` can send, window or not. */
export function hasIntent(tcb: Tcb): boolean {
  const { intents } = tcb;
  return tcb.ack.now || intents.syn || intents.reset || intents.strayReset || intents.lossProbe ||
    intents.windowProbe || intents.keepaliveProbe ||
    (lt(tcb.snd.nxt, tcb.dataEnd) && tcb.state >= State.ESTABLISHED);
}
