import { assert, assertEquals } from "@std/assert";
import {
  EACCES,
  EAGAIN,
  ECONNREFUSED,
  EDESTADDRREQ,
  EHOSTUNREACH,
  EINVAL,
  EMSGSIZE,
  ENETUNREACH,
  ENOTCONN,
  EPIPE,
} from "../../lib/errno.ts";
import {
  Datagram,
  DATAGRAM_ERROR,
  IP_RECVERR,
  IPPROTO_IP,
  READY_ERROR,
  READY_READ,
  READY_WRITE,
  SHUT_RD,
  SHUT_WR,
  SO_BROADCAST,
  SO_RCVBUF,
  SocketKind,
  SocketName,
  SOL_SOCKET,
} from "../../lib/stack/stack.ts";
import { arpFrame, icmpFrame, udpFrame } from "../support/build.ts";
import { assertFrame, destinationMac, from, payload, to } from "../support/checker.ts";
import { decode } from "../support/decode.ts";
import { Bench, expect, ip, OURS, PEER } from "./helpers.ts";

const BROADCAST_MAC = "ff:ff:ff:ff:ff:ff";

function bench(): Bench {
  const made = new Bench();
  made.learnPeer();
  return made;
}

function socket(made: Bench, port = 0, address = 0): number {
  const handle = expect(made.stack.socket(SocketKind.datagram));
  if (port !== 0) expect(made.stack.bind(handle, address, port));
  return handle;
}

const message = new Datagram();

function send(made: Bench, handle: number, text: string | Uint8Array, address = "", port = 0): number {
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  message.address = address === "" ? 0 : ip(address);
  message.port = port;
  message.ttl = 0;
  message.offset = 0;
  message.bytes.set(bytes);
  message.length = bytes.length;
  return made.stack.sendTo(handle, message, made.now);
}

function receive(made: Bench, handle: number): string | number {
  const length = made.stack.receiveFrom(handle, message);
  return length < 0 ? length : new TextDecoder().decode(message.bytes.subarray(0, length));
}

const datagram = (fields: Partial<Parameters<typeof udpFrame>[0]>) =>
  udpFrame({ source: PEER, destination: OURS, sourcePort: 5000, destinationPort: 53, ...fields });

Deno.test("a datagram goes to the socket bound to its port, with its addresses, and is answered", () => {
  const made = bench();
  const handle = socket(made, 53);
  assertEquals(receive(made, handle), -EAGAIN);
  assertEquals(made.input(datagram({ payload: "query" })), []);
  assertEquals(made.ready(), [handle]);
  assertEquals(made.stack.readiness(handle), READY_READ | READY_WRITE);
  assertEquals(receive(made, handle), "query");
  assertEquals([message.address, message.port], [ip(PEER), 5000]);
  assertEquals([message.localAddress, message.localPort], [ip(OURS), 53]);
  assertEquals(send(made, handle, "answer", PEER, 5000), 6);
  assertFrame(made.drain()[0], from(OURS, 53), to(PEER, 5000), payload("answer"));
});

Deno.test("RFC 768: wrong checksums are dropped, absent ones are not, and a sum of 0 is sent as all ones", () => {
  const made = bench();
  const handle = socket(made, 53);
  const bad = datagram({ payload: "abc" });
  bad[bad.length - 1] ^= 1;
  made.input(bad);
  const none = datagram({ payload: "abc" });
  none[40] = none[41] = 0;
  made.input(none);
  assertEquals(receive(made, handle), "abc");
  assertEquals(receive(made, handle), -EAGAIN);
  assertEquals(made.drops, { udpChecksum: 1 });
  // Two bytes that make the sum come out as 0xffff, so that its complement is 0.
  for (let value = 0; value < 65536; value++) {
    send(made, handle, Uint8Array.of(value >> 8, value & 255), PEER, 5000);
    const [frame] = made.drain();
    assert(frame[40] !== 0 || frame[41] !== 0, "a checksum of 0 would say that there is none");
    if (frame[40] === 255 && frame[41] === 255) return;
  }
  throw new Error("no value gave all ones");
});

Deno.test("the best socket gets it: connected, then bound to the address, then any", () => {
  const made = bench();
  const any = socket(made);
  const exact = socket(made);
  const connected = socket(made);
  for (const handle of [any, exact, connected]) made.stack.setOption(handle, SOL_SOCKET, 2, 1, made.now);
  expect(made.stack.bind(any, 0, 53));
  expect(made.stack.bind(exact, ip(OURS), 53));
  expect(made.stack.bind(connected, 0, 53));
  expect(made.stack.connect(connected, ip(PEER), 5000, made.now));
  made.input(datagram({ payload: "to the connected" }));
  made.input(datagram({ payload: "to the exact", sourcePort: 5001 }));
  made.stack.close(exact, made.now);
  made.input(datagram({ payload: "to any", sourcePort: 5001 }));
  assertEquals(receive(made, connected), "to the connected");
  assertEquals(receive(made, any), "to any");
});

Deno.test("connected: name, default peer, and messages of others are refused", () => {
  const made = bench();
  const handle = socket(made);
  assertEquals(send(made, handle, "x"), -EDESTADDRREQ);
  assertEquals(made.stack.connect(handle, ip("8.8.8.8"), 53, made.now), -ENETUNREACH);
  expect(made.stack.connect(handle, ip(PEER), 5000, made.now));
  const name = new SocketName();
  made.stack.name(handle, name);
  assertEquals([name.localAddress, name.remoteAddress, name.remotePort], [ip(OURS), ip(PEER), 5000]);
  expect(send(made, handle, "hi"));
  assertFrame(made.drain()[0], from(OURS, name.localPort), to(PEER, 5000), payload("hi"));
  made.input(datagram({ sourcePort: 6000, destinationPort: name.localPort, payload: "stranger" }));
  assertEquals(receive(made, handle), -EAGAIN);
  assertEquals(made.drops, { udpNoSocket: 1 });
});

Deno.test("RFC 1122 4.1.3.3: port unreachable is the next call's ECONNREFUSED, on a connected socket", () => {
  const made = bench();
  const connected = socket(made);
  expect(made.stack.connect(connected, ip(PEER), 5000, made.now));
  const unconnected = socket(made, 777);
  for (const handle of [connected, unconnected]) {
    expect(send(made, handle, "x", handle === connected ? "" : PEER, 5000));
    const [sent] = made.drain();
    made.input(
      icmpFrame({ source: PEER, destination: OURS, type: 3, code: 3, payload: sent.subarray(14, 42) }),
    );
  }
  assertEquals(made.ready(), [connected]);
  assertEquals(made.stack.readiness(connected), READY_ERROR | READY_READ | READY_WRITE);
  assertEquals(send(made, connected, "x"), -ECONNREFUSED);
  assertEquals(send(made, connected, "x"), 1);
  assertEquals(send(made, unconnected, "x", PEER, 5000), 1);
});

Deno.test("IP_RECVERR: errors come as messages that quote ours, on unconnected sockets too", () => {
  const made = bench();
  const handle = socket(made, 777);
  assertEquals(made.stack.setOption(handle, IPPROTO_IP, IP_RECVERR, 1, made.now), 0);
  message.ttl = 0;
  expect(send(made, handle, "probe", PEER, 33434));
  const [sent] = made.drain();
  made.input(icmpFrame({ source: "10.0.0.1", destination: OURS, type: 11, payload: sent.subarray(14) }));
  assertEquals(receive(made, handle), "probe");
  assertEquals([message.kind, message.icmpType, message.errno], [DATAGRAM_ERROR, 11, EHOSTUNREACH]);
  assertEquals([message.address, message.port, message.sourceAddress], [ip(PEER), 33434, ip("10.0.0.1")]);
});

Deno.test("broadcast needs SO_BROADCAST, goes to every station, and reaches every socket", () => {
  const made = bench();
  const handle = socket(made, 67);
  assertEquals(send(made, handle, "x", "255.255.255.255", 67), -EACCES);
  made.stack.setOption(handle, SOL_SOCKET, SO_BROADCAST, 1, made.now);
  for (const destination of ["255.255.255.255", "10.0.0.255"]) {
    expect(send(made, handle, "x", destination, 67));
    assertFrame(made.drain()[0], from(OURS, 67), to(destination, 67), destinationMac(BROADCAST_MAC));
  }
  expect(send(made, handle, "x", "224.0.0.251", 5353));
  const [multicast] = made.drain();
  assertFrame(multicast, destinationMac("01:00:5e:00:00:fb"));
  assertEquals(decode(multicast).ipv4!.ttl, 1);
  const [a, b] = [socket(made), socket(made)];
  for (const each of [a, b]) {
    made.stack.setOption(each, SOL_SOCKET, 2, 1, made.now);
    expect(made.stack.bind(each, 0, 68));
  }
  made.input(
    datagram({
      destination: "255.255.255.255",
      destinationMac: BROADCAST_MAC,
      destinationPort: 68,
      payload: "all",
    }),
  );
  assertEquals([receive(made, a), receive(made, b)], ["all", "all"]);
});

Deno.test("sizes: empty is a message, 65507 bytes is the longest", () => {
  const made = bench();
  const handle = socket(made, 53);
  assertEquals(send(made, handle, new Uint8Array(65_508), PEER, 5000), -EMSGSIZE);
  assertEquals(send(made, handle, new Uint8Array(1472), PEER, 5000), 1472);
  assertEquals(send(made, handle, "x", PEER, 0), -EINVAL);
  made.drain();
  made.input(datagram({ payload: "" }));
  assertEquals(receive(made, handle), "");
  assertEquals(send(made, handle, new Uint8Array(65507).fill(1), OURS, 53), 65507);
  assertEquals(made.drain(), []);
  assertEquals(made.stack.receiveFrom(handle, message), 65507);
  assertEquals(send(made, handle, new Uint8Array(65508), OURS, 53), -EMSGSIZE);
  const small = new Datagram(4);
  made.input(datagram({ payload: "longer" }));
  assertEquals([made.stack.receiveFrom(handle, small), small.length], [4, 4]);
});

Deno.test("a socket that nobody reads drops what is beyond its buffer, and gives its memory back", () => {
  const made = bench();
  const handle = socket(made, 53);
  made.stack.setOption(handle, SOL_SOCKET, SO_RCVBUF, 10_000, made.now);
  for (let i = 0; i < 20; i++) made.input(datagram({ payload: new Uint8Array(1000) }));
  assertEquals(made.drops, { udpQueueFull: 12 });
  made.stack.close(handle, made.now);
  assertEquals(made.stack.bufferedBytes, 0);
  assertEquals(made.input(datagram({})).length, 1, "port unreachable");
});

Deno.test("a sender that fills the line waits until there is room", () => {
  const made = bench();
  const handle = socket(made, 53);
  let sent = 0;
  while (send(made, handle, "x", PEER, 5000) === 1) sent++;
  assertEquals(sent, 1024);
  assertEquals(send(made, handle, "x", PEER, 5000), -EAGAIN);
  assertEquals(made.stack.readiness(handle), 0);
  assertEquals(made.drain().length, 1024);
  assertEquals(made.ready(), [handle]);
  assertEquals(made.stack.readiness(handle), READY_WRITE);
});

Deno.test("shutdown of a connected socket", () => {
  const made = bench();
  const handle = socket(made, 53);
  assertEquals(made.stack.shutdown(handle, SHUT_WR, made.now), -ENOTCONN);
  expect(made.stack.connect(handle, ip(PEER), 5000, made.now));
  assertEquals(made.stack.shutdown(handle, SHUT_WR, made.now), 0);
  assertEquals(send(made, handle, "x"), -EPIPE);
  assertEquals(made.stack.shutdown(handle, SHUT_RD, made.now), 0);
  assertEquals(receive(made, handle), "");
});

Deno.test("a message waits for its neighbor and goes when it answers", () => {
  const made = new Bench();
  const handle = socket(made, 53);
  expect(send(made, handle, "x", PEER, 5000));
  assertEquals(made.drain().length, 1);
  assertFrame(made.input(arpFrame({ operation: 2, senderIp: PEER, targetIp: OURS }))[0], payload("x"));
});
