import { assert, assertEquals, assertLess } from "@std/assert";
import { monotonicUs } from "../../ffi/clock.ts";
import "./open_libc.ts";

Deno.test("the clock counts whole microseconds and never backwards", () => {
  let before = monotonicUs();
  for (let i = 0; i < 100_000; i++) {
    const now = monotonicUs();
    assert(now >= before && Number.isInteger(now));
    before = now;
  }
});

Deno.test("the clock is the machine's monotonic one, at its rate", () => {
  const uptimeUs = Number(Deno.readTextFileSync("/proc/uptime").split(" ")[0]) * 1e6;
  assertLess(Math.abs(monotonicUs() - uptimeUs), 60e6);
  const [start, startMs] = [monotonicUs(), performance.now()];
  while (performance.now() - startMs < 50);
  const [elapsedUs, elapsedMs] = [monotonicUs() - start, performance.now() - startMs];
  assertLess(Math.abs(elapsedUs - elapsedMs * 1000), 5000);
});

Deno.test("it is the same clock in a Worker", async () => {
  const worker = new Worker(new URL("./clock_worker.ts", import.meta.url), { type: "module" });
  const before = monotonicUs();
  const there = await new Promise<number>((resolve) => worker.onmessage = (event) => resolve(event.data));
  const after = monotonicUs();
  worker.terminate();
  assert(before <= there && there <= after);
  assertEquals(typeof there, "number");
});
