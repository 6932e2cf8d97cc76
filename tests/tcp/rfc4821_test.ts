import { assert, assertEquals } from "@std/assert";
import { receive, send } from "../../lib/tcp/user_calls.ts";
import { Pair } from "./pair.ts";

/** A path that swallows segments with more than `most` bytes of payload and says nothing. */
function blackHole(pair: Pair, most: number): void {
  pair.lose = ({ payload }) => payload.length > most;
}

/** Moves `size` bytes from client to server; returns the virtual seconds it took. */
function transfer(pair: Pair, size: number, limitUs = 600e6): number {
  const { client, server } = pair;
  const buffer = new Uint8Array(1 << 16);
  const chunk = new Uint8Array(1 << 16);
  let sent = 0;
  let got = 0;
  const start = pair.now;
  const done = pair.runUntil(() => {
    if (sent < size) {
      sent += Math.max(0, send(client.tcb, chunk, 0, Math.min(chunk.length, size - sent), pair.now));
    }
    for (let n; (n = receive(server.tcb, buffer, 0, buffer.length, pair.now)) > 0;) got += n;
    return got === size;
  }, limitUs);
  assert(done, `stuck at ${got} of ${size} bytes`);
  return (pair.now - start) / 1e6;
}

Deno.test("RFC 4821 7.7: a black hole is found by timeouts, and data gets through in smaller segments", () => {
  const pair = new Pair();
  pair.connect();
  blackHole(pair, 1100);
  const seconds = transfer(pair, 200_000);
  assert(seconds < 10, `${seconds} s`);
  assert(pair.client.tcb.mtuProbe.enabled);
});

Deno.test("RFC 4821 7.7: a hole below the base size is found too, by halving", () => {
  const pair = new Pair();
  pair.connect();
  blackHole(pair, 400);
  transfer(pair, 20_000, 3600e6);
  assert(pair.client.tcb.snd.mss <= 400);
});

Deno.test("RFC 4821 7.3, 7.6: probes find the largest size that gets through, and cost no window", () => {
  const pair = new Pair();
  pair.connect();
  blackHole(pair, 1300);
  transfer(pair, 3_000_000);
  const { snd, mtuProbe } = pair.client.tcb;
  assert(snd.mss > 1290 && snd.mss <= 1300, `found ${snd.mss}`);
  assert(mtuProbe.high - mtuProbe.low <= 8);
});

Deno.test("RFC 4821: where all sizes get through nothing is probed, and plain loss does not shrink segments", () => {
  const pair = new Pair();
  pair.connect();
  transfer(pair, 100_000);
  assert(!pair.client.tcb.mtuProbe.enabled);
  // Four timeouts in a row with segments that are known to fit.
  let blocked = true;
  pair.lose = () => blocked;
  const { client } = pair;
  send(client.tcb, new Uint8Array(10_000), 0, 10_000, pair.now);
  pair.pass(4e6);
  assertEquals(client.tcb.snd.mss, 1448);
  blocked = false;
  pair.pass(10e6);
  assertEquals(client.tcb.queue.packetsOut, 0);
});

Deno.test("heavy loss that looked like a black hole does not leave segments small for good", () => {
  const pair = new Pair();
  pair.connect();
  const { client } = pair;
  let blocked = true;
  pair.lose = () => blocked;
  send(client.tcb, new Uint8Array(20_000), 0, 20_000, pair.now);
  pair.runUntil(() => client.tcb.mtuProbe.enabled, 600e6);
  assert(client.tcb.snd.mss < 1448);
  blocked = false;
  // A window too small to probe in, for longer than half a minute.
  for (let i = 0; i < 50; i++) {
    pair.pass(1e6);
    client.tcb.cwnd = 2;
    send(client.tcb, new Uint8Array(500), 0, 500, pair.now);
  }
  assertEquals(client.tcb.snd.mss, 1448);
});
