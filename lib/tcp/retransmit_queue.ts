import { distance, geq, leq } from "./seq.ts";

/** Bits of `SentSegment.flags`. */
export const SACKED = 1;
export const LOST = 2;
/** Its retransmission is in flight. */
export const RETRANSMITTED = 4;
export const EVER_RETRANSMITTED = 8;

/** One transmission that is not yet cumulatively acknowledged: a range of sequence numbers and when it last left. */
export class SentSegment {
  seq = 0;
  end = 0;
  /** How many segments of at most one MSS it is on the wire. */
  count = 1;
  flags = 0;
  /** When it was last sent. */
  sentAtUs = 0;
  /** `Tcb.delivered` when it was first sent (tells round trips apart, RFC 8985 6.2). */
  deliveredBefore = 0;
  previous: SentSegment | null = null;
  next: SentSegment | null = null;
}

/** Spare nodes, so that a transfer allocates none. Plain storage, shared by all connections. */
let spare: SentSegment | null = null;

function take(): SentSegment {
  const node = spare;
  if (node === null) return new SentSegment();
  spare = node.next;
  node.next = null;
  return node;
}

function give(node: SentSegment): void {
  node.previous = null;
  node.next = spare;
  node.flags = 0;
  spare = node;
}

/**
 * What was sent and is not cumulatively acknowledged, in sequence order, with the scoreboard of RFC 6675 in the
 * nodes. The four counters are in segments; `inFlight` is RFC 6675's "pipe".
 */
export class RetransmitQueue {
  head: SentSegment | null = null;
  tail: SentSegment | null = null;
  packetsOut = 0;
  sackedOut = 0;
  lostOut = 0;
  retransOut = 0;

  /** RFC 6675 "pipe": sent, less what left the network, plus what was retransmitted. */
  get inFlight(): number {
    return this.packetsOut - this.sackedOut - this.lostOut + this.retransOut;
  }

  append(seq: number, end: number, count: number, now: number): SentSegment {
    const node = take();
    node.seq = seq;
    node.end = end;
    node.count = count;
    node.sentAtUs = now;
    node.previous = this.tail;
    if (this.tail === null) this.head = node;
    else this.tail.next = node;
    this.tail = node;
    this.packetsOut += count;
    return node;
  }

  /** Cuts `node` at `seq` so that it ends there; the rest becomes the node after it, with the same history. */
  split(node: SentSegment, seq: number, mss: number): void {
    const rest = take();
    rest.seq = seq;
    rest.end = node.end;
    rest.flags = node.flags;
    rest.sentAtUs = node.sentAtUs;
    rest.deliveredBefore = node.deliveredBefore;
    const before = node.count;
    node.end = seq;
    node.count = Math.max(1, Math.ceil(distance(seq, node.seq) / mss));
    rest.count = Math.max(1, Math.ceil(distance(rest.end, seq) / mss));
    this.adjust(rest.flags, node.count + rest.count - before);
    rest.previous = node;
    rest.next = node.next;
    if (node.next === null) this.tail = rest;
    else node.next.previous = rest;
    node.next = rest;
  }

  /** Forgets the first `bytes` of the head, which were acknowledged while the rest was not. */
  trimHead(seq: number, mss: number): number {
    const node = this.head!;
    const before = node.count;
    node.seq = seq;
    node.count = Math.max(1, Math.ceil(distance(node.end, seq) / mss));
    this.adjust(node.flags, node.count - before);
    return before - node.count;
  }

  /** Removes the head, which is acknowledged. */
  removeHead(): void {
    const node = this.head!;
    this.adjust(node.flags, -node.count);
    this.head = node.next;
    if (node.next === null) this.tail = null;
    else node.next.previous = null;
    give(node);
  }

  clear(): void {
    while (this.head !== null) this.removeHead();
    this.packetsOut =
      this.sackedOut =
      this.lostOut =
      this.retransOut =
        0;
  }

  markLost(node: SentSegment): void {
    if ((node.flags & SACKED) !== 0) return;
    if ((node.flags & LOST) !== 0) {
      // Its retransmission was lost too: it may be sent again.
      if ((node.flags & RETRANSMITTED) !== 0) this.unmark(node, RETRANSMITTED);
      return;
    }
    if ((node.flags & RETRANSMITTED) !== 0) this.unmark(node, RETRANSMITTED);
    this.mark(node, LOST);
  }

  /** Sets one of SACKED, LOST, RETRANSMITTED on a node that does not have it. */
  mark(node: SentSegment, flag: number): void {
    if ((node.flags & flag) !== 0) return;
    node.flags |= flag;
    if (flag === SACKED) this.sackedOut += node.count;
    else if (flag === LOST) this.lostOut += node.count;
    else if (flag === RETRANSMITTED) this.retransOut += node.count;
  }

  unmark(node: SentSegment, flag: number): void {
    if ((node.flags & flag) === 0) return;
    node.flags &= ~flag;
    if (flag === SACKED) this.sackedOut -= node.count;
    else if (flag === LOST) this.lostOut -= node.count;
    else if (flag === RETRANSMITTED) this.retransOut -= node.count;
  }

  /** The node that holds `seq`, or null. */
  find(seq: number): SentSegment | null {
    for (let node = this.head; node !== null; node = node.next) {
      if (leq(node.seq, seq) && !geq(seq, node.end)) return node;
    }
    return null;
  }

  private adjust(flags: number, delta: number): void {
    this.packetsOut += delta;
    if ((flags & SACKED) !== 0) this.sackedOut += delta;
    if ((flags & LOST) !== 0) this.lostOut += delta;
    if ((flags & RETRANSMITTED) !== 0) this.retransOut += delta;
  }
}
