import {
  ECONNREFUSED,
  EHOSTDOWN,
  EHOSTUNREACH,
  EMSGSIZE,
  ENETUNREACH,
  ENONET,
  ENOPROTOOPT,
  EOPNOTSUPP,
  EPROTO,
} from "../errno.ts";
import { icmpError, pathMtuChanged, revertBackoff } from "../tcp/errors.ts";
import { DROP } from "../wire/drop.ts";
import { ICMP_TYPE, ICMP_UNREACHABLE, parseQuoted } from "../wire/icmpv4.ts";
import { IP_PROTOCOL } from "../wire/ipv4.ts";
import { UDP_HEADER } from "../wire/udp.ts";
import type { Arrival } from "./arrival.ts";
import { Connection } from "./connection.ts";
import { touch } from "./connections.ts";
import type { Core } from "./core.ts";
import { receiveMessage } from "./datagram_input.ts";
import { findDatagramSocket, findEchoSocket } from "./datagram_lookup.ts";
import { hears } from "./raw_socket.ts";
import { type DatagramSocket, RawSocket } from "./socket.ts";
import { DATAGRAM_ERROR, IP_PMTUDISC } from "./socket_types.ts";

/** Linux's icmp_err_convert: the errno of each code of "destination unreachable" ... */
const UNREACHABLE_ERRNO = [
  ENETUNREACH,
  EHOSTUNREACH,
  ENOPROTOOPT,
  ECONNREFUSED,
  EMSGSIZE,
  EOPNOTSUPP,
  ENETUNREACH,
  EHOSTDOWN,
  ENONET,
  ENETUNREACH,
  EHOSTUNREACH,
  ENETUNREACH,
  EHOSTUNREACH,
  EHOSTUNREACH,
  EHOSTUNREACH,
  EHOSTUNREACH,
];
/** ... and whether it is hard: nothing will change by waiting (RFC 1122 4.2.3.9, RFC 5461 2). */
const UNREACHABLE_HARD = [0, 0, 1, 1, 0, 0, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1];

/** Codes of "destination unreachable" that say so: protocol, port, network and host prohibited, filtered. */
const REFUSALS = [2, 3, 9, 10, 13];

/** RFC 791 3.2: every network carries 68 bytes. RFC 1191 3: never believe less. */
const MIN_MTU = 68;
/** RFC 1191 7.1: what to try when an old router does not name its MTU: the next lower of the common ones. */
const PLATEAUS = [65535, 32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, MIN_MTU];

/** An ICMP error came in: it goes to the connection or socket that sent the packet it quotes (RFC 1122 3.2.2.1). */
export function icmpErrorInput(core: Core, arrival: Arrival, now: number): void {
  const { icmp, quoted } = arrival;
  core.counters.icmpErrorsIn++;
  const drop = parseQuoted(arrival.memory!, icmp.payloadOffset, icmp.payloadLength, quoted);
  if (drop !== DROP.none) return core.drop(drop);
  if (!core.local.has(quoted.source)) return core.drop(DROP.icmpQuoteMalformed);
  if (icmp.type === ICMP_TYPE.unreachable && icmp.code >= UNREACHABLE_ERRNO.length) {
    return core.drop(DROP.icmpCodeUnknown);
  }
  const isHeard = tellRawSockets(core, arrival, now);
  switch (quoted.protocol) {
    case IP_PROTOCOL.tcp:
      return tellConnection(core, arrival, now);
    case IP_PROTOCOL.udp:
    case IP_PROTOCOL.icmp:
      return tellSocket(core, arrival, now);
    default:
      if (!isHeard) core.drop(DROP.icmpNoSocket);
  }
}

function isFragmentationNeeded(arrival: Arrival): boolean {
  const { type, code } = arrival.icmp;
  return type === ICMP_TYPE.unreachable && code === ICMP_UNREACHABLE.fragmentationNeeded;
}

/** The MTU that "fragmentation needed" names, or RFC 1191's guess. */
function namedMtu(arrival: Arrival): number {
  const { mtu } = arrival.icmp;
  if (mtu !== 0) return Math.max(mtu, MIN_MTU);
  const sent = arrival.quoted.totalLength;
  return PLATEAUS.find((plateau) => plateau < sent) ?? MIN_MTU;
}

function errnoOf(type: number, code: number): number {
  if (type === ICMP_TYPE.unreachable) return UNREACHABLE_ERRNO[code];
  return type === ICMP_TYPE.parameterProblem ? EPROTO : EHOSTUNREACH;
}

/**
 * The errno where a connection has no hope: somebody refuses, the peer, which has no such port or protocol, or an
 * administrator on the way (RFC 1812 5.2.7.1); or packets run in circles. 0: it may pass.
 */
function refusalOf(type: number, code: number): number {
  if (type === ICMP_TYPE.unreachable) return REFUSALS.includes(code) ? ECONNREFUSED : 0;
  return type === ICMP_TYPE.timeExceeded && code === 0 ? EHOSTUNREACH : 0;
}

/** RFC 6069 4.1: the two messages by which a router says that it has no way at the moment. */
function isUnreachable(type: number, code: number): boolean {
  return type === ICMP_TYPE.unreachable && (code === ICMP_UNREACHABLE.net || code === ICMP_UNREACHABLE.host);
}

function isHard(type: number, code: number): boolean {
  if (type === ICMP_TYPE.unreachable) return UNREACHABLE_HARD[code] === 1;
  return type === ICMP_TYPE.parameterProblem;
}

/** RFC 5927 4.1: lib/tcp believes it only when the quoted sequence number is one of data in flight. */
function tellConnection(core: Core, arrival: Arrival, now: number): void {
  const { icmp, quoted } = arrival;
  const { source, sourcePort, destination, destinationPort } = quoted;
  const connection = core.connections.get(source, sourcePort, destination, destinationPort);
  // One in TIME-WAIT has nothing left to say that could be lost.
  if (!(connection instanceof Connection)) return core.drop(DROP.icmpNoSocket);
  if (isFragmentationNeeded(arrival)) {
    learnFromConnection(core, connection, namedMtu(arrival), quoted.seq, now);
  } else {
    const { type, code } = icmp;
    if (isUnreachable(type, code)) revertBackoff(connection.tcb, quoted.seq, now);
    icmpError(
      connection.tcb,
      errnoOf(type, code),
      refusalOf(type, code),
      quoted.seq,
      now,
    );
  }
  touch(core, connection);
}

/** What lib/tcp believes, all others to that destination profit from. */
function learnFromConnection(
  core: Core,
  connection: Connection,
  mtu: number,
  seq: number,
  now: number,
): void {
  const { snd } = connection.tcb;
  const before = snd.pathMtu;
  pathMtuChanged(connection.tcb, mtu, seq, now);
  if (snd.pathMtu !== before) core.learnPathMtu(connection.remoteAddress, mtu, now);
}

function tellSocket(core: Core, arrival: Arrival, now: number): void {
  const { quoted } = arrival;
  const isUdp = quoted.protocol === IP_PROTOCOL.udp;
  const socket = isUdp
    ? findDatagramSocket(core, quoted.source, quoted.sourcePort, quoted.destination, quoted.destinationPort)
    : quoted.icmpType === ICMP_TYPE.echoRequest
    ? findEchoSocket(core, quoted.source, quoted.identifier, quoted.destination)
    : null;
  if (socket === null) return core.drop(DROP.icmpNoSocket);
  tell(core, socket, arrival, isUdp ? UDP_HEADER : 0, now);
}

/** Every raw socket that could have sent it is told. True if there was one. */
function tellRawSockets(core: Core, arrival: Arrival, now: number): boolean {
  const { protocol, source, destination } = arrival.quoted;
  let isHeard = false;
  for (const socket of core.rawSockets.of(protocol)) {
    if (!hears(socket, source, destination)) continue;
    isHeard = true;
    tell(core, socket, arrival, 0, now);
  }
  return isHeard;
}

/** `skipped`: bytes of the transport's header, which an error message leaves out. */
function tell(core: Core, socket: DatagramSocket, arrival: Arrival, skipped: number, now: number): void {
  const { icmp, quoted } = arrival;
  const isTooBig = isFragmentationNeeded(arrival);
  if (isTooBig) {
    core.learnPathMtu(quoted.destination, namedMtu(arrival), now);
    // As Linux: who does not want to find out is not told.
    if (socket.mtuDiscover === IP_PMTUDISC.dont) return;
  }
  // RFC 1122 4.1.3.3: of an unconnected socket nobody could say which message it is about, unless it asked for messages.
  if (socket.remoteAddress === quoted.destination && (isTooBig || isHard(icmp.type, icmp.code))) {
    socket.error = errnoOf(icmp.type, icmp.code);
    core.sockets.markReady(socket);
  }
  if (socket.receivesErrors) queueError(core, socket, arrival, skipped, now);
}

/** The error as a message, with what is quoted of ours from behind the headers on. */
function queueError(
  core: Core,
  socket: DatagramSocket,
  arrival: Arrival,
  skipped: number,
  now: number,
): void {
  const { icmp, quoted } = arrival;
  const isRaw = socket instanceof RawSocket;
  // As Linux: who writes the IP header is shown it.
  const headerLength = isRaw && socket.includesHeader
    ? 0
    : (arrival.memory!.bytes[icmp.payloadOffset] & 0xf) << 2;
  const offset = icmp.payloadOffset + headerLength + skipped;
  const length = Math.min(icmp.payloadLength, quoted.totalLength) - headerLength - skipped;
  const message = receiveMessage(core, socket, arrival, offset, Math.max(0, length), now);
  if (message === null) return;
  message.kind = DATAGRAM_ERROR;
  message.errno = errnoOf(icmp.type, icmp.code);
  message.icmpType = icmp.type;
  message.icmpCode = icmp.code;
  message.mtu = isFragmentationNeeded(arrival) ? namedMtu(arrival) : 0;
  message.reporter = message.source;
  message.source = quoted.destination;
  message.sourcePort = isRaw ? 0 : quoted.destinationPort;
  message.destination = quoted.source;
  message.destinationPort = skipped === 0 ? quoted.identifier : quoted.sourcePort;
}
