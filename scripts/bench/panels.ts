/** What the plot shows: a panel for each question, from whatever was measured. */
import { type Figure, type Results, summarize, type Summary } from "./results.ts";

/** Values of one colour. */
export interface Series {
  name: string;
  /** One for each label; null: not measured. */
  values: (Summary | null)[];
  /** Of a line: which colour, if not one of its own. */
  colour?: number;
  dashed?: boolean;
}

export interface Panel {
  title: string;
  kind: "bars" | "lines";
  /** Bars on a logarithmic axis, from here on. */
  from?: number;
  /** Below the horizontal axis. */
  labels: string[];
  series: Series[];
}

/** A row of figures by label; null where there is none. */
type Find = (label: string) => Figure | undefined;

function row(name: string, labels: readonly string[], find: Find): Series {
  const values = labels.map((label) => {
    const figure = find(label);
    return figure === undefined ? null : summarize(figure);
  });
  return { name, values };
}

/** Candidates below, a bar for each case. */
function byCandidate(
  results: Results,
  title: string,
  unit: string,
  cases: readonly (readonly [name: string, scenario: string, of: string])[],
): Panel {
  const used = results.figures.filter((each) =>
    each.unit === unit && cases.some(([, scenario, of]) => each.scenario === scenario && each.case === of)
  );
  const labels = [...new Set(used.map(({ candidate }) => candidate))];
  const series = cases.map(([name, scenario, of]) =>
    row(name, labels, (candidate) => results.find(scenario, of, unit, candidate))
  );
  return { title, kind: "bars", labels, series };
}

/** Programs below, how each candidate does compared with the kernel over veth. */
function programs(results: Results): Panel {
  const figures = results.figures.filter(({ scenario }) => scenario === "programs");
  const labels = [...new Set(figures.map((each) => each.case))];
  const candidates = [...new Set(figures.map(({ candidate }) => candidate))].filter((name) =>
    name !== "veth"
  );
  const series = candidates.map((candidate): Series => ({
    name: candidate,
    values: labels.map((label) => {
      const figure = figures.find((each) => each.case === label && each.candidate === candidate);
      const base = figures.find((each) => each.case === label && each.candidate === "veth");
      if (figure === undefined || base === undefined) return null;
      const { median, min, max } = summarize(figure);
      const of = summarize(base).median;
      return { median: median / of, min: min / of, max: max / of };
    }),
  }));
  return { title: "Unmodified programs, of the kernel's over veth", kind: "bars", labels, series };
}

/** What is named by "to, 16" or "from, 10 ms": a line for each candidate, over the 16 or the 10 ms. */
function growth(
  results: Results,
  title: string,
  scenario: string,
  ways: readonly string[],
  chosen: readonly string[],
): Panel {
  const figures = results.figures.filter((each) => each.scenario === scenario && each.unit === "Gbit/s");
  const labels = [...new Set(figures.map((each) => each.case.replace(/^\w+, /, "")))];
  const candidates = chosen.filter((each) => figures.some(({ candidate }) => candidate === each));
  const series = candidates.flatMap((candidate, colour) =>
    ways.map((way): Series => {
      const name = ways.length === 1 ? candidate : `${candidate}, ${way} kernel`;
      const find = (label: string) => results.find(scenario, `${way}, ${label}`, "Gbit/s", candidate);
      return { ...row(name, labels, find), colour, dashed: way !== ways[0] };
    })
  );
  return { title, kind: "lines", labels, series };
}

/** Of whom growth is shown. */
const GROWING = ["veth", "ours", "api", "shim", "lwip", "gvisor"];

/** Those for which something was measured. */
export function panelsOf(results: Results): Panel[] {
  const panels = [
    byCandidate(results, "Bulk, one flow, Gbit/s", "Gbit/s", [
      ["to the kernel peer", "bulk", "to, 1"],
      ["from the kernel peer", "bulk", "from, 1"],
    ]),
    {
      ...byCandidate(results, "Bulk, one flow, CPU seconds a GB of the stack's processes", "CPU s/GB", [
        ["to the kernel peer", "bulk", "to, 1"],
        ["from the kernel peer", "bulk", "from, 1"],
      ]),
      from: 0.01,
    },
    byCandidate(results, "Median latency, microseconds", "p50 us", [
      ["1 byte echoed", "requests", "1 B"],
      ["1 KB echoed", "requests", "1 KB"],
      ["ping", "ping", "back to back"],
    ]),
    byCandidate(results, "Connections a second, 16 at a time", "/s", [
      ["accepted", "connections", "accept"],
      ["made", "connections", "connect"],
    ]),
    programs(results),
    growth(results, "Gbit/s to the kernel peer, by the number of flows", "flows", ["to"], GROWING),
    growth(results, "Gbit/s from the kernel peer, by the number of flows", "flows", ["from"], GROWING),
    growth(results, "Gbit/s by the round-trip time, one flow, no offload", "rtt", ["to", "from"], [
      "veth",
      "ours",
    ]),
  ];
  return panels.filter(({ labels }) => labels.length > 0);
}
