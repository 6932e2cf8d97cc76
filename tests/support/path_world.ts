/**
 * A path of three of the kernel's routers, the second cable of which takes 1400 bytes only:
 *
 * ```
 * stack 10.0.0.4 -- 10.0.0.5 [r1] 10.1.1.1 -- 10.1.1.2 [r2] 10.1.2.1 -- 10.1.2.2 [r3] 10.1.3.1 -- 10.1.3.2 [target]
 *                                                            mtu 1400
 * ```
 */
import { lvlIp, type Namespace, Namespaces, type RunOptions, type WorldProcess } from "./netns.ts";

/** The hops from the stack to the target, the target last. */
export const HOPS = ["10.0.0.5", "10.1.1.2", "10.1.2.2", "10.1.3.2"] as const;
export const TARGET = HOPS[3];
export const SMALL_MTU = 1400;

export class PathWorld implements AsyncDisposable {
  private constructor(
    readonly world: Namespaces,
    readonly daemon: WorldProcess,
    readonly socketPath: string,
  ) {}

  static async start(...options: string[]): Promise<PathWorld> {
    const world = await Namespaces.create("r1", "r2", "r3", "target");
    const [r1, r2, r3, target] = world.all;
    const socketPath = `${world.directory}/lvl-ip.sock`;
    await Deno.chmod(world.directory, 0o755);
    await world.link(r1, "east", "10.1.1.1/24", r2, "west", "10.1.1.2/24");
    await world.link(r2, "east", "10.1.2.1/24", r3, "west", "10.1.2.2/24");
    await world.link(r3, "east", "10.1.3.1/24", target, "west", "10.1.3.2/24");
    // Their own limits on ICMP errors would make hops silent.
    const script = "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.icmp_ratemask=0";
    const routes = [
      "ip route add 10.1.2.0/24 via 10.1.1.2; ip route add 10.1.3.0/24 via 10.1.1.2",
      `ip route add 10.0.0.0/24 via 10.1.1.1; ip route add 10.1.3.0/24 via 10.1.2.2; ip link set east mtu ${SMALL_MTU}`,
      `ip route add default via 10.1.2.1; ip link set west mtu ${SMALL_MTU}`,
      "ip route add default via 10.1.3.1",
    ];
    for (const [i, router] of [r1, r2, r3, target].entries()) await router.sh(`${script}\n${routes[i]}`);
    const daemon = await r1.spawn([...lvlIp, "daemon", "--socket", socketPath, ...options]);
    await daemon.waitFor(/ready/);
    return new PathWorld(world, daemon, socketPath);
  }

  /** The first router, where the daemon runs too. */
  get net(): Namespace {
    return this.world.all[0];
  }

  get target(): Namespace {
    return this.world.all[3];
  }

  /** Runs `command` on the stack to its end; throws when it fails, else answers with its stdout. */
  onStack(command: readonly string[], options?: RunOptions): Promise<string> {
    return this.net.exec([...lvlIp, "run", "--socket", this.socketPath, "--", ...command], options);
  }

  /** Runs a subcommand of ours to its end, as `onStack`. */
  ours(command: string, words: readonly string[], options?: RunOptions): Promise<string> {
    return this.net.exec([...lvlIp, command, "--socket", this.socketPath, ...words], options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]();
  }
}
