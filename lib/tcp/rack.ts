import type { AckFacts } from "./ack_facts.ts";
import { EVER_RETRANSMITTED, type SentSegment } from "./retransmit_queue.ts";
import { gt } from "./seq.ts";
import { CaState } from "./state.ts";
import type { Tcb } from "./tcb.ts";
import { timestampOf } from "./timestamps.ts";

/** RFC 8985 7.2 and Linux: no timer of the sender is shorter than this. */
export const TIMEOUT_MIN_US = 2_000;
/** RFC 8985 6.2 step 4: how many recoveries a widened reordering window lasts. */
export const PERSIST_RECOVERIES = 16;
const MAX_STEPS = 255;

/**
 * RFC 8985 6.2, RACK_sent_after, by the order of sending: a clock can give a retransmission and new data before it the
 * same time, and sequence numbers would then put them the wrong way round. They decide within one transmission only.
 */
function sentAfter(order: number, end: number, otherOrder: number, otherEnd: number): boolean {
  return order > otherOrder || (order === otherOrder && gt(end, otherEnd));
}

/** RFC 8985 6.2, steps 1 and 2: `node` was delivered. */
export function rackAdvance(tcb: Tcb, node: SentSegment, now: number): void {
  const { recovery, rtt } = tcb;
  const rttUs = now - node.sentAtUs;
  if ((node.flags & EVER_RETRANSMITTED) !== 0) {
    // Sooner than any round trip, or with an echo from before it: an ACK for the original, not for the retransmission.
    if (rttUs < rtt.minRttUs) return;
    const echo = tcb.timestamps.lastEcho;
    if (tcb.options.timestamps && echo !== 0 && ((echo - timestampOf(tcb, node.sentAtUs)) | 0) < 0) return;
  }
  recovery.rackAdvanced = true;
  recovery.rackRttUs = rttUs;
  if (sentAfter(node.sentOrder, node.end, recovery.rackOrder, recovery.rackEnd)) {
    recovery.rackOrder = node.sentOrder;
    recovery.rackEnd = node.end;
  }
}

/** RFC 8985 6.2, step 4: how long a segment may be late before it counts as lost. */
function reorderingWindow(tcb: Tcb): number {
  const { recovery, rtt, queue } = tcb;
  if (recovery.reorderingSeen === 0) {
    if (recovery.caState >= CaState.RECOVERY) return 0;
    if (queue.sackedOut >= recovery.reordering) return 0;
  }
  const min = rtt.minRttUs === Infinity ? rtt.srttUs : rtt.minRttUs;
  return Math.min((min / 4) * recovery.rackSteps, rtt.srttUs);
}

/** Time left until `node` counts as lost; <= 0: it is. */
export function rackRemaining(tcb: Tcb, node: SentSegment, reorderingUs: number, now: number): number {
  return tcb.recovery.rackRttUs + reorderingUs - (now - node.sentAtUs);
}

/** RFC 8985 6.2, step 5: marks what is lost; returns when to look again, in microseconds from now, or 0. */
export function rackDetectLoss(tcb: Tcb, now: number): number {
  const { queue, recovery } = tcb;
  const window = reorderingWindow(tcb);
  let timeout = 0;
  for (let node = queue.oldestSent, next; node !== null; node = next) {
    next = node.sentAfter;
    if (!sentAfter(recovery.rackOrder, recovery.rackEnd, node.sentOrder, node.end)) {
      // The pieces of one transmission need not be in the order of sequence numbers.
      if (node.sentOrder > recovery.rackOrder) break;
      continue;
    }
    const remaining = rackRemaining(tcb, node, window, now);
    if (remaining <= 0) {
      queue.markLost(node);
      recovery.lost += node.count;
    } else {
      timeout = Math.max(timeout, remaining);
    }
  }
  return timeout;
}

/** RFC 8985 6.2: after each ACK; true if the reordering timer was wanted, `after` then tells when. */
export function rackMarkLost(tcb: Tcb, now: number): number {
  const { recovery } = tcb;
  if (!recovery.rackAdvanced) return 0;
  // Once an ACK told nothing new about send times there is nothing new to conclude.
  recovery.rackAdvanced = false;
  return rackDetectLoss(tcb, now);
}

/** RFC 8985 6.2, step 4: D-SACKs show that the window was too small; it widens, and relaxes after a while. */
export function updateReorderingWindow(tcb: Tcb, facts: AckFacts): void {
  const { recovery } = tcb;
  // Once a round trip at most.
  if (facts.sentAtDelivered < recovery.rackLastDelivered) recovery.rackDsackSeen = false;
  if (recovery.rackDsackSeen) {
    recovery.rackSteps = Math.min(MAX_STEPS, recovery.rackSteps + 1);
    recovery.rackDsackSeen = false;
    recovery.rackLastDelivered = recovery.delivered;
    recovery.rackPersist = PERSIST_RECOVERIES;
  } else if (recovery.rackPersist === 0) {
    recovery.rackSteps = 1;
  }
}
