import { assertEquals } from "@std/assert";
import { damageIn } from "../../lib/ipc/echo_role.ts";
import { echoByte } from "../../lib/ipc/protocol.ts";

/** An echo reply with `size` bytes of payload as they were sent. */
function reply(size: number): Uint8Array {
  return new Uint8Array(8 + size).map((_, i) => i < 8 ? 99 : echoByte(i - 8));
}

Deno.test("an echo reply is compared with the request: the first byte that differs is told, the header is not looked at", () => {
  for (const size of [0, 1, 56, 300, 65507]) assertEquals(damageIn(reply(size), 8 + size), 0);
  const damaged = reply(65507);
  damaged[8 + 65506] ^= 1;
  assertEquals(damageIn(damaged, damaged.length), (65507 << 8) | damaged[8 + 65506]);
  damaged[8 + 16] = 0xff;
  assertEquals(damageIn(damaged, damaged.length), (17 << 8) | 0xff);
  assertEquals(damageIn(damaged, 8 + 16), 0);
});
