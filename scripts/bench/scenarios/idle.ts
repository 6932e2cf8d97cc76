/** Many idle connections, and a few busy ones among them: memory, CPU time, and whether the busy ones feel it. */
import type { Bench, Scenario } from "../bench.ts";
import { type Contestant, cpuSecondsOf, type Figures, residentMbOf, STACK } from "../contestant.ts";

const IDLE = 10_000;
const BUSY = 100;
const IDLE_QUICK = 1000;
/** After the last connection was made, until all is quiet. */
const SETTLE_MS = 2000;
const OPENING_MS = 120_000;

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** CPU time in percent of one core while nothing happens. */
async function idleCpu(pid: number, seconds: number): Promise<number> {
  const before = cpuSecondsOf(pid);
  const from = performance.now();
  await sleep(seconds * 1000);
  return (cpuSecondsOf(pid) - before) / (performance.now() - from) * 1e5;
}

async function measureIdle(contestant: Contestant, count: number, bench: Bench): Promise<Figures> {
  const { warmUp, seconds } = bench.settings;
  const { parts: { kernel, peerProgram }, stackPid } = contestant;
  // Code that has run, and buffers that were used: idle connections are to be paid for above that.
  await contestant.peer("requests", STACK, 1, 1, warmUp, seconds);
  const before = residentMbOf(stackPid);
  await using holder = await kernel.spawn([peerProgram, "idle", STACK, `${count}`], { stdin: "" });
  await holder.waitFor("ready", OPENING_MS);
  await sleep(SETTLE_MS);
  const after = residentMbOf(stackPid);
  const cpu = await idleCpu(stackPid, 2 * seconds);
  const { rate, p50, p99 } = await contestant.peer("requests", STACK, 1, BUSY, warmUp, seconds);
  return {
    "MB before": before,
    "MB more": after - before,
    "CPU %": cpu,
    [`/s of ${BUSY} busy`]: rate,
    "p50 us": p50,
    "p99 us": p99,
  };
}

export const idle: Scenario = {
  name: "idle",
  what: `idle connections, then ${BUSY} busy ones among them`,
  async run(bench: Bench) {
    const count = bench.settings.quick ? IDLE_QUICK : IDLE;
    const name = `${count.toLocaleString("en-US")} idle`;
    await bench.compareFresh("idle", bench.candidates, [{
      name,
      measure: async (contestant) => {
        const figures = await measureIdle(contestant, count, bench);
        // The kernel's memory is in no process.
        if (contestant.isKernel) {
          for (const unit of ["MB before", "MB more", "CPU %"]) delete figures[unit];
        }
        return figures;
      },
    }], bench.settings.fewRepetitions);
  },
};
