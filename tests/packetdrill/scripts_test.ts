/** Our own scripts, which read as a specification of the behaviour: a test for each. */
import { assertEquals } from "@std/assert";
import { formatResult } from "./main.ts";
import { runScript } from "./runner.ts";

const FOLDER = new URL("scripts/", import.meta.url);

for (const { name } of [...Deno.readDirSync(FOLDER)].sort((a, b) => a.name < b.name ? -1 : 1)) {
  if (!name.endsWith(".pkt")) continue;
  Deno.test(`script ${name.slice(0, -".pkt".length).replaceAll("_", " ")}`, () => {
    const result = runScript(Deno.readTextFileSync(new URL(name, FOLDER)));
    assertEquals(formatResult(name, result), `pass ${name}`);
  });
}
