/** CLOSE and ABORT by the application: orphans, linger, unread data, FIN-WAIT-2, TIME-WAIT (RFC 9293 3.6, RFC 1122 4.2.2.13, RFC 6191). */
import { assert, assertEquals } from "@std/assert";
import { EPIPE } from "../../lib/errno.ts";
import { IPPROTO_TCP, SocketOption, SOL_SOCKET, TcpOption } from "../../lib/tcp/options.ts";
import { EVENT_CLOSED } from "../../lib/tcp/state.ts";
import { Bench } from "./segments.ts";

const MS = 1000;
const SECOND = 1e6;
const HOUR = 3600e6;

/** TIME-WAIT, entered now, with the peer's FIN at 1 and ours at 1. */
function timeWait(settings = {}, peer = {}): Bench {
  const b = Bench.open(settings, peer);
  b.shutdown(1);
  b.arrives("F. 1:1(0) ack 2").clear();
  assertEquals(b.state, "TIME-WAIT");
  return b;
}

Deno.test("close sends what is buffered, then the FIN, and lives on until both are acknowledged", () => {
  const b = Bench.open({}, { window: 2000 });
  b.write(5000);
  b.close();
  assertEquals(b.state, "FIN-WAIT-1");
  b.arrives(". 1:1(0) ack 2001").arrives(". 1:1(0) ack 4001");
  assertEquals(b.sent.at(-1)!.text, "FP. 4001:5001(1000) ack 1");
  b.arrives(". 1:1(0) ack 5002");
  assertEquals(b.state, "FIN-WAIT-2");
});

Deno.test("close with unread data is a reset (RFC 1122 4.2.2.13)", () => {
  const b = Bench.open().arrives("P. 1:101(100) ack 1").clear();
  b.close().expect("R. 1:1(0) ack 101");
  assertEquals([b.state, b.tcb.events & EVENT_CLOSED, b.pool.allocated], ["CLOSED", EVENT_CLOSED, 0]);
});

Deno.test("SO_LINGER with 0 seconds makes close a reset, what is buffered is thrown away", () => {
  const b = Bench.open({}, { window: 1000 });
  b.option(SOL_SOCKET, SocketOption.LINGER, 0);
  b.write(5000);
  b.clear().close();
  assertEquals([b.sent.length, b.sent[0].text.slice(0, 2), b.state], [1, "R.", "CLOSED"]);
  assertEquals(b.pool.allocated, 0);
});

Deno.test("the reset of an abort bears the next number to be sent, so that a peer takes it", () => {
  const b = Bench.open();
  b.write(3000);
  b.arrives(". 1:1(0) ack 1001").clear();
  b.abort().expect("R. 3001:3001(0) ack 1");
});

Deno.test("data for an orphan is answered with a reset (RFC 9293 3.10.7.4, seventh)", () => {
  for (const acked of [false, true]) {
    const b = Bench.open().close().clear();
    if (acked) b.arrives(". 1:1(0) ack 2");
    b.arrives(`P. 1:101(100) ack ${acked ? 2 : 1}`);
    assertEquals([b.state, b.sent.length, b.sent[0].text.slice(0, 2)], ["CLOSED", 1, "R "]);
  }
});

Deno.test("shutdown(RD) alone takes data still: only close says that nobody reads", () => {
  const b = Bench.open();
  assertEquals(b.shutdown(0), 0);
  b.arrives("P. 1:101(100) ack 1");
  assertEquals(b.state, "ESTABLISHED");
});

Deno.test("FIN-WAIT-2 of an orphan ends after tcp_fin_timeout; of a held connection never", () => {
  const orphan = Bench.open().close().arrives(". 1:1(0) ack 2").clear();
  orphan.pass(60 * SECOND - 1);
  assertEquals(orphan.state, "FIN-WAIT-2");
  orphan.pass(1).expect();
  assertEquals([orphan.state, orphan.tcb.deadline, orphan.pool.allocated], ["CLOSED", Infinity, 0]);
  const held = Bench.open();
  held.shutdown(1);
  held.arrives(". 1:1(0) ack 2").pass(1000 * HOUR);
  assertEquals(held.state, "FIN-WAIT-2");
  held.close().pass(60 * SECOND);
  assertEquals(held.state, "CLOSED");
});

Deno.test("TCP_LINGER2 sets how long an orphan waits for the FIN", () => {
  const b = Bench.open();
  b.option(IPPROTO_TCP, TcpOption.LINGER2, 5);
  b.close().arrives(". 1:1(0) ack 2").pass(5 * SECOND);
  assertEquals(b.state, "CLOSED");
});

Deno.test("an orphan whose peer is gone gives up sooner (tcp_orphan_retries)", () => {
  const b = Bench.open().close().clear().pass(2 * HOUR);
  assertEquals(b.state, "CLOSED");
  assert(b.sent.length <= 9, `${b.sent.length}`);
});

Deno.test("an orphan with a shut window gives up as well", () => {
  const b = Bench.open({}, { window: 0 });
  b.write(100);
  b.close().pass(2 * HOUR);
  assertEquals([b.state, b.tcb.deadline, b.pool.allocated], ["CLOSED", Infinity, 0]);
});

Deno.test("LAST-ACK gives up too, when its FIN is never acknowledged", () => {
  const b = Bench.open().arrives("F. 1:1(0) ack 1").close().pass(2 * HOUR);
  assertEquals([b.state, b.tcb.deadline], ["CLOSED", Infinity]);
});

Deno.test("after shutdown(WR) writing is EPIPE, reading goes on", () => {
  const b = Bench.open();
  b.shutdown(1);
  assertEquals(b.write(1), -EPIPE);
  b.arrives("P. 1:101(100) ack 2");
  assertEquals(b.read(), 100);
});

Deno.test("half-close the other way: the peer closed, we send a megabyte, then close", () => {
  const b = Bench.accept().arrives("F. 1:1(0) ack 1");
  assertEquals([b.read(), b.state], [0, "CLOSE-WAIT"]);
  let acked = 0;
  while (acked < 1_000_000) {
    if (b.written < 1_000_000) b.write(Math.min(50_000, 1_000_000 - b.written));
    b.pass(10 * MS);
    acked = (b.tcb.snd.nxt - b.iss - 1) | 0;
    b.sent = [];
    b.arrives(`. 2:2(0) ack ${acked + 1}`);
  }
  b.close().expect("F. 1000001:1000001(0) ack 2");
  b.arrives(". 2:2(0) ack 1000002");
  assertEquals([b.state, b.pool.allocated], ["CLOSED", 0]);
});

Deno.test("TIME-WAIT lasts a minute (2 MSL, as Linux has it)", () => {
  const b = timeWait().pass(60 * SECOND - 1);
  assertEquals(b.state, "TIME-WAIT");
  b.pass(1).expect();
  assertEquals(b.state, "CLOSED");
});

Deno.test("TIME-WAIT: a repeated FIN is acknowledged and starts the wait again", () => {
  const b = timeWait().pass(50 * SECOND).arrives("F. 1:1(0) ack 2");
  assertEquals((b.last!.header.ack - 5000) | 0, 2);
  b.pass(59 * SECOND);
  assertEquals(b.state, "TIME-WAIT");
  b.pass(SECOND);
  assertEquals(b.state, "CLOSED");
});

Deno.test("TIME-WAIT: old segments are answered with an ACK, at a limited rate, and change nothing", () => {
  const b = timeWait();
  for (let i = 0; i < 50; i++) b.arrives(". 0:0(0) ack 2").pass(10 * MS);
  assertEquals(b.sent.length, 1);
  b.pass(59_500 * MS);
  assertEquals(b.state, "CLOSED");
});

Deno.test("TIME-WAIT: RFC 1337: an old reset does not end it", () => {
  const b = timeWait().arrives("R 1:1(0)").arrives("R 100:100(0)").expect();
  assertEquals(b.state, "TIME-WAIT");
});

Deno.test("6191: a SYN with a later timestamp may open the connection again", () => {
  const b = timeWait({ timestamps: true }, { timestamps: true }).pass(SECOND);
  b.arrives("S -500:-500(0)");
  assertEquals([b.state, b.tcb.reopen], ["CLOSED", true]);
});

Deno.test("6191: a SYN with an earlier timestamp may not", () => {
  const b = timeWait({ timestamps: true }, { timestamps: true }).pass(SECOND).clear();
  b.arrives("S 500:500(0)", (h) => h.timestampValue -= 5000);
  assertEquals([b.state, b.tcb.reopen, (b.last!.header.ack - 5000) | 0], ["TIME-WAIT", false, 2]);
});

Deno.test("RFC 1122 4.2.2.13: without timestamps a SYN beyond the last number may open it again", () => {
  const later = timeWait().arrives("S 3:3(0)");
  assertEquals(later.tcb.reopen, true);
  const earlier = timeWait().arrives("S 1:1(0)");
  assertEquals([earlier.tcb.reopen, earlier.state], [false, "TIME-WAIT"]);
});

Deno.test("no state holds memory when it ends, whatever was buffered", () => {
  for (const end of ["reset", "abort", "timeout"]) {
    const b = Bench.open({}, { window: 20_000 });
    b.write(100_000);
    b.arrives("P. 1:1001(1000) ack 1").arrives("P. 2001:3001(1000) ack 1");
    assert(b.pool.allocated > 0);
    if (end === "reset") b.arrives("R 1001:1001(0)");
    else if (end === "abort") b.abort();
    else b.pass(2 * HOUR);
    // What came before the end can be read still.
    assertEquals(end === "abort" ? 0 : b.read(), end === "abort" ? 0 : 1000, end);
    assertEquals([b.state, b.pool.allocated], ["CLOSED", 0], end);
  }
});

Deno.test("an idle connection holds no memory", () => {
  const b = Bench.open();
  b.write(100_000);
  for (let i = 0; i < 100 && b.tcb.snd.una !== b.tcb.dataEnd; i++) {
    b.pass(10 * MS).arrives(`. 1:1(0) ack ${(b.tcb.snd.nxt - b.iss) | 0}`);
  }
  b.arrives("P. 1001:2001(1000) ack 100001").arrives("P. 1:1001(1000) ack 100001");
  assertEquals(b.read(), 2000);
  assertEquals(b.pool.allocated, 0);
});
