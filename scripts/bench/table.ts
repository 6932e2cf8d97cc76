/** Results as aligned tables: a row for each candidate, a column for each case. */
import { formatTable } from "../../lib/cli/output.ts";
import type { Style } from "../../lib/host/style.ts";
import { type Figure, type Results, summarize } from "./results.ts";
import type { Target } from "./targets.ts";

/** Three significant digits, two below 1, without an exponent; whole numbers from 100 on. */
export function formatNumber(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en-US");
  return `${Number(value.toPrecision(Math.abs(value) < 1 ? 2 : 3))}`;
}

/** "12.1 (10.5-13)": the median and the extremes, which are left out of a single value. */
export function formatFigure(figure: Figure): string {
  const { median, min, max } = summarize(figure);
  if (figure.values.length === 1) return formatNumber(median);
  return `${formatNumber(median)} (${formatNumber(min)}-${formatNumber(max)})`;
}

/** One scenario's tables: one a unit with a column for each case, or one a case where that makes fewer. */
export function scenarioTables(results: Results, scenario: string, what: string, style: Style): string {
  const figures = results.figures.filter((each) => each.scenario === scenario);
  const cases = new Set(figures.map((each) => each.case));
  const units = new Set(figures.map(({ unit }) => unit));
  const [one, other] = cases.size < units.size ? ["case", "unit"] as const : ["unit", "case"] as const;
  return [...new Set(figures.map((each) => each[one]))].map((name) => {
    const shown = figures.filter((each) => each[one] === name);
    return `${style.bold(`${what}: ${name}`)}\n${tableOf(shown, other, style)}`;
  }).join("\n");
}

function tableOf(figures: Figure[], column: "case" | "unit", style: Style): string {
  const titles = [...new Set(figures.map((each) => each[column]))];
  const candidates = [...new Set(figures.map(({ candidate }) => candidate))];
  const cell = (candidate: string, title: string) => {
    const figure = figures.find((each) => each.candidate === candidate && each[column] === title);
    return figure === undefined ? "-" : formatFigure(figure);
  };
  const columns = [{ title: "" }, ...titles.map((title) => ({ title, right: true }))];
  const rows = candidates.map((candidate) => [candidate, ...titles.map((title) => cell(candidate, title))]);
  return formatTable(columns, rows, style);
}

/** What was to be reached, and what was. */
export function targetTable(targets: readonly Target[], style: Style): string {
  const met = (target: Target) => target.met ? "yes" : "no";
  const columns = [{ title: "" }, { title: "target" }, { title: "got" }, { title: "met?" }];
  const rows = targets.map((each) => [each.what, each.target, each.got, met(each)]);
  return `${style.bold("Targets, by medians")}\n${formatTable(columns, rows, style)}`;
}
