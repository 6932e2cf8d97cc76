/** What a device left to be done of packets that are passed on: checksums, and cutting TCP segments and UDP datagrams (as Linux's GSO). */
import type { Memory } from "../buffer/memory.ts";
import { fold, pseudoSum, sum } from "../wire/checksum.ts";
import { headerLengthAt, IP_PROTOCOL, IPV4_CHECKSUM_OFFSET, type Ipv4Header } from "../wire/ipv4.ts";
import { CWR, FIN, PSH, TCP_CHECKSUM_OFFSET, TCP_HEADER } from "../wire/tcp.ts";
import { UDP_CHECKSUM_OFFSET, UDP_HEADER, UDP_LENGTH_OFFSET } from "../wire/udp.ts";
import type { Core } from "./core.ts";
import { type Packet, PacketQueue } from "./packet.ts";
import type { StackFeatures } from "./socket_types.ts";

/** Where fields lie in the headers (RFC 791 3.1, RFC 9293 3.1). */
const TOTAL_LENGTH = 2;
const IDENTIFICATION = 4;
const SOURCE = 12;
const DESTINATION = 16;
const SEQUENCE = 4;
const DATA_OFFSET = 12;
const FLAGS = 13;

/** Bytes of the largest packet that comes of cutting this one, of which the headers are in `memory`. */
export function segmentSize(memory: Memory, ip: Ipv4Header, gsoSize: number): number {
  return ip.headerLength + transportHeaderLength(memory, ip.payloadOffset, ip.protocol) + gsoSize;
}

function transportHeaderLength(memory: Memory, offset: number, protocol: number): number {
  return protocol === IP_PROTOCOL.udp ? UDP_HEADER : (memory.view.getUint8(offset + DATA_OFFSET) >> 4) << 2;
}

function checksumOffsetOf(protocol: number): number {
  return protocol === IP_PROTOCOL.udp ? UDP_CHECKSUM_OFFSET : TCP_CHECKSUM_OFFSET;
}

/**
 * Whether what a device said of a packet's checksum and segments can be; `packet` begins with its IP header, `ip`. What is
 * to be cut gets its checksum with the cutting, so afterwards it is one that is left to be done.
 */
export function leaveToDevice(packet: Packet, ip: Ipv4Header): boolean {
  const { memory, length, checksumStart, checksumOffset } = packet;
  if (packet.gsoSize > 0) {
    const { protocol } = ip;
    if (protocol !== IP_PROTOCOL.tcp && protocol !== IP_PROTOCOL.udp) return false;
    if (ip.moreFragments || ip.fragmentOffset > 0) return false;
    if (ip.payloadLength < (protocol === IP_PROTOCOL.udp ? UDP_HEADER : TCP_HEADER)) return false;
    const headers = ip.headerLength + transportHeaderLength(memory!, ip.headerLength, protocol);
    if (headers > length) return false;
    leaveChecksum(memory!, ip.headerLength, length, protocol);
    packet.checksumStart = ip.headerLength;
    packet.checksumOffset = checksumOffsetOf(protocol);
    if (headers + packet.gsoSize >= length) packet.gsoSize = 0;
    return true;
  }
  return checksumStart < 0 ||
    (checksumStart >= ip.headerLength && checksumStart + checksumOffset + 2 <= length);
}

/** Puts the sum of the pseudo header in the transport's checksum field: the rest is added by who completes it. */
function leaveChecksum(memory: Memory, headerLength: number, length: number, protocol: number): void {
  const { view } = memory;
  const pseudo = pseudoSum(
    view.getInt32(SOURCE),
    view.getInt32(DESTINATION),
    protocol,
    length - headerLength,
  );
  view.setUint16(headerLength + checksumOffsetOf(protocol), pseudo);
}

/** Makes the checksum that a device was to make. */
export function completeChecksum(packet: Packet): void {
  const { memory, offset, length, checksumStart, checksumOffset } = packet;
  const start = offset + checksumStart;
  const checksum = fold(sum(memory!, start, length - checksumStart));
  // RFC 768: of UDP 0 would say that there is none.
  memory!.view.setUint16(
    start + checksumOffset,
    checksum === 0 && packet.protocol === IP_PROTOCOL.udp ? 0xffff : checksum,
  );
  packet.checksumStart = -1;
}

/** Cuts a packet, header and all, into ones of `gsoSize` bytes of payload, and gives it back to its pool. */
export function cutPacket(core: Core, packet: Packet): PacketQueue {
  const queue = new PacketQueue();
  const { view } = packet.memory!;
  const { protocol } = packet;
  const headerLength = headerLengthAt(packet.memory!, 0);
  const headers = headerLength + transportHeaderLength(packet.memory!, headerLength, protocol);
  const identification = view.getUint16(IDENTIFICATION);
  for (let at = headers; at < packet.length; at += packet.gsoSize) {
    const payload = Math.min(packet.gsoSize, packet.length - at);
    const piece = copyPiece(core, packet, headers, at, payload);
    const { view } = piece.memory!;
    view.setUint16(IDENTIFICATION, (identification + queue.count) & 0xffff);
    if (protocol === IP_PROTOCOL.udp) view.setUint16(headerLength + UDP_LENGTH_OFFSET, UDP_HEADER + payload);
    else placeSegment(view, headerLength, at - headers, at + payload === packet.length);
    finishHeaders(piece.memory!, headerLength, piece.length, protocol);
    queue.push(piece);
  }
  core.packets.release(packet);
  return queue;
}

/** Makes the TCP header, a copy of that of the whole, that of the segment that begins `at` bytes behind. */
function placeSegment(view: DataView, header: number, at: number, isLast: boolean): void {
  view.setInt32(header + SEQUENCE, view.getInt32(header + SEQUENCE) + at);
  // What begins and what ends the whole is said once (RFC 3168 6.1.2 of CWR).
  const taken = (isLast ? 0 : FIN | PSH) | (at === 0 ? 0 : CWR);
  view.setUint8(header + FLAGS, view.getUint8(header + FLAGS) & ~taken);
}

/** The headers, and `length` bytes from `at` on, as a packet of their own. */
function copyPiece(core: Core, packet: Packet, headers: number, at: number, length: number): Packet {
  const piece = core.packets.acquire(headers + length);
  const from = packet.memory!.bytes;
  const to = piece.memory!.bytes;
  to.set(from.subarray(0, headers), 0);
  to.set(from.subarray(at, at + length), headers);
  piece.hasHeader = piece.ignoresPathMtu = true;
  piece.protocol = packet.protocol;
  piece.source = packet.source;
  piece.destination = packet.destination;
  piece.dontFragment = packet.dontFragment;
  piece.checksumStart = packet.checksumStart;
  piece.checksumOffset = packet.checksumOffset;
  return piece;
}

function finishHeaders(memory: Memory, headerLength: number, length: number, protocol: number): void {
  const { view } = memory;
  view.setUint16(TOTAL_LENGTH, length);
  view.setUint16(IPV4_CHECKSUM_OFFSET, 0);
  view.setUint16(IPV4_CHECKSUM_OFFSET, fold(sum(memory, 0, headerLength)));
  leaveChecksum(memory, headerLength, length, protocol);
}

/** Whether a packet must be cut before it goes out on a link of this MTU. */
export function mustBeCut(packet: Packet, features: StackFeatures, mtu: number): boolean {
  const { gsoSize, protocol, memory } = packet;
  if (gsoSize === 0) return false;
  if (!(protocol === IP_PROTOCOL.udp ? features.udpSegmentation : features.segmentation)) return true;
  const headerLength = headerLengthAt(memory!, 0);
  return headerLength + transportHeaderLength(memory!, headerLength, protocol) + gsoSize > mtu;
}
