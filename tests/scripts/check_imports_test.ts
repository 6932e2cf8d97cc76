import { assertEquals } from "@std/assert";
import { checkFile, checkTree } from "../../scripts/check_imports.ts";
import { blankStrings, stripComments } from "../../scripts/source_text.ts";

function messages(path: string, source: string): string[] {
  return checkFile(path, source).map(({ line, message }) => `${line}: ${message}`);
}

Deno.test("a room imports what it may", () => {
  assertEquals(messages("lib/wire/tcp.ts", `import { Memory } from "../buffer/memory.ts";`), []);
  assertEquals(messages("lib/wire/tcp.ts", `import { sum } from "./checksum.ts";`), []);
  assertEquals(messages("lib/stack/ip.ts", `import type { DeviceFeatures } from "../device.ts";`), []);
  assertEquals(messages("lib/cli/ping.ts", `import { Command } from "commander";`), []);
  assertEquals(messages("lib/ipc/server.ts", `import { connect } from "./channel.ts";`), []);
  assertEquals(messages("mod.ts", `export { connect } from "./lib/ipc/client.ts";`), []);
  assertEquals(messages("lib/impair.ts", `export * from "./impair/spec.ts";`), []);
});

Deno.test("a room does not import what it may not, whatever the form", () => {
  const forms = [
    `import { Stack } from "../stack/stack.ts";`,
    `import type { Stack } from "../stack/stack.ts";`,
    `import * as stack from '../stack/stack.ts';`,
    `import {\n  Stack,\n  type X,\n} from "../stack/stack.ts";`,
    `export { Stack } from "../stack/stack.ts";`,
    `export * from "../stack/stack.ts";`,
    `import "../stack/stack.ts";`,
    `const stack = load(import("../stack/stack.ts"));`,
    `new Worker(new URL("../stack/stack.ts", import.meta.url), { type: "module" });`,
    `import /* why */ { Stack } /* not */ from "../stack/stack.ts";`,
  ];
  for (const form of forms) {
    assertEquals(messages("lib/tcp/tcb.ts", form), ["1: lib/tcp/ may not import lib/stack/stack.ts"], form);
  }
  assertEquals(messages("lib/stack/ip.ts", `import { Frame } from "../device.ts";`), [
    "1: lib/stack/ may not import lib/device.ts",
  ]);
  assertEquals(messages("lib/wire/tcp.ts", `import { Frame } from "../buffer/frame.ts";`), [
    "1: lib/wire/ may not import lib/buffer/frame.ts",
  ]);
  assertEquals(messages("lib/host/lab.ts", `import { Command } from "commander";`), [
    "1: lib/host/ may not import npm:commander",
  ]);
  assertEquals(messages("lib/ipc/client.ts", `import { libc } from "../../ffi/libc.ts";`), [
    "1: lib/ipc/ (client) may not import ffi/libc.ts",
  ]);
  assertEquals(messages("lib/ipc/client.ts", `import { Server } from "./server.ts";`), [
    "1: lib/ipc/ (client) may not import lib/ipc/server.ts",
  ]);
  assertEquals(messages("lib/tcp/tcb.ts", `import process from "node:process";`), [
    "1: lib/tcp/ may not import node:process",
  ]);
});

Deno.test("an import that is only spoken of is none", () => {
  const source = [
    `// import { Stack } from "../stack/stack.ts";`,
    `/** import "../stack/stack.ts" */`,
    `const text = 'import { Stack } from "../stack/stack.ts"';`,
    'const more = `import "../stack/stack.ts"`;',
  ].join("\n");
  assertEquals(messages("lib/tcp/tcb.ts", source), []);
});

Deno.test("the words of I/O, time and chance do not occur in the pure rooms, with their lines", () => {
  const source = `const a = 1;
export async function f() {
  Deno.exit(Date.now() + performance.now());
  setTimeout(() => console.log(Math.random()), 1);
}`;
  assertEquals(messages("lib/buffer/x.ts", source), [
    "2: lib/buffer/ may not use async",
    "3: lib/buffer/ may not use Deno",
    "3: lib/buffer/ may not use Date",
    "3: lib/buffer/ may not use performance",
    "4: lib/buffer/ may not use setTimeout",
    "4: lib/buffer/ may not use console",
    "4: lib/buffer/ may not use Math.random",
  ]);
  assertEquals(messages("lib/trace/x.ts", source), []);
});

Deno.test("the words in comments, strings and longer names are free", () => {
  const source = [
    "// Date and async and Deno.exit, at the device's performance",
    "/* console\n * setTimeout */",
    `throw new RangeError("async console Date");`,
    "const text = `Date ${upDate(1)} async ${`console ${validate}`} performance`;",
    "const pattern = /Date|console\\/async[/]performance/;",
    "const half = total / 2 / asyncish;",
    "this.updateDate(); const performances = 1;",
  ].join("\n");
  assertEquals(messages("lib/tcp/x.ts", source), []);
  assertEquals(messages("lib/tcp/x.ts", "const t = `${Date.now()}`;"), ["1: lib/tcp/ may not use Date"]);
  assertEquals(messages("lib/tcp/x.ts", "const t = a / b; const d = Date; /* / */"), [
    "1: lib/tcp/ may not use Date",
  ]);
});

Deno.test("a file outside every room is named", () => {
  assertEquals(messages("lib/util.ts", ""), [
    "1: belongs to no room: add its rule to scripts/check_imports.ts",
  ]);
});

Deno.test("blanking keeps every position", () => {
  const source = "a /* b\nc */ 'd' // e\nf `g${h}i` + /j/ k";
  assertEquals(stripComments(source), "a     \n     'd'     \nf `g${h}i` + /j/ k");
  assertEquals(blankStrings(source), "a     \n             \nf     h    +     k");
});

Deno.test("this tree keeps the rules", () => {
  const { files, violations } = checkTree(new URL("../..", import.meta.url).pathname);
  assertEquals(violations.map(({ file, line, message }) => `${file}:${line}: ${message}`), []);
  assertEquals(files > 20, true);
});
