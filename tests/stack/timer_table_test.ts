import { assert, assertEquals } from "@std/assert";
import { Timer, TimerTable } from "../../lib/stack/timer_table.ts";

function drain(table: TimerTable<Timer>, now: number): Timer[] {
  const due: Timer[] = [];
  for (let timer = table.takeDue(now); timer !== null; timer = table.takeDue(now)) due.push(timer);
  return due;
}

Deno.test("timers fire in order and once", () => {
  const table = new TimerTable<Timer>();
  const [a, b, c] = [new Timer(), new Timer(), new Timer()];
  table.arm(b, 20);
  table.arm(a, 10);
  table.arm(c, 30);
  assertEquals(table.deadline, 10);
  assertEquals(drain(table, 5), []);
  assertEquals(drain(table, 20), [a, b]);
  assertEquals(table.deadline, 30);
  assertEquals(a.dueUs, Infinity);
  assertEquals(drain(table, 100), [c]);
  assertEquals(table.deadline, Infinity);
});

Deno.test("a timer that moves later or is disarmed is mended when its old time comes", () => {
  const table = new TimerTable<Timer>();
  const [a, b] = [new Timer(), new Timer()];
  table.arm(a, 10);
  table.arm(b, 20);
  table.arm(a, 50);
  assertEquals(table.deadline, 20);
  table.arm(b, Infinity);
  assertEquals(table.deadline, 50);
  assertEquals(table.size, 1);
  table.arm(a, 5);
  assertEquals(table.deadline, 5);
  table.remove(a);
  assertEquals(table.size, 0);
});

Deno.test("timers: random arming, moving and removing agrees with a plain list", () => {
  let state = 12345;
  const random = (n: number) => (state = Math.imul(state, 1103515245) + 12345 >>> 0) % n;
  const table = new TimerTable<Timer>();
  const timers = Array.from({ length: 50 }, () => new Timer());
  for (let now = 0; now < 5000; now++) {
    const timer = timers[random(timers.length)];
    const action = random(4);
    if (action === 0) table.remove(timer);
    else if (action === 1) table.arm(timer, Infinity);
    else table.arm(timer, now + 1 + random(100));
    const expected = timers.filter((t) => t.dueUs <= now).length;
    assertEquals(table.deadline, timers.reduce((least, t) => Math.min(least, t.dueUs), Infinity));
    assertEquals(drain(table, now).length, expected);
  }
});

Deno.test("ten thousand idle timers cost nothing per move of another", () => {
  const table = new TimerTable<Timer>();
  for (let i = 0; i < 10_000; i++) table.arm(new Timer(), 7200e6 + i);
  const busy = new Timer();
  table.arm(busy, 200_000);
  for (let i = 0; i < 1000; i++) table.arm(busy, 200_000 + i);
  assertEquals(busy.heapKeyUs, 200_000, "the heap is not touched by a move to a later time");
  assertEquals(table.deadline, 200_999);
  assert(table.size === 10_001);
});
