/** The stacks that are measured beside each other. */
import { type Namespace, Namespaces } from "../../tests/support/netns.ts";
import { ask, Contestant, KERNEL, PREFIX, STACK, tune } from "./contestant.ts";

/** What is compiled before the first measurement. */
export interface Programs {
  peer: string;
}

export interface Candidate {
  name: string;
  what: string;
  /** Sets it up in a world of its own. */
  start(programs: Programs): Promise<Contestant>;
}

const here = import.meta.dirname!;
const READY_MS = 20_000;

/** The peer as a server, for a stack that connects. */
async function serveFromKernel(kernel: Namespace, programs: Programs): Promise<void> {
  const server = await kernel.spawn([programs.peer, "serve", KERNEL], { stdin: "" });
  await server.waitFor("ready", READY_MS);
}

/** Two kernels, one a network namespace, joined by a veth pair. */
async function startVeth(programs: Programs, offload: boolean): Promise<Contestant> {
  const world = await Namespaces.create("kernel", "stack");
  try {
    const [kernel, stack] = world.all;
    await world.link(kernel, "eth0", `${KERNEL}/${PREFIX}`, stack, "eth0", `${STACK}/${PREFIX}`);
    for (const each of world.all) {
      await tune(each);
      if (!offload) await each.sh("ethtool -K eth0 tx off rx off tso off gso off gro off sg off");
    }
    const server = await stack.spawn([programs.peer, "serve", STACK], { stdin: "" });
    await server.waitFor("ready", READY_MS);
    await serveFromKernel(kernel, programs);
    const connections = async (words: readonly string[]) =>
      JSON.parse(await stack.exec([programs.peer, ...words]));
    return new Contestant(world, kernel, [server], programs.peer, connections);
  } catch (error) {
    await world[Symbol.asyncDispose]();
    throw error;
  }
}

/** Our stack, embedded in one thread. */
async function startInProcess(programs: Programs, options: readonly string[]): Promise<Contestant> {
  const world = await Namespaces.create();
  try {
    const [kernel] = world.all;
    await tune(kernel);
    const command = [Deno.execPath(), "run", "-A", "--no-prompt", `${here}/in_process.ts`, ...options];
    const server = await kernel.spawn(command, { stdin: "" });
    await server.waitFor("ready", READY_MS);
    await serveFromKernel(kernel, programs);
    const connections = (words: readonly string[]) => ask(server, words);
    return new Contestant(world, kernel, [server], programs.peer, connections);
  } catch (error) {
    await world[Symbol.asyncDispose]();
    throw error;
  }
}

export const CANDIDATES: readonly Candidate[] = [
  { name: "veth", what: "kernel over veth", start: (programs) => startVeth(programs, true) },
  { name: "veth-plain", what: "the same without offload", start: (programs) => startVeth(programs, false) },
  { name: "ours", what: "lvl-ip in one process", start: (programs) => startInProcess(programs, []) },
  {
    name: "ours-plain",
    what: "the same without offload",
    start: (programs) => startInProcess(programs, ["--no-offload"]),
  },
];
