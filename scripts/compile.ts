/**
 * Makes one executable of it all: `deno task compile [OUTPUT]`, dist/lvl-ip unless told otherwise. Where Deno's download
 * server is out of reach, `DENORT_BIN` names the base binary.
 */
import { dirname, join, resolve } from "node:path";
import { HostError } from "../lib/host/command.ts";
import { buildPreload, PRELOAD_EMBEDDED } from "../lib/host/preload_build.ts";
import { runtimeLock } from "./runtime_lock.ts";

const root = join(import.meta.dirname!, "..");
const lock = join(root, "dist", "runtime.lock");
const output = resolve(Deno.args[0] ?? join(root, "dist", "lvl-ip"));

/**
 * The heap's young generation may grow to 4 MB instead of 16: the data path allocates next to nothing, and with 10,000
 * idle connections the daemon has 170 MB instead of 199, at the same throughput.
 */
const V8_FLAGS = ["--max-semi-space-size=4"];

const args = [
  "compile",
  "--quiet",
  "--allow-all",
  // A permission that is missing after all is an error to report, not a question to ask on the terminal.
  "--no-prompt",
  `--lock=${lock}`,
  "--exclude=node_modules",
  "--include=lib/daemon_worker.ts",
  "--include=dist/preload/liblevelip.so",
  `--v8-flags=${V8_FLAGS.join(",")}`,
  `--output=${output}`,
  "cli.ts",
];

Deno.mkdirSync(dirname(output), { recursive: true });
Deno.mkdirSync(dirname(lock), { recursive: true });
Deno.writeTextFileSync(lock, runtimeLock(Deno.readTextFileSync(join(root, "deno.lock"))));
const library = decodeURIComponent(PRELOAD_EMBEDDED.pathname);
Deno.mkdirSync(dirname(library), { recursive: true });
try {
  buildPreload(library);
} catch (error) {
  if (!(error instanceof HostError)) throw error;
  console.error(`compile: ${error.explain()}`);
  Deno.exit(1);
}
const { success, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd: root, stdout: "inherit" })
  .output();
// Deno's own stack backtrace tells nobody anything.
const said = new TextDecoder().decode(stderr).split(/\n+Stack backtrace:/)[0].trimEnd();
if (said !== "") console.error(said);
if (!success) {
  console.error(
    "compile: if the download of the base binary failed, set DENORT_BIN to the denort of this Deno's version",
  );
  Deno.exit(1);
}
const { size } = Deno.statSync(output);
console.log(`${output}: ${Math.round(size / 1e6)} MB`);
