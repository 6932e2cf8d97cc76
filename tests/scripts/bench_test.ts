/** The benchmarks: that a run measures, and what is made of its figures. */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { readmeSection, replaceSection } from "../../scripts/bench/record.ts";
import { median, Results } from "../../scripts/bench/results.ts";
import { formatNumber, scenarioTables } from "../../scripts/bench/table.ts";
import { targets } from "../../scripts/bench/targets.ts";
import { makeStyle } from "../../lib/host/style.ts";
import { hasNamespaces } from "../support/netns.ts";

const PLAIN = makeStyle(false, false, false);
const main = new URL("../../scripts/bench/main.ts", import.meta.url).pathname;

function bench(...args: string[]): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-prompt", "--no-check", main, ...args],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

function results(
  figures: [scenario: string, name: string, unit: string, candidate: string, ...values: number[]][],
) {
  const made = new Results();
  for (const [scenario, name, unit, candidate, ...values] of figures) {
    for (const value of values) made.record(scenario, name, candidate, { [unit]: value });
  }
  return made;
}

Deno.test("bench: medians of odd and even numbers of values", () => {
  assertEquals([median([3]), median([9, 1, 2]), median([4, 1, 3, 2])], [3, 2, 2.5]);
});

Deno.test("bench: numbers have three digits, two below 1, and none behind the point from 100 on", () => {
  assertEquals([0, 0.04567, 9.999, 99.96, 123.4, 12345.6].map(formatNumber), [
    "0",
    "0.046",
    "10",
    "100",
    "123",
    "12,346",
  ]);
});

Deno.test("bench: a table has a row for each candidate, and a dash for what was not measured", () => {
  const table = scenarioTables(
    results([["bulk", "a", "Gbit/s", "veth", 3, 1, 2], ["bulk", "b", "Gbit/s", "ours", 0.5]]),
    "bulk",
    "bulk transfer",
    PLAIN,
  );
  assertEquals(table.split("\n"), [
    "bulk transfer: Gbit/s",
    "            a    b",
    "veth  2 (1-3)    -",
    "ours        -  0.5",
    "",
  ]);
});

Deno.test("bench: targets are ratios of medians, or limits; what was not measured is neither met nor missed", () => {
  const to = ["bulk", "to, 1", "Gbit/s"] as const;
  const reached = targets(results([
    [...to, "veth", 70, 80, 60],
    [...to, "ours", 36],
    [...to, "lwip", 4],
    [...to, "gvisor", 30],
    ["idle", "10,000 idle", "MB more", "api", 101],
  ]));
  const find = (what: string, target: RegExp) =>
    reached.find((each) => each.what === what && target.test(each.target))!;
  assertEquals(find("bulk to the kernel, in process", /veth/).met, true);
  assertEquals(find("bulk to the kernel, in process", /veth/).got, "0.51 (36 / 70)");
  // The best of the others, and not the last one.
  assertEquals(find("bulk to the kernel, in process", /peer/).met, false);
  assertEquals(find("bulk to the kernel, no offload", /lwIP/).met, null);
  assertEquals(find("10,000 idle connections, daemon", /MB/).met, false);
});

Deno.test("bench: the README's section is replaced, whatever was there", () => {
  const [begin, end] = ["<!-- bench: written by deno task bench --record -->", "<!-- bench: end -->"];
  const text = `a\n\n${begin}\n\nold\n\n${end}\n\nb\n`;
  assertEquals(replaceSection(text, "new"), `a\n\n${begin}\n\nnew\n\n${end}\n\nb\n`);
  assertThrows(() => replaceSection("a\n", "new"), Error, "no place");
  const section = readmeSection({
    machine: {
      cpu: "CPU",
      cores: 2,
      memoryGb: 4,
      kernel: "6",
      deno: "2",
      commit: "abc",
      began: "2026-01-01T00:00",
      loadBefore: 0,
      stolenPercent: 1,
    },
    settings: { repetitions: 3, fewRepetitions: 3, seconds: 1, warmUp: 1, quick: false },
    results: results([["requests", "1 B", "p50 us", "ours", 7, 8, 9]]),
    targets: [],
  });
  assertMatch(section, /^2 cores of CPU, .* 1 % of CPU time stolen\. Medians of 3/);
  assertMatch(section, /^\| ours \| - \| - \| - \| 8 \(7-9\) \| - \| - \|$/m);
});

Deno.test({
  name: "bench: a quick run measures the kernel and us, and leaves nothing behind",
  ignore: !hasNamespaces(),
  async fn() {
    const folder = await Deno.makeTempDir();
    const json = `${folder}/figures.json`;
    const args = ["--quick", "--only", "ping", "--candidates", "veth,ours", "--json", json];
    const { code, stdout, stderr } = await bench(...args).output();
    const output = new TextDecoder().decode(stdout);
    assertEquals([code, new TextDecoder().decode(stderr)], [0, ""]);
    assertMatch(output, /^veth .*\d\n/m);
    assertMatch(output, /^ours .*\d\n/m);
    assertMatch(
      output,
      /^ping, one after the other, median +at most 1\.5 of veth's +[\d.]+ \(.*\) +(yes|no)$/m,
    );
    const { figures, machine } = JSON.parse(await Deno.readTextFile(json));
    await Deno.remove(folder, { recursive: true });
    const medians = figures.filter(({ unit }: { unit: string }) => unit === "p50 us");
    assertEquals(medians.length, 4);
    assert(medians.every(({ values: [value] }: { values: number[] }) => value > 0));
    assert(machine.cores > 0);
  },
});

Deno.test("bench: what it does not know it names, with what there is", async () => {
  const { code, stderr } = await bench("--only", "bulk,speed").output();
  assertEquals(code, 1);
  assertMatch(new TextDecoder().decode(stderr), /There is no 'speed'; there are bulk, requests, /);
});
