import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { AssertionFailed, PythonError, type PyValue, runPython } from "./python.ts";

function run(code: string, names: Record<string, PyValue> = {}): Map<string, PyValue> {
  const map = new Map(Object.entries(names));
  runPython(code, map);
  return map;
}

Deno.test("assertions hold or say what was found", () => {
  const names = { tcpi_snd_cwnd: 10, tcpi_unacked: 4 };
  run("assert tcpi_snd_cwnd == 10, tcpi_snd_cwnd", names);
  run("assert tcpi_snd_cwnd == 10, 'cwnd=%d' % tcpi_snd_cwnd", names);
  const error = assertThrows(() => run("assert tcpi_snd_cwnd == 11, tcpi_snd_cwnd", names), AssertionFailed);
  assertEquals(error.message, "assert tcpi_snd_cwnd == 11; tcpi_snd_cwnd is 10");
  const said = assertThrows(() => run("assert tcpi_unacked < 4, 'in flight %d' % 4", names), AssertionFailed);
  assertStringIncludes(said.message, "'in flight 4'");
});

Deno.test("operators have Python's precedence and meaning", () => {
  const values: [string, PyValue][] = [
    ["1 + 2 * 3", 7],
    ["(1 + 2) * 3", 9],
    ["7 // 2 - -7 // 2", 7],
    ["-7 % 3", 2],
    ["2 ** 3 ** 2", 512],
    ["1 << 4 | 1", 17],
    ["0xf0 & ~0x10", 0xe0],
    ["1 < 2 <= 2 < 3", true],
    ["1 < 2 > 2", false],
    ["not 1 == 2", true],
    ["3 in (1, 2, 3) and 4 not in [1]", true],
    ["5 if 0 else 6", 6],
    ["max(1, abs(-4), min([9, 8]))", 8],
    ["'%s-%x-%.2f-%d%%' % ('a', 255, 1.5, 3)", "a-ff-1.50-3%"],
    ["True == 1", true],
    ["(1, 2)[-1]", 2],
    ["1e3 + .5", 1000.5],
    ["4294967296 | 1", 4294967297],
    ["0 or 'text'", "text"],
  ];
  for (const [code, value] of values) assertEquals(run(`x = ${code}`).get("x"), value, code);
});

Deno.test("what is behind a decided and, or, assert or if is not evaluated", () => {
  run("assert 1 or 1 / 0\nassert not (0 and undefined_name)\nassert True, undefined_name");
  assertEquals(run("if 0:\n  x = 1 / 0\nelif 1:\n  x = 2\nelse:\n  x = missing\ny = x + 1").get("y"), 3);
  assertEquals(run("if 1: x = 5").get("x"), 5);
});

Deno.test("assignments stay, comments and continued lines are read", () => {
  const names = run("\n# a comment\na = 3; a += 4\nb = (a +\n   1)\nc = a + \\\n  2\n");
  assertEquals([names.get("a"), names.get("b"), names.get("c")], [7, 8, 9]);
});

Deno.test("print goes to the caller", () => {
  const lines: string[] = [];
  runPython(
    "print('cwnd', tcpi_snd_cwnd)\nprint(1, 2, file=sys.stderr)",
    new Map([["tcpi_snd_cwnd", 9]]),
    (line) => {
      lines.push(line);
    },
  );
  assertEquals(lines, ["cwnd 9", "1 2"]);
});

Deno.test("code beyond this part of Python is an error, never a pass", () => {
  for (
    const code of [
      "for x in y: pass",
      "import os",
      "assert unknown == 1",
      "foo(1)",
      "x = 'a' - 1",
      "assert (",
    ]
  ) {
    assertThrows(() => run(code), PythonError, "", code);
  }
});
