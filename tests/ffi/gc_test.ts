import { testInNamespace } from "./namespace.ts";

testInNamespace(
  "what the kernel is pointed at outlives every garbage collection",
  new URL("./gc_cases.ts", import.meta.url),
  ["--v8-flags=--expose-gc"],
  false,
);
