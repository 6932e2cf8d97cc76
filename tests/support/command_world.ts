/** A host with a daemon, for tests of commands that hold connections. */
import { hasNamespaces, lvlIp, type Namespace, Namespaces } from "./netns.ts";
import type { Finished, RunOptions, WorldProcess } from "./process.ts";

/** One host with the daemon at 10.0.0.4, and the kernel at 10.0.0.5. */
export class CommandWorld implements AsyncDisposable {
  private constructor(readonly world: Namespaces, readonly host: Namespace) {}

  /** `options`: of the daemon. */
  static async create(options: string[]): Promise<CommandWorld> {
    const world = await Namespaces.create();
    const [host] = world.all;
    const daemon = await host.spawn([...lvlIp, "daemon", ...options]);
    await daemon.waitFor("ready at");
    return new CommandWorld(world, host);
  }

  get folder(): string {
    return this.world.directory;
  }

  run(args: string[], options?: RunOptions): Promise<Finished> {
    return this.host.run([...lvlIp, ...args], options);
  }

  /** Starts a command, and waits until it says that it listens. */
  async start(args: string[], options?: RunOptions): Promise<WorldProcess> {
    const process = await this.host.spawn([...lvlIp, ...args], options);
    await process.waitFor("istening");
    return process;
  }

  /** Runs Python on the host, with some modules at hand; what it printed. */
  async python(code: string): Promise<string> {
    return (await this.host.exec(["python3", "-c", `import socket, sys, time\n${code}`])).trim();
  }

  /** A kernel peer at 10.0.0.5 that prints "up" when it listens. */
  async serve(code: string): Promise<WorldProcess> {
    const server = await this.host.spawn(["python3", "-uc", `import socket, time\n${code}`]);
    await server.waitFor("up");
    return server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]();
  }

  /** A test in a world of its own; ignored where there can be none. */
  static test(name: string, fn: (world: CommandWorld) => Promise<void>, ...options: string[]): void {
    Deno.test({
      name,
      ignore: !hasNamespaces(),
      async fn() {
        await using world = await CommandWorld.create(options);
        await fn(world);
      },
    });
  }
}
