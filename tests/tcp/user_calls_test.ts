/** RFC 9293 3.10.1 to 3.10.6: what the application may call when, as Linux answers; socket options; TCP_INFO. */
import { assert, assertEquals } from "@std/assert";
import { EAGAIN, ECONNABORTED, EINVAL, ENOPROTOOPT, EPIPE } from "../../lib/errno.ts";
import { Slices } from "../../lib/buffer/memory.ts";
import { getOption, IPPROTO_TCP, SocketOption, SOL_SOCKET, TcpOption } from "../../lib/tcp/options.ts";
import { EVENT_WRITABLE } from "../../lib/tcp/state.ts";
import { commit, consume, info, peek, reserve, takeError } from "../../lib/tcp/user_calls.ts";
import { Bench, byteAt } from "./segments.ts";

const MS = 1000;

Deno.test("what is written before the connection stands goes out with the ACK of the SYN-ACK, or after it", () => {
  const b = new Bench().connect().clear();
  assertEquals(b.write(1500), 1500);
  b.expect();
  b.arrives("S. 0:0(0) ack 1");
  assertEquals(b.sent.map(({ text }) => text.replace(/ ack.*/, "")).filter((text) => !text.includes("(0)")), [
    ". 1:1001(1000)",
    "P. 1001:1501(500)",
  ]);
});

Deno.test("shutdown in SYN-SENT ends the attempt", () => {
  const b = new Bench().connect().clear();
  assertEquals(b.shutdown(1), 0);
  assertEquals([b.state, takeError(b.tcb), takeError(b.tcb)], ["CLOSED", -ECONNABORTED, 0]);
});

Deno.test("shutdown twice is one FIN; an unknown direction is refused", () => {
  const b = Bench.open();
  assertEquals([b.shutdown(3), b.shutdown(-1)], [-EINVAL, -EINVAL]);
  assertEquals([b.shutdown(1), b.shutdown(1), b.shutdown(2)], [0, 0, 0]);
  b.expect("F. 1:1(0) ack 1");
});

Deno.test("reading: EAGAIN, bytes, end of file; the error of a reset is given once", () => {
  const b = Bench.open();
  assertEquals(b.read(), -EAGAIN);
  b.arrives("P. 1:11(10) ack 1");
  assertEquals([b.read(4), b.read(4), b.read(4), b.read(4)], [4, 4, 2, -EAGAIN]);
  b.arrives("R 11:11(0)");
  assertEquals([b.read(), b.read(), b.write(1)], [-104, 0, -EPIPE]);
});

Deno.test("data that came before the peer's FIN can be read after the connection is gone", () => {
  const b = Bench.open();
  b.shutdown(1);
  b.arrives("FP. 1:101(100) ack 2").pass(120e6);
  assertEquals([b.state, b.read(), b.read()], ["CLOSED", 100, 0]);
});

Deno.test("sending without a copy: room is reserved, filled and committed", () => {
  const b = Bench.open();
  const slices = new Slices();
  const n = reserve(b.tcb, 1500, slices);
  assertEquals([n, slices.length], [1500, 1500]);
  for (let i = 0; i < slices.length1; i++) slices.memory!.bytes[slices.offset1 + i] = byteAt(i);
  for (let i = 0; i < slices.length2; i++) {
    slices.memory!.bytes[slices.offset2 + i] = byteAt(slices.length1 + i);
  }
  assertEquals(commit(b.tcb, 1200, b.now), 1200);
  b.expect(". 1:1001(1000) ack 1", "P. 1001:1201(200) ack 1");
});

Deno.test("receiving without a copy: what is peeked stays until it is consumed", () => {
  const b = Bench.open().arrives("P. 1:101(100) ack 1");
  const slices = new Slices();
  assertEquals([peek(b.tcb, 60, slices), slices.length, peek(b.tcb, 1000, slices)], [60, 60, 100]);
  assertEquals(slices.memory!.bytes[slices.offset1], byteAt(0));
  consume(b.tcb, 100, b.now);
  assertEquals([peek(b.tcb, 1, slices), b.pool.allocated], [-EAGAIN, 0]);
});

Deno.test("a writer that found no room hears when a third of the buffer is free", () => {
  const b = Bench.open({ sendBuffer: 9000, sendBufferMax: 9000 }, { window: 8000 });
  // Pieces of half the window: what goes out at once, and as many as leave less than the limit.
  const taken = b.write(20_000);
  assertEquals([taken, b.write(1)], [8_000, -EAGAIN]);
  b.tcb.events = 0;
  b.pass(100 * MS).arrives(". 1:1(0) ack 1001");
  assertEquals(b.tcb.events & EVENT_WRITABLE, 0);
  b.arrives(". 1:1(0) ack 2001");
  assertEquals(b.tcb.events & EVENT_WRITABLE, EVENT_WRITABLE);
});

Deno.test("options: what Linux refuses is refused", () => {
  const b = Bench.open();
  for (
    const [name, bad] of [
      [TcpOption.KEEPIDLE, 0],
      [TcpOption.KEEPIDLE, 32_768],
      [TcpOption.KEEPINTVL, 0],
      [TcpOption.KEEPCNT, 0],
      [TcpOption.KEEPCNT, 128],
      [TcpOption.SYNCNT, 0],
      [TcpOption.SYNCNT, 128],
      [TcpOption.MAXSEG, 87],
      [TcpOption.MAXSEG, 32_768],
      [TcpOption.USER_TIMEOUT, -1],
    ] as const
  ) assertEquals(b.option(IPPROTO_TCP, name, bad), -EINVAL, `${name} ${bad}`);
  assertEquals(b.option(IPPROTO_TCP, 999, 1), -ENOPROTOOPT);
  assertEquals(b.option(SOL_SOCKET, 999, 1), -ENOPROTOOPT);
  assertEquals(getOption(b.tcb, 41, 1), -ENOPROTOOPT);
});

Deno.test("options: what was set is read back", () => {
  const b = Bench.open();
  for (
    const [level, name, value] of [
      [SOL_SOCKET, SocketOption.KEEPALIVE, 1],
      [SOL_SOCKET, SocketOption.LINGER, 7],
      [SOL_SOCKET, SocketOption.LINGER, -1],
      [SOL_SOCKET, SocketOption.RCVLOWAT, 100],
      [IPPROTO_TCP, TcpOption.NODELAY, 1],
      [IPPROTO_TCP, TcpOption.CORK, 1],
      [IPPROTO_TCP, TcpOption.KEEPIDLE, 11],
      [IPPROTO_TCP, TcpOption.KEEPINTVL, 12],
      [IPPROTO_TCP, TcpOption.KEEPCNT, 13],
      [IPPROTO_TCP, TcpOption.SYNCNT, 3],
      [IPPROTO_TCP, TcpOption.LINGER2, 20],
      [IPPROTO_TCP, TcpOption.USER_TIMEOUT, 1234],
      [IPPROTO_TCP, TcpOption.NOTSENT_LOWAT, 4096],
    ] as const
  ) {
    assertEquals(b.option(level, name, value), 0, `${level} ${name}`);
    assertEquals(getOption(b.tcb, level, name), value, `${level} ${name}`);
  }
});

Deno.test("TCP_MAXSEG before the connection: in the SYN, and the most that is sent", () => {
  const b = new Bench();
  b.option(IPPROTO_TCP, TcpOption.MAXSEG, 500);
  b.connect();
  assertEquals(b.last!.header.mss, 500);
  b.arrives("S. 0:0(0) ack 1").clear();
  b.write(1000);
  assertEquals(b.sent.map(({ payload }) => payload.length), [500, 500]);
});

Deno.test("TCP_INFO: the deviation of a quick path is told as it is, not as the least RTO has it", () => {
  const b = Bench.open({ congestion: "cubic" });
  for (let acknowledged = 101; acknowledged <= 20_001; acknowledged += 100) {
    b.write(100);
    b.pass(80).arrives(`. 1:1(0) ack ${acknowledged}`);
  }
  const { tcpi_rtt, tcpi_rttvar, tcpi_rto } = info(b.tcb, b.now);
  assert(
    tcpi_rtt <= 100 && tcpi_rttvar <= 100 && tcpi_rto >= 200_000,
    `${tcpi_rtt} ${tcpi_rttvar} ${tcpi_rto}`,
  );
});

Deno.test("TCP_INFO says what Linux would", () => {
  const b = Bench.open({ congestion: "cubic" });
  b.write(5000);
  b.pass(100 * MS).arrives(". 1:1(0) ack 2001 sack 3001-4001").arrives("P. 1:101(100) ack 2001");
  const i = info(b.tcb, b.now);
  assertEquals([i.tcpi_state, i.stateName, i.tcpi_unacked, i.tcpi_sacked], [1, "ESTABLISHED", 3, 1]);
  assertEquals([i.tcpi_rtt, i.tcpi_min_rtt, i.tcpi_snd_mss, i.tcpi_options & 2], [100_000, 100_000, 1000, 2]);
  // Of the SYN half its time, and of the second sample, the same again, three quarters of that.
  assertEquals(i.tcpi_rttvar, 37_500);
  assertEquals([i.tcpi_bytes_acked >= 2000, i.tcpi_bytes_received, i.receiveQueue, i.sendQueue], [
    true,
    100,
    100,
    3000,
  ]);
  assertEquals([i.tcpi_data_segs_out, i.tcpi_data_segs_in, i.tcpi_snd_ssthresh], [5, 1, 0x7fffffff]);
  assert(i.tcpi_rto >= 300_000 && i.tcpi_rto <= 310_000, `${i.tcpi_rto}`);
});
