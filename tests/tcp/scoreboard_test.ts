/** Invariants of the sender under arbitrary acknowledgments: the scoreboard's counters, the windows, the timers. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { pathMtuChanged } from "../../lib/tcp/errors.ts";
import { LOST, RETRANSMITTED, SACKED } from "../../lib/tcp/retransmit_queue.ts";
import { State } from "../../lib/tcp/state.ts";
import { TransmitTimer } from "../../lib/tcp/tcb.ts";
import { Bench } from "./segments.ts";

type Step =
  | { kind: "ack"; at: number; blocks: [number, number][]; window: number; echo: number }
  | { kind: "write"; bytes: number }
  | { kind: "pass"; us: number }
  | { kind: "data"; from: number; length: number }
  | { kind: "mtu"; mtu: number }
  | { kind: "shut" };

const block = fc.tuple(fc.integer({ min: -2, max: 45 }), fc.integer({ min: -1, max: 12 }));
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("ack" as const),
      at: fc.integer({ min: -1, max: 12 }),
      blocks: fc.array(block, { maxLength: 4 }),
      window: fc.constantFrom(65_535, 65_535, 65_535, 20_000, 3000, 500, 0),
      echo: fc.integer({ min: 0, max: 400 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("write" as const),
      bytes: fc.constantFrom(1, 700, 1000, 5000, 30_000),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("pass" as const),
      us: fc.constantFrom(100, 1000, 20_000, 100_000, 300_000, 2_000_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("data" as const),
      from: fc.integer({ min: 0, max: 4000 }),
      length: fc.integer({ min: 1, max: 1000 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("mtu" as const), mtu: fc.integer({ min: 560, max: 1040 }) }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "shut" as const }) },
);

/** Counts the nodes again and compares; checks the queue's shape. */
function checkQueue(b: Bench): void {
  const { queue, snd, options } = b.tcb;
  let packets = 0, sacked = 0, lost = 0, retransmitted = 0;
  // An ACK may end inside the first node.
  let expected = queue.head?.seq ?? 0;
  if (queue.head !== null) assert(((snd.una - expected) | 0) >= 0 && ((queue.head.end - snd.una) | 0) > 0);
  for (let node = queue.head; node !== null; node = node.next) {
    assertEquals(node.seq, expected, "nodes touch");
    assert(((node.end - node.seq) | 0) > 0, "no empty node");
    assert(node.count >= 1);
    expected = node.end;
    packets += node.count;
    if ((node.flags & SACKED) !== 0) sacked += node.count;
    if ((node.flags & LOST) !== 0) lost += node.count;
    if ((node.flags & RETRANSMITTED) !== 0) retransmitted += node.count;
    assert((node.flags & (SACKED | LOST)) !== (SACKED | LOST), "SACKed is not lost");
    if (node.next === null) assertEquals(queue.tail, node);
    else assertEquals(node.next.previous === node, true);
  }
  if (queue.head !== null) assertEquals(expected, snd.nxt, "the queue ends at SND.NXT");
  assertEquals(queue.packetsOut, packets, "packetsOut");
  assertEquals(queue.lostOut, lost, "lostOut");
  assertEquals(queue.retransOut, retransmitted, "retransOut");
  if (options.sack) assertEquals(queue.sackedOut, sacked, "sackedOut");
  assert(queue.sackedOut + queue.lostOut <= queue.packetsOut, "no more SACKed and lost than sent");
  assert(queue.inFlight >= 0, `in flight ${queue.inFlight}`);
}

function check(b: Bench): void {
  const { tcb } = b;
  if (tcb.state === State.CLOSED || tcb.state === State.TIME_WAIT) return;
  checkQueue(b);
  const { snd, queue, recovery, timers } = tcb;
  assert(((snd.nxt - snd.una) | 0) >= 0);
  assert(((tcb.dataEnd - snd.nxt) | 0) >= -1);
  assert(tcb.cwnd >= 1 && Number.isInteger(tcb.cwnd), `cwnd ${tcb.cwnd}`);
  assert(tcb.ssthresh >= 2 && Number.isInteger(tcb.ssthresh), `ssthresh ${tcb.ssthresh}`);
  assert(recovery.delivered >= 0 && recovery.lost >= 0);
  assert(!Number.isNaN(tcb.deadline) && !Number.isNaN(tcb.rtt.rtoUs));
  if (queue.packetsOut > 0) {
    assert(timers.kind !== TransmitTimer.NONE && timers.transmitAtUs < Infinity, "in flight without a timer");
    assert(timers.transmitAtUs - b.now <= 121e6, "a timer without end");
  } else if (((tcb.dataEnd - snd.nxt) | 0) > 0) {
    // Nothing in flight: Nagle and the congestion window cannot hold data back; only the peer's window can.
    assert(timers.transmitAtUs < Infinity, "data waits and no timer runs");
  }
}

function apply(b: Bench, move: Step): void {
  const { tcb } = b;
  const una = (tcb.snd.una - b.iss) | 0;
  const nxt = (tcb.snd.nxt - b.iss) | 0;
  const theirs = (tcb.rcv.nxt - b.peer.iss) | 0;
  if (move.kind === "write") b.write(move.bytes);
  else if (move.kind === "pass") b.pass(move.us);
  else if (move.kind === "shut") b.shutdown(1);
  else if (move.kind === "mtu") pathMtuChanged(tcb, move.mtu, tcb.snd.una, b.now);
  else if (move.kind === "data") {
    const from = theirs + move.from;
    b.arrives(`. ${from}:${from + move.length}(${move.length}) ack ${una}`);
    b.read();
  } else {
    const edge = (at: number) => Math.min(una + at * 250, nxt + (at > 40 ? 500 : 0));
    const ack = Math.max(1, Math.min(edge(move.at), nxt));
    const blocks = move.blocks.map(([left, length]) => `${edge(left)}-${edge(left + length)}`).join(" ");
    const text = `. ${theirs}:${theirs}(0) ack ${ack} win ${move.window}${
      blocks === "" ? "" : ` sack ${blocks}`
    }`;
    b.arrives(text, (h) => h.timestampEcho -= Math.min(move.echo, 90));
  }
}

const SETTINGS = [
  {},
  { congestion: "reno" },
  { gsoMaxSegments: 8 },
  { timestamps: true },
  { rack: false },
  { frto: false, tailLossProbe: false },
  { sack: false },
  { ecn: 1 },
];

for (const settings of SETTINGS) {
  Deno.test(`arbitrary acknowledgments: ${JSON.stringify(settings)}`, () => {
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 60 }),
        fc.constantFrom(1000, -3000, 0x7fffffff - 3000),
        (steps, iss) => {
          const b = Bench.open(settings, { timestamps: true }, 50_000, iss);
          b.write(20_000);
          for (const move of steps) {
            apply(b, move);
            b.drain();
            b.sent = [];
            check(b);
            if (b.tcb.state === State.CLOSED) return;
          }
          // An honest peer from here on: everything arrives.
          for (
            let i = 0;
            i < 400 && b.tcb.snd.una !== b.tcb.snd.nxt || b.tcb.snd.nxt !== b.tcb.dataEnd;
            i++
          ) {
            const theirs = (b.tcb.rcv.nxt - b.peer.iss) | 0;
            b.pass(130e6 / 20);
            b.arrives(`. ${theirs}:${theirs}(0) ack ${(b.tcb.snd.nxt - b.iss) | 0} win 65535`);
            b.sent = [];
            if (b.tcb.state === State.CLOSED || b.tcb.finSent) break;
            assert(i < 399, "stuck");
          }
        },
      ),
      { numRuns: 60, seed: 11 },
    );
  });
}
