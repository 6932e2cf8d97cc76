import type { Memory } from "../buffer/memory.ts";
import type { MemoryPool } from "../buffer/memory_pool.ts";
import type { IpAddress } from "../wire/address.ts";
import { DROP } from "../wire/drop.ts";
import { IPV4_HEADER_MAX } from "../wire/ipv4.ts";
import type { Arrival } from "./arrival.ts";

/**
 * The payload lies in pages of the pool's smallest blocks, made as fragments come: a datagram never holds more than it
 * could be long, whatever its fragments' order and size, and a far fragment costs no more than a near one.
 */
const PAGE_SHIFT = 11;
export const PAGE_SIZE = 1 << PAGE_SHIFT;
const PAGE_COUNT = 65536 / PAGE_SIZE;
/** Offsets are multiples of 8 bytes: one bit for each of such blocks. */
const BLOCK_WORDS = 65536 / 8 / 32;

/** What `PartialDatagram.put` made of a fragment. */
export type FragmentOutcome =
  | typeof DROP.none
  | typeof DROP.ipFragmentDuplicate
  | typeof DROP.ipFragmentOverlap
  | typeof DROP.ipFragmentEnd;

/** A datagram of which fragments came in, but not all. Reused. */
export class PartialDatagram {
  // The key of RFC 791 3.2
  source: IpAddress = 0;
  destination: IpAddress = 0;
  protocol = 0;
  identification = 0;

  // Places in the table's lists
  bucket = 0;
  nextInBucket: PartialDatagram | null = null;
  older: PartialDatagram | null = null;
  newer: PartialDatagram | null = null;
  expiresAtUs = 0;

  /** Payload bytes of the whole datagram; -1: the last fragment has not come. */
  total = -1;
  /** Payload bytes that came. */
  received = 0;
  /** Bytes of the IP header of fragment 0, as it came; 0: it has not come. */
  headerLength = 0;
  readonly header = new Uint8Array(IPV4_HEADER_MAX);
  /** Payload bytes of fragment 0. */
  firstLength = 0;
  /** A bit for each ECN codepoint that a fragment carried. */
  ecnSeen = 0;
  isBroadcast = false;
  isLinkBroadcast = false;
  /** Its fragments contradict each other. It stays until its time is over so that those to come are dropped too. */
  isRefused = false;
  pageCount = 0;
  /** Where the furthest fragment ends. */
  private end = 0;
  private readonly pages: (Memory | null)[] = Array.from({ length: PAGE_COUNT }, () => null);
  private readonly blocks = new Int32Array(BLOCK_WORDS);

  get isComplete(): boolean {
    return this.total >= 0 && this.received === this.total;
  }

  /** Makes it new; its pages must have been released. */
  reset(): void {
    this.total = -1;
    this.received =
      this.headerLength =
      this.firstLength =
      this.ecnSeen =
      this.end =
        0;
    this.isBroadcast = this.isLinkBroadcast = this.isRefused = false;
    this.blocks.fill(0);
  }

  /** Takes in the fragment that came, whose length and offset were checked. */
  put(arrival: Arrival, pool: MemoryPool): FragmentOutcome {
    const { ip } = arrival;
    const start = ip.fragmentOffset;
    const end = start + ip.payloadLength;
    if (!this.mayEnd(end, ip.moreFragments)) return DROP.ipFragmentEnd;
    const { bytes } = arrival.memory!;
    if (this.hasSome(start, end)) {
      // RFC 5722 lets duplicates pass. Only what brings no other bytes is one: then no choice is left to play with.
      const isDuplicate = this.hasAll(start, end) && this.isSame(bytes, ip.payloadOffset, start, end);
      return isDuplicate ? DROP.ipFragmentDuplicate : DROP.ipFragmentOverlap;
    }
    this.write(bytes, ip.payloadOffset, start, end, pool);
    this.mark(start, end);
    this.received += end - start;
    this.end = Math.max(this.end, end);
    if (!ip.moreFragments) this.total = end;
    this.ecnSeen |= 1 << ip.ecn;
    this.isBroadcast ||= arrival.isBroadcast;
    this.isLinkBroadcast ||= arrival.isLinkBroadcast;
    if (start === 0) {
      this.headerLength = ip.headerLength;
      this.firstLength = end;
      this.header.set(bytes.subarray(arrival.offset, arrival.offset + ip.headerLength));
    }
    return DROP.none;
  }

  /** Whether a fragment that ends there agrees with what is known of the datagram's end. */
  private mayEnd(end: number, moreFragments: boolean): boolean {
    if (moreFragments) return this.total < 0 || end < this.total;
    return this.total < 0 ? end > this.end : end === this.total;
  }

  /** Copies the first `length` bytes of payload, which must have come, to `at` of `target`. */
  read(length: number, target: Uint8Array, at: number): void {
    for (let start = 0; start < length; start += PAGE_SIZE) {
      const page = this.pages[start >> PAGE_SHIFT]!;
      target.set(page.bytes.subarray(0, Math.min(PAGE_SIZE, length - start)), at + start);
    }
  }

  /** Gives its memory back. */
  releasePages(pool: MemoryPool): void {
    if (this.pageCount === 0) return;
    for (let i = 0; i < PAGE_COUNT; i++) {
      const page = this.pages[i];
      if (page !== null) pool.release(page);
      this.pages[i] = null;
    }
    this.pageCount = 0;
  }

  private write(bytes: Uint8Array, from: number, start: number, end: number, pool: MemoryPool): void {
    for (let at = start; at < end;) {
      const index = at >> PAGE_SHIFT;
      let page = this.pages[index];
      if (page === null) {
        page = this.pages[index] = pool.acquire(PAGE_SIZE);
        this.pageCount++;
      }
      const next = Math.min(end, (index + 1) << PAGE_SHIFT);
      page.bytes.set(bytes.subarray(from + at - start, from + next - start), at & (PAGE_SIZE - 1));
      at = next;
    }
  }

  private isSame(bytes: Uint8Array, from: number, start: number, end: number): boolean {
    for (let at = start; at < end; at++) {
      const page = this.pages[at >> PAGE_SHIFT]!;
      if (page.bytes[at & (PAGE_SIZE - 1)] !== bytes[from + at - start]) return false;
    }
    return true;
  }

  private hasSome(start: number, end: number): boolean {
    const last = (end - 1) >> 8;
    for (let word = start >> 8; word <= last; word++) {
      if ((this.blocks[word] & blockMask(word, start, end)) !== 0) return true;
    }
    return false;
  }

  private hasAll(start: number, end: number): boolean {
    const last = (end - 1) >> 8;
    for (let word = start >> 8; word <= last; word++) {
      const mask = blockMask(word, start, end);
      if ((this.blocks[word] & mask) !== mask) return false;
    }
    return true;
  }

  private mark(start: number, end: number): void {
    const last = (end - 1) >> 8;
    for (let word = start >> 8; word <= last; word++) this.blocks[word] |= blockMask(word, start, end);
  }
}

/** The bits of `word`, which stands for 256 bytes, that stand for the bytes from `start` to before `end`. */
function blockMask(word: number, start: number, end: number): number {
  const first = Math.max(0, (start >> 3) - (word << 5));
  const last = Math.min(31, ((end - 1) >> 3) - (word << 5));
  return (-1 << first) & (-1 >>> (31 - last));
}
