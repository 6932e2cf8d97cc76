/** What a person is told when a command fails: one sentence with what failed, why, and the command that mends it. */
import { asRoot, ownCommandLine } from "../host/self.ts";

/** A command failed for a reason that its caller can do something about. */
export class CommandError extends Error {
  override readonly name = "CommandError";

  /** `mend` is a command line, or a sentence with one. */
  constructor(message: string, readonly mend?: string, readonly status = 1) {
    super(message);
  }
}

/** Exit statuses, as other Unix tools and shells have them. */
export const EXIT = {
  success: 0,
  failure: 1,
  usage: 2,
  /** 128 + SIGINT. */
  interrupted: 130,
  /** 128 + SIGPIPE. */
  outputClosed: 141,
  terminated: 143,
} as const;

/** The first place where lib/ipc/paths.ts looks. */
const DEFAULT_SOCKET = "/run/lvl-ip/lvl-ip.sock";

/** strerror(3)'s words, which everybody greps for; the client's are the same in lower case. */
const WORDS: Record<string, string> = {
  ECONNREFUSED: "Connection refused (nothing listens on that port)",
  ECONNRESET: "Connection reset by peer",
  ECONNABORTED: "Connection aborted",
  ETIMEDOUT: "Connection timed out (nobody answers)",
  EHOSTUNREACH: "No route to host (nobody has that address, or a router said so)",
  EHOSTDOWN: "Host is down",
  ENETUNREACH: "Network is unreachable (the stack has no route there: see `lvl-ip status`)",
  EPIPE: "Broken pipe (the connection is closed)",
};

/** errno's name in words, if it has to do with connections. */
export function networkWords(error: unknown): string | undefined {
  return WORDS[codeOf(error) ?? ""];
}

/** errno's name ("ECONNREFUSED") of an error of lib/ipc, if it has one. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/**
 * The sentence for whatever was thrown, without "lvl-ip: ". Classes of other rooms are told by their name, so that
 * `--help` need not load them.
 */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "DaemonUnreachableError") {
    // The client is a library: the command it names is the plain one.
    const lacking = error.message.replace(/; start one with:.*$/s, "");
    const [start, lab] = [asRoot(["daemon", ...socketOption(error)]), ownCommandLine(["lab"])];
    return `${lacking}; start one with \`${start}\`, or see it all in a private internet with \`${lab}\``;
  }
  if (error instanceof CommandError) return error.mend ? `${error.message}; ${error.mend}` : error.message;
  if (error.name === "HostError" && "explain" in error && typeof error.explain === "function") {
    return error.explain();
  }
  return error.message || error.name;
}

/** What a daemon must be told to listen where this one was looked for: nothing for the usual places. */
function socketOption(error: Error): string[] {
  const paths: unknown = "paths" in error ? error.paths : undefined;
  if (!Array.isArray(paths) || paths.length !== 1 || paths[0] === DEFAULT_SOCKET) return [];
  return ["--socket", String(paths[0])];
}
