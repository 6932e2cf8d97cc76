/** The stacks that are measured beside each other. */
import { type Namespace, Namespaces, type WorldProcess } from "../../tests/support/netns.ts";
import type { Programs } from "./build.ts";
import { ask, Contestant, KERNEL, PREFIX, STACK, tune } from "./contestant.ts";

export interface Candidate {
  name: string;
  what: string;
  /** Sets it up in a world of its own; null: it could not be built. */
  start(programs: Programs): Promise<Contestant | null>;
}

const here = import.meta.dirname!;
const READY_MS = 20_000;

/** Makes a world and sets a contestant up in it; the world ends with it, and when that fails. */
async function inWorld(
  names: readonly string[],
  setUp: (world: Namespaces) => Promise<Contestant>,
): Promise<Contestant> {
  const world = await Namespaces.create(...names);
  try {
    for (const each of world.all) await tune(each);
    return await setUp(world);
  } catch (error) {
    await world[Symbol.asyncDispose]();
    throw error;
  }
}

async function spawnReady(namespace: Namespace, words: readonly string[]): Promise<WorldProcess> {
  const process = await namespace.spawn(words, { stdin: "" });
  await process.waitFor("ready", READY_MS);
  return process;
}

/** Two kernels, one a network namespace, joined by a veth pair. */
function startVeth(programs: Programs, offload: boolean): Promise<Contestant> {
  return inWorld(["kernel", "stack"], async (world) => {
    const [kernel, stack] = world.all;
    await world.link(kernel, "eth0", `${KERNEL}/${PREFIX}`, stack, "eth0", `${STACK}/${PREFIX}`);
    if (!offload) {
      for (const each of world.all) {
        await each.exec([
          "ethtool",
          "-K",
          "eth0",
          ..."tx off rx off tso off gso off gro off sg off".split(" "),
        ]);
      }
    }
    const server = await spawnReady(stack, [programs.peer, "serve", STACK]);
    await spawnReady(kernel, [programs.peer, "serve", KERNEL]);
    return new Contestant(
      world,
      kernel,
      [server],
      programs.peer,
      async (words) => JSON.parse(await stack.exec([programs.peer, ...words])),
    );
  });
}

/** A program that has a stack in it and opens the TAP. */
function startEmbedded(
  programs: Programs,
  words: readonly string[],
  options: { canConnect: boolean },
): Promise<Contestant> {
  return inWorld([], async (world) => {
    const [kernel] = world.all;
    const server = await spawnReady(kernel, words);
    await kernel.sh(`ip addr replace ${KERNEL}/${PREFIX} dev tap0; ip link set tap0 up`);
    await spawnReady(kernel, [programs.peer, "serve", KERNEL]);
    const connections = options.canConnect ? (words: readonly string[]) => ask(server, words) : null;
    return new Contestant(world, kernel, [server], programs.peer, connections);
  });
}

function startInProcess(programs: Programs, options: readonly string[]): Promise<Contestant> {
  const words = [Deno.execPath(), "run", "-A", "--no-prompt", `${here}/in_process.ts`, ...options];
  return startEmbedded(programs, words, { canConnect: true });
}

async function startOther(programs: Programs, program: string | undefined): Promise<Contestant | null> {
  if (program === undefined) return null;
  return await startEmbedded(programs, [program, "tap0"], { canConnect: false });
}

export const CANDIDATES: readonly Candidate[] = [
  {
    name: "veth",
    what: "the kernel, over a veth pair",
    start: (programs) => startVeth(programs, true),
  },
  {
    name: "veth-plain",
    what: "the same without offload (ethtool -K)",
    start: (programs) => startVeth(programs, false),
  },
  {
    name: "ours",
    what: "lvl-ip embedded in one thread",
    start: (programs) => startInProcess(programs, []),
  },
  {
    name: "ours-plain",
    what: "the same without offload (a TAP without vnet headers)",
    start: (programs) => startInProcess(programs, ["--no-offload"]),
  },
  {
    name: "lwip",
    what: "lwIP 2.1.3, raw API, windows of 1 MB",
    start: (programs) => startOther(programs, programs.lwip),
  },
  {
    name: "gvisor",
    what: "gVisor's netstack of 2022-12",
    start: (programs) => startOther(programs, programs.gvisor),
  },
];
