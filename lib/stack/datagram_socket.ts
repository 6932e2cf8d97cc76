import { copyAgain } from "../buffer/copy.ts";
import { EACCES, EADDRINUSE, EAGAIN, EDESTADDRREQ, EINVAL, EMSGSIZE, ENOTCONN, EPIPE } from "../errno.ts";
import { ANY, type IpAddress, isMulticast } from "../wire/address.ts";
import { fold, pseudoSum, sum } from "../wire/checksum.ts";
import { emitIcmpv4, ICMP_HEADER, ICMP_TYPE } from "../wire/icmpv4.ts";
import { IP_PROTOCOL, IPV4_HEADER } from "../wire/ipv4.ts";
import { emitUdp, UDP_CHECKSUM_OFFSET, UDP_HEADER } from "../wire/udp.ts";
import { chooseAnyPort, hold, portSpaceOf } from "./bind.ts";
import { type Core, LOCALHOST } from "./core.ts";
import type { Packet } from "./packet.ts";
import { buildRaw, checkHeader, connectRaw } from "./raw_socket.ts";
import { type DatagramSocket, RawSocket } from "./socket.ts";
import { checkSegments, leaveSegments } from "./udp_segmentation.ts";
import { type Datagram, IP_PMTUDISC, SHUT_RD, SHUT_RDWR, SHUT_WR, SocketKind } from "./socket_types.ts";

/** Most that an IP packet carries. */
const MAX_PAYLOAD = 65535 - IPV4_HEADER;

/**
 * connect(2) of a datagram socket: whom `sendTo` sends to by default, and from whom alone it hears; address and port 0
 * dissolve it.
 */
export function connectDatagram(
  core: Core,
  socket: DatagramSocket,
  address: IpAddress,
  port: number,
): number {
  if (address === ANY && port === 0) return dissolve(socket);
  if (socket instanceof RawSocket) return connectRaw(core, socket, address, port);
  const remote = address === ANY ? LOCALHOST : address;
  const source = sourceOf(core, socket, remote);
  if (source === ANY) return -core.refusalOf(remote);
  const space = portSpaceOf(core, socket);
  const old = socket.binding;
  if (old === null || old.address === ANY) {
    const chosen = old === null ? chooseAnyPort(core, space) : old.port;
    if (chosen === 0) return -EADDRINUSE;
    if (old !== null) space.remove(old);
    hold(space, socket, source, chosen);
  }
  socket.remoteAddress = remote;
  socket.remotePort = port;
  return 0;
}

/** It has no peer any more. */
function dissolve(socket: DatagramSocket): number {
  socket.remoteAddress = ANY;
  socket.remotePort = 0;
  return 0;
}

/** Our address for a message to `remote`; ANY: there is no way to it. */
function sourceOf(core: Core, socket: DatagramSocket, remote: IpAddress): IpAddress {
  const { binding } = socket;
  const bound = binding === null ? ANY : binding.address;
  if (bound !== ANY && core.local.has(bound)) return bound;
  return core.sourceFor(remote);
}

/** Sends one message: its length, or -EAGAIN when too much waits to be sent, or another -errno as sendto(2) has it. */
export function sendMessage(core: Core, socket: DatagramSocket, message: Datagram): number {
  if (socket.error !== 0) return takeDatagramError(socket);
  if (socket.isWriteShut) return -EPIPE;
  const destination = message.address !== ANY ? message.address : socket.remoteAddress;
  const port = message.address !== ANY ? message.port : socket.remotePort;
  if (destination === ANY) return -EDESTADDRREQ;
  const refused = checkMessage(core, socket, message, destination, port);
  if (refused !== 0) return refused;
  const { fromAddress } = message;
  if (fromAddress !== ANY && !core.local.has(fromAddress)) return -EINVAL;
  const source = fromAddress !== ANY ? fromAddress : sourceOf(core, socket, destination);
  if (source === ANY) return -core.refusalOf(destination);
  if (socket.binding === null) {
    const space = portSpaceOf(core, socket);
    const chosen = chooseAnyPort(core, space);
    if (chosen === 0) return -EAGAIN;
    hold(space, socket, ANY, chosen);
  }
  if (core.outboxIsFull) {
    socket.isBlocked = true;
    core.blockedSockets++;
    return -EAGAIN;
  }
  const packet = socket instanceof RawSocket
    ? buildRaw(core, socket, message, source, destination)
    : socket.kind === SocketKind.icmp
    ? buildEcho(core, socket, message)
    : buildUdp(core, socket, message, source, destination, port);
  packet.source = source;
  packet.destination = destination;
  packet.ttl = message.ttl > 0 ? message.ttl : isMulticast(destination) ? 1 : socket.ttl;
  packet.tos = message.tos >= 0 ? message.tos : socket.tos;
  setFragmentation(packet, socket.mtuDiscover);
  const segment = segmentOf(socket, message);
  if (segment > 0 && message.length > segment) leaveSegments(packet, segment);
  packet.socket = socket.handle;
  core.outbox.push(packet);
  return message.length;
}

function checkMessage(
  core: Core,
  socket: DatagramSocket,
  message: Datagram,
  destination: IpAddress,
  port: number,
): number {
  const { bytes, offset, length } = message;
  if (offset < 0 || length < 0 || offset + length > bytes.length) {
    throw new RangeError(
      `Cannot send: ${length} bytes at ${offset} are not within the message's ${bytes.length} bytes`,
    );
  }
  if (core.local.isBroadcast(destination) && !socket.broadcast) return -EACCES;
  let header = 0;
  if (socket instanceof RawSocket) {
    if (socket.includesHeader) return checkHeader(core, message, destination);
  } else if (socket.kind === SocketKind.icmp) {
    if (length < ICMP_HEADER) return -EINVAL;
    if (bytes[offset] !== ICMP_TYPE.echoRequest || bytes[offset + 1] !== 0) return -EINVAL;
  } else {
    if (port < 1 || port > 65535) return -EINVAL;
    header = UDP_HEADER;
  }
  const segment = segmentOf(socket, message);
  if (segment > 0) {
    message.mtu = 0;
    const mtu = wayMtu(core, socket, destination);
    return header + length > MAX_PAYLOAD ? -EMSGSIZE : checkSegments(length, segment, mtu);
  }
  const most = longest(core, socket, destination);
  if (header + length <= most) return 0;
  message.mtu = most + IPV4_HEADER;
  return -EMSGSIZE;
}

/** UDP_SEGMENT of this message; 0: it is to be one datagram. */
function segmentOf(socket: DatagramSocket, message: Datagram): number {
  if (socket.kind !== SocketKind.datagram) return 0;
  return message.segment >= 0 ? message.segment : socket.segmentSize;
}

/** The MTU of the way to `destination`, or as far as the socket heeds it. */
function wayMtu(core: Core, { mtuDiscover }: DatagramSocket, destination: IpAddress): number {
  return mtuDiscover >= IP_PMTUDISC.probe ? core.firstHopMtu(destination) : core.mtuTo(destination);
}

/** The MTU that a message to `address`, 0 the peer, is measured by; -errno where none could be sent. */
export function mtuForMessage(core: Core, socket: DatagramSocket, address: IpAddress): number {
  const destination = address === ANY ? socket.remoteAddress : address;
  if (destination === ANY) return -EDESTADDRREQ;
  const refusal = sourceOf(core, socket, destination) === ANY ? core.refusalOf(destination) : 0;
  return refusal > 0 ? -refusal : wayMtu(core, socket, destination);
}

/** Bytes that an IP packet of the socket carries, all fragments together. */
function longest(core: Core, socket: DatagramSocket, destination: IpAddress): number {
  switch (socket.mtuDiscover) {
    case IP_PMTUDISC.do:
      return core.mtuTo(destination) - IPV4_HEADER;
    case IP_PMTUDISC.probe:
    case IP_PMTUDISC.interface:
      return core.firstHopMtu(destination) - IPV4_HEADER;
    default:
      return MAX_PAYLOAD;
  }
}

function setFragmentation(packet: Packet, mtuDiscover: number): void {
  packet.dontFragment = mtuDiscover === IP_PMTUDISC.do || mtuDiscover === IP_PMTUDISC.probe;
  packet.discoversMtu = mtuDiscover === IP_PMTUDISC.want;
  packet.ignoresPathMtu = mtuDiscover >= IP_PMTUDISC.probe;
}

/** As Linux: the identifier is the socket's, whatever the program wrote, and so is the checksum. */
function buildEcho(core: Core, socket: DatagramSocket, message: Datagram): Packet {
  const { bytes, offset, length } = message;
  const packet = core.packets.acquire(length);
  const memory = packet.memory!;
  copyAgain(bytes, offset, memory.bytes, 0, length);
  const { icmpOut } = core;
  icmpOut.type = ICMP_TYPE.echoRequest;
  icmpOut.code = 0;
  icmpOut.setEcho(socket.binding!.port, memory.view.getUint16(6));
  emitIcmpv4(memory, 0, icmpOut, length - ICMP_HEADER);
  packet.protocol = IP_PROTOCOL.icmp;
  packet.sourcePort = socket.binding!.port;
  return packet;
}

function buildUdp(
  core: Core,
  socket: DatagramSocket,
  message: Datagram,
  source: IpAddress,
  destination: IpAddress,
  port: number,
): Packet {
  const { bytes, offset, length } = message;
  const packet = core.packets.acquire(UDP_HEADER + length);
  const memory = packet.memory!;
  copyAgain(bytes, offset, memory.bytes, UDP_HEADER, length);
  const { udpOut } = core;
  udpOut.sourcePort = socket.binding!.port;
  udpOut.destinationPort = port;
  udpOut.length = UDP_HEADER + length;
  emitUdp(memory, 0, udpOut);
  const pseudo = pseudoSum(source, destination, IP_PROTOCOL.udp, udpOut.length);
  // RFC 768: a sum of 0 is sent as all ones, since 0 means that there is none.
  memory.view.setUint16(UDP_CHECKSUM_OFFSET, fold(sum(memory, 0, udpOut.length, pseudo)) || 0xffff);
  packet.protocol = IP_PROTOCOL.udp;
  packet.sourcePort = udpOut.sourcePort;
  packet.destinationPort = port;
  return packet;
}

/** The error of an earlier message as `-errno`, given once. */
export function takeDatagramError(socket: DatagramSocket): number {
  const { error } = socket;
  socket.error = 0;
  return error === 0 ? 0 : -error;
}

/** shutdown(2) of a connected datagram socket. */
export function shutdownDatagram(core: Core, socket: DatagramSocket, how: number): number {
  if (how < SHUT_RD || how > SHUT_RDWR) return -EINVAL;
  if (socket.remoteAddress === ANY) return -ENOTCONN;
  if (how !== SHUT_WR) socket.isReadShut = true;
  if (how !== SHUT_RD) socket.isWriteShut = true;
  core.sockets.markReady(socket);
  return 0;
}

/** close(2): what waits to be sent is sent still, what waits to be read is dropped. */
export function closeDatagram(core: Core, socket: DatagramSocket): void {
  if (socket instanceof RawSocket) {
    core.rawSockets.remove(socket);
  } else {
    if (socket.binding !== null) portSpaceOf(core, socket).remove(socket.binding);
    socket.binding = null;
  }
  socket.queue.clear(core.packets);
}
