/** RFC 8985: loss by time (RACK) and tail loss probes. */
import { assert, assertEquals } from "@std/assert";
import { CaState } from "../../lib/tcp/state.ts";
import { TransmitTimer } from "../../lib/tcp/tcb.ts";
import { Bench } from "./segments.ts";

const MS = 1000;

/** `count` full segments in flight, sent one millisecond apart, on a path of 100 ms. */
function flight(count: number, settings = {}): Bench {
  const b = Bench.open(settings);
  for (let i = 0; i < count; i++) {
    b.write(1000);
    b.pass(MS);
  }
  assertEquals(b.sent.length, count);
  b.pass(100 * MS - count * MS);
  return b.clear();
}

const again = (b: Bench, seq: number) => b.sent.filter(({ text }) => text.includes(` ${seq}:`)).length;

Deno.test("6.2 step 4: without reordering seen, three SACKed segments open no window: lost at once", () => {
  const b = flight(5).arrives(". 1:1(0) ack 1 sack 1001-2001").arrives(". 1:1(0) ack 1 sack 1001-3001");
  assertEquals(again(b, 1), 0);
  b.arrives(". 1:1(0) ack 1 sack 1001-4001");
  assertEquals([again(b, 1), b.tcb.recovery.caState], [1, CaState.RECOVERY]);
});

Deno.test("6.2 step 5 and 6.3: fewer than three: lost when a quarter of the round trip has passed", () => {
  const b = flight(2).arrives(". 1:1(0) ack 1 sack 1001-2001").expect();
  const start = b.now;
  assertEquals(b.tcb.timers.kind, TransmitTimer.REORDERING);
  b.pass(200 * MS);
  const lost = b.sent.find(({ text }) => text.includes(" 1:1001("))!;
  const waited = lost.atUs - start;
  assert(waited > 20 * MS && waited < 35 * MS, `${waited}`);
});

Deno.test("6.2: a segment that was merely overtaken is not sent again", () => {
  const b = flight(2).arrives(". 1:1(0) ack 1 sack 1001-2001").pass(10 * MS);
  b.arrives(". 1:1(0) ack 2001").pass(1000 * MS).expect();
  assertEquals([b.tcb.recovery.caState, b.tcb.totals.retransmitted], [CaState.OPEN, 0]);
});

Deno.test("6.2 step 4: once reordering was seen, three SACKed segments are no proof of loss", () => {
  const b = flight(5).arrives(". 1:1(0) ack 1 sack 1001-2001").arrives(". 1:1(0) ack 2001");
  assert(b.tcb.recovery.reorderingSeen > 0);
  b.arrives(". 1:1(0) ack 2001 sack 3001-4001").clear();
  b.arrives(". 1:1(0) ack 2001 sack 3001-5001");
  assertEquals(again(b, 2001), 0);
  b.pass(60 * MS);
  assertEquals(again(b, 2001), 1, "but the reordering timer finds it");
});

Deno.test("6.2 step 4: D-SACKs widen the reordering window", () => {
  const b = flight(8).arrives(". 1:1(0) ack 1 sack 1001-4001");
  assertEquals(again(b, 1), 1);
  assertEquals(b.tcb.recovery.rackSteps, 1);
  // The original arrived late, and so did the retransmission.
  b.pass(5 * MS).arrives(". 1:1(0) ack 4001").pass(95 * MS).arrives(". 1:1(0) ack 8001 sack 1-1001");
  assertEquals(b.tcb.recovery.rackSteps, 2);
});

Deno.test("6.2: a lost retransmission is found without an RTO", () => {
  const b = flight(8).arrives(". 1:1(0) ack 1 sack 1001-4001");
  const first = b.now;
  assertEquals(again(b, 1), 1);
  b.pass(50 * MS);
  b.write(3000);
  // What was sent after the retransmission arrives, the retransmission does not.
  b.pass(60 * MS).arrives(". 1:1(0) ack 1 sack 1001-10001");
  b.pass(60 * MS);
  const times = b.sent.filter(({ text }) => text.includes(" 1:1001(")).map(({ atUs }) => atUs - first);
  assertEquals(times.length >= 2, true, times.join());
  assert(times[1] < 200 * MS, `${times[1]}`);
  assertEquals(b.tcb.rtt.backoff, 0);
});

Deno.test("7.2: the probe comes after two round trips", () => {
  const b = Bench.open();
  b.write(3000);
  const start = b.now;
  b.clear().pass(250 * MS).expect(". 2001:3001(1000) ack 1".replace(".", "P."));
  const waited = b.last!.atUs - start;
  assert(waited >= 200 * MS && waited <= 210 * MS, `${waited}`);
});

Deno.test("7.2: with one segment in flight the peer may delay its ACK: the probe waits for that", () => {
  const b = Bench.open({}, {}, 50 * MS);
  b.write(1000);
  b.pass(40 * MS).arrives(". 1:1(0) ack 1001").clear();
  b.write(1000);
  b.clear();
  const start = b.now;
  b.pass(1000 * MS);
  const waited = b.sent[0].atUs - start;
  assert(waited >= 245 * MS && waited <= 305 * MS, `${waited}`);
});

Deno.test("7.3: new data makes the better probe, even beyond the congestion window", () => {
  const b = Bench.open({ initialWindow: 4 });
  b.write(6000);
  b.clear().pass(250 * MS).expect(". 4001:5001(1000) ack 1");
});

Deno.test("7.3: one probe; then the RTO decides", () => {
  const b = Bench.open();
  b.write(3000);
  b.clear().pass(2000 * MS);
  assertEquals(again(b, 2001), 1);
  assertEquals(b.sent[1].text, ". 1:1001(1000) ack 1");
});

Deno.test("7.4: a probe that repaired a loss reduces the window", () => {
  const b = Bench.open();
  b.write(10_000);
  b.pass(100 * MS).arrives(". 1:1(0) ack 9001").clear();
  b.pass(400 * MS);
  assertEquals(again(b, 9001), 1);
  const before = b.tcb.cwnd;
  b.pass(100 * MS).arrives(". 1:1(0) ack 10001");
  b.write(1000);
  b.pass(100 * MS).arrives(". 1:1(0) ack 11001");
  assert(b.tcb.cwnd < before, `${b.tcb.cwnd} of ${before}`);
  assertEquals([b.tcb.recovery.caState, b.tcb.recovery.tlpActive], [CaState.OPEN, false]);
});

Deno.test("7.4: a probe that was not needed is D-SACKed and costs nothing", () => {
  const b = Bench.open();
  b.write(10_000);
  b.pass(100 * MS).arrives(". 1:1(0) ack 9001").clear().pass(400 * MS);
  const before = b.tcb.cwnd;
  b.arrives(". 1:1(0) ack 10001").arrives(". 1:1(0) ack 10001 sack 9001-10001");
  b.write(1000);
  b.pass(100 * MS).arrives(". 1:1(0) ack 11001");
  assert(b.tcb.cwnd >= before, `${b.tcb.cwnd} of ${before}`);
  assertEquals(b.tcb.recovery.tlpActive, false);
});

Deno.test("7.1: no probes without SACK, in recovery, or when switched off", () => {
  const plain = Bench.open({}, { sack: false });
  plain.write(3000);
  assertEquals(plain.tcb.timers.kind, TransmitTimer.RETRANSMIT);
  const off = Bench.open({ tailLossProbe: false });
  off.write(3000);
  assertEquals(off.tcb.timers.kind, TransmitTimer.RETRANSMIT);
  const b = flight(8).arrives(". 1:1(0) ack 1 sack 1001-4001");
  assert(b.tcb.timers.kind !== TransmitTimer.LOSS_PROBE);
});

Deno.test("a lost tail is repaired by the probe's SACK, without an RTO", () => {
  const b = Bench.open();
  b.write(10_000);
  b.pass(100 * MS).arrives(". 1:1(0) ack 6001").clear();
  b.pass(250 * MS);
  assertEquals(b.sent.map(({ text }) => text), ["P. 9001:10001(1000) ack 1"]);
  b.clear().pass(100 * MS).arrives(". 1:1(0) ack 6001 sack 9001-10001").pass(40 * MS);
  assertEquals(b.sent[0].text, ". 6001:7001(1000) ack 1");
  // Proportional rate reduction: one more for each that arrives.
  b.pass(100 * MS).arrives(". 1:1(0) ack 7001 sack 9001-10001").pass(100 * MS);
  assertEquals([again(b, 6001), again(b, 7001), again(b, 8001)], [1, 1, 1]);
  b.arrives(". 1:1(0) ack 10001").pass(5000 * MS);
  assertEquals([b.tcb.recovery.caState, b.tcb.rtt.backoff], [CaState.OPEN, 0]);
});
