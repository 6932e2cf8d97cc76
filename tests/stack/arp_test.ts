import { assert, assertEquals } from "@std/assert";
import { EHOSTUNREACH, EINPROGRESS } from "../../lib/errno.ts";
import { Interface } from "../../lib/stack/interface.ts";
import { MAX_PARKED_PACKETS, NeighborState } from "../../lib/stack/neighbor.ts";
import { Datagram, READY_ERROR, SocketKind } from "../../lib/stack/stack.ts";
import { parseMac } from "../../lib/wire/address.ts";
import { arpFrame, icmpFrame, MAC_A, MAC_B } from "../support/build.ts";
import {
  arpReply,
  arpRequest,
  assertFrame,
  destinationMac,
  echo,
  flags,
  icmp,
  sourceMac,
  to,
} from "../support/checker.ts";
import { Bench, expect, GATEWAY, ip, only, OURS, PEER } from "./helpers.ts";

const BROADCAST_MAC = "ff:ff:ff:ff:ff:ff";
const OTHER_MAC = "02:00:00:00:00:99";
const SECOND = 1e6;

function connecting(bench: Bench, address = PEER): number {
  const handle = expect(bench.stack.socket(SocketKind.stream));
  assertEquals(bench.stack.connect(handle, ip(address), 80, bench.now), -EINPROGRESS);
  return handle;
}

const stateOf = (bench: Bench, address = PEER) =>
  [...bench.stack.network.neighbors()].find((neighbor) => neighbor.address === ip(address))?.state;

Deno.test("RFC 826: a request for our address is answered to its sender, who is remembered", () => {
  const bench = new Bench();
  const [reply, ...more] = bench.input(
    arpFrame({ operation: 1, senderIp: PEER, targetIp: OURS, destinationMac: BROADCAST_MAC }),
  );
  assertFrame(reply, arpReply(OURS, PEER), destinationMac(MAC_A), sourceMac(MAC_B));
  assertEquals(more, []);
  assertEquals(stateOf(bench), NeighborState.STALE);
});

Deno.test("RFC 826: requests for others and answers nobody asked for are neither answered nor remembered", () => {
  const bench = new Bench();
  assertEquals(bench.input(arpFrame({ operation: 1, senderIp: PEER, targetIp: "10.0.0.77" })), []);
  assertEquals(bench.input(arpFrame({ operation: 2, senderIp: PEER, targetIp: OURS })), []);
  assertEquals(bench.input(arpFrame({ operation: 1, senderIp: PEER, targetIp: PEER })), [], "gratuitous");
  assertEquals(stateOf(bench), undefined);
  assertEquals(bench.drops, { arpNotForUs: 2 });
});

Deno.test("RFC 826: an entry follows its host to another Ethernet address", () => {
  const bench = new Bench();
  bench.learnPeer();
  bench.input(arpFrame({ operation: 1, senderIp: PEER, targetIp: PEER, sourceMac: OTHER_MAC }));
  connecting(bench);
  assertFrame(bench.drain()[0], flags("S"), destinationMac(OTHER_MAC));
});

Deno.test("ARP senders that cannot be: group addresses, zero, broadcast, loopback, multicast", () => {
  const bench = new Bench();
  const good = { operation: 1, senderIp: PEER, targetIp: OURS };
  for (
    const bad of [
      { ...good, senderIp: "10.0.0.255" },
      { ...good, senderIp: "127.0.0.1" },
      { ...good, senderIp: "224.0.0.1" },
      { ...good, senderIp: "255.255.255.255" },
    ]
  ) {
    assertEquals(bench.input(arpFrame(bad)), []);
  }
  const group = arpFrame(good);
  group[22] = 0x01; // the sender's Ethernet address inside the packet
  assertEquals(bench.input(group), []);
  const zero = arpFrame(good);
  zero.fill(0, 22, 28);
  assertEquals(bench.input(zero), []);
  assertEquals(bench.drops, { arpSenderInvalid: 6 });
  assertEquals([...bench.stack.network.neighbors()], []);
});

Deno.test("resolve: the SYN waits for the answer and is not recorded as sent before it", () => {
  const bench = new Bench();
  const handle = connecting(bench);
  assertFrame(bench.drain()[0], arpRequest(PEER, OURS), destinationMac(BROADCAST_MAC));
  assertEquals(bench.drain(), []);
  assertEquals(bench.stack.info(handle).tcpi_segs_out, 0, "no state records a segment that was not sent");
  const [syn] = bench.input(arpFrame({ operation: 2, senderIp: PEER, targetIp: OURS }));
  assertFrame(syn, flags("S"), to(PEER, 80), destinationMac(MAC_A));
  assertEquals(bench.stack.info(handle).tcpi_segs_out, 1);
  assertEquals(stateOf(bench), NeighborState.REACHABLE);
});

Deno.test("RFC 1122 2.3.2.1: three requests, a second apart; then connect fails with EHOSTUNREACH", () => {
  const bench = new Bench();
  const handle = connecting(bench);
  const requests = bench.pass(10 * SECOND);
  assertEquals(requests.length, 3);
  for (const request of requests) assertFrame(request, arpRequest(PEER, OURS));
  assert((bench.stack.readiness(handle) & READY_ERROR) !== 0);
  assert(bench.ready().includes(handle));
  assertEquals(bench.stack.takeError(handle), EHOSTUNREACH);
  assertEquals([...bench.stack.connections()].length, 0);
});

Deno.test("a gateway is asked for in the place of what lies behind it", () => {
  const bench = new Bench({ gateway: ip(GATEWAY) });
  connecting(bench, "8.8.8.8");
  assertFrame(bench.drain()[0], arpRequest(GATEWAY, OURS));
  const [syn] = bench.input(arpFrame({ operation: 2, senderIp: GATEWAY, targetIp: OURS }));
  assertFrame(syn, flags("S"), to("8.8.8.8", 80), destinationMac(MAC_A));
});

Deno.test("an established connection whose neighbor vanished goes on by its timers, and gives the reason when it dies", () => {
  const bench = new Bench();
  bench.learnPeer();
  const { handle } = bench.connected(80);
  bench.stack.setOption(handle, 6, 18, 60_000, bench.now); // TCP_USER_TIMEOUT
  bench.pass(700 * SECOND); // the entry lapses
  assertEquals(stateOf(bench), undefined);
  bench.stack.send(handle, new Uint8Array(10), 0, 10, bench.now);
  const sent = bench.pass(120 * SECOND);
  for (const frame of sent) assertFrame(frame, arpRequest(PEER, OURS));
  assert(sent.length >= 6, "it is asked for again with each retransmission");
  assertEquals(bench.stack.takeError(handle), EHOSTUNREACH);
});

Deno.test("RFC 4861 7.3: an entry in use is asked again by unicast once it is stale, unless TCP hears from it", () => {
  const bench = new Bench();
  bench.learnPeer();
  const { handle, iss, localPort } = bench.connected(80);
  assertEquals(
    stateOf(bench),
    NeighborState.REACHABLE,
    "the SYN's acknowledgment is as good as an ARP reply",
  );
  bench.pass(50 * SECOND);
  bench.stack.send(handle, new Uint8Array(10), 0, 10, bench.now);
  bench.drain();
  assertEquals(stateOf(bench), NeighborState.DELAY);
  bench.segment({ sourcePort: 80, destinationPort: localPort, flags: ".", seq: 1000, ack: iss + 11 });
  assertEquals(stateOf(bench), NeighborState.REACHABLE);
  bench.pass(50 * SECOND);
  bench.stack.send(handle, new Uint8Array(10), 0, 10, bench.now);
  bench.drain();
  const arp = bench.pass(5.5 * SECOND).filter((frame) => frame[12] === 8 && frame[13] === 6);
  assertFrame(only(arp) && arp[0], arpRequest(PEER, OURS), destinationMac(MAC_A));
  assertEquals(stateOf(bench), NeighborState.PROBE);
  bench.input(arpFrame({ operation: 2, senderIp: PEER, targetIp: OURS }));
  assertEquals(stateOf(bench), NeighborState.REACHABLE);
});

Deno.test("probing without an answer ends in FAILED, and the next packet asks everybody", () => {
  const bench = new Bench();
  bench.learnPeer();
  bench.input(icmpFrame({ source: PEER, destination: OURS, type: 8 }));
  assertEquals(stateOf(bench), NeighborState.DELAY);
  const probes = bench.pass(8.5 * SECOND);
  assertEquals(probes.length, 3);
  assertEquals(stateOf(bench), NeighborState.FAILED);
  const [request] = bench.input(icmpFrame({ source: PEER, destination: OURS, type: 8 }));
  assertFrame(request, arpRequest(PEER, OURS), destinationMac(BROADCAST_MAC));
});

Deno.test("RFC 1122 2.3.2.2: packets wait for the address, a bounded number, the oldest leaving first", () => {
  const bench = new Bench();
  const sent = MAX_PARKED_PACKETS + 5;
  for (let seq = 0; seq < sent; seq++) {
    bench.input(icmpFrame({ source: PEER, destination: OURS, type: 8, rest: seq }));
  }
  assertEquals(bench.drops, { neighborQueueFull: 5 });
  const replies = bench.input(arpFrame({ operation: 2, senderIp: PEER, targetIp: OURS }));
  assertEquals(replies.length, MAX_PARKED_PACKETS);

  assertFrame(replies[0], icmp(0), echo(0, 5));
});

Deno.test("a ping to a dead neighbor is told so, as a router would", () => {
  const bench = new Bench();
  const handle = expect(bench.stack.socket(SocketKind.icmp));
  const message = new Datagram();
  message.address = ip(PEER);
  message.bytes.set([8, 0, 0, 0, 0, 0, 0, 7]);
  message.length = 8;
  expect(bench.stack.sendTo(handle, message, bench.now));
  bench.pass(4 * SECOND);
  assertEquals(bench.ready(), [handle]);
  assertEquals(bench.stack.receiveFrom(handle, message), 8);
  assertEquals([message.kind, message.errno, message.icmpType, message.icmpCode], [1, EHOSTUNREACH, 3, 1]);
  assertEquals([message.address, message.sourceAddress], [ip(PEER), ip(OURS)]);
  assertEquals(message.bytes[7], 7);
  assertEquals(bench.drops, { neighborUnreachable: 1 });
});

Deno.test("RFC 5227 2.3: a probe and announcements at the start, two seconds apart", () => {
  const bench = new Bench({ announce: true });
  assertEquals(bench.stack.deadline, 0, "the first advance is due at once");
  const first = bench.pass(1);
  assertEquals(first.length, 2);
  assertFrame(first[0], arpRequest(OURS, "0.0.0.0"), destinationMac(BROADCAST_MAC));
  assertFrame(first[1], arpRequest(OURS, OURS), destinationMac(BROADCAST_MAC));
  assertEquals(bench.pass(1.9 * SECOND), []);
  const second = bench.pass(10 * SECOND);
  assertEquals(second.length, 1);
  assertFrame(second[0], arpRequest(OURS, OURS));
  assertEquals(bench.stack.deadline, Infinity);
});

Deno.test("RFC 5227 2.1.1: a probe for our address is answered; its sender is nobody yet", () => {
  const bench = new Bench();
  const [reply] = bench.input(arpFrame({ operation: 1, senderIp: "0.0.0.0", targetIp: OURS }));
  assertFrame(reply, arpReply(OURS, "0.0.0.0"), destinationMac(MAC_A));
  assertEquals([...bench.stack.network.neighbors()], []);
  assertEquals(bench.stack.takeNotice(), null);
});

Deno.test("RFC 5227 2.4: a conflict is reported and the address defended, at most every ten seconds", () => {
  const bench = new Bench();
  const conflict = arpFrame({ operation: 2, senderIp: OURS, sourceMac: OTHER_MAC, targetIp: PEER });
  const [defence, ...more] = bench.input(conflict);
  assertFrame(defence, arpRequest(OURS, OURS), destinationMac(BROADCAST_MAC));
  assertEquals(more, []);
  assertEquals(bench.stack.takeNotice(), {
    kind: "address-conflict",
    address: ip(OURS),
    mac: parseMac(OTHER_MAC)!,
    atUs: bench.now,
  });
  bench.pass(9 * SECOND);
  assertEquals(bench.input(conflict), []);
  assertEquals(bench.stack.takeNotice(), null);
  bench.pass(2 * SECOND);
  assertEquals(bench.input(conflict).length, 1);
  assert(bench.stack.takeNotice() !== null);
  assertEquals([...bench.stack.network.neighbors()], []);
});

Deno.test("our own announcement coming back is no conflict", () => {
  const bench = new Bench();
  assertEquals(bench.input(arpFrame({ operation: 1, senderIp: OURS, targetIp: OURS, sourceMac: MAC_B })), []);
  assertEquals(bench.stack.takeNotice(), null);
});

Deno.test("the table is bounded: the entry unused for longest goes first", () => {
  const features = { checksum: false, segmentation: false };
  const parts = { index: 2, name: "eth0", mac: parseMac(MAC_B)!, mtu: 1500, features, device: 0 };
  const table = new Interface(parts, () => 0).neighbors;
  for (let host = 1; host <= 1500; host++) table.learn(host, 0x020000000000 + host, false, host);
  assertEquals(table.size, 1024);
  assertEquals(table.get(476), undefined);
  assert(table.get(477) !== undefined);
});

Deno.test("an entry that nobody uses for ten minutes is forgotten, and its timer with it", () => {
  const bench = new Bench();
  bench.learnPeer();
  bench.pass(599 * SECOND);
  assertEquals(stateOf(bench), NeighborState.STALE);
  bench.pass(2 * SECOND);
  assertEquals(stateOf(bench), undefined);
  assertEquals(bench.stack.deadline, Infinity);
});
