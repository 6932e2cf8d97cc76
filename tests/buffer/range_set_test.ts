import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { RangeSet } from "../../lib/buffer/range_set.ts";

/** The ranges, as distances from `base`. */
function rangesOf(set: RangeSet, base = 0): number[][] {
  return Array.from({ length: set.count }, (_, i) => [(set.left(i) - base) | 0, (set.right(i) - base) | 0]);
}

Deno.test("ranges are kept in order and joined when they overlap or touch", () => {
  const set = new RangeSet();
  assertEquals(set.add(30, 40), 0);
  assertEquals(set.add(10, 20), 0);
  assertEquals(set.add(50, 60), 2);
  assertEquals(rangesOf(set), [[10, 20], [30, 40], [50, 60]]);
  assertEquals(set.add(40, 45), 1, "touches on the left");
  assertEquals(set.add(48, 50), 2, "touches on the right");
  assertEquals(rangesOf(set), [[10, 20], [30, 45], [48, 60]]);
  assertEquals(set.add(15, 49), 0, "bridges all three");
  assertEquals(rangesOf(set), [[10, 60]]);
  assertEquals(set.add(20, 30), 0, "known already");
  assertEquals(rangesOf(set), [[10, 60]]);
});

Deno.test("an empty or reversed range is not added", () => {
  const set = new RangeSet();
  assertEquals(set.add(5, 5), -1);
  assertEquals(set.add(6, 5), -1);
  assertEquals(set.add(0, 1 << 31), -1, "half of the sequence space has no order");
  assertEquals(set.count, 0);
});

Deno.test("sequence numbers wrap around", () => {
  const set = new RangeSet();
  const top = 0x7fffffff;
  set.add((top + 10) | 0, (top + 20) | 0);
  set.add(top - 5, (top + 5) | 0);
  assertEquals(rangesOf(set, top), [[-5, 5], [10, 20]]);
  assertEquals([set.contains((top + 4) | 0), set.contains((top + 5) | 0)], [true, false]);
  set.removeBefore((top + 1) | 0);
  assertEquals(rangesOf(set, top), [[1, 5], [10, 20]]);
});

Deno.test("ranges on either side of the wrap are joined", () => {
  const top = 0x7fffffff;
  const set = new RangeSet();
  set.add((top + 5) | 0, (top + 9) | 0);
  set.add(top - 5, (top + 5) | 0);
  assertEquals(rangesOf(set, top), [[-5, 9]]);
  set.add((top + 3) | 0, (top + 12) | 0);
  assertEquals(rangesOf(set, top), [[-5, 12]]);
  set.add(top - 9, top - 3);
  assertEquals(rangesOf(set, top), [[-9, 12]]);
});

Deno.test("removeBefore cuts a range, and removes those that end there", () => {
  const set = new RangeSet();
  set.add(10, 20);
  set.add(30, 40);
  set.removeBefore(5);
  assertEquals(rangesOf(set), [[10, 20], [30, 40]]);
  set.removeBefore(15);
  assertEquals(rangesOf(set), [[15, 20], [30, 40]]);
  set.removeBefore(20);
  assertEquals(rangesOf(set), [[30, 40]]);
  set.removeBefore(40);
  assertEquals(set.count, 0);
});

Deno.test("clear forgets everything, and what comes next may lie anywhere", () => {
  const set = new RangeSet();
  set.add(10, 20);
  set.clear();
  assertEquals([set.count, set.contains(15)], [0, false]);
  set.add(-(2 ** 31), 5 - 2 ** 31);
  assertEquals(set.count, 1);
});

Deno.test("the limit forgets new ranges, and still lets known ones grow", () => {
  const set = new RangeSet(2);
  set.add(10, 20);
  set.add(30, 40);
  assertEquals(set.add(50, 60), -1);
  assertEquals(set.add(40, 45), 1);
  assertEquals(set.add(20, 30), 0);
  assertEquals(rangesOf(set), [[10, 45]]);
  assertEquals(set.add(50, 60), 1);
});

Deno.test("reading a range that is not there throws", () => {
  const set = new RangeSet();
  set.add(1, 2);
  for (const index of [-1, 1, NaN]) {
    assertThrows(() => set.left(index), RangeError, "there are 1");
    assertThrows(() => set.right(index), RangeError, "there are 1");
  }
});

Deno.test("random operations are as on a set of single numbers, near any wrap", () => {
  const SPAN = 120;
  const at = fc.integer({ min: 0, max: SPAN });
  const operation = fc.oneof(
    { weight: 5, arbitrary: fc.tuple(fc.constant("add" as const), at, fc.integer({ min: -2, max: 12 })) },
    { weight: 1, arbitrary: fc.tuple(fc.constant("removeBefore" as const), at, fc.constant(0)) },
  );
  const base = fc.oneof(
    fc.integer(),
    fc.integer({ min: 0x7fffffff - 100, max: 0x7fffffff }),
    fc.constant(-60),
  );
  fc.assert(
    fc.property(base, fc.array(operation, { maxLength: 40, size: "max" }), (base, operations) => {
      const set = new RangeSet();
      const oracle = new Set<number>();
      for (const [kind, from, length] of operations) {
        if (kind === "add") {
          const index = set.add((base + from) | 0, (base + from + length) | 0);
          for (let i = from; i < from + length; i++) oracle.add(i);
          assertEquals(index >= 0, length > 0);
          if (index >= 0) assertEquals((set.left(index) - base | 0) <= from, true);
          if (index >= 0) assertEquals((set.right(index) - base | 0) >= from + length, true);
        } else {
          set.removeBefore((base + from) | 0);
          for (let i = -2; i < from; i++) oracle.delete(i);
        }
        assertEquals(rangesOf(set, base), runsOf(oracle, SPAN + 14));
      }
      for (let i = -1; i < SPAN + 14; i++) assertEquals(set.contains((base + i) | 0), oracle.has(i), `${i}`);
    }),
    { numRuns: 500 },
  );
});

/** The runs of consecutive numbers below `end`. */
function runsOf(numbers: Set<number>, end: number): number[][] {
  const runs: number[][] = [];
  for (let i = 0; i < end; i++) {
    if (!numbers.has(i)) continue;
    if (runs.length > 0 && runs[runs.length - 1][1] === i) runs[runs.length - 1][1] = i + 1;
    else runs.push([i, i + 1]);
  }
  return runs;
}

Deno.test("many ranges, in any order of arrival", () => {
  const set = new RangeSet();
  for (let i = 0; i < 1000; i++) set.add((i * 7 % 1000) * 10, (i * 7 % 1000) * 10 + 5);
  assertEquals(set.count, 1000);
  assertEquals([set.left(999), set.right(999)], [9990, 9995]);
  for (let i = 999; i >= 0; i--) set.add(i * 10 + 5, i * 10 + 10);
  assertEquals(rangesOf(set), [[0, 10000]]);
});
