import { ACK, AE, CWR, ECE, SYN, TcpHeader } from "../wire/tcp.ts";
import { aceOf } from "./accurate_ecn.ts";
import { openPassive } from "./handshake.ts";
import { EVER_RETRANSMITTED } from "./retransmit_queue.ts";
import { advance } from "./seq.ts";
import type { Tcb } from "./tcb.ts";
import { timestampOf } from "./timestamps.ts";
import { fillSyn } from "./transmit_control.ts";

/**
 * RFC 4987 3.6, what TCP has to do for SYN cookies: a SYN-ACK for which no connection is kept, and the connection that
 * the peer's ACK of it brings about. What the peer offered in its SYN is told apart by the low bits of our timestamp,
 * which it echoes, laid out as Linux does: four bits of window scale, one for SACK, one for ECN.
 */
const OPTION_BITS = 6;
const OPTION_MASK = (1 << OPTION_BITS) - 1;
const SCALE_MASK = 0xf;
const SACK_BIT = 1 << 4;
const ECN_BIT = 1 << 5;

/** The SYN that a cookie tells of; reused. */
const remembered = new TcpHeader();

/**
 * Fills `out` with the SYN-ACK to `syn`. `tcb` is a block that serves every such answer and stands for no connection: it
 * has the listener's options and the timestamp offset for this peer. `iss` is the cookie.
 */
export function fillCookieSynAck(tcb: Tcb, syn: TcpHeader, iss: number, out: TcpHeader, now: number): void {
  if (!tcb.settings.timestamps || !syn.timestamps) {
    // Without a timestamp there is nowhere to keep what else was offered: then it is not agreed on.
    syn.sackPermitted = false;
    syn.windowScale = -1;
    syn.flags &= ~(AE | ECE | CWR);
  }
  openPassive(tcb, syn, iss, now);
  out.clearOptions();
  out.urgentPointer = 0;
  fillSyn(tcb, out, now);
  if (tcb.options.timestamps) {
    const clock = timestampOf(tcb, now) - tcb.timestamps.offset;
    out.timestampValue = (withOptions(clock, optionBits(tcb)) + tcb.timestamps.offset) | 0;
  }
}

function optionBits(tcb: Tcb): number {
  const { options, snd } = tcb;
  return (options.windowScaling ? snd.scale : SCALE_MASK) | (options.sack ? SACK_BIT : 0) |
    (options.ecn || tcb.accurateEcn !== null ? ECN_BIT : 0);
}

/** The latest time not after `clock` whose low bits are `bits`: timestamps never run backwards (RFC 7323 5.4). */
function withOptions(clock: number, bits: number): number {
  const stamp = (clock & ~OPTION_MASK) | bits;
  return (clock & OPTION_MASK) < bits ? (stamp - (OPTION_MASK + 1)) | 0 : stamp;
}

/**
 * Opens the connection whose SYN-ACK had the sequence number `iss` and was acknowledged by `ack`; the next thing to do
 * is to let that segment arrive. `tcb` has its options and timestamp offset already; `mss` is what the cookie tells.
 * False if the ACK claims what we never agree on.
 */
export function openFromCookie(tcb: Tcb, ack: TcpHeader, iss: number, mss: number, now: number): boolean {
  const { settings, queue, snd } = tcb;
  const syn = remembered;
  syn.clearOptions();
  syn.flags = SYN;
  syn.seq = advance(ack.seq, -1);
  syn.ack = 0;
  syn.window = ack.window;
  syn.ecn = 0;
  syn.mss = mss;
  if (ack.timestamps) {
    const bits = (ack.timestampEcho - tcb.timestamps.offset) & OPTION_MASK;
    const scale = bits & SCALE_MASK;
    syn.timestamps = true;
    syn.timestampValue = ack.timestampValue;
    syn.sackPermitted = (bits & SACK_BIT) !== 0;
    syn.windowScale = scale === SCALE_MASK ? -1 : scale;
    // RFC 9768 5.1: an ACK that tells how our SYN-ACK arrived shows that Accurate ECN was agreed on.
    if ((bits & ECN_BIT) !== 0) syn.flags |= aceOf(ack.flags) > 1 ? AE | ECE | CWR : ECE | CWR;
    if (!settings.timestamps || (syn.sackPermitted && !settings.sack)) return false;
    if (syn.windowScale >= 0 && !settings.windowScaling) return false;
  }
  openPassive(tcb, syn, iss, now);
  // The SYN-ACK was sent, nobody knows when: it gives no round-trip time of its own (Karn), a timestamp may.
  tcb.intents.syn = false;
  queue.append(snd.iss, advance(snd.iss, 1), 1, now).flags |= EVER_RETRANSMITTED;
  snd.nxt = advance(snd.iss, 1);
  return true;
}

/** Whether the segment may be the ACK of a SYN-ACK with a cookie. */
export function mayCarryCookie(segment: TcpHeader): boolean {
  return (segment.flags & (SYN | ACK)) === ACK;
}
