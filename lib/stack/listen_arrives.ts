import { defersAccept } from "../tcp/defer_accept.ts";
import { takeSynData } from "../tcp/fast_open.ts";
import type { TimeWait } from "../tcp/time_wait.ts";
import { openPassive } from "../tcp/user_calls.ts";
import { DROP } from "../wire/drop.ts";
import { ACK, FIN, RST, SYN, type TcpHeader } from "../wire/tcp.ts";
import type { Arrival } from "./arrival.ts";
import { newChild } from "./child.ts";
import type { Connection } from "./connection.ts";
import { addConnection, makeAcceptable, successorSequence } from "./connections.ts";
import type { Core } from "./core.ts";
import { giveCookie, judgeFastOpen } from "./fast_open.ts";
import type { Listener } from "./listener.ts";
import { sendReset } from "./reset.ts";
import { sendCookie, takeCookie } from "./syn_cookies.ts";

/** RFC 9293 3.10.7.2, LISTEN STATE. `replaced`: the connection in TIME-WAIT that the segment's SYN ends, if any. */
export function listenArrives(
  core: Core,
  listener: Listener,
  arrival: Arrival,
  segment: TcpHeader,
  replaced: TimeWait | null,
  now: number,
): void {
  const { flags } = segment;
  // first, check for a RST
  if ((flags & RST) !== 0) return core.drop(DROP.tcpNotSyn);
  // second, check for an ACK: of a SYN-ACK that we do not remember, or of nothing
  if ((flags & ACK) !== 0) {
    if (takeCookie(core, listener, arrival, segment, now)) return;
    core.drop(DROP.tcpNotSyn);
    return sendReset(core, arrival, segment, now);
  }
  // third, check for a SYN. As Linux: one that ends what it begins is no honest one.
  const { synCookies, bsd } = core.tcpSettings;
  if ((flags & SYN) === 0 || ((flags & FIN) !== 0 && !bsd)) return core.drop(DROP.tcpNotSyn);
  // A peer that we had a connection with is real, and the connection that ends gives its room.
  const isCookieWanted = replaced === null && (synCookies === 2 || listener.isHalfOpenFull);
  if (isCookieWanted && synCookies === 0) return core.drop(DROP.tcpSynQueueFull);
  if (listener.isFull) return core.drop(DROP.tcpBacklogFull);
  if (isCookieWanted) return sendCookie(core, listener, arrival, segment, now);
  openChild(core, listener, arrival, segment, replaced, now);
}

function openChild(
  core: Core,
  listener: Listener,
  arrival: Arrival,
  segment: TcpHeader,
  replaced: TimeWait | null,
  now: number,
): void {
  const child = newChild(core, listener, arrival);
  const { localAddress, localPort, remoteAddress, remotePort, tcb } = child;
  const iss = replaced !== null
    ? successorSequence(replaced)
    : core.initialSequence.next(localAddress, localPort, remoteAddress, remotePort, now);
  const verdict = judgeFastOpen(core, listener, arrival.ip, segment);
  openPassive(tcb, segment, iss, now);
  if (verdict === "cookie") giveCookie(core, child);
  else if (verdict === "data") {
    takeSynData(tcb, segment, now);
    child.earlyOf = listener;
    listener.earlyCount++;
    makeAcceptable(core, listener, child);
  }
  addConnection(core, child);
}

/** What becomes of a segment that may complete the handshake of a child. */
export type Admission = "take" | "drop" | "refuse";

/**
 * As Linux: while TCP_DEFER_ACCEPT waits for data the bare ACK is dropped; while the accept queue is full no handshake is
 * completed, and the peer repeats its ACK or data, or is refused if the settings say so.
 */
export function admit(connection: Connection, segment: TcpHeader): Admission {
  const { listener, tcb } = connection;
  if (listener === null || connection.wasEstablished) return "take";
  if ((segment.flags & (SYN | RST)) !== 0) return "take";
  if (defersAccept(tcb, segment)) return "drop";
  return listener.isFull ? "refuse" : "take";
}
