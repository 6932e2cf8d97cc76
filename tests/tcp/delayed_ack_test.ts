/** RFC 9293 3.8.6.3, RFC 5681 4.2: when an ACK is sent at once and when it waits, as Linux does it. */
import { assert, assertEquals } from "@std/assert";
import { IPPROTO_TCP, TcpOption } from "../../lib/tcp/options.ts";
import { Bench } from "./segments.ts";

const MS = 1000;

/** A connection that is past its first, quick ACKs and knows a full segment: it delays. `next`: the peer's next byte. */
function delaying(settings = {}): { b: Bench; next: number } {
  const b = Bench.accept(settings);
  let next = 1;
  for (let i = 0; i < 40; i++, next += 1000) {
    b.arrives(`. ${next}:${next + 1000}(1000) ack 1`).pass(45 * MS);
    b.read();
  }
  b.pass(100 * MS);
  return { b: b.clear(), next };
}

Deno.test("the first segments are acknowledged at once: the sender is in slow start", () => {
  const b = Bench.accept();
  for (let i = 0; i < 8; i++) {
    b.arrives(`. ${1 + i * 1000}:${1001 + i * 1000}(1000) ack 1`);
    assertEquals(b.sent.length, i + 1);
  }
});

Deno.test("later the ACK of one segment waits, at most 200 ms (RFC 9293: below 500 ms)", () => {
  const { b, next } = delaying();
  b.arrives(`. ${next}:${next + 1000}(1000) ack 1`).expect();
  const start = b.now;
  b.pass(500 * MS);
  assertEquals(b.sent.length, 1);
  const waited = b.sent[0].atUs - start;
  assert(waited >= 40 * MS && waited <= 200 * MS, `${waited}`);
});

Deno.test("every second full segment is acknowledged at once", () => {
  const { b, next } = delaying();
  b.arrives(`. ${next}:${next + 1000}(1000) ack 1`).expect();
  b.arrives(`. ${next + 1000}:${next + 2000}(1000) ack 1`).expect(`. 1:1(0) ack ${next + 2000}`);
});

Deno.test("an ACK rides on data that goes the other way", () => {
  const { b, next } = delaying();
  b.arrives(`P. ${next}:${next + 10}(10) ack 1`).expect();
  b.write(20);
  b.expect(`P. 1:21(20) ack ${next + 10}`);
  b.pass(30 * MS).arrives(`. ${next + 10}:${next + 10}(0) ack 21`).pass(500 * MS).expect();
});

Deno.test("out of order, a filled gap, and a duplicate are acknowledged at once", () => {
  const { b, next } = delaying();
  b.arrives(`. ${next + 1000}:${next + 2000}(1000) ack 1`);
  assertEquals(b.sent.length, 1);
  b.arrives(`. ${next}:${next + 1000}(1000) ack 1`);
  assertEquals(b.sent.length, 2);
  b.arrives(`. ${next}:${next + 1000}(1000) ack 1`);
  assertEquals(b.sent.length, 3);
});

Deno.test("while a gap is open every segment is acknowledged at once", () => {
  const { b, next } = delaying();
  for (let i = 1; i < 10; i++) b.arrives(`. ${next + i * 1000}:${next + (i + 1) * 1000}(1000) ack 1`);
  assertEquals(b.sent.length, 9);
});

Deno.test("TCP_QUICKACK sends what is owed, and does not wait after that", () => {
  const { b, next } = delaying();
  b.arrives(`. ${next}:${next + 1000}(1000) ack 1`).expect();
  b.option(IPPROTO_TCP, TcpOption.QUICKACK, 1);
  b.expect(`. 1:1(0) ack ${next + 1000}`);
  b.arrives(`. ${next + 1000}:${next + 2000}(1000) ack 1`).expect(`. 1:1(0) ack ${next + 2000}`);
});

Deno.test("a conversation: requests and answers need no ACKs of their own", () => {
  const b = Bench.accept();
  let theirs = 1;
  let ours = 1;
  for (let i = 0; i < 30; i++) {
    b.arrives(`P. ${theirs}:${theirs + 50}(50) ack ${ours}`);
    theirs += 50;
    b.pass(5 * MS);
    b.read();
    b.write(80);
    ours += 80;
    if (i === 10) b.clear();
    b.pass(20 * MS);
  }
  assertEquals(b.sent.length, 19, "one segment each: the data");
});

Deno.test("an ACK is never owed for longer than half a second, whatever the pace of the sender", () => {
  for (const gapMs of [1, 10, 30, 60, 100, 190, 250, 400, 700, 3000]) {
    const b = Bench.accept();
    let unacknowledgedSince = -1;
    for (let i = 0; i < 60; i++) {
      b.arrives(`P. ${1 + i * 100}:${101 + i * 100}(100) ack 1`);
      if (unacknowledgedSince < 0) unacknowledgedSince = b.now;
      b.pass(gapMs * MS);
      b.read();
      if (b.sent.length > 0) {
        assert(b.sent[0].atUs - unacknowledgedSince <= 500 * MS, `${gapMs}`);
        unacknowledgedSince = -1;
        b.clear();
      }
    }
  }
});

Deno.test("the ACK of a FIN before any text waits for a tick, as on Linux: the answering FIN can carry it", () => {
  const b = Bench.accept();
  b.arrives("F. 1:1(0) ack 1").pass(MS - 1).expect();
  b.pass(1).expect(". 1:1(0) ack 2");
  const c = Bench.accept();
  c.arrives("F. 1:1(0) ack 1").expect();
  c.close();
  c.expect("F. 1:1(0) ack 2");
});
