/** Raw sockets, raw(7): a program speaks a protocol of its own above IP, or writes the IP header itself. */
import {
  EACCES,
  EADDRNOTAVAIL,
  EINVAL,
  EMSGSIZE,
  ENOPROTOOPT,
  EOPNOTSUPP,
  EPROTONOSUPPORT,
} from "../errno.ts";
import { ANY, type IpAddress, isMulticast } from "../wire/address.ts";
import { fold, sum } from "../wire/checksum.ts";
import { IP_PROTOCOL, IPV4_CHECKSUM_OFFSET, IPV4_HEADER } from "../wire/ipv4.ts";
import type { Arrival } from "./arrival.ts";
import { type Core, LOCALHOST } from "./core.ts";
import { receiveMessage } from "./datagram_input.ts";
import type { Packet } from "./packet.ts";
import { Binding } from "./port_space.ts";
import { RawSocket } from "./socket.ts";
import { type Datagram, ICMP_FILTER, IP_HDRINCL, IPPROTO_IP, SOL_RAW } from "./socket_types.ts";

/** Where fields of an IP header lie (RFC 791 3.1). */
const TOTAL_LENGTH = 2;
const IDENTIFICATION = 4;
const PROTOCOL = 9;
const SOURCE = 12;

/** ICMP types that ICMP_FILTER knows: one bit each. */
const FILTERED_TYPES = 32;

/** A socket for `protocol`, 1 to 255, in the table of those that packets are handed to; or -EPROTONOSUPPORT, -EINVAL. */
export function openRaw(core: Core, protocol: number): RawSocket | number {
  if (!Number.isInteger(protocol) || protocol < 0 || protocol > IP_PROTOCOL.raw) return -EINVAL;
  if (protocol === 0) return -EPROTONOSUPPORT;
  const socket = new RawSocket(protocol);
  core.rawSockets.add(socket);
  return socket;
}

/** bind(2): whom packets must be for, and where ours come from. As on Linux the port says nothing. */
export function bindRaw(core: Core, socket: RawSocket, address: IpAddress): number {
  if (socket.remoteAddress !== ANY) return -EINVAL;
  const { local } = core;
  if (address !== ANY && !local.has(address) && !isMulticast(address) && !local.isBroadcast(address)) {
    return -EADDRNOTAVAIL;
  }
  socket.binding = new Binding(address, socket.protocol, false);
  return 0;
}

/** connect(2): whom we send to if nothing else is said, and hear from alone. */
export function connectRaw(core: Core, socket: RawSocket, address: IpAddress, port: number): number {
  const remote = address === ANY ? LOCALHOST : address;
  if (core.local.isBroadcast(remote) && !socket.broadcast) return -EACCES;
  const bound = socket.binding.address;
  const source = bound !== ANY && core.local.has(bound) ? bound : core.sourceFor(remote);
  if (source === ANY) return -core.refusalOf(remote);
  if (bound === ANY) socket.binding = new Binding(source, socket.protocol, false);
  socket.remoteAddress = remote;
  // It is told by getpeername(2), and means nothing.
  socket.remotePort = port;
  return 0;
}

/** Whether a packet between these two is the socket's business. */
export function hears(socket: RawSocket, local: IpAddress, remote: IpAddress): boolean {
  const { binding, remoteAddress } = socket;
  if (binding.address !== ANY && binding.address !== local) return false;
  return remoteAddress === ANY || remoteAddress === remote;
}

/** A whole packet to us came in: every raw socket of its protocol gets a copy, header and all. True if there was one. */
export function rawInput(core: Core, arrival: Arrival, now: number): boolean {
  const { ip, offset } = arrival;
  let isHeard = false;
  for (const socket of core.rawSockets.of(ip.protocol)) {
    if (!hears(socket, ip.destination, ip.source)) continue;
    isHeard = true;
    if (!isFiltered(socket, arrival)) receiveMessage(core, socket, arrival, offset, ip.totalLength, now);
  }
  return isHeard;
}

/** ICMP_FILTER: the program does not want this type of message. */
function isFiltered(socket: RawSocket, arrival: Arrival): boolean {
  const { ip, memory } = arrival;
  if (socket.icmpFilter === 0 || ip.payloadLength === 0) return false;
  const type = memory!.bytes[ip.payloadOffset];
  return type < FILTERED_TYPES && ((socket.icmpFilter >>> type) & 1) === 1;
}

/** What is wrong with a message that brings its IP header; 0: nothing. The kernel's own checks, and no more. */
export function checkHeader(core: Core, message: Datagram, destination: IpAddress): number {
  const { bytes, offset, length } = message;
  const mtu = core.firstHopMtu(destination);
  if (length > mtu) {
    message.mtu = mtu;
    return -EMSGSIZE;
  }
  if (length < IPV4_HEADER) return -EINVAL;
  const headerLength = (bytes[offset] & 0xf) << 2;
  return headerLength < IPV4_HEADER || headerLength > length ? -EINVAL : 0;
}

/** The message as a packet. Of a header that it brings the length and the checksum are ours, and what is 0 of source and id. */
export function buildRaw(
  core: Core,
  socket: RawSocket,
  message: Datagram,
  source: IpAddress,
  destination: IpAddress,
): Packet {
  const { bytes, offset, length } = message;
  const packet = core.packets.acquire(length);
  const memory = packet.memory!;
  memory.bytes.set(bytes.subarray(offset, offset + length), 0);
  packet.protocol = socket.protocol;
  packet.isUnverified = true;
  if (!socket.includesHeader) return packet;
  const { view } = memory;
  packet.hasHeader = true;
  packet.protocol = view.getUint8(PROTOCOL);
  view.setUint16(TOTAL_LENGTH, length);
  if (view.getInt32(SOURCE) === ANY) view.setInt32(SOURCE, source);
  if (view.getUint16(IDENTIFICATION) === 0) {
    view.setUint16(IDENTIFICATION, core.identifications.next(source, destination, packet.protocol));
  }
  view.setUint16(IPV4_CHECKSUM_OFFSET, 0);
  view.setUint16(IPV4_CHECKSUM_OFFSET, fold(sum(memory, 0, (view.getUint8(0) & 0xf) << 2)));
  return packet;
}

/** The options that raw sockets alone have; -ENOPROTOOPT: it is none of them. */
export function setRawOption(socket: RawSocket, level: number, name: number, value: number): number {
  if (level === IPPROTO_IP && name === IP_HDRINCL) {
    socket.includesHeader = value !== 0;
    return 0;
  }
  if (level !== SOL_RAW || name !== ICMP_FILTER) return -ENOPROTOOPT;
  if (socket.protocol !== IP_PROTOCOL.icmp) return -EOPNOTSUPP;
  socket.icmpFilter = value;
  return 0;
}

export function getRawOption(socket: RawSocket, level: number, name: number): number {
  if (level === IPPROTO_IP && name === IP_HDRINCL) return socket.includesHeader ? 1 : 0;
  if (level !== SOL_RAW || name !== ICMP_FILTER) return -ENOPROTOOPT;
  return socket.protocol === IP_PROTOCOL.icmp ? socket.icmpFilter >>> 0 : -EOPNOTSUPP;
}
