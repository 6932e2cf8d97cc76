import type { Slices } from "../buffer/memory.ts";
import type { TcpHeader } from "../wire/tcp.ts";
import { planOption } from "./accurate_ecn.ts";
import { isEarly, isSynHeld } from "./fast_open.ts";
import { dataPaced, mustPace } from "./pacing.ts";
import { gt } from "./seq.ts";
import { State } from "./state.ts";
import { type Tcb, updateDeadline } from "./tcb.ts";
import { sendAck, sendReset, sendStrayReset, sendSyn } from "./transmit_control.ts";
import { retransmitLost, sendNew } from "./transmit_data.ts";
import { sendLossProbe, sendProbeAck, sendWindowProbe } from "./transmit_probes.ts";

/**
 * The next segment that the connection has to send: the ONLY place that decides what is sent. Fills `out` (ports and
 * checksum aside) and `slices`, the payload where it lies in the send buffer. False: nothing to send now.
 */
export function nextSegment(tcb: Tcb, out: TcpHeader, slices: Slices, now: number): boolean {
  slices.clear();
  out.clearOptions();
  tcb.gsoSize = 0;
  out.urgentPointer = 0;
  out.ecn = 0;
  if (tcb.accurateEcn !== null) planOption(tcb, tcb.accurateEcn, now);
  const sent = decide(tcb, out, slices, now);
  if (sent) account(tcb, slices.length, now);
  updateDeadline(tcb);
  return sent;
}

/** Counts what was sent, as segments on the wire: the device cuts what is longer than `gsoSize`. */
function account(tcb: Tcb, bytes: number, now: number): void {
  const { totals, gsoSize } = tcb;
  const segments = gsoSize > 0 ? Math.ceil(bytes / gsoSize) : 1;
  totals.segmentsOut += segments;
  if (bytes === 0) return;
  totals.dataSegmentsOut += segments;
  dataPaced(tcb, bytes, now);
}

function decide(tcb: Tcb, out: TcpHeader, slices: Slices, now: number): boolean {
  const { intents, recovery } = tcb;
  if (intents.strayReset) return sendStrayReset(tcb, out);
  if (intents.reset) return sendReset(tcb, out, now);
  if (tcb.state === State.CLOSED) return false;
  if (intents.syn) return !isSynHeld(tcb) && sendSyn(tcb, out, slices, now);
  if (tcb.state < State.ESTABLISHED) {
    // RFC 7413 4.2.2: the answer to data in a SYN need not wait for the handshake.
    if (isEarly(tcb) && !mustPace(tcb, now) && sendNew(tcb, out, slices, false, false, now)) return true;
    return tcb.ack.now && tcb.state === State.SYN_RECEIVED && sendAck(tcb, out, now);
  }
  const isHeld = mustPace(tcb, now);
  if (recovery.preferNew && !isHeld) {
    // RFC 5682 2.1 step 2b: new data shows whether the timeout was spurious.
    if (sendNew(tcb, out, slices, true, false, now)) return true;
    recovery.preferNew = false;
    if (!gt(tcb.snd.nxt, recovery.highSeq)) recovery.frto = false;
  }
  if (!isHeld && retransmitLost(tcb, out, slices, now)) return true;
  if (intents.lossProbe) {
    intents.lossProbe = false;
    if (sendLossProbe(tcb, out, slices, now)) return true;
  }
  if (!isHeld && sendNew(tcb, out, slices, false, false, now)) return true;
  if (intents.windowProbe) return sendWindowProbe(tcb, out, slices, now);
  if (intents.keepaliveProbe) return sendProbeAck(tcb, out, now);
  if (tcb.ack.now) return sendAck(tcb, out, now);
  return false;
}
