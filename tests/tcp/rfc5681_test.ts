/** RFC 5681, 6582, 6928, 3042: slow start, congestion avoidance, fast retransmit and NewReno recovery without SACK. */
import { assert, assertEquals } from "@std/assert";
import { ENOENT } from "../../lib/errno.ts";
import { setCongestion } from "../../lib/tcp/options.ts";
import { CaState } from "../../lib/tcp/state.ts";
import { Bench } from "./segments.ts";

const MS = 1000;
const RENO = { congestion: "reno", sack: false };
const starts = (b: Bench) => b.sent.map(({ text }) => Number(/ (\d+):/.exec(text)![1]));

/** Acknowledges everything in flight, segment by segment, after a round trip; returns how many segments that were. */
function round(b: Bench): number {
  const flight = b.tcb.queue.packetsOut;
  b.pass(100 * MS);
  const una = (b.tcb.snd.una - b.iss) | 0;
  for (let i = 1; i <= flight; i++) b.arrives(`. 1:1(0) ack ${una + i * 1000}`);
  return flight;
}

/** A connection with an endless supply of data. */
function endless(settings = {}, bytes = 4_000_000): Bench {
  const b = Bench.open({ ...RENO, sendBuffer: bytes, sendBufferMax: bytes, ...settings }, {
    window: 65_535,
    windowScale: 10,
  });
  b.tcb.options.windowScaling = true;
  b.tcb.snd.scale = 10;
  b.arrives(". 1:1(0) ack 1");
  b.write(bytes);
  return b;
}

Deno.test("6928 2: ten segments to begin with", () => {
  const b = endless();
  assertEquals(b.sent.length, 10);
});

Deno.test("5681 3.1, 6928 2: SYNs that were lost, more than one, mean a window of one segment", () => {
  for (const [waitMs, segments] of [[500, 5], [1500, 5], [3500, 1]]) {
    const b = new Bench(RENO).connect().pass(waitMs * MS);
    b.arrives("S. 0:0(0) ack 1").clear();
    b.write(5000);
    assertEquals(b.sent.length, segments);
  }
});

Deno.test("5681 3.1: slow start doubles the window each round trip", () => {
  const b = endless();
  const flights = [1, 2, 3, 4, 5].map(() => round(b));
  assertEquals(flights, [10, 20, 40, 80, 160]);
});

Deno.test("5681 3.1: slow start ends at ssthresh, then one segment a round trip", () => {
  const b = endless();
  b.tcb.ssthresh = 20;
  const flights = [1, 2, 3, 4, 5, 6].map(() => round(b));
  assertEquals(flights, [10, 20, 21, 22, 23, 24]);
});

Deno.test("3465: one ACK for two segments grows the window by two in slow start", () => {
  const b = endless();
  b.pass(100 * MS).clear().arrives(". 1:1(0) ack 2001");
  assertEquals([b.tcb.cwnd, b.sent.length], [12, 4]);
});

Deno.test("5681 3.2, 3042: two duplicate ACKs send new data, the third the first segment again", () => {
  const b = endless().pass(100 * MS).clear();
  b.arrives(". 1:1(0) ack 1").arrives(". 1:1(0) ack 1");
  assertEquals([starts(b), b.tcb.cwnd], [[10_001, 11_001], 10]);
  b.clear().arrives(". 1:1(0) ack 1");
  assertEquals([starts(b)[0], b.tcb.ssthresh, b.tcb.recovery.caState], [1, 5, CaState.RECOVERY]);
});

Deno.test("5681 2: what is no duplicate ACK does not count as one", () => {
  const b = endless().pass(100 * MS).clear();
  for (let i = 0; i < 3; i++) b.arrives(`. ${1 + i * 10}:${11 + i * 10}(10) ack 1`);
  for (let i = 0; i < 3; i++) b.arrives(`. 31:31(0) ack 1 win ${100 + i}`);
  assertEquals(starts(b).includes(1), false);
  assertEquals(b.tcb.recovery.caState, CaState.OPEN);
});

Deno.test("6582 3.2: a partial ACK sends the next hole, as rate reduction allows, and stays in recovery", () => {
  const b = endless().pass(100 * MS).clear();
  for (let i = 0; i < 7; i++) b.arrives(". 1:1(0) ack 1");
  const recover = (b.tcb.recovery.highSeq - b.iss) | 0;
  b.clear().pass(100 * MS).arrives(". 1:1(0) ack 4001").arrives(". 1:1(0) ack 4001");
  assertEquals([starts(b)[0], b.tcb.recovery.caState], [4001, CaState.RECOVERY]);
  b.clear().pass(100 * MS).arrives(". 1:1(0) ack 8001").arrives(". 1:1(0) ack 8001");
  assertEquals([starts(b)[0], b.tcb.recovery.caState], [8001, CaState.RECOVERY]);
  b.clear().pass(100 * MS).arrives(`. 1:1(0) ack ${recover}`);
  b.arrives(`. 1:1(0) ack ${(b.tcb.snd.nxt - b.iss) | 0}`);
  assertEquals(b.tcb.recovery.caState, CaState.OPEN);
  assert(b.tcb.cwnd >= 5 && b.tcb.cwnd <= 7, `${b.tcb.cwnd}`);
});

Deno.test("6582 4.1: duplicates of what recovery sent twice do not begin another", () => {
  const b = endless().pass(100 * MS).clear();
  for (let i = 0; i < 9; i++) b.arrives(". 1:1(0) ack 1");
  const recover = (b.tcb.recovery.highSeq - b.iss) | 0;
  b.pass(100 * MS).arrives(`. 1:1(0) ack ${recover}`).clear();
  const ssthresh = b.tcb.ssthresh;
  for (let i = 0; i < 3; i++) b.arrives(`. 1:1(0) ack ${recover}`);
  assertEquals([b.tcb.ssthresh, starts(b).includes(recover)], [ssthresh, false]);
});

Deno.test("5681 3.1: after a timeout the window is one segment and ssthresh half of the flight", () => {
  const b = endless({ frto: false }).pass(100 * MS).clear();
  b.pass(300 * MS);
  assertEquals([starts(b), b.tcb.cwnd, b.tcb.ssthresh, b.tcb.recovery.caState], [[1], 1, 5, CaState.LOSS]);
  b.clear().pass(100 * MS).arrives(". 1:1(0) ack 1001");
  assertEquals([starts(b), b.tcb.cwnd], [[1001, 2001], 2]);
});

Deno.test("5681 4.3: a second timeout of the same segment does not halve ssthresh again", () => {
  const b = endless({ frto: false }).pass(2000 * MS);
  assert(b.tcb.recovery.retransmits >= 2);
  assertEquals(b.tcb.ssthresh, 5);
});

Deno.test("5681 4.1: idle for longer than the RTO: back to the initial window", () => {
  const b = Bench.open({ congestion: "reno", sendBuffer: 400_000 }, { window: 65_535 });
  b.write(60_000);
  while (b.tcb.queue.packetsOut > 0) round(b);
  assert(b.tcb.cwnd > 20, `${b.tcb.cwnd}`);
  b.clear().pass(10_000 * MS);
  b.write(50_000);
  assertEquals([b.sent.length, b.tcb.cwnd], [10, 10]);
});

Deno.test("5681 4.1: the restart can be switched off", () => {
  const b = Bench.open({ congestion: "reno", slowStartAfterIdle: false }, { window: 65_535 });
  b.write(60_000);
  while (b.tcb.queue.packetsOut > 0) round(b);
  const { cwnd } = b.tcb;
  b.clear().pass(10_000 * MS);
  b.write(50_000);
  assertEquals([b.tcb.cwnd, b.sent.length], [cwnd, Math.min(cwnd, 50)]);
});

Deno.test("7661: a flow that the application limits does not grow its window", () => {
  const b = Bench.open({ congestion: "reno" });
  for (let i = 0; i < 100; i++) {
    b.write(1000);
    b.pass(100 * MS).arrives(`. 1:1(0) ack ${(i + 1) * 1000 + 1}`);
  }
  assert(b.tcb.cwnd <= 11, `${b.tcb.cwnd}`);
});

Deno.test("TCP_CONGESTION changes the algorithm of one connection", () => {
  const b = Bench.open({ congestion: "cubic" });
  assertEquals([setCongestion(b.tcb, "reno"), b.tcb.congestion.name], [0, "reno"]);
  assertEquals([setCongestion(b.tcb, "vegas"), b.tcb.congestion.name], [-ENOENT, "reno"]);
});

Deno.test("reno with SACK: a loss halves the window once, whatever the number of holes", () => {
  const b = endless({ sack: true });
  round(b);
  b.pass(100 * MS).clear();
  b.arrives(". 1:1(0) ack 10001 sack 11001-14001 15001-20001 21001-30001");
  assertEquals(b.tcb.ssthresh, 10);
  b.pass(100 * MS).arrives(". 1:1(0) ack 30001").pass(100 * MS);
  b.arrives(`. 1:1(0) ack ${(b.tcb.snd.nxt - b.iss) | 0}`);
  assertEquals(b.tcb.recovery.caState, CaState.OPEN);
  assert(b.tcb.cwnd >= 10 && b.tcb.cwnd <= 12, `${b.tcb.cwnd}`);
});
