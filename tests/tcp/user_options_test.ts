import { assertEquals } from "@std/assert";
import { DEFAULT_SETTINGS } from "../../lib/tcp/settings.ts";
import { UserOptions } from "../../lib/tcp/user_options.ts";

Deno.test("copy() leaves no option out", () => {
  const changed = new UserOptions(DEFAULT_SETTINGS);
  const values = changed as unknown as Record<string, number | boolean>;
  for (const [name, value] of Object.entries(values)) {
    values[name] = typeof value === "boolean" ? !value : value === Infinity ? 1 : value + 1;
  }
  const copied = new UserOptions(DEFAULT_SETTINGS);
  copied.copy(changed);
  assertEquals({ ...copied }, { ...changed });
});
