/** Programs as clients of the kernel's side. */
import { type Entry, fetches } from "./entry.ts";
import {
  dnsmasq,
  gitDaemon,
  IPERF_READY,
  IPERF_SERVER,
  makeRepository,
  nginx,
  redis,
  REDIS_LOAD,
  redisRate,
} from "./parts.ts";
import { BASH_GET, JAVA_GET, NC_GET, NODE_GET, SOCAT_GET, URLLIB_GET } from "./snippets.ts";
import { BIG, KERNEL, MIDDLE } from "./world.ts";

const url = (file: string) => `http://${KERNEL}/${file}`;
const FIFTY = Array.from({ length: 50 }, () => `-o /dev/null ${url("small")}`).join(" ");

export const clients: readonly Entry[] = [
  fetches("curl", "1 GB, by SHA-256", ["curl"], `curl -sS ${url("big")}`, BIG),
  fetches("wget", "1 GB, by SHA-256", ["wget"], `wget -qO- ${url("big")}`, BIG),
  fetches("python3 urllib", "100 MB, by SHA-256", ["python3"], URLLIB_GET, MIDDLE),
  fetches("node http", "100 MB, by SHA-256", ["node"], NODE_GET, MIDDLE),
  fetches("java HttpClient", "100 MB, by SHA-256", ["java", "javac"], JAVA_GET, MIDDLE),
  fetches("bash /dev/tcp", "100 MB, by SHA-256", ["bash"], BASH_GET, MIDDLE),
  fetches("nc", "100 MB, by SHA-256", ["nc"], NC_GET, MIDDLE),
  fetches("socat", "100 MB, by SHA-256", ["socat"], SOCAT_GET, MIDDLE),
  {
    program: "curl -Z",
    what: "50 transfers at once",
    unit: "/s",
    needs: ["curl", "nginx"],
    measure: async (world) => {
      await using _server = await world.serveByKernel(80, await nginx(world, "theirs"));
      const script = `for i in 1 2 3 4 5 6; do curl -sSf -Z --parallel-max 50 ${FIFTY}; done`;
      return 300 / (await world.time(script)).seconds;
    },
  },
  {
    program: "wrk",
    what: "requests over 200 connections",
    unit: "/s",
    needs: ["wrk", "nginx"],
    measure: async (world) => {
      await using _server = await world.serveByKernel(80, await nginx(world, "theirs"));
      const { output } = await world.time(`wrk -t 1 -c 200 -d 1 ${url("small")}`);
      return Number(/^Requests\/sec: +([\d.]+)$/m.exec(output)![1]);
    },
  },
  {
    program: "ab",
    what: "requests over 200 connections",
    unit: "/s",
    needs: ["ab", "nginx"],
    measure: async (world) => {
      await using _server = await world.serveByKernel(80, await nginx(world, "theirs"));
      const { output } = await world.time(`ab -q -k -n 20000 -c 200 ${url("small")}`);
      if (!/Failed requests: +0\n/.test(output)) throw new Error(output);
      return Number(/^Requests per second: +([\d.]+)/m.exec(output)![1]);
    },
  },
  {
    program: "redis-benchmark",
    what: "GET over 50 connections",
    unit: "/s",
    needs: ["redis-server", "redis-benchmark"],
    measure: async (world) => {
      await using _server = await world.serveByKernel(6379, redis);
      return redisRate((await world.time(`redis-benchmark -h ${KERNEL} ${REDIS_LOAD}`)).output);
    },
  },
  {
    program: "git clone",
    what: "over git://, 100 MB",
    unit: "Gbit/s",
    needs: ["git"],
    measure: async (world) => {
      await makeRepository(world);
      await using _server = await world.serveByKernel(9418, gitDaemon(world));
      const copy = `${world.directory}/copy-${crypto.randomUUID()}`;
      const script = `git clone -q git://${KERNEL}/repo ${copy} && cmp ${copy}/file ${world.site}/middle`;
      return MIDDLE * 8e-9 / (await world.time(script)).seconds;
    },
  },
  {
    program: "dig",
    what: "queries",
    unit: "/s",
    needs: ["dig", "dnsmasq"],
    measure: async (world) => {
      await using _server = await world.serveByKernel(53, dnsmasq);
      const { seconds, output } = await world.time(
        `for i in $(seq 30); do dig +short @${KERNEL} a.test; done`,
      );
      if (output.split("\n").length !== 30) throw new Error(output);
      return 30 / seconds;
    },
  },
  {
    program: "ping",
    what: "one after the other",
    unit: "/s",
    needs: ["ping"],
    measure: async (world) =>
      500 / (await world.time(`ping -q -c 500 -A -i 0 ${KERNEL} || ping -q -c 500 -A ${KERNEL}`)).seconds,
  },
];

/** iperf3 as a client, and in the end as a server. */
function iperf(...more: string[]): Entry {
  return {
    program: ["iperf3", ...more].join(" "),
    what: more.includes("-R") ? "receives" : "sends",
    unit: "Gbit/s",
    needs: ["iperf3"],
    measure: async (world) => {
      await using _server = await world.serveByKernel(5201, IPERF_SERVER, IPERF_READY);
      const { output } = await world.time(`iperf3 -c ${KERNEL} -J -t 1 ${more.join(" ")}`);
      return JSON.parse(output).end.sum_received.bits_per_second / 1e9;
    },
  };
}

export const iperfClients: readonly Entry[] = [
  iperf(),
  iperf("-R"),
  iperf("-P", "8"),
  iperf("-P", "8", "-R"),
];
