/** `lvl-ip run`: a program with the sockets of the stack in place of the kernel's. */
import { SysError } from "../../ffi/errno.ts";
import { execute } from "../../ffi/execute.ts";
import { ENOENT } from "../errno.ts";
import { preloadPath } from "../host/preload.ts";
import { Channel } from "../ipc/channel.ts";
import { DaemonUnreachableError } from "../ipc/errors.ts";
import { OP, passOf, ProtocolRecord } from "../ipc/protocol.ts";
import { CommandError, EXIT } from "./errors.ts";
import { PrivateDaemon } from "./private_daemon.ts";
import { waitForCommand } from "./run_child.ts";

export interface RunOptions {
  daemon?: boolean;
  socket?: string;
  /** What the daemon is told that is started, as words of its command line. */
  daemonWords?: readonly string[];
}

/** As env(1) and shells have it. */
const EXIT_CANNOT_RUN = 126;
const EXIT_NOT_FOUND = 127;

/**
 * Runs the command. Without a daemon of its own to look after, this process becomes the command: its signals, its
 * terminal and its exit status need nobody in between. Otherwise the exit status.
 */
export async function run(words: readonly string[], options: RunOptions): Promise<number> {
  const { daemonWords = [] } = options;
  if (daemonWords.length > 0 && !options.daemon) {
    throw new CommandError(
      `${daemonWords[0]} is for a daemon that run starts`,
      "add --daemon, or give it to lvl-ip daemon",
      EXIT.usage,
    );
  }
  const program = findProgram(words[0]);
  const library = preloadPath();
  const access = await findDaemon(options);
  if (access !== null && daemonWords.length > 0) {
    throw new CommandError(
      `A daemon runs already at ${access.socket}, and ${daemonWords[0]} would not change it`,
      `leave ${daemonWords[0]} out, or name another --socket`,
    );
  }
  if (access !== null) return become(program, words, environment(library, access));
  const daemon = await PrivateDaemon.start(options.socket, daemonWords);
  try {
    const own = await findDaemon({ socket: daemon.socketPath });
    return await waitForCommand(program, words, environment(library, own!));
  } finally {
    await daemon.stop();
  }
}

/** How the command finds the daemon: the absolute path of its socket, and the pass that it lets its children in with. */
interface Access {
  socket: string;
  pass: bigint;
}

/** Null if no daemon answers and one may be started. Throws when it does not let us in. */
async function findDaemon({ socket, daemon }: RunOptions): Promise<Access | null> {
  try {
    using channel = await Channel.open(socket);
    const record = new ProtocolRecord().reset(OP.pass);
    await channel.exchange(record, "Cannot run a program on the stack");
    const { path } = channel;
    // Abstract names have no folder; others must be found from wherever the program goes.
    const isAbsolute = path.startsWith("@") || path.startsWith("/");
    return { socket: isAbsolute ? path : `${Deno.cwd()}/${path}`, pass: passOf(record) };
  } catch (error) {
    if (error instanceof DaemonUnreachableError && daemon) return null;
    throw error;
  }
}

function environment(library: string, { socket, pass }: Access): Record<string, string> {
  const env = Deno.env.toObject();
  const others = (env.LD_PRELOAD ?? "").split(/[\s:]+/).filter((path) =>
    path !== "" && !path.endsWith("/liblevelip.so")
  );
  env.LD_PRELOAD = [library, ...others].join(":");
  env.LVLIP_SOCKET = socket;
  env.LVLIP_PASS = pass.toString(16);
  return env;
}

/** Looked for as execvp(3) does. Throws `CommandError` with the exit status that shells have for it. */
function findProgram(name: string): string {
  const candidates = name.includes("/")
    ? [name]
    : (Deno.env.get("PATH") ?? "/usr/bin:/bin").split(":").map((folder) => `${folder || "."}/${name}`);
  let status = EXIT_NOT_FOUND;
  for (const path of candidates) {
    try {
      const { isFile, mode } = Deno.statSync(path);
      if (isFile && ((mode ?? 0) & 0o111) !== 0) return path;
      status = EXIT_CANNOT_RUN;
    } catch {
      // Not there, or not for us.
    }
  }
  const why = status === EXIT_NOT_FOUND ? "there is no such program" : "it is no program that may be run";
  throw new CommandError(`Cannot run ${name}: ${why}`, undefined, status);
}

function become(program: string, words: readonly string[], env: Record<string, string>): never {
  try {
    execute(program, [...words], env);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new CommandError(
      error.message,
      undefined,
      error.errno === ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN,
    );
  }
}
