/** What a run leaves behind: JSON, a plot, and the README's table. */
import type { Settings } from "./bench.ts";
import { type Machine, machineLine } from "./machine.ts";
import type { Results } from "./results.ts";
import { formatFigure } from "./table.ts";
import type { Target } from "./targets.ts";

/** A run that is over. */
export interface Run {
  machine: Machine;
  settings: Settings;
  results: Results;
  targets: readonly Target[];
}

const folder = `${import.meta.dirname}/results`;
const readme = `${import.meta.dirname}/../../README.md`;
const BEGIN = "<!-- bench: written by deno task bench --record -->";
const END = "<!-- bench: end -->";

/** Title, scenario, case and unit of the README's columns. */
const COLUMNS = [
  ["to the kernel, Gbit/s", "bulk", "to, 1", "Gbit/s"],
  ["from the kernel, Gbit/s", "bulk", "from, 1", "Gbit/s"],
  ["CPU s/GB, to", "bulk", "to, 1", "CPU s/GB"],
  ["1 byte echoed, median us", "requests", "1 B", "p50 us"],
  ["ping, median us", "ping", "back to back", "p50 us"],
  ["accepted /s", "connections", "accept", "/s"],
];

function markdownTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  right: number,
): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const rule = header.map((_, column) => column < right ? "---" : "---:");
  return [line(header), line(rule), ...rows.map(line)].join("\n");
}

/** The section between the markers, for a reader in a hurry. */
export function readmeSection({ machine, settings, results, targets }: Run): string {
  const candidates = [...new Set(results.figures.map(({ candidate }) => candidate))];
  const rows = candidates.map((candidate) => [
    candidate,
    ...COLUMNS.map(([, scenario, name, unit]) => {
      const figure = results.find(scenario, name, unit, candidate);
      return figure === undefined ? "-" : formatFigure(figure);
    }),
  ]).filter((cells) => cells.slice(1).some((cell) => cell !== "-"));
  const reached = targets.filter(({ met }) => met !== null)
    .map(({ what, target, got, met }) => [what, target, got, met ? "yes" : "no"]);
  return [
    `${machineLine(machine)}. Medians of ${settings.repetitions} (least-greatest).`,
    markdownTable(["", ...COLUMNS.map(([title]) => title)], rows, 1),
    markdownTable(["target", "is", "got", "met?"], reached, 4),
    ...results.notes,
  ].join("\n\n");
}

/** Puts the section in its place. Throws when the markers are missing. */
export function replaceSection(text: string, section: string): string {
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (from < 0 || to < from) throw new Error("README.md has no place for the table of the benchmarks");
  return `${text.slice(0, from + BEGIN.length)}\n\n${section}\n\n${text.slice(to)}`;
}

async function writeJson(path: string, { machine, settings, results, targets }: Run): Promise<void> {
  const { figures, notes } = results;
  // A figure a line, so that two runs can be compared by diff.
  const lines = figures.map((figure) => `  ${JSON.stringify(figure)}`).join(",\n");
  const rest = JSON.stringify({ machine, settings, notes, targets }, null, 2).replace(/\n}$/, "");
  await Deno.writeTextFile(path, `${rest},\n  "figures": [\n${lines}\n  ]\n}\n`);
}

async function writePlot(path: string, { machine, results }: Run): Promise<void> {
  // Not loaded by runs that draw nothing.
  const { plot } = await import("./plot.ts");
  await Deno.writeTextFile(path, plot(results, machineLine(machine)));
}

/** Writes what is asked for. */
export async function writeReports(
  run: Run,
  { json, svg, record }: { json?: string; svg?: string; record: boolean },
): Promise<void> {
  if (json !== undefined) await writeJson(json, run);
  if (svg !== undefined) await writePlot(svg, run);
  if (!record) return;
  await Deno.mkdir(folder, { recursive: true });
  await writeJson(`${folder}/last.json`, run);
  await writePlot(`${folder}/last.svg`, run);
  const text = await Deno.readTextFile(readme);
  await Deno.writeTextFile(readme, replaceSection(text, readmeSection(run)));
  const formatted = await new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", readme] }).output();
  if (!formatted.success) throw new Error(`deno fmt failed on ${readme}`);
}
