/** Request and response, connections a second, and ping: how long things take. */
import type { Bench, Scenario } from "../bench.ts";
import { type Contestant, type Figures, KERNEL, STACK } from "../contestant.ts";
import { PORT } from "../application.ts";

const PARALLEL_CONNECTIONS = 16;

/** What the peer says of latencies, with units. */
function withUnits({ rate, p50, p90, p99, max }: Figures): Figures {
  return {
    ...(rate === undefined ? {} : { "/s": rate }),
    "p50 us": p50,
    "p90 us": p90,
    "p99 us": p99,
    "max us": max,
  };
}

export const requests: Scenario = {
  name: "requests",
  what: "one request at a time, echoed",
  async run(bench: Bench) {
    const { warmUp, seconds } = bench.settings;
    await bench.compare(
      "requests",
      ([["1 B", 1], ["1 KB", 1024]] as const).map(([name, size]) => ({
        name,
        measure: async (contestant: Contestant) =>
          withUnits(await contestant.peer("requests", STACK, size, 1, warmUp, seconds)),
      })),
    );
  },
};

export const connections: Scenario = {
  name: "connections",
  what: "connect and close, 16 at a time",
  async run(bench: Bench) {
    const { warmUp, seconds } = bench.settings;
    const words = (host: string, port: number) =>
      ["connections", host, port, PARALLEL_CONNECTIONS, warmUp, seconds].map(String);
    await bench.compare("connections", [{
      name: "accept",
      measure: async (contestant) => withUnits(await contestant.peer(...words(STACK, PORT.echo))),
    }, {
      name: "connect",
      measure: async ({ parts }) => withUnits(await parts.onStack(words(KERNEL, PORT.close))),
    }]);
  },
};

const WARM_UP_PINGS = 3000;
const PING_INTERVAL_S = 0.01;

export const ping: Scenario = {
  name: "ping",
  what: "ICMP echo, 56 bytes",
  async run(bench: Bench) {
    const { seconds } = bench.settings;
    const cases: [name: string, count: number, interval: number][] = [
      ["back to back", seconds * 10_000, 0],
      ["every 10 ms", seconds / PING_INTERVAL_S, PING_INTERVAL_S],
    ];
    await bench.compare(
      "ping",
      cases.map(([name, count, interval]) => ({
        name,
        measure: async (contestant) => {
          await contestant.peer("ping", STACK, WARM_UP_PINGS, 0);
          return withUnits(await contestant.peer("ping", STACK, count, interval));
        },
      })),
    );
  },
};
