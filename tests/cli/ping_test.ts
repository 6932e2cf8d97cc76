import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import type { PingFailure, PingOptions, PingReply } from "../../lib/ipc/client.ts";
import { DaemonUnreachableError } from "../../lib/ipc/errors.ts";
import { CommandError } from "../../lib/cli/errors.ts";
import { OutputClosedError } from "../../lib/cli/output.ts";
import { ping, type PingCommandOptions, type PingWorld } from "../../lib/cli/ping.ts";
import { FakeIo } from "./fake_io.ts";

type Event = PingReply | PingFailure;

function reply(seq: number, more: Partial<PingReply> = {}): Event {
  return { kind: "reply", seq, bytes: 64, ttl: 64, rttUs: 43, from: "8.8.8.8", duplicate: false, ...more };
}

function failure(seq: number, error: string, from = "10.0.0.5", icmpType = 3, mtu = 0): Event {
  return { kind: "error", seq, error, from, icmpType, icmpCode: 1, mtu };
}

/** A daemon that answers with `events`, the `transmitted`-th request being out at each, and then is silent. */
class FakeWorld implements PingWorld {
  options: PingOptions = {};
  us = 0;
  transmitted = 0;
  /** Ends the run as a daemon does that has gone. */
  ends = false;
  onSilence = () => {};

  constructor(readonly events: Event[], readonly address = "8.8.8.8") {}

  ping(_host: string, options: PingOptions) {
    this.options = options;
    const run = () => this.#run();
    const transmitted = () => this.transmitted;
    return Promise.resolve({
      address: this.address,
      get transmitted() {
        return transmitted();
      },
      [Symbol.asyncIterator]: run,
    });
  }

  async *#run(): AsyncGenerator<Event> {
    for (const event of this.events) {
      this.transmitted = Math.max(this.transmitted, event.seq);
      this.us = Math.max(this.us, (event.seq - 1) * 1e6) + (event.kind === "reply" ? event.rttUs : 0);
      yield event;
    }
    if (this.ends) return;
    const { signal, count } = this.options;
    this.transmitted = Math.max(this.transmitted, count ?? 0);
    setTimeout(this.onSilence);
    if (!signal!.aborted) await new Promise((resolve) => signal!.addEventListener("abort", resolve));
  }

  localHost = () => Promise.resolve({ address: "10.0.0.4", mtu: 1500 });
  nowUs = () => this.us;
  unixTime = () => 1795311470.5;
}

async function run(
  events: Event[],
  options: PingCommandOptions,
  prepare?: (world: FakeWorld, io: FakeIo) => void,
): Promise<{ status: number; out: string; io: FakeIo; world: FakeWorld }> {
  const io = new FakeIo();
  const world = new FakeWorld(events);
  prepare?.(world, io);
  const status = await ping("8.8.8.8", options, io, world);
  return { status, out: io.out, io, world };
}

Deno.test("ping prints what ping(8) prints", async () => {
  const { status, out, world } = await run([reply(1, { rttUs: 208 }), reply(2), reply(3, { rttUs: 46 })], {
    count: 3,
    ttl: 9,
    size: 56,
    socket: "/s",
  });
  assertEquals(
    out,
    `PING 8.8.8.8 (8.8.8.8) 56(84) bytes of data.
64 bytes from 8.8.8.8: icmp_seq=1 ttl=64 time=0.208 ms
64 bytes from 8.8.8.8: icmp_seq=2 ttl=64 time=0.043 ms
64 bytes from 8.8.8.8: icmp_seq=3 ttl=64 time=0.046 ms

--- 8.8.8.8 ping statistics ---
3 packets transmitted, 3 received, 0% packet loss, time 2000ms
rtt min/avg/max/mdev = 0.043/0.099/0.208/0.077 ms
`,
  );
  assertEquals(status, 0);
  const { count, ttl, size, socketPath } = world.options;
  assertEquals({ count, ttl, size, socketPath }, { count: 3, ttl: 9, size: 56, socketPath: "/s" });
});

Deno.test("ping has the shape of iputils' ping on the kernel's loopback", async (t) => {
  const kernel = await new Deno.Command("ping", {
    args: ["-c", "3", "-i", "0.01", "127.0.0.1"],
    env: { LC_ALL: "C" },
  }).output().catch(() => null);
  if (kernel === null) return void await t.step({ name: "needs iputils-ping", ignore: true, fn() {} });
  const io = new FakeIo();
  const from = "127.0.0.1";
  const world = new FakeWorld([1, 2, 3].map((seq) => reply(seq, { from })), from);
  await ping(from, { count: 3, interval: 10 }, io, world);
  const shape = (text: string) =>
    text.replace(/time=[0-9.]+/g, "time=T").replace(/time [0-9]+ms/, "time Tms")
      .replace(/= [0-9./]+ ms/, "= R ms").replace(/, pipe [0-9]+|, ipg.*/g, "");
  assertEquals(shape(io.out), shape(new TextDecoder().decode(kernel.stdout)));
});

Deno.test("ping names errors and counts them", async () => {
  const { status, out } = await run([
    failure(1, "Destination Host Unreachable"),
    failure(2, "Time to live exceeded", "10.0.0.5", 11),
    failure(3, "Destination Host Unreachable", "0.0.0.0", -1),
  ], { count: 3 });
  assertEquals(
    out,
    `PING 8.8.8.8 (8.8.8.8) 56(84) bytes of data.
From 10.0.0.5 icmp_seq=1 Destination Host Unreachable
From 10.0.0.5 icmp_seq=2 Time to live exceeded
From 10.0.0.4 icmp_seq=3 Destination Host Unreachable

--- 8.8.8.8 ping statistics ---
3 packets transmitted, 0 received, +3 errors, 100% packet loss, time 2000ms

`,
  );
  assertEquals(status, 1);
});

Deno.test("ping tells what this host could not send", async () => {
  const { status, out, io } = await run([failure(1, "message too long", "0.0.0.0", -1)], { count: 1 });
  assertEquals(io.err, "lvl-ip: local error: message too long, mtu=1500\n");
  assertStringIncludes(out, "0 received, +1 errors, 100% packet loss");
  assertEquals(status, 1);
});

Deno.test("ping -M: asks for it, and names the MTU that was too small", async () => {
  const events = [
    failure(1, "Frag needed and DF set", "10.9.0.1", 3, 1000),
    failure(2, "message too long", "0.0.0.0", -1, 1000),
  ];
  const { out, io, world } = await run(events, { count: 2, pmtudisc: "do" });
  assertEquals(world.options.pmtudisc, "do");
  assertStringIncludes(out, "From 10.9.0.1 icmp_seq=1 Frag needed and DF set (mtu = 1000)\n");
  assertEquals(io.err, "lvl-ip: local error: message too long, mtu=1000\n");
  const json = await run([events[0]], { count: 1, json: true });
  assertEquals(JSON.parse(json.out.split("\n")[0]).mtu, 1000);
});

Deno.test("ping marks duplicates, short and damaged answers", async () => {
  const damage = { offset: 16, expected: 0x10, actual: 0xff };
  const { out } = await run([
    reply(1),
    reply(1, { duplicate: true, rttUs: 99 }),
    reply(2, { bytes: 40 }),
    reply(3, { damage }),
  ], { count: 3 });
  assertStringIncludes(out, "icmp_seq=1 ttl=64 time=0.099 ms (DUP!)\n");
  assertStringIncludes(out, "40 bytes from 8.8.8.8: icmp_seq=2 ttl=64 (truncated)\n");
  assertStringIncludes(out, "time=0.043 ms\nwrong data byte #16 should be 0x10 but was 0xff\n");
  assertStringIncludes(out, "3 packets transmitted, 3 received, +1 duplicates, +1 corrupted, 0% packet loss");
});

Deno.test("ping -q prints the first line and the summary", async () => {
  const { out } = await run([reply(1), failure(2, "Port Unreachable")], { count: 2, quiet: true });
  assertEquals(
    out.split("\n").slice(0, 4),
    [
      "PING 8.8.8.8 (8.8.8.8) 56(84) bytes of data.",
      "",
      "--- 8.8.8.8 ping statistics ---",
      "2 packets transmitted, 1 received, +1 errors, 50% packet loss, time 1000ms",
    ],
  );
});

Deno.test("ping -D prints the time before each line", async () => {
  const { out } = await run([reply(1)], { count: 1, timestamps: true });
  assertMatch(out, /^\[1795311470\.500000\] 64 bytes/m);
});

Deno.test("ping --json prints an object a line", async () => {
  const { out } = await run([reply(1), failure(2, "Destination Host Unreachable")], { count: 2, json: true });
  const [first, second, summary] = out.trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(first, {
    type: "reply",
    seq: 1,
    bytes: 64,
    from: "8.8.8.8",
    ttl: 64,
    rttMs: 0.043,
    duplicate: false,
  });
  assertEquals(second.error, "Destination Host Unreachable");
  assertEquals(summary.lossPercent, 50);
  assertEquals(summary.rttMs, { min: 0.043, avg: 0.043, max: 0.043, mdev: 0 });
});

Deno.test("Ctrl-C ends ping with its summary", async () => {
  const { status, out } = await run([reply(1)], {}, (world, io) => {
    world.onSilence = () => assert(io.signal("SIGINT"));
  });
  assertStringIncludes(out, "1 packets transmitted, 1 received");
  assertEquals(status, 0);
});

Deno.test("SIGQUIT prints a short status and ping goes on", async () => {
  const { io } = await run([reply(1), reply(2, { rttUs: 51 })], {}, (world, io) => {
    world.transmitted = 3;
    world.onSilence = () => {
      io.signal("SIGQUIT");
      io.signal("SIGINT");
    };
  });
  assertEquals(io.err, "\r2/3 packets, 33% loss, min/avg/ewma/max = 0.043/0.047/0.044/0.051 ms\n");
  assertStringIncludes(io.out, "33.3333% packet loss");
});

Deno.test("ping waits -W for the first answer, and twice the longest round trip for others", async () => {
  const began = performance.now();
  const silent = await run([], { count: 1, wait: 30 });
  assertEquals(silent.status, 1);
  assertStringIncludes(silent.out, "1 packets transmitted, 0 received, 100% packet loss, time 0ms\n\n");
  const lossy = await run([reply(1, { rttUs: 5000 })], { count: 3, interval: 10, wait: 60_000 });
  assertEquals(lossy.status, 0);
  assert(performance.now() - began < 2000);
});

Deno.test("ping -w ends at the deadline, with status 1 if fewer than -c were answered", async () => {
  const { status, world } = await run([reply(1)], { count: 5, deadline: 20 });
  assertEquals(status, 1);
  assertEquals(world.options.count, undefined);
  assertEquals((await run([reply(1)], { deadline: 20 })).status, 0);
});

Deno.test("ping -f prints a dot for each request, and takes it back for each reply", async () => {
  const events = [
    reply(1),
    reply(3),
    reply(3, { duplicate: true }),
    failure(4, "Destination Host Unreachable"),
  ];
  const { out } = await run(events, { count: 4, flood: true });
  assertStringIncludes(out, "of data.\n.\b \b..\b \b.E\n--- 8.8.8.8 ping");
  const quiet = await run(events, { count: 4, flood: true, quiet: true });
  assert(!quiet.out.includes("\b"));
});

Deno.test("ping -i 0 and -A tell the gap between packets", async () => {
  for (const pace of [{ interval: 0 }, { adaptive: true }]) {
    const { out } = await run([reply(1), reply(2)], { count: 2, ...pace });
    assertMatch(out, /icmp_seq=2 [^]*mdev = .* ms, ipg\/ewma [0-9.]+\/[0-9.]+ ms\n$/);
  }
});

Deno.test("ping fails with status 2 when there is no daemon, or it goes away", async () => {
  const gone = await assertRejects(
    () => run([], {}, (world) => world.ends = true),
    CommandError,
    "daemon ended",
  );
  assertEquals(gone.status, 2);
  const none = await assertRejects(
    () =>
      run([], {}, (world) => {
        world.ping = () => Promise.reject(new DaemonUnreachableError(["/s"], "no socket there"));
      }),
    CommandError,
    "No lvl-ip daemon answers at /s (no socket there)",
  );
  assertEquals(none.status, 2);
});

Deno.test("ping ends quietly when nobody reads its output any more", async () => {
  await assertRejects(() => run([reply(1)], {}, (_, io) => io.closesAfter = 1), OutputClosedError);
});
