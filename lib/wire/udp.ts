/** UDP datagrams (RFC 768). */
import type { Memory } from "../buffer/memory.ts";
import { DROP, type DropCode } from "./drop.ts";

/** Bytes of the header. */
export const UDP_HEADER = 8;
/** Where length and checksum lie, in bytes from the start of the header. */
export const UDP_LENGTH_OFFSET = 4;
export const UDP_CHECKSUM_OFFSET = 6;

/** One UDP header. Reused for every datagram. */
export class UdpHeader {
  sourcePort = 0;
  destinationPort = 0;
  /** Bytes of header and payload; also the length that the pseudo header counts. */
  length = 0;
  /** 0: the sender made none. A sum that comes out as 0 is sent as 0xFFFF (RFC 768). */
  checksum = 0;
  /** Input: where the payload lies in the memory. */
  payloadOffset = 0;
  payloadLength = 0;
}

/**
 * Parses the datagram at `offset` in an IP payload of `length` bytes; bytes beyond its own length are ignored. The
 * checksum is not verified: only the caller knows the pseudo header. Returns 0, or a DROP code.
 */
export function parseUdp(memory: Memory, offset: number, length: number, header: UdpHeader): DropCode {
  if (length < UDP_HEADER) return DROP.udpTruncated;
  const view = memory.view;
  const datagramLength = view.getUint16(offset + UDP_LENGTH_OFFSET);
  if (datagramLength < UDP_HEADER || datagramLength > length) return DROP.udpLength;
  header.sourcePort = view.getUint16(offset);
  header.destinationPort = view.getUint16(offset + 2);
  header.length = datagramLength;
  header.checksum = view.getUint16(offset + UDP_CHECKSUM_OFFSET);
  header.payloadOffset = offset + UDP_HEADER;
  header.payloadLength = datagramLength - UDP_HEADER;
  return DROP.none;
}

/** Writes the header at `offset` with a checksum of 0 and the length in `header.length`; returns its bytes, 8. */
export function emitUdp(memory: Memory, offset: number, header: UdpHeader): number {
  const view = memory.view;
  view.setUint16(offset, header.sourcePort);
  view.setUint16(offset + 2, header.destinationPort);
  view.setUint16(offset + UDP_LENGTH_OFFSET, header.length);
  view.setUint16(offset + UDP_CHECKSUM_OFFSET, 0);
  return UDP_HEADER;
}
