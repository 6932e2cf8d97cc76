/** What a device left to be done of packets that are passed on: checksums, and cutting TCP segments (as Linux's GSO). */
import type { Memory } from "../buffer/memory.ts";
import { fold, pseudoSum, sum } from "../wire/checksum.ts";
import { headerLengthAt, IP_PROTOCOL, IPV4_CHECKSUM_OFFSET, type Ipv4Header } from "../wire/ipv4.ts";
import { CWR, FIN, PSH, TCP_CHECKSUM_OFFSET, TCP_HEADER } from "../wire/tcp.ts";
import type { Core } from "./core.ts";
import { type Packet, PacketQueue } from "./packet.ts";

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
  return ip.headerLength + tcpHeaderLength(memory, ip.payloadOffset) + gsoSize;
}

function tcpHeaderLength(memory: Memory, offset: number): number {
  return (memory.view.getUint8(offset + DATA_OFFSET) >> 4) << 2;
}

/**
 * Whether what a device said of a packet's checksum and segments can be; `packet` begins with its IP header, `ip`. What is
 * to be cut gets its checksum with the cutting, so afterwards it is one that is left to be done.
 */
export function leaveToDevice(packet: Packet, ip: Ipv4Header): boolean {
  const { memory, length, checksumStart, checksumOffset } = packet;
  if (packet.gsoSize > 0) {
    if (ip.protocol !== IP_PROTOCOL.tcp || ip.moreFragments || ip.fragmentOffset > 0) return false;
    if (ip.payloadLength < TCP_HEADER) return false;
    const headers = ip.headerLength + tcpHeaderLength(memory!, ip.headerLength);
    if (headers > length) return false;
    leaveChecksum(memory!, ip.headerLength, length);
    packet.checksumStart = ip.headerLength;
    packet.checksumOffset = TCP_CHECKSUM_OFFSET;
    if (headers + packet.gsoSize >= length) packet.gsoSize = 0;
    return true;
  }
  return checksumStart < 0 ||
    (checksumStart >= ip.headerLength && checksumStart + checksumOffset + 2 <= length);
}

/** Puts the sum of the pseudo header in a TCP segment's checksum field: the rest is added by who completes it. */
function leaveChecksum(memory: Memory, headerLength: number, length: number): void {
  const { view } = memory;
  const pseudo = pseudoSum(
    view.getInt32(SOURCE),
    view.getInt32(DESTINATION),
    IP_PROTOCOL.tcp,
    length - headerLength,
  );
  view.setUint16(headerLength + TCP_CHECKSUM_OFFSET, pseudo);
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

/** Cuts a TCP packet, header and all, into ones of `gsoSize` bytes of payload, and gives it back to its pool. */
export function cutPacket(core: Core, packet: Packet): PacketQueue {
  const queue = new PacketQueue();
  const { view } = packet.memory!;
  const headerLength = headerLengthAt(packet.memory!, 0);
  const headers = headerLength + tcpHeaderLength(packet.memory!, headerLength);
  const first = view.getInt32(headerLength + SEQUENCE);
  const identification = view.getUint16(IDENTIFICATION);
  for (let at = headers; at < packet.length; at += packet.gsoSize) {
    const payload = Math.min(packet.gsoSize, packet.length - at);
    const piece = copyPiece(core, packet, headers, at, payload);
    const { view } = piece.memory!;
    view.setUint16(IDENTIFICATION, (identification + queue.count) & 0xffff);
    view.setInt32(headerLength + SEQUENCE, first + at - headers);
    const isLast = at + payload === packet.length;
    // What begins and what ends the whole is said once (RFC 3168 6.1.2 of CWR).
    const taken = (isLast ? 0 : FIN | PSH) | (at === headers ? 0 : CWR);
    view.setUint8(headerLength + FLAGS, view.getUint8(headerLength + FLAGS) & ~taken);
    finishHeaders(piece.memory!, headerLength, piece.length);
    queue.push(piece);
  }
  core.packets.release(packet);
  return queue;
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

function finishHeaders(memory: Memory, headerLength: number, length: number): void {
  const { view } = memory;
  view.setUint16(TOTAL_LENGTH, length);
  view.setUint16(IPV4_CHECKSUM_OFFSET, 0);
  view.setUint16(IPV4_CHECKSUM_OFFSET, fold(sum(memory, 0, headerLength)));
  leaveChecksum(memory, headerLength, length);
}

/** Whether a packet must be cut before it goes out on a link of this MTU. */
export function mustBeCut(packet: Packet, segmentation: boolean, mtu: number): boolean {
  if (packet.gsoSize === 0) return false;
  if (!segmentation) return true;
  const headerLength = headerLengthAt(packet.memory!, 0);
  return headerLength + tcpHeaderLength(packet.memory!, headerLength) + packet.gsoSize > mtu;
}
