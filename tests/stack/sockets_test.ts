import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import {
  EADDRINUSE,
  EADDRNOTAVAIL,
  EAGAIN,
  EALREADY,
  EBADF,
  ECONNREFUSED,
  ECONNRESET,
  EINPROGRESS,
  EINVAL,
  EISCONN,
  ENETUNREACH,
  ENOENT,
  ENOPROTOOPT,
  ENOTCONN,
  EOPNOTSUPP,
  EPIPE,
  EPROTONOSUPPORT,
} from "../../lib/errno.ts";
import {
  IP_TOS,
  IP_TTL,
  IPPROTO_IP,
  IPPROTO_TCP,
  READY_ERROR,
  READY_HANGUP,
  READY_READ,
  READY_READ_CLOSED,
  READY_WRITE,
  SHUT_RD,
  SHUT_RDWR,
  SHUT_WR,
  SO_ACCEPTCONN,
  SO_DOMAIN,
  SO_ERROR,
  SO_KEEPALIVE,
  SO_LINGER,
  SO_PROTOCOL,
  SO_REUSEADDR,
  SO_TYPE,
  SocketKind,
  SocketName,
  SOL_SOCKET,
} from "../../lib/stack/stack.ts";
import { Slices } from "../../lib/buffer/memory.ts";
import { EPHEMERAL_FIRST, EPHEMERAL_LAST } from "../../lib/stack/ports.ts";
import { assertFrame, dscp, flags, payload, seq, ttl } from "../support/checker.ts";
import { decode } from "../support/decode.ts";
import { Bench, expect, ip, only, OURS, PEER } from "./helpers.ts";

const bytes = new Uint8Array(65536);

function bench(): Bench {
  const made = new Bench();
  made.learnPeer();
  return made;
}

const stream = (made: Bench) => expect(made.stack.socket(SocketKind.stream));

Deno.test("connect: EINPROGRESS, EALREADY, 0 once it succeeded, EISCONN after that", () => {
  const made = bench();
  const handle = stream(made);
  const connect = () => made.stack.connect(handle, ip(PEER), 80, made.now);
  assertEquals(connect(), -EINPROGRESS);
  assertEquals(connect(), -EALREADY);
  assertEquals(made.stack.readiness(handle), 0);
  assertEquals(made.stack.send(handle, bytes, 0, 1, made.now), -EAGAIN);
  assertEquals(made.stack.receive(handle, bytes, 0, 1, made.now), -EAGAIN);
  const syn = only(made.drain()).tcp!;
  assertEquals(connect(), -EALREADY);
  made.segment({ sourcePort: 80, destinationPort: syn.sourcePort, flags: "S.", ack: syn.seq + 1 });
  assertEquals(made.ready(), [handle]);
  assertEquals(made.stack.readiness(handle), READY_WRITE);
  assertEquals(connect(), 0);
  assertEquals(connect(), -EISCONN);
  assertEquals(made.stack.listen(handle, 1), -EINVAL);
});

Deno.test("connect: a refusal is told once, by SO_ERROR or by the next connect, and the socket may try again", () => {
  const made = bench();
  const handle = stream(made);
  made.stack.setOption(handle, IPPROTO_TCP, 1, 1, made.now);
  const refuse = () => {
    assertEquals(made.stack.connect(handle, ip(PEER), 80, made.now), -EINPROGRESS);
    const syn = only(made.drain()).tcp!;
    made.segment({ sourcePort: 80, destinationPort: syn.sourcePort, flags: "R.", ack: syn.seq + 1 });
    const over = READY_ERROR | READY_HANGUP | READY_READ | READY_READ_CLOSED | READY_WRITE;
    assertEquals(made.stack.readiness(handle), over);
    assertEquals([...made.stack.connections()], []);
    return syn.sourcePort;
  };
  const first = refuse();
  assertEquals(made.stack.connect(handle, ip(PEER), 80, made.now), -ECONNREFUSED);
  assertNotEquals(refuse(), first);
  assertEquals(made.stack.takeError(handle), ECONNREFUSED);
  assertEquals(made.stack.takeError(handle), 0);
  assertEquals(made.stack.connect(handle, ip(PEER), 80, made.now), -103);
  assertEquals(made.stack.connect(handle, ip(PEER), 80, made.now), -EINPROGRESS);
  assertEquals(made.stack.getOption(handle, IPPROTO_TCP, 1), 1, "options outlive the failure");
});

Deno.test("connect: where there is no way", () => {
  const made = bench();
  assertEquals(made.stack.connect(stream(made), ip("8.8.8.8"), 80, made.now), -ENETUNREACH);
  assertEquals(made.stack.connect(stream(made), ip("10.0.0.255"), 80, made.now), -ENETUNREACH);
  assertEquals(made.stack.connect(stream(made), ip("224.0.0.1"), 80, made.now), -ENETUNREACH);
  const local = stream(made);
  expect(made.stack.bind(local, ip("127.0.0.1"), 0));
  assertEquals(made.stack.connect(local, ip(PEER), 80, made.now), -EINVAL);
  assertEquals(made.stack.connect(stream(made), ip(PEER), 70000, made.now), -EINVAL);
});

Deno.test("bind: EADDRNOTAVAIL, EINVAL when bound, EADDRINUSE, and any port", () => {
  const made = bench();
  const a = stream(made);
  assertEquals(made.stack.bind(a, ip(PEER), 80), -EADDRNOTAVAIL);
  assertEquals(made.stack.bind(a, 0, 65536), -EINVAL);
  assertEquals(made.stack.bind(a, ip(OURS), 80), 0);
  assertEquals(made.stack.bind(a, ip(OURS), 81), -EINVAL);
  assertEquals(made.stack.bind(stream(made), ip(OURS), 80), -EADDRINUSE);
  assertEquals(made.stack.bind(stream(made), 0, 80), -EADDRINUSE);
  assertEquals(made.stack.bind(stream(made), ip("127.0.0.1"), 80), 0);
  const udp = expect(made.stack.socket(SocketKind.datagram));
  assertEquals(made.stack.bind(udp, ip(OURS), 80), 0, "UDP has ports of its own");
  const any = stream(made);
  expect(made.stack.bind(any, 0, 0));
  const name = new SocketName();
  made.stack.name(any, name);
  assert(name.localPort >= EPHEMERAL_FIRST && name.localPort <= EPHEMERAL_LAST);
  made.stack.close(a, made.now);
  assertEquals(made.stack.bind(stream(made), ip(OURS), 80), 0);
});

Deno.test("SO_REUSEADDR: both must have it, and only one may listen", () => {
  const made = bench();
  const reusing = () => {
    const handle = stream(made);
    made.stack.setOption(handle, SOL_SOCKET, SO_REUSEADDR, 1, made.now);
    return handle;
  };
  const [a, b] = [reusing(), reusing()];
  expect(made.stack.bind(a, 0, 80));
  assertEquals(made.stack.bind(stream(made), 0, 80), -EADDRINUSE);
  expect(made.stack.bind(b, 0, 80));
  expect(made.stack.listen(a, 1));
  assertEquals(made.stack.listen(b, 1), -EADDRINUSE);
  assertEquals(made.stack.bind(reusing(), 0, 80), -EADDRINUSE, "somebody listens");
});

Deno.test("SO_REUSEADDR: a server restarts while its connections are in TIME-WAIT", () => {
  const made = bench();
  for (const reuse of [1, 0]) {
    const port = 80 + reuse;
    const listener = stream(made);
    made.stack.setOption(listener, SOL_SOCKET, SO_REUSEADDR, reuse, made.now);
    expect(made.stack.bind(listener, 0, port));
    expect(made.stack.listen(listener, 1));
    const { handle, iss } = made.accepted(listener, 5, port);
    made.stack.close(handle, made.now);
    made.drain();
    made.segment({ sourcePort: 5, destinationPort: port, flags: "F.", seq: 1000, ack: iss + 2 });
    made.stack.close(listener, made.now);
    const again = stream(made);
    made.stack.setOption(again, SOL_SOCKET, SO_REUSEADDR, reuse, made.now);
    assertEquals(made.stack.bind(again, 0, port), reuse === 1 ? 0 : -EADDRINUSE);
  }
  made.pass(61e6);
  assertEquals(made.stack.bind(stream(made), 0, 80), 0, "TIME-WAIT is over");
});

Deno.test("ephemeral ports: different peers may share one, bound ones are left alone, and all can run out", () => {
  const made = new Bench();
  for (const peer of [PEER, "10.0.0.6"]) made.learnPeer(peer);
  const used = new Set<number>();
  const name = new SocketName();
  for (let i = 0; i < EPHEMERAL_LAST - EPHEMERAL_FIRST + 1; i++) {
    const handle = stream(made);
    assertEquals(made.stack.connect(handle, ip(PEER), 80, made.now), -EINPROGRESS);
    made.stack.name(handle, name);
    used.add(name.localPort);
  }
  assertEquals(used.size, EPHEMERAL_LAST - EPHEMERAL_FIRST + 1);
  assertEquals(made.stack.connect(stream(made), ip(PEER), 80, made.now), -EADDRNOTAVAIL);
  assertEquals(made.stack.connect(stream(made), ip("10.0.0.6"), 80, made.now), -EINPROGRESS);
  const bound = stream(made);
  assertEquals(made.stack.bind(bound, 0, 40000), -EADDRINUSE);
});

Deno.test("calls on a socket without a connection, on a listener, on the wrong kind and on no handle", () => {
  const made = bench();
  const { stack, now } = made;
  const fresh = stream(made);
  assertEquals(stack.readiness(fresh), READY_WRITE | READY_HANGUP);
  assertEquals(stack.send(fresh, bytes, 0, 1, now), -EPIPE);
  assertEquals(stack.receive(fresh, bytes, 0, 1, now), -ENOTCONN);
  assertEquals(stack.peek(fresh, 1, new Slices()), -ENOTCONN);
  assertEquals(stack.reserve(fresh, 1, new Slices()), -EPIPE);
  assertEquals(stack.shutdown(fresh, SHUT_RDWR, now), -ENOTCONN);
  assertEquals(stack.accept(fresh), -EINVAL);
  const listener = made.listener(80);
  assertEquals(stack.connect(listener, ip(PEER), 80, now), -EISCONN);
  assertEquals(stack.send(listener, bytes, 0, 1, now), -EPIPE);
  assertEquals(stack.receive(listener, bytes, 0, 1, now), -ENOTCONN);
  const udp = expect(stack.socket(SocketKind.datagram));
  assertEquals(stack.listen(udp, 1), -EOPNOTSUPP);
  assertEquals(stack.send(udp, bytes, 0, 1, now), -EOPNOTSUPP);
  assertEquals(stack.accept(-5), -EBADF);
  assertEquals(stack.close(12345, now), -EBADF);
  assertEquals(stack.readiness(12345), 0);
  assertEquals(stack.takeError(12345), EBADF);
  assertThrows(() => stack.info(udp), RangeError);
  // deno-lint-ignore no-explicit-any
  assertEquals(stack.socket(9 as any), -EPROTONOSUPPORT);
});

Deno.test("a handle that was closed never means another socket", () => {
  const made = bench();
  const first = stream(made);
  made.stack.close(first, made.now);
  const second = stream(made);
  assertNotEquals(first, second);
  assertEquals(made.stack.close(first, made.now), -EBADF);
  assertEquals([...made.stack.sockets()], [second]);
});

Deno.test("data both ways, by copy and in place", () => {
  const made = bench();
  const { handle, iss, localPort } = made.connected(80);
  const { stack } = made;
  assertEquals(stack.send(handle, new TextEncoder().encode("hello"), 0, 5, made.now), 5);
  assertFrame(made.drain()[0], flags("P."), seq(iss + 1), payload("hello"));
  const slices = new Slices();
  assert(stack.reserve(handle, 100, slices) === 100);
  slices.memory!.bytes.set(new TextEncoder().encode("there"), slices.offset1);
  stack.commit(handle, 5, made.now);
  assertEquals(made.drain(), [], "Nagle: one small segment at a time");
  const [second] = made.segment({
    sourcePort: 80,
    destinationPort: localPort,
    flags: ".",
    seq: 1000,
    ack: iss + 6,
  });
  assertFrame(second, payload("there"));
  const there = { sourcePort: 80, destinationPort: localPort, ack: iss + 11 };
  made.ready();
  made.segment({ ...there, flags: "P.", seq: 1000, payload: "answer" });
  assertEquals(made.ready(), [handle]);
  assertEquals(stack.readiness(handle), READY_READ | READY_WRITE);
  assertEquals(stack.peek(handle, 3, slices), 3);
  stack.consume(handle, 3, made.now);
  assertEquals(stack.receive(handle, bytes, 0, 100, made.now), 3);
  assertEquals(new TextDecoder().decode(bytes.subarray(0, 3)), "wer");
  assertEquals(stack.receive(handle, bytes, 0, 100, made.now), -EAGAIN);
});

Deno.test("a FIN is the end of file; what follows a close on both sides is TIME-WAIT without a program", () => {
  const made = bench();
  const { handle, iss, localPort } = made.connected(80);
  const there = { sourcePort: 80, destinationPort: localPort };
  made.segment({ ...there, flags: "F.", seq: 1000, ack: iss + 1, payload: "bye" });
  assertEquals(made.stack.readiness(handle), READY_READ | READY_WRITE | READY_READ_CLOSED);
  assertEquals(made.stack.receive(handle, bytes, 0, 10, made.now), 3);
  assertEquals(made.stack.receive(handle, bytes, 0, 10, made.now), 0);
  assertEquals(made.stack.shutdown(handle, SHUT_WR, made.now), 0);
  assertFrame(made.drain()[0], flags("F."));
  assertEquals(made.stack.send(handle, bytes, 0, 1, made.now), -EPIPE);
  assert((made.stack.readiness(handle) & READY_HANGUP) !== 0);
  made.segment({ ...there, flags: ".", seq: 1004, ack: iss + 2 });
  assertEquals([...made.stack.connections()], [], "LAST-ACK ends without TIME-WAIT");
  assertEquals(made.stack.close(handle, made.now), 0);
  assertEquals(made.drain(), []);
});

Deno.test("a reset is told once as ECONNRESET", () => {
  const made = bench();
  const { handle, iss, localPort } = made.connected(80);
  assertEquals(made.stack.connect(handle, ip(PEER), 80, made.now), 0);
  made.segment({ sourcePort: 80, destinationPort: localPort, flags: "R", seq: 1000, ack: iss + 1 });
  assert((made.stack.readiness(handle) & READY_ERROR) !== 0);
  assertEquals(made.stack.receive(handle, bytes, 0, 10, made.now), -ECONNRESET);
  assertEquals(made.stack.receive(handle, bytes, 0, 10, made.now), 0);
  assertEquals(made.stack.send(handle, bytes, 0, 10, made.now), -EPIPE);
  assertEquals(made.stack.connect(handle, ip(PEER), 80, made.now), -EISCONN);
  assertEquals(made.stack.close(handle, made.now), 0);
});

Deno.test("close with unread data, SO_LINGER 0 and abort send a reset", () => {
  const made = bench();
  const unread = made.connected(80);
  made.segment({
    sourcePort: 80,
    destinationPort: unread.localPort,
    flags: "P.",
    seq: 1000,
    ack: unread.iss + 1,
    payload: "x",
  });
  made.drain();
  made.stack.close(unread.handle, made.now);
  assertFrame(made.drain()[0], flags("R."));
  const lingering = made.connected(80);
  assertEquals(made.stack.setOption(lingering.handle, SOL_SOCKET, SO_LINGER, 0, made.now), 0);
  made.stack.close(lingering.handle, made.now);
  assertFrame(made.drain()[0], flags("R."));
  const aborted = made.connected(80);
  made.stack.abort(aborted.handle, made.now);
  assertFrame(made.drain()[0], flags("R."));
  assertEquals([...made.stack.connections()], []);
  assertEquals(made.stack.deadline < Infinity, true, "the neighbor's timer alone");
  assertEquals(made.stack.bufferedBytes, 0);
});

Deno.test("close while connecting forgets the attempt and its port", () => {
  const made = bench();
  const handle = stream(made);
  made.stack.connect(handle, ip(PEER), 80, made.now);
  const syn = only(made.drain()).tcp!;
  made.stack.close(handle, made.now);
  assertEquals([...made.stack.connections()], []);
  assertEquals(made.stack.bind(stream(made), 0, syn.sourcePort), 0);
});

Deno.test("a closed connection sends what it has, and its memory goes when it ends", () => {
  const made = bench();
  const { handle, iss, localPort } = made.connected(80);
  made.stack.send(handle, bytes, 0, 3000, made.now);
  made.stack.close(handle, made.now);
  const sent = made.drain().map((frame) => decode(frame).tcp!.payload.length);
  assertEquals(sent.reduce((sum, length) => sum + length), 3000);
  assert(made.stack.bufferedBytes > 0);
  made.segment({ sourcePort: 80, destinationPort: localPort, flags: "F.", seq: 1000, ack: iss + 3002 });
  assertEquals([...made.stack.connections()], [], "a connection in TIME-WAIT is no longer a whole one");
  assertEquals([...made.stack.timeWaits()].length, 1);
  assertEquals(made.stack.bufferedBytes, 0);
  made.pass(60e6);
  assertEquals([...made.stack.timeWaits()], []);
});

Deno.test("shutdown of a listener ends the listening; of the reading side it is an end of file", () => {
  const made = bench();
  const listener = made.listener(80);
  assertEquals(made.stack.shutdown(listener, SHUT_WR, made.now), 0);
  const { handle } = made.accepted(listener, 1, 80);
  assertEquals(made.stack.shutdown(handle, SHUT_RD, made.now), 0);
  assertEquals(made.stack.receive(handle, bytes, 0, 1, made.now), 0);
  assertEquals(made.stack.shutdown(listener, SHUT_RD, made.now), 0);
  assertFrame(made.segment({ sourcePort: 2, destinationPort: 80, flags: "S" })[0], flags("R."));
  made.stack.abort(handle, made.now);
  made.drain();
  assertEquals(made.stack.listen(listener, 1), 0);
  assertEquals(made.segment({ sourcePort: 3, destinationPort: 80, flags: "S" }).length, 1);
});

Deno.test("options: those that exist answer, the others are refused, accepted sockets inherit", () => {
  const made = bench();
  const { stack, now } = made;
  const listener = made.listener(80);
  assertEquals(stack.getOption(listener, SOL_SOCKET, SO_TYPE), 1);
  assertEquals(stack.getOption(listener, SOL_SOCKET, SO_DOMAIN), 2);
  assertEquals(stack.getOption(listener, SOL_SOCKET, SO_PROTOCOL), 6);
  assertEquals(stack.getOption(listener, SOL_SOCKET, SO_ACCEPTCONN), 1);
  assertEquals(stack.getOption(listener, SOL_SOCKET, SO_ERROR), 0);
  assertEquals(stack.setOption(listener, IPPROTO_IP, IP_TTL, 0, now), -EINVAL);
  assertEquals(stack.setOption(listener, IPPROTO_IP, IP_TTL, 17, now), 0);
  assertEquals(stack.setOption(listener, IPPROTO_IP, IP_TOS, 0xb9, now), 0);
  assertEquals(stack.setOption(listener, SOL_SOCKET, SO_KEEPALIVE, 1, now), 0);
  assertEquals(stack.setOption(listener, SOL_SOCKET, 60, 1, now), -ENOPROTOOPT);
  assertEquals(stack.setOption(listener, IPPROTO_TCP, 31, 1, now), -ENOPROTOOPT);
  assertEquals(stack.setOption(listener, IPPROTO_IP, 99, 1, now), -ENOPROTOOPT);
  assertEquals(stack.setOption(listener, 41, 1, 1, now), -ENOPROTOOPT);
  assertEquals(stack.getOption(listener, 41, 1), -ENOPROTOOPT);
  const [synAck] = made.segment({ sourcePort: 5, destinationPort: 80, flags: "S", seq: 0 });
  const packet = assertFrame(synAck, ttl(17), dscp(0xb8 >> 2));
  made.segment({ sourcePort: 5, destinationPort: 80, flags: ".", seq: 1, ack: packet.tcp!.seq + 1 });
  const handle = expect(stack.accept(listener));
  assertEquals(stack.getOption(handle, SOL_SOCKET, SO_KEEPALIVE), 1);
  assertEquals(stack.getOption(handle, IPPROTO_IP, IP_TTL), 17);
  assertEquals(stack.getOption(handle, IPPROTO_IP, 14), 1500);
  assertEquals(stack.setCongestion(handle, "reno"), 0);
  assertEquals(stack.setCongestion(handle, "vegas"), -ENOENT);
});

Deno.test("two connections with much to send take turns, half of their windows at a time", () => {
  const made = bench();
  const [a, b] = [made.connected(80), made.connected(81)];
  for (const { handle } of [a, b]) made.stack.send(handle, bytes, 0, 8 * 1460, made.now);
  const ports = made.drain().map((frame) => decode(frame).tcp!.destinationPort);
  assertEquals(ports, [80, 81, 80, 81].flatMap((port, i) => Array(i < 2 ? 5 : 3).fill(port)));
});
