/** Overlapping, repeated, out-of-order and oddly cut data against a naive oracle, with sequence numbers that wrap. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { State } from "../../lib/tcp/state.ts";
import { openActive, receive, send, shutdown } from "../../lib/tcp/user_calls.ts";
import { Pair } from "./pair.ts";
import { Bench, byteAt } from "./segments.ts";

/** First sequence numbers near which int32 arithmetic goes wrong. */
const ISNS = [1000, 0, -1, -300, -2500, 0x7fffffff, 0x7fffffff - 1200, -0x80000000];

/** A stream of `SIZE` bytes, cut at random, with the FIN behind it. */
const SIZE = 3000;

const pieces = fc.array(
  fc.record({
    from: fc.integer({ min: -50, max: SIZE }),
    length: fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 1500 })),
    read: fc.integer({ min: 0, max: 800 }),
  }),
  { minLength: 1, maxLength: 60 },
);

/** Which bytes have arrived: the naive oracle. */
class Oracle {
  private readonly got = new Uint8Array(SIZE);
  take(from: number, to: number): void {
    for (let i = Math.max(0, from); i < Math.min(to, SIZE); i++) this.got[i] = 1;
  }
  get next(): number {
    const gap = this.got.indexOf(0);
    return gap < 0 ? SIZE : gap;
  }
  isBlock(left: number, right: number): boolean {
    for (let i = left; i < right; i++) if (this.got[i] === 0) return false;
    return true;
  }
}

Deno.test("random segments: RCV.NXT, the bytes read, and the SACK blocks are those of the oracle", () => {
  fc.assert(
    fc.property(pieces, fc.constantFrom(...ISNS), (list, irs) => {
      const b = Bench.accept({ receiveBuffer: 8000, receiveBufferMax: 8000 }, { iss: irs });
      const oracle = new Oracle();
      for (const { from, length, read } of list) {
        const start = Math.max(from, -1000);
        const end = Math.min(start + length, SIZE);
        if (end < start) continue;
        const before = oracle.next;
        b.arrives(`. ${start + 1}:${end + 1}(${end - start}) ack 1`);
        oracle.take(start, end);
        assertEquals((b.tcb.rcv.nxt - irs - 1) | 0, oracle.next);
        const { header, text } = b.last ?? { header: null, text: "" };
        if (header !== null && b.sent.length > 0) {
          for (let i = 0; i < header.sackCount; i++) {
            const left = (header.sackLeft[i] - irs - 1) | 0;
            const right = (header.sackRight[i] - irs - 1) | 0;
            assert(left < right && oracle.isBlock(Math.max(0, left), right), text);
          }
        }
        if (oracle.next > before && from > before) throw new Error("the oracle is wrong");
        b.sent = [];
        if (read > 0 && b.received < oracle.next) b.read(read);
        b.pass(1000);
      }
      // Whatever is missing comes once more, with the FIN.
      for (let at = 0; at < SIZE; at += 700) {
        const end = Math.min(at + 700, SIZE);
        b.arrives(`${end === SIZE ? "F." : "."} ${at + 1}:${end + 1}(${end - at}) ack 1`);
      }
      while (b.received < SIZE) assert(b.read() > 0, `stuck at ${b.received}`);
      assertEquals([b.read(), b.state, b.pool.allocated], [0, "CLOSE-WAIT", 0]);
    }),
    { numRuns: 150, seed: 7 },
  );
});

Deno.test("a segment of a thousand bytes in every possible cut, in reverse order", () => {
  for (const irs of ISNS) {
    for (const cut of [1, 3, 7, 250, 999]) {
      const b = Bench.accept({}, { iss: irs });
      for (let end = 1000; end > 0; end -= cut) {
        const from = Math.max(0, end - cut);
        b.arrives(`P. ${from + 1}:${end + 1}(${end - from}) ack 1`);
      }
      assertEquals([b.read(), b.tcb.outOfOrder.count], [1000, 0]);
    }
  }
});

Deno.test("every other byte, then the others: five hundred gaps", () => {
  const b = Bench.accept();
  for (let i = 1; i < 1000; i += 2) b.arrives(`. ${i + 1}:${i + 2}(1) ack 1`);
  assertEquals(b.tcb.outOfOrder.count, 500);
  for (let i = 0; i < 1000; i += 2) b.arrives(`. ${i + 1}:${i + 2}(1) ack 1`);
  assertEquals(b.read(), 1000);
});

/** A pseudo-random number generator, seeded. */
function generator(seed: number): () => number {
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
    return (seed >>> 8) / 0x1000000;
  };
}

/** Moves `size` bytes both ways through loss, duplication and reordering, and closes. */
function exchange(iss: number, seed: number, size: number, settings = {}): Pair {
  const pair = new Pair(settings);
  const random = generator(seed);
  pair.lose = (flying) => {
    flying.atUs += Math.floor(random() * 8000);
    return random() < 0.03;
  };
  openActive(pair.client.tcb, iss, pair.now);
  const ends = [pair.client, pair.server].map((end) => ({ end, sent: 0, got: 0, eof: false, shut: false }));
  const bytes = new Uint8Array(4096);
  const done = pair.runUntil(() => {
    for (const side of ends) {
      const { tcb } = side.end;
      if (!side.shut && tcb.state < State.ESTABLISHED) continue;
      while (side.sent < size) {
        const chunk = Math.min(1 + Math.floor(random() * 4000), size - side.sent);
        for (let i = 0; i < chunk; i++) bytes[i] = byteAt(side.sent + i);
        const n = send(tcb, bytes, 0, chunk, pair.now);
        if (n <= 0) break;
        side.sent += n;
      }
      for (let n; (n = receive(tcb, bytes, 0, 1 + Math.floor(random() * 4000), pair.now)) >= 0;) {
        if (n === 0) {
          side.eof = true;
          break;
        }
        for (let i = 0; i < n; i++) {
          if (bytes[i] !== byteAt(side.got + i)) throw new Error(`byte ${side.got + i}`);
        }
        side.got += n;
      }
      if (side.sent === size && !side.shut) {
        side.shut = true;
        shutdown(tcb, 1, pair.now);
      }
    }
    return ends.every(({ eof, got }) => eof && got === size);
  }, 1200e6);
  assert(done, `stuck: ${ends.map(({ sent, got, eof }) => `${sent}/${got}/${eof}`)}`);
  return pair;
}

for (const iss of ISNS) {
  Deno.test(`both ways through a bad network, first number ${iss >>> 0}`, () => {
    for (const settings of [{}, { sack: false }, { timestamps: false }, { gsoMaxSegments: 8 }]) {
      const pair = exchange(iss, iss ^ 99, 60_000, settings);
      pair.pass(300e6);
      assertEquals(pair.pool.allocated, 0);
      assertEquals([pair.client.tcb.state, pair.server.tcb.state], [0, 0]);
    }
  });
}
