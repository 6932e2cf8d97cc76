/**
 * Makes one executable of it all: `deno task compile [OUTPUT]`, dist/lvl-ip unless told otherwise. Where Deno's download
 * server is out of reach, `DENORT_BIN` names the base binary.
 */
import { dirname, join, resolve } from "node:path";
import { HostError, messageOf } from "../lib/host/command.ts";
import { buildPreload } from "../lib/host/preload_build.ts";
import { bundle, type Bundles } from "./bundle.ts";

const root = join(import.meta.dirname!, "..");
const output = resolve(Deno.args[0] ?? join(root, "dist", "lvl-ip"));
/** What goes into the executable, until it is made. */
const folder = Deno.makeTempDirSync({ prefix: "lvl-ip-compile-" });
/** Where the program looks for it, seen from there; see PRELOAD_EMBEDDED. */
const PRELOAD = "dist/preload/liblevelip.so";

/**
 * The heap's young generation may grow to 4 MB instead of 16: the data path allocates next to nothing, and with 10,000
 * idle connections the daemon has 170 MB instead of 199, at the same throughput.
 */
const V8_FLAGS = ["--max-semi-space-size=4"];

try {
  await compile(prepare());
  console.log(`${output}: ${Math.round(Deno.statSync(output).size / 1e6)} MB`);
} catch (error) {
  console.error(`compile: ${error instanceof HostError ? error.explain() : messageOf(error)}`);
  Deno.exitCode = 1;
} finally {
  Deno.removeSync(folder, { recursive: true });
}

function prepare(): Bundles {
  Deno.mkdirSync(dirname(output), { recursive: true });
  const bundles = bundle(folder);
  const library = join(folder, PRELOAD);
  Deno.mkdirSync(dirname(library), { recursive: true });
  buildPreload(library);
  return bundles;
}

async function compile({ main, worker }: Bundles): Promise<void> {
  const args = [
    "compile",
    "--quiet",
    "--allow-all",
    // A permission that is missing after all is an error to report, not a question to ask on the terminal.
    "--no-prompt",
    // The bundles have the packages in them.
    "--no-config",
    "--no-lock",
    "--no-check",
    // It would lie in /tmp under a name that anybody can guess, and root would run what it says.
    "--no-code-cache",
    `--include=${worker}`,
    `--include=${PRELOAD}`,
    `--v8-flags=${V8_FLAGS.join(",")}`,
    `--output=${output}`,
    main,
  ];
  const command = new Deno.Command(Deno.execPath(), { args, cwd: folder, stdout: "inherit" });
  const { success, stderr } = await command.output();
  // Deno's own stack backtrace tells nobody anything.
  const said = new TextDecoder().decode(stderr).split(/\n+Stack backtrace:/)[0].trimEnd();
  if (said !== "") console.error(said);
  if (success) return;
  throw new Error(
    "if the download of the base binary failed, set DENORT_BIN to the denort of this Deno's version",
  );
}
