/** `lvl-ip run`: a program with the sockets of the stack in place of the kernel's. */
import { SysError } from "../../ffi/errno.ts";
import { execute } from "../../ffi/execute.ts";
import { ENOENT } from "../errno.ts";
import { preloadPath } from "../host/preload.ts";
import { Channel } from "../ipc/channel.ts";
import { DaemonUnreachableError } from "../ipc/errors.ts";
import { CommandError } from "./errors.ts";
import { PrivateDaemon } from "./private_daemon.ts";
import { waitForCommand } from "./run_child.ts";

export interface RunOptions {
  daemon?: boolean;
  socket?: string;
}

/** As env(1) and shells have it. */
const EXIT_CANNOT_RUN = 126;
const EXIT_NOT_FOUND = 127;

/**
 * Runs the command. Without a daemon of its own to look after, this process becomes the command: its signals, its
 * terminal and its exit status need nobody in between. Otherwise the exit status.
 */
export async function run(words: readonly string[], options: RunOptions): Promise<number> {
  const program = findProgram(words[0]);
  const library = preloadPath();
  let daemon: PrivateDaemon | null = null;
  let socket = await findDaemon(options);
  if (socket === null) {
    daemon = await PrivateDaemon.start(options.socket);
    socket = daemon.socketPath;
  }
  const env = environment(library, socket);
  if (daemon === null) return become(program, words, env);
  try {
    return await waitForCommand(program, words, env);
  } finally {
    await daemon.stop();
  }
}

/** The absolute path of the socket on which a daemon answers; null if there is none and one may be started. */
async function findDaemon({ socket, daemon }: RunOptions): Promise<string | null> {
  try {
    using channel = await Channel.open(socket);
    const { path } = channel;
    // Abstract names have no folder; others must be found from wherever the program goes.
    return path.startsWith("@") || path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
  } catch (error) {
    if (error instanceof DaemonUnreachableError && daemon) return null;
    throw error;
  }
}

function environment(library: string, socket: string): Record<string, string> {
  const env = Deno.env.toObject();
  const others = (env.LD_PRELOAD ?? "").split(/[\s:]+/).filter((path) =>
    path !== "" && !path.endsWith("/liblevelip.so")
  );
  env.LD_PRELOAD = [library, ...others].join(":");
  env.LVLIP_SOCKET = socket;
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
