/**
 * Runs the programs of `programs/` on the kernel's stack and under `lvl-ip run`, in turn, and prints for each what it
 * does and its share of the kernel's rate. `--record` writes results/programs.json and the README's table.
 */
import { formatTable } from "../../lib/cli/output.ts";
import { findTool } from "../../lib/host/command.ts";
import { styleFor } from "../../lib/host/style.ts";
import { buildPrograms } from "./build.ts";
import { describeMachine, machineLine } from "./machine.ts";
import { clients, iperfClients } from "./programs/clients.ts";
import type { Entry } from "./programs/entry.ts";
import { servers } from "./programs/servers.ts";
import { ProgramWorld } from "./programs/world.ts";
import { median } from "./results.ts";
import { formatNumber } from "./table.ts";

const REPETITIONS = 3;
const README = `${import.meta.dirname}/../../README.md`;
const JSON_FILE = `${import.meta.dirname}/results/programs.json`;
const BEGIN = "<!-- programs: written by deno task bench:programs --record -->";
const END = "<!-- programs: end -->";

/** What came of a row. */
interface Row {
  program: string;
  as: "client" | "server";
  what: string;
  unit: string;
  kernel: number[];
  stack: number[];
  /** Why it does not work on our stack, or could not be tried at all. */
  failure?: string;
}

async function measure(entry: Entry, as: Row["as"], kernel: ProgramWorld, stack: ProgramWorld): Promise<Row> {
  const { program, what, unit } = entry;
  const row: Row = { program, as, what, unit, kernel: [], stack: [] };
  try {
    for (let repetition = 0; repetition < REPETITIONS; repetition++) {
      row.kernel.push(await entry.measure(kernel));
      row.stack.push(await entry.measure(stack));
    }
  } catch (error) {
    const where = row.kernel.length > row.stack.length ? "" : "on the kernel's stack: ";
    row.failure = where + (error instanceof Error ? error.message : `${error}`);
  }
  return row;
}

function cells({ program, as, what, unit, kernel, stack, failure }: Row): string[] {
  const rate = (values: number[]) => values.length === 0 ? "-" : `${formatNumber(median(values))} ${unit}`;
  const isDone = failure === undefined;
  const share = isDone ? `${Math.round(100 * median(stack) / median(kernel))} %` : "-";
  return [program, as, what, isDone ? "yes" : "no", rate(kernel), rate(stack), share];
}

const TITLES = ["program", "as", "what it does", "works", "kernel", "lvl-ip", "share"];

function markdown(rows: readonly Row[]): string {
  const line = (texts: readonly string[]) => `| ${texts.join(" | ")} |`;
  const rule = TITLES.map((_, index) => index < 4 ? "---" : "---:");
  return [line(TITLES), line(rule), ...rows.map((row) => line(cells(row)))].join("\n");
}

async function record(rows: readonly Row[], machine: string): Promise<void> {
  await Deno.writeTextFile(JSON_FILE, `${JSON.stringify({ machine, rows }, null, 2)}\n`);
  const text = await Deno.readTextFile(README);
  const from = text.indexOf(BEGIN), to = text.indexOf(END);
  if (from < 0 || to < from) throw new Error("README.md has no place for the table of programs");
  const section = `${BEGIN}\n\n${machine}. Medians of ${REPETITIONS}, in turn.\n\n${markdown(rows)}\n\n`;
  await Deno.writeTextFile(README, text.slice(0, from) + section + text.slice(to));
  await new Deno.Command(Deno.execPath(), { args: ["fmt", "-q", README, JSON_FILE] }).output();
}

const [only, ...more] = Deno.args.filter((word) => word !== "--record");
const all: [Entry, Row["as"]][] = [
  ...[...clients, ...iperfClients].map((entry): [Entry, Row["as"]] => [entry, "client"]),
  ...servers.map((entry): [Entry, Row["as"]] => [entry, "server"]),
];
const wanted = all.filter(([{ program }]) =>
  only === undefined || [only, ...more].some((word) => program.includes(word))
);
const describe = await describeMachine();
const programs = await buildPrograms(new Set(["executable"]));
await using kernel = await ProgramWorld.startKernel();
await using stack = await ProgramWorld.startShim(programs);
const rows: Row[] = [];
for (const [entry, as] of wanted) {
  const missing = entry.needs.filter((name) => findTool(name) === null);
  if (missing.length > 0) {
    console.error(`${entry.program} is left out: ${missing.join(", ")} is not installed`);
    continue;
  }
  const row = await measure(entry, as, kernel, stack);
  rows.push(row);
  console.error(cells(row).join("  "), row.failure ?? "");
}
console.log(formatTable(TITLES.map((title) => ({ title })), rows.map(cells), styleFor(Deno.stdout)));
if (Deno.args.includes("--record")) await record(rows, machineLine(describe()));
if (rows.some(({ failure }) => failure !== undefined)) Deno.exitCode = 1;
