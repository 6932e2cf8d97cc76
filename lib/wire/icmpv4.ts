/** ICMP messages (RFC 792) and the packet that an ICMP error quotes (RFC 1122 3.2.2). */
import type { Memory } from "../buffer/memory.ts";
import type { IpAddress } from "./address.ts";
import { fold, sum } from "./checksum.ts";
import { DROP, type DropCode } from "./drop.ts";
import { IP_PROTOCOL, IPV4_HEADER } from "./ipv4.ts";

/** Bytes of the header, the four that differ by type included. */
export const ICMP_HEADER = 8;
/** Where the checksum lies, in bytes from the start of the header. */
export const ICMP_CHECKSUM_OFFSET = 2;

export const ICMP_TYPE = {
  echoReply: 0,
  unreachable: 3,
  sourceQuench: 4,
  redirect: 5,
  echoRequest: 8,
  timeExceeded: 11,
  parameterProblem: 12,
  timestampRequest: 13,
  timestampReply: 14,
} as const;

/** Codes of ICMP_TYPE.unreachable (RFC 792, RFC 1122 3.2.2.1, RFC 1812 5.2.7.1). */
export const ICMP_UNREACHABLE = {
  net: 0,
  host: 1,
  protocol: 2,
  port: 3,
  fragmentationNeeded: 4,
  sourceRouteFailed: 5,
  netUnknown: 6,
  hostUnknown: 7,
  hostIsolated: 8,
  netProhibited: 9,
  hostProhibited: 10,
  netTypeOfService: 11,
  hostTypeOfService: 12,
  prohibited: 13,
  precedenceViolation: 14,
  precedenceCutoff: 15,
} as const;

/** Codes of ICMP_TYPE.timeExceeded. */
export const ICMP_TIME_EXCEEDED = { transit: 0, reassembly: 1 } as const;

/** Transport bytes of a quoted packet that say which socket sent it: every error quotes these at least (RFC 792). */
const QUOTED_TRANSPORT = 8;

/** One ICMP header. Reused for every message. */
export class Icmpv4Header {
  type = 0;
  code = 0;
  checksum = 0;
  /** The bytes 4 to 7, int32: identifier and sequence number of an echo, the next hop's MTU, a redirect's gateway... */
  rest = 0;
  /** Input: where the payload lies in the memory. For errors it is the quoted packet, see parseQuoted. */
  payloadOffset = 0;
  payloadLength = 0;

  /** Echo: the identifier, 16 bits. */
  get identifier(): number {
    return this.rest >>> 16;
  }

  /** Echo: the sequence number, 16 bits. */
  get sequence(): number {
    return this.rest & 0xffff;
  }

  /** Fragmentation needed: the MTU of the next hop, bytes; 0 from routers older than RFC 1191. */
  get mtu(): number {
    return this.rest & 0xffff;
  }

  /** Echo: sets `rest`. */
  setEcho(identifier: number, sequence: number): void {
    this.rest = (identifier << 16) | (sequence & 0xffff);
  }
}

/** Parses and checks, checksum included, the message of `length` bytes at `offset`. Returns 0, or a DROP code. */
export function parseIcmpv4(memory: Memory, offset: number, length: number, header: Icmpv4Header): DropCode {
  if (length < ICMP_HEADER) return DROP.icmpTruncated;
  if (fold(sum(memory, offset, length)) !== 0) return DROP.icmpChecksum;
  const view = memory.view;
  header.type = view.getUint8(offset);
  header.code = view.getUint8(offset + 1);
  header.checksum = view.getUint16(offset + ICMP_CHECKSUM_OFFSET);
  header.rest = view.getInt32(offset + 4);
  header.payloadOffset = offset + ICMP_HEADER;
  header.payloadLength = length - ICMP_HEADER;
  return DROP.none;
}

/**
 * Writes the header at `offset`, with the checksum of it and of the `payloadLength` bytes that lie behind it already.
 * Returns the bytes of the header, 8.
 */
export function emitIcmpv4(
  memory: Memory,
  offset: number,
  header: Icmpv4Header,
  payloadLength: number,
): number {
  const view = memory.view;
  view.setInt32(offset, (header.type << 24) | (header.code << 16));
  view.setInt32(offset + 4, header.rest);
  header.checksum = fold(sum(memory, offset, ICMP_HEADER + payloadLength));
  view.setUint16(offset + ICMP_CHECKSUM_OFFSET, header.checksum);
  return ICMP_HEADER;
}

/** What an ICMP error says of the packet it is about, one that we sent. Reused. */
export class QuotedPacket {
  protocol = 0;
  /** Of the quoted packet: our address. */
  source: IpAddress = 0;
  /** Of the quoted packet: the peer's address. */
  destination: IpAddress = 0;
  /** Bytes of the whole packet as it was sent, of which the quote holds only the beginning. */
  totalLength = 0;
  /** TCP and UDP; 0 otherwise. */
  sourcePort = 0;
  /** TCP and UDP; 0 otherwise. */
  destinationPort = 0;
  /** TCP: the sequence number, int32; 0 otherwise. */
  seq = 0;
  /** ICMP: the type of the message that was sent; -1 otherwise. */
  icmpType = -1;
  /** ICMP echo: the identifier; 0 otherwise. */
  identifier = 0;
  /** ICMP echo: the sequence number; 0 otherwise. */
  sequence = 0;
}

/**
 * Parses the packet that an ICMP error quotes. `length`: the bytes quoted, all of the IP header and 8 more at least for
 * TCP, UDP and ICMP. Its checksums are not verified (address translators do not mend them), nor is its total length
 * compared to what is quoted. Returns 0, or `DROP.icmpQuoteMalformed`; so it is for all but a first fragment, which does
 * not say which socket it is from.
 */
export function parseQuoted(memory: Memory, offset: number, length: number, quoted: QuotedPacket): DropCode {
  if (length < IPV4_HEADER) return DROP.icmpQuoteMalformed;
  const view = memory.view;
  const first = view.getUint8(offset);
  const headerLength = (first & 0xf) << 2;
  if (first >> 4 !== 4 || headerLength < IPV4_HEADER || headerLength > length) return DROP.icmpQuoteMalformed;
  const fragmentOffset = view.getUint16(offset + 6) & 0x1fff;
  if (fragmentOffset !== 0) return DROP.icmpQuoteMalformed;
  quoted.protocol = view.getUint8(offset + 9);
  quoted.source = view.getInt32(offset + 12);
  quoted.destination = view.getInt32(offset + 16);
  quoted.totalLength = view.getUint16(offset + 2);
  quoted.sourcePort =
    quoted.destinationPort =
    quoted.seq =
    quoted.identifier =
    quoted.sequence =
      0;
  quoted.icmpType = -1;
  return parseQuotedTransport(view, offset + headerLength, length - headerLength, quoted);
}

function parseQuotedTransport(view: DataView, at: number, length: number, quoted: QuotedPacket): DropCode {
  const { protocol } = quoted;
  const isIcmp = protocol === IP_PROTOCOL.icmp;
  const isTcp = protocol === IP_PROTOCOL.tcp;
  if (!isIcmp && !isTcp && protocol !== IP_PROTOCOL.udp) return DROP.none;
  if (length < QUOTED_TRANSPORT) return DROP.icmpQuoteMalformed;
  if (isIcmp) {
    quoted.icmpType = view.getUint8(at);
    if (quoted.icmpType === ICMP_TYPE.echoRequest || quoted.icmpType === ICMP_TYPE.echoReply) {
      quoted.identifier = view.getUint16(at + 4);
      quoted.sequence = view.getUint16(at + 6);
    }
    return DROP.none;
  }
  quoted.sourcePort = view.getUint16(at);
  quoted.destinationPort = view.getUint16(at + 2);
  if (isTcp) quoted.seq = view.getInt32(at + 4);
  return DROP.none;
}
