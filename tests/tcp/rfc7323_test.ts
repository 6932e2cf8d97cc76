/** RFC 7323: window scaling, timestamps, and protection against wrapped sequence numbers. */
import { assert, assertEquals } from "@std/assert";
import { Bench } from "./segments.ts";

const SECOND = 1e6;
const DAY = 86_400e6;
const SCALING = { windowScaling: true, receiveBufferMax: 1 << 30 };
const TS = { timestamps: true };

Deno.test("2.2: the window in a SYN and in a SYN-ACK is not scaled, later ones are", () => {
  const b = new Bench(SCALING, { windowScale: 7, window: 1000 }).connect();
  b.arrives("S. 0:0(0) ack 1");
  assertEquals([b.tcb.snd.wnd, b.tcb.snd.maxWnd], [1000, 1000]);
  b.arrives(". 1:1(0) ack 1 win 1001");
  assertEquals(b.tcb.snd.wnd, 1001 << 7);
  const c = new Bench(SCALING, { windowScale: 7, window: 1000 }).listen();
  assertEquals(c.tcb.snd.wnd, 1000);
  c.arrives(". 1:1(0) ack 1 win 1001");
  assertEquals(c.tcb.snd.wnd, 1001 << 7);
});

Deno.test("2.2: in a simultaneous open the SYN-ACK's window is not scaled either", () => {
  const b = new Bench(SCALING, { windowScale: 7, window: 1000 }).connect().arrives("S 0:0(0)");
  b.arrives("S. 0:0(0) ack 1");
  assertEquals([b.state, b.tcb.snd.wnd], ["ESTABLISHED", 1000]);
});

Deno.test("2.2: our own SYN's window is unscaled, and the shift is applied after it", () => {
  const b = new Bench({ ...SCALING, receiveBuffer: 1 << 20 }, { windowScale: 2 }).connect();
  assertEquals([b.last!.header.window, b.last!.header.windowScale], [65_535, 14]);
  b.arrives("S. 0:0(0) ack 1");
  assertEquals(b.last!.header.window, 65_536 >> 14);
});

Deno.test("2.3: a shift of 14 is the most: a window of a gigabyte", () => {
  const b = new Bench(SCALING, { windowScale: 14 }).connect().arrives("S. 0:0(0) ack 1");
  b.arrives(". 1:1(0) ack 1 win 65535");
  assertEquals(b.tcb.snd.wnd, 65_535 << 14);
  b.write(10_000);
  assertEquals(b.sent.at(-1)!.text, "P. 9001:10001(1000) ack 1");
});

Deno.test("2.2: without the peer's offer nothing is scaled, in neither direction", () => {
  const b = new Bench({ ...SCALING, receiveBuffer: 1 << 20 }, { windowScale: -1 }).connect();
  b.arrives("S. 0:0(0) ack 1");
  assertEquals([b.last!.header.window, b.tcb.rcv.scale, b.tcb.snd.scale], [65_535, 0, 0]);
});

Deno.test("2.2: a peer whose scale is 0 still agrees to scaling", () => {
  const b = new Bench(SCALING, { windowScale: 0 }).connect().arrives("S. 0:0(0) ack 1");
  assertEquals([b.tcb.options.windowScaling, b.tcb.snd.scale, b.tcb.rcv.scale], [true, 0, 14]);
});

Deno.test("2.4: a scaled window never promises more than is free, rounded up to a unit", () => {
  const b = Bench.accept({ windowScaling: true, receiveBuffer: 65_536, receiveBufferMax: 6 << 20 }, {
    windowScale: 7,
  });
  let edge = 0;
  for (let seq = 1; seq < 60_000; seq += 1000) {
    b.arrives(`P. ${seq}:${seq + 1000}(1000) ack 1`).pass(50_000);
    const { header } = b.last!;
    const right = ((header.ack - 5000) | 0) + (header.window << 7);
    assert(right > edge - 128, "the right edge moved left by more than rounding asks for");
    assert(right <= 65_537 + 127, `promised ${right}`);
    edge = right;
  }
});

Deno.test("2.4: rounding up again and again does not open a shut window: tiny segments cannot fill the memory", () => {
  const settings = { windowScaling: true, receiveBuffer: 65_536, receiveBufferMax: 6 << 20 };
  const b = Bench.accept(settings, { windowScale: 7 });
  let seq = 1;
  for (let i = 0; i < 70_000 && seq < 65_537; i++, seq += 1000) {
    b.arrives(`. ${seq}:${seq + 1000}(1000) ack 1`);
  }
  for (let i = 0; i < 3000; i++) {
    const next = (b.tcb.rcv.nxt - b.peer.iss) | 0;
    b.arrives(`P. ${next}:${next + 100}(100) ack 1`).pass(1000).clear();
  }
  assert(b.tcb.receiveBuffer.length <= 65_536 + 128, `${b.tcb.receiveBuffer.length}`);
});

Deno.test("3.2: timestamps are used when both SYNs had them, and then in every segment", () => {
  const b = Bench.open(TS, { timestamps: true });
  b.write(500);
  b.arrives(". 1:1(0) ack 501").arrives("P. 1:101(100) ack 501").pass(SECOND);
  b.write(500);
  assert(b.sent.length >= 3);
  assert(b.sent.every(({ header }) => header.timestamps));
  const c = Bench.open(TS, { timestamps: false });
  c.write(500);
  assert(c.sent.every(({ header }) => !header.timestamps));
});

Deno.test("3.2: our SYN's TSecr is 0; the SYN-ACK echoes the SYN", () => {
  const b = new Bench(TS, { timestamps: true }).connect();
  assertEquals([b.last!.header.timestamps, b.last!.header.timestampEcho], [true, 0]);
  const c = new Bench(TS, { timestamps: true }).listen();
  assertEquals(c.last!.header.timestampEcho, c.peerTimestamp);
});

Deno.test("a full segment is smaller by the 12 bytes of the option", () => {
  const b = Bench.open(TS, { timestamps: true });
  b.write(2000);
  b.expect(". 1:989(988) ack 1", ". 989:1977(988) ack 1", "P. 1977:2001(24) ack 1");
});

Deno.test("4.3, delayed ACK: what is echoed is the timestamp of the first segment acknowledged", () => {
  const b = Bench.accept(TS, { timestamps: true });
  for (let i = 0; i < 40; i++) b.arrives(`P. ${1 + i}:${2 + i}(1) ack 1`).pass(SECOND);
  b.option(6, 12, 0); // TCP_QUICKACK off
  b.clear();
  b.arrives("P. 41:42(1) ack 1");
  const first = b.peerTimestamp;
  b.pass(10_000).arrives("P. 42:43(1) ack 1").pass(10_000).arrives("P. 43:44(1) ack 1").pass(500_000);
  assertEquals(b.sent.map(({ header }) => [(header.ack - 5000) | 0, header.timestampEcho]), [[44, first]]);
});

Deno.test("4.3, gap: out-of-order segments do not change what is echoed, the one that fills the gap does", () => {
  const b = Bench.accept(TS, { timestamps: true });
  b.arrives("P. 1:101(100) ack 1").pass(SECOND).clear();
  const recent = b.tcb.timestamps.recent;
  b.arrives("P. 201:301(100) ack 1").expect(". 1:1(0) ack 101 sack 201-301");
  assertEquals(b.last!.header.timestampEcho, recent);
  b.pass(SECOND).arrives("P. 101:201(100) ack 1").expect(". 1:1(0) ack 301");
  assertEquals(b.last!.header.timestampEcho, b.peerTimestamp);
});

Deno.test("5.3: a segment older than TS.Recent is dropped and acknowledged (PAWS)", () => {
  const b = Bench.accept(TS, { timestamps: true });
  b.arrives("P. 1:101(100) ack 1").pass(SECOND).clear();
  const old = b.tcb.timestamps.recent - 1;
  b.arrives("P. 101:201(100) ack 1", (h) => h.timestampValue = old);
  assertEquals([b.last!.text, b.read(1000)], [". 1:1(0) ack 101", 100]);
  assertEquals(b.read(), -11);
  b.arrives("P. 101:201(100) ack 1", (h) => h.timestampValue = old + 1);
  assertEquals(b.read(), 100, "the same timestamp is not older");
});

Deno.test("5.3 R1: PAWS does not concern resets, and keeps SYN and FIN out", () => {
  const b = Bench.accept(TS, { timestamps: true }).pass(SECOND);
  b.arrives("P. 1:101(100) ack 1").pass(SECOND).clear();
  b.arrives("F. 101:101(0) ack 1", (h) => h.timestampValue -= 10 * 1000);
  assertEquals(b.state, "ESTABLISHED");
  b.arrives("R 101:101(0)", (h) => h.timestampValue -= 10 * 1000);
  assertEquals(b.state, "CLOSED");
});

Deno.test("5.5: after 24 days TS.Recent is too old to reject by", () => {
  const old = (h: { timestampValue: number }) => h.timestampValue = (h.timestampValue - 0x70000000) | 0;
  const b = Bench.accept(TS, { timestamps: true });
  b.arrives("P. 1:101(100) ack 1").pass(24 * DAY - SECOND);
  b.arrives("P. 101:201(100) ack 1", (h) => h.timestampValue = (b.tcb.timestamps.recent - 5000) | 0);
  assertEquals(b.read(), 100);
  assertEquals(b.read(), -11);
  b.pass(2 * SECOND).arrives("P. 101:201(100) ack 1", old);
  assertEquals(b.read(), 100);
  assertEquals(b.tcb.timestamps.recent, (b.peerTimestamp - 0x70000000) | 0, "and it is replaced");
});

Deno.test("5.4: a timestamp clock that wraps is no step back", () => {
  const b = new Bench(TS, { timestamps: true });
  b.peer.timestampOffset = 0x7fffffff - Math.floor(b.now / 1000) - 150;
  b.listen().pass(100_000).arrives(". 1:1(0) ack 1");
  for (let i = 0; i < 10; i++) {
    b.arrives(`P. ${1 + i * 100}:${101 + i * 100}(100) ack 1`).pass(20_000);
    assertEquals(b.read(), 100);
  }
  assert(b.tcb.timestamps.recent < 0);
});

Deno.test("5: a wrapped duplicate, 4 GB old, does not corrupt the stream", () => {
  const b = Bench.accept(TS, { timestamps: true });
  b.arrives("P. 1:101(100) ack 1").pass(1000 * SECOND);
  b.arrives("P. 101:201(100) ack 1");
  assertEquals(b.read(), 200);
  // The number of the byte that is expected next, but from before the wrap: bytes of another part of the stream.
  b.arrives("P. 201:301(100) ack 1", (h) => h.timestampValue -= 500_000);
  assertEquals(b.read(), -11);
});

Deno.test("a pure ACK that was overtaken is old but harmless: it is not answered", () => {
  const b = Bench.accept(TS, { timestamps: true });
  b.pass(5000).arrives("P. 1:101(100) ack 1").pass(100_000).clear();
  b.arrives(". 101:101(0) ack 1", (h) => h.timestampValue = b.tcb.timestamps.recent - 2).expect();
});

Deno.test("SYN-SENT: a SYN-ACK that echoes what we never sent is of an old connection", () => {
  const b = new Bench(TS, { timestamps: true }).connect().clear();
  b.pass(50_000).arrives("S. 0:0(0) ack 1", (h) => h.timestampEcho = 1).expect("R 1:1(0)");
  assertEquals(b.state, "SYN-SENT");
  b.arrives("S. 0:0(0) ack 1");
  assertEquals(b.state, "ESTABLISHED");
});

Deno.test("4.1: the echo gives the round-trip time of a retransmitted segment", () => {
  const b = Bench.open(TS, { timestamps: true });
  b.write(100);
  b.pass(2 * SECOND);
  const last = b.last!.header.timestampValue;
  b.pass(50_000).arrives(". 1:1(0) ack 101", (h) => h.timestampEcho = last);
  assert(Math.abs(b.tcb.rtt.latestUs - (b.now - b.last!.atUs)) <= 1000, `${b.tcb.rtt.latestUs}`);
});
