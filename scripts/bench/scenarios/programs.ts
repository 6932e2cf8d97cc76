/** Programs that know nothing of the stack: under `lvl-ip run`, and as they are on the kernel over veth. */
import type { Namespace, Namespaces } from "../../../tests/support/netns.ts";
import type { Bench, Scenario, Subject } from "../bench.ts";
import type { Programs } from "../build.ts";
import { KERNEL, STACK } from "../contestant.ts";
import { inWorld, linkByVeth, startDaemon } from "../start.ts";
import { bulkCases, missingPrograms, programCases } from "./program_cases.ts";

const GIGABYTE = 1e9;
const LISTEN_TRIES = 200;

/** A kernel's side and a stack's side, on which any program can be run. */
export interface ProgramWorld {
  world: Namespaces;
  kernel: Namespace;
  /** Where the stack's programs run. */
  stack: Namespace;
  /** The words that run a program on the stack. */
  onStack(words: readonly string[]): string[];
}

/** Waits until somebody listens: by a connection, which the servers here take for nothing. */
async function untilListening(kernel: Namespace, address: string, port: number): Promise<void> {
  const probe =
    `for i in $(seq ${LISTEN_TRIES}); do nc -z ${address} ${port} && exit 0; sleep 0.05; done; exit 1`;
  await kernel.sh(probe, { timeoutMs: 60_000 });
}

/** A folder with a file of 1 GB, which lies in memory once it has been read, and one of 12 bytes. */
async function makeSite({ world, kernel }: ProgramWorld): Promise<string> {
  const site = `${world.directory}/site`;
  await Deno.mkdir(site);
  await Deno.writeTextFile(`${site}/small`, "hello world\n");
  await kernel.sh(`truncate -s ${GIGABYTE} ${site}/big; cat ${site}/big > /dev/null`, { timeoutMs: 60_000 });
  return site;
}

/** The command line of a server with one worker, whose own files lie in `folder`. */
async function nginx(site: string, folder: string): Promise<string[]> {
  await Deno.mkdir(folder);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  await Deno.writeTextFile(
    `${folder}/conf`,
    `worker_processes 1; daemon off; user root; pid ${folder}/pid; error_log ${folder}/error.log crit;
     events { worker_connections 4096; }
     http { access_log off; sendfile on; keepalive_requests 1000000000;
       ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join(" ")}
       server { listen 80 backlog=4096; root ${site}; } }`,
  );
  return ["nginx", "-c", `${folder}/conf`];
}

/** Starts what is measured against on both sides. */
async function serve(programWorld: ProgramWorld): Promise<void> {
  const { world, kernel, stack, onStack } = programWorld;
  const site = await makeSite(programWorld);
  const redis = ["redis-server", "--save", "", "--bind", "0.0.0.0", "--protected-mode", "no"];
  await kernel.spawn(["iperf3", "-s"]);
  await kernel.spawn(await nginx(site, `${world.directory}/kernel`));
  await stack.spawn(onStack(redis));
  await stack.spawn(onStack(await nginx(site, `${world.directory}/stack`)));
  for (const port of [80, 5201]) await untilListening(kernel, KERNEL, port);
  for (const port of [80, 6379]) await untilListening(kernel, STACK, port);
}

async function startVeth(offload: boolean): Promise<ProgramWorld> {
  return await inWorld(["kernel", "stack"], async (world) => {
    const [kernel, stack] = world.all;
    await linkByVeth(world, offload);
    const made: ProgramWorld = { world, kernel, stack, onStack: (words) => [...words] };
    await serve(made);
    return made;
  });
}

async function startShim(programs: Programs, ...options: string[]): Promise<ProgramWorld> {
  return await inWorld([], async (world) => {
    const [kernel] = world.all;
    const { socket } = await startDaemon(programs, world, ...options);
    const run = [...programs.lvlIp, "run", "--socket", socket, "--"];
    const made: ProgramWorld = { world, kernel, stack: kernel, onStack: (words) => [...run, ...words] };
    await serve(made);
    return made;
  });
}

const STARTERS: Record<string, (programs: Programs) => Promise<ProgramWorld>> = {
  veth: () => startVeth(true),
  "veth-plain": () => startVeth(false),
  shim: (programs) => startShim(programs),
  "shim-plain": (programs) => startShim(programs, "--no-offload"),
};

/**
 * Has everything measured once for nothing: in a virtual machine memory that was not in use is slow to be had (the host
 * has to give it again), and what a daemon runs in its first seconds has not been compiled yet.
 */
async function warmUp(bench: Bench, subjects: readonly Subject<ProgramWorld>[]): Promise<void> {
  for (const { candidate, value } of subjects) {
    bench.progress.show(`programs: warming up ${candidate}`);
    for (const { measure } of bulkCases(bench.settings)) {
      await bench.attempt(`programs, ${candidate}`, () => measure(value));
    }
  }
}

export const programs: Scenario = {
  name: "programs",
  what: "unmodified programs",
  async run(bench: Bench) {
    const missing = missingPrograms();
    if (missing.length > 0) {
      bench.note(`unmodified programs are left out: ${missing.join(", ")} is not installed`);
      return;
    }
    await using stack = new AsyncDisposableStack();
    const subjects: Subject<ProgramWorld>[] = [];
    for (const { name } of bench.candidates) {
      const starter = STARTERS[name];
      if (starter === undefined) continue;
      bench.progress.show(`programs: starting ${name}`);
      const value = await bench.attempt(`programs, ${name}`, () => starter(bench.programs));
      if (value === null) continue;
      stack.use(value.world);
      subjects.push({ candidate: name, value });
    }
    await warmUp(bench, subjects);
    await bench.interleave("programs", subjects, programCases(bench.settings));
  },
};
