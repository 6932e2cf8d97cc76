/** What traceroute and tracepath print, from a daemon that the test plays. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { Probe, ProbeAnswer } from "../../lib/ipc/client.ts";
import { CommandError } from "../../lib/cli/errors.ts";
import { markOf } from "../../lib/cli/trace_format.ts";
import { hopsBack, tracepath } from "../../lib/cli/tracepath.ts";
import { type Probing, traceroute, type TraceWorld } from "../../lib/cli/traceroute.ts";
import { ECONNREFUSED, EHOSTUNREACH, EMSGSIZE, ENETUNREACH } from "../../lib/errno.ts";
import { FakeIo } from "./fake_io.ts";

/** What comes of a probe; null: nothing. */
type Answer = (probe: Probe) => Partial<ProbeAnswer> | null;

/** A path, and a clock that goes on when everybody waits. */
class FakeWorld implements TraceWorld {
  readonly probes: Probe[] = [];
  now = 0;
  names: Record<string, string> = {};
  /** Ends the answers as a daemon does that has gone, at this probe. */
  endsAt = Infinity;

  constructor(readonly answer: Answer) {}

  open(): Promise<Probing> {
    const queue: ProbeAnswer[] = [];
    let wake = () => {};
    let closed = false;
    const end = () => {
      closed = true;
      wake();
    };
    return Promise.resolve({
      address: "8.8.8.8",
      send: (probe) => {
        this.probes.push(probe);
        if (this.probes.length >= this.endsAt) end();
        const made = this.answer(probe);
        if (made !== null) queue.push({ ...SILENT, number: probe.number, ...made });
        wake();
        return Promise.resolve();
      },
      close: end,
      async *[Symbol.asyncIterator]() {
        for (;;) {
          for (let next = queue.shift(); next !== undefined; next = queue.shift()) yield next;
          if (closed) return;
          await new Promise<void>((resolve) => wake = resolve);
        }
      },
    });
  }

  nameOf = () => (address: string) => Promise.resolve(this.names[address] ?? null);
  nowMs = () => this.now;

  after(ms: number, action: () => void): () => void {
    const timer = setTimeout(() => {
      this.now += ms;
      action();
    });
    return () => clearTimeout(timer);
  }
}

const SILENT: ProbeAnswer = {
  ...{ number: 0, from: "0.0.0.0", errno: 0, icmpType: -1, icmpCode: 0, rttUs: 0, ttl: 0, mtu: 0 },
};

function exceeded(from: string, rttUs: number, ttl = 64): Partial<ProbeAnswer> {
  return { from, rttUs, ttl, errno: EHOSTUNREACH, icmpType: 11 };
}

const closed: Partial<ProbeAnswer> = {
  ...{ from: "8.8.8.8", rttUs: 3000, ttl: 62, errno: ECONNREFUSED, icmpType: 3, icmpCode: 3 },
};

/** Two routers that take turns, one that is silent, the destination. */
const path: Answer = ({ number, ttl }) => {
  if (ttl === 1) return exceeded(number === 1 ? "10.0.0.6" : "10.0.0.5", 1234 + number);
  return ttl === 2 ? null : closed;
};

Deno.test("traceroute prints hop after hop as traceroute(8) does", async () => {
  const io = new FakeIo();
  const world = new FakeWorld(path);
  world.names["8.8.8.8"] = "dns.google";
  assertEquals(await traceroute("8.8.8.8", undefined, {}, io, world), 0);
  assertEquals(
    io.out,
    "traceroute to 8.8.8.8 (8.8.8.8), 30 hops max, 60 byte packets\n" +
      " 1  10.0.0.5 (10.0.0.5)  1.234 ms 10.0.0.6 (10.0.0.6)  1.235 ms 10.0.0.5 (10.0.0.5)  1.236 ms\n" +
      " 2  * * *\n" +
      " 3  dns.google (8.8.8.8)  3.000 ms  3.000 ms  3.000 ms\n",
  );
  assertEquals(world.probes.map(({ port }) => port).slice(0, 3), [33434, 33435, 33436]);
});

Deno.test("traceroute --json has an object for each hop, and the summary", async () => {
  const io = new FakeIo();
  await traceroute(
    "8.8.8.8",
    100,
    { json: true, queries: 1, numeric: true, port: 65535 },
    io,
    new FakeWorld(path),
  );
  assertEquals(io.out.trimEnd().split("\n").map((line) => JSON.parse(line)), [
    {
      type: "hop",
      hop: 1,
      probes: [{ address: "10.0.0.5", rttMs: 1.234, ttl: 64, icmpType: 11, icmpCode: 0 }],
    },
    { type: "hop", hop: 2, probes: [null] },
    { type: "hop", hop: 3, probes: [{ address: "8.8.8.8", rttMs: 3, ttl: 62, icmpType: 3, icmpCode: 3 }] },
    { type: "summary", host: "8.8.8.8", address: "8.8.8.8", kind: "udp", reached: true },
  ]);
});

Deno.test("traceroute says why nothing can be sent, and that the daemon has gone", async () => {
  const refused: Answer = () => ({ errno: ENETUNREACH });
  const [io, world] = [new FakeIo(), new FakeWorld(refused)];
  const error = await assertRejects(() => traceroute("8.8.8.8", undefined, {}, io, world), CommandError);
  assertMatch(error.message, /^Cannot send to 8\.8\.8\.8: network is unreachable/);
  const gone = new FakeWorld(() => null);
  gone.endsAt = 5;
  await assertRejects(() => traceroute("8.8.8.8", undefined, {}, io, gone), CommandError, "The daemon ended");
  await assertRejects(
    () => traceroute("8.8.8.8", undefined, { first: 9, maxHops: 8 }, io, world),
    CommandError,
  );
});

Deno.test("Ctrl-C ends a traceroute", async () => {
  const io = new FakeIo();
  const world = new FakeWorld((probe) => {
    if (probe.number === 3) io.signal("SIGINT");
    return probe.ttl === 1 ? exceeded("10.0.0.5", 1000) : null;
  });
  assertEquals(await traceroute("8.8.8.8", undefined, { numeric: true }, io, world), 130);
});

Deno.test("each ICMP error has traceroute's mark", () => {
  const mark = (icmpType: number, icmpCode: number, mtu = 0) =>
    markOf({ ...SILENT, errno: EHOSTUNREACH, icmpType, icmpCode, mtu });
  const unreachable = Array.from({ length: 17 }, (_, code) => mark(3, code)).join(" ");
  assertEquals(unreachable, "!N !H !P  !F !S !N !H !N !X !X !N !H !X !V !C !<16>");
  assertEquals([mark(3, 4, 1400), mark(11, 0), mark(11, 1), mark(12, 0)], [
    "!F-1400",
    "",
    "!<11-1>",
    "!<12-0>",
  ]);
  assertEquals(markOf(SILENT), "");
});

Deno.test("tracepath follows the MTU down, and tells the way back", async () => {
  const io = new FakeIo();
  const world = new FakeWorld(({ ttl, size }) => {
    if (size > 1500) return { errno: EMSGSIZE, mtu: 1500 };
    if (ttl === 1) return exceeded("10.0.0.5", 250);
    if (ttl === 2) return null;
    if (size > 1400) {
      return { ...exceeded("10.1.1.2", 300, 63), icmpType: 3, icmpCode: 4, errno: EMSGSIZE, mtu: 1400 };
    }
    return ttl === 3 ? exceeded("10.1.2.2", 350, 60) : { ...closed, ttl: 61 };
  });
  assertEquals(await tracepath("8.8.8.8", { numeric: true }, io, world), 0);
  assertEquals(io.out.split("\n"), [
    " 1?: [LOCALHOST]                      pmtu 1500",
    " 1:  10.0.0.5                                              0.250ms",
    " 2:  no reply",
    " 3:  10.1.1.2                                              0.300ms pmtu 1400",
    " 3:  10.1.2.2                                              0.350ms asymm  5",
    " 4:  8.8.8.8                                               3.000ms reached",
    "     Resume: pmtu 1400 hops 4 back 4 ",
    "",
  ]);
  assertEquals([hopsBack(64), hopsBack(128), hopsBack(100), hopsBack(255)], [1, 1, 29, 1]);
});

Deno.test("tracepath that gets nowhere says so, with status 1", async () => {
  const io = new FakeIo();
  assertEquals(await tracepath("8.8.8.8", { maxHops: 2, length: 1000 }, io, new FakeWorld(() => null)), 1);
  assertEquals(
    io.out,
    " 1:  no reply\n 2:  no reply\n     Too many hops: pmtu 1000\n     Resume: pmtu 1000 \n",
  );
  const prohibited = new FakeWorld(() => ({ ...closed, icmpCode: 13, from: "10.0.0.5" }));
  const refused = new FakeIo();
  assertEquals(await tracepath("8.8.8.8", { numeric: true, length: 1000 }, refused, prohibited), 1);
  assert(refused.out.includes("!X\n     Resume: pmtu 1000 \n"), refused.out);
});
