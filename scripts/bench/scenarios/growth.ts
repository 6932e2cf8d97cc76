/** How speed grows or shrinks with the number of flows, and with the round-trip time. */
import type { Bench, Case, Scenario, Subject } from "../bench.ts";
import type { Contestant } from "../contestant.ts";
import { linkByBridge, startInProcess, startKernels } from "../start.ts";
import { bulkCase, DIRECTIONS, measureBulk } from "./bulk.ts";

const FLOWS = [1, 4, 16, 64, 256];
const FLOWS_QUICK = [1, 16, 256];
const RTTS_MS = [0, 1, 10, 50, 200];
const RTTS_QUICK_MS = [0, 10, 200];
/** Round trips until a connection has found its speed. */
const ROUND_TRIPS = 30;

export const flows: Scenario = {
  name: "flows",
  what: "the same over up to 256 flows",
  async run(bench: Bench) {
    const counts = bench.settings.quick ? FLOWS_QUICK : FLOWS;
    await bench.compare(
      "flows",
      DIRECTIONS.flatMap((direction) =>
        counts.map((count): Case<Contestant> => ({
          name: bulkCase(direction, count),
          measure: (contestant) => measureBulk(contestant, direction, count, bench.settings),
        }))
      ),
      bench.settings.fewRepetitions,
      bench.candidates.filter(({ name }) => !name.endsWith("-plain")),
    );
  },
};

/** Both through the same impairing code, which takes no offload. */
function starters(bench: Bench): Record<string, (impair: string) => Promise<Contestant>> {
  const { programs } = bench;
  return {
    veth: (impair) => startKernels(programs, (world) => linkByBridge(world, impair)),
    ours: (impair) => startInProcess(programs, "--impair", impair),
  };
}

export const rtt: Scenario = {
  name: "rtt",
  what:
    "bulk transfer by the round-trip time, one flow, no offload (veth: two kernels behind the same impairing code)",
  async run(bench: Bench) {
    const { quick, warmUp, seconds } = bench.settings;
    const subjects: Subject<(impair: string) => Promise<Contestant>>[] = Object.entries(starters(bench))
      .filter(([name]) => bench.candidates.some((each) => each.name === name))
      .map(([candidate, value]) => ({ candidate, value }));
    const cases = DIRECTIONS.flatMap((direction) =>
      (quick ? RTTS_QUICK_MS : RTTS_MS).map((rttMs): Case<(impair: string) => Promise<Contestant>> => ({
        name: `${direction}, ${rttMs} ms`,
        measure: async (start) => {
          await using contestant = await start(`delay=${rttMs / 2}ms`);
          const untilSettled = warmUp + ROUND_TRIPS * rttMs / 1000;
          const { "Gbit/s": speed } = await measureBulk(contestant, direction, 1, {
            warmUp: untilSettled,
            seconds,
          });
          return { "Gbit/s": speed };
        },
      }))
    );
    await bench.interleave("rtt", subjects, cases, bench.settings.fewRepetitions);
  },
};
