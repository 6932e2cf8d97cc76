/**
 * Private namespaces: this program starts itself again inside of them, so that everything it then builds is its own
 * and goes away with it, however it ends.
 */
import { HostError, requireTools, run, searchPath } from "./command.ts";
import { asRoot, selfCommand } from "./self.ts";
import { tryTunNode, TUN_NODE } from "./tun_node.ts";

/** Set in the environment of the process that runs inside. */
const INSIDE = "LVLIP_LAB_INSIDE";

/** Whether this process is the one that was started inside. True once only: processes it starts are not told. */
export function enteredPrivateNamespaces(): boolean {
  const inside = Deno.env.get(INSIDE) === `${Deno.pid}`;
  Deno.env.delete(INSIDE);
  return inside;
}

/** The words that run something in namespaces of its own: root keeps its user, others become root inside. */
export function unshareCommand(): string[] {
  const user = Deno.uid() === 0 ? [] : ["--user", "--map-root-user"];
  return ["unshare", ...user, "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"];
}

/** Why something cannot be had, and the command that mends it. */
export interface Obstacle {
  problem: string;
  mend: string;
}

/** Throws a {@linkcode HostError} if this host does not let us have namespaces. */
export async function requireNamespaces(what: string): Promise<void> {
  requireTools(["unshare", "ip"]);
  const obstacle = await namespaceObstacle(Deno.args);
  if (obstacle !== null) {
    throw new HostError(`${what} needs namespaces, but ${obstacle.problem}`, obstacle.mend);
  }
}

/** What keeps us from having namespaces; null if nothing does. `args`: what root would have to run instead. */
export async function namespaceObstacle(args: readonly string[]): Promise<Obstacle | null> {
  // Ubuntu lets anyone make a user namespace and then denies everything in it: so something is done in it.
  const { code, stderr } = await run([...unshareCommand(), "ip", "link", "set", "lo", "up"]);
  if (code === 0) return null;
  const complaint = stderr.trim().split("\n")[0] || `unshare ended with ${code}`;
  if (Deno.uid() === 0) {
    return { problem: `this container denies them (${complaint})`, mend: "docker run --privileged" };
  }
  const mend = await mendUserNamespaces() ?? asRoot(args);
  return { problem: `this host denies them to ordinary users (${complaint})`, mend };
}

/** The command that lifts the host's ban on unprivileged user namespaces; null if no known switch forbids them. */
export async function mendUserNamespaces(): Promise<string | null> {
  const switches: [path: string, banned: string, value: string][] = [
    ["kernel/unprivileged_userns_clone", "0", "1"],
    ["kernel/apparmor_restrict_unprivileged_userns", "1", "0"],
    ["user/max_user_namespaces", "0", "15000"],
    ["user/max_net_namespaces", "0", "15000"],
  ];
  for (const [path, banned, value] of switches) {
    const current = await Deno.readTextFile(`/proc/sys/${path}`).catch(() => "");
    if (current.trim() === banned) return `sudo sysctl -w ${path.replace("/", ".")}=${value}`;
  }
  return null;
}

/** Throws a {@linkcode HostError} if TAP devices cannot be had. */
export async function requireTun(what: string): Promise<void> {
  const { access, detail } = await tryTunNode();
  if (access === "ok") return;
  const sudo = Deno.uid() === 0 ? "" : "sudo ";
  if (access === "denied") {
    throw new HostError(
      `${what} needs ${TUN_NODE}, which only root may open here`,
      `${sudo}chmod 666 ${TUN_NODE}`,
    );
  }
  if (access === "missing") {
    throw new HostError(
      `${what} needs ${TUN_NODE}, which is not there`,
      `${sudo}sh -c 'mkdir -p /dev/net && mknod -m 666 ${TUN_NODE} c 10 200'`,
    );
  }
  throw new HostError(`${what} needs the kernel's TUN driver (${detail})`, `${sudo}modprobe tun`);
}

/**
 * Runs this program again, with the same arguments, inside; its exit status. SIGINT and SIGTERM are handed on. If this
 * process is killed, the kernel ends what is inside.
 */
export async function runInside(args: readonly string[]): Promise<number> {
  // setpriv sets the parent-death signal of unshare, which sets that of the first process inside; with that one the
  // kernel ends all the others.
  const [program, ...words] = [
    "setpriv",
    "--pdeathsig",
    "KILL",
    ...unshareCommand(),
    ...selfCommand(),
    ...args,
  ];
  requireTools(["setpriv"]);
  const child = new Deno.Command(program, {
    args: words,
    // 1 is the number that the first process of a PID namespace has.
    env: { PATH: searchPath(), [INSIDE]: "1" },
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  let over = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const handOn = (signal: Deno.Signal) => () => {
    const inside = firstChild(child.pid);
    if (inside === null || over) return;
    kill(inside, signal);
    if (signal === "SIGINT") return;
    timer ??= setTimeout(() => kill(inside, "SIGKILL"), 5000);
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  const listeners = signals.map((signal) => [signal, handOn(signal)] as const);
  for (const [signal, listener] of listeners) Deno.addSignalListener(signal, listener);
  const status = await child.status;
  over = true;
  clearTimeout(timer);
  for (const [signal, listener] of listeners) Deno.removeSignalListener(signal, listener);
  return status.code;
}

function firstChild(pid: number): number | null {
  try {
    const children = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim();
    return children === "" ? null : Number(children.split(" ")[0]);
  } catch {
    return null;
  }
}

function kill(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch {
    // It has just ended.
  }
}

/**
 * Puts an empty /run over the host's, inside: named network namespaces, iptables' lock and the daemon's socket go there.
 * Folders of the host's /run that hold one of `paths` stay reachable (a USB stick is under /run/media).
 */
export async function privateRun(paths: readonly string[]): Promise<void> {
  const kept = new Set<string>();
  for (const path of paths) {
    const real = await Deno.realPath(path).catch(() => path);
    const entry = /^\/run\/([^/]+)/.exec(real);
    if (entry) kept.add(entry[1]);
  }
  // -n: mount(8) would otherwise make /run/mount on the host, before it covers it.
  // A descriptor keeps a covered folder in reach, and /proc/self/fd is a name for it.
  const script = [
    "set -eu",
    ...[...kept].map((_, index) => `exec ${index + 3}<"/run/$${index + 1}"`),
    "mount -n -t tmpfs -o mode=755 lvl-ip-lab /run",
    ...[...kept].map((_, index) =>
      `mkdir "/run/$${index + 1}"; mount -n --no-canonicalize --rbind /proc/self/fd/${index + 3} "/run/$${
        index + 1
      }"`
    ),
  ].join("\n");
  const { code, stderr } = await run(["sh", "-c", script, "sh", ...kept]);
  if (code !== 0) throw new HostError(`Cannot cover /run inside the namespaces: ${stderr.trim()}`);
}
