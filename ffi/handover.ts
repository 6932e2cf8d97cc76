import { EACCES } from "../lib/errno.ts";
import { dropThreadCapabilities } from "./capabilities.ts";
import { errnoText, SysError } from "./errno.ts";
import { check, errno, F_GETFD, F_SETFD, FD_CLOEXEC, libc } from "./libc.ts";
import { Block, cString, keep } from "./memory.ts";

/** Names the descriptors handed over: "tap=5,socket=6". */
const VARIABLE = "LVLIP_INHERIT";

export interface Handover {
  /** Descriptors that the new program finds by these names (letters, digits, "-", "."), through `takeInherited`. */
  descriptors: Record<string, number>;
  /** Environment to add. */
  env?: Record<string, string>;
  /** Files and folders that the new program must be able to read beside its own, see below. */
  needs?: string[];
}

/**
 * Starts this program anew, in the same process, with the same arguments and without any capability in any thread.
 *
 * Capabilities belong to threads, the runtime has many, and none can change another's. An exec leaves one thread, with
 * the credentials of the one that called it, and all that the runtime starts later are its children. So what needs
 * privilege is opened first, then comes this, and the second start finds the descriptors with `takeInherited`. The
 * process keeps its id, parent, standard descriptors and signal dispositions. It costs the start-up time of the runtime
 * (22 ms compiled, 30 ms with `deno run`).
 *
 * A root user without CAP_DAC_OVERRIDE reads only what root's own permissions allow, which may be less than before: the
 * executable, the main module, the current folder and `needs` are tried before it is too late.
 *
 * Never returns. Throws `SysError`; the calling thread has then lost its capabilities, and the program is to end.
 */
export function dropCapabilitiesByExec(handover: Handover): never {
  const descriptors = Object.entries(handover.descriptors);
  for (const [name, fd] of descriptors) {
    if (!/^[\w.-]+$/.test(name)) {
      throw new TypeError(`Cannot hand over a descriptor named ${JSON.stringify(name)}`);
    }
    setCloseOnExec(fd, false);
  }
  const args = Deno.readTextFileSync("/proc/self/cmdline").split("\0").slice(0, -1);
  const env: Record<string, string> = {
    ...Deno.env.toObject(),
    ...handover.env,
    [VARIABLE]: descriptors.map(([name, fd]) => `${name}=${fd}`).join(","),
  };
  dropThreadCapabilities();
  try {
    for (const path of [Deno.execPath(), mainModulePath(), Deno.cwd(), ...handover.needs ?? []]) {
      readable(path);
    }
    throw execute(args, Object.entries(env).map(([name, value]) => `${name}=${value}`));
  } finally {
    for (const [, fd] of descriptors) setCloseOnExec(fd, true);
  }
}

/**
 * The descriptors that `dropCapabilitiesByExec` handed over, close-on-exec again; null if this is a first start. Forgets
 * the variable, so that no child process takes it for its own. Throws `SysError` (EBADF) if it names what is not open.
 */
export function takeInherited(): Map<string, number> | null {
  const text = Deno.env.get(VARIABLE);
  if (text === undefined) return null;
  Deno.env.delete(VARIABLE);
  const found = new Map<string, number>();
  for (const entry of text.split(",")) {
    const [, name, fd] = /^([\w.-]+)=(\d{1,9})$/.exec(entry) ?? [];
    if (name === undefined) continue;
    setCloseOnExec(Number(fd), true);
    found.set(name, Number(fd));
  }
  return found;
}

/** Says whether a descriptor is closed when this process executes another program. Throws `SysError` (EBADF). */
export function setCloseOnExec(fd: number, close: boolean): void {
  const flags = check("fcntl", libc().fcntl(fd, F_GETFD, 0));
  check("fcntl", libc().fcntl(fd, F_SETFD, close ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC));
}

/** Returns only if it failed. */
function execute(args: string[], env: string[]): SysError {
  const argv = new StringArray(args);
  const envp = new StringArray(env);
  const path = cString(executable());
  libc().execve(path.bytes, argv.bytes, envp.bytes);
  const error = errno();
  keep(argv);
  keep(envp);
  return new SysError("execve", error, `Cannot start anew without privileges: ${errnoText(error)}`);
}

/** `char *[]`, ended by NULL; owns the strings. */
export class StringArray extends Block {
  readonly strings: Block[];

  constructor(texts: string[]) {
    super((texts.length + 1) * 8);
    this.strings = texts.map(cString);
    this.strings.forEach((string, i) => this.setAddress(i * 8, string.address));
  }
}

/**
 * The file that is being executed. Its real path if that still leads there, because the process is then named after it;
 * else (replaced or removed since) the link that always leads there.
 */
function executable(): string {
  const link = "/proc/self/exe";
  try {
    const path = Deno.execPath();
    const [named, running] = [Deno.statSync(path), Deno.statSync(link)];
    if (named.dev === running.dev && named.ino === running.ino) return path;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return link;
}

function mainModulePath(): string {
  const url = new URL(Deno.mainModule);
  // A compiled program's modules are in the executable.
  return url.protocol === "file:" && !Deno.build.standalone ? decodeURIComponent(url.pathname) : "/";
}

/** Throws if this thread, without its capabilities, cannot open `path`. */
function readable(path: string): void {
  try {
    Deno.openSync(path).close();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return; // not for want of permission
    throw new SysError(
      "open",
      EACCES,
      `Cannot give up privileges: root without CAP_DAC_OVERRIDE may not read ${path}: start it as the user that owns it, ` +
        `or from a folder that root may read`,
    );
  }
}
