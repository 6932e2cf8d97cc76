/** IP options that every router on the way writes into (RFC 791 3.1, RFC 1812 5.2.4). */
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
