import { assert, assertEquals } from "@std/assert";

const LARGEST_IDLE = 5000;
const LARGEST_TIME_WAIT = 800;

Deno.test("an idle connection holds less than 5 KB, and one in TIME-WAIT less than 0.8", async () => {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-check",
      "--v8-flags=--expose-gc",
      "--allow-env",
      new URL("./memory_cases.ts", import.meta.url).pathname,
    ],
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  const { idle, waiting, inTimeWait } = JSON.parse(new TextDecoder().decode(stdout));
  assertEquals(inTimeWait, 2000);
  assert(idle < LARGEST_IDLE, `an idle connection holds ${idle} bytes`);
  assert(waiting < LARGEST_TIME_WAIT, `a connection in TIME-WAIT holds ${waiting} bytes`);
});
