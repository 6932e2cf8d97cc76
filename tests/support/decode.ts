/**
 * Reads frames for checks and failure messages. It shares nothing with lib/wire, which is what the tests that use it
 * are about: no parser vouches for itself.
 */

export interface DecodedArp {
  operation: number;
  senderMac: string;
  senderAddress: number;
  targetMac: string;
  targetAddress: number;
}

export interface DecodedIpv4 {
  headerLength: number;
  dscp: number;
  ecn: number;
  totalLength: number;
  identification: number;
  dontFragment: boolean;
  moreFragments: boolean;
  /** Bytes. */
  fragmentOffset: number;
  ttl: number;
  protocol: number;
  checksumOk: boolean;
  source: number;
  destination: number;
}

export interface DecodedIcmp {
  type: number;
  code: number;
  checksumOk: boolean;
  id: number;
  seq: number;
  /** What follows the 8-byte header. */
  payload: Uint8Array;
}

export interface DecodedUdp {
  sourcePort: number;
  destinationPort: number;
  /** A checksum of 0 (none) counts as ok. */
  checksumOk: boolean;
  payload: Uint8Array;
}

export interface TcpOption {
  kind: number;
  data: Uint8Array;
}

export interface DecodedTcp {
  sourcePort: number;
  destinationPort: number;
  /** int32, as in the stack. */
  seq: number;
  ack: number;
  flags: number;
  window: number;
  urgentPointer: number;
  checksumOk: boolean;
  options: TcpOption[];
  payload: Uint8Array;
}

export interface Packet {
  bytes: Uint8Array;
  /** Why decoding ended early; empty when it did not. */
  malformed: string;
  destinationMac: string;
  sourceMac: string;
  etherType: number;
  arp?: DecodedArp;
  ipv4?: DecodedIpv4;
  icmp?: DecodedIcmp;
  udp?: DecodedUdp;
  tcp?: DecodedTcp;
}

export interface DecodeOptions {
  /** Transport checksums were left to the device: they are not looked at. */
  checksumOffloaded?: boolean;
}

/** Decodes a whole Ethernet frame. Never throws: what does not parse is said in `malformed`. */
export function decode(bytes: Uint8Array, options: DecodeOptions = {}): Packet {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const packet: Packet = { bytes, malformed: "", destinationMac: "", sourceMac: "", etherType: 0 };
  if (bytes.length < 14) return malformed(packet, "truncated Ethernet header");
  packet.destinationMac = macAt(bytes, 0);
  packet.sourceMac = macAt(bytes, 6);
  packet.etherType = view.getUint16(12);
  if (packet.etherType === 0x0806) return decodeArp(packet, view);
  if (packet.etherType === 0x0800) return decodeIpv4(packet, view, options);
  return packet;
}

function malformed(packet: Packet, why: string): Packet {
  packet.malformed = why;
  return packet;
}

function decodeArp(packet: Packet, view: DataView): Packet {
  if (view.byteLength < 42) return malformed(packet, "truncated ARP");
  packet.arp = {
    operation: view.getUint16(20),
    senderMac: macAt(packet.bytes, 22),
    senderAddress: view.getInt32(28),
    targetMac: macAt(packet.bytes, 32),
    targetAddress: view.getInt32(38),
  };
  return packet;
}

function decodeIpv4(packet: Packet, view: DataView, options: DecodeOptions): Packet {
  if (view.byteLength < 34) return malformed(packet, "truncated IPv4 header");
  const headerLength = (view.getUint8(14) & 15) * 4;
  const totalLength = view.getUint16(16);
  const fragment = view.getUint16(20);
  const ipv4: DecodedIpv4 = packet.ipv4 = {
    headerLength,
    dscp: view.getUint8(15) >> 2,
    ecn: view.getUint8(15) & 3,
    totalLength,
    identification: view.getUint16(18),
    dontFragment: (fragment & 0x4000) !== 0,
    moreFragments: (fragment & 0x2000) !== 0,
    fragmentOffset: (fragment & 0x1fff) * 8,
    ttl: view.getUint8(22),
    protocol: view.getUint8(23),
    checksumOk: false,
    source: view.getInt32(26),
    destination: view.getInt32(30),
  };
  if (view.getUint8(14) >> 4 !== 4) return malformed(packet, "IP version is not 4");
  if (headerLength < 20 || headerLength > totalLength || 14 + totalLength > view.byteLength) {
    return malformed(packet, "IPv4 lengths disagree");
  }
  ipv4.checksumOk = onesSum(packet.bytes, 14, headerLength) === 0xffff;
  if (ipv4.fragmentOffset > 0) return packet;
  const start = 14 + headerLength;
  const length = totalLength - headerLength;
  // A fragment's checksum covers the other fragments too.
  const trusted = options.checksumOffloaded === true || ipv4.moreFragments;
  if (ipv4.protocol === 1) return decodeIcmp(packet, view, start, length, ipv4.moreFragments);
  if (ipv4.protocol === 6) return decodeTcp(packet, view, start, length, trusted);
  if (ipv4.protocol === 17) return decodeUdp(packet, view, start, length, trusted);
  return packet;
}

function decodeIcmp(packet: Packet, view: DataView, start: number, length: number, trusted: boolean): Packet {
  if (length < 8) return malformed(packet, "truncated ICMP");
  packet.icmp = {
    type: view.getUint8(start),
    code: view.getUint8(start + 1),
    checksumOk: trusted || onesSum(packet.bytes, start, length) === 0xffff,
    id: view.getUint16(start + 4),
    seq: view.getUint16(start + 6),
    payload: packet.bytes.subarray(start + 8, start + length),
  };
  return packet;
}

function decodeUdp(packet: Packet, view: DataView, start: number, length: number, trusted: boolean): Packet {
  if (length < 8 || (!trusted && view.getUint16(start + 4) > length)) {
    return malformed(packet, "truncated UDP");
  }
  const udpLength = Math.min(view.getUint16(start + 4), length);
  packet.udp = {
    sourcePort: view.getUint16(start),
    destinationPort: view.getUint16(start + 2),
    checksumOk: trusted || view.getUint16(start + 6) === 0 || transportOk(packet, start, udpLength),
    payload: packet.bytes.subarray(start + 8, start + udpLength),
  };
  return packet;
}

function decodeTcp(packet: Packet, view: DataView, start: number, length: number, trusted: boolean): Packet {
  const headerLength = length < 20 ? 0 : (view.getUint8(start + 12) >> 4) * 4;
  if (headerLength < 20 || headerLength > length) return malformed(packet, "truncated TCP header");
  packet.tcp = {
    sourcePort: view.getUint16(start),
    destinationPort: view.getUint16(start + 2),
    seq: view.getInt32(start + 4),
    ack: view.getInt32(start + 8),
    flags: view.getUint16(start + 12) & 0x1ff,
    window: view.getUint16(start + 14),
    urgentPointer: view.getUint16(start + 18),
    checksumOk: trusted || transportOk(packet, start, length),
    options: [],
    payload: packet.bytes.subarray(start + headerLength, start + length),
  };
  const end = start + headerLength;
  for (let at = start + 20; at < end;) {
    const kind = view.getUint8(at);
    const optionLength = kind <= 1 ? 1 : at + 1 < end ? view.getUint8(at + 1) : 0;
    if (optionLength < 1 || (kind > 1 && optionLength < 2) || at + optionLength > end) {
      return malformed(packet, "bad TCP option length");
    }
    packet.tcp.options.push({
      kind,
      data: packet.bytes.subarray(at + Math.min(2, optionLength), at + optionLength),
    });
    if (kind === 0) break;
    at += optionLength;
  }
  return packet;
}

function transportOk(packet: Packet, start: number, length: number): boolean {
  const pseudo = onesSum(packet.bytes, 26, 8) + packet.ipv4!.protocol + length;
  return foldSum(pseudo + onesSum(packet.bytes, start, length)) === 0xffff;
}

/** The one's-complement sum of big-endian words, folded, byte by byte: slow and plain. */
function onesSum(bytes: Uint8Array, start: number, length: number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += i % 2 === 0 ? bytes[start + i] * 256 : bytes[start + i];
  return foldSum(sum);
}

function foldSum(sum: number): number {
  while (sum > 0xffff) sum = (sum % 65536) + Math.floor(sum / 65536);
  return sum;
}

function macAt(bytes: Uint8Array, at: number): string {
  return [...bytes.subarray(at, at + 6)].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** Dotted, from an int32. */
export function addressText(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");
}
