// Run by epoll_test.ts: sleeps on the main thread, which is the one that signals interrupt.
import { monotonicUs } from "../../ffi/clock.ts";
import { Epoll, EPOLLIN } from "../../ffi/epoll.ts";
import { WakeUp } from "../../ffi/eventfd.ts";

Deno.addSignalListener("SIGUSR1", () => {});
Deno.addSignalListener("SIGUSR2", () => {});
const wake = new WakeUp();
const signals = `for i in 1 2 3 4 5 6 7 8 9 10; do kill -USR1 ${Deno.pid}; sleep 0.02; done`;
const shell = new Deno.Command("sh", { args: ["-c", signals] }).spawn();
for (const sleep of ["pwait2", "timerfd"] as const) {
  const epoll = new Epoll({ sleep });
  epoll.add(wake.fd, EPOLLIN);
  const start = monotonicUs();
  const count = epoll.wait(100_000);
  const elapsed = monotonicUs() - start;
  if (elapsed < 100_000 || elapsed > 150_000) console.log(`slept ${elapsed} us`);
  if (sleep === "timerfd") console.log(`slept, ${count} events`);
}
await shell.status;
const worker = new Worker(new URL("./eventfd_signaller.ts", import.meta.url), { type: "module" });
worker.postMessage({ fd: wake.fd, afterMs: 150 });
const again = new Deno.Command("sh", { args: ["-c", `sleep 0.05; kill -USR2 ${Deno.pid}`] }).spawn();
const epoll = new Epoll();
epoll.add(wake.fd, EPOLLIN);
console.log(`woken, ${epoll.wait(Infinity)} event`);
await again.status;
Deno.exit(0);
