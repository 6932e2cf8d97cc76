import type { Slices } from "../buffer/memory.ts";
import { CWR, FIN, PSH, type TcpHeader } from "../wire/tcp.ts";
import { mostSegments } from "./accurate_ecn.ts";
import { dataSent } from "./ack_policy.ts";
import { noteLimit } from "./chronograph.ts";
import { probeSent, probeSize } from "./mtu_probe.ts";
import { noteWindowUse } from "./cwnd_use.ts";
import { burstSegments } from "./pacing.ts";
import { PUSHED, type SentSegment } from "./retransmit_queue.ts";
import { advance, distance, geq, gt, later, leq } from "./seq.ts";
import { CaState } from "./state.ts";
import { type Tcb, TransmitTimer } from "./tcb.ts";
import { armWindowProbe, rearmRetransmit, scheduleLossProbe } from "./timers.ts";
import { fillHeader } from "./transmit_control.ts";
import { takePush, wakeWriter } from "./send_buffer.ts";
import { ACCECN_LENGTH, TIMESTAMPS_LENGTH } from "./window.ts";

/** RFC 3168 5: ECN-capable transport, codepoint ECT(0). */
const ECT0 = 2;

/** Lost segments go before new ones, as far as the congestion window allows (RFC 6675 5, step C). */
export function retransmitLost(tcb: Tcb, out: TcpHeader, slices: Slices, now: number): boolean {
  const { queue, snd } = tcb;
  // Not "as many are lost as were sent again": a probe sends again what is not lost, and would hide what is.
  if (queue.lostOut === 0 || queue.inFlight >= tcb.cwnd) return false;
  const node = queue.nextToResend();
  if (node === null) return false;
  // The peer may have shrunk its window; what it does not want any more is not sent, the head excepted.
  if (node !== queue.head && geq(node.seq, advance(snd.una, snd.wnd))) return false;
  retransmit(tcb, node, tcb.cwnd - queue.inFlight, out, slices, now);
  return true;
}

/** Sends `node` again, at most `room` segments of it. */
export function retransmit(
  tcb: Tcb,
  node: SentSegment,
  room: number,
  out: TcpHeader,
  slices: Slices,
  now: number,
): void {
  const { queue, snd, recovery, totals } = tcb;
  // SACK blocks may be in the header now that were not when it was first sent.
  const mss = effectiveMss(tcb);
  const most = Math.max(1, Math.min(room, mostSegments(tcb))) * mss;
  const from = later(node.seq, snd.una);
  // The MTU may have shrunk since (RFC 1191 6.4), or the window may allow only a part.
  if (distance(node.end, from) - (endsWithFin(tcb, node) ? 1 : 0) > most) {
    queue.split(node, advance(from, most), snd.mss);
  }
  fillData(tcb, from, node.end, out, slices, now);
  if ((node.flags & PUSHED) !== 0) out.flags |= PSH;
  cutInto(tcb, mss, slices.length, out);
  queue.resend(node, now);
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

/** What is more than a segment is for the device to cut; the end of each such burst is pushed, as on Linux. */
function cutInto(tcb: Tcb, mss: number, bytes: number, out: TcpHeader): void {
  if (bytes <= mss) return;
  tcb.gsoSize = mss;
  out.flags |= PSH;
}

function endsWithFin(tcb: Tcb, node: SentSegment): boolean {
  return tcb.finSent && gt(node.end, tcb.dataEnd);
}

/** Header and payload of the data in [from, end), whose last number may be the FIN's. True if what was written ends there. */
function fillData(
  tcb: Tcb,
  from: number,
  end: number,
  out: TcpHeader,
  slices: Slices,
  now: number,
): boolean {
  const { snd, sendBuffer, totals } = tcb;
  const dataEnd = tcb.dataEnd;
  const withFin = gt(end, dataEnd);
  const bytes = distance(withFin ? dataEnd : end, from);
  let bits = withFin ? FIN : 0;
  let isPushed = false;
  if (bytes > 0) {
    sendBuffer.slices(distance(from, snd.dataSeq), bytes, slices);
    // RFC 9293 3.9.1.2, SHLD-28: on the last segment of what was written.
    isPushed = (geq(end, dataEnd) && !tcb.snd.more) || end === snd.recordEnds?.[0];
    if (isPushed) bits |= PSH;
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
  return isPushed;
}

/**
 * New data, as windows, Nagle's algorithm and the device's segmentation allow; the FIN after the last byte.
 * `push`: Nagle and corking aside. `force`: one segment in spite of the congestion window (RFC 8985 7.3).
 */
export function sendNew(
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
  const inFlight = queue.inFlight;
  let quota = tcb.cwnd - inFlight;
  if (quota <= 0) {
    // A FIN alone is no load (Linux makes the same exception).
    if (!force && unsent > 0) {
      noteWindowUse(tcb, true, now);
      return false;
    }
    quota = 1;
  }
  const window = distance(advance(snd.una, snd.wnd), from);
  const probe = force ? 0 : probeSize(tcb, unsent, window, now);
  const bytes = probe > 0 ? probe : sizeOfNew(tcb, unsent, quota, push || force || tcb.snd.pushOnce);
  tcb.isWindowLimited = bytes < 0 && Math.min(unsent, snd.mss) > window;
  if (bytes < 0) {
    noteLimit(tcb, now);
    probeLater(tcb, now);
    return false;
  }
  const fin = wantsFin && bytes === unsent;
  transmitNew(tcb, from, bytes, fin, probe, out, slices, now);
  if (probe > 0) probeSent(tcb, queue.tail!);
  if (tcb.sendBlocked) wakeWriter(tcb);
  noteLimit(tcb, now);
  noteWindowUse(tcb, queue.inFlight >= tcb.cwnd, now);
  if (!force) scheduleLossProbe(tcb, false, now);
  return true;
}

/** How many of the `unsent` bytes may go now (0: a FIN alone); -1: none. */
function sizeOfNew(tcb: Tcb, unsent: number, quota: number, push: boolean): number {
  const { snd } = tcb;
  const mss = effectiveMss(tcb);
  const window = distance(advance(snd.una, snd.wnd), snd.nxt);
  const wantsFin = tcb.finQueued && !tcb.finSent;
  // Half the window in one burst at most, as Linux has it: ACKs then come in between.
  const burst = Math.min(burstSegments(tcb), autosizedBurst(tcb, mss));
  const most = Math.min(quota, burst, Math.max(tcb.cwnd >> 1, 1)) * mss;
  const recordEnd = snd.recordEnds?.[0];
  const record = recordEnd === undefined ? Infinity : distance(recordEnd, snd.nxt);
  let bytes = Math.min(unsent, record, most);
  const last = bytes === unsent;
  // RFC 9293 3.8.6.2.1: a segment goes whole or, if the window has no room for it, not at all.
  const needed = Math.min(bytes, mss) + (last && bytes <= mss && wantsFin ? 1 : 0);
  if (needed > window) return -1;
  if (bytes > window) bytes = window - (window % mss);
  else if (last && wantsFin && bytes + 1 > window) bytes = window - (window % mss);
  const partial = bytes % mss;
  if (partial !== 0 && !push && bytes !== record && !(wantsFin && bytes === unsent) && holdsBack(tcb)) {
    bytes -= partial;
    if (bytes === 0) return -1;
  }
  return bytes;
}

const LARGEST_BURST = 65_536;
/** Round trips up to this long let bursts be larger: those of a local network are over before they could hurt. */
const NEAR_UNIT_US = 512;
const FAR = 32;

/**
 * Segments of one transmission that the device cuts: what goes out in about a millisecond at twice the current rate, and
 * more on short paths, so that slow flows do not send bursts (Linux's TSO autosizing).
 */
function autosizedBurst(tcb: Tcb, mss: number): number {
  const { rtt, settings, queue } = tcb;
  const most = mostSegments(tcb);
  if (most <= settings.gsoMinSegments || rtt.srttUs === 0) return most;
  const ahead = tcb.cwnd < tcb.ssthresh / 2 ? 2 : 1.2;
  let bytes = (ahead * mss * Math.max(tcb.cwnd, queue.packetsOut) * 1e6) / rtt.srttUs / 1024;
  const distanceUnits = Math.floor(rtt.minRttUs / NEAR_UNIT_US);
  if (distanceUnits < FAR) bytes += LARGEST_BURST / 2 ** distanceUnits;
  return Math.min(most, Math.max(settings.gsoMinSegments, Math.floor(bytes / mss)));
}

/** Nagle's algorithm in Minshall's form (RFC 9293 3.7.4), and TCP_CORK: a small segment has to wait. */
function holdsBack(tcb: Tcb): boolean {
  const { snd, user, queue } = tcb;
  if (user.cork || snd.holdForMore) return true;
  if (user.noDelay || queue.packetsOut === 0) return false;
  return gt(snd.smallEnd, snd.una) && leq(snd.smallEnd, snd.nxt);
}

/** Bytes that there are for options. */
const OPTION_BYTES = 40;

/** SACK blocks take room in data segments too. */
function effectiveMss(tcb: Tcb): number {
  const { snd, options, outOfOrder, accurateEcn } = tcb;
  if (!options.sack || (outOfOrder.count === 0 && !tcb.dsackPending)) return snd.mss;
  if (accurateEcn !== null && accurateEcn.reservesOption) {
    // With the option of Accurate ECN they take what there is.
    const reserved = ACCECN_LENGTH + (options.timestamps ? TIMESTAMPS_LENGTH : 0);
    return Math.max(8, snd.mss - (OPTION_BYTES - reserved));
  }
  const blocks = Math.min(
    (tcb.dsackPending ? 1 : 0) + Math.min(outOfOrder.count, tcb.recentSackCount),
    options.timestamps ? 3 : 4,
  );
  return Math.max(8, snd.mss - (blocks > 0 ? 4 + 8 * blocks : 0));
}

export function transmitNew(
  tcb: Tcb,
  from: number,
  bytes: number,
  fin: boolean,
  probe: number,
  out: TcpHeader,
  slices: Slices,
  now: number,
): void {
  const { snd, queue, recovery } = tcb;
  const end = advance(from, bytes + (fin ? 1 : 0));
  tcb.intents.windowProbe = false;
  // A probe of the path MTU (RFC 4821) is one segment, however long, and of just that length.
  if (probe > 0 && tcb.accurateEcn !== null) tcb.accurateEcn.carriesOption = false;
  const mss = Math.max(effectiveMss(tcb), probe);
  const count = Math.max(1, Math.ceil(bytes / mss));
  let isPushed = fillData(tcb, from, end, out, slices, now);
  if (takePush(tcb, end)) {
    out.flags |= PSH;
    isPushed = true;
  }
  cutInto(tcb, mss, bytes, out);
  const prior = queue.packetsOut;
  const node = queue.append(from, end, count, now);
  node.deliveredBefore = recovery.delivered;
  if (isPushed) node.flags |= PUSHED;
  snd.nxt = end;
  if (snd.recordEnds !== null && snd.recordEnds.length > 0 && leq(snd.recordEnds[0], end)) {
    snd.recordEnds.shift();
  }
  if (fin) tcb.finSent = true;
  if (bytes < count * mss) snd.smallEnd = end;
  if (recovery.caState === CaState.CWR || recovery.caState === CaState.RECOVERY) recovery.prrOut += count;
  if (prior === 0 || tcb.timers.kind === TransmitTimer.LOSS_PROBE) rearmRetransmit(tcb, now);
}

/** Data waits, nothing is in flight: the window probe timer sees to it (RFC 9293 3.8.6.1). */
function probeLater(tcb: Tcb, now: number): void {
  if (tcb.queue.packetsOut === 0 && tcb.timers.kind === TransmitTimer.NONE) armWindowProbe(tcb, now);
}
