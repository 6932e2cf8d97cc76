/** RFC 9293 3.4 and 3.10.7.4, first: which segments are acceptable, and what the others are answered with. */
import { assertEquals } from "@std/assert";
import { ECONNRESET } from "../../lib/errno.ts";
import { Bench } from "./segments.ts";

const SECOND = 1e6;
/** A window of 10,000 bytes that does not change. */
const SMALL = { receiveBuffer: 10_000, receiveBufferMax: 10_000 };

/** An established connection whose receive window is exactly [1, 10001). */
function opened(): Bench {
  const b = Bench.accept(SMALL);
  assertEquals(b.tcb.rcv.wnd, 10_000);
  return b;
}

/** An established connection whose window is shut: 10,000 bytes wait to be read. */
function shutWindow(): Bench {
  const b = opened();
  for (let i = 0; i < 10; i++) b.arrives(`. ${1 + i * 1000}:${1001 + i * 1000}(1000) ack 1`);
  b.pass(SECOND);
  assertEquals([b.last!.header.window, (b.last!.header.ack - 5000) | 0], [0, 10_001]);
  return b.clear();
}

Deno.test("the first byte of the window is taken, and the last", () => {
  const b = opened();
  b.arrives(". 1:2(1) ack 1");
  assertEquals(b.read(), 1);
  b.arrives("P. 10000:10001(1) ack 1");
  assertEquals(b.tcb.outOfOrder.count, 1);
  b.arrives("P. 2:10000(9998) ack 1");
  assertEquals(b.read(), 9999);
});

Deno.test("a byte before the window is old: an ACK with a D-SACK, at once", () => {
  const b = opened().arrives("P. 1:101(100) ack 1").pass(SECOND).clear();
  b.arrives(". 100:101(1) ack 1").expect(". 1:1(0) ack 101 sack 100-101");
  b.arrives("P. 1:101(100) ack 1").expect(". 1:1(0) ack 101 sack 1-101");
  assertEquals(b.read(), 100);
});

Deno.test("a byte behind the window is answered with an ACK and not taken", () => {
  const b = opened();
  b.arrives("P. 10001:10101(100) ack 1").expect(". 1:1(0) ack 1");
  b.arrives("P. 20001:20101(100) ack 1").expect(". 1:1(0) ack 1");
  assertEquals(b.tcb.outOfOrder.count, 0);
});

Deno.test("segments are trimmed to the window on both sides", () => {
  const b = opened().arrives("P. 1:101(100) ack 1").pass(SECOND).clear();
  b.arrives("P. 51:151(100) ack 1");
  assertEquals(b.read(), 150);
  const c = opened();
  c.arrives("P. 9501:10501(1000) ack 1");
  assertEquals([c.tcb.outOfOrder.left(0), c.tcb.outOfOrder.right(0)], [5000 + 9501, 5000 + 10_001]);
  c.arrives("P. 1:9501(9500) ack 1");
  assertEquals(c.read(), 10_000);
});

Deno.test("a window of zero takes no text, and answers probes with an ACK", () => {
  const b = shutWindow();
  b.arrives(". 10001:10002(1) ack 1").expect(". 1:1(0) ack 10001");
  // Linux's form of a probe: an empty segment with an old sequence number.
  b.pass(SECOND).arrives(". 10000:10000(0) ack 1").expect(". 1:1(0) ack 10001");
  assertEquals(b.read(), 10_000);
});

Deno.test("a window of zero still takes ACK, RST and URG (RFC 9293 3.10.7.4, MUST-66)", () => {
  const b = shutWindow();
  assertEquals(b.write(500), 500);
  b.clear().arrives(". 10001:10001(0) ack 501");
  assertEquals((b.tcb.snd.una - 1000) | 0, 501);
  b.arrives("U. 10001:10001(0) ack 501", (h) => h.urgentPointer = 7);
  assertEquals([b.tcb.rcv.urgent, (b.tcb.rcv.up - 5000) | 0], [true, 10_008]);
  b.arrives("R 10001:10001(0)");
  assertEquals([b.state, b.tcb.error], ["CLOSED", ECONNRESET]);
});

Deno.test("a window of zero: the ACK on a probe with data counts (MUST-66)", () => {
  const b = shutWindow();
  assertEquals(b.write(500), 500);
  b.clear().arrives("P. 10001:10101(100) ack 501").expect(". 501:501(0) ack 10001");
  assertEquals((b.tcb.snd.una - 1000) | 0, 501);
});

Deno.test("a FIN does not fit into a window of zero with text before it", () => {
  const b = shutWindow();
  b.arrives("FP. 10001:10101(100) ack 1").expect(". 1:1(0) ack 10001");
  assertEquals(b.state, "ESTABLISHED");
  assertEquals(b.read(), 10_000);
  b.clear().arrives("FP. 10001:10101(100) ack 1");
  assertEquals([b.state, b.read(), b.read()], ["CLOSE-WAIT", 100, 0]);
});

Deno.test("reading opens the window again, and says so at once", () => {
  const b = shutWindow();
  assertEquals(b.read(), 10_000);
  b.expect(". 1:1(0) ack 10001");
  assertEquals(b.last!.header.window, 10_000);
});

Deno.test("without ACK a segment is dropped (RFC 9293 3.10.7.4, fifth)", () => {
  const b = opened();
  b.arrives("P 1:101(100)").expect();
  assertEquals(b.read() < 0, true);
});

Deno.test("two hosts that disagree do not keep each other busy: empty segments are answered at a limited rate", () => {
  const b = opened();
  for (let i = 0; i < 100; i++) b.arrives(". 30001:30001(0) ack 1").pass(1000);
  assertEquals(b.sent.length, 1);
  b.pass(SECOND).arrives(". 30001:30001(0) ack 1");
  assertEquals(b.sent.length, 2);
});

Deno.test("SND.WND is taken only from segments that are not older than the last (SND.WL1, SND.WL2)", () => {
  const b = opened();
  b.arrives("P. 1:101(100) ack 1").arrives(". 101:101(0) ack 1 win 5000");
  assertEquals(b.tcb.snd.wnd, 5000);
  b.arrives(". 1:1(0) ack 1 win 9000");
  assertEquals(b.tcb.snd.wnd, 5000, "overtaken");
  b.arrives(". 101:101(0) ack 1 win 4000");
  assertEquals(b.tcb.snd.wnd, 5000, "as Linux: of two that differ in nothing else the larger counts");
  b.arrives("P. 101:201(100) ack 1").arrives(". 201:201(0) ack 1 win 4000");
  assertEquals(b.tcb.snd.wnd, 4000, "newer by its sequence number");
  b.write(100);
  b.arrives(". 201:201(0) ack 101 win 3000");
  assertEquals(b.tcb.snd.wnd, 3000, "newer by what it acknowledges");
});

Deno.test("the right edge of our window never moves left (RFC 9293 3.8.6, SHLD-14)", () => {
  const b = opened();
  let edge = 10_001;
  for (let seq = 1; seq < 10_001; seq += 100) {
    b.arrives(`P. ${seq}:${seq + 100}(100) ack 1`).pass(50_000);
    for (const { header } of b.sent) {
      const right = ((header.ack - 5000) | 0) + header.window;
      assertEquals(right >= edge, true, `${right} after ${edge}`);
      edge = right;
    }
    b.clear();
    if (seq % 700 === 1) b.read(300);
  }
});
