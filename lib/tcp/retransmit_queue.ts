import { NO_RANGES, type RangeSet } from "../buffer/range_set.ts";
import { distance, leq, lt } from "./seq.ts";

/** Bits of `SentSegment.flags`. */
export const SACKED = 1;
export const LOST = 2;
/** Its retransmission is in flight. */
export const RETRANSMITTED = 4;
export const EVER_RETRANSMITTED = 8;
/** It was sent with PSH, and is so again. */
export const PUSHED = 16;

/** One transmission that is not yet cumulatively acknowledged: a range of sequence numbers and when it last left. */
export class SentSegment {
  seq = 0;
  end = 0;
  /** How many segments of at most one MSS it is on the wire. */
  count = 1;
  flags = 0;
  /** When it was last sent. */
  sentAtUs = 0;
  /** The how manieth transmission that was: what left in the same microsecond is told apart by it. */
  sentOrder = 0;
  /** `Tcb.delivered` when it was first sent (tells round trips apart, RFC 8985 6.2). */
  deliveredBefore = 0;
  previous: SentSegment | null = null;
  next: SentSegment | null = null;
  /** Neighbors in the order of sending, and whether it has any: see `RetransmitQueue.oldestSent`. */
  sentBefore: SentSegment | null = null;
  sentAfter: SentSegment | null = null;
  isAwaited = false;
}

/** What of the array of segments may be waste before it is moved up. */
const COMPACT_AT = 64;

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
 *
 * A window may hold tens of thousands of segments, thousands of them lost, so no ACK walks all of them: an array finds
 * one by its sequence number, a second list holds in the order of sending those that RACK waits for, and a mark stands
 * where retransmission goes on.
 */
export class RetransmitQueue {
  head: SentSegment | null = null;
  tail: SentSegment | null = null;
  packetsOut = 0;
  sackedOut = 0;
  lostOut = 0;
  retransOut = 0;
  /** What the peer has SACKed above SND.UNA: ranges that need not be looked at again. */
  sackedRanges: RangeSet = NO_RANGES;
  /**
   * The first in the order of sending of those whose fate is open: neither SACKED, nor LOST without having been sent
   * again (RFC 8985 6.2 looks at these only).
   */
  oldestSent: SentSegment | null = null;
  private latestSent: SentSegment | null = null;
  private transmissions = 0;
  /**
   * All nodes in sequence order, from `first` up to `end`; null before and behind. Its places are used again: an array
   * that is emptied gives them away, and makes 17 of them with the next node, 152 bytes for each request of a few bytes.
   */
  private nodes: (SentSegment | null)[] = [];
  private first = 0;
  private end = 0;
  /** No node before this one is to be sent again; null: none at all is. */
  private firstToResend: SentSegment | null = null;

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
    node.sentOrder = ++this.transmissions;
    node.previous = this.tail;
    if (this.tail === null) this.head = node;
    else this.tail.next = node;
    this.tail = node;
    this.nodes[this.end++] = node;
    this.packetsOut += count;
    this.await(node);
    return node;
  }

  /** Cuts `node` at `seq` so that it ends there; the rest becomes the node after it, with the same history. */
  split(node: SentSegment, seq: number, mss: number): void {
    const rest = take();
    rest.seq = seq;
    rest.end = node.end;
    rest.flags = node.flags;
    rest.sentAtUs = node.sentAtUs;
    rest.sentOrder = node.sentOrder;
    rest.deliveredBefore = node.deliveredBefore;
    const before = node.count;
    node.end = seq;
    node.flags &= ~PUSHED;
    node.count = Math.max(1, Math.ceil(distance(seq, node.seq) / mss));
    rest.count = Math.max(1, Math.ceil(distance(rest.end, seq) / mss));
    this.adjust(rest.flags, node.count + rest.count - before);
    rest.previous = node;
    rest.next = node.next;
    if (node.next === null) this.tail = rest;
    else node.next.previous = rest;
    node.next = rest;
    this.nodes.splice(this.indexOf(node.seq) + 1, 0, rest);
    this.end++;
    if (node.isAwaited) this.awaitBehind(rest, node);
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
    this.forgo(node);
    if (this.firstToResend === node) this.firstToResend = node.next;
    this.head = node.next;
    if (node.next === null) this.tail = null;
    else node.next.previous = null;
    this.nodes[this.first++] = null;
    if (this.head === null) {
      this.first = this.end = 0;
      // What a large window needed is not kept for an idle connection.
      if (this.nodes.length > COMPACT_AT) this.nodes.length = 0;
      this.sackedRanges.clear();
    } else if (this.first >= COMPACT_AT && this.first * 2 > this.end) {
      this.moveUp();
    }
    give(node);
  }

  /** Moves all nodes to the front of the array. */
  private moveUp(): void {
    const { nodes, first, end } = this;
    for (let at = first; at < end; at++) {
      nodes[at - first] = nodes[at];
      nodes[at] = null;
    }
    this.first = 0;
    this.end = end - first;
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
    // Where it was lost before, its retransmission was lost too: it may be sent again.
    this.unmark(node, RETRANSMITTED);
    this.mark(node, LOST);
    if (this.firstToResend === null || lt(node.seq, this.firstToResend.seq)) this.firstToResend = node;
  }

  /** The first that is lost and not yet sent again, or null. */
  nextToResend(): SentSegment | null {
    let node = this.firstToResend;
    while (node !== null && (node.flags & (LOST | SACKED | RETRANSMITTED)) !== LOST) node = node.next;
    this.firstToResend = node;
    return node;
  }

  /** `node`, taken for lost, leaves again at `now`. */
  resend(node: SentSegment, now: number): void {
    this.markLost(node);
    node.sentAtUs = now;
    node.sentOrder = ++this.transmissions;
    node.flags |= EVER_RETRANSMITTED;
    this.mark(node, RETRANSMITTED);
  }

  /** Sets one of SACKED, LOST, RETRANSMITTED on a node that does not have it. */
  mark(node: SentSegment, flag: number): void {
    if ((node.flags & flag) !== 0) return;
    node.flags |= flag;
    if (flag === SACKED) this.sackedOut += node.count;
    else if (flag === LOST) this.lostOut += node.count;
    else if (flag === RETRANSMITTED) this.retransOut += node.count;
    this.file(node);
  }

  unmark(node: SentSegment, flag: number): void {
    if ((node.flags & flag) === 0) return;
    node.flags &= ~flag;
    if (flag === SACKED) {
      this.sackedOut -= node.count;
      this.sackedRanges.clear();
    } else if (flag === LOST) {
      this.lostOut -= node.count;
    } else if (flag === RETRANSMITTED) {
      this.retransOut -= node.count;
    }
    this.file(node);
  }

  /** The node that holds `seq`, else the first one behind it; null if there is none. */
  find(seq: number): SentSegment | null {
    return this.nodes[this.indexOf(seq)] ?? null;
  }

  /** Where in `nodes` the first is that ends after `seq`. */
  private indexOf(seq: number): number {
    const { nodes } = this;
    let low = this.first;
    let high = this.end;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (leq(nodes[middle]!.end, seq)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Puts `node` into the list in the order of sending, or takes it out, as its marks say. */
  private file(node: SentSegment): void {
    const isOpen = (node.flags & SACKED) === 0 && (node.flags & (LOST | RETRANSMITTED)) !== LOST;
    if (!isOpen) this.forgo(node);
    else if (!node.isAwaited) this.await(node);
  }

  /** Mostly what comes was sent just now; what is no longer taken for lost finds its place near its neighbor's. */
  private await(node: SentSegment): void {
    const order = node.sentOrder;
    let before = this.latestSent;
    if (before !== null && before.sentOrder > order && node.previous?.isAwaited) before = node.previous;
    while (before !== null && before.sentOrder > order) before = before.sentBefore;
    while (before?.sentAfter && before.sentAfter.sentOrder <= order) before = before.sentAfter;
    this.awaitBehind(node, before);
  }

  private awaitBehind(node: SentSegment, before: SentSegment | null): void {
    const after = before === null ? this.oldestSent : before.sentAfter;
    node.sentBefore = before;
    node.sentAfter = after;
    if (before === null) this.oldestSent = node;
    else before.sentAfter = node;
    if (after === null) this.latestSent = node;
    else after.sentBefore = node;
    node.isAwaited = true;
  }

  private forgo(node: SentSegment): void {
    if (!node.isAwaited) return;
    const { sentBefore, sentAfter } = node;
    if (sentBefore === null) this.oldestSent = sentAfter;
    else sentBefore.sentAfter = sentAfter;
    if (sentAfter === null) this.latestSent = sentBefore;
    else sentAfter.sentBefore = sentBefore;
    node.sentBefore = node.sentAfter = null;
    node.isAwaited = false;
  }

  private adjust(flags: number, delta: number): void {
    this.packetsOut += delta;
    if ((flags & SACKED) !== 0) this.sackedOut += delta;
    if ((flags & LOST) !== 0) this.lostOut += delta;
    if ((flags & RETRANSMITTED) !== 0) this.retransOut += delta;
  }
}
