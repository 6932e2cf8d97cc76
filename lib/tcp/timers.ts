import { ETIMEDOUT } from "../errno.ts";
import { delayedAckExpired } from "./ack_policy.ts";
import { restartAfterIdle } from "./cwnd_use.ts";
import { isHandshakeOver, mayRepeatSynAck } from "./defer_accept.ts";
import { isEarly } from "./fast_open.ts";
import { timeoutOnPath } from "./mtu_probe.ts";
import { retransmitNow } from "./path_mtu.ts";
import { rackDetectLoss, TIMEOUT_MIN_US } from "./rack.ts";
import { enterLoss, enterRecovery, reduceWindow } from "./recovery.ts";
import { EVER_RETRANSMITTED } from "./retransmit_queue.ts";
import { lt } from "./seq.ts";
import { CaState, State } from "./state.ts";
import { type Tcb, TransmitTimer, updateDeadline } from "./tcb.ts";
import { resetConnection, toClosed } from "./transitions.ts";

/**
 * The timer fires in `delayUs`. Not "at": a time is too large for a small integer, and each one that is passed on could
 * be an allocation.
 */
export function armTransmitTimer(tcb: Tcb, kind: number, delayUs: number, now: number): void {
  tcb.timers.kind = kind;
  tcb.timers.transmitAtUs = now + delayUs;
}

function disarmTransmitTimer(tcb: Tcb): void {
  tcb.timers.kind = TransmitTimer.NONE;
  tcb.timers.transmitAtUs = Infinity;
}

/** The backed-off RTO, or what is left of the user timeout (RFC 5482) if that is less. */
function retransmitDelay(tcb: Tcb, now: number): number {
  const { rtt, recovery } = tcb;
  if (recovery.retransStampUs === 0) return rtt.backedOffUs;
  return Math.min(rtt.backedOffUs, Math.max(userTimeoutAt(tcb) - now, 1));
}

/** RFC 6298 5.1-5.3: the retransmission timer runs while something is outstanding, from the last progress on. */
export function rearmRetransmit(tcb: Tcb, now: number): void {
  const { queue, timers } = tcb;
  if (queue.packetsOut === 0) {
    disarmTransmitTimer(tcb);
    return;
  }
  let delay = retransmitDelay(tcb, now);
  if (timers.kind === TransmitTimer.REORDERING || timers.kind === TransmitTimer.LOSS_PROBE) {
    // These came instead of the RTO: it still counts from when the head was sent.
    delay = Math.max(queue.head!.sentAtUs + delay - now, 1);
  }
  armTransmitTimer(tcb, TransmitTimer.RETRANSMIT, delay, now);
}

/** After an ACK of new data: a tail loss probe if one is due before the RTO, else the RTO. */
export function setTransmitTimer(tcb: Tcb, now: number): void {
  if (!scheduleLossProbe(tcb, true, now)) rearmRetransmit(tcb, now);
}

/** RFC 8985 7.2: the probe timeout. */
export function scheduleLossProbe(tcb: Tcb, rtoAdvances: boolean, now: number): boolean {
  const { queue, rtt, recovery, settings, timers } = tcb;
  if (
    tcb.state < State.ESTABLISHED || !settings.tailLossProbe || !tcb.options.sack || queue.packetsOut === 0
  ) return false;
  if (recovery.caState !== CaState.OPEN && recovery.caState !== CaState.CWR) return false;
  let delay = settings.rtoInitialUs;
  if (rtt.srttUs > 0) {
    // With one segment in flight the receiver may delay its ACK.
    delay = 2 * rtt.srttUs + (queue.packetsOut === 1 ? settings.rtoMinUs : TIMEOUT_MIN_US);
  }
  const rto = rtoAdvances || timers.kind !== TransmitTimer.RETRANSMIT
    ? rtt.backedOffUs
    : Math.max(queue.head!.sentAtUs + rtt.backedOffUs - now, 0);
  if (rto > 0) delay = Math.min(delay, rto);
  armTransmitTimer(tcb, TransmitTimer.LOSS_PROBE, delay, now);
  return true;
}

/** There is data, nothing in flight, and no window for it: probe it (RFC 9293 3.8.6.1), sooner or later. */
export function rearmWindowProbe(tcb: Tcb, now: number): void {
  const { queue, timers, rtt, snd } = tcb;
  if (queue.packetsOut > 0) return;
  const hasData = lt(snd.nxt, tcb.dataEnd) || (tcb.finQueued && !tcb.finSent);
  if (!hasData) {
    if (timers.kind === TransmitTimer.WINDOW_PROBE) disarmTransmitTimer(tcb);
    return;
  }
  if (snd.wnd > 0) restartAfterIdle(tcb, now);
  if (snd.wnd > 0 && timers.kind === TransmitTimer.WINDOW_PROBE) {
    rtt.backoff = 0;
    disarmTransmitTimer(tcb);
  } else if (snd.wnd === 0) {
    armWindowProbe(tcb, now);
  }
}

export function armWindowProbe(tcb: Tcb, now: number): void {
  const { rtt, settings, user, recovery, totals } = tcb;
  let delay = Math.min(Math.max(rtt.rtoUs, settings.rtoMinUs) * 2 ** rtt.backoff, settings.rtoMaxUs);
  if (user.userTimeoutUs > 0 && recovery.probesOut > 0) {
    const left = totals.lastAckReceivedUs + user.userTimeoutUs - now;
    delay = Math.min(delay, Math.max(left, TIMEOUT_MIN_US));
  }
  armTransmitTimer(tcb, TransmitTimer.WINDOW_PROBE, delay, now);
}

export function startKeepalive(tcb: Tcb, now: number): void {
  tcb.timers.keepaliveAtUs = tcb.user.keepalive ? now + tcb.user.keepaliveTimeUs : Infinity;
}

/** Fires every timer of the connection that is due. */
export function advanceTimers(tcb: Tcb, now: number): void {
  const { timers, ack, pacing } = tcb;
  // What waits is for nextSegment to send.
  if (pacing.dueUs <= now) pacing.dueUs = Infinity;
  if (timers.lifeAtUs <= now) lifeExpired(tcb);
  if (tcb.state !== State.CLOSED && ack.delayedAtUs <= now) delayedAckExpired(tcb);
  if (tcb.state !== State.CLOSED && timers.transmitAtUs <= now) transmitTimerExpired(tcb, now);
  if (tcb.state !== State.CLOSED && timers.keepaliveAtUs <= now) keepaliveExpired(tcb, now);
  updateDeadline(tcb);
}

/** TIME-WAIT is over, or an orphan's peer never sent its FIN. */
function lifeExpired(tcb: Tcb): void {
  toClosed(tcb, 0);
}

function transmitTimerExpired(tcb: Tcb, now: number): void {
  const kind = tcb.timers.kind;
  tcb.timers.transmitAtUs = Infinity;
  if (kind === TransmitTimer.RETRANSMIT) retransmitExpired(tcb, now);
  else if (kind === TransmitTimer.LOSS_PROBE) tcb.intents.lossProbe = true;
  else if (kind === TransmitTimer.REORDERING) reorderingExpired(tcb, now);
  else if (kind === TransmitTimer.WINDOW_PROBE) windowProbeExpired(tcb, now);
}

/** RFC 6298 5.4-5.7 */
function retransmitExpired(tcb: Tcb, now: number): void {
  const { recovery, rtt, queue, settings } = tcb;
  if (queue.packetsOut === 0) {
    disarmTransmitTimer(tcb);
    return;
  }
  if (givesUp(tcb, now)) {
    timeOut(tcb);
    return;
  }
  if (tcb.state === State.SYN_SENT || tcb.state === State.SYN_RECEIVED) {
    if (mayRepeatSynAck(tcb)) tcb.intents.syn = true;
  } else {
    if (timeoutOnPath(tcb, now)) retransmitNow(tcb, now);
    enterLoss(tcb, now);
  }
  recovery.retransmits++;
  // RFC 6298 5.5: doubled for the retransmission that is due now.
  if (tcb.state !== State.SYN_SENT || recovery.retransmits > settings.synLinearTimeouts) rtt.backoff++;
  armTransmitTimer(tcb, TransmitTimer.RETRANSMIT, retransmitDelay(tcb, now), now);
}

/**
 * RFC 6069: an ICMP message says that the network or the host cannot be reached, so it was no congestion that the timeout
 * told of: one doubling is taken back. `seq` is the sequence number it quotes: that of the retransmission, or it is no
 * answer to that.
 */
export function revertBackoff(tcb: Tcb, seq: number, now: number): void {
  const { recovery, rtt, queue, timers } = tcb;
  if (queue.head === null || timers.kind !== TransmitTimer.RETRANSMIT) return;
  if (seq !== tcb.snd.una || recovery.retransmits === 0 || rtt.backoff === 0) return;
  rtt.backoff--;
  const at = queue.head.sentAtUs + retransmitDelay(tcb, now);
  if (at > now) timers.transmitAtUs = at;
  // The time that is left without the doubling is over already (RFC 6069 4.1, step 5).
  else retransmitExpired(tcb, now);
  updateDeadline(tcb);
}

/** RFC 9293 3.8.3: R2 is reached, or the user timeout (RFC 5482). */
function givesUp(tcb: Tcb, now: number): boolean {
  const { recovery, user, settings } = tcb;
  // As Linux: one retransmission at least, however short the user timeout is.
  if (user.userTimeoutUs > 0) return recovery.retransmits > 0 && now >= userTimeoutAt(tcb);
  if (tcb.state === State.SYN_RECEIVED && tcb.passive) {
    // As Linux: one more for a child that has data already.
    const usual = settings.synAckRetries + (isEarly(tcb) ? 1 : 0);
    return isHandshakeOver(tcb, user.synRetries > 0 ? user.synRetries : usual);
  }
  if (tcb.state < State.ESTABLISHED) {
    return recovery.retransmits >= (user.synRetries > 0 ? user.synRetries : settings.synRetries);
  }
  const most = tcb.orphan ? Math.min(settings.orphanRetries, settings.retries) : settings.retries;
  return recovery.retransmits >= most;
}

/** RFC 5482: when data, or the SYN, has been outstanding for too long. */
function userTimeoutAt(tcb: Tcb): number {
  const { user, queue, totals, openedAtUs } = tcb;
  if (user.userTimeoutUs === 0 || queue.head === null) return Infinity;
  if (tcb.state < State.ESTABLISHED) return openedAtUs + user.userTimeoutUs;
  const first = (queue.head.flags & EVER_RETRANSMITTED) === 0
    ? queue.head.sentAtUs
    : tcb.recovery.retransStampUs;
  return Math.max(first, totals.lastAckReceivedUs) + user.userTimeoutUs;
}

/** The connection is given up: an ICMP error that was heard meanwhile is the better explanation. */
function timeOut(tcb: Tcb): void {
  toClosed(tcb, tcb.softError !== 0 ? tcb.softError : ETIMEDOUT);
}

/** RFC 8985 6.3: the reordering timer. */
function reorderingExpired(tcb: Tcb, now: number): void {
  const { queue, recovery } = tcb;
  const before = queue.inFlight;
  rackDetectLoss(tcb, now);
  if (queue.inFlight !== before && recovery.caState !== CaState.RECOVERY) {
    enterRecovery(tcb, null, now);
    reduceWindow(tcb, 1, 0, false);
  }
  rearmRetransmit(tcb, now);
}

/** RFC 9293 3.8.6.1: the persist timer. A window may stay shut for ever as long as the peer answers. */
function windowProbeExpired(tcb: Tcb, now: number): void {
  const { recovery, settings, user, snd } = tcb;
  const hasData = lt(snd.nxt, tcb.dataEnd) || (tcb.finQueued && !tcb.finSent);
  if (tcb.queue.packetsOut > 0 || !hasData) {
    tcb.timers.kind = TransmitTimer.NONE;
    return;
  }
  const most = tcb.orphan ? settings.orphanRetries : settings.retries;
  const late = user.userTimeoutUs > 0 && recovery.probesOut > 0 &&
    now - tcb.totals.lastAckReceivedUs >= user.userTimeoutUs;
  if (recovery.probesOut >= most || late) {
    timeOut(tcb);
    return;
  }
  tcb.intents.windowProbe = true;
}

/** RFC 9293 3.8.4 */
function keepaliveExpired(tcb: Tcb, now: number): void {
  const { user, totals, recovery, timers, queue, snd } = tcb;
  if (!user.keepalive || tcb.state === State.TIME_WAIT || tcb.state < State.ESTABLISHED) {
    timers.keepaliveAtUs = Infinity;
    return;
  }
  // Data is in flight or waiting: its own timers watch the peer.
  if (queue.packetsOut > 0 || lt(snd.nxt, tcb.dataEnd)) {
    timers.keepaliveAtUs = now + user.keepaliveTimeUs;
    return;
  }
  const idle = now - Math.max(totals.lastAckReceivedUs, tcb.ack.lastReceivedUs);
  if (idle < user.keepaliveTimeUs) {
    timers.keepaliveAtUs = now + user.keepaliveTimeUs - idle;
    return;
  }
  const dead = user.userTimeoutUs > 0
    ? idle >= user.userTimeoutUs && recovery.probesOut > 0
    : recovery.probesOut >= user.keepaliveProbes;
  if (dead) {
    resetConnection(tcb, tcb.softError !== 0 ? tcb.softError : ETIMEDOUT);
    return;
  }
  tcb.intents.keepaliveProbe = true;
  recovery.probesOut++;
  timers.keepaliveAtUs = now + user.keepaliveIntervalUs;
}
