import { assert } from "@std/assert";

Deno.test("the example in Stack's documentation runs", async () => {
  const file = new URL("../../lib/stack/stack.ts", import.meta.url);
  const command = new Deno.Command(Deno.execPath(), {
    args: ["test", "--doc", "--no-prompt", file.pathname],
  });
  const { success, stderr, stdout } = await command.output();
  const decoder = new TextDecoder();
  assert(success, decoder.decode(stdout) + decoder.decode(stderr));
});
