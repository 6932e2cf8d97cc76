/** Bulk transfer, both ways, over 1, 8 and 64 flows: speed, and the stack's CPU time. */
import type { Bench, Case, Scenario } from "../bench.ts";
import { type Contestant, type Figures, STACK } from "../contestant.ts";

export type Direction = "to" | "from";

/** "to": from the stack to the kernel peer. */
export const DIRECTIONS = ["to", "from"] as const;
const FLOWS = [1, 8, 64];

/** The same for every number of flows. */
export function bulkCase(direction: Direction, flows: number): string {
  return `${direction}, ${flows}`;
}

/** Speed and cost of one transfer. */
export async function measureBulk(
  contestant: Contestant,
  direction: Direction,
  flows: number,
  { warmUp, seconds }: { warmUp: number; seconds: number },
): Promise<Figures> {
  const before = contestant.cpuSeconds();
  // The peer's words are from its own side.
  const words = ["bulk", direction === "to" ? "from" : "to", STACK, flows, warmUp, seconds];
  const { bytes, seconds: took, total } = await contestant.peer(...words);
  return {
    "Gbit/s": bytes * 8e-9 / took,
    "CPU s/GB": (contestant.cpuSeconds() - before) / (total * 1e-9),
  };
}

export const bulk: Scenario = {
  name: "bulk",
  what: "bulk transfer to and from the kernel peer, by the number of flows",
  async run(bench: Bench) {
    const cases = DIRECTIONS.flatMap((direction) =>
      FLOWS.map((flows): Case<Contestant> => ({
        name: bulkCase(direction, flows),
        measure: (contestant) => measureBulk(contestant, direction, flows, bench.settings),
      }))
    );
    await bench.compare("bulk", cases);
  },
};
