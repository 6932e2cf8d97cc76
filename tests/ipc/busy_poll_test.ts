import { assert, assertEquals } from "@std/assert";
import { BusyPoll } from "../../lib/run/busy_poll.ts";

/** The windows after each of `count` events that come `us` after the wait for them began. */
function windowsAfter(poll: BusyPoll, us: number, count: number): number[] {
  return Array.from({ length: count }, () => {
    poll.waited(us, true);
    return poll.windowUs;
  });
}

Deno.test("the window begins closed, doubles while events come soon, and has a longest", () => {
  const poll = new BusyPoll(50);
  assertEquals(poll.windowUs, 0);
  assertEquals(windowsAfter(poll, 60, 6), [10, 20, 40, 50, 50, 50]);
});

Deno.test("the window stays as it is once it catches what comes", () => {
  assertEquals(windowsAfter(new BusyPoll(50), 15, 100).slice(0, 3), [10, 20, 20]);
  assertEquals(windowsAfter(new BusyPoll(50), 15, 100).at(-1), 20);
});

Deno.test("a long wait closes it, whatever ended it", () => {
  for (const byEvent of [true, false]) {
    const poll = new BusyPoll(50);
    windowsAfter(poll, 60, 4);
    poll.waited(10_000, byEvent);
    assertEquals(poll.windowUs, 0);
  }
});

Deno.test("a short wait until something was due says nothing of events", () => {
  const poll = new BusyPoll(50);
  poll.waited(20, false);
  assertEquals(poll.windowUs, 0);
  windowsAfter(poll, 20, 2);
  poll.waited(60, false);
  assertEquals(poll.windowUs, 20);
});

Deno.test("a longest window of 0, and one shorter than the first", () => {
  assertEquals(windowsAfter(new BusyPoll(0), 1, 3), [0, 0, 0]);
  assertEquals(windowsAfter(new BusyPoll(5), 8, 3), [5, 5, 5]);
});

/** Microseconds spent looking, in vain or not, while `count` events come `us` apart. */
function lookedFor(poll: BusyPoll, us: number, count: number): number {
  let looked = 0;
  for (let i = 0; i < count; i++) {
    looked += Math.min(us, poll.windowUs);
    poll.waited(us, true);
  }
  return looked;
}

Deno.test("events that come soon, but never soon enough, cost little: ever longer rests between attempts", () => {
  const events = 10_000;
  const looked = lookedFor(new BusyPoll(50), 100, events);
  assert(looked > 0, "it tries");
  assert(looked < 0.01 * 100 * events, `${looked} us looked in ${100 * events}`);
});

Deno.test("what is caught after a rest is looked for as before", () => {
  const poll = new BusyPoll(50);
  lookedFor(poll, 100, 10_000);
  lookedFor(poll, 20, 2000);
  assertEquals(lookedFor(poll, 20, 100), 2000);
});

Deno.test("who is idle, or called every 10 ms, never looks", () => {
  const poll = new BusyPoll(50);
  assertEquals(lookedFor(poll, 10_000, 1000), 0);
  // A call and its answer's acknowledgement close together, then nothing for long.
  let looked = 0;
  for (let i = 0; i < 1000; i++) {
    looked += lookedFor(poll, 30, 1) + lookedFor(poll, 10_000, 1);
  }
  assert(looked <= 10 * 1000, `${looked} us in 10 s`);
});
