/**
 * Private network namespaces for end-to-end tests.
 *
 * ```ts
 * Deno.test({
 *   name: "a kernel peer answers",
 *   ignore: !hasNamespaces(),
 *   async fn() {
 *     await using world = await Namespaces.create("router", "peer");
 *     const [router, peer] = world.all;
 *     await world.link(router, "eth0", "10.1.0.1/24", peer, "eth0", "10.1.0.2/24");
 *     await using server = await peer.spawn(["python3", "-m", "http.server", "80"]);
 *     await router.exec(["ping", "-c", "1", "10.1.0.2"]);
 *   },
 * });
 * ```
 *
 * One world is a mount and PID namespace (with its own empty /run, so the daemon's default socket is private too) and
 * any number of network namespaces. Its first process reads a pipe that only the test holds: when the test ends, fails
 * or is killed, the pipe closes, that process ends, and the kernel ends everything that was started in the world and
 * takes its interfaces, rules and sysctls away. Nothing on the host has a name that could clash between tests.
 *
 * Files are shared with the host (/run aside): a daemon with `--socket ${world.directory}/lvl-ip.sock` can be reached
 * from the test's own process, because a Unix socket with a path belongs to no network namespace.
 */
import { finish, type Finished, type RunOptions, WorldProcess } from "./process.ts";

export { type Finished, type RunOptions, WorldProcess } from "./process.ts";

const projectRoot = new URL("../../", import.meta.url).pathname;

/** The program under test: `$LVLIP_EXECUTABLE` (the compiled one) if that is set, else this tree's sources. */
export const lvlIp: readonly string[] = Deno.env.get("LVLIP_EXECUTABLE")
  ? [Deno.env.get("LVLIP_EXECUTABLE")!]
  : [Deno.execPath(), "run", "-A", "--no-prompt", `${projectRoot}cli.ts`];

const asRoot = Deno.uid() === 0;
const privateFlags = [
  ...(asRoot ? [] : ["--user", "--map-root-user"]),
  "--net",
  "--mount",
  "--pid",
  "--fork",
];

let verdict: string | undefined;

/**
 * Whether this machine lets the tests build namespaces and TAP devices; if not, says so on stderr, once. Under CI
 * (`CI` set) it throws instead: a run that skips these tests has not tested the program.
 */
export function hasNamespaces(): boolean {
  if (verdict === undefined) {
    verdict = obstacle();
    if (verdict && Deno.env.get("CI")) throw new Error(`Cannot run the end-to-end tests: ${verdict}`);
    if (verdict) console.error(`end-to-end tests are skipped: ${verdict}`);
  }
  return verdict === "";
}

function obstacle(): string {
  try {
    const tap = ["ip", "tuntap", "add", "dev", "tap0", "mode", "tap"];
    const probe = new Deno.Command("unshare", {
      args: [...privateFlags, "--mount-proc", "--", ...tap],
      stdin: "null",
      env: { PATH: searchPath() },
    }).outputSync();
    return probe.success ? "" : new TextDecoder().decode(probe.stderr).trim().split("\n")[0];
  } catch (error) {
    return `unshare cannot be run (${error instanceof Error ? error.message : error})`;
  }
}

/** One network namespace of a world. */
export class Namespace {
  constructor(readonly world: Namespaces, readonly name: string) {}

  /** The words that run `command` here from the host. */
  enter(command: readonly string[]): string[] {
    const base = `/proc/${this.world.holder}`;
    const net = this.name === "" ? `${base}/ns/net` : `${base}/root/run/netns/${this.name}`;
    const user = asRoot ? [] : ["--user", "--preserve-credentials"];
    return [
      "nsenter",
      "--target",
      `${this.world.holder}`,
      ...user,
      "--mount",
      "--pid",
      `--net=${net}`,
      "--",
      ...command,
    ];
  }

  /** Runs `command` to its end and answers with everything it said; any exit status is an answer. */
  async run(command: readonly string[], options: RunOptions = {}): Promise<Finished> {
    const process = await this.spawn(command, options);
    return await finish(process, options);
  }

  /** Runs `command` to its end; throws with its output when it fails, else answers with its stdout. */
  async exec(command: readonly string[], options: RunOptions = {}): Promise<string> {
    const done = await this.run(command, options);
    if (done.code !== 0) {
      throw new Error(
        `${command.join(" ")} failed in ${this.name || "the world"} with ${done.signal ?? done.code}:\n` +
          `${done.stdout}${done.stderr}`,
      );
    }
    return done.stdout;
  }

  /** Runs a shell script; throws when it fails, else answers with its stdout. */
  sh(script: string, options: RunOptions = {}): Promise<string> {
    return this.exec(["sh", "-euc", script], options);
  }

  /** Starts `command`; it ends with `await using`, with {@linkcode WorldProcess.kill} or with the world. */
  async spawn(command: readonly string[], options: RunOptions = {}): Promise<WorldProcess> {
    const [program, ...args] = this.enter(command);
    const child = new Deno.Command(program, {
      args,
      stdin: options.stdin === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
      cwd: options.cwd,
      env: { PATH: searchPath(), TMPDIR: this.world.directory, ...options.env },
    }).spawn();
    const process = new WorldProcess(child, command);
    this.world.started(process);
    await process.begin(options.stdin);
    return process;
  }
}

/** A world of its own: see the module's text. */
export class Namespaces implements AsyncDisposable {
  /** The namespaces in the order they were asked for. */
  readonly all: Namespace[] = [];
  /** A temporary folder that goes away with the world. */
  readonly directory: string;
  /** The first process of the world, as the host numbers it. */
  holder = 0;
  #unshare: Deno.ChildProcess;
  #pipe: WritableStreamDefaultWriter<Uint8Array>;
  #processes: WorldProcess[] = [];

  private constructor(directory: string, unshare: Deno.ChildProcess) {
    this.directory = directory;
    this.#unshare = unshare;
    this.#pipe = unshare.stdin.getWriter();
  }

  /** A world with one network namespace for each name; with none, its single unnamed one. */
  static async create(...names: string[]): Promise<Namespaces> {
    const directory = await Deno.makeTempDir({ prefix: "lvl-ip-test-" });
    // The host's name servers are not to be asked, nor waited for. Where the file is a link into /run, it leads nowhere.
    const script = "mount -n -t tmpfs -o mode=755 run /run && mkdir /run/netns && ip link set lo up && " +
      "{ mount -n --bind /dev/null /etc/resolv.conf 2>/dev/null || true; } && echo ready && cat";
    const unshare = new Deno.Command("unshare", {
      args: [...privateFlags, "--kill-child", "--mount-proc", "--", "sh", "-c", script],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      env: { PATH: searchPath() },
    }).spawn();
    const world = new Namespaces(directory, unshare);
    try {
      const reader = unshare.stdout.getReader();
      const first = await reader.read();
      await reader.cancel();
      if (first.done) throw new Error(`Cannot make namespaces: ${await new Response(unshare.stderr).text()}`);
      await unshare.stderr.cancel();
      world.holder = await childOf(unshare.pid);
      if (names.length === 0) world.all.push(new Namespace(world, ""));
      for (const name of names) await world.add(name);
      return world;
    } catch (error) {
      await world[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** One more network namespace, with its loopback up. */
  async add(name: string): Promise<Namespace> {
    await new Namespace(this, "").sh(`ip netns add ${name} && ip -n ${name} link set lo up`);
    const namespace = new Namespace(this, name);
    this.all.push(namespace);
    return namespace;
  }

  /** A cable (veth) between two namespaces, with an address at each end, up. */
  async link(
    left: Namespace,
    leftInterface: string,
    leftAddress: string,
    right: Namespace,
    rightInterface: string,
    rightAddress: string,
  ): Promise<void> {
    await new Namespace(this, "").sh(
      `ip link add ${leftInterface} netns ${left.name} type veth peer name ${rightInterface} netns ${right.name}
       ip -n ${left.name} addr add ${leftAddress} dev ${leftInterface}
       ip -n ${right.name} addr add ${rightAddress} dev ${rightInterface}
       ip -n ${left.name} link set ${leftInterface} up
       ip -n ${right.name} link set ${rightInterface} up`,
    );
  }

  /** Remembers a process, so that it is waited for when the world ends. */
  started(process: WorldProcess): void {
    this.#processes.push(process);
  }

  /** Ends every process of the world and waits until the kernel has taken everything away. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pipe.close().catch(() => {});
    if (this.holder) signal(this.holder);
    else signal(this.#unshare.pid);
    await this.#unshare.status;
    await this.#unshare.stderr.cancel().catch(() => {});
    for (const process of this.#processes) await process.settled();
    await Deno.remove(this.directory, { recursive: true }).catch(() => {});
  }
}

function signal(pid: number): void {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself, which is what was wanted.
  }
}

async function childOf(pid: number): Promise<number> {
  const children = await Deno.readTextFile(`/proc/${pid}/task/${pid}/children`);
  return Number(children.trim().split(" ")[0]);
}

/** PATH with the folders where Debian keeps ip, nft and iptables, which ordinary users do not have in theirs. */
function searchPath(): string {
  return `${Deno.env.get("PATH") ?? ""}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin`;
}
