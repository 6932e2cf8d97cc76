/** Which probe goes out when, and what is made of silence: on times that the test says. */
import { assertEquals } from "@std/assert";
import { TracePlan, type TracePlanOptions } from "../../lib/cli/trace_plan.ts";
import type { ProbeAnswer } from "../../lib/ipc/client.ts";

const OPTIONS: TracePlanOptions = {
  first: 1,
  max: 30,
  queries: 3,
  parallel: 16,
  waitMs: 5000,
  here: 3,
  near: 10,
};

function answer(number: number, more: Partial<ProbeAnswer> = {}): ProbeAnswer {
  const exceeded = { errno: 113, icmpType: 11, icmpCode: 0 };
  return { number, from: "10.0.0.1", rttUs: 1000, ttl: 64, mtu: 0, ...exceeded, ...more };
}

const reached = { errno: 0, icmpType: -1 };

/** Sends all that may be sent; which probes that were, as "hop.try". */
function send(plan: TracePlan, nowMs = 0): string[] {
  const sent: string[] = [];
  for (let probe = plan.next(nowMs); probe !== null; probe = plan.next(nowMs)) {
    sent.push(`${probe.ttl}.${probe.try}`);
  }
  return sent;
}

/** What may be printed, in order: "hop.try", "*" behind those that were given up. */
function settled(plan: TracePlan): string[] {
  const found: string[] = [];
  for (let probe = plan.takeSettled(); probe !== null; probe = plan.takeSettled()) {
    found.push(`${probe.ttl}.${probe.try}${probe.answer === null ? "*" : ""}`);
  }
  return found;
}

Deno.test("so many probes are under way at once, hop after hop", () => {
  const plan = new TracePlan({ ...OPTIONS, parallel: 4, first: 2 });
  assertEquals(send(plan), ["2.0", "2.1", "2.2", "3.0"]);
  plan.answered(answer(2));
  assertEquals(send(plan), ["3.1"]);
});

Deno.test("answers are handed out in the order of the probes, whatever order they come in", () => {
  const plan = new TracePlan(OPTIONS);
  send(plan);
  plan.answered(answer(1));
  plan.answered(answer(4));
  assertEquals(settled(plan), []);
  plan.answered(answer(0));
  assertEquals(settled(plan), ["1.0", "1.1"]);
  plan.answered(answer(2));
  plan.answered(answer(3));
  assertEquals(settled(plan), ["1.2", "2.0", "2.1"]);
});

Deno.test("the path ends with the hop that the destination, or who cannot go on, answers in", () => {
  for (
    const last of [reached, { errno: 111, icmpType: 3, icmpCode: 3 }, {
      errno: 113,
      icmpType: 3,
      icmpCode: 13,
    }]
  ) {
    const plan = new TracePlan(OPTIONS);
    assertEquals(send(plan).at(-1), "6.0");
    for (const number of [5, 4, 3]) plan.answered(answer(number, last));
    assertEquals(send(plan), [], "nothing is sent beyond the end");
    for (const number of [0, 1, 2]) plan.answered(answer(number));
    assertEquals(settled(plan), ["1.0", "1.1", "1.2", "2.0", "2.1", "2.2"]);
    assertEquals([plan.isOver, plan.deadlineMs], [true, Infinity]);
  }
});

Deno.test("the nearest end counts: a later hop that answered before does not", () => {
  const plan = new TracePlan({ ...OPTIONS, queries: 1 });
  send(plan);
  plan.answered(answer(4, reached));
  plan.answered(answer(2, reached));
  plan.answered(answer(0));
  plan.answered(answer(1));
  assertEquals(settled(plan), ["1.0", "2.0", "3.0"]);
  assertEquals(plan.isOver, true);
});

Deno.test("silence ends after the longest time, sooner where others of that hop or a later one answered", () => {
  const plan = new TracePlan({ ...OPTIONS, queries: 2, max: 4 });
  send(plan);
  assertEquals(plan.deadlineMs, 5000);
  plan.answered(answer(2, { rttUs: 80_000 }));
  // 10 times what a later hop took for the first hop, 3 times for the same hop; both with 20 ms for our own delay.
  assertEquals(plan.deadlineMs, 300);
  plan.expire(299);
  assertEquals(settled(plan), []);
  plan.expire(300);
  assertEquals(settled(plan), []);
  plan.expire(1000);
  assertEquals(settled(plan), ["1.0*", "1.1*", "2.0", "2.1*"]);
  assertEquals(plan.deadlineMs, 5000);
  plan.expire(5000);
  assertEquals(settled(plan), ["3.0*", "3.1*", "4.0*", "4.1*"]);
  assertEquals(plan.isOver, true);
});

Deno.test("an answer that comes after its probe was given up is not taken for another's", () => {
  const plan = new TracePlan({ ...OPTIONS, queries: 1, max: 2, parallel: 1 });
  send(plan);
  plan.expire(5000);
  assertEquals(send(plan, 5000), ["2.0"]);
  plan.answered(answer(0));
  plan.answered(answer(77));
  assertEquals(settled(plan), ["1.0*"]);
  plan.answered(answer(1));
  assertEquals(settled(plan), ["2.0"]);
});

Deno.test("factors of 0 count for nothing", () => {
  const plan = new TracePlan({ ...OPTIONS, here: 0, near: 0 });
  send(plan);
  plan.answered(answer(1));
  assertEquals(plan.deadlineMs, 5000);
});
