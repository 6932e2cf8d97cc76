/**
 * Runs the groups of tests one after the other: `deno task test [--checks] [GROUP...]`. Prints what each says, then a
 * table, and as the very last line `N passed, N failed`, with `, N skipped` when some were. Exit status 1 when anything
 * failed.
 */
import { join } from "node:path";

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

interface Group {
  name: string;
  what: string;
  run: () => Promise<Counts>;
}

const root = join(import.meta.dirname!, "..");
const executable = join(root, "dist", "lvl-ip");

/** A group that takes longer hangs; all of them together stay below an hour. */
const LIMIT_MS = 12 * 60_000;
/** Folders of tests/ that are groups of their own; every other one is a unit's. */
const OWN_GROUPS = ["fuzz", "packetdrill", "e2e"];
/** Their tests look at the process they run in (its descriptors, threads, signals), so nothing runs beside them. */
const ALONE = ["ffi", "host", "ipc"];

const GROUPS: Group[] = [
  { name: "unit", what: "each room by itself, in virtual time", run: unitTests },
  { name: "fuzz", what: "random impairments, calls and frames", run: () => denoTest(["tests/fuzz"]) },
  { name: "packet", what: "packetdrill scripts and their runner", run: packetTests },
  { name: "e2e", what: "real TAP and kernel peer, with deno run", run: () => denoTest(["tests/e2e"]) },
  { name: "compiled", what: "the same with the compiled program", run: compiledTests },
];

const CHECKS: Group = { name: "checks", what: "format, lint, types, import rules", run: checks };

/** The counts in the last summary that `deno test` printed; null when it printed none. */
export function parseSummary(output: string): Counts | null {
  const pattern = /^(?:ok|FAILED) \| (\d+) passed[^|\n]*\| (\d+) failed[^|\n]*(?:\| (\d+) ignored)?/gm;
  const last = [...output.matchAll(pattern)].at(-1);
  return last ? { passed: Number(last[1]), failed: Number(last[2]), skipped: Number(last[3] ?? 0) } : null;
}

/** The counts in the last line of the packetdrill runner: `N passed, N failed, N unsupported`. */
export function parsePacketdrill(output: string): Counts | null {
  const last = [...output.matchAll(/^(\d+) passed, (\d+) failed, (\d+) unsupported$/gm)].at(-1);
  return last ? { passed: Number(last[1]), failed: Number(last[2]), skipped: Number(last[3]) } : null;
}

/** The line that ends the run. */
export function totalLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

export function add(a: Counts, b: Counts): Counts {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped };
}

interface Finished {
  success: boolean;
  output: string;
}

/** Runs this Deno, shows what it says as it says it, and keeps it without colours. */
async function deno(args: string[], env: Record<string, string> = {}): Promise<Finished> {
  const child = new Deno.Command(Deno.execPath(), {
    args,
    cwd: root,
    env: { ...env, NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const timer = setTimeout(() => {
    console.log(`took longer than ${LIMIT_MS / 60_000} minutes: ended`);
    child.kill("SIGKILL");
  }, LIMIT_MS);
  let output = "";
  const show = async (stream: ReadableStream<Uint8Array>) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      output += text;
      await Deno.stdout.write(new TextEncoder().encode(text));
    }
  };
  await Promise.all([show(child.stdout), show(child.stderr)]);
  const { success } = await child.status;
  clearTimeout(timer);
  return { success, output };
}

/** A run that failed without saying which test did is one failure. */
function countsOf(finished: Finished, counts: Counts | null): Counts {
  const known = counts ?? { passed: 0, failed: 0, skipped: 0 };
  return !finished.success && known.failed === 0 ? { ...known, failed: 1 } : known;
}

async function denoTest(
  folders: string[],
  args: string[] = [],
  env: Record<string, string> = {},
): Promise<Counts> {
  const withTests = folders.filter((folder) => hasTests(join(root, folder)));
  if (withTests.length === 0) return { passed: 0, failed: 0, skipped: 0 };
  const finished = await deno(["test", "-A", "--no-prompt", "--no-check", ...args, ...withTests], env);
  return countsOf(finished, parseSummary(finished.output));
}

function hasTests(folder: string): boolean {
  if (!exists(folder)) return false;
  for (const entry of Deno.readDirSync(folder)) {
    if (entry.isDirectory ? hasTests(join(folder, entry.name)) : entry.name.endsWith("_test.ts")) return true;
  }
  return false;
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function unitFolders(): string[] {
  return [...Deno.readDirSync(join(root, "tests"))]
    .filter((entry) => entry.isDirectory && !OWN_GROUPS.includes(entry.name))
    .map((entry) => `tests/${entry.name}`)
    .sort();
}

async function unitTests(): Promise<Counts> {
  const isAlone = (folder: string) => ALONE.some((name) => folder === `tests/${name}`);
  const folders = unitFolders();
  const beside = await denoTest(folders.filter((folder) => !isAlone(folder)), ["--parallel"]);
  return add(beside, await denoTest(folders.filter(isAlone)));
}

async function packetTests(): Promise<Counts> {
  const runner = await denoTest(["tests/packetdrill"]);
  const scripts = packetdrillScripts(join(root, "tests", "packetdrill", "scripts"));
  if (scripts.length === 0) return runner;
  const finished = await deno(["task", "--quiet", "packetdrill", ...scripts]);
  return add(runner, countsOf(finished, parsePacketdrill(finished.output)));
}

function packetdrillScripts(folder: string): string[] {
  if (!exists(folder)) return [];
  return [...Deno.readDirSync(folder)].flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory) return packetdrillScripts(path);
    return entry.name.endsWith(".pkt") ? [path] : [];
  }).sort();
}

async function compiledTests(): Promise<Counts> {
  const { success, output } = await deno(["task", "--quiet", "compile"]);
  if (!success) {
    const unreachable = /dl\.deno\.land|error sending request|tcp connect error/.test(output);
    if (unreachable && !Deno.env.get("CI")) {
      console.log(
        "Deno's download server is out of reach: set DENORT_BIN to a base binary of this Deno's version",
      );
      return { passed: 0, failed: 0, skipped: 1 };
    }
    return { passed: 0, failed: 1, skipped: 0 };
  }
  const tests = await denoTest(["tests/e2e"], [], { LVLIP_EXECUTABLE: executable });
  return add({ passed: 1, failed: 0, skipped: 0 }, tests);
}

async function checks(): Promise<Counts> {
  const { success } = await deno(["task", "--quiet", "ok"]);
  return { passed: success ? 1 : 0, failed: success ? 0 : 1, skipped: 0 };
}

/** The groups that the arguments ask for. Throws a RangeError for a name that is none. */
function chosen(args: string[]): Group[] {
  const names = args.filter((arg) => arg !== "--checks");
  const unknown = names.find((name) => !GROUPS.some((group) => group.name === name));
  if (unknown !== undefined) {
    throw new RangeError(
      `There is no group '${unknown}': the groups are ${GROUPS.map(({ name }) => name).join(", ")}`,
    );
  }
  const groups = names.length === 0 ? GROUPS : GROUPS.filter(({ name }) => names.includes(name));
  return args.includes("--checks") ? [CHECKS, ...groups] : groups;
}

async function main(args: string[]): Promise<number> {
  let total: Counts = { passed: 0, failed: 0, skipped: 0 };
  const rows: string[] = [];
  for (const { name, what, run } of chosen(args)) {
    console.log(`\n== ${name}: ${what}`);
    const start = performance.now();
    const counts = await run();
    total = add(total, counts);
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    rows.push(`${name.padEnd(9)} ${totalLine(counts)} (${seconds} s)`);
  }
  console.log(`\n${rows.join("\n")}\n\n${totalLine(total)}`);
  // Nothing that ran is no success.
  return total.failed > 0 || total.passed === 0 ? 1 : 0;
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    console.error(error.message);
    Deno.exit(2);
  }
}
