/**
 * Puts the program's modules together for `deno compile`: a runtime that starts spends most of its time on finding,
 * reading and linking them one by one (the daemon is ready after 169 ms with 285 files, after 129 with bundles).
 */
import { dirname, join } from "node:path";

const root = join(import.meta.dirname!, "..");

/**
 * Modules find the Worker, and what is embedded, by paths relative to their own, all two folders below the root; so their
 * bundles are, too.
 */
const MAIN = "lib/cli";
/** The name by which `StackWorker` asks for it. */
const WORKER = "lib/daemon_worker.ts";

/** How esbuild marks a module of CommonJS that asks for one of the runtime's, which a bundle cannot have in it. */
const NEEDS_REQUIRE = "Dynamic require of";
const REQUIRE =
  `import { createRequire } from "node:module"; const require = createRequire(import.meta.url);\n`;

/** What was bundled, relative to its folder. */
export interface Bundles {
  main: string;
  worker: string;
}

/**
 * Bundles into `folder`, which is empty: the command line in parts, of which each command loads what it needs,
 * and the Worker in one. Throws `Error` with what the bundler said: that esbuild cannot be fetched, for one.
 */
export function bundle(folder: string): Bundles {
  Deno.mkdirSync(join(folder, dirname(WORKER)), { recursive: true });
  denoBundle("--code-splitting", `--outdir=${join(folder, MAIN)}`, "cli.ts");
  denoBundle(`--output=${join(folder, WORKER)}`, WORKER);
  for (const path of [WORKER, ...filesOf(folder, MAIN)]) giveRequire(join(folder, path));
  return { main: `${MAIN}/cli.js`, worker: WORKER };
}

function denoBundle(...words: string[]): void {
  const args = ["bundle", "--quiet", "--platform=deno", ...words];
  const { success, stderr } = new Deno.Command(Deno.execPath(), { args, cwd: root }).outputSync();
  if (!success) throw new Error(new TextDecoder().decode(stderr).trimEnd());
}

function filesOf(folder: string, below: string): string[] {
  return [...Deno.readDirSync(join(folder, below))].map(({ name }) => join(below, name));
}

function giveRequire(path: string): void {
  const text = Deno.readTextFileSync(path);
  if (text.includes(NEEDS_REQUIRE)) Deno.writeTextFileSync(path, REQUIRE + text);
}
