/** A daemon with two TAPs, each of which leads to a namespace with a kernel peer in it. */
import { Daemon } from "./daemon.ts";
import { lvlIp, type Namespace, Namespaces } from "./netns.ts";

/** The stack's addresses, and the peers'. */
export const OURS = { left: "10.1.0.1", right: "10.2.0.1" } as const;
export const LEFT = "10.1.0.2";
export const RIGHT = "10.2.0.2";

export class RouterWorld implements AsyncDisposable {
  private constructor(
    readonly daemon: Daemon,
    readonly net: Namespace,
    readonly left: Namespace,
    readonly right: Namespace,
  ) {}

  /** `rightMtu`: of the link on the right; `more`: options of the daemon. */
  static async start(more: string[] = ["--forward"], rightMtu = 1500): Promise<RouterWorld> {
    const world = await Namespaces.create("router", "left", "right");
    const [net, left, right] = world.all;
    const second = `tap1,${OURS.right}/24,mtu=${rightMtu}`;
    const daemon = await Daemon.startIn(
      world,
      ...["--addr", `${OURS.left}/24`, "--gateway", "none", "--interface", second],
      ...more,
    );
    try {
      await net.sh(`ip link set tap0 netns left; ip link set tap1 netns right`);
      await left.sh(
        `ip addr add ${LEFT}/24 dev tap0; ip link set tap0 up; ip route add default via ${OURS.left}`,
      );
      await right.sh(
        `ip addr add ${RIGHT}/24 dev tap1; ip link set tap1 up; ip route add default via ${OURS.right}`,
      );
      return new RouterWorld(daemon, net, left, right);
    } catch (error) {
      await world[Symbol.asyncDispose]();
      throw error;
    }
  }

  get socketPath(): string {
    return this.daemon.socketPath;
  }

  /** Runs `lvl-ip` with these words; its stdout. Throws when it fails. */
  lvlIp(...words: string[]): Promise<string> {
    return this.net.exec([...lvlIp, ...words, "--socket", this.socketPath]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.daemon[Symbol.asyncDispose]();
  }
}
