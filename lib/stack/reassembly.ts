/** Fragments into datagrams (RFC 791 3.2, RFC 815, RFC 1122 3.3.2; overlaps: RFC 5722). */
import type { MemoryPool } from "../buffer/memory_pool.ts";
import type { IpAddress } from "../wire/address.ts";
import { fold, sum } from "../wire/checksum.ts";
import { DROP, type DropCode } from "../wire/drop.ts";
import { ICMP_TIME_EXCEEDED, ICMP_TYPE } from "../wire/icmpv4.ts";
import { type Ipv4Header, parseIpv4 } from "../wire/ipv4.ts";
import type { Arrival } from "./arrival.ts";
import type { Core } from "./core.ts";
import { sendIcmpError } from "./icmp_send.ts";
import { PAGE_SIZE, PartialDatagram } from "./partial_datagram.ts";

/** Linux's ipfrag_time: RFC 1122 3.3.2 would have 60 s at least, from times of slower links. */
const TIMEOUT_US = 30_000_000;
/** Linux's ipfrag_high_thresh and ipfrag_low_thresh: from the one on the oldest go, down to the other. */
const HIGH_BYTES = 4 << 20;
const LOW_BYTES = 3 << 20;
/** What one source may hold of it: many can be pretended, but one that misbehaves harms nobody else. */
const SOURCE_BYTES = 1 << 20;
/** What a datagram counts beside its pages. */
const OVERHEAD = 2048;
const MAX_PACKET = 65535;
const BUCKETS = 1024;
const MAX_SPARE = 64;

const ECN_NOT_CAPABLE = 1 << 0;
const ECN_CE = 3;

/** All datagrams that are being put together, within a bound of memory. */
export class Reassembly {
  /** Bytes held, as the limits count them. */
  bytes = 0;
  /** Datagrams that are not complete. */
  count = 0;
  private readonly buckets: (PartialDatagram | null)[] = Array.from({ length: BUCKETS }, () => null);
  private readonly bytesBySource = new Map<IpAddress, number>();
  private oldest: PartialDatagram | null = null;
  private newest: PartialDatagram | null = null;
  private readonly spare: PartialDatagram[] = [];

  /** `seed`: an int32 that nobody outside knows. */
  constructor(
    private readonly pool: MemoryPool,
    private readonly seed: number,
    private readonly timeoutUs = TIMEOUT_US,
  ) {}

  /** When the oldest is given up; Infinity: there is none. */
  get deadline(): number {
    return this.oldest === null ? Infinity : this.oldest.expiresAtUs;
  }

  /** The oldest, if its time is over. */
  due(now: number): PartialDatagram | null {
    return this.oldest !== null && this.oldest.expiresAtUs <= now ? this.oldest : null;
  }

  /** The datagram that a fragment with this header belongs to, made if it is the first. */
  obtain(ip: Ipv4Header, now: number): PartialDatagram {
    const bucket = this.bucketOf(ip);
    for (let at = this.buckets[bucket]; at !== null; at = at.nextInBucket) {
      if (
        at.identification === ip.identification && at.source === ip.source &&
        at.destination === ip.destination && at.protocol === ip.protocol
      ) return at;
    }
    const made = this.spare.pop() ?? new PartialDatagram();
    made.source = ip.source;
    made.destination = ip.destination;
    made.protocol = ip.protocol;
    made.identification = ip.identification;
    made.expiresAtUs = now + this.timeoutUs;
    made.bucket = bucket;
    made.nextInBucket = this.buckets[bucket];
    this.buckets[bucket] = made;
    made.older = this.newest;
    if (this.newest === null) this.oldest = made;
    else this.newest.newer = made;
    this.newest = made;
    this.count++;
    this.charge(made.source, OVERHEAD);
    return made;
  }

  /** Takes a fragment in; the reason when it, or the datagram with it, was dropped. */
  put(datagram: PartialDatagram, arrival: Arrival): DropCode {
    if (datagram.isRefused) return DROP.ipFragmentRefused;
    const before = datagram.pageCount;
    const outcome = datagram.put(arrival, this.pool);
    this.charge(datagram.source, (datagram.pageCount - before) * PAGE_SIZE);
    if (outcome === DROP.ipFragmentOverlap || outcome === DROP.ipFragmentEnd) {
      datagram.isRefused = true;
      this.releasePages(datagram);
    }
    return outcome;
  }

  /** Forgets a datagram and gives its memory back. */
  remove(datagram: PartialDatagram): void {
    this.releasePages(datagram);
    this.charge(datagram.source, -OVERHEAD);
    this.count--;
    const { older, newer, bucket } = datagram;
    if (older === null) this.oldest = newer;
    else older.newer = newer;
    if (newer === null) this.newest = older;
    else newer.older = older;
    if (this.buckets[bucket] === datagram) {
      this.buckets[bucket] = datagram.nextInBucket;
    } else {
      let before = this.buckets[bucket]!;
      while (before.nextInBucket !== datagram) before = before.nextInBucket!;
      before.nextInBucket = datagram.nextInBucket;
    }
    datagram.older = datagram.newer = datagram.nextInBucket = null;
    datagram.reset();
    if (this.spare.length < MAX_SPARE) this.spare.push(datagram);
  }

  /** Gives up the oldest until the limits are kept; `current` stays. Returns how many went that could have become whole. */
  shrink(current: PartialDatagram): number {
    let given = 0;
    while ((this.bytesBySource.get(current.source) ?? 0) > SOURCE_BYTES) {
      const victim = this.oldestBut(current, true);
      if (victim === null) break;
      if (!victim.isRefused) given++;
      this.remove(victim);
    }
    if (this.bytes <= HIGH_BYTES) return given;
    while (this.bytes > LOW_BYTES) {
      const victim = this.oldestBut(current, false);
      if (victim === null) break;
      if (!victim.isRefused) given++;
      this.remove(victim);
    }
    return given;
  }

  private oldestBut(current: PartialDatagram, ofSource: boolean): PartialDatagram | null {
    for (let at = this.oldest; at !== null; at = at.newer) {
      if (at !== current && (!ofSource || at.source === current.source)) return at;
    }
    return null;
  }

  private releasePages(datagram: PartialDatagram): void {
    this.charge(datagram.source, -datagram.pageCount * PAGE_SIZE);
    datagram.releasePages(this.pool);
  }

  private charge(source: IpAddress, bytes: number): void {
    if (bytes === 0) return;
    this.bytes += bytes;
    const held = (this.bytesBySource.get(source) ?? 0) + bytes;
    if (held > 0) this.bytesBySource.set(source, held);
    else this.bytesBySource.delete(source);
  }

  private bucketOf(ip: Ipv4Header): number {
    let hash = Math.imul(ip.source ^ this.seed, 0x9e3779b1);
    hash = Math.imul(hash ^ (hash >>> 15) ^ ip.destination, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13) ^ ((ip.identification << 8) | ip.protocol), 0xc2b2ae35);
    return (hash ^ (hash >>> 16)) & (BUCKETS - 1);
  }
}

/** A fragment came in. True when it was the last that was missing: `arrival` then describes the whole datagram. */
export function fragmentInput(core: Core, arrival: Arrival, now: number): boolean {
  const { ip } = arrival;
  const { reassembly } = core;
  core.counters.ipFragmentsIn++;
  const drop = checkFragment(ip);
  if (drop !== DROP.none) {
    core.drop(drop);
    return false;
  }
  const datagram = reassembly.obtain(ip, now);
  const outcome = reassembly.put(datagram, arrival);
  if (outcome !== DROP.none) {
    core.drop(outcome);
    return false;
  }
  if (datagram.isComplete) return assemble(core, arrival, datagram);
  for (let given = reassembly.shrink(datagram); given > 0; given--) core.drop(DROP.ipReassemblyMemory);
  return false;
}

function checkFragment(ip: Ipv4Header): DropCode {
  const { headerLength, fragmentOffset, payloadLength } = ip;
  if (headerLength + fragmentOffset + payloadLength > MAX_PACKET) return DROP.ipFragmentOversized;
  if (payloadLength === 0 || (ip.moreFragments && (payloadLength & 7) !== 0)) return DROP.ipFragmentLength;
  return DROP.none;
}

/** Puts the whole datagram, behind the header of its first fragment, in the assembly memory. */
function assemble(core: Core, arrival: Arrival, datagram: PartialDatagram): boolean {
  const memory = core.assemblyMemory;
  const { headerLength, total, ecnSeen } = datagram;
  memory.bytes.set(datagram.header.subarray(0, headerLength), 0);
  datagram.read(total, memory.bytes, headerLength);
  restoreArrival(core, arrival, datagram, headerLength + total);
  core.reassembly.remove(datagram);
  // RFC 791: the header may be longer here than in the fragments behind.
  if (headerLength + total > MAX_PACKET) {
    core.drop(DROP.ipFragmentOversized);
    return false;
  }
  const { view } = memory;
  // RFC 3168 5.3: that one fragment met with congestion is told by the whole; it must not be if one was not capable.
  const isCongested = (ecnSeen & (1 << ECN_CE)) !== 0;
  if (isCongested && (ecnSeen & ECN_NOT_CAPABLE) !== 0) {
    core.drop(DROP.ipFragmentEcn);
    return false;
  }
  if (isCongested) view.setUint8(1, view.getUint8(1) | ECN_CE);
  view.setUint16(2, headerLength + total);
  view.setUint16(6, 0);
  view.setUint16(10, 0);
  view.setUint16(10, fold(sum(memory, 0, headerLength)));
  core.counters.ipReassembled++;
  return parseIpv4(memory, 0, arrival.length, arrival.ip) === DROP.none;
}

/** Gives up the datagrams whose time is over. */
export function advanceReassembly(core: Core, now: number): void {
  const { reassembly } = core;
  for (let due = reassembly.due(now); due !== null; due = reassembly.due(now)) {
    if (!due.isRefused) {
      core.drop(DROP.ipReassemblyTimeout);
      // RFC 792, RFC 1122 3.3.2: only if fragment 0 came, which is what is quoted.
      if (due.headerLength > 0) reportTimeout(core, due, now);
    }
    reassembly.remove(due);
  }
}

function reportTimeout(core: Core, datagram: PartialDatagram, now: number): void {
  const { arrival } = core;
  const memory = core.assemblyMemory;
  const { headerLength, firstLength } = datagram;
  memory.bytes.set(datagram.header.subarray(0, headerLength), 0);
  datagram.read(firstLength, memory.bytes, headerLength);
  restoreArrival(core, arrival, datagram, headerLength + firstLength);
  if (parseIpv4(memory, 0, arrival.length, arrival.ip) !== DROP.none) return;
  sendIcmpError(core, arrival, ICMP_TYPE.timeExceeded, ICMP_TIME_EXCEEDED.reassembly, 0, now);
}

function restoreArrival(core: Core, arrival: Arrival, datagram: PartialDatagram, length: number): void {
  arrival.memory = core.assemblyMemory;
  arrival.frame = null;
  arrival.offset = 0;
  arrival.length = length;
  arrival.isBroadcast = datagram.isBroadcast;
  arrival.isLinkBroadcast = datagram.isLinkBroadcast;
  // What a device says of the checksum it can say of a fragment only.
  arrival.isVerified = false;
  arrival.gsoSize = 0;
  arrival.isPlaced = arrival.isLoopback = false;
}
