/** IPv4 packets (RFC 791 3.1, RFC 1122 3.2.1). */
import type { Memory } from "../buffer/memory.ts";
import type { IpAddress } from "./address.ts";
import { fold, sum } from "./checksum.ts";
import { DROP, type DropCode } from "./drop.ts";

/** Bytes of a header without options. */
export const IPV4_HEADER = 20;
/** Bytes of the longest header: an IHL of 15 words. */
export const IPV4_HEADER_MAX = 60;

/** Where the checksum lies, in bytes from the start of the header. */
export const IPV4_CHECKSUM_OFFSET = 10;

export const IP_PROTOCOL = { icmp: 1, tcp: 6, udp: 17, raw: 255 } as const;

const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;
const FRAGMENT_OFFSET = 0x1fff;
const OPTION_END = 0;
const OPTION_NOP = 1;
const OPTION_LOOSE_SOURCE_ROUTE = 0x83;
const OPTION_STRICT_SOURCE_ROUTE = 0x89;

/** One IPv4 header. Reused for every packet. */
export class Ipv4Header {
  /** Bytes, options included. Set by parseIpv4; what emitIpv4 writes always has 20. */
  headerLength = IPV4_HEADER;
  /** RFC 2474, 6 bits. */
  dscp = 0;
  /** RFC 3168, 2 bits. */
  ecn = 0;
  /** Bytes of header and payload. */
  totalLength = 0;
  identification = 0;
  dontFragment = false;
  moreFragments = false;
  /** Bytes, a multiple of 8. */
  fragmentOffset = 0;
  ttl = 0;
  protocol = 0;
  source: IpAddress = 0;
  destination: IpAddress = 0;
  /** Input: the options ask for a source route. */
  sourceRoute = false;
  /** Input, of DROP.ipOptionMalformed: where the bad option lies, in bytes from the header's start. */
  badOption = 0;
  /** Input: where the payload lies in the memory, without what Ethernet padded. */
  payloadOffset = 0;
  payloadLength = 0;
}

/**
 * Parses and checks the packet at `offset`, of which `length` bytes arrived: version, IHL, total length, header checksum
 * and options (RFC 1122 3.2.1). Bytes beyond the total length are padding. Returns 0, or a DROP code with `header` in no
 * particular state, except that with `DROP.ipOptionMalformed` all but the options is there; whether the addresses make sense is for the stack to say.
 */
export function parseIpv4(memory: Memory, offset: number, length: number, header: Ipv4Header): DropCode {
  if (length < IPV4_HEADER) return DROP.ipTruncated;
  const view = memory.view;
  const first = view.getUint8(offset);
  if (first >> 4 !== 4) return DROP.ipVersion;
  const headerLength = (first & 0xf) << 2;
  if (headerLength < IPV4_HEADER || headerLength > length) return DROP.ipHeaderLength;
  const totalLength = view.getUint16(offset + 2);
  if (totalLength < headerLength || totalLength > length) return DROP.ipTotalLength;
  if (fold(sum(memory, offset, headerLength)) !== 0) return DROP.ipChecksum;
  const trafficClass = view.getUint8(offset + 1);
  const fragment = view.getUint16(offset + 6);
  header.headerLength = headerLength;
  header.dscp = trafficClass >> 2;
  header.ecn = trafficClass & 3;
  header.totalLength = totalLength;
  header.identification = view.getUint16(offset + 4);
  header.dontFragment = (fragment & DONT_FRAGMENT) !== 0;
  header.moreFragments = (fragment & MORE_FRAGMENTS) !== 0;
  header.fragmentOffset = (fragment & FRAGMENT_OFFSET) << 3;
  header.ttl = view.getUint8(offset + 8);
  header.protocol = view.getUint8(offset + 9);
  header.source = view.getInt32(offset + 12);
  header.destination = view.getInt32(offset + 16);
  header.sourceRoute = false;
  header.payloadOffset = offset + headerLength;
  header.payloadLength = totalLength - headerLength;
  if (headerLength === IPV4_HEADER) return DROP.none;
  return parseOptions(view, offset + IPV4_HEADER, offset + headerLength, header);
}

/** Walks the options by their lengths. RFC 1122 3.2.1.8: those that are not understood are ignored. */
function parseOptions(view: DataView, start: number, end: number, header: Ipv4Header): DropCode {
  let at = start;
  while (at < end) {
    const type = view.getUint8(at);
    if (type === OPTION_END) return DROP.none;
    if (type === OPTION_NOP) {
      at++;
      continue;
    }
    const length = at + 2 > end ? 0 : view.getUint8(at + 1);
    if (length < 2 || at + length > end) {
      header.badOption = at - start + IPV4_HEADER;
      return DROP.ipOptionMalformed;
    }
    if (type === OPTION_LOOSE_SOURCE_ROUTE || type === OPTION_STRICT_SOURCE_ROUTE) header.sourceRoute = true;
    at += length;
  }
  return DROP.none;
}

/** Bytes of the header at `offset`, which was checked. */
export function headerLengthAt(memory: Memory, offset: number): number {
  return (memory.bytes[offset] & 0xf) << 2;
}

/**
 * Writes a header without options at `offset`, its checksum included; `totalLength` is the caller's. Returns its bytes,
 * 20.
 */
export function emitIpv4(memory: Memory, offset: number, header: Ipv4Header): number {
  const view = memory.view;
  const fragment = (header.dontFragment ? DONT_FRAGMENT : 0) | (header.moreFragments ? MORE_FRAGMENTS : 0) |
    (header.fragmentOffset >> 3);
  view.setUint16(offset, 0x4500 | (header.dscp << 2) | header.ecn);
  view.setUint16(offset + 2, header.totalLength);
  view.setUint16(offset + 4, header.identification);
  view.setUint16(offset + 6, fragment);
  view.setUint8(offset + 8, header.ttl);
  view.setUint8(offset + 9, header.protocol);
  view.setUint16(offset + 10, 0);
  view.setInt32(offset + 12, header.source);
  view.setInt32(offset + 16, header.destination);
  view.setUint16(offset + 10, fold(sum(memory, offset, IPV4_HEADER)));
  return IPV4_HEADER;
}
