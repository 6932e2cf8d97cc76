import { copyAgain } from "../buffer/copy.ts";
import { DROP } from "../wire/drop.ts";
import { ICMP_TYPE, ICMP_UNREACHABLE } from "../wire/icmpv4.ts";
import { IPV4_HEADER } from "../wire/ipv4.ts";
import { UDP_HEADER } from "../wire/udp.ts";
import { EHOSTUNREACH, EMSGSIZE } from "../errno.ts";
import type { Arrival } from "./arrival.ts";
import type { Core } from "./core.ts";
import type { Packet } from "./packet.ts";
import type { DatagramSocket } from "./socket.ts";
import { DATAGRAM_ERROR, SocketKind } from "./socket_types.ts";

/** What a queued message costs beside its bytes, so that a flood of empty ones is bounded too. */
const OVERHEAD = 256;

/**
 * How much of a message of `length` bytes, datagrams of `size` or one (0), fits into the socket's buffer; -1: nothing. As on
 * Linux who does not want the datagrams as one gets as many as fit.
 */
function fitting(
  { queue, receiveBuffer, mergesDatagrams }: DatagramSocket,
  length: number,
  size = 0,
): number {
  const room = receiveBuffer - queue.bytes - queue.count * OVERHEAD;
  if (length <= room) return length;
  return size === 0 || mergesDatagrams || room < size ? -1 : room - room % size;
}

/**
 * Queues `length` bytes of the packet that came in for the socket to read, with its addresses; the caller adds the ports.
 * `size`: of each of the datagrams that came as one; 0: it is one. Null if the socket's buffer is full.
 */
export function receiveMessage(
  core: Core,
  socket: DatagramSocket,
  arrival: Arrival,
  offset: number,
  length: number,
  now: number,
  size = 0,
): Packet | null {
  const taken = socket.isReadShut ? -1 : fitting(socket, length, size);
  if (taken < length) core.drop(DROP.udpQueueFull);
  if (taken < 0) return null;
  const { ip } = arrival;
  const message = core.packets.acquire(taken);
  copyAgain(arrival.memory!.bytes, offset, message.memory!.bytes, 0, taken);
  message.gsoSize = size;
  message.source = ip.source;
  message.destination = ip.destination;
  message.ttl = ip.ttl;
  message.tos = (ip.dscp << 2) | ip.ecn;
  message.receivedAtUs = now;
  if (ip.headerLength > IPV4_HEADER) {
    const start = arrival.offset + IPV4_HEADER;
    message.ipOptions = arrival.memory!.bytes.slice(start, arrival.offset + ip.headerLength);
  }
  socket.queue.push(message);
  core.sockets.markReady(socket);
  return message;
}

/**
 * Tells the socket that sent `packet` that nobody answered for the next hop, as a router would have: Linux sends itself
 * the same ICMP message.
 */
export function reportUnreachable(core: Core, packet: Packet, now: number): void {
  report(core, packet, EHOSTUNREACH, 0, now);
}

/** Tells the socket that sent `packet`, which may not be fragmented, that the path takes `mtu` bytes only. */
export function reportTooBig(core: Core, packet: Packet, mtu: number, now: number): void {
  report(core, packet, EMSGSIZE, mtu, now);
}

function report(core: Core, packet: Packet, errno: number, mtu: number, now: number): void {
  const socket = core.sockets.get(packet.socket);
  if (socket === null || !("queue" in socket)) return;
  if (packet.destination === socket.remoteAddress) socket.error = errno;
  if (socket.receivesErrors) queueOwnReport(core, socket, packet, errno, mtu, now);
  core.sockets.markReady(socket);
}

function queueOwnReport(
  core: Core,
  socket: DatagramSocket,
  packet: Packet,
  errno: number,
  mtu: number,
  now: number,
): void {
  const skipped = socket.kind === SocketKind.datagram ? UDP_HEADER : 0;
  const length = packet.length - skipped;
  if (fitting(socket, length) < 0) return;
  const message = core.packets.acquire(length);
  const start = packet.offset + skipped;
  message.memory!.bytes.set(packet.memory!.bytes.subarray(start, start + length), 0);
  message.kind = DATAGRAM_ERROR;
  message.errno = errno;
  message.mtu = mtu;
  message.icmpType = ICMP_TYPE.unreachable;
  message.icmpCode = mtu === 0 ? ICMP_UNREACHABLE.host : ICMP_UNREACHABLE.fragmentationNeeded;
  message.source = packet.destination;
  message.sourcePort = packet.destinationPort;
  message.destination = message.reporter = packet.source;
  message.destinationPort = packet.sourcePort;
  message.receivedAtUs = now;
  socket.queue.push(message);
}
