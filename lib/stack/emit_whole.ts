/** Packets that bring their IP header: forwarded ones, and those that a program wrote whole (IP_HDRINCL). */
import { type Frame, FRAME_START } from "../buffer/frame.ts";
import type { Memory } from "../buffer/memory.ts";
import { fold, sum } from "../wire/checksum.ts";
import { ETHERNET_HEADER } from "../wire/ethernet.ts";
import {
  headerLengthAt,
  IP_PROTOCOL,
  IPV4_CHECKSUM_OFFSET,
  IPV4_HEADER,
  IPV4_HEADER_MAX,
} from "../wire/ipv4.ts";
import type { Core } from "./core.ts";
import type { Interface } from "./interface.ts";
import type { Packet } from "./packet.ts";
import { completeChecksum } from "./segmentation.ts";

const IP_OFFSET = FRAME_START + ETHERNET_HEADER;
const TOTAL_LENGTH = 2;
const FRAGMENT = 6;
const MORE_FRAGMENTS = 0x2000;
const OFFSET_MASK = 0x1fff;
const OPTION_END = 0;
const OPTION_NOP = 1;
/** RFC 791 3.1: this option goes into every fragment. */
const OPTION_COPIED = 0x80;

/**
 * Puts such a packet, or its next fragment where it is too large, in the frame behind the Ethernet header that is there;
 * true when nothing of it is left.
 */
export function emitWhole(core: Core, frame: Frame, packet: Packet, link: Interface, mtu: number): boolean {
  if (packet.checksumStart >= 0 && (!link.features.checksum || packet.length > mtu && packet.gsoSize === 0)) {
    completeChecksum(packet);
  }
  core.counters.ipOut++;
  if (packet.sent > 0 || (packet.length > mtu && packet.gsoSize === 0)) {
    return emitFragment(core, frame, packet, mtu);
  }
  // All headers in the frame's own memory, where devices look for them.
  const headers = packet.checksumStart < 0
    ? headerLengthAt(packet.memory!, packet.offset)
    : packet.checksumStart + packet.checksumOffset + 2;
  putHeader(frame, packet, headers);
  putPayload(frame, packet, headers, packet.length - headers);
  if (packet.checksumStart >= 0) {
    frame.checksumStart = ETHERNET_HEADER + packet.checksumStart;
    frame.checksumOffset = packet.checksumOffset;
    frame.gsoSize = packet.gsoSize;
    frame.isUdpSegmented = packet.gsoSize > 0 && packet.protocol === IP_PROTOCOL.udp;
  }
  packet.sent = packet.length;
  return true;
}

function putHeader(frame: Frame, packet: Packet, length: number): void {
  const from = packet.memory!.bytes.subarray(packet.offset, packet.offset + length);
  frame.memory.bytes.set(from, IP_OFFSET);
  frame.length = ETHERNET_HEADER + length;
}

function putPayload(frame: Frame, packet: Packet, start: number, length: number): void {
  const { payload } = frame;
  payload.memory = packet.memory;
  payload.offset1 = packet.offset + start;
  payload.length1 = length;
  payload.offset2 = payload.length2 = 0;
}

/** RFC 791 3.2: what is a fragment already is cut as well. `packet.sent` counts the header, once the first is out. */
function emitFragment(core: Core, frame: Frame, packet: Packet, mtu: number): boolean {
  const { memory } = frame;
  const headerLength = headerLengthAt(packet.memory!, packet.offset);
  const start = packet.sent > 0 ? packet.sent : headerLength;
  const left = packet.length - start;
  const isLast = headerLength + left <= mtu;
  const length = isLast ? left : (mtu - headerLength) & ~7;
  putHeader(frame, packet, headerLength);
  putPayload(frame, packet, start, length);
  const { view } = memory;
  const fragment = view.getUint16(IP_OFFSET + FRAGMENT);
  const offset = (fragment & OFFSET_MASK) + ((start - headerLength) >> 3);
  const more = isLast ? fragment & MORE_FRAGMENTS : MORE_FRAGMENTS;
  view.setUint16(IP_OFFSET + FRAGMENT, more | offset);
  view.setUint16(IP_OFFSET + TOTAL_LENGTH, headerLength + length);
  if (start > headerLength) blankOptions(memory, IP_OFFSET, headerLength);
  view.setUint16(IP_OFFSET + IPV4_CHECKSUM_OFFSET, 0);
  view.setUint16(IP_OFFSET + IPV4_CHECKSUM_OFFSET, fold(sum(memory, IP_OFFSET, headerLength)));
  core.counters.ipFragmentsOut++;
  if (packet.sent === 0) core.counters.ipFragmented++;
  packet.sent = start + length;
  return packet.sent === packet.length;
}

/** As Linux: options that belong in the first fragment only become "no operation" in the others. */
function blankOptions(memory: Memory, offset: number, headerLength: number): void {
  const { bytes } = memory;
  const end = offset + Math.min(headerLength, IPV4_HEADER_MAX);
  for (let at = offset + IPV4_HEADER; at < end;) {
    const type = bytes[at];
    if (type === OPTION_END) return;
    const length = type === OPTION_NOP ? 1 : Math.max(1, bytes[at + 1]);
    if ((type & OPTION_COPIED) === 0) bytes.fill(OPTION_NOP, at, Math.min(at + length, end));
    at += length;
  }
}
