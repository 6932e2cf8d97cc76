import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { Memory } from "../../lib/buffer/memory.ts";
import { MemoryPool } from "../../lib/buffer/memory_pool.ts";

Deno.test("acquire gives the power of two that holds the size, 2048 at least", () => {
  const pool = new MemoryPool();
  for (
    const [size, expected] of [[0, 2048], [1, 2048], [2048, 2048], [2049, 4096], [65536, 65536], [
      65537,
      131072,
    ]]
  ) {
    assertEquals(pool.acquire(size).size, expected);
  }
  assertEquals(pool.allocated, 2048 * 3 + 4096 + 65536 + 131072);
});

Deno.test("a released block is given again, to those who want its size", () => {
  const pool = new MemoryPool();
  const block = pool.acquire(4096);
  pool.release(block);
  assertEquals([pool.allocated, pool.free], [0, 4096]);
  assert(pool.acquire(2048) !== block);
  assertStrictEquals(pool.acquire(3000), block);
  assertEquals([pool.allocated, pool.free], [6144, 0]);
});

Deno.test("free blocks are bounded, and let go of by trim", () => {
  const pool = new MemoryPool(10000);
  const blocks = [1, 2, 3].map(() => pool.acquire(4096));
  for (const block of blocks) pool.release(block);
  assertEquals([pool.allocated, pool.free], [0, 8192]);
  pool.trim();
  assertEquals([pool.allocated, pool.free], [0, 0]);
  const fresh = pool.acquire(4096);
  assert(!blocks.includes(fresh));
  pool.release(fresh);
  assertStrictEquals(pool.acquire(4096), fresh);
});

Deno.test("misuse throws and leaves the pool as it was", () => {
  const pool = new MemoryPool();
  for (const size of [-1, NaN, Infinity, 2 ** 30 + 1]) {
    assertThrows(() => pool.acquire(size), RangeError, `${size}`);
  }
  const block = pool.acquire(2048);
  pool.acquire(2048);
  pool.release(block);
  assertThrows(() => pool.release(block), RangeError, "released before");
  assertThrows(() => pool.release(new Memory(3000)), RangeError, "not of this pool");
  assertThrows(() => pool.release(new Memory(4096)), RangeError, "not of this pool");
  assertEquals([pool.allocated, pool.free], [2048, 2048]);
});
