import { abort, openPassive } from "../tcp/user_calls.ts";
import { segmentArrives } from "../tcp/segment_arrives.ts";
import { State } from "../tcp/state.ts";
import { fold, pseudoSum, sum } from "../wire/checksum.ts";
import { DROP } from "../wire/drop.ts";
import { IP_PROTOCOL } from "../wire/ipv4.ts";
import { ACK, FIN, parseTcp, RST, SYN, type TcpHeader } from "../wire/tcp.ts";
import type { Arrival } from "./arrival.ts";
import { Connection } from "./connection.ts";
import { addConnection, forget, successorSequence, touch } from "./connections.ts";
import type { Core } from "./core.ts";
import type { Listener } from "./listener.ts";
import { Binding } from "./port_space.ts";
import { sendReset } from "./reset.ts";
import { inheritOptions, setTimestampOffset } from "./tcb_options.ts";

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
  segment.ecn = ip.ecn;
  const { sourcePort, destinationPort } = segment;
  const connection = core.connections.get(ip.destination, destinationPort, ip.source, sourcePort);
  if (connection === null) return noConnection(core, arrival, segment, null, now);
  connectionInput(core, connection, arrival, segment, now);
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
  if (isRefusedByListener(connection, segment)) {
    core.drop(DROP.tcpBacklogFull);
    if (!tcb.settings.abortOnOverflow) return;
    abort(tcb, now);
    return touch(core, connection);
  }
  if (isDeferred(connection, segment, now)) return;
  const una = tcb.snd.una;
  segmentArrives(tcb, segment, now);
  if (tcb.reopen) {
    // RFC 9293 3.6.1, RFC 6191: a new SYN ends TIME-WAIT; what it opens is a new connection.
    forget(core, connection);
    return noConnection(core, arrival, segment, connection, now);
  }
  // RFC 5681 4.2: a duplicate ACK for each: the peer counts on them, and some may be lost.
  if (tcb.ack.now && tcb.outOfOrder.count > 0) core.isUrgent = true;
  // An acknowledgment of new data shows that the neighbor hears us.
  if (tcb.snd.una !== una && connection.neighbor !== null) core.neighbors.confirm(connection.neighbor, now);
  touch(core, connection);
}

/**
 * As Linux: while the accept queue is full no handshake is completed; the peer repeats its ACK or data, or is reset if
 * the settings say so.
 */
function isRefusedByListener(connection: Connection, segment: TcpHeader): boolean {
  const { listener } = connection;
  return listener !== null && listener.isFull && !connection.wasEstablished &&
    (segment.flags & (SYN | RST)) === 0;
}

/** TCP_DEFER_ACCEPT: a handshake is not complete before data comes with the ACK, or the time is over. */
function isDeferred(connection: Connection, segment: TcpHeader, now: number): boolean {
  const { listener, tcb } = connection;
  if (listener === null || connection.wasEstablished || tcb.user.deferAccept === 0) return false;
  if (segment.payloadLength > 0 || (segment.flags & (SYN | RST | FIN)) !== 0) return false;
  return segment.ack === tcb.snd.nxt && now - tcb.openedAtUs < tcb.user.deferAccept * 1e6;
}

/** `replaced`: the connection in TIME-WAIT that the segment's SYN ends. */
function noConnection(
  core: Core,
  arrival: Arrival,
  segment: TcpHeader,
  replaced: Connection | null,
  now: number,
): void {
  const { ip } = arrival;
  const choice = Math.imul(ip.source, 0x9e3779b1) ^ segment.sourcePort;
  const listener = core.listeners.find(ip.destination, segment.destinationPort, choice);
  if (listener === null) {
    core.drop(DROP.tcpNoSocket);
    return sendReset(core, arrival, segment, now);
  }
  listenArrives(core, listener, arrival, segment, replaced, now);
}

/** RFC 9293 3.10.7.2, LISTEN STATE */
function listenArrives(
  core: Core,
  listener: Listener,
  arrival: Arrival,
  segment: TcpHeader,
  replaced: Connection | null,
  now: number,
): void {
  const { flags } = segment;
  // first, check for a RST
  if ((flags & RST) !== 0) return core.drop(DROP.tcpNotSyn);
  // second, check for an ACK
  if ((flags & ACK) !== 0) {
    core.drop(DROP.tcpNotSyn);
    return sendReset(core, arrival, segment, now);
  }
  // third, check for a SYN. As Linux: one that ends what it begins is no honest one.
  if ((flags & SYN) === 0 || (flags & FIN) !== 0) return core.drop(DROP.tcpNotSyn);
  if (listener.isFull || listener.isHalfOpenFull) return core.drop(DROP.tcpBacklogFull);
  openChild(core, listener, arrival, segment, replaced, now);
}

function openChild(
  core: Core,
  listener: Listener,
  arrival: Arrival,
  segment: TcpHeader,
  replaced: Connection | null,
  now: number,
): void {
  const { ip } = arrival;
  const { sourcePort, destinationPort } = segment;
  const { socket } = listener;
  const tcb = core.newTcb();
  inheritOptions(socket.tcb, tcb);
  const isLocal = core.local.has(ip.source);
  const child = new Connection(tcb, ip.destination, destinationPort, ip.source, sourcePort, isLocal);
  child.listener = listener;
  child.ttl = socket.ttl;
  child.dscp = socket.tos >> 2;
  const binding = new Binding(ip.destination, destinationPort, false);
  binding.reuseAddress = socket.reuseAddress;
  binding.reusePort = socket.reusePort;
  child.binding = binding;
  core.tcpPorts.add(binding);
  listener.halfOpen.add(child);
  setTimestampOffset(core, child);
  const iss = replaced !== null
    ? successorSequence(replaced)
    : core.initialSequence.next(ip.destination, destinationPort, ip.source, sourcePort, now);
  openPassive(tcb, segment, iss, now);
  if (tcb.state === State.SYN_RECEIVED) addConnection(core, child);
}
