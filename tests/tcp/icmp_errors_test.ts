/** ICMP as TCP hears it: RFC 1122 4.2.3.9, RFC 5461, RFC 5927; and RFC 1191: a path MTU that shrinks. */
import { assert, assertEquals } from "@std/assert";
import { ECONNREFUSED, EHOSTUNREACH, ENOPROTOOPT, ETIMEDOUT } from "../../lib/errno.ts";
import { hostUnreachable, icmpError, pathMtuChanged } from "../../lib/tcp/errors.ts";
import { Bench } from "./segments.ts";

const MS = 1000;
const HOUR = 3600e6;
const range = (text: string) => / (\d+):(\d+)\(/.exec(text)!.slice(1).map(Number);

Deno.test("5461 4: in SYN-SENT an error ends the attempt at once, with its errno", () => {
  for (const errno of [ECONNREFUSED, EHOSTUNREACH]) {
    const b = new Bench().connect().clear();
    icmpError(b.tcb, errno, 0, b.iss, b.now);
    b.expect();
    assertEquals([b.state, b.tcb.error, b.tcb.deadline], ["CLOSED", errno, Infinity]);
  }
});

Deno.test("1122 4.2.3.9, by setting: only a refusal ends the attempt, or nothing does", () => {
  const hard = new Bench({ icmpEndsConnect: "hard" }).connect();
  icmpError(hard.tcb, EHOSTUNREACH, 0, hard.iss, hard.now);
  assertEquals([hard.state, hard.tcb.softError], ["SYN-SENT", EHOSTUNREACH]);
  icmpError(hard.tcb, ENOPROTOOPT, ECONNREFUSED, hard.iss, hard.now);
  assertEquals([hard.state, hard.tcb.error], ["CLOSED", ECONNREFUSED]);
  const none = new Bench({ icmpEndsConnect: "none" }).connect();
  icmpError(none.tcb, ENOPROTOOPT, ECONNREFUSED, none.iss, none.now);
  assertEquals(none.state, "SYN-SENT");
});

Deno.test("5927 4.1: an error that quotes what is not in flight is a forgery, or late: ignored", () => {
  const connecting = new Bench().connect();
  for (const seq of [0, 999, 1001, -1, 0x7fffffff]) {
    icmpError(connecting.tcb, ECONNREFUSED, ECONNREFUSED, seq, connecting.now);
    assertEquals(connecting.state, "SYN-SENT");
  }
  const b = Bench.open();
  b.write(3000);
  b.arrives(". 1:1(0) ack 1001");
  for (const seq of [1, 1000, 3001, 100_000]) {
    icmpError(b.tcb, EHOSTUNREACH, 0, b.iss + seq, b.now);
    assertEquals(b.tcb.softError, 0, `${seq}`);
    pathMtuChanged(b.tcb, 600, b.iss + seq, b.now);
    assertEquals(b.tcb.snd.mss, 1000, `${seq}`);
  }
});

Deno.test("1122 4.2.3.9: an established connection survives errors, hard ones too (5461 4.1; as Linux)", () => {
  const b = Bench.open();
  b.write(100);
  icmpError(b.tcb, ECONNREFUSED, ECONNREFUSED, b.iss + 1, b.now);
  assertEquals([b.state, b.tcb.error, b.tcb.softError], ["ESTABLISHED", 0, ECONNREFUSED]);
  b.arrives(". 1:1(0) ack 101").arrives("P. 1:101(100) ack 101");
  assertEquals(b.read(), 100);
});

Deno.test("a soft error that passed is not the reason of a time-out much later", () => {
  const b = Bench.open();
  b.write(100);
  icmpError(b.tcb, EHOSTUNREACH, 0, b.iss + 1, b.now);
  b.pass(100 * MS).arrives(". 1:1(0) ack 101");
  b.write(100);
  b.pass(HOUR);
  assertEquals([b.state, b.tcb.error], ["CLOSED", ETIMEDOUT]);
});

Deno.test("a next hop that does not answer ARP: connect fails with EHOSTUNREACH", () => {
  const b = new Bench().connect();
  hostUnreachable(b.tcb, EHOSTUNREACH, b.now);
  assertEquals([b.state, b.tcb.error], ["CLOSED", EHOSTUNREACH]);
});

Deno.test("1191 6.4: what was too large goes again at once, in pieces, and later segments are smaller", () => {
  const b = Bench.open();
  b.write(5000);
  b.clear();
  pathMtuChanged(b.tcb, 640, b.iss + 1, b.now);
  b.drain();
  assertEquals(b.tcb.snd.mss, 600);
  let next = 1;
  for (const { text } of b.sent) {
    const [from, to] = range(text);
    assertEquals(from, next);
    assert(to - from <= 600, text);
    next = to;
  }
  assertEquals(next, 5001);
  assertEquals(b.tcb.cwnd >= 10, true, "no sign of congestion");
  b.pass(100 * MS).arrives(". 1:1(0) ack 5001").clear();
  b.write(1200);
  assertEquals(b.sent.map(({ text }) => range(text)), [[5001, 5601], [5601, 6201]]);
});

Deno.test("1191: not below 552, never up again by ICMP, and nothing happens when segments were small enough", () => {
  const b = Bench.open();
  b.write(300);
  b.clear();
  pathMtuChanged(b.tcb, 68, b.iss + 1, b.now);
  b.expect();
  assertEquals(b.tcb.snd.mss, 512);
  pathMtuChanged(b.tcb, 1000, b.iss + 1, b.now);
  assertEquals(b.tcb.snd.mss, 512);
});

Deno.test("1191: with SACKed segments only the others go again", () => {
  const b = Bench.open();
  b.write(5000);
  b.pass(100 * MS).arrives(". 1:1(0) ack 1 sack 2001-3001").clear();
  pathMtuChanged(b.tcb, 640, b.iss + 1, b.now);
  b.drain();
  for (const { text } of b.sent) {
    const [from, to] = range(text);
    assert(to <= 2001 || from >= 3001, text);
  }
  b.pass(100 * MS).arrives(". 1:1(0) ack 5001").pass(HOUR);
  assertEquals([b.state, b.tcb.queue.packetsOut, b.tcb.queue.lostOut], ["ESTABLISHED", 0, 0]);
});

Deno.test("1191: the FIN that was in a segment too large comes with the last piece", () => {
  const b = Bench.open({}, { window: 1000 });
  b.write(1990);
  b.shutdown(1);
  b.arrives(". 1:1(0) ack 501 win 2000");
  b.arrives(`. 1:1(0) ack 1001`).clear();
  const una = (b.tcb.snd.una - b.iss) | 0;
  pathMtuChanged(b.tcb, 552, b.tcb.snd.una, b.now);
  b.drain();
  b.pass(500 * MS);
  assert(b.sent.some(({ text }) => text.startsWith("F")), b.sent.map(({ text }) => text).join());
  b.arrives(`. 1:1(0) ack 1992`);
  assertEquals([una > 0, b.state], [true, "FIN-WAIT-2"]);
});

Deno.test("an aborted connection whose reset cannot be delivered is forgotten", () => {
  const b = Bench.open();
  b.tcb.orphan = true;
  b.abort().clear();
  hostUnreachable(b.tcb, EHOSTUNREACH, b.now);
  assertEquals([b.state, b.tcb.deadline], ["CLOSED", Infinity]);
});
