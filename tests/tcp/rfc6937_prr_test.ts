/** RFC 6937: proportional rate reduction. */
import { assert, assertEquals } from "@std/assert";
import { CaState } from "../../lib/tcp/state.ts";
import { Bench } from "./segments.ts";

const MS = 1000;

/** Twenty segments in flight on a path of 100 ms, more waiting. */
function flight(congestion: string): Bench {
  const b = Bench.open({ initialWindow: 20, congestion });
  b.write(100_000);
  b.pass(100 * MS);
  assertEquals(b.sent.length, 20);
  return b.clear();
}

for (const [congestion, ssthresh] of [["reno", 10], ["cubic", 14]] as const) {
  Deno.test(`3.1: ${congestion}: one loss of 20: sending spreads over the round trip and ends at ssthresh`, () => {
    const b = flight(congestion);
    const perAck: number[] = [];
    for (let i = 2; i <= 20; i++) {
      b.arrives(`. 1:1(0) ack 1 sack 1001-${i * 1000 + 1}`);
      perAck.push(b.sent.length);
      b.clear();
    }
    assertEquals([b.tcb.recovery.caState, b.tcb.ssthresh], [CaState.RECOVERY, ssthresh]);
    // Never a burst: at most two segments for one acknowledged.
    assert(Math.max(...perAck) <= 2, perAck.join());
    const total = perAck.reduce((sum, n) => sum + n);
    // RFC 6937 3: sent / delivered = ssthresh / RecoverFS (19 of 20 were delivered; two ACKs came before recovery).
    assert(Math.abs(total - ssthresh * 19 / 20) <= 2, `${total}: ${perAck}`);
    // Two segments had been sent by limited transmit before recovery began (RFC 3042): they end it.
    b.pass(100 * MS).arrives(`. 1:1(0) ack 22001`);
    assertEquals([b.tcb.recovery.caState, b.tcb.cwnd >= ssthresh, b.tcb.cwnd <= ssthresh + 1], [
      CaState.OPEN,
      true,
      true,
    ]);
  });
}

Deno.test("3.1: many losses: the slow start reduction bound keeps one segment out for each one in", () => {
  const b = flight("reno");
  // Only the last four of twenty arrived.
  const perAck: number[] = [];
  for (let i = 17; i <= 20; i++) {
    b.arrives(`. 1:1(0) ack 1 sack 16001-${i * 1000 + 1}`);
    perAck.push(b.sent.length);
    b.clear();
  }
  assert(perAck.every((n) => n <= 2), perAck.join());
  assert(b.tcb.queue.inFlight <= b.tcb.ssthresh, `${b.tcb.queue.inFlight}`);
  // Then the window is built up again, as in slow start, up to ssthresh.
  let una = 1;
  for (let round = 0; round < 12 && una < 16_001; round++) {
    b.pass(100 * MS);
    for (const { text } of b.sent.slice()) {
      const end = Number(/ \d+:(\d+)\(/.exec(text)![1]);
      if (end === una + 1000) {
        una = end;
        b.arrives(`. 1:1(0) ack ${una >= 16_001 ? 20_001 : una}${una >= 16_001 ? "" : " sack 16001-20001"}`);
      }
    }
    b.sent = b.sent.filter(({ text }) => Number(/ (\d+):/.exec(text)![1]) >= una);
    assert(b.tcb.queue.inFlight <= b.tcb.ssthresh + 1, `${b.tcb.queue.inFlight}`);
  }
  assertEquals(una >= 16_001, true, `${una}`);
});

Deno.test("the fast retransmission itself always goes out, whatever is in flight", () => {
  const b = flight("reno");
  b.tcb.user.sendBufferFixed = true;
  b.arrives(". 1:1(0) ack 1 sack 17001-20001");
  assertEquals(b.sent[0].text, ". 1:1001(1000) ack 1");
});
