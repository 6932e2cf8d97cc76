// Run by memory_test.ts with --v8-flags=--expose-gc: tells in bytes what one end of a connection holds while it is idle,
// and what is left of it in TIME-WAIT.
import { EAGAIN } from "../../lib/errno.ts";
import { SocketKind } from "../../lib/stack/stack.ts";
import { Link } from "../support/link.ts";
import { ok } from "../support/transfer.ts";

const COUNT = 2000;
const collect = (globalThis as unknown as { gc(): void }).gc;

function bytesInUse(): number {
  // The stack remembers who became ready until somebody asks.
  for (const { stack } of [a, b]) while (stack.nextReady() >= 0);
  collect();
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

const link = new Link({ trace: 1 });
const { a, b } = link;
const listener = ok(b.stack.socket(SocketKind.stream), "socket");
ok(b.stack.bind(listener, 0, 80), "bind");
ok(b.stack.listen(listener, 16), "listen");
const message = new Uint8Array(1000);

/** Opens connections over which something went each way, and leaves them alone. */
function open(count: number): { clients: number[]; servers: number[] } {
  const clients: number[] = [];
  const servers: number[] = [];
  for (let i = 0; i < count; i++) {
    const client = ok(a.stack.socket(SocketKind.stream), "socket");
    a.stack.connect(client, b.address, 80, link.now);
    let server = -EAGAIN;
    link.runUntil(() => (server = b.stack.accept(listener)) >= 0, 1e6);
    for (const [{ stack }, handle] of [[a, client], [b, server]] as const) {
      ok(stack.send(handle, message, 0, message.length, link.now), "send");
    }
    link.runFor(1e3);
    for (const [{ stack }, handle] of [[a, client], [b, server]] as const) {
      ok(stack.receive(handle, message, 0, message.length, link.now), "receive");
    }
    clients.push(client);
    servers.push(server);
  }
  link.runFor(1e6);
  return { clients, servers };
}

// So that what is made once, tables and compiled code, is there before.
open(COUNT);
const before = bytesInUse();
const { clients, servers } = open(COUNT);
const idle = (bytesInUse() - before) / COUNT / 2;

for (const [i, client] of clients.entries()) {
  a.stack.close(client, link.now);
  link.runFor(1e3);
  b.stack.close(servers[i], link.now);
  link.runFor(1e3);
}
const waiting = (bytesInUse() - before) / COUNT;
console.log(JSON.stringify({ idle, waiting, inTimeWait: [...a.stack.timeWaits()].length }));
