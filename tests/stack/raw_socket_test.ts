/** Raw sockets as raw(7) has them: what is copied to them, what the stack fills in, and what it refuses. */
import { assert, assertEquals } from "@std/assert";
import {
  EACCES,
  EADDRNOTAVAIL,
  EAGAIN,
  EDESTADDRREQ,
  EHOSTUNREACH,
  EINVAL,
  EMSGSIZE,
  ENOPROTOOPT,
  EOPNOTSUPP,
  EPROTONOSUPPORT,
} from "../../lib/errno.ts";
import {
  Datagram,
  DATAGRAM_ERROR,
  ICMP_FILTER,
  IP_HDRINCL,
  IP_MTU_DISCOVER,
  IP_PMTUDISC,
  IP_RECVERR,
  IPPROTO_IP,
  SO_BROADCAST,
  SO_PROTOCOL,
  SO_TYPE,
  SocketKind,
  SocketName,
  SOL_RAW,
  SOL_SOCKET,
} from "../../lib/stack/stack.ts";
import { icmpFrame, udpFrame } from "../support/build.ts";
import { decode } from "../support/decode.ts";
import { cut, fixIpChecksum } from "../support/fragments.ts";
import { Bench, expect, GATEWAY, ip, only, OURS, PEER } from "./helpers.ts";

/** A protocol for experiments (RFC 3692). */
const PROTOCOL = 253;

function bench(): Bench {
  const made = new Bench();
  made.learnPeer();
  return made;
}

/** A raw socket and what is done with it. */
class Raw {
  readonly handle: number;
  readonly message = new Datagram();

  constructor(readonly made: Bench, protocol = PROTOCOL) {
    this.handle = expect(made.stack.socket(SocketKind.raw, protocol));
  }

  set(level: number, name: number, value: number): number {
    return this.made.stack.setOption(this.handle, level, name, value, this.made.now);
  }

  get(level: number, name: number): number {
    return this.made.stack.getOption(this.handle, level, name);
  }

  /** What sendto(2) answers. */
  send(bytes: Uint8Array, to = PEER): number {
    this.message.address = ip(to);
    this.message.port = this.message.ttl = this.message.offset = 0;
    this.message.length = bytes.length;
    this.message.bytes.set(bytes);
    return this.made.stack.sendTo(this.handle, this.message, this.made.now);
  }

  receive(): Uint8Array | number {
    const length = this.made.stack.receiveFrom(this.handle, this.message);
    return length < 0 ? length : this.message.bytes.slice(0, length);
  }
}

function bytesOf(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i * 7 + (i >> 8));
}

/** A packet of `protocol` from the peer. */
function frameOf(protocol: number, payload: Uint8Array, destination = OURS, source = PEER): Uint8Array {
  const frame = udpFrame({ source, destination, sourcePort: 1, destinationPort: 2, payload });
  frame[14 + 9] = protocol;
  fixIpChecksum(frame);
  return frame;
}

Deno.test("a packet of its protocol comes whole with its IP header, and calls forth no protocol unreachable", () => {
  const made = bench();
  const [raw, other] = [new Raw(made), new Raw(made, 254)];
  const frame = frameOf(PROTOCOL, bytesOf(100));
  assertEquals(made.input(frame), []);
  assertEquals(made.ready(), [raw.handle]);
  assertEquals(raw.receive(), frame.slice(14));
  assertEquals([raw.message.address, raw.message.port], [ip(PEER), 0]);
  assertEquals(raw.message.localAddress, ip(OURS));
  assertEquals([raw.receive(), other.receive()], [-EAGAIN, -EAGAIN]);
  made.stack.close(raw.handle, made.now);
  assertEquals(only(made.input(frame)).icmp!.code, 2);
});

Deno.test("Ethernet's padding is not part of the packet", () => {
  const made = bench();
  const raw = new Raw(made);
  const frame = frameOf(PROTOCOL, bytesOf(2));
  const padded = new Uint8Array(60);
  padded.set(frame);
  made.input(padded);
  assertEquals(raw.receive(), frame.slice(14));
});

Deno.test("every raw socket has a copy, and the protocol's own part still does its work", () => {
  const made = bench();
  const raws = [new Raw(made, 1), new Raw(made, 1)];
  const request = icmpFrame({ source: PEER, destination: OURS, type: 8, payload: bytesOf(20) });
  assertEquals(only(made.input(request)).icmp!.type, 0);
  for (const raw of raws) assertEquals(raw.receive(), request.slice(14));
});

Deno.test("bind and connect choose what is heard", () => {
  const made = bench();
  const [elsewhere, bound, connected, stranger] = [1, 2, 3, 4].map(() => new Raw(made));
  assertEquals(made.stack.bind(elsewhere.handle, ip("10.0.0.77"), 0), -EADDRNOTAVAIL);
  assertEquals(made.stack.bind(elsewhere.handle, ip("127.0.0.1"), 0), 0);
  assertEquals(made.stack.bind(bound.handle, ip(OURS), 80), 0);
  assertEquals(made.stack.connect(connected.handle, ip(PEER), 0, made.now), 0);
  assertEquals(made.stack.bind(connected.handle, ip(OURS), 0), -EINVAL);
  assertEquals(made.stack.connect(stranger.handle, ip("10.0.0.9"), 0, made.now), 0);
  const name = new SocketName();
  made.stack.name(connected.handle, name);
  // As Linux: the port is the protocol.
  assertEquals([name.localAddress, name.localPort, name.remoteAddress], [ip(OURS), PROTOCOL, ip(PEER)]);
  made.input(frameOf(PROTOCOL, bytesOf(8)));
  const heard = [elsewhere, bound, connected, stranger].map((raw) => typeof raw.receive() !== "number");
  assertEquals(heard, [false, true, true, false]);
  expect(made.stack.connect(stranger.handle, 0, 0, made.now));
  made.input(frameOf(PROTOCOL, bytesOf(8)));
  assert(typeof stranger.receive() !== "number", "dissolved: it hears from all");
});

Deno.test("a datagram in fragments is delivered once, whole, as if it had never been cut", () => {
  const made = bench();
  const raw = new Raw(made);
  const payload = bytesOf(4000);
  const whole = frameOf(PROTOCOL, payload);
  for (const piece of cut(whole, 1500, 77)) {
    assertEquals(raw.receive(), -EAGAIN);
    made.input(piece);
  }
  const packet = raw.receive();
  assert(typeof packet !== "number");
  const header = decode(Uint8Array.of(...whole.subarray(0, 14), ...packet)).ipv4!;
  assertEquals([header.totalLength, header.moreFragments, header.fragmentOffset], [20 + 4008, false, 0]);
  assert(header.checksumOk);
  assertEquals(packet.subarray(28), payload);
});

Deno.test("without IP_HDRINCL the header is the stack's: TTL, TOS, protocol, DF by IP_MTU_DISCOVER", () => {
  const made = bench();
  const raw = new Raw(made);
  expect(raw.set(IPPROTO_IP, 2, 7));
  expect(raw.set(IPPROTO_IP, 1, 0x10));
  assertEquals(raw.send(bytesOf(30)), 30);
  const [frame] = made.drain();
  const { ipv4 } = decode(frame);
  assertEquals([ipv4!.ttl, ipv4!.protocol, ipv4!.dscp, ipv4!.dontFragment], [7, PROTOCOL, 4, true]);
  assertEquals(frame.subarray(34), bytesOf(30));
  expect(raw.set(IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC.dont));
  raw.send(bytesOf(30));
  assertEquals(only(made.drain()).ipv4!.dontFragment, false);
});

Deno.test("what is larger than the MTU is fragmented, or refused with DF", () => {
  const made = bench();
  const raw = new Raw(made);
  assertEquals(raw.send(bytesOf(65_515)), 65_515);
  assertEquals(made.drain().length, Math.ceil(65_515 / 1480));
  assertEquals(raw.send(bytesOf(65_516)), -EMSGSIZE);
  expect(raw.set(IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC.do));
  assertEquals([raw.send(bytesOf(1481)), raw.message.mtu], [-EMSGSIZE, 1500]);
  assertEquals(raw.send(bytesOf(1480)), 1480);
});

Deno.test("IP_HDRINCL: length and checksum are filled in, source and id where they are 0, and nothing else", () => {
  const made = bench();
  const raw = new Raw(made, 255);
  assertEquals(raw.get(IPPROTO_IP, IP_HDRINCL), 1);
  const packet = new Uint8Array(24 + 5);
  // Version 4 and 24 bytes of header, TOS 3, length and id 0, no flags, TTL 9, protocol, checksum wrong, no source.
  packet.set([
    0x46,
    3,
    0,
    0,
    0,
    0,
    0,
    0,
    9,
    PROTOCOL,
    1,
    2,
    0,
    0,
    0,
    0,
    10,
    0,
    0,
    4,
    1,
    1,
    1,
    0,
    1,
    2,
    3,
    4,
    5,
  ]);
  assertEquals(raw.send(packet), packet.length);
  const [frame] = made.drain();
  const { ipv4 } = decode(frame);
  assert(ipv4!.checksumOk);
  assertEquals([ipv4!.totalLength, ipv4!.source, ipv4!.destination, ipv4!.ttl], [29, ip(OURS), ip(PEER), 9]);
  assert(ipv4!.identification !== 0);
  assertEquals(frame.subarray(14 + 20), packet.subarray(20));
  packet.set([0x12, 0x34], 4);
  packet.set([1, 2, 3, 4], 12);
  raw.send(packet);
  const again = only(made.drain()).ipv4!;
  assertEquals([again.source, again.identification], [ip("1.2.3.4"), 0x1234]);
});

Deno.test("IP_HDRINCL: what is no header is EINVAL, what the device does not take EMSGSIZE", () => {
  const made = bench();
  const raw = new Raw(made);
  expect(raw.set(IPPROTO_IP, IP_HDRINCL, 1));
  const packet = new Uint8Array(1501);
  packet[0] = 0x45;
  assertEquals([raw.send(packet.subarray(0, 19)), raw.send(packet)], [-EINVAL, -EMSGSIZE]);
  assertEquals(raw.message.mtu, 1500);
  assertEquals(raw.send(packet.subarray(0, 1500)), 1500);
  packet[0] = 0x44;
  assertEquals(raw.send(packet.subarray(0, 40)), -EINVAL);
  packet[0] = 0x4f;
  assertEquals(raw.send(packet.subarray(0, 40)), -EINVAL);
});

Deno.test("a packet to ourselves comes back to the raw sockets, with its own header or ours", () => {
  const made = bench();
  const [raw, header] = [new Raw(made), new Raw(made, 255)];
  raw.send(bytesOf(10), OURS);
  assertEquals(made.drain(), []);
  assertEquals((raw.receive() as Uint8Array).subarray(20), bytesOf(10));
  const packet = new Uint8Array(28);
  packet.set([
    0x45,
    0,
    0,
    0,
    0,
    7,
    0,
    0,
    9,
    PROTOCOL,
    0,
    0,
    10,
    0,
    0,
    5,
    10,
    0,
    0,
    5,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
  ]);
  header.send(packet, OURS);
  made.drain();
  assertEquals((raw.receive() as Uint8Array).subarray(20), packet.subarray(20));
});

Deno.test("what a program sends to ourselves is believed no more than what comes from the wire", () => {
  const made = bench();
  const udp = expect(made.stack.socket(SocketKind.datagram));
  expect(made.stack.bind(udp, 0, 9));
  const raw = new Raw(made, 17);
  const datagram = Uint8Array.of(0, 7, 0, 9, 0, 10, 0x12, 0x34, 1, 2);
  raw.send(datagram, OURS);
  made.drain();
  assertEquals([made.stack.receiveFrom(udp, raw.message), made.drops], [-EAGAIN, { udpChecksum: 1 }]);
  // No checksum (RFC 768).
  datagram.set([0, 0], 6);
  raw.send(datagram, OURS);
  made.drain();
  assertEquals(made.stack.receiveFrom(udp, raw.message), 2);
});

Deno.test("ICMP_FILTER keeps types away", () => {
  const made = bench();
  const raw = new Raw(made, 1);
  expect(raw.set(SOL_RAW, ICMP_FILTER, ~(1 << 0)));
  assertEquals(raw.get(SOL_RAW, ICMP_FILTER), 0xfffffffe);
  made.input(icmpFrame({ source: PEER, destination: OURS, type: 8 }));
  assertEquals(raw.receive(), -EAGAIN);
  made.input(icmpFrame({ source: PEER, destination: OURS, type: 0 }));
  assert(typeof raw.receive() !== "number");
  assertEquals(new Raw(made).set(SOL_RAW, ICMP_FILTER, 1), -EOPNOTSUPP);
});

Deno.test("an ICMP error: queued with IP_RECVERR, of a connected socket the next call's, of another nobody's", () => {
  const made = bench();
  const [queueing, header, connected, silent] = [1, 2, 3, 4].map(() => new Raw(made));
  expect(queueing.set(IPPROTO_IP, IP_RECVERR, 1));
  expect(header.set(IPPROTO_IP, IP_RECVERR, 1));
  expect(header.set(IPPROTO_IP, IP_HDRINCL, 1));
  expect(made.stack.connect(connected.handle, ip(PEER), 0, made.now));
  queueing.send(bytesOf(40));
  const [sent] = made.drain();
  const about = (type: number, code: number) =>
    icmpFrame({ source: GATEWAY, destination: OURS, type, code, payload: sent.subarray(14) });
  made.input(about(11, 0));
  assertEquals(queueing.receive(), bytesOf(40));
  const { kind, errno, icmpType, sourceAddress, address, port } = queueing.message;
  assertEquals([kind, errno, icmpType], [DATAGRAM_ERROR, EHOSTUNREACH, 11]);
  assertEquals([sourceAddress, address, port], [ip(GATEWAY), ip(PEER), 0]);
  assertEquals(header.receive(), sent.slice(14));
  assertEquals([connected.receive(), silent.receive()], [-EAGAIN, -EAGAIN]);
  made.input(about(3, 2));
  assertEquals([connected.receive(), silent.receive()], [-92, -EAGAIN]);
  assertEquals(made.drops, {});
});

Deno.test("fragmentation needed teaches the path MTU of a protocol that only raw sockets speak", () => {
  const made = bench();
  const raw = new Raw(made);
  raw.send(bytesOf(1400));
  const [sent] = made.drain();
  const payload = sent.subarray(14, 14 + 28);
  made.input(icmpFrame({ source: GATEWAY, destination: OURS, type: 3, code: 4, rest: 900, payload }));
  raw.send(bytesOf(1400));
  assertEquals(made.drain().length, 2);
});

Deno.test("what cannot be is refused as Linux does", () => {
  const made = bench();
  const { stack } = made;
  assertEquals(stack.socket(SocketKind.raw), -EPROTONOSUPPORT);
  assertEquals([stack.socket(SocketKind.raw, 256), stack.socket(SocketKind.raw, -1)], [-EINVAL, -EINVAL]);
  const raw = new Raw(made);
  assertEquals([raw.get(SOL_SOCKET, SO_TYPE), raw.get(SOL_SOCKET, SO_PROTOCOL)], [3, PROTOCOL]);
  assertEquals(raw.send(bytesOf(1), "0.0.0.0"), -EDESTADDRREQ);
  assertEquals(raw.send(bytesOf(1), "10.0.0.255"), -EACCES);
  expect(raw.set(SOL_SOCKET, SO_BROADCAST, 1));
  assertEquals(raw.send(bytesOf(1), "10.0.0.255"), 1);
  const datagrams = expect(stack.socket(SocketKind.datagram));
  assertEquals(stack.setOption(datagrams, IPPROTO_IP, IP_HDRINCL, 1, made.now), -ENOPROTOOPT);
});
