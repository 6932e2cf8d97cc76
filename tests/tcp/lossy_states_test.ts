/** Opening and closing in every order while a fifth of all segments is lost, late or repeated: both ends always end well. */
import { assert, assertEquals } from "@std/assert";
import { State, stateName } from "../../lib/tcp/state.ts";
import { close, openActive, receive, send, shutdown } from "../../lib/tcp/user_calls.ts";
import { Pair } from "./pair.ts";

/** A pair whose link loses a share of the segments and delays others by up to 60 ms. */
function badPair(seed: number, loss = 0.2): Pair {
  const pair = new Pair();
  let state = seed * 7919 + 1;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 8) / 0x1000000;
  };
  pair.lose = (flying) => {
    flying.atUs += Math.floor(random() * 60_000);
    return random() < loss;
  };
  return pair;
}

function names(pair: Pair): string {
  return `${stateName(pair.client.tcb.state)} ${stateName(pair.server.tcb.state)}`;
}

const isOpen = (pair: Pair) =>
  pair.client.tcb.state >= State.ESTABLISHED && pair.server.tcb.state >= State.ESTABLISHED;

function checkGone(pair: Pair, seed: number): void {
  pair.pass(1200e6);
  assertEquals([names(pair), seed], ["CLOSED CLOSED", seed]);
  assertEquals([pair.client.tcb.deadline, pair.server.tcb.deadline], [Infinity, Infinity]);
  assertEquals(pair.pool.allocated, 0);
}

Deno.test("one side opens", () => {
  for (let seed = 0; seed < 100; seed++) {
    const pair = badPair(seed);
    openActive(pair.client.tcb, seed * 1e7 | 0, pair.now);
    assert(pair.runUntil(() => isOpen(pair), 60e6) || pair.client.tcb.state === State.ESTABLISHED, `${seed}`);
  }
});

Deno.test("both sides open at once", () => {
  for (let seed = 0; seed < 200; seed++) {
    // With more loss five SYN-ACKs in a row get lost now and then, and one end rightly gives up.
    const pair = badPair(seed, 0.1);
    openActive(pair.client.tcb, 1000, pair.now);
    openActive(pair.server.tcb, 5000, pair.now);
    assert(pair.runUntil(() => isOpen(pair), 200e6), `seed ${seed}: ${names(pair)}`);
    pair.pass(60e6);
    assertEquals([pair.client.tcb.snd.una, pair.server.tcb.snd.una], [1001, 5001]);
    close(pair.client.tcb, pair.now);
    close(pair.server.tcb, pair.now);
    checkGone(pair, seed);
  }
});

for (const how of ["client first", "server first", "at once", "with data on the way", "with shutdown"]) {
  Deno.test(`closing, ${how}`, () => {
    for (let seed = 0; seed < 100; seed++) {
      const pair = badPair(seed);
      openActive(pair.client.tcb, seed * 43_000_000 | 0, pair.now);
      if (!pair.runUntil(() => isOpen(pair), 60e6)) continue;
      const [first, second] = how === "server first"
        ? [pair.server, pair.client]
        : [pair.client, pair.server];
      const text = new Uint8Array(20_000).fill(7);
      let expected = 0;
      if (how === "with data on the way") expected = send(first.tcb, text, 0, text.length, pair.now);
      if (how === "with shutdown") shutdown(first.tcb, 1, pair.now);
      else if (expected === 0) close(first.tcb, pair.now);
      else shutdown(first.tcb, 1, pair.now);
      if (how === "at once") close(second.tcb, pair.now);
      const got = new Uint8Array(30_000);
      let read = 0;
      assert(
        pair.runUntil(() => {
          const n = receive(second.tcb, got, read, got.length - read, pair.now);
          if (n > 0) read += n;
          return n === 0;
        }, 300e6),
        `seed ${seed}: ${names(pair)}`,
      );
      assertEquals(read, expected);
      close(second.tcb, pair.now);
      close(first.tcb, pair.now);
      checkGone(pair, seed);
    }
  });
}
