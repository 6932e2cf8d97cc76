import { assertEquals } from "@std/assert";
import { unescapeText } from "../../lib/cli/unescape.ts";

function bytes(text: string): number[] {
  return [...unescapeText(text)];
}

Deno.test("text is sent as UTF-8", () => {
  assertEquals(bytes(""), []);
  assertEquals(bytes("hello"), [...new TextEncoder().encode("hello")]);
  assertEquals(bytes("grüß 🌍"), [...new TextEncoder().encode("grüß 🌍")]);
});

Deno.test("C's escapes are bytes", () => {
  assertEquals(bytes("a\\r\\n\\t\\0\\\\b"), [97, 13, 10, 9, 0, 92, 98]);
  assertEquals(bytes("\\xff\\x00\\x7F"), [255, 0, 127]);
});

Deno.test("any other backslash stands for itself", () => {
  assertEquals(bytes("\\d\\xg1\\"), [92, 100, 92, 120, 103, 49, 92]);
  assertEquals(bytes("\\\\n"), [92, 110]);
});

Deno.test("long text does not overflow the stack", () => {
  assertEquals(unescapeText("x".repeat(1_000_000)).length, 1_000_000);
});
