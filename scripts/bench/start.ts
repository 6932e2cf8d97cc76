/** How each stack is set up, in a world of its own. */
import { type Namespace, Namespaces, type WorldProcess } from "../../tests/support/netns.ts";
import type { Programs } from "./build.ts";
import { ask, Contestant, type Figures, KERNEL, NETWORK, PREFIX, STACK, tune } from "./contestant.ts";

const here = import.meta.dirname!;
const READY_MS = 20_000;
const NO_OFFLOAD = "tx off rx off tso off gso off gro off sg off";

/** A Deno program of this folder. */
function denoProgram(name: string, ...args: string[]): string[] {
  return [Deno.execPath(), "run", "-A", "--no-prompt", `${here}/${name}`, ...args];
}

/** Starts a program that says when it is ready, and ends when its stdin does. */
export async function spawnReady(namespace: Namespace, words: readonly string[]): Promise<WorldProcess> {
  const process = await namespace.spawn(words, { stdin: "" });
  await process.waitFor("ready", READY_MS);
  return process;
}

/** Makes a world and sets something up in it; what is set up ends the world, and so does a failure. */
export async function inWorld<T>(
  names: readonly string[],
  setUp: (world: Namespaces) => Promise<T>,
): Promise<T> {
  const world = await Namespaces.create(...names);
  try {
    for (const each of world.all) await tune(each);
    return await setUp(world);
  } catch (error) {
    await world[Symbol.asyncDispose]();
    throw error;
  }
}

/** Gives an interface its address, and has all programs behind it use CUBIC: not every default can be set by sysctl. */
async function setAddress(namespace: Namespace, device: string, address: string): Promise<void> {
  await namespace.sh(
    `ip addr replace ${address}/${PREFIX} dev ${device}; ip link set ${device} up
     ip route replace ${NETWORK} dev ${device} proto kernel scope link src ${address} congctl cubic`,
  );
}

/** Joins the world's two kernels by a veth pair. */
export async function linkByVeth(world: Namespaces, offload: boolean): Promise<void> {
  const [kernel, stack] = world.all;
  await kernel.sh(`ip link add eth0 type veth peer name eth0 netns ${stack.name}`);
  await setAddress(kernel, "eth0", KERNEL);
  await setAddress(stack, "eth0", STACK);
  if (offload) return;
  for (const each of world.all) await each.exec(["ethtool", "-K", "eth0", ...NO_OFFLOAD.split(" ")]);
}

/** Joins them by two TAPs and the code that impairs ours; the kernel's side is the one that is impaired. */
export async function linkByBridge(world: Namespaces, impair: string): Promise<void> {
  const [kernel, stack] = world.all;
  await spawnReady(kernel, denoProgram("tap_bridge.ts", "tapl", "tapr", impair));
  await kernel.sh(`ip link set tapr netns ${stack.name}`);
  await setAddress(kernel, "tapl", KERNEL);
  await setAddress(stack, "tapr", STACK);
}

/** Two kernels, one a network namespace. */
export function startKernels(
  programs: Programs,
  link: (world: Namespaces) => Promise<void>,
): Promise<Contestant> {
  return inWorld(["kernel", "stack"], async (world) => {
    const [kernel, stack] = world.all;
    await link(world);
    const server = await spawnReady(stack, [programs.peer, "serve", STACK]);
    await spawnReady(kernel, [programs.peer, "serve", KERNEL]);
    return new Contestant({
      world,
      kernel,
      server,
      isKernel: true,
      peerProgram: programs.peer,
      onStack: (words) => runOn(stack, [programs.peer, ...words]),
    });
  });
}

/** A program that has a stack in it, and opens the TAP. */
export function startEmbedded(programs: Programs, words: readonly string[]): Promise<Contestant> {
  return inWorld([], async (world) => {
    const [kernel] = world.all;
    const server = await spawnReady(kernel, words);
    await setAddress(kernel, "tap0", KERNEL);
    await spawnReady(kernel, [programs.peer, "serve", KERNEL]);
    return new Contestant({
      world,
      kernel,
      server,
      peerProgram: programs.peer,
      onStack: (words) => ask(server, words),
    });
  });
}

/** The words that start our stack with the application in its thread. */
export function inProcessCommand(): string[] {
  return denoProgram("in_process.ts");
}

export function startInProcess(programs: Programs, ...options: string[]): Promise<Contestant> {
  const { profiles } = programs;
  const profiling = profiles === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profiles}`];
  return startWithFlags(programs, profiling, options);
}

/** The same with options of the runtime. */
export function startWithFlags(
  programs: Programs,
  flags: readonly string[],
  options: readonly string[],
): Promise<Contestant> {
  const [deno, run, ...rest] = inProcessCommand();
  return startEmbedded(programs, [deno, run, ...flags, ...rest, ...options]);
}

/** A daemon of ours that is ready; its socket's path. */
export async function startDaemon(
  programs: Programs,
  world: Namespaces,
  ...options: string[]
): Promise<{ daemon: WorldProcess; socket: string }> {
  const socket = `${world.directory}/lvl-ip.sock`;
  // Programs that change their user must still reach it.
  await Deno.chmod(world.directory, 0o755);
  const [kernel] = world.all;
  const daemon = await spawnReady(kernel, [...programs.lvlIp, "daemon", "--socket", socket, ...options]);
  // Servers that do not choose CUBIC themselves (nginx) would else send by the machine's default.
  await setAddress(kernel, "tap0", KERNEL);
  return { daemon, socket };
}

/** Our daemon, and a program that reaches it by the Deno API. */
export function startApi(programs: Programs, ...options: string[]): Promise<Contestant> {
  return inWorld([], async (world) => {
    const [kernel] = world.all;
    const { daemon, socket } = await startDaemon(programs, world, ...options);
    const server = await spawnReady(kernel, denoProgram("deno_api.ts", socket));
    await spawnReady(kernel, [programs.peer, "serve", KERNEL]);
    return new Contestant({
      world,
      kernel,
      daemon,
      server,
      peerProgram: programs.peer,
      onStack: (words) => ask(server, words),
    });
  });
}

/** Our daemon, and a program in C that knows nothing of it. */
export function startShim(programs: Programs, ...options: string[]): Promise<Contestant> {
  return inWorld([], async (world) => {
    const [kernel] = world.all;
    const { daemon, socket } = await startDaemon(programs, world, ...options);
    const onStack = [...programs.lvlIp, "run", "--socket", socket, "--", programs.peer];
    const server = await spawnReady(kernel, [...onStack, "serve", STACK]);
    await spawnReady(kernel, [programs.peer, "serve", KERNEL]);
    return new Contestant({
      world,
      kernel,
      daemon,
      server,
      peerProgram: programs.peer,
      onStack: (words) => runOn(kernel, [...onStack, ...words]),
    });
  });
}

async function runOn(namespace: Namespace, words: readonly string[]): Promise<Figures> {
  return JSON.parse(await namespace.exec(words));
}
