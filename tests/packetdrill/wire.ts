/**
 * Packets to frames and back. This is written apart from lib/wire on purpose: scripts need options in any order and
 * fields with any value, and a runner that shared the stack's own code would share its mistakes.
 */
import type { TcpOption } from "./ast.ts";
import type { Packet } from "./segment.ts";
import {
  formatOption,
  OPTION_EOL,
  OPTION_MSS,
  OPTION_NOP,
  OPTION_SACK,
  OPTION_TIMESTAMP,
  OPTION_WSCALE,
  optionLength,
} from "./tcp_options.ts";

export const ETHERNET = 14;
const IP = 20;
const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;
const PROTOCOL_ICMP = 1;
const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;

export type Mac = readonly number[];

/** What the ICMP message to encode says besides its IP header. */
export interface IcmpBody {
  type: number;
  code: number;
  /** The four bytes behind the checksum. */
  rest: number;
  bytes: Uint8Array;
}

export function ipToNumber(text: string): number {
  return text.split(".").reduce((value, part) => value * 256 + Number(part), 0);
}

export function ipToText(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff).join(".");
}

/** Adds 16-bit words, big-endian, an odd last byte padded with 0. */
function sumWords(bytes: Uint8Array, from: number, to: number): number {
  let sum = 0;
  for (let i = from; i < to; i += 2) sum += (bytes[i] << 8) | (i + 1 < to ? bytes[i + 1] : 0);
  return sum;
}

function fold(sum: number): number {
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

/** The sum over a transport packet with its pseudo header; 0 once folded if the checksum in it is right. */
function transportSum(bytes: Uint8Array, ip: number, protocol: number): number {
  const length = bytes.length - ip - IP;
  return sumWords(bytes, ip + 12, ip + 20) + protocol + length + sumWords(bytes, ip + IP, bytes.length);
}

/** An Ethernet frame with an IPv4 packet around `body` (the transport header and payload). */
function wrap(packet: Packet, protocol: number, body: Uint8Array, to: Mac, from: Mac): Uint8Array {
  const frame = new Uint8Array(ETHERNET + IP + body.length);
  const view = new DataView(frame.buffer);
  frame.set(to, 0);
  frame.set(from, 6);
  view.setUint16(12, ETHERTYPE_IPV4);
  writeIpHeader(view, ETHERNET, packet, protocol, IP + body.length);
  frame.set(body, ETHERNET + IP);
  return frame;
}

function writeIpHeader(view: DataView, at: number, packet: Packet, protocol: number, length: number): void {
  view.setUint8(at, 0x45);
  view.setUint8(at + 1, packet.tos);
  view.setUint16(at + 2, length);
  view.setUint16(at + 6, 0x4000);
  view.setUint8(at + 8, packet.ttl);
  view.setUint8(at + 9, protocol);
  view.setUint32(at + 12, ipToNumber(packet.source));
  view.setUint32(at + 16, ipToNumber(packet.destination));
  const bytes = new Uint8Array(view.buffer, view.byteOffset);
  view.setUint16(at + 10, fold(sumWords(bytes, at, at + IP)));
}

export function encodeTcp(packet: Packet, to: Mac, from: Mac): Uint8Array {
  const optionBytes = packet.options.reduce((sum, option) => sum + optionLength(option), 0);
  const header = 20 + optionBytes;
  const body = new Uint8Array(header + packet.payload.length);
  const view = new DataView(body.buffer);
  view.setUint16(0, packet.sourcePort);
  view.setUint16(2, packet.destinationPort);
  view.setUint32(4, packet.seq);
  view.setUint32(8, packet.ack);
  view.setUint16(12, (header / 4) << 12 | packet.bits);
  view.setUint16(14, packet.window);
  view.setUint16(18, packet.urgent);
  let at = 20;
  for (const option of packet.options) at += writeOption(view, at, option);
  body.set(packet.payload, header);
  const frame = wrap(packet, PROTOCOL_TCP, body, to, from);
  new DataView(frame.buffer).setUint16(ETHERNET + IP + 16, fold(transportSum(frame, ETHERNET, PROTOCOL_TCP)));
  return frame;
}

function writeOption(view: DataView, at: number, option: TcpOption): number {
  const length = optionLength(option);
  view.setUint8(at, option.kind);
  if (length === 1) return 1;
  view.setUint8(at + 1, length);
  if (option.kind === OPTION_MSS) view.setUint16(at + 2, option.mss ?? 0);
  else if (option.kind === OPTION_WSCALE) view.setUint8(at + 2, option.scale ?? 0);
  else if (option.kind === OPTION_TIMESTAMP) {
    view.setUint32(at + 2, option.value ?? 0);
    view.setUint32(at + 6, option.echo ?? 0);
  } else if (option.kind === OPTION_SACK) {
    option.blocks?.forEach((edge, i) => view.setUint32(at + 2 + 4 * i, edge));
  } else option.data.forEach((byte, i) => view.setUint8(at + 2 + i, byte));
  return length;
}

export function encodeUdp(packet: Packet, to: Mac, from: Mac): Uint8Array {
  const body = new Uint8Array(8 + packet.payload.length);
  const view = new DataView(body.buffer);
  view.setUint16(0, packet.sourcePort);
  view.setUint16(2, packet.destinationPort);
  view.setUint16(4, body.length);
  body.set(packet.payload, 8);
  const frame = wrap(packet, PROTOCOL_UDP, body, to, from);
  const sum = fold(transportSum(frame, ETHERNET, PROTOCOL_UDP));
  new DataView(frame.buffer).setUint16(ETHERNET + IP + 6, sum === 0 ? 0xffff : sum);
  return frame;
}

export function encodeIcmp(packet: Packet, icmp: IcmpBody, to: Mac, from: Mac): Uint8Array {
  const body = new Uint8Array(8 + icmp.bytes.length);
  const view = new DataView(body.buffer);
  view.setUint8(0, icmp.type);
  view.setUint8(1, icmp.code);
  view.setUint32(4, icmp.rest >>> 0);
  body.set(icmp.bytes, 8);
  view.setUint16(2, fold(sumWords(body, 0, body.length)));
  return wrap(packet, PROTOCOL_ICMP, body, to, from);
}

/** The start of a packet of ours, as an ICMP error quotes it: IP header and 8 bytes (RFC 792). */
export function encodeQuoted(packet: Packet, protocol: number, length: number): Uint8Array {
  const bytes = new Uint8Array(IP + 8);
  const view = new DataView(bytes.buffer);
  writeIpHeader(view, 0, packet, protocol, IP + (protocol === PROTOCOL_TCP ? 20 : 8) + length);
  view.setUint16(IP, packet.sourcePort);
  view.setUint16(IP + 2, packet.destinationPort);
  if (protocol === PROTOCOL_TCP) view.setUint32(IP + 4, packet.seq);
  else view.setUint16(IP + 4, 8 + length);
  return bytes;
}

/** The answer to an ARP request (RFC 826), or null if the frame is not one. */
export function answerArp(frame: Uint8Array, mac: Mac): Uint8Array | null {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (view.getUint16(12) !== ETHERTYPE_ARP || view.getUint16(20) !== 1) return null;
  const sender = frame.slice(22, 28);
  const senderIp = view.getUint32(28);
  const target = view.getUint32(38);
  if (senderIp === target || senderIp === 0) return null;
  const reply = frame.slice(0, 42);
  const out = new DataView(reply.buffer);
  reply.set(sender, 0);
  reply.set(mac, 6);
  out.setUint16(20, 2);
  reply.set(mac, 22);
  out.setUint32(28, target);
  reply.set(sender, 32);
  out.setUint32(38, senderIp);
  return reply;
}

/** Thrown for a frame that no correct stack sends; the message says what is wrong with it. */
export class BadFrame extends Error {
  override readonly name = "BadFrame";
}

/**
 * Decodes an IPv4 frame; null for anything that is not TCP, UDP or ICMP over IPv4. `complete`: the transport checksum
 * was not left to the device. Throws BadFrame.
 */
export function decode(frame: Uint8Array, atUs: number, complete = true): Packet | null {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (frame.length < ETHERNET + IP || view.getUint16(12) !== ETHERTYPE_IPV4) return null;
  if (view.getUint8(ETHERNET) !== 0x45) throw new BadFrame("not a plain IPv4 header");
  const length = view.getUint16(ETHERNET + 2);
  if (length !== frame.length - ETHERNET) {
    throw new BadFrame(`IP total length ${length} in a frame that carries ${frame.length - ETHERNET} bytes`);
  }
  if (fold(sumWords(frame, ETHERNET, ETHERNET + IP)) !== 0) throw new BadFrame("wrong IP header checksum");
  const packet: Packet = {
    ...emptyPacket(atUs),
    source: ipToText(view.getUint32(ETHERNET + 12)),
    destination: ipToText(view.getUint32(ETHERNET + 16)),
    tos: view.getUint8(ETHERNET + 1),
    ttl: view.getUint8(ETHERNET + 8),
  };
  const protocol = view.getUint8(ETHERNET + 9);
  if (protocol === PROTOCOL_TCP) return decodeTcp(frame, view, packet, complete);
  if (protocol === PROTOCOL_UDP) return decodeUdp(frame, view, packet);
  if (protocol === PROTOCOL_ICMP) return decodeIcmp(frame, view, packet);
  return null;
}

export function emptyPacket(atUs: number): Packet {
  return {
    atUs,
    type: "tcp",
    source: "",
    destination: "",
    sourcePort: 0,
    destinationPort: 0,
    tos: 0,
    ttl: 255,
    seq: 0,
    ack: 0,
    bits: 0,
    window: 0,
    urgent: 0,
    options: [],
    payload: new Uint8Array(0),
    icmpType: 0,
    icmpCode: 0,
  };
}

function decodeTcp(frame: Uint8Array, view: DataView, packet: Packet, complete: boolean): Packet {
  const at = ETHERNET + IP;
  if (complete && fold(transportSum(frame, ETHERNET, PROTOCOL_TCP)) !== 0) {
    throw new BadFrame("wrong TCP checksum");
  }
  const offsetAndFlags = view.getUint16(at + 12);
  const header = (offsetAndFlags >>> 12) * 4;
  if (header < 20 || at + header > frame.length) throw new BadFrame(`TCP header of ${header} bytes`);
  return {
    ...packet,
    sourcePort: view.getUint16(at),
    destinationPort: view.getUint16(at + 2),
    seq: view.getUint32(at + 4),
    ack: view.getUint32(at + 8),
    bits: offsetAndFlags & 0x1ff,
    window: view.getUint16(at + 14),
    urgent: view.getUint16(at + 18),
    options: decodeOptions(view, at + 20, at + header),
    payload: frame.slice(at + header),
  };
}

function decodeOptions(view: DataView, from: number, to: number): TcpOption[] {
  const options: TcpOption[] = [];
  for (let at = from; at < to;) {
    const kind = view.getUint8(at);
    if (kind === OPTION_EOL || kind === OPTION_NOP) {
      options.push({ kind, name: kind === OPTION_NOP ? "nop" : "eol", data: [] });
      at++;
      continue;
    }
    const length = at + 1 < to ? view.getUint8(at + 1) : 0;
    if (length < 2 || at + length > to) throw new BadFrame(`TCP option ${kind} of length ${length}`);
    const option: TcpOption = { kind, name: "", data: [] };
    if (kind === OPTION_MSS && length === 4) option.mss = view.getUint16(at + 2);
    else if (kind === OPTION_WSCALE && length === 3) option.scale = view.getUint8(at + 2);
    else if (kind === OPTION_TIMESTAMP && length === 10) {
      option.value = view.getUint32(at + 2);
      option.echo = view.getUint32(at + 6);
    } else if (kind === OPTION_SACK) {
      option.blocks = [];
      for (let edge = at + 2; edge + 4 <= at + length; edge += 4) option.blocks.push(view.getUint32(edge));
    } else {
      for (let i = at + 2; i < at + length; i++) option.data.push(view.getUint8(i));
    }
    option.name = formatOption(option);
    options.push(option);
    at += length;
  }
  return options;
}

function decodeUdp(frame: Uint8Array, view: DataView, packet: Packet): Packet {
  const at = ETHERNET + IP;
  const checksum = view.getUint16(at + 6);
  if (checksum !== 0 && fold(transportSum(frame, ETHERNET, PROTOCOL_UDP)) !== 0) {
    throw new BadFrame("wrong UDP checksum");
  }
  return {
    ...packet,
    type: "udp",
    sourcePort: view.getUint16(at),
    destinationPort: view.getUint16(at + 2),
    payload: frame.slice(at + 8),
  };
}

function decodeIcmp(frame: Uint8Array, view: DataView, packet: Packet): Packet {
  const at = ETHERNET + IP;
  if (fold(sumWords(frame, at, frame.length)) !== 0) throw new BadFrame("wrong ICMP checksum");
  return {
    ...packet,
    type: "icmp",
    icmpType: view.getUint8(at),
    icmpCode: view.getUint8(at + 1),
    payload: frame.slice(at + 8),
  };
}
