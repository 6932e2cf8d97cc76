import type { Slices } from "../buffer/memory.ts";
import type { TcpHeader } from "../wire/tcp.ts";
import { LOST, RETRANSMITTED, type SentSegment } from "./retransmit_queue.ts";
import { advance, distance } from "./seq.ts";
import { type Tcb, TransmitTimer } from "./tcb.ts";
import { armWindowProbe, rearmRetransmit } from "./timers.ts";
import { fillHeader } from "./transmit_control.ts";
import { retransmit, sendNew, transmitNew } from "./transmit_data.ts";

/** RFC 8985 7.3: a new segment if there is one, else the last one again. */
export function sendLossProbe(tcb: Tcb, out: TcpHeader, slices: Slices, now: number): boolean {
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
  // RFC 8985 7.3: the RTO starts anew with the probe.
  tcb.timers.kind = TransmitTimer.NONE;
  rearmRetransmit(tcb, now);
  return true;
}

/** A probe is a retransmission of something that is not known to be lost. */
function resendProbe(tcb: Tcb, node: SentSegment, out: TcpHeader, slices: Slices, now: number): void {
  const wasLost = (node.flags & LOST) !== 0;
  retransmit(tcb, node, 1, out, slices, now);
  if (!wasLost) tcb.queue.unmark(node, LOST);
}

/** RFC 9293 3.8.6.1: what the window has room for, below the MSS; or an empty segment that asks for an ACK. */
export function sendWindowProbe(tcb: Tcb, out: TcpHeader, slices: Slices, now: number): boolean {
  const { snd, rtt, recovery, intents } = tcb;
  intents.windowProbe = false;
  tcb.timers.kind = TransmitTimer.NONE;
  const room = distance(advance(snd.una, snd.wnd), snd.nxt);
  const unsent = distance(tcb.dataEnd, snd.nxt);
  if (room > 0) {
    const bytes = Math.min(room, unsent, snd.mss);
    const fin = tcb.finQueued && !tcb.finSent && bytes === unsent && room > bytes;
    if (bytes > 0 || fin) {
      tcb.snd.more = false;
      transmitNew(tcb, snd.nxt, bytes, fin, 0, out, slices, now);
      return true;
    }
  }
  rtt.backoff++;
  recovery.probesOut++;
  armWindowProbe(tcb, now);
  return sendProbeAck(tcb, out, now);
}

/** An empty segment with a sequence number that was acknowledged already: the peer must answer (RFC 9293 3.8.4). */
export function sendProbeAck(tcb: Tcb, out: TcpHeader, now: number): boolean {
  tcb.intents.keepaliveProbe = false;
  fillHeader(tcb, out, advance(tcb.snd.una, -1), 0, now);
  return true;
}
