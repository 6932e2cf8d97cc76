/** The command line of `deno task bench`. */
import { Command, InvalidArgumentError, Option } from "commander";
import type { Scenario, Settings } from "./bench.ts";
import { type Candidate, CANDIDATES } from "./candidates.ts";

export interface Options {
  quick: boolean;
  only: readonly Scenario[];
  candidates: readonly Candidate[];
  repetitions?: number;
  json?: string;
  svg?: string;
  record: boolean;
  profile?: string;
}

/** Picks by name. */
function pick<T extends { name: string }>(all: readonly T[], list: string): T[] {
  const names = list.split(",");
  const unknown = names.find((name) => !all.some((each) => each.name === name));
  if (unknown !== undefined) {
    const known = all.map(({ name }) => name).join(", ");
    throw new InvalidArgumentError(`There is no '${unknown}'; there are ${known}.`);
  }
  return all.filter(({ name }) => names.includes(name));
}

function count(text: string): number {
  if (!/^[1-9][0-9]{0,3}$/.test(text)) throw new InvalidArgumentError("It must be a number from 1 on.");
  return Number(text);
}

function listing(title: string, all: readonly { name: string; what: string }[]): string {
  const width = Math.max(...all.map(({ name }) => name.length));
  return [`\n${title}:`, ...all.map(({ name, what }) => `  ${name.padEnd(width)}  ${what}`)].join("\n");
}

/** Reads the arguments; ends the process for `--help` and for what it does not understand. */
export function readOptions(args: readonly string[], scenarios: readonly Scenario[]): Options {
  const choice = <T extends { name: string }>(flags: string, what: string, all: readonly T[]) =>
    new Option(flags, what).argParser((list) => pick(all, list)).default(all, "all");
  const command = new Command("deno task bench")
    .description("Measures the stack beside the kernel's and others', in private network namespaces.")
    .option("--quick", "short measurements, each once: for a first look", false)
    .addOption(choice("--only <names>", "what is measured, of the list below", scenarios))
    .addOption(choice("--candidates <names>", "who is measured, of the list below", CANDIDATES))
    .option("--repetitions <n>", "how often everything is measured; 5, with --quick 1", count)
    .option("--json <file>", "writes all figures, and the machine")
    .option("--svg <file>", "draws them")
    .option("--record", "writes scripts/bench/results and the README's table", false)
    .option("--profile <folder>", "profiles lvl-ip embedded (V8's profiles; README.md says what is in them)")
    .addHelpText("after", listing("Measured", scenarios))
    .addHelpText("after", listing("Candidates", CANDIDATES))
    .addHelpText("after", "\nExample:\n  deno task bench --quick --only bulk,ping --candidates veth,ours");
  return command.parse(args, { from: "user" }).opts<Options>();
}

/** How long, and how often. */
export function settingsOf({ quick, repetitions = quick ? 1 : 5 }: Options): Settings {
  const fewRepetitions = Math.ceil(repetitions / 2);
  return { repetitions, fewRepetitions, seconds: quick ? 0.5 : 1, warmUp: 0.5, quick };
}
