/**
 * UDP_SEGMENT, udp(7): a program gives many datagrams of one size at once, and they are cut as late as possible: by the
 * kernel behind the TAP where it can (USO), else here, just before they go out.
 */
import { EINVAL, EMSGSIZE } from "../errno.ts";
import { fold, pseudoSum, sum } from "../wire/checksum.ts";
import { IP_PROTOCOL, IPV4_HEADER } from "../wire/ipv4.ts";
import { UDP_CHECKSUM_OFFSET, UDP_HEADER, UDP_LENGTH_OFFSET } from "../wire/udp.ts";
import type { Core } from "./core.ts";
import { type Packet, PacketQueue } from "./packet.ts";

/** Linux's UDP_MAX_SEGMENTS. */
const MAX_SEGMENTS = 128;

/** May `length` bytes be sent as datagrams of `size`? 0, or -errno as Linux gives it. `mtu`: of the way, bytes. */
export function checkSegments(length: number, size: number, mtu: number): number {
  if (IPV4_HEADER + UDP_HEADER + Math.min(length, size) > mtu) return -EMSGSIZE;
  return length > size * MAX_SEGMENTS ? -EINVAL : 0;
}

/** Makes a datagram one that is to be cut into several of `size` bytes: the checksum is made for each. */
export function leaveSegments(packet: Packet, size: number): void {
  const { memory, source, destination, length } = packet;
  packet.gsoSize = size;
  memory!.view.setUint16(
    UDP_CHECKSUM_OFFSET,
    pseudoSum(source, destination, IP_PROTOCOL.udp, length),
  );
}

/** Whether the datagrams must be cut before they go out on a link of this MTU. */
export function mustCutDatagrams(packet: Packet, canCut: boolean, mtu: number): boolean {
  return !canCut || IPV4_HEADER + UDP_HEADER + packet.gsoSize > mtu;
}

/** The datagrams one by one; the whole goes back to its pool. */
export function cutDatagrams(core: Core, packet: Packet): PacketQueue {
  const queue = new PacketQueue();
  const { bytes } = packet.memory!;
  for (let at = UDP_HEADER; at < packet.length; at += packet.gsoSize) {
    const length = Math.min(packet.gsoSize, packet.length - at);
    const piece = core.packets.acquire(UDP_HEADER + length);
    const memory = piece.memory!;
    memory.bytes.set(bytes.subarray(0, UDP_HEADER), 0);
    memory.bytes.set(bytes.subarray(at, at + length), UDP_HEADER);
    copyFields(packet, piece);
    finishHeader(piece);
    queue.push(piece);
  }
  core.packets.release(packet);
  return queue;
}

function copyFields(from: Packet, to: Packet): void {
  to.protocol = from.protocol;
  to.source = from.source;
  to.destination = from.destination;
  to.sourcePort = from.sourcePort;
  to.destinationPort = from.destinationPort;
  to.ttl = from.ttl;
  to.tos = from.tos;
  to.dontFragment = from.dontFragment;
  to.discoversMtu = from.discoversMtu;
  to.ignoresPathMtu = from.ignoresPathMtu;
  to.socket = from.socket;
}

function finishHeader({ memory, length, source, destination }: Packet): void {
  const { view } = memory!;
  view.setUint16(UDP_LENGTH_OFFSET, length);
  view.setUint16(UDP_CHECKSUM_OFFSET, 0);
  const pseudo = pseudoSum(source, destination, IP_PROTOCOL.udp, length);
  view.setUint16(UDP_CHECKSUM_OFFSET, fold(sum(memory!, 0, length, pseudo)) || 0xffff);
}
