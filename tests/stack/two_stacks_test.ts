import { assert, assertEquals } from "@std/assert";
import { EADDRNOTAVAIL, EINPROGRESS } from "../../lib/errno.ts";
import { SHUT_WR, SO_REUSEADDR, SocketKind, SOL_SOCKET } from "../../lib/stack/stack.ts";
import { Link } from "../support/link.ts";
import { connect, ok, transfer } from "../support/transfer.ts";

Deno.test("megabytes both ways between two stacks, and nothing is left behind", () => {
  const link = new Link();
  const result = transfer(link, { bytes: 3_000_000, bytesBack: 2_000_000 });
  assertEquals(result.retransmits, { a: 0, b: 0 });
  link.runFor(700e6);
  for (const { stack } of [link.a, link.b]) {
    assertEquals([...stack.connections()], []);
    assertEquals([...stack.sockets()].length, 0);
    assertEquals(stack.bufferedBytes, 0);
    assertEquals(stack.deadline, Infinity);
    assertEquals(Object.keys(stack.counters.namedDrops()), ["arpNotForUs"], "announcements only");
  }
});

Deno.test("the same with segmentation and checksums left to the device", () => {
  const link = new Link({ features: { checksum: true, segmentation: true } });
  transfer(link, { bytes: 5_000_000, bytesBack: 5_000_000 });
  const { framesOut } = link.a.stack.counters;
  assert(framesOut < 2000, `${framesOut} frames for five megabytes`);
});

Deno.test("over a path that loses, delays, duplicates, reorders and damages frames", () => {
  const link = new Link({ impair: "loss=3% delay=5ms jitter=2ms duplicate=2% reorder=2% corrupt=1% seed=7" });
  transfer(link, { bytes: 400_000, bytesBack: 300_000 });
  const drops = { ...link.a.stack.counters.namedDrops(), ...link.b.stack.counters.namedDrops() };
  assert(drops.tcpChecksum > 0, `damage was noticed: ${Object.keys(drops)}`);
});

Deno.test("odd sizes: the checksum over two slices of a ring, the first of odd length", () => {
  const link = new Link();
  transfer(link, { bytes: 1_000_001, bytesBack: 777_777, chunk: 4093 });
});

Deno.test("a thousand connections at once; idle ones have no timers and no buffers", () => {
  const link = new Link();
  const { a, b } = link;
  const listener = ok(b.stack.socket(SocketKind.stream), "socket");
  ok(b.stack.bind(listener, 0, 80), "bind");
  ok(b.stack.listen(listener, 2000), "listen");
  const clients = Array.from({ length: 1000 }, () => {
    const client = ok(a.stack.socket(SocketKind.stream), "socket");
    assertEquals(a.stack.connect(client, b.address, 80, link.now), -EINPROGRESS);
    return client;
  });
  let accepted = 0;
  const acceptAll = () => {
    while (b.stack.accept(listener) >= 0) accepted++;
    return accepted === 1000;
  };
  link.runUntil(acceptAll, 10e6, "a thousand connections");
  for (const client of clients) assertEquals(a.stack.connect(client, b.address, 80, link.now), 0);
  link.runFor(5e6);
  assertEquals([a.stack.bufferedBytes, b.stack.bufferedBytes], [0, 0]);
  assert(link.deadline - link.now > 500e6, "only the neighbors' timers are left");
  for (const client of clients) a.stack.abort(client, link.now);
  link.runFor(1e5);
  assertEquals([...a.stack.connections()].length, 0);
  assertEquals([...b.stack.connections()].length, 0);
});

Deno.test("RFC 9293 3.5, figure 8: both sides open at once", () => {
  const link = new Link();
  const ends = [link.a, link.b].map((host, i) => {
    const handle = ok(host.stack.socket(SocketKind.stream), "socket");
    ok(host.stack.bind(handle, host.address, 5000 + i), "bind");
    return handle;
  });
  assertEquals(link.a.stack.connect(ends[0], link.b.address, 5001, link.now), -EINPROGRESS);
  assertEquals(link.b.stack.connect(ends[1], link.a.address, 5000, link.now), -EINPROGRESS);
  link.runFor(1e6);
  assertEquals(link.a.stack.info(ends[0]).stateName, "ESTABLISHED");
  assertEquals(link.b.stack.info(ends[1]).stateName, "ESTABLISHED");
  link.a.stack.send(ends[0], Uint8Array.of(1, 2), 0, 2, link.now);
  link.runFor(1e5);
  assertEquals(link.b.stack.receive(ends[1], new Uint8Array(9), 0, 9, link.now), 2);
});

Deno.test("RFC 6191: a connection may take the place of its own in TIME-WAIT after a second", () => {
  const link = new Link();
  const { a, b } = link;
  const open = (): [number, number] => {
    const client = ok(a.stack.socket(SocketKind.stream), "socket");
    a.stack.setOption(client, SOL_SOCKET, SO_REUSEADDR, 1, link.now);
    ok(a.stack.bind(client, a.address, 6000), "bind");
    return [client, a.stack.connect(client, b.address, 80, link.now)];
  };
  const listener = ok(b.stack.socket(SocketKind.stream), "socket");
  ok(b.stack.bind(listener, 0, 80), "bind");
  ok(b.stack.listen(listener, 5), "listen");
  const [client, result] = open();
  assertEquals(result, -EINPROGRESS);
  link.runFor(1e5);
  const server = ok(b.stack.accept(listener), "accept");
  a.stack.close(client, link.now);
  link.runFor(1e5);
  b.stack.close(server, link.now);
  link.runFor(1e5);
  assertEquals([...a.stack.timeWaits()].length, 1);
  assertEquals(open()[1], -EADDRNOTAVAIL);
  link.runFor(2e6);
  const [again, second] = open().map((value) => value);
  // The attempt before this one left its socket bound; SO_REUSEADDR lets this one be bound all the same.
  assertEquals(second, -EINPROGRESS);
  link.runFor(1e5);
  assertEquals(a.stack.info(again).stateName, "ESTABLISHED");
  ok(b.stack.accept(listener), "accept");
});

Deno.test("a peer that vanishes: the connection ends after its retransmissions, and says why", () => {
  const link = new Link({ tcp: { retries: 3 } });
  const { client, server } = connect(link);
  link.b.stack.abort(server, link.now);
  // The reset is lost: the cable is cut before it can be sent.
  link.cableA.close();
  link.cableB.close();
  link.a.stack.send(client, new Uint8Array(100), 0, 100, link.now);
  link.runFor(60e6);
  assertEquals(link.a.stack.takeError(client), 110);
  assertEquals([...link.a.stack.connections()].length, 0);
});

Deno.test("half-closed: the other direction goes on", () => {
  const link = new Link();
  const { client, server } = connect(link);
  link.a.stack.shutdown(client, SHUT_WR, link.now);
  link.runFor(1e5);
  const bytes = new Uint8Array(100_000);
  assertEquals(link.b.stack.receive(server, bytes, 0, 10, link.now), 0);
  ok(link.b.stack.send(server, bytes, 0, bytes.length, link.now), "send");
  let got = 0;
  const readAll = () => {
    got += Math.max(0, link.a.stack.receive(client, bytes, 0, bytes.length, link.now));
    return got === bytes.length;
  };
  link.runUntil(readAll, 5e6, "the rest");
  link.b.stack.close(server, link.now);
  link.runFor(1e5);
  assertEquals(link.a.stack.receive(client, bytes, 0, 10, link.now), 0);
});
