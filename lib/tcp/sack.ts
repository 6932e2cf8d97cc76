import { NO_RANGES, RangeSet } from "../buffer/range_set.ts";
import type { TcpHeader } from "../wire/tcp.ts";
import { type AckFacts, Fact } from "./ack_facts.ts";
import { rackAdvance } from "./rack.ts";
import { EVER_RETRANSMITTED, LOST, RETRANSMITTED, SACKED, type SentSegment } from "./retransmit_queue.ts";
import { distance, earlier, geq, gt, later, leq, lt } from "./seq.ts";
import type { Tcb } from "./tcb.ts";

/** More reordering than this many segments is not believed. */
const MAX_REORDERING = 300;

/** Marks what the SACK option of `seg` reports (RFC 2018 5, RFC 6675 4 "Update()"). */
export function tagSacks(tcb: Tcb, seg: TcpHeader, facts: AckFacts, now: number): void {
  let first = 0;
  if (isDsack(seg)) {
    noteDsack(tcb, seg, facts);
    first = 1;
  }
  const before = tcb.queue.sackedOut;
  let lowestReordered = tcb.snd.nxt;
  for (let i = first; i < seg.sackCount; i++) {
    const left = later(seg.sackLeft[i], tcb.snd.una);
    const right = seg.sackRight[i];
    // RFC 2018: blocks outside of what was sent are ignored, as is everything acknowledged already.
    if (geq(left, right) || gt(right, tcb.snd.nxt)) continue;
    const reordered = tagNews(tcb, left, right, facts, now);
    if (lt(reordered, lowestReordered)) lowestReordered = reordered;
  }
  if (tcb.queue.sackedOut > before || (facts.flags & Fact.DATA_SACKED) !== 0) {
    if (lt(lowestReordered, tcb.recovery.highestSacked)) checkSackReordering(tcb, lowestReordered);
  }
}

/** RFC 2883 4: the first block lies below the cumulative ACK, or within the second block. */
function isDsack(seg: TcpHeader): boolean {
  const left = seg.sackLeft[0];
  const right = seg.sackRight[0];
  if (geq(left, right)) return false;
  if (lt(left, seg.ack)) return true;
  return seg.sackCount > 1 && leq(right, seg.sackRight[1]) && geq(left, seg.sackLeft[1]);
}

function noteDsack(tcb: Tcb, seg: TcpHeader, facts: AckFacts): void {
  const { recovery, snd } = tcb;
  const left = seg.sackLeft[0];
  const right = seg.sackRight[0];
  // A range that was never sent, or is older than what this episode sent again, tells nothing.
  if (gt(right, snd.nxt) || lt(left, (snd.una - Math.max(snd.maxWnd, 1 << 20)) | 0)) return;
  facts.flags |= Fact.DSACK;
  tcb.totals.dsackDups += Math.max(1, Math.ceil(distance(right, left) / snd.mss));
  recovery.rackDsackSeen = true;
  if (
    recovery.tlpActive && geq(left, (recovery.tlpHighSeq - snd.mss) | 0) && leq(right, recovery.tlpHighSeq)
  ) {
    facts.flags |= Fact.DSACK_PROBE;
  }
  // RFC 3708: each D-SACK for a retransmission of this episode shows one of them to have been unnecessary.
  if (recovery.undoActive && recovery.undoRetrans > 0 && geq(left, recovery.undoMarker)) {
    const segments = Math.max(1, Math.ceil(distance(right, left) / snd.mss));
    recovery.undoRetrans = Math.max(0, recovery.undoRetrans - segments);
  }
}

/** Marks what of the block [left, right) was not reported before; returns the lowest sequence number overtaken. */
function tagNews(tcb: Tcb, left: number, right: number, facts: AckFacts, now: number): number {
  const { queue } = tcb;
  if (queue.sackedRanges === NO_RANGES) queue.sackedRanges = new RangeSet();
  const { sackedRanges } = queue;
  let reordered = tcb.snd.nxt;
  let from = left;
  for (let i = sackedRanges.search(left); lt(from, right); i++) {
    const known = i < sackedRanges.count && lt(sackedRanges.left(i), right);
    const to = known ? sackedRanges.left(i) : right;
    if (lt(from, to)) reordered = earlier(reordered, tagBlock(tcb, left, right, from, to, facts, now));
    from = known ? sackedRanges.right(i) : right;
  }
  sackedRanges.add(left, right);
  return reordered;
}

/**
 * Marks the nodes inside the block [left, right) that reach into the new part of it, [from, to); returns the lowest
 * sequence number that had been overtaken.
 */
function tagBlock(
  tcb: Tcb,
  left: number,
  right: number,
  from: number,
  to: number,
  facts: AckFacts,
  now: number,
): number {
  const { queue, snd, recovery } = tcb;
  let reordered = snd.nxt;
  for (let node = queue.find(from); node !== null && lt(node.seq, to); node = node.next) {
    if (leq(node.end, left) || (node.flags & SACKED) !== 0) continue;
    if (lt(node.seq, left)) {
      if (!splitOnSegment(tcb, node, left)) continue;
      continue; // the part inside is the next node
    }
    if (gt(node.end, right) && !splitBefore(tcb, node, right)) continue;
    if ((node.flags & EVER_RETRANSMITTED) === 0) {
      if (queue.sackedOut > 0 && lt(node.seq, recovery.highestSacked) && lt(node.seq, reordered)) {
        reordered = node.seq;
      }
      if (leq(node.end, recovery.highSeq)) facts.flags |= Fact.ORIG_ACKED;
      if (facts.firstSackedUs < 0) facts.firstSackedUs = node.sentAtUs;
      facts.lastSackedUs = node.sentAtUs;
    }
    tagNode(tcb, node, facts, now);
  }
  return reordered;
}

function tagNode(tcb: Tcb, node: SentSegment, facts: AckFacts, now: number): void {
  const { queue, recovery } = tcb;
  rackAdvance(tcb, node, now);
  const first = queue.sackedOut === 0;
  queue.mark(node, SACKED);
  queue.unmark(node, RETRANSMITTED);
  queue.unmark(node, LOST);
  recovery.delivered += node.count;
  facts.deliveredBytes += distance(node.end, node.seq);
  facts.sentAtDelivered = Math.max(facts.sentAtDelivered, node.deliveredBefore);
  facts.flags |= Fact.DATA_SACKED;
  if (first || gt(node.end, recovery.highestSacked)) recovery.highestSacked = node.end;
}

/** Cuts a multi-segment node at the first whole segment at or after `left`. */
function splitOnSegment(tcb: Tcb, node: SentSegment, left: number): boolean {
  if (node.count < 2) return false;
  const mss = tcb.snd.mss;
  const bytes = Math.ceil(distance(left, node.seq) / mss) * mss;
  if (bytes <= 0 || bytes >= distance(node.end, node.seq)) return false;
  tcb.queue.split(node, (node.seq + bytes) | 0, mss);
  return true;
}

/** Cuts a multi-segment node after the last whole segment before `right`. */
function splitBefore(tcb: Tcb, node: SentSegment, right: number): boolean {
  if (node.count < 2) return false;
  const mss = tcb.snd.mss;
  const bytes = Math.floor(distance(right, node.seq) / mss) * mss;
  if (bytes <= 0 || bytes >= distance(node.end, node.seq)) return false;
  tcb.queue.split(node, (node.seq + bytes) | 0, mss);
  return true;
}

/** Something sent at `low` arrived after something sent behind it: the path reorders that much (RFC 8985 6.2). */
export function checkSackReordering(tcb: Tcb, low: number): void {
  const { recovery, queue, snd } = tcb;
  const highest = queue.sackedOut > 0 ? recovery.highestSacked : snd.una;
  const span = distance(highest, low);
  if (span <= 0) return;
  if (span > recovery.reordering * snd.mss) {
    recovery.reordering = Math.min(Math.ceil(span / snd.mss), MAX_REORDERING);
  }
  recovery.reorderingSeen++;
}

/** Without SACK every duplicate ACK stands for one segment that left the network (RFC 5681 3.2). */
export function addRenoSacks(tcb: Tcb, duplicates: number): void {
  if (duplicates === 0) return;
  const { queue, recovery } = tcb;
  const before = queue.sackedOut;
  queue.sackedOut += duplicates;
  checkRenoReordering(tcb);
  const delivered = queue.sackedOut - before;
  if (delivered > 0) recovery.delivered += delivered;
}

/** More duplicates than segments in flight: they were reordered or duplicated by the network. */
function checkRenoReordering(tcb: Tcb): void {
  const { queue, recovery } = tcb;
  const holes = Math.min(Math.max(queue.lostOut, 1), queue.packetsOut);
  if (queue.sackedOut + holes <= queue.packetsOut) return;
  queue.sackedOut = queue.packetsOut - holes;
  recovery.reordering = Math.min(queue.packetsOut, MAX_REORDERING);
  recovery.reorderingSeen++;
}

/** A cumulative ACK covers `acked` segments: one was the hole, the others had sent the duplicates. */
export function removeRenoSacks(tcb: Tcb, acked: number): void {
  const { queue, recovery } = tcb;
  if (acked > 0) {
    recovery.delivered += Math.max(acked - queue.sackedOut, 1) - acked;
    if (acked - 1 >= queue.sackedOut) queue.sackedOut = 0;
    else queue.sackedOut -= acked - 1;
  }
  checkRenoReordering(tcb);
}

export function resetRenoSacks(tcb: Tcb): void {
  tcb.queue.sackedOut = 0;
}
