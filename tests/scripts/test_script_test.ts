import { assertEquals } from "@std/assert";
import { add, parsePacketdrill, parseSummary, totalLine } from "../../scripts/test.ts";

Deno.test("parseSummary: the forms that deno test prints", () => {
  const summary = (text: string) => parseSummary(`running 3 tests\n${text}\n`);
  assertEquals(summary("ok | 24 passed | 0 failed (473ms)"), { passed: 24, failed: 0, skipped: 0 });
  assertEquals(summary("FAILED | 9 passed (3 steps) | 2 failed (1 step) | 4 ignored (1s)"), {
    passed: 9,
    failed: 2,
    skipped: 4,
  });
  assertEquals(summary("ok | 1 passed | 0 failed | 1 ignored (1 step) | 2 filtered out (8ms)"), {
    passed: 1,
    failed: 0,
    skipped: 1,
  });
  assertEquals(summary("error: Type checking failed."), null);
});

Deno.test("parsePacketdrill: the runner's last line", () => {
  assertEquals(parsePacketdrill("pass a.pkt\n3 passed, 1 failed, 2 unsupported\n"), {
    passed: 3,
    failed: 1,
    skipped: 2,
  });
  assertEquals(parsePacketdrill("3 passed"), null);
});

Deno.test("totalLine: skipped only when some were", () => {
  const counts = add({ passed: 1, failed: 0, skipped: 0 }, { passed: 2, failed: 1, skipped: 0 });
  assertEquals(totalLine(counts), "3 passed, 1 failed");
  assertEquals(totalLine({ passed: 3, failed: 0, skipped: 2 }), "3 passed, 0 failed, 2 skipped");
});

Deno.test("common.sh: which Deno is new enough", async () => {
  const versions: [version: string, isEnough: boolean][] = [
    ["deno 2.7.11 (stable, release, x86_64-unknown-linux-gnu)", true],
    ["deno 2.7.0", true],
    ["deno 2.10.3 (stable)", true],
    ["deno 3.0.0", true],
    ["deno 2.6.9 (stable)", false],
    ["deno 1.46.3", false],
    ["", false],
    ["deno canary", false],
  ];
  const root = new URL("../..", import.meta.url).pathname;
  for (const [version, isEnough] of versions) {
    const { success } = await new Deno.Command("sh", {
      args: ["-eu", "-c", '. scripts/common.sh; deno_is_new_enough "$1"', "sh", version],
      cwd: root,
    }).output();
    assertEquals(success, isEnough, version);
  }
});

Deno.test("common.sh: missing packages are named when they cannot be installed", async () => {
  const script = `. scripts/common.sh
    id() { echo 1000; }
    ensure_packages sh:dash && echo present
    ensure_packages sh:dash no-such-command:a-package no-such-other:b-package || echo "status $?"`;
  const { stdout, stderr } = await new Deno.Command("sh", {
    args: ["-eu", "-c", script],
    cwd: new URL("../..", import.meta.url).pathname,
  }).output();
  assertEquals(new TextDecoder().decode(stdout), "present\nstatus 1\n");
  assertEquals(
    new TextDecoder().decode(stderr),
    "sh: packages are missing; install them with: sudo apt-get install -y a-package b-package\n",
  );
});
