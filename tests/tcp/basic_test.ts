import { assert, assertEquals } from "@std/assert";
import { State, stateName } from "../../lib/tcp/state.ts";
import { close, receive, send } from "../../lib/tcp/user_calls.ts";
import { type End, Pair } from "./pair.ts";

const states = (pair: Pair) => `${stateName(pair.client.tcb.state)} ${stateName(pair.server.tcb.state)}`;

function readAll(pair: Pair, end: End, into: Uint8Array, at: number): number {
  for (;;) {
    const n = receive(end.tcb, into, at, into.length - at, pair.now);
    if (n <= 0) return at;
    at += n;
  }
}

/** Moves `size` bytes from one end to the other; returns the virtual time it took, in microseconds. */
function transfer(pair: Pair, from: End, to: End, size: number): number {
  const data = new Uint8Array(size).map((_, i) => (i * 31 + (i >> 8)) & 255);
  const got = new Uint8Array(size + 1);
  let sent = 0;
  let received = 0;
  const start = pair.now;
  const done = pair.runUntil(() => {
    if (sent < size) {
      const n = send(from.tcb, data, sent, size - sent, pair.now);
      if (n > 0) sent += n;
    }
    received = readAll(pair, to, got, received);
    return received === size;
  });
  assert(done, `stuck at ${received} of ${size}, ${states(pair)}`);
  assertEquals(got.subarray(0, size), data);
  return pair.now - start;
}

Deno.test("RFC 9293 3.5: the three-way handshake", () => {
  const pair = new Pair();
  pair.connect();
  assertEquals(pair.client.tcb.snd.nxt, 1001);
  assertEquals(pair.server.tcb.rcv.nxt, 1001);
  assertEquals(pair.client.tcb.rcv.nxt, 5001);
});

Deno.test("data both ways, then a normal close", () => {
  const pair = new Pair();
  pair.connect();
  transfer(pair, pair.client, pair.server, 1_000_000);
  transfer(pair, pair.server, pair.client, 1_000_000);
  close(pair.client.tcb, pair.now);
  pair.pass(100_000);
  assertEquals(states(pair), "FIN-WAIT-2 CLOSE-WAIT");
  close(pair.server.tcb, pair.now);
  pair.pass(100_000);
  assertEquals(states(pair), "TIME-WAIT CLOSED");
  pair.pass(61e6);
  assertEquals(pair.client.tcb.state, State.CLOSED);
  assertEquals(pair.client.tcb.deadline, Infinity);
});

for (const loss of [0.01, 0.05, 0.25]) {
  for (const sack of [true, false]) {
    Deno.test(`a transfer at ${loss * 100} % loss, ${sack ? "with" : "without"} SACK`, () => {
      const pair = new Pair({ sack });
      let seed = 12345;
      pair.lose = () => {
        seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
        return (seed >> 8) % 1000 < loss * 1000;
      };
      pair.connect();
      const us = transfer(pair, pair.client, pair.server, 300_000);
      assert(us < (sack ? 60e6 : 3600e6), `took ${us / 1e6} s`);
    });
  }
}
