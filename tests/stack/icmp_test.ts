import { assert, assertEquals } from "@std/assert";
import { EAGAIN, ECONNREFUSED, EHOSTUNREACH, EINVAL, EMSGSIZE } from "../../lib/errno.ts";
import { Datagram, DATAGRAM_DATA, DATAGRAM_ERROR, READY_READ, SocketKind } from "../../lib/stack/stack.ts";
import { icmpFrame, tcpFrame, udpFrame } from "../support/build.ts";
import { assertFrame, dscp, echo, from, icmp, payload, to } from "../support/checker.ts";
import { decode } from "../support/decode.ts";
import { Bench, expect, GATEWAY, ip, only, OURS, PEER } from "./helpers.ts";

const BROADCAST_MAC = "ff:ff:ff:ff:ff:ff";
const UNREACHABLE = 3;
const TIME_EXCEEDED = 11;
const PARAMETER_PROBLEM = 12;

function bench(): Bench {
  const made = new Bench();
  made.learnPeer();
  return made;
}

/** An ICMP error about a frame that we sent. */
function errorAbout(sent: Uint8Array, type: number, code: number, rest = 0, quote = 28): Uint8Array {
  return icmpFrame({
    source: PEER,
    destination: OURS,
    type,
    code,
    rest,
    payload: sent.subarray(14, 14 + quote),
  });
}

function echoSocket(made: Bench): { handle: number; id: number; message: Datagram } {
  const handle = expect(made.stack.socket(SocketKind.icmp));
  expect(made.stack.bind(handle, 0, 4321));
  return { handle, id: 4321, message: new Datagram() };
}

function ping(
  made: Bench,
  handle: number,
  message: Datagram,
  seq: number,
  data = "data",
  ttl = 0,
): Uint8Array[] {
  message.address = ip(PEER);
  message.ttl = ttl;
  message.offset = 0;
  message.bytes.set([8, 0, 1, 2, 0xff, 0xff, seq >> 8, seq & 255, ...new TextEncoder().encode(data)]);
  message.length = 8 + data.length;
  expect(made.stack.sendTo(handle, message, made.now));
  return made.drain();
}

Deno.test("RFC 1122 3.2.2.6: an echo request is answered with its data, whatever its length", () => {
  const made = bench();
  for (const length of [0, 1, 7, 56, 1472]) {
    const data = Uint8Array.from({ length }, (_, i) => i);
    const frame = icmpFrame({
      source: PEER,
      destination: OURS,
      type: 8,
      rest: (77 << 16) | 5,
      payload: data,
    });
    frame[15] = 0xb8;
    const sumFix = (frame[24] << 8 | frame[25]) - 0xb8;
    frame[24] = sumFix >> 8;
    frame[25] = sumFix & 255;
    const [reply] = made.input(frame);
    assertFrame(reply, icmp(0), echo(77, 5), from(OURS), to(PEER), dscp(0xb8 >> 2));
    assertEquals([...decode(reply).icmp!.payload], [...data]);
  }
});

Deno.test("a flood of pings loses nothing, when frames come in bursts too", () => {
  const made = bench();
  let replies = 0;
  for (let burst = 0; burst < 20; burst++) {
    for (let i = 0; i < 500; i++) {
      made.feed(
        icmpFrame({ source: PEER, destination: OURS, type: 8, rest: i, payload: new Uint8Array(56) }),
      );
    }
    replies += made.drain().length;
  }
  assertEquals(replies, 10_000);
  assertEquals(made.stack.bufferedBytes, 0);
});

Deno.test("RFC 1122 3.2.2.6: no answer to a broadcast", () => {
  const made = bench();
  for (const destination of ["255.255.255.255", "10.0.0.255", "224.0.0.1"]) {
    const destinationMac = destination === "224.0.0.1" ? "01:00:5e:00:00:01" : BROADCAST_MAC;
    assertEquals(made.input(icmpFrame({ source: PEER, destination, destinationMac, type: 8 })), []);
  }
  assertEquals(made.drops, { icmpBroadcast: 3 });
});

Deno.test("ICMP messages that are no good are dropped by name", () => {
  const made = bench();
  const damaged = icmpFrame({ source: PEER, destination: OURS, type: 8, payload: "abc" });
  damaged[damaged.length - 1] ^= 1;
  made.input(damaged);
  made.input(icmpFrame({ source: PEER, destination: OURS, type: 13 }));
  made.input(icmpFrame({ source: PEER, destination: OURS, type: 4 }));
  made.input(icmpFrame({ source: PEER, destination: OURS, type: 5, rest: ip(GATEWAY) }));
  made.input(icmpFrame({ source: PEER, destination: OURS, type: 0, rest: 99 << 16 }));
  assertEquals(made.drops, { icmpChecksum: 1, icmpTypeUnknown: 2, icmpRedirectIgnored: 1, icmpNoSocket: 1 });
});

Deno.test("an echo socket sends with its own identifier and hears the reply", () => {
  const made = bench();
  const { handle, id, message } = echoSocket(made);
  const [request] = ping(made, handle, message, 300, "hello", 5);
  assertFrame(request, icmp(8), echo(id, 300), from(OURS), to(PEER));
  assertEquals(decode(request).ipv4!.ttl, 5);
  assertEquals(made.stack.receiveFrom(handle, message), -EAGAIN);
  made.now += 1234;
  const reply = icmpFrame({
    source: PEER,
    destination: OURS,
    type: 0,
    rest: (id << 16) | 300,
    payload: "hello",
    ttl: 61,
  });
  made.input(reply);
  assertEquals(made.ready(), [handle]);
  assert((made.stack.readiness(handle) & READY_READ) !== 0);
  assertEquals(made.stack.receiveFrom(handle, message), 13);
  assertEquals([message.kind, message.ttl, message.receivedAtUs], [DATAGRAM_DATA, 61, made.now]);
  assertEquals([message.address, message.localAddress], [ip(PEER), ip(OURS)]);
  assertEquals(new TextDecoder().decode(message.bytes.subarray(8, 13)), "hello");
  assertEquals((message.bytes[6] << 8) | message.bytes[7], 300);
});

Deno.test("an echo socket sends echo requests only, and not above what a packet holds", () => {
  const made = bench();
  const { handle, message } = echoSocket(made);
  message.address = ip(PEER);
  message.bytes.set([13, 0, 0, 0, 0, 0, 0, 0]);
  message.length = 8;
  assertEquals(made.stack.sendTo(handle, message, made.now), -EINVAL);
  message.bytes[0] = 8;
  message.length = 7;
  assertEquals(made.stack.sendTo(handle, message, made.now), -EINVAL);
  message.length = 65_516;
  assertEquals(made.stack.sendTo(handle, message, made.now), -EMSGSIZE);
  message.length = 65_515;
  assertEquals(made.stack.sendTo(handle, message, made.now), 65_515);
});

Deno.test("time exceeded and unreachable reach the echo socket, with who said so and what about", () => {
  const made = bench();
  const { handle, message } = echoSocket(made);
  const [request] = ping(made, handle, message, 7, "0123456789", 1);
  const report = icmpFrame({
    source: GATEWAY,
    destination: OURS,
    type: TIME_EXCEEDED,
    payload: request.subarray(14),
  });
  made.input(report);
  assertEquals(made.stack.receiveFrom(handle, message), 18);
  assertEquals([message.kind, message.icmpType, message.icmpCode], [DATAGRAM_ERROR, TIME_EXCEEDED, 0]);
  assertEquals([message.errno, message.sourceAddress, message.address], [
    EHOSTUNREACH,
    ip(GATEWAY),
    ip(PEER),
  ]);
  assertEquals([message.bytes[0], message.bytes[7]], [8, 7]);
  made.input(errorAbout(request, UNREACHABLE, 4, 1400));
  assertEquals(made.stack.receiveFrom(handle, message), 8);
  assertEquals([message.errno, message.mtu], [EMSGSIZE, 1400]);
});

Deno.test("RFC 1122 4.1.3.1: UDP without a socket is answered with port unreachable, quoting it", () => {
  const made = bench();
  const sent = udpFrame({
    source: PEER,
    destination: OURS,
    sourcePort: 5000,
    destinationPort: 33434,
    payload: "probe",
  });
  const [error] = made.input(sent);
  assertFrame(error, icmp(UNREACHABLE, 3), from(OURS), to(PEER));
  assertEquals([...decode(error).icmp!.payload], [...sent.subarray(14)]);
  assertEquals(decode(error).ipv4!.dscp, 0xc0 >> 2);
});

Deno.test("RFC 1812 4.3.2.3: a quote is cut so that the error has 576 bytes", () => {
  const made = bench();
  const payload = new Uint8Array(1400);
  const [error] = made.input(
    udpFrame({ source: PEER, destination: OURS, sourcePort: 5000, destinationPort: 33434, payload }),
  );
  assertEquals(decode(error).ipv4!.totalLength, 576);
});

Deno.test("RFC 1122 3.2.2: no error about an error, a broadcast or a fragment", () => {
  const made = bench();
  const probe = { source: PEER, sourcePort: 5000, destinationPort: 33434 };
  assertEquals(
    made.input(udpFrame({ ...probe, destination: "10.0.0.255", destinationMac: BROADCAST_MAC })),
    [],
  );
  assertEquals(made.input(udpFrame({ ...probe, destination: OURS, destinationMac: BROADCAST_MAC })), []);
  assertEquals(made.input(udpFrame({ ...probe, destination: OURS, fragmentOffset: 64 })), []);
  assertEquals(made.stack.counters.icmpErrorsOut, 0);
});

Deno.test("ICMP errors are rate limited: six at once for one peer, then one a second; about fifty at once for all", () => {
  const made = bench();
  const probe = { destination: OURS, sourcePort: 5000, destinationPort: 33434 };
  let errors = 0;
  for (let i = 0; i < 20; i++) errors += made.input(udpFrame({ ...probe, source: PEER })).length;
  assertEquals(errors, 6);
  assertEquals(made.drops, { udpNoSocket: 20, icmpRateLimited: 14 });
  made.now += 1_000_000;
  assertEquals(made.input(udpFrame({ ...probe, source: PEER })).length, 1);
  assertEquals(made.input(udpFrame({ ...probe, source: PEER })).length, 0);
  made.now += 10_000_000;
  for (let host = 10; host < 250; host++) made.learnPeer(`10.0.0.${host}`);
  errors = 0;
  for (let host = 10; host < 250; host++) {
    errors += made.input(udpFrame({ ...probe, source: `10.0.0.${host}` })).length;
  }
  // One token each on average, but not each time: nobody can tell by counting what others caused.
  assert(errors >= 35 && errors <= 70, `${errors} errors`);
});

Deno.test("RFC 1122 4.2.3.9, RFC 5461: unreachable ends a connect with the errno Linux gives", () => {
  for (
    const [type, code, errno] of [
      [UNREACHABLE, 0, 101],
      [UNREACHABLE, 1, EHOSTUNREACH],
      [UNREACHABLE, 2, 92],
      [UNREACHABLE, 3, ECONNREFUSED],
      [UNREACHABLE, 9, 101],
      [UNREACHABLE, 13, EHOSTUNREACH],
      [TIME_EXCEEDED, 0, EHOSTUNREACH],
      [PARAMETER_PROBLEM, 0, 71],
    ]
  ) {
    const made = bench();
    const handle = expect(made.stack.socket(SocketKind.stream));
    made.stack.connect(handle, ip(PEER), 80, made.now);
    const [syn] = made.drain();
    made.input(errorAbout(syn, type, code));
    assertEquals(made.stack.takeError(handle), errno, `type ${type} code ${code}`);
    assertEquals([...made.stack.connections()], []);
  }
});

Deno.test("RFC 5927 4.1: an error that quotes what is not in flight is ignored", () => {
  const made = bench();
  const handle = expect(made.stack.socket(SocketKind.stream));
  made.stack.connect(handle, ip(PEER), 80, made.now);
  const [syn] = made.drain();
  const forged = syn.slice();
  forged[38] ^= 0x40;
  made.input(errorAbout(forged, UNREACHABLE, 3));
  assertEquals(made.stack.takeError(handle), 0);
  const wrongPort = syn.slice();
  wrongPort[35] ^= 1;
  made.input(errorAbout(wrongPort, UNREACHABLE, 3));
  assertEquals(made.stack.takeError(handle), 0);
  assertEquals(made.drops, { icmpNoSocket: 1 });
});

Deno.test("RFC 5461: an established connection survives even a hard error, and keeps it as the soft one", () => {
  const made = bench();
  const { handle } = made.connected(80);
  made.stack.send(handle, new Uint8Array(10), 0, 10, made.now);
  const [segment] = made.drain();
  made.input(errorAbout(segment, UNREACHABLE, 3));
  assertEquals(made.stack.info(handle).stateName, "ESTABLISHED");
  assertEquals(made.stack.takeError(handle), ECONNREFUSED);
});

Deno.test("RFC 1191: fragmentation needed makes the connection send smaller segments at once", () => {
  const made = bench();
  const { handle } = made.connected(80);
  made.stack.send(handle, new Uint8Array(1460), 0, 1460, made.now);
  const [segment] = made.drain();
  assertEquals(decode(segment).tcp!.payload.length, 1460);
  const again = made.input(errorAbout(segment, UNREACHABLE, 4, 1000));
  assert(again.length > 0, "it is sent again without waiting for the timer");
  for (const frame of again) assert(decode(frame).ipv4!.totalLength <= 1000);
});

Deno.test("RFC 1191 7.1: an old router that names no MTU means the next lower plateau", () => {
  const made = bench();
  const { handle } = made.connected(80);
  made.stack.send(handle, new Uint8Array(1460), 0, 1460, made.now);
  const [segment] = made.drain();
  const again = made.input(errorAbout(segment, UNREACHABLE, 4, 0));
  for (const frame of again) assert(decode(frame).ipv4!.totalLength <= 1492);
  assert(again.length > 0);
});

Deno.test("ICMP errors that quote nothing of ours are dropped by name", () => {
  const made = bench();
  const foreign = tcpFrame({
    source: PEER,
    destination: OURS,
    sourcePort: 1,
    destinationPort: 2,
    flags: "S",
  });
  made.input(errorAbout(foreign, UNREACHABLE, 3));
  const ours = tcpFrame({ source: OURS, destination: PEER, sourcePort: 1, destinationPort: 2, flags: "S" });
  made.input(errorAbout(ours, UNREACHABLE, 3, 0, 20));
  made.input(errorAbout(ours, UNREACHABLE, 3, 0, 27));
  made.input(errorAbout(ours, UNREACHABLE, 3, 0, 0));
  made.input(errorAbout(ours, UNREACHABLE, 200));
  made.input(errorAbout(ours, UNREACHABLE, 3));
  assertEquals(made.drops, { icmpQuoteMalformed: 4, icmpCodeUnknown: 1, icmpNoSocket: 1 });
});

Deno.test("a ping to ourselves stays inside", () => {
  const made = bench();
  const { handle, message } = echoSocket(made);
  for (const address of [OURS, "127.0.0.1", "127.9.9.9"]) {
    message.address = ip(address);
    message.bytes.set([8, 0, 0, 0, 0, 0, 0, 1]);
    message.offset = 0;
    message.length = 8;
    expect(made.stack.sendTo(handle, message, made.now));
    assertEquals(made.drain(), []);
    assertEquals(made.stack.receiveFrom(handle, message), 8);
    assertEquals([message.bytes[0], message.address], [0, ip(address)]);
  }
});

Deno.test("the identifier of a socket that was not bound is chosen at the first send, and is its own", () => {
  const made = bench();
  const message = new Datagram();
  const ids = new Set<number>();
  for (let i = 0; i < 5; i++) {
    const handle = expect(made.stack.socket(SocketKind.icmp));
    const packet = only(ping(made, handle, message, 1));
    ids.add(packet.icmp!.id);
    assertFrame(packet.bytes, payload("data"));
  }
  assertEquals(ids.size, 5);
});
