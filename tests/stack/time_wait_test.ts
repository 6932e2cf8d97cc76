/** What is left of a connection in TIME-WAIT once no program holds it; and the end of all connections at once. */
import { assert, assertEquals } from "@std/assert";
import { SHUT_WR } from "../../lib/stack/stack.ts";
import { ack, assertFrame, flags, seq, timestamp } from "../support/checker.ts";
import { Link } from "../support/link.ts";
import { connect, ok } from "../support/transfer.ts";
import { Bench } from "./helpers.ts";

const LIFE_US = 60e6;
const PEER = { sourcePort: 7, destinationPort: 80 };

function bench(config?: ConstructorParameters<typeof Bench>[0]): Bench {
  const made = new Bench(config);
  made.learnPeer();
  return made;
}

/** A connection that we closed first; its peer's next number is 1001, ours `next`. */
function timeWait(made: Bench, timestamps?: [number, number]): number {
  const listener = made.listener(80);
  const [synAck] = made.segment({ ...PEER, flags: "S", seq: 999, mss: 1460, timestamps });
  const iss = assertFrame(synAck, flags("S.")).tcp!.seq;
  made.segment({ ...PEER, flags: ".", seq: 1000, ack: iss + 1, timestamps });
  made.stack.close(ok(made.stack.accept(listener), "accept"), made.now);
  made.drain();
  const [last] = made.segment({ ...PEER, flags: "F.", seq: 1000, ack: iss + 2, timestamps });
  assertFrame(last, flags("."), ack(1001));
  assertEquals([[...made.stack.connections()].length, [...made.stack.timeWaits()].length], [0, 1]);
  return iss + 2;
}

Deno.test("TIME-WAIT: a repeated FIN is acknowledged as the first was, and starts the wait again", () => {
  const made = bench();
  const next = timeWait(made, [5000, 0]);
  made.pass(LIFE_US - 1e6);
  const [again] = made.segment({ ...PEER, flags: "F.", seq: 1000, ack: next, timestamps: [5001, 0] });
  assertFrame(again, flags("."), seq(next), ack(1001), timestamp(undefined, 5000));
  made.pass(LIFE_US - 1);
  assertEquals([...made.stack.timeWaits()].length, 1);
  made.pass(1);
  assertEquals([...made.stack.timeWaits()].length, 0);
});

Deno.test("TIME-WAIT: the port is the connection's until the wait is over", () => {
  const made = bench();
  timeWait(made);
  const [entry] = made.stack.timeWaits();
  assertEquals([entry.localPort, entry.remotePort, entry.binding?.port], [80, 7, 80]);
});

Deno.test("TIME-WAIT: data is answered each time, empty segments at a limited rate, an exact reset ends it", () => {
  const made = bench();
  const next = timeWait(made);
  const old = { ...PEER, flags: ".", seq: 900, ack: next };
  assertEquals(made.segment({ ...old, payload: new Uint8Array(50) }).length, 1);
  assertEquals(made.segment({ ...old, payload: new Uint8Array(50) }).length, 1);
  assertEquals([made.segment(old).length, made.segment(old).length], [1, 0]);
  made.segment({ ...PEER, flags: "R", seq: 1000 });
  assertEquals([...made.stack.timeWaits()].length, 1);
  assertEquals(made.segment({ ...PEER, flags: "R", seq: 1001 }).length, 0);
  assertEquals([...made.stack.timeWaits()].length, 0);
});

Deno.test("tcp_max_tw_buckets: what is too much does not wait, but has its last ACK", () => {
  const made = bench({ tcp: { maxTimeWaits: 0 } });
  const listener = made.listener(80);
  const { handle, iss } = made.accepted(listener, 7, 80);
  made.stack.close(handle, made.now);
  made.drain();
  const [last] = made.segment({ ...PEER, flags: "F.", seq: 1000, ack: iss + 2 });
  assertFrame(last, flags("."), ack(1001));
  assertEquals([[...made.stack.connections()].length, [...made.stack.timeWaits()].length], [0, 0]);
  assertEquals(made.stack.counters.tcpTimeWaitOverflows, 1);
  made.stack.close(listener, made.now);
  assertEquals(made.stack.bind(made.stack.socket(1), 0, 80), 0, "the port is free");
});

Deno.test("TIME-WAIT of a connection that a program holds becomes small when it lets go", () => {
  const link = new Link();
  const { client, server } = connect(link);
  ok(link.a.stack.shutdown(client, SHUT_WR, link.now), "shutdown");
  link.runFor(1e5);
  ok(link.b.stack.close(server, link.now), "close");
  link.runFor(1e5);
  assertEquals(link.a.stack.info(client).stateName, "TIME-WAIT");
  assertEquals([...link.a.stack.timeWaits()].length, 0);
  ok(link.a.stack.close(client, link.now), "close");
  assertEquals([[...link.a.stack.connections()].length, [...link.a.stack.timeWaits()].length], [0, 1]);
});

Deno.test("abortAll resets those too that no program holds; TIME-WAIT just ends", () => {
  const link = new Link();
  const { a, b } = link;
  const orphan = connect(link, 80);
  const held = connect(link, 81);
  const waiting = connect(link, 82);
  a.stack.close(orphan.client, link.now);
  a.stack.close(waiting.client, link.now);
  link.runFor(1e5);
  b.stack.close(waiting.server, link.now);
  link.runFor(1e5);
  assertEquals([[...a.stack.connections()].length, [...a.stack.timeWaits()].length], [2, 1]);
  a.stack.abortAll(link.now);
  link.runFor(1e5);
  assertEquals([[...a.stack.connections()].length, [...a.stack.timeWaits()].length], [0, 0]);
  assertEquals([b.stack.takeError(orphan.server), b.stack.takeError(held.server)], [32, 104]);
  assert(a.stack.takeError(held.client) === 0);
});
