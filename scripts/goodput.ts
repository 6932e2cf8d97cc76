/**
 * The goodput table: `deno task goodput [--write | --check] [REGEX]`. Prints how much of a bottleneck TCP gets under loss
 * and delay, in virtual time, so the figures are the same everywhere. `--write` puts them into tests/tcp/goodput.json;
 * `--check` compares them with it, exit status 1 when one differs. With REGEX only the cells whose name it matches. All
 * cells take some minutes.
 */
import {
  type Cell,
  cellName,
  expectedShare,
  fairnessCells,
  type Goodput,
  LOSSES,
  measure,
  RATES_MBIT,
  RTTS_MS,
  singleFlowCells,
} from "../tests/support/goodput.ts";

export type GoodputTable = Record<string, Goodput>;

const file = new URL("../tests/tcp/goodput.json", import.meta.url);

/** What is checked in. */
export function readTable(): GoodputTable {
  return JSON.parse(Deno.readTextFileSync(file));
}

function percent(value: number): string {
  const digits = value < 0.001 ? 3 : value < 0.01 ? 2 : 1;
  return `${(value * 100).toFixed(digits)} %`;
}

/** A Markdown table of what one flow gets: losses down, round-trip times and rates across. */
function singleFlowTable(table: GoodputTable): string[] {
  const columns = RTTS_MS.flatMap((rttMs) => RATES_MBIT.map((rateMbit) => ({ rttMs, rateMbit })));
  const lines = [
    `| loss | ${columns.map(({ rttMs, rateMbit }) => `${rttMs} ms, ${rateMbit} Mbit/s`).join(" | ")} |`,
    `|---|${"---|".repeat(columns.length)}`,
  ];
  for (const loss of LOSSES) {
    const cells = columns.map(({ rttMs, rateMbit }) => {
      const cell: Cell = { loss, rttMs, rateMbit, flows: 1 };
      const result = table[cellName(cell)];
      if (!result) return "";
      const relative = (result.share / expectedShare(cell)).toFixed(2);
      return `${percent(result.share)} (${percent(result.retransmitted)}; ${relative})`;
    });
    lines.push(`| ${loss} % | ${cells.join(" | ")} |`);
  }
  return lines;
}

function fairnessTable(table: GoodputTable): string[] {
  const lines = ["| flows | network | all together | sent again | Jain |", "|---|---|---|---|---|"];
  for (const cell of fairnessCells()) {
    const result = table[cellName(cell)];
    if (!result) continue;
    const network = cellName({ ...cell, flows: 1 });
    const { share, retransmitted, fairness } = result;
    lines.push(
      `| ${cell.flows} | ${network} | ${percent(share)} | ${percent(retransmitted)} | ${
        fairness.toFixed(3)
      } |`,
    );
  }
  return lines;
}

function print(table: GoodputTable): void {
  console.log(
    "Goodput of one flow as a share of the bottleneck (share of the bytes sent that were sent again;",
  );
  console.log("goodput in units of what CUBIC's or Reno's response function gives, whichever is more)\n");
  console.log(singleFlowTable(table).join("\n"));
  console.log("\nSeveral flows\n");
  console.log(fairnessTable(table).join("\n"));
}

/** The names of the cells that differ, told on stderr. */
function differences(table: GoodputTable, checkedIn: GoodputTable): number {
  let count = 0;
  for (const [name, now] of Object.entries(table)) {
    const before = checkedIn[name];
    if (JSON.stringify(now) === JSON.stringify(before)) continue;
    console.error(`${name}: ${JSON.stringify(before)} is checked in, now ${JSON.stringify(now)}`);
    count++;
  }
  return count;
}

function main(args: string[]): number {
  const filter = new RegExp(args.find((arg) => !arg.startsWith("--")) ?? ".");
  const cells = [...singleFlowCells(), ...fairnessCells()].filter((cell) => filter.test(cellName(cell)));
  const table: GoodputTable = {};
  for (const cell of cells) table[cellName(cell)] = measure(cell);
  print(table);
  if (args.includes("--check")) return differences(table, readTable()) > 0 ? 1 : 0;
  if (args.includes("--write")) {
    const all = cells.length < 68 ? { ...readTable(), ...table } : table;
    Deno.writeTextFileSync(file, `${JSON.stringify(all, null, 2)}\n`);
  }
  return 0;
}

if (import.meta.main) Deno.exit(main(Deno.args));
