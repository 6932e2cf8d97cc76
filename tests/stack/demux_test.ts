import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { EAGAIN } from "../../lib/errno.ts";
import { Connection } from "../../lib/stack/connection.ts";
import { ConnectionTable } from "../../lib/stack/connection_table.ts";
import { READY_READ, SocketKind, SocketName } from "../../lib/stack/stack.ts";
import { MemoryPool } from "../../lib/buffer/memory_pool.ts";
import { DEFAULT_SETTINGS } from "../../lib/tcp/settings.ts";
import { Tcb } from "../../lib/tcp/tcb.ts";
import { tcpFrame } from "../support/build.ts";
import {
  ack,
  assertFrame,
  flags,
  from,
  mss,
  type Packet,
  payload,
  seq,
  to,
  win,
  withoutOptions,
} from "../support/checker.ts";
import { Bench, expect, ip, only, OURS, PEER } from "./helpers.ts";

const BROADCAST_MAC = "ff:ff:ff:ff:ff:ff";

function bench(): Bench {
  const made = new Bench();
  made.learnPeer();
  return made;
}

Deno.test("RFC 9293 3.10.7.1: a segment for nobody with ACK is reset at its ACK", () => {
  const made = bench();
  const [reset, ...more] = made.segment({
    sourcePort: 1,
    destinationPort: 9,
    flags: ".",
    seq: 100,
    ack: 777,
  });
  assertFrame(
    reset,
    flags("R"),
    seq(777),
    win(0),
    from(OURS, 9),
    to(PEER, 1),
    payload(""),
    withoutOptions(2, 3, 8),
  );
  assertEquals(more, []);
  assertEquals(made.drops, { tcpNoSocket: 1 });
});

Deno.test("RFC 9293 3.10.7.1: without ACK the reset acknowledges all of the segment", () => {
  const made = bench();
  const nobody = { sourcePort: 1, destinationPort: 9 };
  assertFrame(made.segment({ ...nobody, flags: "S", seq: 100 })[0], flags("R."), seq(0), ack(101));
  assertFrame(made.segment({ ...nobody, flags: "F", seq: 100, payload: "abc" })[0], flags("R."), ack(104));
  assertFrame(made.segment({ ...nobody, flags: "P", seq: -2, payload: "abc" })[0], flags("R."), ack(1));
});

Deno.test("RFC 9293 3.10.7.1: a reset is never answered", () => {
  const made = bench();
  assertEquals(made.segment({ sourcePort: 1, destinationPort: 9, flags: "R" }), []);
  assertEquals(made.segment({ sourcePort: 1, destinationPort: 9, flags: "R." }), []);
});

Deno.test("resets are limited in a flood", () => {
  const made = bench();
  let resets = 0;
  for (let port = 1; port <= 1500; port++) {
    resets += made.segment({ sourcePort: port, destinationPort: 9, flags: "S" }).length;
  }
  assertEquals(resets, 1000);
  assertEquals(made.drops, { tcpNoSocket: 1500, tcpResetRateLimited: 500 });
});

Deno.test("RFC 9293 3.9.2.3: segments to or from groups, to port 0, and with bad checksums are dropped", () => {
  const made = bench();
  made.listener(80);
  const syn = { sourcePort: 1, destinationPort: 80, flags: "S" };
  assertEquals(made.segment({ ...syn, destination: "10.0.0.255", destinationMac: BROADCAST_MAC }), []);
  assertEquals(made.segment({ ...syn, sourcePort: 0 }), []);
  assertEquals(made.segment({ ...syn, destinationPort: 0 }), []);
  const damaged = tcpFrame({ source: PEER, destination: OURS, ...syn });
  damaged[49] ^= 1;
  assertEquals(made.input(damaged), []);
  assertEquals(made.drops, { tcpNotUnicast: 1, tcpPortInvalid: 2, tcpChecksum: 1 });
  assertEquals(made.input(damaged, true).length, 1, "unless the device vouches for it");
});

Deno.test("RFC 9293 3.10.7.2: LISTEN ignores RST, resets ACK, drops what is no SYN", () => {
  const made = bench();
  made.listener(80);
  const there = { sourcePort: 1, destinationPort: 80 };
  assertEquals(made.segment({ ...there, flags: "R" }), []);
  assertFrame(made.segment({ ...there, flags: ".", ack: 5 })[0], flags("R"), seq(5));
  assertFrame(made.segment({ ...there, flags: "S.", ack: 6 })[0], flags("R"), seq(6));
  assertEquals(made.segment({ ...there, flags: "F" }), []);
  assertEquals(made.segment({ ...there, flags: "" }), []);
  assertEquals(made.segment({ ...there, flags: "SF" }), []);
  assertEquals([...made.stack.connections()], []);
});

Deno.test("a SYN becomes a child in SYN-RECEIVED, its ACK makes it acceptable", () => {
  const made = bench();
  const listener = made.listener(80);
  const [synAck] = made.segment({ sourcePort: 5000, destinationPort: 80, flags: "S", seq: 999, mss: 1400 });
  const iss = assertFrame(synAck, flags("S."), ack(1000), mss(1460), from(OURS, 80), to(PEER, 5000)).tcp!.seq;
  assertEquals(made.stack.accept(listener), -EAGAIN);
  assertEquals(made.stack.readiness(listener), 0);
  assertEquals(made.ready(), []);
  made.segment({
    sourcePort: 5000,
    destinationPort: 80,
    flags: "P.",
    seq: 1000,
    ack: iss + 1,
    payload: "hi",
  });
  assertEquals(made.ready(), [listener]);
  assertEquals(made.stack.readiness(listener), READY_READ);
  const handle = expect(made.stack.accept(listener));
  const name = new SocketName();
  made.stack.name(handle, name);
  assertEquals([name.localAddress, name.localPort], [ip(OURS), 80]);
  assertEquals([name.remoteAddress, name.remotePort, name.state], [ip(PEER), 5000, 4]);
  assertEquals(made.ready(), [handle]);
  const bytes = new Uint8Array(10);
  assertEquals(made.stack.receive(handle, bytes, 0, 10, made.now), 2);
});

Deno.test("a listener with an address is preferred to one with any, and hears its own address only", () => {
  const made = new Bench({
    addresses: [{ address: ip(OURS), prefixLength: 24 }, { address: ip("10.0.0.6"), prefixLength: 24 }],
  });
  made.learnPeer();
  const there = { destinationPort: 80, flags: "S" };
  const exact = made.listener(80, 16, ip("10.0.0.6"));
  assertFrame(made.segment({ ...there, sourcePort: 1 })[0], flags("R."));
  const synAck = (destination: string, sourcePort: number) => {
    const packet = only(made.segment({ ...there, destination, sourcePort }));
    made.segment({ ...there, destination, sourcePort, flags: ".", seq: 1, ack: packet.tcp!.seq + 1 });
  };
  const any = expect(made.stack.socket(SocketKind.stream));
  assertEquals(made.stack.bind(any, 0, 80), -98);
  made.stack.setOption(exact, 1, 15, 1, made.now);
  made.stack.setOption(any, 1, 15, 1, made.now);
  expect(made.stack.bind(any, 0, 80));
  expect(made.stack.listen(any, 5));
  synAck("10.0.0.6", 2);
  assert(made.stack.accept(exact) >= 0);
  synAck(OURS, 3);
  assert(made.stack.accept(any) >= 0);
  assertEquals([made.stack.accept(exact), made.stack.accept(any)], [-EAGAIN, -EAGAIN]);
});

Deno.test("SO_REUSEPORT spreads connections over the listeners", () => {
  const made = bench();
  const listeners = [0, 1, 2].map(() => {
    const handle = expect(made.stack.socket(SocketKind.stream));
    made.stack.setOption(handle, 1, 15, 1, made.now);
    expect(made.stack.bind(handle, 0, 80));
    expect(made.stack.listen(handle, 200));
    return handle;
  });
  for (let port = 1; port <= 90; port++) {
    const packet = only(made.segment({ sourcePort: port, destinationPort: 80, flags: "S" }));
    made.segment({ sourcePort: port, destinationPort: 80, flags: ".", seq: 1, ack: packet.tcp!.seq + 1 });
  }
  const counts = listeners.map((listener) => {
    let count = 0;
    while (made.stack.accept(listener) >= 0) count++;
    return count;
  });
  assertEquals(counts.reduce((sum, count) => sum + count), 90);
  for (const count of counts) assert(count > 10, `uneven: ${counts}`);
});

Deno.test("the backlog: n + 1 connections wait, then SYNs and final ACKs are dropped, as on Linux", () => {
  const made = bench();
  const listener = made.listener(80, 1);
  const [halfOpen] = made.segment({ sourcePort: 10, destinationPort: 80, flags: "S", seq: 0 });
  made.accepted(made.listener(81), 1, 81); // another listener is not concerned
  for (const sourcePort of [11, 12]) {
    const packet = only(made.segment({ sourcePort, destinationPort: 80, flags: "S", seq: 0 }));
    made.segment({ sourcePort, destinationPort: 80, flags: ".", seq: 1, ack: packet.tcp!.seq + 1 });
  }
  assertEquals(made.segment({ sourcePort: 13, destinationPort: 80, flags: "S", seq: 0 }), []);
  const lastAck = {
    sourcePort: 10,
    destinationPort: 80,
    flags: ".",
    seq: 1,
    ack: only([halfOpen]).tcp!.seq + 1,
  };
  assertEquals(made.segment(lastAck), []);
  assertEquals(made.drops, { tcpBacklogFull: 2 });
  expect(made.stack.accept(listener));
  made.segment(lastAck);
  expect(made.stack.accept(listener));
  expect(made.stack.accept(listener));
  assertEquals(made.stack.accept(listener), -EAGAIN);
});

Deno.test("a full accept queue is answered with a reset if the settings say so", () => {
  const made = new Bench({ tcp: { abortOnOverflow: true } });
  made.learnPeer();
  made.listener(80, 1);
  const open = (sourcePort: number) => only(made.segment({ sourcePort, destinationPort: 80, flags: "S" }));
  const complete = (sourcePort: number, synAck: Packet) =>
    made.segment({ sourcePort, destinationPort: 80, flags: ".", seq: 1, ack: synAck.tcp!.seq + 1 });
  const late = open(10);
  for (const port of [11, 12]) assertEquals(complete(port, open(port)), []);
  assertFrame(complete(10, late)[0], flags("R."));
  assertEquals([...made.stack.connections()].length, 2);
});

Deno.test("a flood of SYNs is bounded without SYN cookies too, and half-open connections end by themselves", () => {
  const made = new Bench({ tcp: { synCookies: 0 } });
  made.learnPeer();
  made.listener(80, 10);
  for (let port = 1; port <= 1000; port++) {
    made.segment({ sourcePort: port, destinationPort: 80, flags: "S" });
  }
  assertEquals([...made.stack.connections()].length, 11);
  assertEquals(made.drops, { tcpSynQueueFull: 989 });
  made.pass(200e6);
  assertEquals([...made.stack.connections()].length, 0);
  assertEquals(made.segment({ sourcePort: 5, destinationPort: 80, flags: "S" }).length, 1);
});

Deno.test("closing a listener resets what nobody accepted and forgets what is half open; accepted connections stay", () => {
  const made = bench();
  const listener = made.listener(80);
  const { handle } = made.accepted(listener, 1, 80);
  const [synAck] = made.segment({ sourcePort: 2, destinationPort: 80, flags: "S", seq: 0 });
  made.segment({ sourcePort: 2, destinationPort: 80, flags: ".", seq: 1, ack: only([synAck]).tcp!.seq + 1 });
  const halfOpen = only(made.segment({ sourcePort: 3, destinationPort: 80, flags: "S", seq: 0 }));
  made.stack.close(listener, made.now);
  const resets = made.drain();
  assertEquals(resets.length, 1);
  assertFrame(resets[0], flags("R."));
  assertEquals([...made.stack.connections()].length, 1);
  assertEquals(made.stack.info(handle).stateName, "ESTABLISHED");
  const ack = halfOpen.tcp!.seq + 1;
  assertFrame(made.segment({ sourcePort: 3, destinationPort: 80, flags: ".", seq: 1, ack })[0], flags("R"));
  assertFrame(made.segment({ sourcePort: 4, destinationPort: 80, flags: "S" })[0], flags("R."));
});

Deno.test("a child that is reset before it is accepted can be accepted still, as on Linux", () => {
  const made = bench();
  const listener = made.listener(80);
  const [synAck] = made.segment({ sourcePort: 2, destinationPort: 80, flags: "S", seq: 0 });
  made.segment({ sourcePort: 2, destinationPort: 80, flags: ".", seq: 1, ack: only([synAck]).tcp!.seq + 1 });
  made.segment({ sourcePort: 2, destinationPort: 80, flags: "R", seq: 1 });
  assertEquals([...made.stack.connections()].length, 0);
  const handle = expect(made.stack.accept(listener));
  assertEquals(made.stack.receive(handle, new Uint8Array(1), 0, 1, made.now), -104);
});

Deno.test("RFC 6191: a SYN takes the place of a connection in TIME-WAIT, with a sequence number far above", () => {
  const made = bench();
  const listener = made.listener(80);
  const { handle, iss } = made.accepted(listener, 7, 80);
  made.stack.close(handle, made.now);
  assertFrame(made.drain()[0], flags("F."));
  made.segment({ sourcePort: 7, destinationPort: 80, flags: "F.", seq: 1000, ack: iss + 2 });
  assertEquals([...made.stack.timeWaits()].length, 1);
  made.pass(1e6);
  const [synAck] = made.segment({ sourcePort: 7, destinationPort: 80, flags: "S", seq: 50_000, mss: 1460 });
  const packet = assertFrame(synAck, flags("S."), ack(50_001));
  assert(((packet.tcp!.seq - (iss + 2)) | 0) > 65535);
  made.segment({ sourcePort: 7, destinationPort: 80, flags: ".", seq: 50_001, ack: packet.tcp!.seq + 1 });
  assertNotEquals(made.stack.accept(listener), -EAGAIN);
  assertEquals([...made.stack.connections()].length, 1);
});

Deno.test("the table finds each of ten thousand connections, and none that was removed", () => {
  const table = new ConnectionTable(12345);
  const pool = new MemoryPool();
  const tcb = new Tcb(DEFAULT_SETTINGS, pool);
  const all = Array.from(
    { length: 10_000 },
    (_, i) => new Connection(tcb, 1, 80, i >> 8, 1024 + (i & 255), false),
  );
  for (const connection of all) table.add(connection);
  assertEquals(table.size, 10_000);
  for (const each of all) assertEquals(table.get(1, 80, each.remoteAddress, each.remotePort), each);
  assertEquals(table.get(1, 81, 0, 1024), null);
  assertEquals(table.get(2, 80, 0, 1024), null);
  for (let i = 0; i < all.length; i += 2) table.remove(all[i]);
  for (let i = 0; i < all.length; i++) {
    const found = table.get(1, 80, all[i].remoteAddress, all[i].remotePort);
    assertEquals(found, i % 2 === 0 ? null : all[i]);
  }
  assertEquals([...table].length, 5000);
});
