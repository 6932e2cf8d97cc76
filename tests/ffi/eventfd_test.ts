import { assert, assertEquals, assertThrows } from "@std/assert";
import { Epoll, EPOLLIN } from "../../ffi/epoll.ts";
import { SysError } from "../../ffi/errno.ts";
import { WakeUp } from "../../ffi/eventfd.ts";
import "./open_libc.ts";

Deno.test("signals add up to one wake-up, which clear takes away", () => {
  const wake = new WakeUp();
  assertEquals(wake.clear(), false);
  for (let i = 0; i < 1000; i++) wake.signal();
  assertEquals(wake.clear(), true);
  assertEquals(wake.clear(), false);
  wake.close();
  assertEquals(assertThrows(() => wake.signal(), SysError).name, "EBADF");
});

Deno.test("a Worker wakes a thread that blocks in epoll", async () => {
  const wake = new WakeUp();
  const worker = new Worker(new URL("./eventfd_signaller.ts", import.meta.url), { type: "module" });
  await new Promise((resolve) => worker.onmessage = resolve);
  const epoll = new Epoll();
  epoll.add(wake.fd, EPOLLIN);
  worker.postMessage({ fd: wake.fd, afterMs: 10 });
  assertEquals(epoll.wait(5e6), 1);
  assert(wake.clear());
  worker.terminate();
  epoll.close();
  wake.close();
});
