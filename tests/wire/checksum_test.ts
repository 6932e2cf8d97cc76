import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Memory } from "../../lib/buffer/memory.ts";
import { add, fold, pseudoSum, sum, swap } from "../../lib/wire/checksum.ts";
import { bytesOf, golden, memoryOf } from "./golden.ts";

/** RFC 1071 1, a byte at a time. */
function naive(bytes: Uint8Array): number {
  let total = 0;
  bytes.forEach((byte, i) => total += i % 2 === 0 ? byte * 256 : byte);
  while (total > 0xffff) total = (total % 0x10000) + Math.floor(total / 0x10000);
  return ~total & 0xffff;
}

const payload = fc.uint8Array({ maxLength: 300 });
const offset = fc.integer({ min: 0, max: 9 });

Deno.test("the example of RFC 1071 3", () => {
  const memory = memoryOf(bytesOf("0001f203f4f5f6f7"));
  assertEquals(sum(memory, 2, 8), 0xddf2);
  assertEquals(fold(0xddf2), 0x220d);
});

Deno.test("any length at any offset is as a byte at a time", () => {
  fc.assert(fc.property(payload, offset, (bytes, at) => {
    assertEquals(fold(sum(memoryOf(bytes, at), at, bytes.length)), naive(bytes));
  }));
});

Deno.test("two pieces are as one, whatever the length of the first", () => {
  fc.assert(fc.property(payload, payload, offset, offset, (a, b, atA, atB) => {
    const first = sum(memoryOf(a, atA), atA, a.length);
    const second = sum(memoryOf(b, atB), atB, b.length);
    const together = add(first, a.length % 2 === 0 ? second : swap(second));
    assertEquals(fold(together), naive(Uint8Array.from([...a, ...b])));
  }));
});

Deno.test("`initial` continues an even piece", () => {
  fc.assert(fc.property(payload, payload, (a, b) => {
    const even = a.subarray(0, a.length & ~1);
    const first = sum(memoryOf(even), 2, even.length);
    assertEquals(fold(sum(memoryOf(b, 3), 3, b.length, first)), naive(Uint8Array.from([...even, ...b])));
  }));
});

Deno.test("nothing, zeros and ones", () => {
  const memory = new Memory(524288);
  assertEquals(sum(memory, 5, 0), 0);
  assertEquals(sum(memory, 5, 0, 0x1234), 0x1234);
  assertEquals(fold(sum(memory, 0, 524288)), 0xffff);
  memory.bytes.fill(0xff);
  // More than one block of words, all carries.
  for (const [at, length] of [[0, 524288], [1, 262143], [2, 65535], [3, 65536], [0, 131072]]) {
    assertEquals(
      fold(sum(memory, at, length)),
      naive(memory.bytes.subarray(at, at + length)),
      `${at} ${length}`,
    );
  }
});

Deno.test("the checksums that Linux made are good", () => {
  for (const name of ["syn", "data", "sack3", "reset", "udp"] as const) {
    const { memory, length, ip, transport } = golden(name);
    assertEquals(fold(sum(memory, ip, 20)), 0, name);
    const view = memory.view;
    const bytes = length - 34;
    const pseudo = pseudoSum(view.getInt32(ip + 12), view.getInt32(ip + 16), view.getUint8(ip + 9), bytes);
    assertEquals(fold(sum(memory, transport, bytes, pseudo)), 0, name);
  }
});

Deno.test("pseudoSum counts all bits of addresses that are negative numbers", () => {
  fc.assert(fc.property(fc.integer(), fc.integer(), fc.integer({ min: 0, max: 65535 }), (a, b, length) => {
    const header = new DataView(new ArrayBuffer(12));
    header.setInt32(0, a);
    header.setInt32(4, b);
    header.setUint16(8, 6);
    header.setUint16(10, length);
    assertEquals(fold(pseudoSum(a, b, 6, length)), naive(new Uint8Array(header.buffer)));
  }));
});
