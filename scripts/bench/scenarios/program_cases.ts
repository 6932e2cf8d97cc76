/** What unmodified programs measure. */
import { findTool } from "../../../lib/host/command.ts";
import type { Case, Settings } from "../bench.ts";
import { type Figures, KERNEL, STACK } from "../contestant.ts";
import type { ProgramWorld } from "./programs.ts";

const NEEDED = ["iperf3", "curl", "wrk", "nginx", "redis-server", "redis-benchmark", "nc"];
const PATIENCE = { timeoutMs: 120_000 };

/** Those of the programs that are not installed. */
export function missingPrograms(): string[] {
  return NEEDED.filter((name) => findTool(name) === null);
}

/** Gbit/s as the receiver saw it. */
async function iperf(
  { stack, onStack }: ProgramWorld,
  { warmUp, seconds }: Settings,
  ...more: string[]
): Promise<Figures> {
  const time = ["-t", `${Math.max(1, Math.ceil(seconds))}`, "-O", `${Math.max(1, Math.ceil(warmUp))}`];
  const words = ["iperf3", "-c", KERNEL, "-J", "-C", "cubic", ...time, ...more];
  const { end } = JSON.parse(await stack.exec(onStack(words), PATIENCE));
  return { "Gbit/s": end.sum_received.bits_per_second / 1e9 };
}

/** Downloads the 1 GB from `address`. */
async function curl(
  words: (words: readonly string[]) => string[],
  { kernel, stack }: ProgramWorld,
  address: string,
): Promise<Figures> {
  const here = address === KERNEL ? stack : kernel;
  const command = [
    "curl",
    "-sS",
    "-o",
    "/dev/null",
    "-w",
    "%{speed_download} %{size_download}",
    `http://${address}/big`,
  ];
  const [speed, size] = (await here.exec(words(command), PATIENCE)).split(" ").map(Number);
  if (size !== 1e9) throw new Error(`curl got ${size} bytes of 1 GB`);
  return { "Gbit/s": speed * 8e-9 };
}

/** Requests a second for a small file over 100 connections that stay. */
async function wrk({ kernel }: ProgramWorld, { warmUp, seconds }: Settings): Promise<Figures> {
  const run = (duration: number) =>
    kernel.exec([
      "wrk",
      "-t1",
      "-c100",
      "--latency",
      `-d${Math.max(1, Math.ceil(duration))}s`,
      `http://${STACK}/small`,
    ], PATIENCE);
  await run(warmUp);
  const output = await run(seconds);
  if (/Socket errors|Non-2xx/.test(output)) throw new Error(`wrk: ${output}`);
  return { "/s": Number(/^Requests\/sec: +([\d.]+)$/m.exec(output)![1]) };
}

/** Requests a second over 50 connections. */
async function redis({ kernel }: ProgramWorld, { quick }: Settings, test: "get" | "set"): Promise<Figures> {
  const requests = quick ? 50_000 : 200_000;
  const words = ["redis-benchmark", "-h", STACK, "-t", test, "-n", `${requests}`, "-c", "50", "--csv"];
  const lines = (await kernel.exec(words, PATIENCE)).trim().split("\n");
  return { "/s": Number(lines.at(-1)!.split(",")[1].replaceAll('"', "")) };
}

const asIs = (words: readonly string[]) => [...words];

export function bulkCases(settings: Settings): Case<ProgramWorld>[] {
  return [
    { name: "iperf3 to kernel", measure: (world) => iperf(world, settings) },
    { name: "iperf3 from kernel", measure: (world) => iperf(world, settings, "-R") },
    { name: "curl from kernel's nginx", measure: (world) => curl(world.onStack, world, KERNEL) },
    { name: "curl from stack's nginx", measure: (world) => curl(asIs, world, STACK) },
  ];
}

export function programCases(settings: Settings): Case<ProgramWorld>[] {
  return [
    ...bulkCases(settings),
    { name: "nginx, wrk", measure: (world) => wrk(world, settings) },
    { name: "redis GET", measure: (world) => redis(world, settings, "get") },
    { name: "redis SET", measure: (world) => redis(world, settings, "set") },
  ];
}
