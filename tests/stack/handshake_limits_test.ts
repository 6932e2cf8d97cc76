import { assertEquals } from "@std/assert";
import { EAGAIN } from "../../lib/errno.ts";
import { ack, assertFrame, flags } from "../support/checker.ts";
import { decode } from "../support/decode.ts";
import { Bench, expect, only } from "./helpers.ts";

const IPPROTO_TCP = 6;
const TCP_SYNCNT = 7;
const TCP_DEFER_ACCEPT = 9;
const SECOND = 1_000_000;

function bench(): Bench {
  const made = new Bench();
  made.learnPeer();
  return made;
}

function deferring(seconds: number): { made: Bench; listener: number } {
  const made = bench();
  const listener = made.listener(80);
  assertEquals(made.stack.setOption(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, seconds, made.now), 0);
  return { made, listener };
}

/** Completes a handshake; what the peer would send next is returned. */
function handshake(made: Bench, sourcePort = 1) {
  const packet = only(made.segment({ sourcePort, destinationPort: 80, flags: "S", seq: 0 }));
  const there = { sourcePort, destinationPort: 80, seq: 1, ack: packet.tcp!.seq + 1 };
  made.segment({ ...there, flags: "." });
  return there;
}

/** The times at which segments with these flags went out, in seconds from now on. */
function sentAt(made: Bench, seconds: number, text: string): number[] {
  const start = made.now;
  const times: number[] = [];
  while (made.now - start < seconds * SECOND) {
    made.learnPeer();
    for (const bytes of made.pass(SECOND / 10)) {
      if (decode(bytes).arp !== undefined) continue;
      assertFrame(bytes, flags(text));
      times.push(Math.floor((made.now - start) / SECOND));
    }
  }
  return times;
}

Deno.test("TCP_DEFER_ACCEPT: the first data makes the connection, whether or not the ACK came before", () => {
  const { made, listener } = deferring(5);
  const there = handshake(made);
  assertEquals(made.stack.accept(listener), -EAGAIN);
  assertEquals(made.drops, { tcpAcceptDeferred: 1 });
  const [answer] = made.segment({ ...there, flags: "P.", payload: "x" });
  assertFrame(answer, flags("."), ack(2));
  expect(made.stack.accept(listener));
});

Deno.test("TCP_DEFER_ACCEPT: a FIN is news enough", () => {
  const { made, listener } = deferring(5);
  made.segment({ ...handshake(made), flags: "F." });
  const handle = expect(made.stack.accept(listener));
  assertEquals(made.stack.receive(handle, new Uint8Array(1), 0, 1, made.now), 0);
});

Deno.test("TCP_DEFER_ACCEPT: the SYN-ACK rests while there is time for data, then asks once more, and the ACK is taken", () => {
  const { made, listener } = deferring(5);
  const there = handshake(made);
  // Five seconds are three timeouts: after 1, 3 and 7 s. Only the last brings out a SYN-ACK.
  assertEquals(sentAt(made, 7.5, "S."), [7]);
  made.segment({ ...there, flags: "." });
  expect(made.stack.accept(listener));
});

Deno.test("TCP_DEFER_ACCEPT: a peer that never acknowledged is asked as always", () => {
  const { made } = deferring(5);
  made.segment({ sourcePort: 1, destinationPort: 80, flags: "S", seq: 0 });
  assertEquals(sentAt(made, 130, "S."), [1, 3, 7, 15, 31]);
  assertEquals([...made.stack.connections()].length, 0);
});

Deno.test("TCP_DEFER_ACCEPT is kept in timeouts of the SYN-ACK, and read back so", () => {
  for (const [set, got] of [[0, 0], [-5, 0], [1, 1], [2, 3], [3, 3], [4, 7], [5, 7], [8, 15], [63, 63]]) {
    const { made, listener } = deferring(set);
    assertEquals(made.stack.getOption(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT), got, `of ${set}`);
  }
});

Deno.test("TCP_SYNCNT: so often is a SYN sent again before connect fails", () => {
  const made = bench();
  const handle = made.stack.socket(1);
  assertEquals(made.stack.getOption(handle, IPPROTO_TCP, TCP_SYNCNT), 6, "the default of the settings");
  assertEquals(made.stack.setOption(handle, IPPROTO_TCP, TCP_SYNCNT, 2, made.now), 0);
  made.stack.connect(handle, 0x0a000004, 80, made.now);
  assertEquals(made.drain().length, 1);
  assertEquals(sentAt(made, 20, "S"), [1, 3]);
  assertEquals(made.stack.info(handle).stateName, "CLOSED");
});

Deno.test("TCP_SYNCNT on a listener: so often is a SYN-ACK sent again", () => {
  const made = bench();
  const listener = made.listener(80);
  made.stack.setOption(listener, IPPROTO_TCP, TCP_SYNCNT, 3, made.now);
  made.segment({ sourcePort: 1, destinationPort: 80, flags: "S", seq: 0 });
  assertEquals(sentAt(made, 60, "S."), [1, 3, 7]);
  assertEquals([...made.stack.connections()].length, 0);
});

/** How many of `count` SYNs from strangers are still half open when so many seconds have passed. */
function leftOf(count: number, backlog: number, seconds: number): number {
  const made = bench();
  made.listener(80, backlog);
  for (let port = 1; port <= count; port++) {
    made.segment({ sourcePort: port, destinationPort: 80, flags: "S", seq: 0 });
  }
  sentAt(made, seconds, "S.");
  return [...made.stack.connections()].length;
}

Deno.test("half open and old: given up early where they take more than half of the places (as Linux prunes them)", () => {
  // Three timeouts, after 1, 3 and 7 s, instead of six; and only until half of the places are free.
  assertEquals([leftOf(11, 10, 6.5), leftOf(11, 10, 7.5)], [11, 5]);
  assertEquals([leftOf(5, 10, 60), leftOf(5, 10, 64)], [5, 0]);
});

Deno.test("half open: many young ones keep the old ones their time", () => {
  const made = bench();
  made.listener(80, 20);
  const syn = (port: number) => made.segment({ sourcePort: port, destinationPort: 80, flags: "S", seq: 0 });
  for (let port = 1; port <= 4; port++) syn(port);
  sentAt(made, 6.5, "S.");
  for (let port = 5; port <= 20; port++) syn(port);
  sentAt(made, 0.8, "S.");
  assertEquals([...made.stack.connections()].length, 20);
});

Deno.test("while the accept queue is full the SYN-ACK goes again, until there is room for its ACK", () => {
  const made = bench();
  const listener = made.listener(80, 0);
  const late = only(made.segment({ sourcePort: 1, destinationPort: 80, flags: "S", seq: 0 })).tcp!.seq + 1;
  const lastAck = { sourcePort: 1, destinationPort: 80, flags: ".", seq: 1, ack: late };
  // The queue of half-open connections is full too: this one comes in with a cookie.
  handshake(made, 2);
  assertEquals(made.segment(lastAck), []);
  assertEquals(sentAt(made, 3.5, "S."), [1, 3]);
  assertEquals(made.segment(lastAck), []);
  expect(made.stack.accept(listener));
  made.segment(lastAck);
  expect(made.stack.accept(listener));
});

/** A connection that we closed first and that is in TIME-WAIT; what the peer's next sequence number is. */
function timeWait(made: Bench, listener: number, timestamps?: [number, number]) {
  const peer = { sourcePort: 9, destinationPort: 80, ...(timestamps ? { timestamps } : {}) };
  const iss = only(made.segment({ ...peer, flags: "S", seq: 999, mss: 1460 })).tcp!.seq;
  made.segment({ ...peer, flags: ".", seq: 1000, ack: iss + 1 });
  const handle = expect(made.stack.accept(listener));
  made.stack.close(handle, made.now);
  assertEquals(made.drain().length, 1);
  made.segment({ ...peer, flags: "F.", seq: 1000, ack: iss + 2 });
  assertEquals([...made.stack.timeWaits()].length, 1);
  return iss;
}

Deno.test("RFC 6191: a SYN beyond the old sequence numbers opens a new connection in TIME-WAIT's place", () => {
  const made = bench();
  const listener = made.listener(80);
  const iss = timeWait(made, listener);
  const synAck = only(made.segment({ sourcePort: 9, destinationPort: 80, flags: "S", seq: 1002, mss: 1460 }));
  assertFrame(synAck.bytes, flags("S."), ack(1003));
  // Linux puts the new numbers well above the old.
  assertEquals((synAck.tcp!.seq - iss) | 0, 2 + 65537);
  made.segment({ sourcePort: 9, destinationPort: 80, flags: ".", seq: 1003, ack: synAck.tcp!.seq + 1 });
  expect(made.stack.accept(listener));
});

Deno.test("RFC 6191: with timestamps a later one is enough; an earlier one is refused, whatever the number", () => {
  const made = bench();
  const listener = made.listener(80);
  timeWait(made, listener, [5000, 0]);
  const syn = { sourcePort: 9, destinationPort: 80, flags: "S", mss: 1460 };
  assertFrame(made.segment({ ...syn, seq: 5000, timestamps: [4999, 0] })[0], flags("."), ack(1001));
  assertFrame(made.segment({ ...syn, seq: 10, timestamps: [5001, 0] })[0], flags("S."), ack(11));
});

Deno.test("a SYN in TIME-WAIT where nobody listens any more is acknowledged, not reset, as on Linux", () => {
  const made = bench();
  const listener = made.listener(80);
  timeWait(made, listener);
  made.stack.close(listener, made.now);
  const [answer] = made.segment({ sourcePort: 9, destinationPort: 80, flags: "S", seq: 1002 });
  assertFrame(answer, flags("."), ack(1001));
  assertEquals([...made.stack.timeWaits()].length, 1);
});

Deno.test("a SYN that ends TIME-WAIT needs no cookie, however many connections are half open", () => {
  const made = bench();
  const listener = made.listener(80, 1);
  timeWait(made, listener);
  for (const sourcePort of [1, 2, 3]) made.segment({ sourcePort, destinationPort: 80, flags: "S" });
  assertEquals(made.stack.counters.tcpSynCookiesSent, 1);
  made.segment({ sourcePort: 9, destinationPort: 80, flags: "S", seq: 1002 });
  assertEquals(made.stack.counters.tcpSynCookiesSent, 1);
});
