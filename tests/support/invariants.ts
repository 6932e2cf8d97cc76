/** What holds for two stacks at every moment at which both have done all they can. */
import { assert, assertEquals, assertGreaterOrEqual, assertLessOrEqual } from "@std/assert";
import { State, stateName } from "../../lib/tcp/state.ts";
import { LOST, RETRANSMITTED, SACKED } from "../../lib/tcp/retransmit_queue.ts";
import type { Tcb } from "../../lib/tcp/tcb.ts";
import type { Link } from "./link.ts";

/** Nothing a stack waits for is further away than the first keepalive probe. */
const MAX_TIMER_US = 7200e6 + 1e6;
const RTO_MAX_US = 120e6;

export function checkInvariants(link: Link): void {
  for (const { name, stack } of [link.a, link.b]) {
    const { deadline } = stack;
    assert(!Number.isNaN(deadline), `${name}: the deadline is not a number`);
    if (deadline !== Infinity) {
      assertLessOrEqual(deadline - link.now, MAX_TIMER_US, `${name}: a timer is unbounded`);
    }
    for (const { tcb, localPort, remotePort } of stack.connections()) {
      const what = `${name} ${localPort}-${remotePort} ${stateName(tcb.state)}`;
      checkSequence(tcb, what);
      checkScoreboard(tcb, what);
      checkTimers(tcb, what);
      assertLessOrEqual(
        tcb.deadline >= deadline ? 0 : deadline - tcb.deadline,
        0,
        `${what}: its timer is not the stack's`,
      );
    }
  }
}

function checkSequence({ snd, rcv, state, sendBuffer, receiveBuffer, outOfOrder }: Tcb, what: string): void {
  // It is over; only a reset is still to be sent, when its neighbor is known.
  if (state === State.CLOSED) return;
  const flight = (snd.nxt - snd.una) | 0;
  assertGreaterOrEqual(flight, 0, `${what}: SND.NXT is behind SND.UNA`);
  // A SYN and a FIN take a number each, and are not in the buffer.
  assertLessOrEqual(
    flight,
    sendBuffer.length + 2,
    `${what}: more was sent than is kept for a retransmission`,
  );
  assertGreaterOrEqual(snd.wnd, 0, `${what}: SND.WND`);
  if (state === State.LISTEN || state === State.SYN_SENT) return;
  const unread = (rcv.nxt - rcv.readSeq) | 0;
  assertGreaterOrEqual(unread, 0, `${what}: RCV.NXT is behind what was read`);
  assertLessOrEqual(receiveBuffer.length, unread, `${what}: more is readable than has come`);
  let edge = rcv.nxt;
  for (let i = 0; i < outOfOrder.count; i++) {
    assert(
      ((outOfOrder.left(i) - edge) | 0) > 0,
      `${what}: out-of-order range ${i} touches what is before it`,
    );
    assert(((outOfOrder.right(i) - outOfOrder.left(i)) | 0) > 0, `${what}: out-of-order range ${i} is empty`);
    edge = outOfOrder.right(i);
  }
}

/** The counters of the retransmit queue say what a recount says, and its segments lie end to end. */
function checkScoreboard({ queue, snd, cwnd, options }: Tcb, what: string): void {
  let [packets, sacked, lost, retransmitted] = [0, 0, 0, 0];
  let end = 0;
  for (let node = queue.head; node !== null; node = node.next) {
    if (node !== queue.head) assertEquals(node.seq, end, `${what}: a gap in the retransmit queue`);
    else assertLessOrEqual((node.seq - snd.una) | 0, 0, `${what}: SND.UNA is not in the retransmit queue`);
    packets += node.count;
    if (node.flags & SACKED) sacked += node.count;
    if (node.flags & LOST) lost += node.count;
    if (node.flags & RETRANSMITTED) retransmitted += node.count;
    assert((node.flags & (SACKED | LOST)) !== (SACKED | LOST), `${what}: a segment is lost and SACKed`);
    end = node.end;
  }
  if (queue.tail !== null) {
    assertEquals(queue.tail.end, snd.nxt, `${what}: the retransmit queue ends before SND.NXT`);
  }
  if (!options.sack) {
    // Nobody tells which segments arrived: duplicate ACKs are counted instead, as many as there are segments at most.
    assertLessOrEqual(queue.sackedOut + lost, packets, `${what}: duplicate ACKs`);
    sacked = queue.sackedOut;
  }
  assertEquals(
    [queue.packetsOut, queue.sackedOut, queue.lostOut, queue.retransOut],
    [packets, sacked, lost, retransmitted],
    `${what}: packets out, SACKed, lost, retransmitted`,
  );
  assertGreaterOrEqual(cwnd, 1, `${what}: cwnd is below a segment`);
}

function checkTimers({ state, snd, deadline, rtt }: Tcb, what: string): void {
  assert(!Number.isNaN(deadline), `${what}: the deadline is not a number`);
  assertLessOrEqual(rtt.rtoUs, RTO_MAX_US, `${what}: rto`);
  const waits = state !== State.CLOSED && state !== State.LISTEN && snd.nxt !== snd.una;
  if (waits) assert(deadline !== Infinity, `${what}: something is in flight and no timer runs`);
}

/** Limited transmit (RFC 3042) lets two segments go beyond the congestion window, a tail loss probe (RFC 8985) one. */
const BEYOND_CWND = 3;

/** From now on, new data never goes beyond what the peer's window and the congestion window allow. */
export function watchFlight(link: Link): void {
  for (const host of [link.a, link.b]) {
    const sent = new WeakMap<Tcb, number>();
    const before = host.onTransmit;
    host.onTransmit = (frame, now) => {
      before?.(frame, now);
      for (const { tcb, localPort, remotePort } of host.stack.connections()) {
        const last = sent.get(tcb);
        sent.set(tcb, tcb.snd.nxt);
        const grown = last === undefined ? 0 : (tcb.snd.nxt - last) | 0;
        if (grown <= 0 || tcb.sendBuffer.length === 0) continue;
        const what = `${host.name} ${localPort}-${remotePort} ${stateName(tcb.state)}`;
        // In bytes too: segments that left before the path MTU was found to be larger count as many small ones.
        const allowed = tcb.cwnd + BEYOND_CWND;
        // A FIN alone is no load, and a tail loss probe leaves whatever the window has become since.
        const isExempt = (tcb.finSent && grown === 1) ||
          (tcb.recovery.tlpActive && tcb.recovery.tlpHighSeq === tcb.snd.nxt);
        if (
          !isExempt && tcb.queue.inFlight > allowed &&
          ((tcb.snd.nxt - tcb.snd.una) | 0) > allowed * tcb.snd.mss
        ) {
          throw link.failure(`${what}: ${tcb.queue.inFlight} segments in flight, cwnd is ${tcb.cwnd}`);
        }
        // One byte may probe a closed window, and a FIN takes a number.
        const beyond = (tcb.snd.nxt - tcb.snd.una - tcb.snd.wnd) | 0;
        if (beyond > 1) throw link.failure(`${what}: sent ${beyond} bytes beyond the peer's window`);
      }
    };
  }
}
