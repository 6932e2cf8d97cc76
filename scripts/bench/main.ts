/** `deno task bench`: measures the stack beside the kernel's and others'. See `--help`. */
import { Command, Option } from "commander";
import { styleFor } from "../../lib/host/style.ts";
import { Bench, type Scenario, type Settings } from "./bench.ts";
import { buildPrograms } from "./build.ts";
import { type Candidate, CANDIDATES } from "./candidates.ts";
import { Progress } from "./progress.ts";
import { Results } from "./results.ts";
import { bulk } from "./scenarios/bulk.ts";
import { flows, rtt } from "./scenarios/growth.ts";
import { idle } from "./scenarios/idle.ts";
import { connections, ping, requests } from "./scenarios/latency.ts";
import { startUp } from "./scenarios/start_up.ts";
import { scenarioTables } from "./table.ts";

const SCENARIOS: readonly Scenario[] = [bulk, requests, connections, ping, idle, startUp, flows, rtt];

interface Options {
  quick: boolean;
  only?: Scenario[];
  candidates?: Candidate[];
  repetitions?: number;
  json?: string;
}

/** Picks by name; throws a RangeError for a name that is none. */
function pick<T extends { name: string }>(all: readonly T[], list: string, what: string): T[] {
  const names = list.split(",");
  const unknown = names.find((name) => !all.some((each) => each.name === name));
  if (unknown !== undefined) {
    throw new RangeError(
      `There is no ${what} '${unknown}': there are ${all.map(({ name }) => name).join(", ")}`,
    );
  }
  return all.filter(({ name }) => names.includes(name));
}

function settingsOf({ quick, repetitions }: Options): Settings {
  return quick
    ? { repetitions: repetitions ?? 1, seconds: 0.5, warmUp: 0.5, quick }
    : { repetitions: repetitions ?? 5, seconds: 2, warmUp: 1, quick };
}

function program(): Command {
  return new Command("bench")
    .description("Measures the stack beside the kernel's and others', in private network namespaces")
    .option("--quick", "one short repetition: a first look", false)
    .addOption(
      new Option("--only <names>", `scenarios: ${SCENARIOS.map(({ name }) => name).join(",")}`)
        .argParser((list) => pick(SCENARIOS, list, "scenario")),
    )
    .addOption(
      new Option("--candidates <names>", `stacks: ${CANDIDATES.map(({ name }) => name).join(",")}`)
        .argParser((list) => pick(CANDIDATES, list, "candidate")),
    )
    .option("--repetitions <n>", "how often everything is measured", Number)
    .option("--json <file>", "write all figures to a file");
}

async function main(): Promise<number> {
  const options = program().parse(["deno", "bench", ...Deno.args]).opts<Options>();
  const style = styleFor(Deno.stdout);
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, () => stop.abort());
  const results = new Results();
  const progress = new Progress(Deno.stderr, styleFor(Deno.stderr));
  const candidates = options.candidates ?? CANDIDATES;
  progress.show("compiling");
  const programs = await buildPrograms(new Set([...candidates.map(({ name }) => name), "executable"]));
  for (const note of programs.notes) console.log(note);
  const bench = new Bench(
    settingsOf(options),
    candidates,
    programs,
    results,
    progress,
    stop.signal,
  );
  try {
    for (const scenario of options.only ?? SCENARIOS) {
      await scenario.run(bench);
      progress.clear();
      console.log(scenarioTables(results, scenario.name, scenario.what, style));
    }
  } catch (error) {
    progress.clear();
    if (stop.signal.aborted) return 130;
    throw error;
  }
  if (options.json !== undefined) {
    await Deno.writeTextFile(options.json, JSON.stringify(results.figures, null, 1) + "\n");
  }
  return 0;
}

if (import.meta.main) {
  try {
    Deno.exit(await main());
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    console.error(error.message);
    Deno.exit(2);
  }
}
