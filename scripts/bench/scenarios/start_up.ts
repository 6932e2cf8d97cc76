/** From the start of the program until it is ready, its memory then, and the size of the executable. */
import type { Bench, Case, Scenario, Subject } from "../bench.ts";
import type { Programs } from "../build.ts";
import { type Figures, residentMbOf } from "../contestant.ts";
import { inProcessCommand, inWorld, spawnReady } from "../start.ts";

/** The words that start each of them; what is not among them has no start of its own. */
const COMMANDS: Record<string, (programs: Programs) => readonly string[] | null> = {
  ours: () => inProcessCommand(),
  api: ({ lvlIp }) => [...lvlIp, "daemon"],
  lwip: ({ lwip }) => lwip === undefined ? null : [lwip, "tap0"],
  gvisor: ({ gvisor }) => gvisor === undefined ? null : [gvisor, "tap0"],
};

/** Memory is looked at when the first garbage has been collected. */
const SETTLE_MS = 1000;

async function measureStart(words: readonly string[]): Promise<Figures> {
  const world = await inWorld([], (world) => Promise.resolve(world));
  await using _end = world;
  const from = performance.now();
  const process = await spawnReady(world.all[0], words);
  const readyMs = performance.now() - from;
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const figures: Figures = { "ms until ready": readyMs, "MB resident": residentMbOf(process.pid) };
  if (words[0] !== Deno.execPath()) figures["MB executable"] = Deno.statSync(words[0]).size / 1e6;
  return figures;
}

export const startUp: Scenario = {
  name: "start",
  what: "start-up",
  async run(bench: Bench) {
    const subjects = bench.candidates.flatMap(({ name }): Subject<readonly string[]>[] => {
      const words = COMMANDS[name]?.(bench.programs) ?? null;
      return words === null ? [] : [{ candidate: name === "api" ? "daemon" : name, value: words }];
    });
    // What has never run is not in memory yet: that is the disk's time.
    for (const { value } of subjects) await measureStart(value);
    const start: Case<readonly string[]> = { name: "start", measure: measureStart };
    await bench.interleave("start", subjects, [start]);
  },
};
