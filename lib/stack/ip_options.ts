/** IP options that every host on the way writes into (RFC 791 3.1, RFC 1812 5.2.4). */
import type { Memory } from "../buffer/memory.ts";
import type { IpAddress } from "../wire/address.ts";
import { fold, sum } from "../wire/checksum.ts";
import { IPV4_CHECKSUM_OFFSET, IPV4_HEADER } from "../wire/ipv4.ts";

const END = 0;
const NO_OPERATION = 1;
const RECORD_ROUTE = 7;
const TIMESTAMP = 68;
/** Of a timestamp option: what an entry has. */
const TIMES_ONLY = 0;
const WITH_ADDRESSES = 1;
/** A time that does not count from midnight UT, says its highest bit. */
const OWN_CLOCK = 0x8000_0000;
const MOST_MISSED = 15;
/** Where in an option its pointer lies. */
const POINTER = 2;

/**
 * Writes `address`, ours on the next link, where the header at 0 of `memory` asks for it. The options were checked, as far
 * as their lengths go; a pointer that cannot be is left alone. `now`: microseconds.
 */
export function recordRoute(memory: Memory, headerLength: number, address: IpAddress, now: number): void {
  if (headerLength === IPV4_HEADER) return;
  const { view } = memory;
  for (let at = IPV4_HEADER; at < headerLength;) {
    const type = view.getUint8(at);
    if (type === END) break;
    if (type === NO_OPERATION) {
      at++;
      continue;
    }
    const length = view.getUint8(at + 1);
    if (type === RECORD_ROUTE) writeAddress(view, at, length, address);
    else if (type === TIMESTAMP) writeTime(view, at, length, address, now);
    at += length;
  }
  view.setUint16(IPV4_CHECKSUM_OFFSET, 0);
  view.setUint16(IPV4_CHECKSUM_OFFSET, fold(sum(memory, 0, headerLength)));
}

/** Type, length, pointer (counted from 1), addresses. */
function writeAddress(view: DataView, at: number, length: number, address: IpAddress): void {
  const pointer = length < 3 ? 0 : view.getUint8(at + 2);
  if (pointer < 4 || pointer + 3 > length) return;
  view.setInt32(at + pointer - 1, address);
  view.setUint8(at + 2, pointer + 4);
}

/** Type, length, pointer, four bits of those who found no room and four of the kind, entries. */
function writeTime(view: DataView, at: number, length: number, address: IpAddress, now: number): void {
  const pointer = length < 4 ? 0 : view.getUint8(at + 2);
  if (pointer < 5) return;
  const missedAndKind = view.getUint8(at + 3);
  const kind = missedAndKind & 15;
  if (kind > WITH_ADDRESSES) return;
  const size = kind === TIMES_ONLY ? 4 : 8;
  if (pointer + size - 1 > length) {
    const missed = missedAndKind >> 4;
    if (missed < MOST_MISSED) view.setUint8(at + 3, ((missed + 1) << 4) | kind);
    return;
  }
  const entry = at + pointer - 1;
  if (kind === WITH_ADDRESSES) view.setInt32(entry, address);
  view.setUint32(entry + size - 4, (OWN_CLOCK | (Math.floor(now / 1000) & 0x7fff_ffff)) >>> 0);
  view.setUint8(at + 2, pointer + size);
}

/**
 * What the answer to a packet with these options is to have (RFC 1122 3.2.2.6; IP_RETOPTS): routes and times recorded so far,
 * with ours, and with room kept for ours of the answer. A multiple of four bytes, none if nothing is to be answered with.
 * `address`: ours; `now`: microseconds.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * const empty = Uint8Array.of(7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0);
 * assertEquals([...echoOptions(empty, 0x0a000004, 0)], [7, 11, 12, 10, 0, 0, 4, 0, 0, 0, 0, 0]);
 * ```
 */
export function echoOptions(options: Uint8Array, address: IpAddress, now: number): Uint8Array {
  const echoed: number[] = [];
  for (let at = 0; at < options.length && options[at] !== END;) {
    const length = options[at] === NO_OPERATION ? 1 : options[at + 1];
    if (options[at] === RECORD_ROUTE || options[at] === TIMESTAMP) {
      const copy = options.slice(at, at + length);
      // Once for what came in, once to keep the place of what goes out.
      for (const isIncoming of [true, false]) record(copy, isIncoming, address, now);
      echoed.push(...copy);
    }
    at += length;
  }
  while (echoed.length % 4 !== 0) echoed.push(END);
  return Uint8Array.from(echoed);
}

/** Writes into one option, or only moves its pointer as writing would. */
function record(option: Uint8Array, isIncoming: boolean, address: IpAddress, now: number): void {
  const written = isIncoming ? option : option.slice();
  const view = new DataView(written.buffer, written.byteOffset, written.length);
  if (option[0] === RECORD_ROUTE) writeAddress(view, 0, option.length, address);
  else writeTime(view, 0, option.length, address, now);
  option[POINTER] = written[POINTER];
}
