import { segmentArrives } from "../tcp/segment_arrives.ts";
import { type TimeWait, TimeWaitAnswer, timeWaitArrives } from "../tcp/time_wait.ts";
import { abort } from "../tcp/user_calls.ts";
import { fold, pseudoSum, sum } from "../wire/checksum.ts";
import { DROP } from "../wire/drop.ts";
import { IP_PROTOCOL } from "../wire/ipv4.ts";
import { ACK, FIN, parseTcp, RST, SYN, type TcpHeader } from "../wire/tcp.ts";
import type { Arrival } from "./arrival.ts";
import { Connection } from "./connection.ts";
import { giveWay, touch } from "./connections.ts";
import type { Core } from "./core.ts";
import { noteBulk } from "./expected.ts";
import { admit, listenArrives } from "./listen_arrives.ts";
import type { Listener } from "./listener.ts";
import { sendReset } from "./reset.ts";
import { acknowledgeAgain, endTimeWait, TimeWaitEntry } from "./time_wait.ts";

/** A TCP segment came in: to its connection, to a listener, or answered with a reset (RFC 9293 3.10.7). */
export function tcpInput(core: Core, arrival: Arrival, now: number): void {
  const { ip } = arrival;
  const segment = core.segmentIn;
  core.counters.tcpIn++;
  // RFC 9293 3.9.2.3, MUST-57: never to or from a broadcast or multicast address.
  if (arrival.isBroadcast || arrival.isLinkBroadcast) return core.drop(DROP.tcpNotUnicast);
  const drop = parseTcp(arrival.memory!, ip.payloadOffset, ip.payloadLength, segment);
  if (drop !== DROP.none) return core.drop(drop);
  if (!arrival.isVerified && !isChecksumGood(arrival)) return core.drop(DROP.tcpChecksum);
  if (segment.sourcePort === 0 || segment.destinationPort === 0) return core.drop(DROP.tcpPortInvalid);
  const { flags } = segment;
  if (core.tcpSettings.dropSynFin && (flags & SYN) !== 0 && (flags & FIN) !== 0) {
    return core.drop(DROP.tcpSynFin);
  }
  segment.ecn = ip.ecn;
  segment.isPlaced = arrival.isPlaced;
  segment.gsoSize = arrival.gsoSize;
  const { sourcePort, destinationPort } = segment;
  const entry = core.connections.get(ip.destination, destinationPort, ip.source, sourcePort);
  if (entry instanceof Connection) connectionInput(core, entry, arrival, segment, now);
  else if (entry instanceof TimeWaitEntry) timeWaitInput(core, entry, arrival, segment, now);
  else noConnection(core, arrival, segment, null, now);
}

function isChecksumGood(arrival: Arrival): boolean {
  const { ip } = arrival;
  const pseudo = pseudoSum(ip.source, ip.destination, IP_PROTOCOL.tcp, ip.payloadLength);
  return fold(sum(arrival.memory!, ip.payloadOffset, ip.payloadLength, pseudo)) === 0;
}

function connectionInput(
  core: Core,
  connection: Connection,
  arrival: Arrival,
  segment: TcpHeader,
  now: number,
): void {
  const { tcb } = connection;
  const admission = admit(connection, segment);
  if (admission === "refuse") {
    core.drop(DROP.tcpBacklogFull);
    if (!tcb.settings.abortOnOverflow) return;
    abort(tcb, now);
    return touch(core, connection);
  }
  if (admission === "drop") return core.drop(DROP.tcpAcceptDeferred);
  const { timeWait } = tcb;
  if (timeWait !== null && isVainReopening(core, arrival, segment)) {
    if (timeWait.mayAnswer(tcb.settings, now)) tcb.ack.now = true;
    return touch(core, connection);
  }
  noteBulk(core, connection, arrival);
  const una = tcb.snd.una;
  segmentArrives(tcb, segment, now);
  if (tcb.reopen) {
    // RFC 9293 3.6.1, RFC 6191: a new SYN ends TIME-WAIT; what it opens is a new connection.
    giveWay(core, connection);
    return noConnection(core, arrival, segment, timeWait, now);
  }
  // RFC 5681 4.2: in trouble and in slow start the peer counts on every ACK, and some may be lost.
  if (tcb.ack.now && (tcb.outOfOrder.count > 0 || tcb.ack.quick > 0)) core.isUrgent = true;
  // An acknowledgment of new data shows that the neighbor hears us.
  const { neighbor } = connection;
  if (tcb.snd.una !== una && neighbor !== null) neighbor.link.neighbors.confirm(neighbor, now);
  touch(core, connection);
}

/** The same for a connection of which only its TIME-WAIT is left. */
function timeWaitInput(
  core: Core,
  entry: TimeWaitEntry,
  arrival: Arrival,
  segment: TcpHeader,
  now: number,
): void {
  const { wait } = entry;
  const { tcpSettings } = core;
  if (isVainReopening(core, arrival, segment)) {
    if (wait.mayAnswer(tcpSettings, now)) acknowledgeAgain(core, entry, now);
    return;
  }
  const answer = timeWaitArrives(wait, segment, tcpSettings, now);
  if (answer === TimeWaitAnswer.END) return endTimeWait(core, entry);
  if (answer === TimeWaitAnswer.REOPEN) {
    endTimeWait(core, entry);
    return noConnection(core, arrival, segment, wait, now);
  }
  if (answer === TimeWaitAnswer.ACK) acknowledgeAgain(core, entry, now);
  core.timers.arm(entry, wait.endsAtUs);
}

/** A SYN ends TIME-WAIT only where somebody listens; else, as on Linux, it is answered like any late segment. */
function isVainReopening(core: Core, arrival: Arrival, segment: TcpHeader): boolean {
  return (segment.flags & (SYN | ACK | RST)) === SYN && findListener(core, arrival, segment) === null;
}

function findListener(core: Core, arrival: Arrival, segment: TcpHeader): Listener | null {
  const { ip } = arrival;
  const choice = Math.imul(ip.source, 0x9e3779b1) ^ segment.sourcePort;
  return core.listeners.find(ip.destination, segment.destinationPort, choice);
}

/** `replaced`: the TIME-WAIT that the segment's SYN ends. */
function noConnection(
  core: Core,
  arrival: Arrival,
  segment: TcpHeader,
  replaced: TimeWait | null,
  now: number,
): void {
  const listener = findListener(core, arrival, segment);
  if (listener === null) {
    core.drop(DROP.tcpNoSocket);
    return sendReset(core, arrival, segment, now);
  }
  listenArrives(core, listener, arrival, segment, replaced, now);
}
