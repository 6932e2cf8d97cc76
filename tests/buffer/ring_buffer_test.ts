import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { Slices } from "../../lib/buffer/memory.ts";
import { MemoryPool } from "../../lib/buffer/memory_pool.ts";
import { RingBuffer } from "../../lib/buffer/ring_buffer.ts";

const pattern = (length: number, from = 0) => Uint8Array.from({ length }, (_, i) => (from + i * 7) & 0xff);

function held(ring: RingBuffer): Uint8Array {
  const bytes = new Uint8Array(ring.length);
  ring.copyOut(0, bytes, 0, bytes.length);
  return bytes;
}

function bytesIn(slices: Slices): number[] {
  if (slices.memory === null) return [];
  const { bytes } = slices.memory;
  return [
    ...bytes.subarray(slices.offset1, slices.offset1 + slices.length1),
    ...bytes.subarray(slices.offset2, slices.offset2 + slices.length2),
  ];
}

Deno.test("an idle ring holds no memory", () => {
  const pool = new MemoryPool();
  const ring = new RingBuffer(pool);
  const slices = new Slices();
  ring.write(new Uint8Array(4), 0, 0);
  ring.slices(0, 0, slices);
  ring.reserve(0, slices);
  ring.consume(0);
  ring.release();
  assertEquals([ring.length, ring.capacity, slices.memory, slices.length, pool.allocated], [
    0,
    0,
    null,
    0,
    0,
  ]);
  assertEquals(ring.read(new Uint8Array(10), 0, 10), 0);
});

Deno.test("bytes come out in order, over the end of the block and over growth", () => {
  const pool = new MemoryPool();
  const ring = new RingBuffer(pool);
  ring.write(pattern(2000), 0, 2000);
  ring.consume(1500);
  ring.write(pattern(1000, 3), 0, 1000);
  assertEquals([ring.length, ring.capacity], [1500, 2048]);
  const expected = Uint8Array.from([...pattern(2000).subarray(1500), ...pattern(1000, 3)]);
  assertEquals(held(ring), expected);
  ring.write(pattern(600, 9), 0, 600);
  assertEquals(ring.capacity, 4096);
  assertEquals(held(ring), Uint8Array.from([...expected, ...pattern(600, 9)]));
  const out = new Uint8Array(2200);
  assertEquals(ring.read(out, 50, 2150), 2100);
  assertEquals(out.subarray(50, 1550), expected);
  assertEquals([ring.length, pool.allocated], [0, 4096]);
  ring.releaseIfEmpty();
  assertEquals([ring.capacity, pool.allocated], [0, 0]);
});

Deno.test("a piece of the caller's array is written, and read into one", () => {
  const ring = new RingBuffer(new MemoryPool());
  ring.write(pattern(100), 10, 5);
  const out = new Uint8Array(10);
  ring.read(out, 3, 5);
  assertEquals(out.subarray(3, 8), pattern(100).subarray(10, 15));
});

Deno.test("bytes placed ahead become held, and survive growth", () => {
  const pool = new MemoryPool();
  const ring = new RingBuffer(pool);
  ring.write(pattern(1800), 0, 1800);
  ring.consume(1700);
  ring.writeAt(300, pattern(100, 5), 0, 100);
  assertEquals(ring.length, 100);
  ring.writeAt(3000, pattern(100, 9), 0, 100);
  assertEquals([ring.length, ring.capacity], [100, 4096]);
  ring.consume(100);
  assertEquals(ring.length, 0);
  ring.releaseIfEmpty();
  assertEquals(pool.allocated, 4096, "what was placed ahead is worth keeping");
  ring.write(pattern(200, 1), 0, 200);
  ring.advance(100);
  assertEquals(held(ring), Uint8Array.from([...pattern(200, 1), ...pattern(100, 5)]));
  ring.writeAt(300, pattern(2600, 2), 0, 2600);
  ring.advance(2700);
  assertEquals(held(ring).subarray(2900), pattern(100, 9));
  ring.consume(3000);
  ring.releaseIfEmpty();
  assertEquals(pool.allocated, 0);
});

Deno.test("bytes placed behind others placed ahead survive growth", () => {
  const ring = new RingBuffer(new MemoryPool());
  ring.writeAt(500, pattern(100, 5), 0, 100);
  ring.writeAt(100, pattern(100, 9), 0, 100);
  ring.writeAt(5000, pattern(1), 0, 1);
  ring.advance(600);
  assertEquals(held(ring).subarray(100, 200), pattern(100, 9));
  assertEquals(held(ring).subarray(500), pattern(100, 5));
});

Deno.test("slices are the pieces themselves", () => {
  const ring = new RingBuffer(new MemoryPool());
  const slices = new Slices();
  ring.write(pattern(2048), 0, 2048);
  ring.consume(2000);
  ring.write(pattern(100, 3), 0, 100);
  ring.slices(8, 100, slices);
  assertEquals([slices.length1, slices.length2, slices.offset2], [40, 60, 0]);
  assertEquals(bytesIn(slices), [...held(ring).subarray(8, 108)]);
  ring.slices(48, 10, slices);
  assertEquals([slices.offset1, slices.length1, slices.length2], [0, 10, 0]);
  ring.slices(148, 0, slices);
  assertEquals(slices.length, 0);
});

Deno.test("a reservation is filled in place, also over the end and while bytes are consumed", () => {
  const ring = new RingBuffer(new MemoryPool());
  const slices = new Slices();
  ring.write(pattern(1900), 0, 1900);
  ring.consume(1000);
  ring.reserve(1000, slices);
  assertEquals([ring.capacity, ring.length, slices.length1, slices.length2], [2048, 900, 148, 852]);
  const { bytes } = slices.memory!;
  bytes.set(pattern(148, 50), slices.offset1);
  bytes.set(pattern(2, 60), slices.offset2);
  ring.consume(900);
  ring.advance(150);
  assertEquals(held(ring), Uint8Array.from([...pattern(148, 50), ...pattern(2, 60)]));
});

Deno.test("an empty ring starts over at the front, so that ranges stay in one piece", () => {
  const ring = new RingBuffer(new MemoryPool());
  const slices = new Slices();
  for (let i = 0; i < 10; i++) {
    ring.write(pattern(1500), 0, 1500);
    ring.slices(0, 1500, slices);
    assertEquals([slices.offset1, slices.length1], [0, 1500]);
    ring.consume(1500);
  }
  ring.reserve(2048, slices);
  assertEquals([ring.capacity, slices.length1], [2048, 2048]);
});

Deno.test("release gives the block to the next ring", () => {
  const pool = new MemoryPool();
  const first = new RingBuffer(pool);
  first.write(pattern(5000), 0, 5000);
  first.release();
  assertEquals([first.length, first.capacity, pool.allocated], [0, 0, 0]);
  const second = new RingBuffer(pool);
  second.write(pattern(10), 0, 10);
  first.write(pattern(10, 3), 0, 10);
  assertEquals(held(second), pattern(10));
  assertEquals(held(first), pattern(10, 3));
});

Deno.test("misuse throws RangeError and changes nothing", () => {
  const ring = new RingBuffer(new MemoryPool());
  const slices = new Slices();
  const bytes = pattern(10);
  ring.write(bytes, 0, 10);
  const misuses = [
    () => ring.write(bytes, 0, 11),
    () => ring.write(bytes, -1, 2),
    () => ring.write(bytes, 10, 1),
    () => ring.write(bytes, 0, NaN),
    () => ring.write(bytes, 0.5, 1),
    () => ring.writeAt(-1, bytes, 0, 1),
    () => ring.writeAt(0, bytes, 5, 6),
    () => ring.writeAt(2 ** 31, bytes, 0, 1),
    () => ring.advance(-1),
    () => ring.advance(2039),
    () => ring.consume(11),
    () => ring.consume(-1),
    () => ring.copyOut(5, new Uint8Array(20), 0, 6),
    () => ring.copyOut(0, new Uint8Array(5), 0, 6),
    () => ring.read(new Uint8Array(5), 3, 3),
    () => ring.read(bytes, 0, -1),
    () => ring.slices(0, 11, slices),
    () => ring.slices(-1, 1, slices),
    () => ring.reserve(-1, slices),
    () => ring.reserve(2 ** 30, slices),
  ];
  for (const misuse of misuses) {
    assertThrows(misuse, RangeError, "Cannot");
    assertEquals(held(ring), pattern(10), String(misuse));
  }
});

/** What a ring does, with one array and no thought. */
class Oracle {
  bytes: (number | undefined)[] = [];
  length = 0;

  place(position: number, bytes: Uint8Array) {
    bytes.forEach((byte, i) => this.bytes[position + i] = byte);
  }

  /** How many bytes behind those held have been placed. */
  ready(): number {
    let n = 0;
    while (this.bytes[this.length + n] !== undefined) n++;
    return n;
  }

  consume(n: number): number[] {
    this.length -= n;
    return this.bytes.splice(0, n) as number[];
  }
}

const step = fc.record({
  kind: fc.constantFrom("write", "writeAt", "advance", "read", "consume", "slices", "reserve", "release"),
  a: fc.integer({ min: 0, max: 3000 }),
  b: fc.integer({ min: 0, max: 3000 }),
  // Whole blocks are released seldom, or there is nothing to see.
  rare: fc.integer({ min: 0, max: 9 }),
});

function perform(
  ring: RingBuffer,
  oracle: Oracle,
  { kind, a, b, rare }: { kind: string; a: number; b: number; rare: number },
) {
  const slices = new Slices();
  const part = (n: number) => oracle.length === 0 ? 0 : n % (oracle.length + 1);
  switch (kind) {
    case "write":
      oracle.place(oracle.length, pattern(a + 5, b).subarray(5));
      oracle.length += a;
      return ring.write(pattern(a + 5, b), 5, a);
    case "writeAt":
      oracle.place(oracle.length + b, pattern(a, b));
      return ring.writeAt(oracle.length + b, pattern(a, b), 0, a);
    case "advance": {
      const n = oracle.ready();
      oracle.length += n;
      return ring.advance(n);
    }
    case "read": {
      const out = new Uint8Array(a);
      const n = ring.read(out, 0, a);
      return assertEquals([...out.subarray(0, n)], oracle.consume(Math.min(a, oracle.length)));
    }
    case "consume": {
      const n = part(a);
      oracle.consume(n);
      return ring.consume(n);
    }
    case "slices": {
      const position = part(a);
      const length = b % (oracle.length - position + 1);
      ring.slices(position, length, slices);
      return assertEquals(bytesIn(slices), oracle.bytes.slice(position, position + length) as number[]);
    }
    case "reserve": {
      ring.reserve(a, slices);
      const filled = Math.min(a, b);
      const bytes = pattern(filled, a);
      const first = Math.min(filled, slices.length1);
      slices.memory?.bytes.set(bytes.subarray(0, first), slices.offset1);
      slices.memory?.bytes.set(bytes.subarray(first), slices.offset2);
      oracle.place(oracle.length, bytes);
      oracle.length += filled;
      return ring.advance(filled);
    }
    case "release":
      if (rare > 0) return ring.releaseIfEmpty();
      oracle.bytes = [];
      oracle.length = 0;
      return ring.release();
  }
}

Deno.test("random operations are as on an array", () => {
  const pool = new MemoryPool();
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30, size: "max" }), (steps) => {
      const ring = new RingBuffer(pool);
      const oracle = new Oracle();
      for (const one of steps) {
        perform(ring, oracle, one);
        assertEquals(ring.length, oracle.length, one.kind);
        assert(ring.capacity >= oracle.bytes.length || oracle.bytes.length === 0);
      }
      assertEquals([...held(ring)], oracle.bytes.slice(0, oracle.length) as number[]);
      ring.release();
      assertEquals(pool.allocated, 0);
    }),
    { numRuns: 300 },
  );
});
