/** Makes frames for tests to feed to a stack, with right lengths and checksums: what is wrong is done to them after. */
import { FRAME_START } from "../../lib/buffer/frame.ts";
import { Memory } from "../../lib/buffer/memory.ts";
import { parseIp, parseMac } from "../../lib/wire/address.ts";
import { ArpHeader, emitArp } from "../../lib/wire/arp.ts";
import { fold, pseudoSum, sum } from "../../lib/wire/checksum.ts";
import { emitEthernet, ETHER_TYPE, ETHERNET_HEADER, EthernetHeader } from "../../lib/wire/ethernet.ts";
import { emitIcmpv4, ICMP_HEADER, Icmpv4Header } from "../../lib/wire/icmpv4.ts";
import { emitIpv4, IP_PROTOCOL, IPV4_HEADER, Ipv4Header } from "../../lib/wire/ipv4.ts";
import { emitTcp, TCP_CHECKSUM_OFFSET, TcpHeader, tcpHeaderLength } from "../../lib/wire/tcp.ts";
import { emitUdp, UDP_CHECKSUM_OFFSET, UDP_HEADER, UdpHeader } from "../../lib/wire/udp.ts";
import { parseFlags } from "./format.ts";

export interface LinkFields {
  sourceMac?: string;
  destinationMac?: string;
}

export interface IpFields extends LinkFields {
  source: string;
  destination: string;
  ttl?: number;
  ecn?: number;
  identification?: number;
  moreFragments?: boolean;
  fragmentOffset?: number;
}

export interface TcpFields extends IpFields {
  sourcePort: number;
  destinationPort: number;
  /** As tcpdump writes them: `S.`. */
  flags: string;
  seq?: number;
  ack?: number;
  window?: number;
  urgentPointer?: number;
  mss?: number;
  windowScale?: number;
  sackPermitted?: boolean;
  /** Value and echo. */
  timestamps?: [value: number, echo: number];
  sack?: [left: number, right: number][];
  /** TCP Fast Open's cookie; empty to ask for one. */
  fastOpen?: Uint8Array;
  payload?: Uint8Array | string;
}

export const MAC_A = "02:00:00:00:00:04";
export const MAC_B = "02:00:00:00:00:05";

const memory = new Memory(65536 + 256);
const IP_START = FRAME_START + ETHERNET_HEADER;

export function tcpFrame(fields: TcpFields): Uint8Array<ArrayBuffer> {
  const header = new TcpHeader();
  header.sourcePort = fields.sourcePort;
  header.destinationPort = fields.destinationPort;
  header.flags = parseFlags(fields.flags);
  header.seq = (fields.seq ?? 0) | 0;
  header.ack = (fields.ack ?? 0) | 0;
  header.window = fields.window ?? 65535;
  header.urgentPointer = fields.urgentPointer ?? 0;
  header.mss = fields.mss ?? 0;
  header.windowScale = fields.windowScale ?? -1;
  header.sackPermitted = fields.sackPermitted ?? false;
  if (fields.timestamps) {
    header.timestamps = true;
    [header.timestampValue, header.timestampEcho] = fields.timestamps.map((value) => value | 0);
  }
  for (const [left, right] of fields.sack ?? []) {
    header.sackLeft[header.sackCount] = left;
    header.sackRight[header.sackCount++] = right;
  }
  if (fields.fastOpen) {
    header.fastOpen = true;
    header.fastOpenLength = fields.fastOpen.length;
    header.fastOpenCookie.set(fields.fastOpen);
  }
  const payload = toBytes(fields.payload);
  const length = tcpHeaderLength(header) + payload.length;
  const start = emitIp(fields, IP_PROTOCOL.tcp, length);
  const headerLength = emitTcp(memory, start, header);
  memory.bytes.set(payload, start + headerLength);
  setTransportChecksum(fields, IP_PROTOCOL.tcp, start, length, TCP_CHECKSUM_OFFSET);
  return taken(start + length);
}

export function udpFrame(
  fields: IpFields & { sourcePort: number; destinationPort: number; payload?: Uint8Array | string },
): Uint8Array<ArrayBuffer> {
  const header = new UdpHeader();
  const payload = toBytes(fields.payload);
  header.sourcePort = fields.sourcePort;
  header.destinationPort = fields.destinationPort;
  header.length = UDP_HEADER + payload.length;
  const start = emitIp(fields, IP_PROTOCOL.udp, header.length);
  emitUdp(memory, start, header);
  memory.bytes.set(payload, start + UDP_HEADER);
  setTransportChecksum(fields, IP_PROTOCOL.udp, start, header.length, UDP_CHECKSUM_OFFSET);
  return taken(start + header.length);
}

/** `rest`: bytes 4 to 7 of the header; for an echo `id << 16 | seq`. */
export function icmpFrame(
  fields: IpFields & { type: number; code?: number; rest?: number; payload?: Uint8Array | string },
): Uint8Array<ArrayBuffer> {
  const header = new Icmpv4Header();
  const payload = toBytes(fields.payload);
  header.type = fields.type;
  header.code = fields.code ?? 0;
  header.rest = (fields.rest ?? 0) | 0;
  const start = emitIp(fields, IP_PROTOCOL.icmp, ICMP_HEADER + payload.length);
  memory.bytes.set(payload, start + ICMP_HEADER);
  emitIcmpv4(memory, start, header, payload.length);
  return taken(start + ICMP_HEADER + payload.length);
}

export function arpFrame(
  fields: LinkFields & { operation: number; senderIp: string; targetIp: string; targetMac?: string },
): Uint8Array<ArrayBuffer> {
  const start = emitLink(fields, ETHER_TYPE.arp);
  const header = new ArpHeader();
  header.operation = fields.operation;
  header.senderMac = parseMac(fields.sourceMac ?? MAC_A)!;
  header.senderIp = parseIp(fields.senderIp)!;
  header.targetMac = parseMac(fields.targetMac ?? "00:00:00:00:00:00")!;
  header.targetIp = parseIp(fields.targetIp)!;
  return taken(start + emitArp(memory, start, header));
}

function emitLink(fields: LinkFields, etherType: number): number {
  const header = new EthernetHeader();
  header.source = parseMac(fields.sourceMac ?? MAC_A)!;
  header.destination = parseMac(fields.destinationMac ?? MAC_B)!;
  header.etherType = etherType;
  return FRAME_START + emitEthernet(memory, FRAME_START, header);
}

function emitIp(fields: IpFields, protocol: number, length: number): number {
  emitLink(fields, ETHER_TYPE.ipv4);
  const header = new Ipv4Header();
  header.totalLength = IPV4_HEADER + length;
  header.identification = fields.identification ?? 0;
  header.dontFragment = !fields.moreFragments && !fields.fragmentOffset;
  header.moreFragments = fields.moreFragments ?? false;
  header.fragmentOffset = fields.fragmentOffset ?? 0;
  header.ttl = fields.ttl ?? 64;
  header.ecn = fields.ecn ?? 0;
  header.protocol = protocol;
  header.source = parseIp(fields.source)!;
  header.destination = parseIp(fields.destination)!;
  return IP_START + emitIpv4(memory, IP_START, header);
}

function setTransportChecksum(
  fields: IpFields,
  protocol: number,
  start: number,
  length: number,
  at: number,
): void {
  const pseudo = pseudoSum(parseIp(fields.source)!, parseIp(fields.destination)!, protocol, length);
  // RFC 768: a sum of 0 is sent as 0xFFFF. Of TCP both mean the same.
  memory.view.setUint16(start + at, fold(sum(memory, start, length, pseudo)) || 0xffff);
}

function taken(end: number): Uint8Array<ArrayBuffer> {
  return memory.bytes.slice(FRAME_START, end);
}

function toBytes(payload: Uint8Array | string | undefined): Uint8Array {
  return typeof payload === "string" ? new TextEncoder().encode(payload) : payload ?? new Uint8Array();
}
