/** RFC 5682 (F-RTO), RFC 3522 and 4015 (Eifel), RFC 3708 (D-SACK): what was taken for loss and was none is undone. */
import { assert, assertEquals } from "@std/assert";
import { CaState } from "../../lib/tcp/state.ts";
import { Bench } from "./segments.ts";

const MS = 1000;
const TS = { timestamps: true, tailLossProbe: false };
const starts = (b: Bench) => b.sent.map(({ text }) => Number(/ (\d+):/.exec(text)![1]));

/** Ten segments of 988 bytes in flight for 100 ms, more waiting; with timestamps. */
function flight(settings = {}, peer = {}): Bench {
  const b = Bench.open({ ...TS, ...settings }, { timestamps: true, ...peer });
  b.write(100_000);
  assertEquals(b.sent.length, 10);
  return b;
}
const nth = (n: number) => n * 988 + 1;

Deno.test("3522: the ACK of a retransmission after a timeout echoes the original's timestamp: undone at once", () => {
  const b = flight({ frto: false });
  const original = b.sent[0].header.timestampValue;
  b.clear().pass(320 * MS);
  assertEquals([starts(b), b.tcb.cwnd, b.tcb.recovery.caState], [[1], 1, CaState.LOSS]);
  b.arrives(`. 1:1(0) ack ${nth(1)}`, (h) => h.timestampEcho = original);
  assertEquals(b.tcb.recovery.caState, CaState.OPEN);
  assert(b.tcb.cwnd >= 10, `${b.tcb.cwnd}`);
  assertEquals(b.tcb.ssthresh, 0x7fffffff);
});

Deno.test("3522: the echo of the retransmission itself undoes nothing", () => {
  const b = flight({ frto: false });
  b.clear().pass(320 * MS);
  const again = b.last!.header.timestampValue;
  b.pass(100 * MS).arrives(`. 1:1(0) ack ${nth(1)}`, (h) => h.timestampEcho = again);
  assertEquals(b.tcb.recovery.caState, CaState.LOSS);
  assert(b.tcb.cwnd <= 2, `${b.tcb.cwnd}`);
});

Deno.test("3522: fast retransmission of what was only late is undone", () => {
  const b = flight();
  const original = b.sent[0].header.timestampValue;
  b.pass(100 * MS).clear();
  b.arrives(`. 1:1(0) ack 1 sack ${nth(1)}-${nth(4)}`);
  assertEquals([starts(b)[0], b.tcb.recovery.caState], [1, CaState.RECOVERY]);
  const recover = (b.tcb.recovery.highSeq - b.iss) | 0;
  b.pass(5 * MS).arrives(`. 1:1(0) ack ${recover}`, (h) => h.timestampEcho = original);
  assertEquals(b.tcb.recovery.caState, CaState.OPEN);
  assert(b.tcb.cwnd >= 10, `${b.tcb.cwnd}`);
});

Deno.test("3708: a D-SACK for every retransmission undoes the reduction, without timestamps", () => {
  const b = Bench.open({ tailLossProbe: false });
  b.write(10_000);
  b.pass(100 * MS).clear();
  b.arrives(". 1:1(0) ack 1 sack 1001-4001");
  assertEquals([starts(b), b.tcb.ssthresh], [[1], 7]);
  b.pass(5 * MS).arrives(". 1:1(0) ack 10001").pass(95 * MS).arrives(". 1:1(0) ack 10001 sack 1-1001");
  assertEquals(b.tcb.recovery.caState, CaState.OPEN);
  assert(b.tcb.cwnd >= 10, `${b.tcb.cwnd}`);
});

Deno.test("5682 2.1: a delayed flight: the first ACK brings out new data, the second undoes the timeout", () => {
  const b = Bench.open({ tailLossProbe: false });
  b.write(100_000);
  b.clear().pass(320 * MS);
  assertEquals(starts(b), [1]);
  // step 2b: an ACK of the first segment: new data, not retransmissions
  b.clear().arrives(". 1:1(0) ack 1001");
  assertEquals(starts(b)[0], 10_001);
  // step 3b: an ACK of what was not sent again
  b.clear().arrives(". 1:1(0) ack 2001");
  assertEquals(b.tcb.recovery.caState, CaState.OPEN);
  assert(b.tcb.cwnd >= 10, `${b.tcb.cwnd}`);
  assertEquals(starts(b).every((seq) => seq > 10_000), true, starts(b).join());
});

Deno.test("5682 2.1 step 3a: a real loss: duplicates answer the new data, and all is sent again", () => {
  const b = Bench.open({ tailLossProbe: false }, { sack: false });
  b.write(100_000);
  b.clear().pass(320 * MS).clear();
  b.arrives(". 1:1(0) ack 1001");
  assertEquals(starts(b)[0], 10_001);
  b.clear().pass(100 * MS).arrives(". 1:1(0) ack 1001");
  assertEquals([starts(b)[0], b.tcb.recovery.caState], [1001, CaState.LOSS]);
});

Deno.test("5682 3: with SACK, a block for data that was sent once shows the timeout to be spurious", () => {
  const b = Bench.open({ tailLossProbe: false });
  b.write(100_000);
  b.clear().pass(320 * MS);
  b.arrives(". 1:1(0) ack 1 sack 1001-2001");
  assertEquals(b.tcb.recovery.caState !== CaState.LOSS, true);
});

Deno.test("5682: without new data to send, the loss is repaired as always", () => {
  const b = Bench.open({ tailLossProbe: false });
  b.write(10_000);
  b.clear().pass(320 * MS).clear();
  b.arrives(". 1:1(0) ack 1001");
  assertEquals(starts(b)[0], 1001);
});

Deno.test("4015: a delay spike of 2 s in both directions costs one retransmission, not a window of them", () => {
  const b = flight();
  const original = b.sent[0].header.timestampValue;
  b.clear().pass(2000 * MS);
  const wasted = b.sent.length;
  for (let i = 1; i <= 10; i++) b.arrives(`. 1:1(0) ack ${nth(i)}`, (h) => h.timestampEcho = original);
  const again = starts(b).slice(wasted).filter((seq) => seq < nth(10));
  assertEquals(again, []);
  assert(b.tcb.cwnd >= 10, `${b.tcb.cwnd}`);
});
