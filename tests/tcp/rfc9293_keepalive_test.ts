/** RFC 9293 3.8.4 keep-alives, 3.8.3 and RFC 5482 user timeout. */
import { assert, assertEquals } from "@std/assert";
import { EHOSTUNREACH, ETIMEDOUT } from "../../lib/errno.ts";
import { icmpError } from "../../lib/tcp/errors.ts";
import { IPPROTO_TCP, SocketOption, SOL_SOCKET, TcpOption } from "../../lib/tcp/options.ts";
import { Bench } from "./segments.ts";

const MS = 1000;
const SECOND = 1e6;
const HOUR = 3600e6;

function keepalive(idleSec = 10, intervalSec = 2, count = 3): Bench {
  const b = Bench.open();
  b.option(SOL_SOCKET, SocketOption.KEEPALIVE, 1);
  b.option(IPPROTO_TCP, TcpOption.KEEPIDLE, idleSec);
  b.option(IPPROTO_TCP, TcpOption.KEEPINTVL, intervalSec);
  b.option(IPPROTO_TCP, TcpOption.KEEPCNT, count);
  return b;
}

Deno.test("off by default: an idle connection is silent for ever, and keeps no timer (MUST-25)", () => {
  const b = Bench.open();
  assertEquals(b.tcb.deadline, Infinity);
  b.pass(1000 * HOUR).expect();
});

Deno.test("after two hours by default (MUST-28)", () => {
  const b = Bench.open();
  b.option(SOL_SOCKET, SocketOption.KEEPALIVE, 1);
  b.pass(2 * HOUR - 1).expect().pass(1).expect(". 0:0(0) ack 1");
});

Deno.test("a probe is an empty segment with an old number; an answer starts the wait again", () => {
  const b = keepalive();
  for (let i = 0; i < 5; i++) {
    b.pass(10 * SECOND).expect(". 0:0(0) ack 1").pass(50 * MS).arrives(". 1:1(0) ack 1").expect();
    // The wait is from the answer; the peer's 50 ms are part of it.
  }
  assertEquals(b.state, "ESTABLISHED");
});

Deno.test("unanswered probes end it: ETIMEDOUT, with a reset", () => {
  const b = keepalive();
  b.pass(10 * SECOND).expect(". 0:0(0) ack 1");
  b.pass(2 * SECOND).expect(". 0:0(0) ack 1");
  b.pass(2 * SECOND).expect(". 0:0(0) ack 1");
  b.pass(2 * SECOND).expect("R. 1:1(0) ack 1");
  assertEquals([b.state, b.tcb.error, b.tcb.deadline], ["CLOSED", ETIMEDOUT, Infinity]);
});

Deno.test("traffic of either side puts the probe off", () => {
  const b = keepalive();
  b.pass(9 * SECOND).arrives("P. 1:101(100) ack 1").pass(SECOND).clear();
  b.pass(8 * SECOND).expect();
  b.write(100);
  b.clear().pass(100 * MS).arrives(". 101:101(0) ack 101");
  b.pass(9 * SECOND).expect().pass(2 * SECOND).expect(". 100:100(0) ack 101");
});

Deno.test("a peer that rebooted answers a probe with a reset (RFC 9293 3.8.4)", () => {
  const b = keepalive().pass(10 * SECOND).arrives("R 1:1(0)");
  assertEquals(b.state, "CLOSED");
});

Deno.test("keep-alives go on in CLOSE-WAIT and FIN-WAIT-2", () => {
  const half = keepalive().arrives("F. 1:1(0) ack 1").pass(SECOND).clear();
  half.pass(10 * SECOND);
  assertEquals(half.sent[0]?.text, ". 0:0(0) ack 2");
  const other = keepalive();
  other.shutdown(1);
  other.arrives(". 1:1(0) ack 2").clear().pass(11 * SECOND);
  assertEquals(other.sent[0]?.text, ". 1:1(0) ack 1");
});

Deno.test("5482: TCP_USER_TIMEOUT ends a connection whose data is not acknowledged", () => {
  const b = Bench.open();
  b.option(IPPROTO_TCP, TcpOption.USER_TIMEOUT, 5000);
  b.write(100);
  b.pass(4900 * MS);
  assertEquals(b.state, "ESTABLISHED");
  b.pass(5000 * MS);
  assertEquals([b.state, b.tcb.error], ["CLOSED", ETIMEDOUT]);
});

Deno.test("5482: as Linux, the time-out is on the millisecond, not at the next doubling", () => {
  const b = Bench.open();
  b.option(IPPROTO_TCP, TcpOption.USER_TIMEOUT, 5000);
  b.write(100);
  const start = b.now;
  b.pass(100 * SECOND);
  assertEquals(b.state, "CLOSED");
  const last = b.sent.at(-1)!.atUs - start;
  assert(last < 5000 * MS, `${last}`);
  const c = Bench.open();
  c.option(IPPROTO_TCP, TcpOption.USER_TIMEOUT, 5000);
  c.write(100);
  c.pass(5400 * MS);
  assertEquals(c.state, "CLOSED");
});

Deno.test("5482: progress starts the time anew", () => {
  const b = Bench.open();
  b.option(IPPROTO_TCP, TcpOption.USER_TIMEOUT, 3000);
  for (let i = 0; i < 10; i++) {
    b.write(100);
    b.pass(2000 * MS).arrives(`. 1:1(0) ack ${101 + i * 100}`);
  }
  assertEquals(b.state, "ESTABLISHED");
});

Deno.test("5482: a shut window that nobody answers for", () => {
  const b = Bench.open();
  b.option(IPPROTO_TCP, TcpOption.USER_TIMEOUT, 5000);
  b.write(1000);
  b.arrives(". 1:1(0) ack 1001 win 0");
  b.write(1000);
  b.pass(20 * SECOND);
  assertEquals([b.state, b.tcb.error], ["CLOSED", ETIMEDOUT]);
});

Deno.test("5482: with keep-alives on, it replaces their number", () => {
  const b = keepalive(10, 2, 100);
  b.option(IPPROTO_TCP, TcpOption.USER_TIMEOUT, 15_000);
  b.pass(30 * SECOND);
  assertEquals([b.state, b.tcb.error], ["CLOSED", ETIMEDOUT]);
});

Deno.test("RFC 1122 4.2.3.9: the soft error that came meanwhile is the reason that is given", () => {
  const b = Bench.open();
  b.write(100);
  b.pass(300 * MS);
  icmpError(b.tcb, EHOSTUNREACH, 0, b.iss + 1, b.now);
  assertEquals(b.state, "ESTABLISHED");
  b.pass(HOUR);
  assertEquals([b.state, b.tcb.error], ["CLOSED", EHOSTUNREACH]);
});
