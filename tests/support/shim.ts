/** A world with a daemon, in which programs run on the stack (10.0.0.4) against the kernel (10.0.0.5). */
import { assertEquals, assertMatch } from "@std/assert";
import { status } from "../../mod.ts";
import { lvlIp, type Namespace, Namespaces, type RunOptions, type WorldProcess } from "./netns.ts";

export const STACK = "10.0.0.4";
export const KERNEL = "10.0.0.5";

export class ShimWorld implements AsyncDisposable {
  private constructor(
    readonly world: Namespaces,
    readonly net: Namespace,
    readonly daemon: WorldProcess,
    readonly socketPath: string,
    readonly capture: WorldProcess,
  ) {}

  static async start(...options: string[]): Promise<ShimWorld> {
    const world = await Namespaces.create();
    const [net] = world.all;
    const socketPath = `${world.directory}/lvl-ip.sock`;
    // Programs that change their user must still reach the socket.
    await Deno.chmod(world.directory, 0o755);
    // What no program on the stack may cause: packets of the kernel's to itself, by another address than loopback's.
    const strayPackets = `ip and not host ${STACK} and not net 127.0.0.0/8`;
    const tcpdump = ["tcpdump", "--immediate-mode", "-lnq", "-i", "any", strayPackets];
    const capture = await net.spawn(tcpdump);
    const daemon = await net.spawn([...lvlIp, "daemon", "--socket", socketPath, ...options]);
    await daemon.waitFor(/ready/);
    await capture.waitFor(/listening on/);
    return new ShimWorld(world, net, daemon, socketPath, capture);
  }

  /** Checks that what programs did up to now went through the stack: a packet of the kernel's own would be a leak. */
  async checkNothingLeaked(): Promise<void> {
    this.capture.kill("SIGINT");
    const { stdout, stderr } = await this.capture.finished();
    assertMatch(stderr, / packets? captured/);
    assertEquals(stdout.trim(), "", "packets that did not go through the stack");
  }

  get directory(): string {
    return this.world.directory;
  }

  /** The words that run `command` on the stack. */
  onStack(command: readonly string[]): string[] {
    return [...lvlIp, "run", "--socket", this.socketPath, "--", ...command];
  }

  /** Runs `command` on the stack to its end; throws when it fails, else answers with its stdout. */
  exec(command: readonly string[], options?: RunOptions): Promise<string> {
    return this.net.exec(this.onStack(command), options);
  }

  spawn(command: readonly string[], options?: RunOptions): Promise<WorldProcess> {
    return this.net.spawn(this.onStack(command), options);
  }

  /** A server of the kernel, once it listens on `port`. */
  async kernelServer(port: number, command: readonly string[]): Promise<WorldProcess> {
    const process = await this.net.spawn(command);
    await this.#untilListening(
      async () => (await this.net.exec(["ss", "-Hltn", `sport = :${port}`])) !== "",
      process,
    );
    return process;
  }

  /** A server of the stack, once it listens on `port`. */
  async stackServer(port: number, command: readonly string[]): Promise<WorldProcess> {
    const process = await this.spawn(command);
    await this.#untilListening(() => this.#listens(port), process);
    return process;
  }

  /** Waits for a server of the stack that went into the background. */
  async untilListening(port: number): Promise<void> {
    for (let tries = 0; !await this.#listens(port); tries++) {
      if (tries === 200) throw new Error(`nobody listens on port ${port}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async #listens(port: number): Promise<boolean> {
    const { connections } = await status({ socketPath: this.socketPath });
    return connections.some(({ kind, localPort }) => kind === "listener" && localPort === port);
  }

  /** Looks at who listens: a connection to try it would be a client that some servers take for their only one. */
  async #untilListening(isListening: () => Promise<boolean>, process: WorldProcess): Promise<void> {
    for (let tries = 0; tries < 200; tries++) {
      if (await isListening()) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    process.kill();
    const { stdout, stderr } = await process.finished();
    throw new Error(`${process.command.join(" ")} does not listen\n${stdout}${stderr}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]();
  }
}

/** Whether all programs are installed; if not, says so once for each that lacks. */
export function hasPrograms(...names: string[]): boolean {
  const missing = names.filter((name) => !isInstalled(name));
  for (const name of missing) {
    if (!reported.has(name)) console.error(`tests with ${name} are skipped: it is not installed`);
    reported.add(name);
  }
  return missing.length === 0;
}

const reported = new Set<string>();

function isInstalled(name: string): boolean {
  const folders = [...(Deno.env.get("PATH") ?? "").split(":"), "/usr/sbin", "/sbin", "/usr/bin"];
  return folders.some((folder) => {
    try {
      return Deno.statSync(`${folder}/${name}`).isFile;
    } catch {
      return false;
    }
  });
}
