/** Windows and buffers that tune themselves: dynamic right-sizing, the send buffer, and what they never exceed. */
import { assert, assertEquals } from "@std/assert";
import { receive, send } from "../../lib/tcp/user_calls.ts";
import { type End, Pair } from "./pair.ts";

const CHUNK = new Uint8Array(1 << 20);

/** Sends as fast as it can for `us`; the reader takes everything at once unless `read` is false. Bytes read. */
function run(pair: Pair, from: End, to: End, us: number, read = true): number {
  const end = pair.now + us;
  let got = 0;
  pair.runUntil(() => {
    send(from.tcb, CHUNK, 0, CHUNK.length, pair.now);
    for (let n; read && (n = receive(to.tcb, CHUNK, 0, CHUNK.length, pair.now)) > 0;) got += n;
    return pair.now >= end;
  }, us);
  return got;
}

Deno.test("a reader that keeps up gets a larger window, so that a long path can be filled", () => {
  const pair = new Pair({ sendBufferMax: 400_000 });
  pair.delayUs = 50_000;
  pair.connect();
  run(pair, pair.client, pair.server, 1e6);
  assert(pair.server.tcb.rcv.limit > 400_000, `${pair.server.tcb.rcv.limit}`);
  // At full speed now: a send buffer each round trip, not the 64 KB that the window began with.
  const bytes = run(pair, pair.client, pair.server, 500_000);
  assert(bytes > 1_500_000, `${bytes}`);
});

Deno.test("neither buffer grows above its limit", () => {
  const pair = new Pair({ receiveBufferMax: 1 << 18, sendBufferMax: 1 << 19 });
  pair.delayUs = 50_000;
  pair.connect();
  for (let i = 0; i < 5; i++) {
    run(pair, pair.client, pair.server, 300_000);
    assert(pair.server.tcb.rcv.limit <= 1 << 18 && pair.server.tcb.rcv.wnd <= 1 << 18);
    // A chunk that was begun is filled.
    assert(pair.client.tcb.sendLimit <= 1 << 19 && pair.client.tcb.sendBuffer.length <= (1 << 19) + 65_535);
  }
});

Deno.test("a reader that does not read stops the sender at the first limit, and loses nothing", () => {
  const pair = new Pair();
  pair.connect();
  run(pair, pair.client, pair.server, 3e6, false);
  const held = pair.server.tcb.receiveBuffer.length;
  assert(held <= pair.server.tcb.rcv.limit + 128 && held >= 30_000, `${held}`);
  assertEquals(pair.client.tcb.queue.packetsOut, 0);
  const bytes = run(pair, pair.client, pair.server, 200_000);
  assert(bytes > held, `${bytes}`);
});

Deno.test("SO_RCVBUF and SO_SNDBUF fix what they set", () => {
  const pair = new Pair();
  pair.server.tcb.rcv.limit = 30_000;
  pair.server.tcb.rcv.limitFixed = true;
  pair.client.tcb.sendLimit = 40_000;
  pair.client.tcb.user.sendBufferFixed = true;
  pair.connect();
  run(pair, pair.client, pair.server, 1e6);
  assertEquals([pair.server.tcb.rcv.limit, pair.client.tcb.sendLimit], [30_000, 40_000]);
});

Deno.test("a slow reader: the window follows, without a silly one ever being sent", () => {
  const pair = new Pair();
  pair.connect();
  const buffer = new Uint8Array(5000);
  let sizes = 0;
  for (let i = 0; i < 400; i++) {
    send(pair.client.tcb, CHUNK, 0, CHUNK.length, pair.now);
    receive(pair.server.tcb, buffer, 0, buffer.length, pair.now);
    pair.pass(20_000);
  }
  const data = pair.log.filter(({ payload }) => payload.length > 0);
  for (const { payload } of data) if (payload.length < 700) sizes++;
  assert(data.length > 500 && sizes < data.length / 50, `${sizes} small ones of ${data.length}`);
});
