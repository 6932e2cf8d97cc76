/** TCP segments: header and options (RFC 9293 3.1, 3.2; RFC 7323 2.2, 3.2; RFC 2018 2, 3; RFC 7413 4.1.1; RFC 9768 3.2.3). */
import type { Memory } from "../buffer/memory.ts";
import { DROP, type DropCode } from "./drop.ts";
import {
  ACCECN_COUNTERS,
  ACCECN_ORDER_0,
  ACCECN_ORDER_1,
  accecnLength,
  emitAccecn,
  oddBytes,
  paddingOf,
  parseAccecn,
} from "./tcp_accecn.ts";

/** Bytes of a header without options. */
export const TCP_HEADER = 20;
/** Bytes of the longest header: a data offset of 15 words. */
export const TCP_HEADER_MAX = 60;
/** Where the checksum lies, in bytes from the start of the header. */
export const TCP_CHECKSUM_OFFSET = 16;

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;
export const URG = 32;
export const ECE = 64;
export const CWR = 128;
/** Accurate ECN (RFC 9768 3.1), once the nonce sum. */
export const AE = 256;

/** The option kinds that are understood; every other kind is skipped by its length. */
export const TCP_OPTION = {
  end: 0,
  nop: 1,
  mss: 2,
  windowScale: 3,
  sackPermitted: 4,
  sack: 5,
  timestamps: 8,
  fastOpen: 34,
  accecnOrder0: ACCECN_ORDER_0,
  accecnOrder1: ACCECN_ORDER_1,
} as const;

const FLAGS_MASK = 0x1ff;
const OPTIONS_MAX = TCP_HEADER_MAX - TCP_HEADER;
const MAX_WINDOW_SCALE = 14;
const MAX_COOKIE = 16;
const NOP = TCP_OPTION.nop;
const NOP_NOP = (NOP << 24) | (NOP << 16);
/** The four bytes before the values when timestamps are the only option, as nearly every segment has them. */
const ALIGNED_TIMESTAMPS = NOP_NOP | (TCP_OPTION.timestamps << 8) | 10;

/** One TCP segment. Reused for every segment: parsing allocates nothing. */
export class TcpHeader {
  sourcePort = 0;
  destinationPort = 0;
  /** int32 */
  seq = 0;
  /** int32 */
  ack = 0;
  /** FIN to AE. */
  flags = 0;
  /** As on the wire: 16 bits, not yet scaled. */
  window = 0;
  checksum = 0;
  urgentPointer = 0;
  /** Bytes, options included. Set by parseTcp; emitTcp works it out from the options. */
  headerLength = 0;

  /** Maximum segment size, bytes; 0: absent (a peer's 0 counts as absent). Only a SYN may carry it. */
  mss = 0;
  /** Shift count 0 to 14 (more is read as 14, RFC 7323 2.3); -1: absent. Only a SYN may carry it. */
  windowScale = -1;
  /** Only a SYN may carry it. */
  sackPermitted = false;
  timestamps = false;
  /** int32 */
  timestampValue = 0;
  /** int32 */
  timestampEcho = 0;
  /** How many of the SACK blocks below are in use, 0 to 4. */
  sackCount = 0;
  readonly sackLeft: Int32Array<ArrayBuffer> = new Int32Array(4);
  readonly sackRight: Int32Array<ArrayBuffer> = new Int32Array(4);
  /** Only a SYN may carry it. */
  fastOpen = false;
  /** Bytes of the cookie: 0 (a request for one), or 4 to 16 and even. */
  fastOpenLength = 0;
  readonly fastOpenCookie: Uint8Array<ArrayBuffer> = new Uint8Array(MAX_COOKIE);
  /** AccECN (RFC 9768 3.2.3): how many of the counters below the option has, 0 to 3; -1: there is no option. */
  accecnCount = -1;
  /** Whose counter is the first, 0: ECT(0), 1: ECT(1); the second is that of CE, the third that of the other. */
  accecnOrder: 0 | 1 = 1;
  /** As on the wire: 24 bits each. */
  readonly accecnCounters: Int32Array<ArrayBuffer> = new Int32Array(ACCECN_COUNTERS);

  /** Input: where the payload lies; it is not copied. */
  memory: Memory | null = null;
  payloadOffset = 0;
  payloadLength = 0;
  /** The payload lies in the connection's receive buffer already, where it belongs; set by the caller. */
  isPlaced = false;
  /** The two ECN bits of the IP header, set by the caller. */
  ecn = 0;
  /** Input: payload of each of the segments that the device put together, set by the caller; 0: it is one as it was sent. */
  gsoSize = 0;

  /** Makes every option absent. */
  clearOptions(): void {
    this.mss = 0;
    this.windowScale = -1;
    this.sackPermitted = false;
    this.timestamps = false;
    this.timestampValue = 0;
    this.timestampEcho = 0;
    this.sackCount = 0;
    this.fastOpen = false;
    this.fastOpenLength = 0;
    this.accecnCount = -1;
  }
}

/**
 * Parses the segment of `length` bytes at `offset` of `memory` into `header`. The checksum is not verified: only the
 * caller knows the pseudo header. Returns 0, or a DROP code with `header` in no particular state.
 *
 * A malformed option list (a length below 2 or past the header) ends option parsing and keeps what came before, as Linux
 * does; a known option of the wrong length is skipped; of duplicates the last one counts.
 */
export function parseTcp(memory: Memory, offset: number, length: number, header: TcpHeader): DropCode {
  if (length < TCP_HEADER) return DROP.tcpTruncated;
  const view = memory.view;
  const offsetAndFlags = view.getUint16(offset + 12);
  const headerLength = (offsetAndFlags >> 12) << 2;
  if (headerLength < TCP_HEADER || headerLength > length) return DROP.tcpDataOffset;
  header.sourcePort = view.getUint16(offset);
  header.destinationPort = view.getUint16(offset + 2);
  header.seq = view.getInt32(offset + 4);
  header.ack = view.getInt32(offset + 8);
  header.flags = offsetAndFlags & FLAGS_MASK;
  header.window = view.getUint16(offset + 14);
  header.checksum = view.getUint16(offset + TCP_CHECKSUM_OFFSET);
  header.urgentPointer = view.getUint16(offset + 18);
  header.headerLength = headerLength;
  header.memory = memory;
  header.payloadOffset = offset + headerLength;
  header.payloadLength = length - headerLength;
  header.clearOptions();
  if (headerLength > TCP_HEADER) parseOptions(view, offset + TCP_HEADER, offset + headerLength, header);
  return DROP.none;
}

function parseOptions(view: DataView, start: number, end: number, header: TcpHeader): void {
  if (end - start === 12 && view.getInt32(start) === ALIGNED_TIMESTAMPS) {
    parseTimestamps(view, start + 2, header);
    return;
  }
  let at = start;
  while (at < end) {
    const kind = view.getUint8(at);
    if (kind === TCP_OPTION.end) return;
    if (kind === NOP) {
      at++;
      continue;
    }
    if (at + 2 > end) return;
    const length = view.getUint8(at + 1);
    if (length < 2 || at + length > end) return;
    parseOption(view, at, kind, length, header);
    at += length;
  }
}

/** One option whose `length` bytes, kind and length included, are known to lie within the header. */
function parseOption(view: DataView, at: number, kind: number, length: number, header: TcpHeader): void {
  switch (kind) {
    case TCP_OPTION.mss:
      if (length === 4) {
        const mss = view.getUint16(at + 2);
        if (mss !== 0) header.mss = mss;
      }
      return;
    case TCP_OPTION.windowScale:
      if (length === 3) header.windowScale = Math.min(view.getUint8(at + 2), MAX_WINDOW_SCALE);
      return;
    case TCP_OPTION.sackPermitted:
      if (length === 2) header.sackPermitted = true;
      return;
    case TCP_OPTION.sack:
      if (length >= 10 && (length - 2) % 8 === 0) parseSack(view, at, (length - 2) >> 3, header);
      return;
    case TCP_OPTION.timestamps:
      if (length === 10) parseTimestamps(view, at, header);
      return;
    case TCP_OPTION.fastOpen:
      parseFastOpen(view, at, length - 2, header);
      return;
    case TCP_OPTION.accecnOrder0:
    case TCP_OPTION.accecnOrder1:
      parseAccecn(view, at, kind, length, header);
      return;
  }
}

function parseTimestamps(view: DataView, at: number, header: TcpHeader): void {
  header.timestamps = true;
  header.timestampValue = view.getInt32(at + 2);
  header.timestampEcho = view.getInt32(at + 6);
}

/** `count` is at most 4, since 40 bytes of options hold no more. */
function parseSack(view: DataView, at: number, count: number, header: TcpHeader): void {
  header.sackCount = count;
  for (let i = 0; i < count; i++) {
    header.sackLeft[i] = view.getInt32(at + 2 + 8 * i);
    header.sackRight[i] = view.getInt32(at + 6 + 8 * i);
  }
}

/** RFC 7413 4.1.1: a cookie has 4 to 16 bytes and an even number of them; none at all is a request for one. */
function parseFastOpen(view: DataView, at: number, length: number, header: TcpHeader): void {
  if (length % 2 !== 0 || length > MAX_COOKIE || (length !== 0 && length < 4)) return;
  header.fastOpen = true;
  header.fastOpenLength = length;
  for (let i = 0; i < length; i++) header.fastOpenCookie[i] = view.getUint8(at + 2 + i);
}

/** Bytes of the options other than SACK blocks, as emitTcp lays them out; never more than 40. */
function fixedOptionsLength(header: TcpHeader): number {
  let length = header.accecnCount < 0 ? 0 : accecnLength(header);
  if (header.mss !== 0) length += 4;
  if (header.timestamps) length += 12;
  else if (header.sackPermitted) length += 4;
  if (header.windowScale >= 0) length += 4;
  if (header.fastOpen) length += (2 + header.fastOpenLength + 3) & ~3;
  return length;
}

/** How many of the header's SACK blocks fit behind `fixed` bytes of other options (RFC 2018 3). */
function sackBlocksThatFit(header: TcpHeader, fixed: number): number {
  return Math.max(0, Math.min(header.sackCount, (OPTIONS_MAX - fixed - 4) >> 3));
}

/** Bytes that emitTcp will write for this header, a multiple of 4 from 20 to 60. */
export function tcpHeaderLength(header: TcpHeader): number {
  const fixed = fixedOptionsLength(header);
  const blocks = header.sackCount === 0 ? 0 : sackBlocksThatFit(header, fixed);
  return TCP_HEADER + fixed + (blocks === 0 ? 0 : 4 + 8 * blocks);
}

/**
 * Writes header and options at `offset` of `memory` with a checksum of 0, sets `header.headerLength` and returns it. The
 * options lie in the order and with the padding that Linux gives them; SACK blocks that no longer fit are left out.
 */
export function emitTcp(memory: Memory, offset: number, header: TcpHeader): number {
  const view = memory.view;
  const length = emitOptions(view, offset + TCP_HEADER, header) - offset;
  view.setInt32(offset, (header.sourcePort << 16) | header.destinationPort);
  view.setInt32(offset + 4, header.seq);
  view.setInt32(offset + 8, header.ack);
  view.setInt32(offset + 12, (length << 26) | ((header.flags & FLAGS_MASK) << 16) | header.window);
  view.setInt32(offset + TCP_CHECKSUM_OFFSET, header.urgentPointer);
  header.headerLength = length;
  return length;
}

/** Returns where the options end. */
function emitOptions(view: DataView, start: number, header: TcpHeader): number {
  let at = start;
  if (header.mss !== 0) {
    view.setInt32(at, (TCP_OPTION.mss << 24) | (4 << 16) | header.mss);
    at += 4;
  }
  if (header.timestamps) {
    // On a SYN, SACK-permitted takes the place of the two NOPs.
    const pad = header.sackPermitted ? (TCP_OPTION.sackPermitted << 24) | (2 << 16) : NOP_NOP;
    view.setInt32(at, pad | (TCP_OPTION.timestamps << 8) | 10);
    view.setInt32(at + 4, header.timestampValue);
    view.setInt32(at + 8, header.timestampEcho);
    at += 12;
  }
  if (header.accecnCount >= 0) return emitWithAccecn(view, start, at, header);
  if (header.sackPermitted && !header.timestamps) at = emitSackPermitted(view, at, NOP_NOP);
  if (header.windowScale >= 0) at = emitWindowScale(view, at, NOP, header);
  if (header.fastOpen) at = emitFastOpen(view, at, header);
  if (header.sackCount !== 0) at = emitSack(view, at, NOP_NOP, header, at - start);
  return at;
}

/** The same from the AccECN option on, of which some bytes may lie where the others have NOPs. */
function emitWithAccecn(view: DataView, start: number, from: number, header: TcpHeader): number {
  let at = emitAccecn(view, from, header);
  let odd = oddBytes(header);
  const take = (): number => {
    const pad = odd > 0 ? paddingOf(header) : NOP_NOP;
    odd = 0;
    return pad;
  };
  if (header.sackPermitted && !header.timestamps) at = emitSackPermitted(view, at, take());
  if (header.windowScale >= 0) {
    const first = odd === 1 ? take() >>> 24 : NOP;
    at = emitWindowScale(view, at, first, header);
  }
  const blocks = sackBlocksThatFit(header, at - start);
  if (odd > 0 && blocks === 0) {
    view.setInt32(at, take() | (NOP << 8) | NOP);
    at += 4;
  }
  if (header.fastOpen) at = emitFastOpen(view, at, header);
  return blocks === 0 ? at : emitSack(view, at, take(), header, at - start);
}

function emitSackPermitted(view: DataView, at: number, pad: number): number {
  view.setInt32(at, pad | (TCP_OPTION.sackPermitted << 8) | 2);
  return at + 4;
}

function emitWindowScale(view: DataView, at: number, first: number, header: TcpHeader): number {
  view.setInt32(at, (first << 24) | (TCP_OPTION.windowScale << 16) | (3 << 8) | header.windowScale);
  return at + 4;
}

function emitFastOpen(view: DataView, start: number, header: TcpHeader): number {
  const length = header.fastOpenLength;
  view.setUint8(start, TCP_OPTION.fastOpen);
  view.setUint8(start + 1, 2 + length);
  let at = start + 2;
  for (let i = 0; i < length; i++) view.setUint8(at++, header.fastOpenCookie[i]);
  while (((at - start) & 3) !== 0) view.setUint8(at++, NOP);
  return at;
}

function emitSack(view: DataView, start: number, pad: number, header: TcpHeader, fixed: number): number {
  const count = sackBlocksThatFit(header, fixed);
  if (count === 0) return start;
  view.setInt32(start, pad | (TCP_OPTION.sack << 8) | (2 + 8 * count));
  let at = start + 4;
  for (let i = 0; i < count; i++) {
    view.setInt32(at, header.sackLeft[i]);
    view.setInt32(at + 4, header.sackRight[i]);
    at += 8;
  }
  return at;
}
