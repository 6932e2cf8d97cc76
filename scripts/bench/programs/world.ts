/** The worlds that programs are compared in, and how they are timed. */
import type { Namespace, Namespaces, WorldProcess } from "../../../tests/support/netns.ts";
import type { Programs } from "../build.ts";
import { KERNEL, STACK } from "../contestant.ts";
import { inWorld, linkByVeth, startDaemon } from "../start.ts";

export { KERNEL, STACK } from "../contestant.ts";

const PATIENCE = { timeoutMs: 120_000 };
const LISTEN_TRIES = 400;

/** Bytes of the large file, and of a middle one for programs that are slow. */
export const BIG = 1e9;
export const MIDDLE = 1e8;

/** A side that is the kernel, and one that is measured: the kernel too, over veth, or our stack. */
export class ProgramWorld implements AsyncDisposable {
  private constructor(
    readonly world: Namespaces,
    readonly kernel: Namespace,
    private readonly measured: Namespace,
    private readonly onStack: readonly string[],
  ) {}

  /** The kernel on both sides. */
  static startKernel(): Promise<ProgramWorld> {
    return inWorld(["kernel", "stack"], async (world) => {
      const [kernel, stack] = world.all;
      await linkByVeth(world, true);
      return await new ProgramWorld(world, kernel, stack, []).#prepare();
    });
  }

  /** Our daemon, and programs under `lvl-ip run`. */
  static startShim(programs: Programs): Promise<ProgramWorld> {
    return inWorld([], async (world) => {
      const [kernel] = world.all;
      const { socket } = await startDaemon(programs, world);
      const onStack = [...programs.lvlIp, "run", "--socket", socket, "--"];
      return await new ProgramWorld(world, kernel, kernel, onStack).#prepare();
    });
  }

  get directory(): string {
    return this.world.directory;
  }

  /** A folder with what is served. */
  get site(): string {
    return `${this.directory}/site`;
  }

  /** Starts a server on the kernel's side (`KERNEL`), once it listens on `port`, or says that it is `ready`. */
  serveByKernel(port: number, command: readonly string[], ready?: string): Promise<AsyncDisposable> {
    return this.#serve(KERNEL, port, () => this.kernel.spawn(command), ready);
  }

  /** Starts a server on the side that is measured (`STACK`). */
  serve(port: number, command: readonly string[], ready?: string): Promise<AsyncDisposable> {
    return this.#serve(STACK, port, () => this.measured.spawn([...this.onStack, ...command]), ready);
  }

  /** Runs a shell's command on the side that is measured; what it said, and the seconds it took without its start. */
  time(script: string): Promise<Timed> {
    return timed(this.measured, this.onStack, script);
  }

  /** The same on the kernel's side. */
  timeByKernel(script: string): Promise<Timed> {
    return timed(this.kernel, [], script);
  }

  async #prepare(): Promise<this> {
    await Deno.chmod(this.directory, 0o755);
    await this.kernel.sh(
      `mkdir ${this.site}; cd ${this.site}; echo hello > small
       head -c ${BIG} /dev/zero | openssl enc -aes-128-ctr -K 0 -iv 0 2> /dev/null > big; head -c ${MIDDLE} big > middle
       sha256sum < big | cut -c 1-64 > big.sha; sha256sum < middle | cut -c 1-64 > middle.sha; chmod -R a+rX ${this.site}`,
      PATIENCE,
    );
    return this;
  }

  async #serve(
    address: string,
    port: number,
    spawn: () => Promise<WorldProcess>,
    ready?: string,
  ): Promise<AsyncDisposable> {
    const server = await spawn();
    // Some take a connection that only looks for them as their one client.
    if (ready !== undefined) {
      await server.waitFor(ready);
      return new Server(server);
    }
    const probe =
      `for i in $(seq ${LISTEN_TRIES}); do nc -z ${address} ${port} && exit 0; sleep 0.05; done; exit 1`;
    const done = await this.kernel.run(["sh", "-c", probe], PATIENCE);
    if (done.code === 0) return new Server(server);
    await server[Symbol.asyncDispose]();
    throw new Error(`nobody listens on port ${port}: ${server.stderr.trim().split("\n").at(-1)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]();
  }
}

/** A running server. It is asked to end, so that it ends its workers too. */
class Server implements AsyncDisposable {
  constructor(private readonly process: WorldProcess) {}

  async [Symbol.asyncDispose](): Promise<void> {
    this.process.kill("SIGTERM");
    await this.process.finished();
  }
}

export interface Timed {
  seconds: number;
  output: string;
}

async function timed(where: Namespace, before: readonly string[], script: string): Promise<Timed> {
  const timing = `begin=$EPOCHREALTIME\n{ ${script}\n} || exit 1\necho; echo $begin $EPOCHREALTIME`;
  const text = await where.exec([...before, "bash", "-o", "pipefail", "-c", timing], PATIENCE);
  const lines = text.trimEnd().split("\n");
  const [begin, end] = lines.pop()!.split(" ").map(Number);
  return { seconds: end - begin, output: lines.join("\n").trim() };
}
