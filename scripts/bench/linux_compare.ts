/**
 * Goodput beside Linux: the daemon and a kernel peer through the impairing device, and two kernels through the very same
 * code, one after the other, several times; a table of the medians and their ratio. Everything happens in private
 * namespaces; the kernels use CUBIC, as the daemon does.
 *
 * `deno run -A scripts/bench/linux_compare.ts [--repetitions N] [--seconds S] [--only REGEX] [--json]`
 *
 * Where losses are random eight connections run at once: they do not fill the bottleneck, so each is by itself, and the
 * sum is less a matter of luck.
 */
import { connect } from "../../mod.ts";
import { lvlIp, type Namespace, Namespaces, type WorldProcess } from "../../tests/support/netns.ts";

type Direction = "up" | "down";

interface Case {
  name: string;
  impair: string;
  flows: number;
  /** A flow ends after so many seconds or bytes. */
  seconds: number;
  bytes: number;
}

/** Mbit/s of payload, all flows together. */
interface Row {
  name: string;
  direction: Direction;
  ours: number[];
  linux: number[];
}

const PORT = 7000;
const OUR_PEER = "10.0.0.5";
const LINUX_PEER = "10.1.0.1";
const NO_LIMIT = 1e15;
const LOSSY_FLOWS = 8;
const here = import.meta.dirname!;
const peerProgram = ["python3", `${here}/kernel_peer.py`];

function option(name: string, fallback: string): string {
  const at = Deno.args.indexOf(`--${name}`);
  return at < 0 ? fallback : Deno.args[at + 1];
}

function cases(seconds: number): Case[] {
  const rate = 100e6;
  const list: Case[] = [0, 1, 3].flatMap((loss) =>
    [20, 100].map((rttMs) => ({
      name: `loss ${loss} %, RTT ${rttMs} ms`,
      impair: `loss=${loss}% delay=${rttMs / 2}ms rate=100mbit queue=${rate / 8 * rttMs / 1e3}b`,
      flows: loss === 0 ? 1 : LOSSY_FLOWS,
      seconds,
      bytes: NO_LIMIT,
    }))
  );
  // Timeouts rule here, and no delay hides them: it tells whether ours last longer than Linux's.
  list.push(
    { name: "loss 10 %, RTT 1 ms", impair: "loss=10% delay=500us", flows: 8, seconds, bytes: NO_LIMIT },
    { name: "loss 25 %, no delay", impair: "loss=25%", flows: 8, seconds: 10 * seconds, bytes: NO_LIMIT },
  );
  return list;
}

/** Sums what the receiver printed, one line a flow, as Mbit/s. Throws when a flow is missing. */
async function goodput(receiver: WorldProcess, test: Case, from: number): Promise<number> {
  const limit = performance.now() + (test.seconds + 30) * 1000;
  for (;;) {
    const flows = [...receiver.stdout.slice(from).matchAll(/^flow (\d+) ([\d.]+)$/gm)];
    if (flows.length >= test.flows) {
      return flows.reduce((sum, [, bytes, seconds]) => sum + Number(bytes) * 8e-6 / Number(seconds), 0);
    }
    if (performance.now() > limit) throw new Error(`${flows.length} of ${test.flows} flows ended`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function startServer(net: Namespace): Promise<WorldProcess> {
  // Nothing learnt from one connection helps the next.
  await net.sh("echo 1 > /proc/sys/net/ipv4/tcp_no_metrics_save");
  const server = await net.spawn([...peerProgram, "serve", `${PORT}`]);
  await server.waitFor("up");
  return server;
}

/** One flow through the daemon. For "down", Mbit/s. */
async function flow(direction: Direction, test: Case, socketPath: string): Promise<number> {
  using connection = await connect({ hostname: OUR_PEER, port: PORT, socketPath });
  const line = direction === "up" ? `sink ${test.seconds} ${test.bytes}\n` : "source\n";
  await connection.write(new TextEncoder().encode(line));
  const chunk = new Uint8Array(1 << 18);
  if (direction === "up") {
    try {
      for (;;) await connection.write(chunk);
    } catch {
      return 0; // the peer had enough
    }
  }
  const start = performance.now();
  let got = 0;
  const timer = setTimeout(() => connection.close(), test.seconds * 1000);
  try {
    while (got < test.bytes) {
      const count = await connection.read(chunk);
      if (count === null) break;
      got += count;
    }
  } catch {
    // closed: the time is over
  }
  clearTimeout(timer);
  return got * 8e-3 / (performance.now() - start);
}

async function measureOurs(world: Namespaces, net: Namespace, test: Case, seed: number): Promise<number[]> {
  const socketPath = `${world.directory}/bench.sock`;
  const impair = `${test.impair} seed=${seed}`;
  await using daemon = await net.spawn([...lvlIp, "daemon", "--socket", socketPath, "--impair", impair]);
  await daemon.waitFor(/ready/);
  await using server = await startServer(net);
  const results: number[] = [];
  for (const direction of ["up", "down"] as const) {
    const from = server.stdout.length;
    const flows = Array.from({ length: test.flows }, () => flow(direction, test, socketPath));
    if (direction === "up") {
      results.push(await goodput(server, test, from));
      await Promise.all(flows);
    } else {
      results.push((await Promise.all(flows)).reduce((sum, each) => sum + each, 0));
    }
  }
  daemon.kill("SIGINT");
  await daemon.finished(5000);
  return results;
}

async function measureLinux(left: Namespace, right: Namespace, test: Case, seed: number): Promise<number[]> {
  const impair = `${test.impair} seed=${seed}`;
  const bridgeProgram = [Deno.execPath(), "run", "-A", "--no-prompt", `${here}/tap_bridge.ts`];
  await using bridge = await left.spawn([...bridgeProgram, "tapl", "tapr", impair]);
  await bridge.waitFor("ready");
  await left.sh(
    `ip link set tapr netns ${right.name}; ip addr add ${LINUX_PEER}/24 dev tapl; ip link set tapl up`,
  );
  await right.sh("ip addr add 10.1.0.2/24 dev tapr; ip link set tapr up");
  await right.sh("echo 1 > /proc/sys/net/ipv4/tcp_no_metrics_save");
  await using server = await startServer(left);
  const results: number[] = [];
  for (const direction of ["up", "down"] as const) {
    const from = server.stdout.length;
    const words = [direction, LINUX_PEER, PORT, test.seconds, test.bytes, test.flows].map(String);
    await using client = await right.spawn([...peerProgram, ...words]);
    results.push(await goodput(direction === "up" ? server : client, test, direction === "up" ? from : 0));
    client.kill("SIGKILL");
  }
  bridge.kill("SIGKILL");
  await bridge.status;
  return results;
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function line({ name, direction, ours, linux }: Row): string {
  const show = (values: number[]) =>
    `${median(values).toFixed(2)} (${Math.min(...values).toFixed(2)}-${Math.max(...values).toFixed(2)})`;
  const arrow = direction === "up" ? "stack to kernel" : "kernel to stack";
  return `| ${name} | ${arrow} | ${show(ours)} | ${show(linux)} | ${
    (median(ours) / median(linux)).toFixed(2)
  } |`;
}

async function main(): Promise<void> {
  const repetitions = Number(option("repetitions", "5"));
  const only = new RegExp(option("only", "."));
  const rows: Row[] = [];
  console.log("| network | direction | ours, Mbit/s: median (min-max) | Linux to Linux | ratio |");
  console.log("|---|---|---|---|---|");
  for (const test of cases(Number(option("seconds", "6"))).filter(({ name }) => only.test(name))) {
    const both = (["up", "down"] as const).map((direction): Row => ({
      name: test.name,
      direction,
      ours: [],
      linux: [],
    }));
    for (let repetition = 1; repetition <= repetitions; repetition++) {
      await using world = await Namespaces.create("stack", "left", "right");
      const [stack, left, right] = world.all;
      const ours = await measureOurs(world, stack, test, repetition);
      const linux = await measureLinux(left, right, test, repetition);
      both.forEach((row, index) => {
        row.ours.push(ours[index]);
        row.linux.push(linux[index]);
      });
    }
    for (const row of both) console.log(line(row));
    rows.push(...both);
  }
  if (Deno.args.includes("--json")) console.log(JSON.stringify(rows));
}

await main();
