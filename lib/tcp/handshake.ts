import { ECONNREFUSED } from "../errno.ts";
import { SSTHRESH_INFINITE } from "./congestion/congestion_control.ts";
import { ACK, AE, CWR, ECE, RST, SYN, type TcpHeader } from "../wire/tcp.ts";
import { acceptSyn, acceptSynAck, thirdAckArrives } from "./accurate_ecn.ts";
import { acknowledge } from "./acknowledge.ts";
import { scheduleAck } from "./ack_policy.ts";
import { fastOpenAnswered } from "./fast_open.ts";
import { isLimited } from "./invalid.ts";
import { startMtuProbing } from "./mtu_probe.ts";
import { updatePacingRate } from "./pacing.ts";
import { receiveFin, receiveText } from "./receive.ts";
import { advance, gt, leq } from "./seq.ts";
import { State } from "./state.ts";
import type { Tcb } from "./tcb.ts";
import { timestampOf } from "./timestamps.ts";
import { startKeepalive } from "./timers.ts";
import { toClosed, toEstablished } from "./transitions.ts";
import { selectInitialWindow, TIMESTAMPS_LENGTH, updateSendMss } from "./window.ts";

/** RFC 6298 5.7: the timeout after a handshake whose SYN had to be retransmitted and gave no RTT sample. */
const RTO_AFTER_LOST_SYN_US = 3_000_000;

/** The variables of a connection that is about to send its first SYN. */
export function initializeSend(tcb: Tcb, iss: number, now: number): void {
  const { snd, recovery } = tcb;
  snd.iss =
    snd.una =
    snd.nxt =
    snd.smallEnd =
      iss | 0;
  snd.dataSeq = snd.pushedEnd = advance(iss, 1);
  recovery.highSeq =
    recovery.undoMarker =
    recovery.highestSacked =
    recovery.cwndUsageSeq =
      iss | 0;
  recovery.cwndStampUs = now;
  tcb.openedAtUs = now;
  tcb.intents.syn = true;
}

/** RFC 9293 3.10.1, OPEN, active. */
export function openActive(tcb: Tcb, iss: number, now: number): void {
  initializeSend(tcb, iss, now);
  tcb.isHeld = true;
  selectInitialWindow(tcb, tcb.linkMss, tcb.settings.windowScaling);
  updateSendMss(tcb);
  tcb.cwnd = 1;
  tcb.state = State.SYN_SENT;
}

/** RFC 9293 3.10.7.2, third: the child of a listener, made from the SYN that the listener got. */
export function openPassive(tcb: Tcb, syn: TcpHeader, iss: number, now: number): void {
  initializeSend(tcb, iss, now);
  tcb.passive = true;
  synchronize(tcb, syn, now);
  acceptSyn(tcb, syn);
  agreeOnEcn(tcb, syn, (syn.flags & (ECE | CWR)) === (ECE | CWR));
  selectInitialWindow(
    tcb,
    tcb.linkMss - (tcb.options.timestamps ? TIMESTAMPS_LENGTH : 0),
    tcb.options.windowScaling,
  );
  tcb.cwnd = 1;
  tcb.state = State.SYN_RECEIVED;
  tcb.totals.segmentsIn++;
}

/** Takes the peer's initial sequence number and options from its SYN. */
function synchronize(tcb: Tcb, syn: TcpHeader, now: number): void {
  const { rcv, snd, options, settings, timestamps } = tcb;
  rcv.irs = syn.seq;
  rcv.nxt =
    rcv.wup =
    rcv.readSeq =
    rcv.copiedSeq =
    rcv.rttSeq =
      advance(syn.seq, 1);
  rcv.copiedAtUs = now;
  // RFC 9293 3.7.1: 536 if the option is absent.
  snd.peerMss = syn.mss > 0 ? syn.mss : 536;
  options.sack = settings.sack && syn.sackPermitted;
  options.timestamps = settings.timestamps && syn.timestamps;
  options.windowScaling = settings.windowScaling && syn.windowScale >= 0;
  snd.scale = options.windowScaling ? syn.windowScale : 0;
  if (options.timestamps) {
    timestamps.recent = syn.timestampValue;
    timestamps.recentAtUs = now;
  }
  // RFC 7323 2.2: the window in a SYN is never scaled.
  snd.wnd = snd.maxWnd = syn.window;
  snd.wl1 = syn.seq;
  rcv.mss = Math.min(536, snd.peerMss);
  updateSendMss(tcb);
}

/** RFC 3168 6.1.1, if not on Accurate ECN. */
function agreeOnEcn(tcb: Tcb, syn: TcpHeader, offered: boolean): void {
  // A SYN that arrives with ECT or CE shows a network or host that sets bits it should not, if it is of RFC 3168's kind.
  const isPlausible = syn.ecn === 0 || (syn.flags & AE) !== 0;
  tcb.options.ecn = tcb.accurateEcn === null && tcb.settings.ecn !== 0 && offered && isPlausible;
}

/** RFC 9293 3.10.7.3, SYN-SENT STATE */
export function synSentArrives(tcb: Tcb, seg: TcpHeader, now: number): void {
  const { snd } = tcb;
  const hasAck = (seg.flags & ACK) !== 0;
  // first, check the ACK bit
  if (hasAck && (leq(seg.ack, snd.iss) || gt(seg.ack, snd.nxt) || !echoesOurs(tcb, seg, now))) {
    if ((seg.flags & RST) === 0) {
      tcb.intents.strayReset = true;
      tcb.intents.resetSeq = seg.ack;
    }
    return;
  }
  // second, check the RST bit
  if ((seg.flags & RST) !== 0) {
    if (hasAck) toClosed(tcb, ECONNREFUSED);
    return;
  }
  // third, check the security: there is none. fourth, check the SYN bit
  if ((seg.flags & SYN) === 0) return;
  synchronize(tcb, seg, now);
  if (hasAck) synAckArrives(tcb, seg, now);
  else simultaneousOpen(tcb, seg);
}

/** RFC 7323 5: a SYN-ACK that echoes a timestamp we never sent belongs to an old connection. */
function echoesOurs(tcb: Tcb, seg: TcpHeader, now: number): boolean {
  if (!seg.timestamps || !tcb.settings.timestamps || seg.timestampEcho === 0) return true;
  const first = timestampOf(tcb, tcb.openedAtUs);
  const latest = timestampOf(tcb, now);
  return ((seg.timestampEcho - first) | 0) >= 0 && ((latest - seg.timestampEcho) | 0) >= 0;
}

function synAckArrives(tcb: Tcb, seg: TcpHeader, now: number): void {
  const { rcv } = tcb;
  const { ecn } = tcb.settings;
  acceptSynAck(tcb, seg);
  agreeOnEcn(tcb, seg, (ecn === 1 || ecn === 3 || ecn === 4) && (seg.flags & (ECE | CWR)) === ECE);
  if (!tcb.options.windowScaling) rcv.scale = 0;
  acknowledge(tcb, seg, now);
  establish(tcb, now);
  fastOpenAnswered(tcb, seg);
  tcb.ack.now = true;
  // RFC 9293 3.10.7.3, fourth: data and control that came with the SYN are processed as in the seventh step.
  if (seg.payloadLength > 0 || (seg.flags & 1) !== 0) {
    const seq = seg.seq;
    seg.seq = advance(seq, 1);
    receiveText(tcb, seg, now);
    receiveFin(tcb, seg, now);
    seg.seq = seq;
  }
}

/** RFC 9293 3.5, figure 8: both sides opened at once. */
function simultaneousOpen(tcb: Tcb, seg: TcpHeader): void {
  acceptSyn(tcb, seg);
  agreeOnEcn(tcb, seg, (seg.flags & (ECE | CWR)) === (ECE | CWR));
  if (!tcb.options.windowScaling) tcb.rcv.scale = 0;
  tcb.state = State.SYN_RECEIVED;
  tcb.intents.syn = true;
}

/**
 * RFC 9293 3.10.7.4, fifth, SYN-RECEIVED STATE: the ACK of our SYN. False if the ACK is not acceptable (a reset is on
 * its way then).
 */
export function synReceivedAck(tcb: Tcb, seg: TcpHeader, now: number): boolean {
  if (leq(seg.ack, tcb.snd.una) || gt(seg.ack, tcb.snd.nxt)) {
    tcb.intents.strayReset = true;
    tcb.intents.resetSeq = seg.ack;
    return false;
  }
  if (tcb.accurateEcn !== null && (seg.flags & SYN) === 0) thirdAckArrives(tcb, tcb.accurateEcn, seg);
  acknowledge(tcb, seg, now);
  establish(tcb, now);
  return true;
}

function establish(tcb: Tcb, now: number): void {
  const { rtt, totals, settings } = tcb;
  toEstablished(tcb);
  tcb.snd.maxWnd = Math.max(tcb.snd.maxWnd, tcb.snd.wnd);
  updateSendMss(tcb);
  // RFC 6928 2, and RFC 5681 3.1: a lost SYN means a window of one segment
  tcb.cwnd = totals.retransmitted > 1 ? 1 : settings.initialWindow;
  tcb.ssthresh = SSTHRESH_INFINITE;
  updatePacingRate(tcb);
  tcb.recovery.cwndStampUs = now;
  tcb.recovery.retransStampUs = 0;
  if (rtt.srttUs === 0) {
    rtt.rtoUs = Math.max(rtt.rtoUs, RTO_AFTER_LOST_SYN_US);
    rtt.backoff = 0;
  }
  totals.lastDataSentUs = totals.lastAckReceivedUs = tcb.ack.lastReceivedUs = now;
  startKeepalive(tcb, now);
  startMtuProbing(tcb, now);
}

/**
 * A SYN of the connection arrived again while our SYN-ACK is not acknowledged: it was lost, or theirs was slow. The
 * answer is limited, so that forged SYNs do not make us flood somebody.
 */
export function repeatSynAck(tcb: Tcb, now: number): void {
  if (isLimited(tcb, now)) return;
  tcb.intents.syn = true;
  scheduleAck(tcb);
}
