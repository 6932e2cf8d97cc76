/** Options in IP headers that packets to us bring along, and what an answer is to have (RFC 791 3.1, RFC 1122 3.2.2.6). */
import { assertEquals } from "@std/assert";
import { echoOptions } from "../../lib/stack/ip_options.ts";
import { parseIp } from "../../lib/wire/address.ts";

const OURS = parseIp("10.0.0.4")!;

function echoed(...options: number[]): number[] {
  return [...echoOptions(Uint8Array.from(options), OURS, 1_000_000)];
}

Deno.test("a recorded route gets our address, and room is kept for that of the answer", () => {
  assertEquals(echoed(7, 11, 4, ...Array(8).fill(0), 0), [7, 11, 12, 10, 0, 0, 4, 0, 0, 0, 0, 0]);
  const oneLeft = [7, 11, 8, 1, 2, 3, 4, 0, 0, 0, 0, 0];
  assertEquals(echoed(...oneLeft), [7, 11, 12, 1, 2, 3, 4, 10, 0, 0, 4, 0]);
  const full = [7, 7, 8, 1, 2, 3, 4, 0];
  assertEquals(echoed(...full), full);
});

Deno.test("timestamps: ours with the time of arrival; who finds no room is counted", () => {
  // Our clock does not count from midnight, which the highest bit says.
  assertEquals(echoed(68, 12, 5, 0, ...Array(8).fill(0)), [68, 12, 13, 0, 0x80, 0, 3, 0xe8, 0, 0, 0, 0]);
  assertEquals(echoed(68, 4, 5, 0x10), [68, 4, 5, 0x20]);
});

Deno.test("other options are not answered with, and those of one byte end or fill the list", () => {
  assertEquals(echoed(1, 1, 1, 0), []);
  assertEquals(echoed(148, 4, 0, 0), []);
  assertEquals(echoed(1, 7, 3, 4), [7, 3, 4, 0]);
  assertEquals(echoed(0, 7, 3, 4), []);
});
