import { assertEquals } from "@std/assert";
import { EAGAIN, EINPROGRESS, EISCONN } from "../../lib/errno.ts";
import { READY_WRITE, SocketKind } from "../../lib/stack/stack.ts";
import { ack, assertFrame, flags, payload, seq, withoutOptions } from "../support/checker.ts";
import type { Packet } from "../support/decode.ts";
import { Bench, expect, ip, only, PEER } from "./helpers.ts";

const IPPROTO_TCP = 6;
const TCP_FASTOPEN_CONNECT = 30;
const FAST_OPEN = 34;
const COOKIE = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);

function bench(tcp = {}): Bench {
  const made = new Bench({ tcp });
  made.learnPeer();
  return made;
}

/** A socket with TCP_FASTOPEN_CONNECT, and what connect answered. */
function connect(made: Bench): { handle: number; result: number } {
  const handle = expect(made.stack.socket(SocketKind.stream));
  assertEquals(made.stack.setOption(handle, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1, made.now), 0);
  return { handle, result: made.stack.connect(handle, ip(PEER), 80, made.now) };
}

const write = (made: Bench, handle: number, text: string) =>
  made.stack.send(handle, new TextEncoder().encode(text), 0, text.length, made.now);

const optionOf = (packet: Packet) => packet.tcp!.options.find(({ kind }) => kind === FAST_OPEN)?.data;

/** The server's SYN-ACK, of `taken` bytes of the SYN's data. */
function answer(made: Bench, syn: Packet, taken = 0, fastOpen?: Uint8Array): Uint8Array[] {
  const { sourcePort } = syn.tcp!;
  return made.segment({
    sourcePort: 80,
    destinationPort: sourcePort,
    flags: "S.",
    seq: 999,
    ack: syn.tcp!.seq + 1 + taken,
    mss: 1000,
    ...(fastOpen ? { fastOpen } : {}),
  });
}

/** Has the stack know a cookie for the peer. */
function learnCookie(made: Bench): void {
  const { handle, result } = connect(made);
  assertEquals(result, -EINPROGRESS);
  answer(made, only(made.drain()), 0, COOKIE);
  made.stack.abort(handle, made.now);
  made.drain();
}

Deno.test("RFC 7413 4.2.1: the first connection asks for a cookie and is opened the long way", () => {
  const made = bench();
  const { handle, result } = connect(made);
  assertEquals(result, -EINPROGRESS);
  const syn = only(made.drain());
  assertEquals(optionOf(syn), new Uint8Array());
  assertEquals(write(made, handle, "x"), -EAGAIN);
  assertFrame(answer(made, syn, 0, COOKIE)[0], flags("."), ack(1000));
  assertEquals(made.stack.info(handle).stateName, "ESTABLISHED");
});

Deno.test("RFC 7413 4.2.2: the next has its SYN wait for data, and sends both with the cookie", () => {
  const made = bench();
  learnCookie(made);
  const { handle, result } = connect(made);
  assertEquals(result, 0, "as Linux: connect says yes before it knows");
  assertEquals(made.pass(10_000_000), [], "nothing to send yet");
  assertEquals(made.stack.readiness(handle), READY_WRITE);
  assertEquals(made.stack.connect(handle, ip(PEER), 80, made.now), -EISCONN);
  made.learnPeer();
  assertEquals(write(made, handle, "question"), 8);
  const syn = only(made.drain());
  assertFrame(syn.bytes, flags("S"), payload("question"));
  assertEquals(optionOf(syn), COOKIE);
  assertEquals(made.stack.readiness(handle), 0);
  assertEquals(write(made, handle, "more"), -EAGAIN);
  assertFrame(answer(made, syn, 8)[0], flags("."), ack(1000), seq(syn.tcp!.seq + 9));
  const info = made.stack.info(handle);
  assertEquals([info.stateName, info.sendQueue, info.tcpi_options & 32], ["ESTABLISHED", 0, 32]);
  assertEquals(info.tcpi_total_retrans, 0);
  assertEquals(made.stack.counters.tcpFastOpenActive, 1);
});

Deno.test("RFC 7413 4.2.2: data that the server did not take is sent again at once", () => {
  const made = bench();
  learnCookie(made);
  const { handle } = connect(made);
  write(made, handle, "question");
  const syn = only(made.drain());
  const [again] = answer(made, syn, 0, COOKIE);
  assertFrame(again, flags("P."), seq(syn.tcp!.seq + 1), ack(1000), payload("question"));
  assertEquals(made.stack.info(handle).tcpi_options & 32, 0);
  assertEquals(made.stack.counters.tcpFastOpenActiveFailures, 1);
  made.segment({
    sourcePort: 80,
    destinationPort: syn.tcp!.sourcePort,
    flags: ".",
    seq: 1000,
    ack: syn.tcp!.seq + 9,
  });
  assertEquals(made.stack.info(handle).sendQueue, 0);
});

Deno.test("what does not fit in the SYN, by the server's MSS, follows after the handshake", () => {
  const made = bench();
  learnCookie(made);
  const { handle } = connect(made);
  assertEquals(write(made, handle, "x".repeat(3000)), 3000);
  const syn = only(made.drain());
  assertFrame(syn.bytes, flags("S"), payload(960));
  const rest = answer(made, syn, 960);
  assertEquals(rest.length, 3);
  assertFrame(rest[0], seq(syn.tcp!.seq + 961), payload(1000));
});

Deno.test("a SYN that is lost goes again without data and cookie, and the way is not tried again", () => {
  const made = bench();
  learnCookie(made);
  const { handle } = connect(made);
  write(made, handle, "question");
  assertEquals(made.drain().length, 1);
  const syn = only(made.pass(1_100_000));
  assertFrame(syn.bytes, flags("S"), payload(0), withoutOptions(FAST_OPEN));
  const [data] = answer(made, syn);
  assertFrame(data, seq(syn.tcp!.seq + 1), payload("question"));
  assertEquals(made.stack.info(handle).stateName, "ESTABLISHED");
  assertEquals(connect(made).result, -EINPROGRESS);
});

Deno.test("a held SYN can be given up: nothing was ever sent", () => {
  const made = bench();
  learnCookie(made);
  const { handle } = connect(made);
  made.stack.close(handle, made.now);
  assertEquals(made.pass(10_000_000), []);
  assertEquals([...made.stack.connections()].length, 0);
});

Deno.test("without the option, or where the settings have no client, a SYN is a SYN", () => {
  for (const [fastOpen, option] of [[3, 0], [2, 1]]) {
    const made = bench({ fastOpen });
    const handle = expect(made.stack.socket(SocketKind.stream));
    made.stack.setOption(handle, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, option, made.now);
    assertEquals(made.stack.connect(handle, ip(PEER), 80, made.now), -EINPROGRESS);
    assertFrame(only(made.drain()).bytes, flags("S"), withoutOptions(FAST_OPEN));
  }
});

Deno.test("a server that knows no Fast Open is asked each time, and serves as always", () => {
  const made = bench();
  for (let i = 0; i < 2; i++) {
    const { handle, result } = connect(made);
    assertEquals(result, -EINPROGRESS);
    answer(made, only(made.drain()));
    assertEquals(made.stack.info(handle).stateName, "ESTABLISHED");
  }
});

Deno.test("both sides ours: the second connection's question is read before its handshake is complete", () => {
  const made = bench();
  const { stack } = made;
  const listener = made.listener(80);
  stack.setOption(listener, IPPROTO_TCP, 23, 5, made.now);
  const localhost = ip("127.0.0.1");
  for (const wanted of [-EINPROGRESS, 0]) {
    const client = expect(stack.socket(SocketKind.stream));
    stack.setOption(client, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1, made.now);
    assertEquals(stack.connect(client, localhost, 80, made.now), wanted);
    made.drain();
    assertEquals(write(made, client, "question"), 8);
    made.drain();
    const server = expect(stack.accept(listener));
    assertEquals(stack.receive(server, new Uint8Array(10), 0, 10, made.now), 8);
    assertEquals(stack.info(client).tcpi_options & 32, wanted === 0 ? 32 : 0);
  }
});
