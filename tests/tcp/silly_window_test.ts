/** RFC 9293 3.7.4, 3.8.6: Nagle and Minshall, TCP_CORK, silly windows on both sides, zero windows and their probes. */
import { assert, assertEquals } from "@std/assert";
import { EAGAIN, ETIMEDOUT } from "../../lib/errno.ts";
import { IPPROTO_TCP, TcpOption } from "../../lib/tcp/options.ts";
import { Bench } from "./segments.ts";

const MS = 1000;
const SECOND = 1e6;

Deno.test("Nagle: a small segment waits while a small one is in flight", () => {
  const b = Bench.open();
  for (let i = 0; i < 5; i++) b.write(10);
  b.expect("P. 1:11(10) ack 1");
  b.arrives(". 1:1(0) ack 11").expect("P. 11:51(40) ack 1");
});

Deno.test("Minshall: a small segment does not wait for full ones", () => {
  const b = Bench.open();
  b.write(2500);
  b.expect(". 1:1001(1000) ack 1", ". 1001:2001(1000) ack 1", "P. 2001:2501(500) ack 1");
  b.write(100);
  b.expect();
});

Deno.test("a full segment never waits, and fills up what waited", () => {
  const b = Bench.open();
  b.write(10);
  b.write(10);
  b.clear();
  b.write(1500);
  b.expect(". 11:1011(1000) ack 1");
  b.arrives(". 1:1(0) ack 1011").expect("P. 1011:1521(510) ack 1");
});

Deno.test("TCP_NODELAY: nothing waits; setting it sends what waited", () => {
  const b = Bench.open();
  b.write(10);
  b.write(10);
  b.clear();
  assertEquals(b.option(IPPROTO_TCP, TcpOption.NODELAY, 1), 0);
  b.expect("P. 11:21(10) ack 1");
  b.write(10);
  b.expect("P. 21:31(10) ack 1");
});

Deno.test("a FIN does not wait, nor do the last bytes before it", () => {
  const b = Bench.open();
  b.write(10);
  b.write(10);
  b.clear().close().expect("FP. 11:21(10) ack 1");
});

Deno.test("TCP_CORK: only full segments, until it is taken off", () => {
  const b = Bench.open();
  b.option(IPPROTO_TCP, TcpOption.CORK, 1);
  b.write(1500);
  b.expect(". 1:1001(1000) ack 1");
  b.arrives(". 1:1(0) ack 1001").expect();
  b.option(IPPROTO_TCP, TcpOption.CORK, 0);
  b.expect("P. 1001:1501(500) ack 1");
});

Deno.test("TCP_CORK with nothing in flight holds back for an RTO at most (200 ms at least), as Linux does", () => {
  const b = Bench.open();
  b.option(IPPROTO_TCP, TcpOption.CORK, 1);
  b.write(500);
  b.expect().pass(400 * MS).expect("P. 1:501(500) ack 1");
});

Deno.test("3.8.6.2.1: a window smaller than a segment is not filled bit by bit", () => {
  const b = Bench.open();
  b.write(10_000);
  b.clear().arrives(". 1:1(0) ack 10001 win 100");
  b.write(5000);
  b.expect();
  b.arrives(". 1:1(0) ack 10001 win 999").expect();
  b.arrives(". 1:1(0) ack 10001 win 1000").expect(". 10001:11001(1000) ack 1");
});

Deno.test("3.8.6.2.1: a small window is used after all when nothing else happens", () => {
  const b = Bench.open();
  b.write(10_000);
  b.clear().arrives(". 1:1(0) ack 10001 win 100");
  b.write(5000);
  b.expect().pass(400 * MS).expect(". 10001:10101(100) ack 1");
});

Deno.test("3.8.6.2.1: a peer with a small buffer gets segments of half its window", () => {
  const b = Bench.open({}, { window: 1200 });
  b.write(2000);
  b.expect(". 1:601(600) ack 1", "P. 601:1201(600) ack 1");
});

Deno.test("3.8.6.2.2: the receiver does not open its window by less than a segment", () => {
  const b = Bench.accept({ receiveBuffer: 10_000, receiveBufferMax: 10_000 });
  for (let i = 0; i < 10; i++) b.arrives(`. ${1 + i * 1000}:${1001 + i * 1000}(1000) ack 1`);
  b.pass(SECOND);
  assertEquals(b.last!.header.window, 0);
  b.clear();
  for (let i = 0; i < 9; i++) assertEquals(b.read(100), 100);
  b.expect();
  b.arrives(". 10000:10000(0) ack 1").expect(". 1:1(0) ack 10001");
  assertEquals(b.last!.header.window, 0, "not even when asked");
  assertEquals(b.read(100), 100);
  b.expect(". 1:1(0) ack 10001");
  assert(b.last!.header.window >= 1000);
});

Deno.test("3.8.6.1: a window that stays shut for an hour is probed all along, and the connection lives", () => {
  const b = Bench.open();
  b.write(10_000);
  b.arrives(". 1:1(0) ack 10001 win 0").clear();
  b.write(100);
  const start = b.now;
  const times: number[] = [];
  while (b.now - start < 3600 * SECOND) {
    b.pass(100 * MS);
    for (const { text, atUs } of b.sent) {
      assertEquals(text, ". 10000:10000(0) ack 1");
      times.push(atUs - start);
      b.arrives(". 1:1(0) ack 10001 win 0");
    }
    b.sent = [];
  }
  assertEquals(b.state, "ESTABLISHED");
  const gaps = times.slice(1).map((at, i) => at - times[i]);
  assert(times[0] <= 400 * MS, `${times[0]}`);
  for (let i = 1; i < gaps.length; i++) assert(gaps[i] >= gaps[i - 1] - 200 * MS, gaps.join());
  assert(Math.max(...gaps) <= 121 * SECOND);
  assert(times.length >= 30 && times.length < 50, `${times.length}`);
  b.arrives(". 1:1(0) ack 10001 win 5000").expect("P. 10001:10101(100) ack 1");
});

Deno.test("a lost window update is made good by the next probe's answer", () => {
  const b = Bench.open();
  b.write(10_000);
  b.arrives(". 1:1(0) ack 10001 win 0").clear();
  b.write(3000);
  // The update was lost. The probe comes by itself:
  b.pass(400 * MS).expect(". 10000:10000(0) ack 1");
  b.arrives(". 1:1(0) ack 10001 win 65535");
  assertEquals(b.sent.length, 3);
});

Deno.test("after the window opened the next shut window is probed from the start again, not backed off", () => {
  const b = Bench.open();
  b.write(10_000);
  b.arrives(". 1:1(0) ack 10001 win 0").clear();
  b.write(1000);
  for (let i = 0; i < 6; i++) {
    b.pass(60 * SECOND);
    b.arrives(". 1:1(0) ack 10001 win 0");
  }
  b.arrives(". 1:1(0) ack 10001 win 1000").pass(100 * MS).arrives(". 1:1(0) ack 11001 win 0").clear();
  b.write(1000);
  b.pass(500 * MS).expect(". 11000:11000(0) ack 1");
});

Deno.test("probes that nobody answers end the connection after tcp_retries2", () => {
  const b = Bench.open();
  b.write(10_000);
  b.arrives(". 1:1(0) ack 10001 win 0").clear();
  b.write(100);
  b.pass(2 * 3600 * SECOND);
  assertEquals([b.state, b.tcb.error, b.sent.length], ["CLOSED", ETIMEDOUT, 15]);
});

Deno.test("a FIN waits for the shut window too, and goes when it opens", () => {
  const b = Bench.open();
  b.write(10_000);
  b.arrives(". 1:1(0) ack 10001 win 0").clear();
  b.write(100);
  b.shutdown(1);
  b.expect().pass(400 * MS).expect(". 10000:10000(0) ack 1");
  b.arrives(". 1:1(0) ack 10001 win 5000").expect("FP. 10001:10101(100) ack 1");
});

Deno.test("a FIN alone waits for a shut window, which is probed for it", () => {
  const b = Bench.open();
  b.write(1000);
  b.arrives(". 1:1(0) ack 1001 win 0").clear();
  b.shutdown(1);
  b.expect().pass(400 * MS).expect(". 1000:1000(0) ack 1");
  b.arrives(". 1:1(0) ack 1001 win 1").expect("F. 1001:1001(0) ack 1");
});

Deno.test("a bare FIN is taken in by a shut window: it needs no room (as Linux)", () => {
  const b = Bench.accept({ receiveBuffer: 4000, receiveBufferMax: 4000 });
  for (let i = 0; i < 4; i++) b.arrives(`. ${1 + i * 1000}:${1001 + i * 1000}(1000) ack 1`);
  b.pass(SECOND);
  assertEquals(b.last!.header.window, 0);
  b.arrives("F. 4001:4001(0) ack 1");
  assertEquals([b.state, b.read(), b.read()], ["CLOSE-WAIT", 4000, 0]);
});

Deno.test("out-of-order data never lies beyond the window, and the window never covers less than it promised", () => {
  const b = Bench.accept({ receiveBuffer: 4000, receiveBufferMax: 4000 });
  b.arrives(". 3001:4001(1000) ack 1").arrives(". 2001:3001(1000) ack 1").arrives(". 4001:5001(1000) ack 1");
  assertEquals([b.tcb.outOfOrder.count, (b.tcb.outOfOrder.right(0) - 5000) | 0], [1, 4001]);
  b.arrives(". 1:2001(2000) ack 1");
  assertEquals([b.last!.header.window, b.read()], [0, 4000]);
});

Deno.test("a window that shrinks is honoured: nothing new beyond it, no harm", () => {
  const b = Bench.open();
  b.write(5000);
  b.write(20_000);
  b.clear().pass(100 * MS).arrives(". 1:1(0) ack 1001 win 2000").expect();
  b.arrives(". 1:1(0) ack 10001 win 3000");
  assertEquals(b.sent.map(({ text }) => text), [
    ". 10001:11001(1000) ack 1",
    ". 11001:12001(1000) ack 1",
    ". 12001:13001(1000) ack 1",
  ]);
});

Deno.test("the send buffer takes no more than its limit, and tells when there is room again", () => {
  const b = Bench.open({ sendBuffer: 20_000, sendBufferMax: 20_000 }, { window: 0 });
  // A piece that was begun is filled: whole segments, as many as a device cuts at once.
  assertEquals([b.write(100_000), b.write(1)], [65_000, -EAGAIN]);
});
