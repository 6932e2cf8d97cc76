import { echoOptions } from "../stack/ip_options.ts";
import { type Datagram, DATAGRAM_ERROR } from "../stack/socket_types.ts";

/**
 * What stands in front of a message of a datagram socket, between a program and the daemon: little-endian, addresses in
 * network order.
 *
 * | offset | type | field |
 * |--------|------|-------|
 * | 0  | u32 | magic |
 * | 4  | u16 | flags, `DATAGRAM_*` |
 * | 6  | u16 | port of the other side |
 * | 8  | u64 | the socket's id: nobody outside knows it, so no message can feign a header |
 * | 16 | 4 bytes | address of the other side; from a program: zeros mean the peer that `associate` named |
 * | 20 | 4 bytes | our address that it was sent to; from a program: the one to send from, zeros are the socket's |
 * | 24 | i32 | errno, with `DATAGRAM_FAILED` |
 * | 28 | u8 x 4 | TTL (from a program: 0 is the socket's), ICMP type, ICMP code, TOS; see `DATAGRAM_OPTIONS` |
 * | 32 | 4 bytes | who reported the error |
 * | 36 | u32 | with an error the MTU that "fragmentation needed" named; else with `DATAGRAM_SEGMENTS` the datagrams' size |
 * | 40 | u64 | when it came, microseconds since 1970; of an error always, so that it can be told from others |
 *
 * From the daemon a header comes when the socket is not connected, when the program asked for what only a header
 * tells (IP_RECVTTL, IP_PKTINFO, SO_TIMESTAMP, IP_RETOPTS, UDP_GRO), and with errors. From a program it may always come.
 */
export const DATAGRAM_HEADER = 48;
export const DATAGRAM_MAGIC = 0x44494c4c; // "LLID"

/** Not a message: the errno that the next call is to answer with. */
export const DATAGRAM_FAILED = 1;
/** The program wants the TTL, the address it was sent to, the time of arrival. */
export const DATAGRAM_TTL = 2;
export const DATAGRAM_PKTINFO = 4;
export const DATAGRAM_TIMESTAMP = 8;
/** An error for MSG_ERRQUEUE (IP_RECVERR), with the message that it is about. */
export const DATAGRAM_QUEUED = 16;
/** The program wants the TOS octet; from a program: the TOS octet to send with is set. */
export const DATAGRAM_TOS = 32;

/**
 * The program wants the IP options that came (IP_RECVOPTS), those to answer with (IP_RETOPTS). In a header: they follow it,
 * as many bytes as stand in the place of the ICMP type and code.
 */
export const DATAGRAM_OPTIONS = 64;
export const DATAGRAM_ECHOED_OPTIONS = 128;
/**
 * The program takes many datagrams as one (UDP_GRO): their size, 0 if it is one. From a program: the size to cut into is set
 * (UDP_SEGMENT), 0 if it is to be one.
 */
export const DATAGRAM_SEGMENTS = 256;
const ANY_OPTIONS = DATAGRAM_OPTIONS | DATAGRAM_ECHOED_OPTIONS;
/** RFC 791 3.1: what an IP header has room for, twice. */
export const MAX_DATAGRAM_OPTIONS = 80;

const NONE = new Uint8Array(0);

/** Writes the header for a message that was received; its bytes, with those of the options behind it. */
export function encodeDatagram(
  view: DataView,
  id: bigint,
  flags: number,
  datagram: Datagram,
  timestampUs: number,
): number {
  const failed = datagram.kind === DATAGRAM_ERROR;
  view.setUint32(0, DATAGRAM_MAGIC, true);
  view.setUint16(4, failed ? flags | DATAGRAM_FAILED : flags, true);
  view.setUint16(6, datagram.port, true);
  view.setBigUint64(8, id, true);
  view.setInt32(16, datagram.address);
  view.setInt32(20, datagram.localAddress);
  view.setInt32(24, failed ? datagram.errno : 0, true);
  view.setUint8(28, datagram.ttl);
  view.setUint8(29, failed ? datagram.icmpType : 0);
  view.setUint8(30, failed ? datagram.icmpCode : 0);
  view.setUint8(31, datagram.tos & 0xff);
  view.setInt32(32, failed ? datagram.sourceAddress : 0);
  view.setUint32(36, failed ? datagram.mtu : datagram.groSize, true);
  view.setBigUint64(40, BigInt(Math.round(timestampUs)), true);
  return DATAGRAM_HEADER + encodeOptions(view, failed ? 0 : flags & ANY_OPTIONS, datagram);
}

/** Writes the options that are wanted behind the header; their bytes. */
function encodeOptions(
  view: DataView,
  wanted: number,
  { ipOptions, localAddress, receivedAtUs }: Datagram,
): number {
  if (ipOptions === null || wanted === 0) return 0;
  const came = (wanted & DATAGRAM_OPTIONS) === 0 ? NONE : ipOptions;
  const echoed = (wanted & DATAGRAM_ECHOED_OPTIONS) === 0
    ? NONE
    : echoOptions(ipOptions, localAddress, receivedAtUs);
  view.setUint8(29, came.length);
  view.setUint8(30, echoed.length);
  const behind = new Uint8Array(view.buffer, view.byteOffset + DATAGRAM_HEADER);
  behind.set(came);
  behind.set(echoed, came.length);
  return came.length + echoed.length;
}

/** Writes the header that tells of `errno` alone. */
export function encodeFailure(view: DataView, id: bigint, errno: number): void {
  for (let at = 0; at < DATAGRAM_HEADER; at += 4) view.setUint32(at, 0);
  view.setUint32(0, DATAGRAM_MAGIC, true);
  view.setUint16(4, DATAGRAM_FAILED, true);
  view.setBigUint64(8, id, true);
  view.setInt32(24, errno, true);
}

/** Reads the header of a message from a program, of `length` bytes in all: how many of them it is, 0 if there is none. */
export function decodeDatagram(view: DataView, length: number, id: bigint, datagram: Datagram): number {
  datagram.address =
    datagram.port =
    datagram.ttl =
    datagram.fromAddress =
      0;
  datagram.tos = datagram.segment = -1;
  if (length < DATAGRAM_HEADER || view.getUint32(0, true) !== DATAGRAM_MAGIC) return 0;
  if (view.getBigUint64(8, true) !== id) return 0;
  datagram.address = view.getInt32(16);
  datagram.port = view.getUint16(6, true);
  datagram.ttl = view.getUint8(28);
  datagram.fromAddress = view.getInt32(20);
  const flags = view.getUint16(4, true);
  if ((flags & DATAGRAM_TOS) !== 0) datagram.tos = view.getUint8(31);
  if ((flags & DATAGRAM_SEGMENTS) !== 0) datagram.segment = view.getUint32(36, true) & 0xffff;
  return DATAGRAM_HEADER;
}
