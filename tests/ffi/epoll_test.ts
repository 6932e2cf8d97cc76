import { assert, assertEquals, assertGreaterOrEqual, assertLess, assertThrows } from "@std/assert";
import { monotonicUs } from "../../ffi/clock.ts";
import { Epoll, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, setTimerSlack } from "../../ffi/epoll.ts";
import { SysError } from "../../ffi/errno.ts";
import { WakeUp } from "../../ffi/eventfd.ts";
import { closeDescriptor } from "../../ffi/libc.ts";
import { socketPair } from "../../ffi/unix_socket.ts";
import { run } from "./namespace.ts";
import "./open_libc.ts";

for (const sleep of ["pwait2", "timerfd"] as const) {
  Deno.test(`${sleep}: events carry descriptor, mask and the caller's number`, () => {
    const epoll = new Epoll({ sleep });
    const wakes = [new WakeUp(), new WakeUp(), new WakeUp()];
    wakes.forEach((wake, i) => epoll.add(wake.fd, EPOLLIN, i - 1));
    assertEquals(epoll.wait(0), 0);
    wakes[0].signal();
    wakes[2].signal();
    for (const timeout of [0, 1, 0.4, 5000, Infinity]) {
      assertEquals(epoll.wait(timeout), 2);
      const seen = [0, 1].map((i) => [epoll.eventFd(i), epoll.eventMask(i), epoll.eventData(i)]);
      seen.sort((a, b) => a[2] - b[2]);
      assertEquals(seen, [[wakes[0].fd, EPOLLIN, -1], [wakes[2].fd, EPOLLIN, 1]]);
    }
    wakes[0].clear();
    epoll.modify(wakes[2].fd, EPOLLOUT, 42);
    assertEquals(epoll.wait(1000), 1);
    assertEquals([epoll.eventMask(0), epoll.eventData(0)], [EPOLLOUT, 42]);
    epoll.close();
    wakes.forEach((wake) => wake.close());
  });

  Deno.test(`${sleep}: sleeps are never short, and not long by the whole milliseconds of epoll_wait`, () => {
    const epoll = new Epoll({ sleep });
    for (const timeoutUs of [1, 50, 300, 999, 1001, 2500]) {
      const late: number[] = [];
      for (let i = 0; i < 15; i++) {
        const start = monotonicUs();
        assertEquals(epoll.wait(timeoutUs), 0);
        late.push(monotonicUs() - start - timeoutUs);
      }
      late.sort((a, b) => a - b);
      assertGreaterOrEqual(late[0], 0);
      assertLess(late[0], 500, `${timeoutUs} us: at best ${late[0]} us late`);
    }
    epoll.close();
  });

  Deno.test(`${sleep}: a sleep does not disturb the next wait`, () => {
    const epoll = new Epoll({ sleep, capacity: 1 });
    const wake = new WakeUp();
    epoll.add(wake.fd, EPOLLIN, 9);
    assertEquals(epoll.wait(200), 0);
    assertEquals(epoll.wait(0), 0);
    wake.signal();
    assertEquals([epoll.wait(Infinity), epoll.eventData(0)], [1, 9]);
    wake.clear();
    assertEquals(epoll.wait(200), 0);
    epoll.close();
    wake.close();
  });
}

Deno.test("edge-triggered, hang-up and half-close", () => {
  const epoll = new Epoll();
  const [ours, theirs] = socketPair();
  epoll.add(ours, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, 1);
  assertEquals([epoll.wait(0), epoll.eventMask(0)], [1, EPOLLOUT]);
  assertEquals(epoll.wait(0), 0);
  closeDescriptor(theirs);
  assertEquals(epoll.wait(0), 1);
  assertEquals(epoll.eventMask(0), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
  closeDescriptor(ours);
  epoll.close();
});

Deno.test("events of a removed descriptor lose their mask, so that a new one of its number is safe", () => {
  const epoll = new Epoll();
  const wakes = [new WakeUp(), new WakeUp()];
  for (const wake of wakes) {
    epoll.add(wake.fd, EPOLLIN);
    wake.signal();
  }
  assertEquals(epoll.wait(0), 2);
  const gone = epoll.eventFd(1);
  epoll.remove(gone);
  assertEquals([epoll.eventMask(0), epoll.eventMask(1)], [EPOLLIN, 0]);
  assertEquals(epoll.wait(0), 1);
  epoll.close();
  wakes.forEach((wake) => wake.close());
});

Deno.test("capacity bounds a batch, and the next wait brings the rest", () => {
  const epoll = new Epoll({ capacity: 2 });
  const wakes = Array.from({ length: 5 }, () => new WakeUp());
  wakes.forEach((wake, i) => epoll.add(wake.fd, EPOLLIN | EPOLLET, i));
  wakes.forEach((wake) => wake.signal());
  const seen: number[] = [];
  for (let count; (count = epoll.wait(0)) > 0;) {
    assert(count <= 2);
    for (let i = 0; i < count; i++) seen.push(epoll.eventData(i));
  }
  assertEquals(seen.sort(), [0, 1, 2, 3, 4]);
  epoll.close();
  wakes.forEach((wake) => wake.close());
});

Deno.test("misuse is an error with a name", () => {
  const epoll = new Epoll();
  const wake = new WakeUp();
  epoll.add(wake.fd, EPOLLIN);
  assertEquals(assertThrows(() => epoll.add(wake.fd, EPOLLIN), SysError).name, "EEXIST");
  assertEquals(assertThrows(() => epoll.add(-1, EPOLLIN), SysError).name, "EBADF");
  epoll.remove(wake.fd);
  assertEquals(assertThrows(() => epoll.modify(wake.fd, EPOLLIN), SysError).name, "ENOENT");
  epoll.close();
  assertThrows(() => epoll.wait(0), SysError, "epoll_wait");
  assertThrows(() => epoll.wait(10), SysError, "epoll_pwait2");
  wake.close();
});

Deno.test("the timer slack of a thread can be taken down", () => {
  setTimerSlack(1);
  const epoll = new Epoll();
  const late: number[] = [];
  for (let i = 0; i < 21; i++) {
    const start = monotonicUs();
    epoll.wait(100);
    late.push(monotonicUs() - start - 100);
  }
  setTimerSlack(50_000);
  late.sort((a, b) => a - b);
  assertLess(late[0], 50);
  epoll.close();
});

Deno.test("a signal neither ends a sleep nor an endless wait", async () => {
  const { output } = await run([Deno.execPath(), "run", "-A", "--no-check", "tests/ffi/epoll_signals.ts"]);
  assertEquals(output, "slept, 0 events\nwoken, 1 event\n");
});
