import { assertEquals } from "@std/assert";
import { DROP, DROP_COUNT, dropName } from "../../lib/wire/drop.ts";

Deno.test("every drop code names itself, and they leave no gap", () => {
  const entries = Object.entries(DROP);
  for (const [name, code] of entries) assertEquals(dropName(code), name);
  assertEquals(entries.length, DROP_COUNT);
  assertEquals(entries.map(([, code]) => code).sort((a, b) => a - b), Array.from(entries, (_, i) => i));
});

Deno.test("a code that does not exist has a name that says so", () => {
  assertEquals(dropName(DROP_COUNT), "unknown");
  assertEquals(dropName(-1), "unknown");
});
