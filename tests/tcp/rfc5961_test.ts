/** RFC 5961: blind resets, blind SYNs and blind data get a challenge ACK, at a limited rate. */
import { assertEquals } from "@std/assert";
import { ECONNRESET } from "../../lib/errno.ts";
import { Bench } from "./segments.ts";

const SMALL = { receiveBuffer: 10_000, receiveBufferMax: 10_000 };
const CHALLENGE = ". 1:1(0) ack 1";

Deno.test("3.2: a reset with exactly RCV.NXT counts", () => {
  const b = Bench.open(SMALL).arrives("R 1:1(0)").expect();
  assertEquals([b.state, b.tcb.error], ["CLOSED", ECONNRESET]);
});

Deno.test("3.2: a reset elsewhere in the window gets a challenge ACK", () => {
  for (const seq of [2, 5000, 10_000]) {
    const b = Bench.open(SMALL).arrives(`R ${seq}:${seq}(0)`).expect(CHALLENGE);
    assertEquals(b.state, "ESTABLISHED");
  }
});

Deno.test("3.2: a reset outside of the window is dropped in silence", () => {
  for (const seq of [0, -1, -10_000, 10_002, 1 << 30, -(1 << 30)]) {
    const b = Bench.open(SMALL).arrives(`R ${seq}:${seq}(0)`).expect();
    assertEquals(b.state, "ESTABLISHED");
  }
});

Deno.test("3.2: an honest peer answers the challenge with an exact reset", () => {
  const b = Bench.open(SMALL).arrives("R 100:100(0)").expect(CHALLENGE);
  b.arrives("R 1:1(0)");
  assertEquals(b.state, "CLOSED");
});

Deno.test("a reset at the right edge of a SACKed block counts too: the peer sent what we lack", () => {
  const b = Bench.open(SMALL).arrives("P. 1001:2001(1000) ack 1").clear();
  b.arrives("R 2001:2001(0)");
  assertEquals(b.state, "CLOSED");
});

Deno.test("4.2: a SYN never ends a synchronized connection, whatever its number", () => {
  for (const seq of [-1, 0, 1, 5000, 10_000, 20_000, 1 << 30]) {
    const b = Bench.open(SMALL).arrives(`S ${seq}:${seq}(0)`).expect(CHALLENGE);
    assertEquals(b.state, "ESTABLISHED");
  }
  const c = Bench.open(SMALL).arrives("S. 0:0(0) ack 1").expect(CHALLENGE);
  assertEquals(c.state, "ESTABLISHED");
});

Deno.test("4.2: a peer that restarted is challenged, resets the old connection, and gets its new one", () => {
  const b = Bench.open(SMALL).arrives("S 300000:300000(0)").expect(CHALLENGE);
  b.arrives("R 1:1(0)");
  assertEquals([b.state, b.tcb.error], ["CLOSED", ECONNRESET]);
});

Deno.test("5.2: SND.UNA - MAX.SND.WND <= SEG.ACK <= SND.NXT is acceptable", () => {
  const b = Bench.open(SMALL, { window: 5000 });
  b.write(3000);
  b.arrives(". 1:1(0) ack 3001").clear();
  b.arrives("P. 1:101(100) ack -1999", (h) => h.window = 5000);
  assertEquals(b.read(), 100, "an old ACK with data, within the largest window");
  b.clear().pass(1e6);
  b.clear().arrives("P. 101:201(100) ack -2000").expect(". 3001:3001(0) ack 101");
  assertEquals(b.read() < 0, true, "the data of a blind attacker");
});

Deno.test("5.2: an ACK of what was never sent is challenged and its data not taken", () => {
  const b = Bench.open(SMALL).arrives("P. 1:101(100) ack 2").expect(CHALLENGE);
  assertEquals(b.read() < 0, true);
  b.pass(1e6).arrives("P. 1:101(100) ack 1000000000").expect(CHALLENGE);
  assertEquals(b.tcb.snd.una, b.iss + 1);
});

Deno.test("7: challenge ACKs are rare: one in half a second", () => {
  const b = Bench.open(SMALL);
  for (let i = 0; i < 1000; i++) {
    b.arrives("R 100:100(0)").arrives("S 100:100(0)").arrives(". 1:1(0) ack 99999").pass(1000);
  }
  assertEquals(b.sent.length, 2);
});

Deno.test("a hundred thousand blind resets do not end a connection, and data still flows", () => {
  const b = Bench.open(SMALL);
  for (let i = 1; i < 100_000; i += 7) b.arrives(`R ${2 + i}:${2 + i}(0)`);
  b.clear().arrives("P. 1:101(100) ack 1");
  assertEquals([b.state, b.read()], ["ESTABLISHED", 100]);
});
