import { distance } from "./seq.ts";
import { EVENT_WRITABLE, State } from "./state.ts";
import type { Tcb } from "./tcb.ts";

/** No chunk of the send buffer is larger. */
const MAX_CHUNK = 65535;

/**
 * What of the send buffer is filled at once before room is asked for again: half the largest window the peer offered, in
 * whole segments.
 */
function chunkSize(tcb: Tcb): number {
  const { snd } = tcb;
  const most = Math.min(snd.maxWnd >> 1, MAX_CHUNK);
  return Math.max(most - (most % snd.mss), snd.mss);
}

/** Bytes of what waits, or is written now, that the windows let go at once. */
function sendable(tcb: Tcb): number {
  if (tcb.state < State.ESTABLISHED) return 0;
  const { snd, queue } = tcb;
  const byPeer = (snd.una + snd.wnd - snd.nxt) | 0;
  return Math.max(0, Math.min((tcb.cwnd - queue.inFlight) * snd.mss, byPeer));
}

/**
 * How many more bytes the application may write. As Linux has it: a chunk that is begun is filled, and one may be begun
 * while less than SO_SNDBUF is held and less than TCP_NOTSENT_LOWAT waits to be sent.
 */
export function sendRoom(tcb: Tcb): number {
  const { sendBuffer, snd, user, sendLimit } = tcb;
  const unsent = Math.max(0, distance(tcb.dataEnd, snd.nxt));
  const chunk = chunkSize(tcb);
  const goes = sendable(tcb);
  const held = sendBuffer.length - unsent + goes;
  const lowWater = user.notSentLowWater > 0 ? user.notSentLowWater : Infinity;
  const chunks = Math.min(Math.ceil((sendLimit - held) / chunk), Math.ceil(lowWater / chunk));
  return Math.max(0, Math.max(0, chunks) * chunk - unsent + goes);
}

/**
 * The application waits for room: is there enough to wake it? A third of the buffer, as Linux has it; and less than half
 * of TCP_NOTSENT_LOWAT unsent.
 */
export function wakeWriter(tcb: Tcb): void {
  if (!tcb.sendBlocked || (tcb.sendLimit - tcb.sendBuffer.length) * 3 < tcb.sendLimit) return;
  const { notSentLowWater } = tcb.user;
  if (notSentLowWater > 0 && distance(tcb.dataEnd, tcb.snd.nxt) * 2 >= notSentLowWater) return;
  tcb.sendBlocked = false;
  tcb.events |= EVENT_WRITABLE;
}

/** Two congestion windows fit in the send buffer, up to its largest size (as Linux tunes it). */
export function tuneSendBuffer(tcb: Tcb): void {
  if (tcb.user.sendBufferFixed) return;
  const wanted = 2 * Math.max(tcb.cwnd, tcb.settings.initialWindow) * tcb.snd.mss;
  if (wanted > tcb.sendLimit) tcb.sendLimit = Math.min(wanted, tcb.settings.sendBufferMax);
}
