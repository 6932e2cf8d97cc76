import { type Frame, FRAME_START } from "../buffer/frame.ts";
import type { Memory, Slices } from "../buffer/memory.ts";
import type { MacAddress } from "../wire/address.ts";
import { fold, pseudoSum, sum, sumSlices } from "../wire/checksum.ts";
import { emitEthernet, ETHER_TYPE, ETHERNET_HEADER } from "../wire/ethernet.ts";
import { emitIpv4, IP_PROTOCOL, IPV4_HEADER } from "../wire/ipv4.ts";
import { emitTcp, TCP_CHECKSUM_OFFSET } from "../wire/tcp.ts";
import { UDP_CHECKSUM_OFFSET } from "../wire/udp.ts";
import type { Connection } from "./connection.ts";
import type { Core } from "./core.ts";
import { emitWhole } from "./emit_whole.ts";
import { takeFragment } from "./fragmentation.ts";
import type { Interface } from "./interface.ts";
import { ipInput } from "./ip.ts";
import type { Neighbor } from "./neighbor.ts";
import type { Packet } from "./packet.ts";

/** Where the IP header lies in an outgoing frame, and where what follows it. */
const IP_OFFSET = FRAME_START + ETHERNET_HEADER;
const TRANSPORT_OFFSET = IP_OFFSET + IPV4_HEADER;
/** The longest packet there can be: what never sees the wire is not fragmented. */
const MAX_PACKET = 65535;

function emitLink(core: Core, frame: Frame, link: Interface, mac: MacAddress): void {
  frame.device = link.device;
  const { ethernetOut } = core;
  ethernetOut.destination = mac;
  ethernetOut.source = link.mac;
  ethernetOut.etherType = ETHER_TYPE.ipv4;
  emitEthernet(frame.memory, FRAME_START, ethernetOut);
}

/** The IP header of a packet of `length` bytes; the rest of it is in `core.ipOut` already. */
function emitIp(core: Core, memory: Memory, offset: number, length: number): void {
  const { ipOut } = core;
  ipOut.totalLength = length;
  emitIpv4(memory, offset, ipOut);
}

/** Fills `core.ipOut` for the next fragment of the packet, or for all of it; answers with its payload bytes. */
function fillIpOfPacket(core: Core, packet: Packet, mtu: number): number {
  const { ipOut, counters } = core;
  const start = packet.sent;
  const length = takeFragment(packet, mtu, ipOut);
  const isWhole = length === packet.length;
  ipOut.dscp = packet.tos >> 2;
  ipOut.ecn = packet.tos & 3;
  ipOut.dontFragment = isWhole && (packet.dontFragment || discoversMtu(core, packet));
  ipOut.ttl = packet.ttl;
  ipOut.protocol = packet.protocol;
  ipOut.source = packet.source;
  ipOut.destination = packet.destination;
  if (!isWhole) counters.ipFragmentsOut++;
  if (start > 0) {
    ipOut.identification = packet.identification;
    return length;
  }
  ipOut.identification = packet.identification = ipOut.dontFragment
    ? core.nextIdentification()
    : core.identifications.next(packet.source, packet.destination, packet.protocol);
  if (!isWhole) counters.ipFragmented++;
  if (packet.protocol === IP_PROTOCOL.icmp) counters.icmpOut++;
  else if (packet.protocol === IP_PROTOCOL.udp) counters.udpOut++;
  else if (packet.protocol === IP_PROTOCOL.tcp) counters.tcpOut++;
  return length;
}

/** On a path that takes less than we believe, DF would keep everything from getting there. */
function discoversMtu(core: Core, packet: Packet): boolean {
  return packet.discoversMtu && core.pathMtus.get(packet.destination)?.isLocked !== true;
}

/**
 * Puts a packet in the frame, or the next fragment where it is too large: the headers in the frame's memory, the payload
 * where it is. True when nothing of the packet is left.
 */
export function emitPacket(
  core: Core,
  frame: Frame,
  packet: Packet,
  link: Interface,
  mac: MacAddress,
  mtu: number,
): boolean {
  emitLink(core, frame, link, mac);
  if (packet.hasHeader) return emitWhole(core, frame, packet, link, mtu);
  const start = packet.sent;
  const length = fillIpOfPacket(core, packet, packet.gsoSize > 0 ? MAX_PACKET : mtu);
  emitIp(core, frame.memory, IP_OFFSET, IPV4_HEADER + length);
  core.counters.ipOut++;
  frame.length = ETHERNET_HEADER + IPV4_HEADER;
  if (packet.gsoSize > 0) {
    frame.gsoSize = packet.gsoSize;
    frame.isUdpSegmented = true;
    frame.checksumStart = ETHERNET_HEADER + IPV4_HEADER;
    frame.checksumOffset = UDP_CHECKSUM_OFFSET;
  }
  const { payload } = frame;
  payload.memory = packet.memory;
  payload.offset1 = packet.offset + start;
  payload.length1 = length;
  payload.offset2 = payload.length2 = 0;
  return packet.sent === packet.length;
}

/** Takes a packet to ourselves in, at once: it never sees the wire. */
export function loopPacket(core: Core, packet: Packet, now: number): void {
  const memory = core.loopbackMemory;
  const headerLength = packet.hasHeader ? 0 : IPV4_HEADER;
  const length = headerLength + packet.length;
  core.counters.ipOut++;
  if (!packet.hasHeader) {
    fillIpOfPacket(core, packet, MAX_PACKET);
    emitIp(core, memory, 0, length);
  }
  const { offset } = packet;
  memory.bytes.set(packet.memory!.bytes.subarray(offset, offset + packet.length), headerLength);
  loopInput(core, memory, length, now, !packet.isUnverified, packet.gsoSize);
}

function fillIpOfConnection(core: Core, connection: Connection): void {
  const { ipOut, segmentOut } = core;
  ipOut.dscp = connection.dscp;
  ipOut.ecn = segmentOut.ecn;
  // TCP finds out the path's MTU (RFC 1191): its packets are never fragmented.
  ipOut.dontFragment = true;
  ipOut.moreFragments = false;
  ipOut.fragmentOffset = 0;
  ipOut.identification = core.nextIdentification();
  ipOut.ttl = connection.ttl;
  ipOut.protocol = IP_PROTOCOL.tcp;
  ipOut.source = connection.localAddress;
  ipOut.destination = connection.remoteAddress;
  segmentOut.sourcePort = connection.localPort;
  segmentOut.destinationPort = connection.remotePort;
}

/** Puts the headers of the segment in `core.segmentOut`, which carries `bytes`, in the frame; how long TCP's is. */
export function emitHeaders(
  core: Core,
  frame: Frame,
  connection: Connection,
  neighbor: Neighbor,
  bytes: number,
): number {
  const { memory } = frame;
  emitLink(core, frame, neighbor.link, neighbor.mac);
  fillIpOfConnection(core, connection);
  const header = emitTcp(memory, TRANSPORT_OFFSET, core.segmentOut);
  emitIp(core, memory, IP_OFFSET, IPV4_HEADER + header + bytes);
  frame.length = ETHERNET_HEADER + IPV4_HEADER + header;
  return header;
}

/** Puts the segment in `core.segmentOut`, whose payload is in the frame already, in the frame. */
export function emitSegment(core: Core, frame: Frame, connection: Connection, neighbor: Neighbor): void {
  const { memory, payload } = frame;
  const header = emitHeaders(core, frame, connection, neighbor, payload.length);
  const { localAddress, remoteAddress, tcb } = connection;
  const pseudo = pseudoSum(localAddress, remoteAddress, IP_PROTOCOL.tcp, header + payload.length);
  let checksum = pseudo;
  if (neighbor.link.features.checksum) {
    // The device adds the sum from here on to what is in the field, and complements it.
    frame.checksumStart = ETHERNET_HEADER + IPV4_HEADER;
    frame.checksumOffset = TCP_CHECKSUM_OFFSET;
  } else {
    checksum = fold(sumSlices(payload, sum(memory, TRANSPORT_OFFSET, header, pseudo)));
  }
  memory.view.setUint16(TRANSPORT_OFFSET + TCP_CHECKSUM_OFFSET, checksum);
  frame.gsoSize = tcb.gsoSize;
  core.counters.ipOut++;
  core.counters.tcpOut++;
}

/** The same for a connection whose peer is in this stack too. */
export function loopSegment(core: Core, connection: Connection, payload: Slices, now: number): void {
  const memory = core.loopbackMemory;
  fillIpOfConnection(core, connection);
  const header = emitTcp(memory, IPV4_HEADER, core.segmentOut);
  let end = IPV4_HEADER + header;
  const { offset1, length1, offset2, length2 } = payload;
  if (payload.memory !== null) {
    const { bytes } = payload.memory;
    memory.bytes.set(bytes.subarray(offset1, offset1 + length1), end);
    end += length1;
    memory.bytes.set(bytes.subarray(offset2, offset2 + length2), end);
    end += length2;
  }
  emitIp(core, memory, 0, end);
  core.counters.ipOut++;
  core.counters.tcpOut++;
  loopInput(core, memory, end, now);
}

function loopInput(
  core: Core,
  memory: Memory,
  length: number,
  now: number,
  isVerified = true,
  gsoSize = 0,
): void {
  const { arrival } = core;
  core.counters.loopback++;
  arrival.memory = memory;
  arrival.frame = null;
  arrival.link = core.loopback;
  arrival.offset = 0;
  arrival.length = length;
  arrival.isLinkBroadcast = false;
  arrival.isVerified = isVerified;
  arrival.gsoSize = gsoSize;
  arrival.isPlaced = false;
  arrival.isLoopback = true;
  ipInput(core, arrival, now);
}
