/**
 * What a frame costs V8's heap, and how long the garbage collector stops the stack for it, in the process that has nothing
 * but the stack and an application in it.
 */
import type { Bench, Case, Scenario, Subject } from "../bench.ts";
import { ask, type Contestant, type Figures, STACK } from "../contestant.ts";
import { startWithFlags } from "../start.ts";

/** Prints a line for each collection, with the milliseconds that it stopped the program for. */
const TRACE_GC = "--v8-flags=--trace-gc";
const COLLECTION = /: (?:Scavenge|Mark-Compact).*? MB, (?:pooled: [\d.]+ MB, )?([\d.]+) \/ /g;

/** What each of them is started with. */
const OPTIONS: Record<string, readonly string[]> = { ours: [], "ours-plain": ["--no-offload"] };

/** Runs until all is compiled: what only ran in V8's interpreter made a number of each time that it read. */
const WARM_UPS = 2;

/** Lets `load` run until it is compiled, and then looks at what it allocates. */
async function measure(contestant: Contestant, load: () => Promise<Figures>): Promise<Figures> {
  const { server } = contestant.parts;
  for (let i = 0; i < WARM_UPS; i++) await load();
  const before = await ask(server, ["heap"]);
  const traced = server.stdout.length;
  const from = performance.now();
  await load();
  const tookMs = performance.now() - from;
  const after = await ask(server, ["heap"]);
  const stops = [...server.stdout.slice(traced).matchAll(COLLECTION)].map(([, ms]) => Number(ms));
  const frames = after.frames - before.frames;
  return {
    "bytes a frame": (after.allocated - before.allocated) / frames,
    "frames /s": frames / tookMs * 1000,
    "collections /s": stops.length / tookMs * 1000,
    "% of the time": stops.reduce((sum, ms) => sum + ms, 0) / tookMs * 100,
  };
}

/** One process for each measurement, so that each has a profile of its own where profiles are asked for. */
function flagsOf(bench: Bench, candidate: string, name: string): string[] {
  const { profiles } = bench.programs;
  if (profiles === undefined) return [TRACE_GC];
  const file = `${candidate} ${name}`.replaceAll(/\W+/g, "-");
  return [TRACE_GC, "--cpu-prof", `--cpu-prof-dir=${profiles}`, `--cpu-prof-name=${file}.cpuprofile`];
}

export const allocation: Scenario = {
  name: "allocation",
  what: "bytes allocated a frame, and the garbage collector's share of the time, lvl-ip embedded",
  async run(bench: Bench) {
    const { warmUp, seconds } = bench.settings;
    const loads: [name: string, words: (string | number)[]][] = [
      ["bulk to", ["bulk", "from", STACK, 1, warmUp, seconds]],
      ["bulk from", ["bulk", "to", STACK, 1, warmUp, seconds]],
      ["requests", ["requests", STACK, 1, 1, warmUp, seconds]],
      ["ping", ["ping", STACK, Math.ceil(seconds * 20_000), 0]],
    ];
    const subjects = bench.candidates.map(({ name }) => name).filter((name) => name in OPTIONS)
      .map((name): Subject<string> => ({ candidate: name, value: name }));
    const cases = loads.map(([name, words]): Case<string> => ({
      name,
      measure: async (candidate) => {
        const flags = flagsOf(bench, candidate, name);
        await using contestant = await startWithFlags(bench.programs, flags, OPTIONS[candidate]);
        return await measure(contestant, () => contestant.peer(...words));
      },
    }));
    await bench.interleave("allocation", subjects, cases, bench.settings.fewRepetitions);
  },
};
