import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { EAGAIN, ECONNRESET } from "../../lib/errno.ts";
import { READY_READ, READY_WRITE } from "../../lib/stack/stack.ts";
import { ack, assertFrame, flags, payload, seq } from "../support/checker.ts";
import type { Packet } from "../support/decode.ts";
import { Bench, expect, only } from "./helpers.ts";

const IPPROTO_TCP = 6;
const TCP_FASTOPEN = 23;
/** The option's kind. */
const FAST_OPEN = 34;
const ASK = new Uint8Array();

/** A listener that lets `most` children have data early; -1: it was not asked to. */
function bench(most: number, tcp = {}): { made: Bench; listener: number } {
  const made = new Bench({ tcp });
  made.learnPeer();
  const listener = made.listener(80);
  if (most >= 0) assertEquals(setFastOpen(made, listener, most), 0);
  return { made, listener };
}

function setFastOpen(made: Bench, handle: number, most: number): number {
  return made.stack.setOption(handle, IPPROTO_TCP, TCP_FASTOPEN, most, made.now);
}

type Fields = Partial<Parameters<Bench["segment"]>[0]>;

function syn(made: Bench, fields: Fields = {}): Packet {
  return only(made.segment({
    sourcePort: 1000,
    destinationPort: 80,
    flags: "S",
    seq: 99,
    mss: 1000,
    window: 30000,
    ...fields,
  }));
}

const cookieOf = (packet: Packet) => packet.tcp!.options.find(({ kind }) => kind === FAST_OPEN)?.data;

/** The cookie that the listener gives the peer. */
function askForCookie(made: Bench): Uint8Array {
  const answer = syn(made, { sourcePort: 999, fastOpen: ASK });
  const cookie = cookieOf(answer);
  assert(cookie !== undefined);
  made.segment({ sourcePort: 999, destinationPort: 80, flags: "R", seq: 100 });
  return cookie;
}

const read = (made: Bench, handle: number) => {
  const bytes = new Uint8Array(100);
  const n = made.stack.receive(handle, bytes, 0, 100, made.now);
  return n < 0 ? n : new TextDecoder().decode(bytes.subarray(0, n));
};

const write = (made: Bench, handle: number, text: string) =>
  made.stack.send(handle, new TextEncoder().encode(text), 0, text.length, made.now);

Deno.test("RFC 7413 4.2.1: who asks for a cookie gets one, of its own, always the same", () => {
  const { made } = bench(5);
  const first = syn(made, { fastOpen: ASK });
  assertFrame(first.bytes, flags("S."), ack(100));
  assertEquals(cookieOf(first)!.length, 8);
  const again = syn(made, { fastOpen: ASK, sourcePort: 1001 });
  assertEquals(cookieOf(again), cookieOf(first));
  made.learnPeer("10.0.0.9");
  assertNotEquals(cookieOf(syn(made, { fastOpen: ASK, source: "10.0.0.9" })), cookieOf(first));
});

Deno.test("RFC 7413 4.2.2: with a good cookie the SYN's data can be read, and answered, before the handshake is complete", () => {
  const { made, listener } = bench(5);
  const fastOpen = askForCookie(made);
  const synAck = syn(made, { fastOpen, payload: "question" });
  assertFrame(synAck.bytes, flags("S."), ack(108), payload(0));
  assertEquals(cookieOf(synAck), undefined, "it has one");
  const handle = expect(made.stack.accept(listener));
  assertEquals(made.stack.info(handle).stateName, "SYN-RECEIVED");
  assertEquals(made.stack.readiness(handle), READY_READ | READY_WRITE);
  assertEquals(read(made, handle), "question");
  assertEquals(write(made, handle, "answer"), 6);
  const iss = synAck.tcp!.seq;
  assertFrame(made.drain()[0], flags("P."), seq(iss + 1), ack(108), payload("answer"));
  // One ACK for both completes the handshake.
  assertEquals(
    made.segment({ sourcePort: 1000, destinationPort: 80, flags: ".", seq: 108, ack: iss + 7 }),
    [],
  );
  const info = made.stack.info(handle);
  assertEquals([info.stateName, info.tcpi_unacked, info.sendQueue, info.tcpi_options & 32], [
    "ESTABLISHED",
    0,
    0,
    32,
  ]);
  assertEquals([made.stack.counters.tcpFastOpenPassive, made.stack.counters.tcpPassiveOpens], [1, 1]);
  assertEquals(made.stack.accept(listener), -EAGAIN, "it is accepted once");
});

Deno.test("an answer longer than the initial window goes on when the handshake is complete", () => {
  const { made, listener } = bench(5);
  const synAck = syn(made, { fastOpen: askForCookie(made), payload: "question" });
  const handle = expect(made.stack.accept(listener));
  write(made, handle, "x".repeat(20_000));
  const early = made.drain();
  assert(early.length >= 9 && early.length <= 10, `${early.length} segments`);
  const iss = synAck.tcp!.seq;
  const more = made.segment({
    sourcePort: 1000,
    destinationPort: 80,
    flags: ".",
    seq: 108,
    ack: iss + 1 + 5000,
  });
  assert(more.length >= 5, `${more.length} segments`);
});

Deno.test("a listener that was not asked to knows no Fast Open: no cookie, and the data has to come again", () => {
  const { made, listener } = bench(-1);
  for (const fastOpen of [ASK, new Uint8Array(8)]) {
    const answer = syn(made, { fastOpen, payload: "x", sourcePort: 1 + fastOpen.length });
    assertFrame(answer.bytes, flags("S."), ack(100));
    assertEquals(cookieOf(answer), undefined);
  }
  assertEquals(made.stack.accept(listener), -EAGAIN);
});

Deno.test("a listener with the option does nothing where the settings have Fast Open as client only", () => {
  const { made } = bench(5, { fastOpen: 1 });
  assertEquals(cookieOf(syn(made, { fastOpen: ASK })), undefined);
});

Deno.test("RFC 7413 4.2.2: a cookie that is not good is replaced, and the handshake goes the long way", () => {
  const { made, listener } = bench(5);
  const good = askForCookie(made);
  const bad = good.slice();
  bad[7] ^= 1;
  for (const fastOpen of [bad, good.slice(0, 4), new Uint8Array(16)]) {
    const sourcePort = 2000 + fastOpen.length;
    const answer = syn(made, { fastOpen, payload: "question", sourcePort });
    assertFrame(answer.bytes, flags("S."), ack(100));
    assertEquals(cookieOf(answer), good);
    assertEquals(made.stack.accept(listener), -EAGAIN);
    const there = { sourcePort, destinationPort: 80, seq: 100, ack: answer.tcp!.seq + 1 };
    made.segment({ ...there, flags: "P.", payload: "question" });
    assertEquals(read(made, expect(made.stack.accept(listener))), "question");
  }
  assertEquals(made.stack.counters.tcpFastOpenPassiveFailures, 3);
});

Deno.test("another's cookie is not good", () => {
  const { made, listener } = bench(5);
  const fastOpen = askForCookie(made);
  made.learnPeer("10.0.0.9");
  assertFrame(syn(made, { fastOpen, payload: "x", source: "10.0.0.9" }).bytes, ack(100));
  assertEquals(made.stack.accept(listener), -EAGAIN);
});

Deno.test("RFC 7413 5.1: so many may be early as TCP_FASTOPEN says; a completed or ended one gives its place", () => {
  const { made } = bench(2);
  const fastOpen = askForCookie(made);
  const early = (sourcePort: number) => {
    const answer = syn(made, { fastOpen, payload: "x", sourcePort });
    return { isEarly: answer.tcp!.ack === 101, iss: answer.tcp!.seq };
  };
  const first = early(1);
  assertEquals([first.isEarly, early(2).isEarly, early(3).isEarly], [true, true, false]);
  made.segment({ sourcePort: 1, destinationPort: 80, flags: ".", seq: 101, ack: first.iss + 1 });
  assertEquals([early(4).isEarly, early(5).isEarly], [true, false]);
  made.segment({ sourcePort: 2, destinationPort: 80, flags: "R", seq: 101 });
  assertEquals([early(6).isEarly, early(7).isEarly], [true, false]);
});

Deno.test("a repeated SYN gets the same SYN-ACK, and its data is not taken twice", () => {
  const { made, listener } = bench(5);
  const fastOpen = askForCookie(made);
  const synAck = syn(made, { fastOpen, payload: "once" });
  made.now += 1_000_000;
  for (const fields of [{ fastOpen, payload: "once" }, {}]) {
    const again = syn(made, fields);
    assertFrame(again.bytes, flags("S."), seq(synAck.tcp!.seq), ack(104));
    made.now += 1_000_000;
  }
  const handle = expect(made.stack.accept(listener));
  assertEquals(read(made, handle), "once");
  assertEquals(read(made, handle), -EAGAIN);
});

Deno.test("the SYN-ACK of an early child is sent again; the answer too, once the handshake is complete", () => {
  const { made, listener } = bench(5);
  const synAck = syn(made, { fastOpen: askForCookie(made), payload: "q" });
  const handle = expect(made.stack.accept(listener));
  write(made, handle, "answer");
  assertEquals(made.drain().length, 1);
  const [again] = made.pass(1_100_000);
  assertFrame(again, flags("S."), ack(101));
  const iss = synAck.tcp!.seq;
  made.segment({ sourcePort: 1000, destinationPort: 80, flags: ".", seq: 101, ack: iss + 1 });
  const frames = made.pass(4_000_000);
  assertFrame(frames[0], flags("P."), seq(iss + 1), payload("answer"));
});

Deno.test("an early child whose peer resets it says so, and one that is never acknowledged times out", () => {
  const { made, listener } = bench(5);
  const fastOpen = askForCookie(made);
  syn(made, { fastOpen, payload: "q" });
  const handle = expect(made.stack.accept(listener));
  made.segment({ sourcePort: 1000, destinationPort: 80, flags: "R", seq: 101 });
  assertEquals(made.stack.takeError(handle), ECONNRESET);
  syn(made, { fastOpen, payload: "q", sourcePort: 1001 });
  const silent = expect(made.stack.accept(listener));
  made.pass(130_000_000);
  assertEquals(made.stack.info(silent).stateName, "CLOSED");
  assertEquals([...made.stack.connections()].length, 0);
});

Deno.test("an early child can be closed at once: its FIN goes with the answer", () => {
  const { made, listener } = bench(5);
  const synAck = syn(made, { fastOpen: askForCookie(made), payload: "q" });
  const handle = expect(made.stack.accept(listener));
  read(made, handle);
  write(made, handle, "bye");
  made.stack.close(handle, made.now);
  const iss = synAck.tcp!.seq;
  assertFrame(only(made.drain()).bytes, flags("FP."), seq(iss + 1), payload("bye"));
  made.segment({ sourcePort: 1000, destinationPort: 80, flags: ".", seq: 101, ack: iss + 5 });
  const [connection] = made.stack.connections();
  assertEquals(connection.tcb.state, 6, "FIN-WAIT-2");
  assertFrame(
    made.segment({ sourcePort: 1000, destinationPort: 80, flags: "F.", seq: 101, ack: iss + 5 })[0],
    flags("."),
    ack(102),
  );
});

Deno.test("closing the listener resets early children that nobody accepted", () => {
  const { made, listener } = bench(5);
  syn(made, { fastOpen: askForCookie(made), payload: "q" });
  made.stack.close(listener, made.now);
  assertFrame(made.drain()[0], flags("R."));
  assertEquals([...made.stack.connections()].length, 0);
});

Deno.test("bit 0x200 of tcp_fastopen: servers on a trusted net need no cookie", () => {
  const { made, listener } = bench(5, { fastOpen: 0x202 });
  assertFrame(syn(made, { payload: "q" }).bytes, ack(101));
  assertEquals(read(made, expect(made.stack.accept(listener))), "q");
});

Deno.test("TCP_FASTOPEN is read back, and belongs to listeners", () => {
  const { made, listener } = bench(5);
  assertEquals(made.stack.getOption(listener, IPPROTO_TCP, TCP_FASTOPEN), 5);
  assertEquals(setFastOpen(made, listener, -1), -22);
  const { handle } = made.accepted(listener, 7, 80);
  assertEquals(setFastOpen(made, handle, 5), -22);
});
