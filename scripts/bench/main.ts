/** `deno task bench`: measures the stack beside the kernel's and others'. See `--help`. */
import { HostError } from "../../lib/host/command.ts";
import { styleFor } from "../../lib/host/style.ts";
import { hasNamespaces } from "../../tests/support/netns.ts";
import { Bench, type Scenario } from "./bench.ts";
import { buildPrograms } from "./build.ts";
import { describeMachine, type Machine, machineLine } from "./machine.ts";
import { type Options, readOptions, settingsOf } from "./options.ts";
import { summarizeProfiles } from "./profile_summary.ts";
import { Progress } from "./progress.ts";
import { writeReports } from "./record.ts";
import { Results } from "./results.ts";
import { allocation } from "./scenarios/allocation.ts";
import { bulk } from "./scenarios/bulk.ts";
import { datagrams } from "./scenarios/datagrams.ts";
import { flows, rtt } from "./scenarios/growth.ts";
import { idle } from "./scenarios/idle.ts";
import { connections, ping, requests } from "./scenarios/latency.ts";
import { programs } from "./scenarios/programs.ts";
import { startUp } from "./scenarios/start_up.ts";
import { scenarioTables, targetTable } from "./table.ts";
import { targets } from "./targets.ts";

const SCENARIOS: readonly Scenario[] = [
  bulk,
  requests,
  connections,
  ping,
  datagrams,
  programs,
  idle,
  startUp,
  flows,
  rtt,
  allocation,
];

const style = styleFor(Deno.stdout);

/** Measures what is asked for, and shows each table when it is complete. Throws when `signal` says stop. */
async function measure(
  options: Options,
  results: Results,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  progress.show("compiling");
  const built = await buildPrograms(new Set(options.candidates.flatMap(({ name, needs = [name] }) => needs)));
  if (options.profile !== undefined) {
    await Deno.mkdir(options.profile, { recursive: true });
    built.profiles = await Deno.realPath(options.profile);
  }
  results.notes.push(...built.notes);
  const bench = new Bench(settingsOf(options), options.candidates, built, results, progress, signal);
  for (const scenario of options.only) {
    await scenario.run(bench);
    progress.clear();
    console.log(scenarioTables(results, scenario.name, scenario.what, style));
  }
}

/** The targets of the run, what was left out, and where it ran; and the files that were asked for. */
async function report(options: Options, results: Results, machine: Machine): Promise<void> {
  const reached = targets(results);
  const measured = reached.filter(({ met }) => met !== null);
  if (measured.length > 0) console.log(targetTable(measured, style));
  for (const note of results.notes) console.log(note);
  console.log(machineLine(machine));
  if (options.profile !== undefined) {
    const heading = `\`deno task bench ${Deno.args.join(" ")}\`. ${machineLine(machine)}.`;
    await summarizeProfiles(options.profile, `# Profiles\n\n${heading}`);
  }
  await writeReports({ machine, settings: settingsOf(options), results, targets: reached }, options);
}

async function main(): Promise<number> {
  const options = readOptions(Deno.args, SCENARIOS);
  if (!hasNamespaces()) return 1;
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => stop.abort());
  }
  const results = new Results();
  const progress = new Progress(Deno.stderr, styleFor(Deno.stderr));
  const machine = await describeMachine();
  try {
    await measure(options, results, progress, stop.signal);
  } catch (error) {
    progress.clear();
    // What is being measured may end by the same signal, and say so first.
    if (stop.signal.aborted) return 130;
    if (!(error instanceof HostError)) throw error;
    console.error(error.explain());
    return 1;
  }
  progress.clear();
  await report(options, results, machine());
  return 0;
}

if (import.meta.main) Deno.exit(await main());
