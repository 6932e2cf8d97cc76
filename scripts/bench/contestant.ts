/** A stack that serves on 10.0.0.4, and the kernel peer on 10.0.0.5 that measures it. */
import type { Namespace, Namespaces, WorldProcess } from "../../tests/support/netns.ts";

export const STACK = "10.0.0.4";
export const KERNEL = "10.0.0.5";
export const NETWORK = "10.0.0.0/24";
export const PREFIX = 24;

/** What a measurement found, by name: see `Figure` in results.ts. */
export type Figures = Record<string, number>;

const CLOCK_TICKS = 100;
const PAGE_KB = 4;
/** How long a server has to end. */
const ENDING_MS = 3000;
/** Beyond what a measurement was asked to take. */
const PATIENCE_MS = 60_000;

/** What a contestant is made of. */
export interface Parts {
  world: Namespaces;
  /** Where the kernel peer runs. */
  kernel: Namespace;
  /** The application's process, and the stack's where there is no daemon. */
  server: WorldProcess;
  /** The stack's process, if it is another. */
  daemon?: WorldProcess;
  /** The stack is the kernel, and so in none of these processes. */
  isKernel?: boolean;
  peerProgram: string;
  /** Has the stack's side do what the peer's `connections`, `send` and `receive` do, with their words. */
  onStack(words: readonly string[]): Promise<Figures>;
}

export class Contestant implements AsyncDisposable {
  constructor(readonly parts: Parts) {}

  /** Runs the peer on the kernel's side; what it measured. */
  async peer(...words: (string | number)[]): Promise<Figures> {
    const { kernel, peerProgram, server, daemon } = this.parts;
    const command = [peerProgram, ...words.map(String)];
    const { code, stdout, stderr } = await kernel.run(command, { timeoutMs: PATIENCE_MS });
    if (code === 0) return JSON.parse(stdout);
    // Whoever did not answer may have said why.
    throw new Error([stderr, daemon?.stderr ?? "", server.stderr].map(lastLine).filter(Boolean).join(" | "));
  }

  /** CPU seconds of the stack and the application so far, user and system. */
  cpuSeconds(): number {
    const { server, daemon } = this.parts;
    return cpuSecondsOf(server.pid) + (daemon === undefined ? 0 : cpuSecondsOf(daemon.pid));
  }

  get isKernel(): boolean {
    return this.parts.isKernel ?? false;
  }

  /** Where the stack itself is; of a kernel: the application. */
  get stackPid(): number {
    return (this.parts.daemon ?? this.parts.server).pid;
  }

  /** Lets the server end by itself before the world does: profiles are written at the end. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { server } = this.parts;
    await server.endInput();
    const timer = setTimeout(() => server.kill("SIGKILL"), ENDING_MS);
    await server.status;
    clearTimeout(timer);
    await this.parts.world[Symbol.asyncDispose]();
  }
}

function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1)!;
}

/** CPU seconds of a process so far, in all its threads. */
export function cpuSecondsOf(pid: number): number {
  const text = Deno.readTextFileSync(`/proc/${pid}/stat`);
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS;
}

/** Resident memory of a process, MB. */
export function residentMbOf(pid: number): number {
  return Number(Deno.readTextFileSync(`/proc/${pid}/statm`).split(" ")[1]) * PAGE_KB / 1000;
}

/** What both sides of every comparison are told: no memory of past connections, few TIME-WAITs, many ports. */
export async function tune(namespace: Namespace): Promise<void> {
  const settings = {
    tcp_no_metrics_save: "1",
    tcp_max_tw_buckets: "16",
    ip_local_port_range: "1024 65535",
  };
  const commands = Object.entries(settings).map(([name, value]) =>
    `echo "${value}" > /proc/sys/net/ipv4/${name}`
  );
  await namespace.sh(commands.join("\n"));
}

/** Reads the next line of JSON that a process prints after it is sent `words`. */
export async function ask(process: WorldProcess, words: readonly string[]): Promise<Figures> {
  const from = process.stdout.length;
  await process.write(`${words.join(" ")}\n`);
  const match = await process.waitFor(new RegExp(`^[^]{${from}}[^]*?(\\{.*\\})\n`), PATIENCE_MS);
  return JSON.parse(match[1]);
}
