/**
 * recvmsg(2) of messages that wait, one by one or, with UDP_GRO (udp(7)), the datagrams of one flow and one size as one.
 * They are put together only here, while they are copied to the reader: what a reader finds waiting is what there is to
 * merge, nobody waits for more, and it costs nothing.
 */
import { copyAgain } from "../buffer/copy.ts";
import { EAGAIN } from "../errno.ts";
import type { Core } from "./core.ts";
import { takeDatagramError } from "./datagram_socket.ts";
import type { Packet, PacketQueue } from "./packet.ts";
import type { DatagramSocket } from "./socket.ts";
import { type Datagram, DATAGRAM_DATA } from "./socket_types.ts";

/** Linux's UDP_GRO_CNT_MAX. */
const MAX_MERGED = 64;
/** Most that one datagram could carry, which is what readers have room for. */
const MAX_LENGTH = 65507;

/** The next message or error; its length (what does not fit is cut off), or -EAGAIN, or the error of an earlier one. */
export function receiveMessageInto(core: Core, socket: DatagramSocket, message: Datagram): number {
  if (socket.error !== 0 && !socket.receivesErrors) return takeDatagramError(socket);
  const packet = socket.queue.first;
  if (packet === null) {
    if (socket.error !== 0) return takeDatagramError(socket);
    return socket.isReadShut ? 0 : -EAGAIN;
  }
  describe(packet, message);
  const canMerge = socket.mergesDatagrams && packet.kind === DATAGRAM_DATA && packet.length > 0;
  message.length = canMerge ? takeMerged(core, socket.queue, message) : takeOne(core, socket.queue, message);
  return message.length;
}

function describe(packet: Packet, message: Datagram): void {
  message.offset = 0;
  message.groSize = 0;
  message.address = packet.source;
  message.port = packet.sourcePort;
  message.localAddress = packet.destination;
  message.localPort = packet.destinationPort;
  message.ttl = packet.ttl;
  message.tos = packet.tos;
  message.kind = packet.kind;
  message.icmpType = packet.icmpType;
  message.icmpCode = packet.icmpCode;
  message.errno = packet.errno;
  message.mtu = packet.mtu;
  message.sourceAddress = packet.reporter;
  message.receivedAtUs = packet.receivedAtUs;
  message.ipOptions = packet.ipOptions;
}

/** The first message, of many datagrams that came as one the first of them; its length as far as it fits. */
function takeOne(core: Core, queue: PacketQueue, message: Datagram): number {
  const packet = queue.first!;
  const whole = packet.gsoSize > 0 ? Math.min(packet.gsoSize, packet.length) : packet.length;
  const length = copyTo(message, 0, packet, whole);
  if (whole === packet.length) core.packets.release(queue.shift()!);
  else queue.takeFromFirst(whole);
  return length;
}

/** The first message, and what follows it as long as it is of the same flow and size; the last may be shorter. */
function takeMerged(core: Core, queue: PacketQueue, message: Datagram): number {
  const size = queue.first!.gsoSize || queue.first!.length;
  let total = 0;
  let length = 0;
  for (let next = queue.first; next !== null;) {
    length += copyTo(message, length, next, next.length);
    total += next.length;
    core.packets.release(queue.shift()!);
    next = total % size === 0 && queue.first !== null && continues(queue.first, message, size, total)
      ? queue.first
      : null;
  }
  if (total > size) message.groSize = size;
  return length;
}

function copyTo(message: Datagram, at: number, packet: Packet, length: number): number {
  const fitting = Math.min(length, message.bytes.length - at);
  const { memory, offset } = packet;
  copyAgain(memory!.bytes, offset, message.bytes, at, fitting);
  return fitting;
}

/** Whether a packet may follow the `total` bytes of datagrams of `size` that `message` tells of: as Linux's GRO has it. */
function continues(packet: Packet, message: Datagram, size: number, total: number): boolean {
  const isFlow = packet.source === message.address && packet.sourcePort === message.port &&
    packet.destination === message.localAddress && packet.kind === DATAGRAM_DATA;
  if (!isFlow || packet.ttl !== message.ttl || packet.tos !== message.tos) return false;
  if (packet.ipOptions !== null || message.ipOptions !== null) return false;
  const own = packet.gsoSize || packet.length;
  const isSize = packet.gsoSize === 0 ? own > 0 && own <= size : own === size;
  const end = total + packet.length;
  return isSize && end <= Math.min(MAX_LENGTH, message.bytes.length) && end <= size * MAX_MERGED;
}
