/** What of the lock file goes into the executable. */
import { assertEquals } from "@std/assert";
import { runtimeLock } from "../../scripts/runtime_lock.ts";

Deno.test("the executable carries what the program imports, and not what tests and benchmarks do", () => {
  const lock = {
    version: "5",
    specifiers: {
      "npm:@scope/tool@^1": "1.0.0_commander@14.0.3",
      "npm:commander@^14.0.3": "14.0.3",
      "npm:echarts@^6.1.0": "6.1.0",
      "npm:fast-check@^4": "4.1.0",
    },
    npm: {
      "@scope/tool@1.0.0_commander@14.0.3": { dependencies: ["commander", "tslib@2.3.0"] },
      "commander@14.0.3": { integrity: "sha512-a" },
      "echarts@6.1.0": { dependencies: ["tslib", "zrender"] },
      "fast-check@4.1.0": {},
      "tslib@2.3.0": {},
      "zrender@6.1.0": { dependencies: ["tslib"] },
    },
  };
  const { version, specifiers, npm } = JSON.parse(runtimeLock(JSON.stringify(lock)));
  assertEquals(version, "5");
  assertEquals(Object.keys(specifiers), ["npm:@scope/tool@^1", "npm:commander@^14.0.3"]);
  assertEquals(npm, {
    "@scope/tool@1.0.0_commander@14.0.3": { dependencies: ["commander", "tslib@2.3.0"] },
    "commander@14.0.3": { integrity: "sha512-a" },
    "tslib@2.3.0": {},
  });
});
