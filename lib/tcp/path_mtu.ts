import { beginUndo, currentSsthresh } from "./recovery.ts";
import { LOST, RETRANSMITTED, SACKED } from "./retransmit_queue.ts";
import { distance, lt } from "./seq.ts";
import { CaState } from "./state.ts";
import type { Tcb } from "./tcb.ts";

/**
 * Segments larger than the path takes did not arrive: they are sent again at once, in pieces. It is no sign of
 * congestion, so the window stays (RFC 1191 6.4).
 */
export function retransmitNow(tcb: Tcb, _now: number): void {
  const { queue, recovery, snd } = tcb;
  const lostBefore = queue.lostOut;
  // What of the head is acknowledged is not cut into pieces.
  if (queue.head !== null && lt(queue.head.seq, snd.una)) queue.trimHead(snd.una, snd.mss);
  for (let node = queue.head; node !== null; node = node.next) {
    if ((node.flags & SACKED) !== 0) continue;
    const bytes = distance(node.end, node.seq);
    if (bytes <= snd.mss * node.count) continue;
    const count = Math.ceil(bytes / snd.mss);
    queue.unmark(node, LOST);
    queue.unmark(node, RETRANSMITTED);
    queue.packetsOut += count - node.count;
    node.count = count;
    queue.markLost(node);
  }
  if (queue.lostOut === lostBefore) return;
  // Without SACK duplicates stood for segments that arrived; what is lost now cannot be among them.
  if (!tcb.options.sack) {
    queue.sackedOut = Math.max(0, Math.min(queue.sackedOut, queue.packetsOut - queue.lostOut));
  }
  if (recovery.caState !== CaState.LOSS) {
    recovery.highSeq = snd.nxt;
    tcb.ssthresh = currentSsthresh(tcb);
    recovery.priorSsthresh = 0;
    beginUndo(tcb);
    recovery.undoActive = false;
    recovery.caState = CaState.LOSS;
    recovery.frto = false;
  }
}
