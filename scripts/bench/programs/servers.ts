/** Programs as servers, which the kernel's side asks. */
import { answers, type Entry, gives } from "./entry.ts";
import {
  gitDaemon,
  IPERF_READY,
  IPERF_SERVER,
  makeRepository,
  nginx,
  redis,
  REDIS_LOAD,
  redisRate,
} from "./parts.ts";
import { postgres } from "./postgres.ts";
import {
  ASYNCIO_SERVER,
  JAVA_PROGRAM,
  MEMCACHED_LOAD,
  NODE_CLUSTER,
  NODE_SERVER,
  socketServer,
} from "./snippets.ts";
import { BIG, MIDDLE, type ProgramWorld, STACK } from "./world.ts";

export const servers: readonly Entry[] = [
  gives("nginx", ["nginx", "curl"], 80, (world) => nginx(world, "ours"), `curl -sS http://${STACK}/big`, BIG),
  answers("nginx", "requests over 200 connections", ["nginx"], (world) => nginx(world, "ours"), 80),
  gives(
    "python3 http.server",
    ["python3", "curl"],
    8000,
    ({ site }) => ["python3", "-um", "http.server", "--directory", site, "8000"],
    `curl -sS http://${STACK}:8000/middle`,
    MIDDLE,
  ),
  answers(
    "python3 asyncio",
    "requests over 200 connections",
    ["python3"],
    () => ["python3", "-c", ASYNCIO_SERVER],
  ),
  answers(
    "python3 socketserver, threads",
    "requests over 200 connections",
    ["python3"],
    () => ["python3", "-c", socketServer("Threading")],
  ),
  answers(
    "python3 socketserver, forks",
    "requests over 200 connections",
    ["python3"],
    () => ["python3", "-c", socketServer("Forking")],
  ),
  answers("node http", "requests over 200 connections", ["node"], () => ["node", "-e", NODE_SERVER]),
  answers("node cluster", "requests over 200 connections", ["node"], async ({ directory }) => {
    await Deno.writeTextFile(`${directory}/cluster.js`, NODE_CLUSTER);
    return ["node", `${directory}/cluster.js`];
  }),
  answers(
    "java HttpServer",
    "requests over 200 connections",
    ["java", "javac"],
    () => ["java", JAVA_PROGRAM, "server", "8080"],
  ),
  {
    program: "redis-server",
    what: "GET over 50 connections",
    unit: "/s",
    needs: ["redis-server", "redis-benchmark"],
    measure: async (world) => {
      await using _server = await world.serve(6379, redis);
      return redisRate((await world.timeByKernel(`redis-benchmark -h ${STACK} ${REDIS_LOAD}`)).output);
    },
  },
  gives(
    "git daemon",
    ["git"],
    9418,
    async (world) => {
      await makeRepository(world);
      return gitDaemon(world);
    },
    `d=$(mktemp -d) && git clone -q git://${STACK}/repo $d/copy && cat $d/copy/file`,
    MIDDLE,
  ),
  gives(
    "sshd",
    ["sshd", "ssh"],
    2222,
    asSshd,
    `ssh $(cat $TMPDIR/ssh-options) root@${STACK} cat $TMPDIR/site/middle`,
    MIDDLE,
  ),
  gives(
    "openssl s_server",
    ["openssl", "curl"],
    4433,
    asTlsServer,
    `curl -sSk https://${STACK}:4433/middle`,
    MIDDLE,
  ),
  gives(
    "socat",
    ["socat", "nc"],
    7000,
    ({ site }) => ["socat", "-U", "TCP-LISTEN:7000,fork,reuseaddr", `FILE:${site}/middle`],
    `nc -d ${STACK} 7000`,
    MIDDLE,
  ),
  {
    program: "iperf3 -s",
    what: "receives",
    unit: "Gbit/s",
    needs: ["iperf3"],
    measure: async (world) => {
      await using _server = await world.serve(5201, IPERF_SERVER, IPERF_READY);
      const { output } = await world.timeByKernel(`iperf3 -c ${STACK} -J -t 1`);
      return JSON.parse(output).end.sum_received.bits_per_second / 1e9;
    },
  },
  {
    program: "PostgreSQL",
    what: "pgbench -S over 8 connections",
    unit: "/s",
    needs: ["pgbench", "setpriv"],
    measure: postgres,
  },
  {
    program: "memcached",
    what: "get over one connection",
    unit: "/s",
    needs: ["memcached", "python3"],
    measure: async (world) => {
      await using _server = await world.serve(11211, ["memcached", "-u", "root", "-l", "0.0.0.0", "-U", "0"]);
      const { output } = await world.timeByKernel(`python3 -c '${MEMCACHED_LOAD}'`);
      return Number(output);
    },
  },
];

async function asSshd({ kernel, directory: at }: ProgramWorld): Promise<string[]> {
  await kernel.sh(`mkdir -p /run/sshd; [ -e ${at}/host ] || { ssh-keygen -q -t ed25519 -N '' -f ${at}/host
    ssh-keygen -q -t ed25519 -N '' -f ${at}/user; cp ${at}/user.pub ${at}/keys; }`);
  const client = ["-F", "none", "-i", `${at}/user`, "-p", "2222", "-o", "StrictHostKeyChecking=no"];
  const quiet = ["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"];
  await Deno.writeTextFile(`${at}/ssh-options`, [...client, ...quiet].join(" "));
  return [
    ...["/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-p", "2222", "-h", `${at}/host`],
    ...["-o", `AuthorizedKeysFile=${at}/keys`, "-o", "StrictModes=no", "-o", "PidFile=none"],
  ];
}

async function asTlsServer({ kernel, directory: at, site }: ProgramWorld): Promise<string[]> {
  await kernel.sh(`[ -e ${at}/tls.key ] || openssl req -x509 -newkey rsa:2048 -nodes -keyout ${at}/tls.key \
    -out ${at}/tls.crt -subj /CN=x 2> /dev/null`);
  const server =
    `cd ${site} && exec openssl s_server -accept 4433 -key ${at}/tls.key -cert ${at}/tls.crt -WWW -quiet`;
  return ["sh", "-c", server];
}
