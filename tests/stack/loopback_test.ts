import { assert, assertEquals } from "@std/assert";
import { EAGAIN, ECONNREFUSED, EINPROGRESS } from "../../lib/errno.ts";
import { SHUT_WR, SocketKind, SocketName } from "../../lib/stack/stack.ts";
import { Bench, expect, ip, OURS } from "./helpers.ts";

/** Connects within the stack; no frame may leave it. */
function pair(made: Bench, address: string): { client: number; server: number } {
  const listener = made.listener(80);
  const client = expect(made.stack.socket(SocketKind.stream));
  assertEquals(made.stack.connect(client, ip(address), 80, made.now), -EINPROGRESS);
  assertEquals(made.drain(), []);
  return { client, server: expect(made.stack.accept(listener)) };
}

Deno.test("a connection to ourselves, by any of our addresses, never sees the wire", () => {
  for (const [address, local] of [[OURS, OURS], ["127.0.0.1", "127.0.0.1"], ["127.8.8.8", "127.0.0.1"]]) {
    const made = new Bench();
    const { client, server } = pair(made, address);
    const name = new SocketName();
    made.stack.name(client, name);
    assertEquals([name.localAddress, name.remoteAddress], [ip(local), ip(address)]);
    const clientPort = name.localPort;
    made.stack.name(server, name);
    assertEquals([name.localAddress, name.remoteAddress], [ip(address), ip(local)]);
    assertEquals([name.localPort, name.remotePort], [80, clientPort]);
  }
});

Deno.test("connect to 0.0.0.0 means this host", () => {
  const made = new Bench();
  const { client } = pair(made, "0.0.0.0");
  const name = new SocketName();
  made.stack.name(client, name);
  assertEquals(name.remoteAddress, ip("127.0.0.1"));
});

Deno.test("ten megabytes through ourselves, both ends closing as they should", () => {
  const made = new Bench();
  const { client, server } = pair(made, OURS);
  const total = 10_000_000;
  const chunk = Uint8Array.from({ length: 65536 }, (_, i) => i % 251);
  const got = new Uint8Array(65536);
  let [sent, received, isShut] = [0, 0, false];
  for (let rounds = 0; received < total || !isShut; rounds++) {
    assert(rounds < 100_000, `stalled at ${received}`);
    while (sent < total) {
      const at = sent % 251;
      const taken = made.stack.send(client, chunk, at, Math.min(60_000, total - sent), made.now);
      if (taken === -EAGAIN) break;
      sent += expect(taken);
    }
    if (sent === total && !isShut) isShut = made.stack.shutdown(client, SHUT_WR, made.now) === 0;
    assertEquals(made.drain(), []);
    const length = made.stack.receive(server, got, 0, got.length, made.now);
    if (length === -EAGAIN) made.pass(1000);
    else {
      for (let i = 0; i < expect(length); i++) assert(got[i] === (received + i) % 251);
      received += length;
    }
  }
  made.pass(1000);
  assertEquals(made.stack.receive(server, got, 0, 1, made.now), 0);
  made.stack.close(server, made.now);
  made.stack.close(client, made.now);
  made.pass(61e6);
  assertEquals([...made.stack.connections()], []);
  assertEquals(made.stack.bufferedBytes, 0);
});

Deno.test("a port of ours on which nobody listens refuses at once", () => {
  const made = new Bench();
  const client = expect(made.stack.socket(SocketKind.stream));
  made.stack.connect(client, ip("127.0.0.1"), 81, made.now);
  assertEquals(made.drain(), []);
  assertEquals(made.stack.takeError(client), ECONNREFUSED);
});

Deno.test("RFC 9293 3.5: a socket may connect to itself", () => {
  const made = new Bench();
  const handle = expect(made.stack.socket(SocketKind.stream));
  expect(made.stack.bind(handle, ip(OURS), 5555));
  assertEquals(made.stack.connect(handle, ip(OURS), 5555, made.now), -EINPROGRESS);
  assertEquals(made.drain(), []);
  assertEquals(made.stack.info(handle).stateName, "ESTABLISHED");
  made.stack.send(handle, Uint8Array.of(1, 2, 3), 0, 3, made.now);
  made.drain();
  assertEquals(made.stack.receive(handle, new Uint8Array(9), 0, 9, made.now), 3);
});

Deno.test("a full pipe does not keep transmit from coming back", () => {
  const made = new Bench();
  const { client } = pair(made, OURS);
  const big = new Uint8Array(1 << 20);
  while (made.stack.send(client, big, 0, big.length, made.now) > 0) assertEquals(made.drain(), []);
  assertEquals(made.drain(), []);
});
