/** What the stack is to reach, beside what it reached in this run: ratios of medians. */
import type { Results } from "./results.ts";
import { formatNumber } from "./table.ts";

export interface Target {
  what: string;
  target: string;
  got: string;
  /** null: not measured in this run. */
  met: boolean | null;
}

/** The median of one candidate's figure; undefined: not measured. */
type Find = (scenario: string, name: string, unit: string, candidate: string) => number | undefined;

const UNKNOWN = { got: "not measured", met: null };

/** A figure of ours over another's, at least or at most so much. */
function ratio(
  what: string,
  ours: number | undefined,
  theirs: number | undefined,
  limit: { least?: number; most?: number; of: string },
): Target {
  const { least, most, of } = limit;
  const target = least !== undefined ? `at least ${least} of ${of}` : `at most ${most} of ${of}`;
  if (ours === undefined || theirs === undefined) return { what, target, ...UNKNOWN };
  const got = ours / theirs;
  const met = least !== undefined ? got >= least : got <= most!;
  return { what, target, got: `${got.toFixed(2)} (${formatNumber(ours)} / ${formatNumber(theirs)})`, met };
}

/** An absolute limit. */
function limit(what: string, value: number | undefined, most: number, unit: string): Target {
  const target = `at most ${most} ${unit}`;
  if (value === undefined) return { what, target, ...UNKNOWN };
  return { what, target, got: `${formatNumber(value)} ${unit}`, met: value <= most };
}

function best(...values: (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}

const WAYS = [["to", "to the kernel"], ["from", "from the kernel"]] as const;

function bulkTargets(find: Find): Target[] {
  return WAYS.flatMap(([way, words]) => {
    const speed = (candidate: string) => find("bulk", `${way}, 1`, "Gbit/s", candidate);
    return [
      ratio(`bulk ${words}, in process`, speed("ours"), speed("veth"), { least: 0.5, of: "veth's" }),
      ratio(`bulk ${words}, in process`, speed("ours"), best(speed("lwip"), speed("gvisor")), {
        least: 3,
        of: "the best peer's",
      }),
      ratio(`bulk ${words}, no offload`, speed("ours-plain"), speed("lwip"), { least: 0.75, of: "lwIP's" }),
    ];
  });
}

function programTargets(find: Find): Target[] {
  const rows = [
    ["curl of 1 GB, shim", "curl from kernel's nginx", "Gbit/s"],
    ["iperf3 to the kernel, shim", "iperf3 to kernel", "Gbit/s"],
    ["iperf3 from the kernel, shim", "iperf3 from kernel", "Gbit/s"],
    ["nginx with wrk, shim", "nginx, wrk", "/s"],
  ];
  return rows.map(([what, name, unit]) =>
    ratio(what, find("programs", name, unit, "shim"), find("programs", name, unit, "veth"), {
      least: 0.4,
      of: "veth's",
    })
  );
}

function latencyTargets(find: Find): Target[] {
  const rows = [
    ["ping, one after the other, median", "ping", "back to back"],
    ["ping every 10 ms, median", "ping", "every 10 ms"],
    ["1-byte request and response, median", "requests", "1 B"],
  ];
  return rows.flatMap(([what, scenario, name]) => {
    const time = (candidate: string) => find(scenario, name, "p50 us", candidate);
    return [
      ratio(what, time("ours"), time("veth"), { most: 1.5, of: "veth's" }),
      ratio(what, time("ours"), time("gvisor"), { most: 1, of: "gVisor's" }),
    ];
  });
}

/** All of them, in the order of the requirement. */
export function targets(results: Results): Target[] {
  const find: Find = (...words) => results.median(...words);
  const accepted = (candidate: string) => find("connections", "accept", "/s", candidate);
  const idle = (unit: string) => find("idle", "10,000 idle", unit, "api");
  return [
    ...bulkTargets(find),
    ...programTargets(find),
    ...latencyTargets(find),
    ratio("connections accepted a second, in process", accepted("ours"), accepted("lwip"), {
      least: 1,
      of: "lwIP's",
    }),
    limit("10,000 idle connections, daemon", idle("MB more"), 100, "MB more"),
    limit("10,000 idle connections, daemon", idle("CPU %"), 0.5, "% CPU"),
    limit("daemon ready", find("start", "start", "ms until ready", "daemon"), 150, "ms"),
  ];
}
