import { errnoText, SysError } from "./errno.ts";
import { StringArray } from "./handover.ts";
import { errno, libc } from "./libc.ts";
import { cString, keep } from "./memory.ts";

const SIGPIPE = 13;

/**
 * Becomes another program: `path` with `args` (the first one its name) and `env` as its environment. The descriptors of
 * the runtime are close-on-exec; 0, 1 and 2 stay. Returns only to throw `SysError` (ENOENT, EACCES, ENOEXEC).
 */
export function execute(path: string, args: string[], env: Record<string, string>): never {
  const file = cString(path);
  const argv = new StringArray(args);
  const envp = new StringArray(Object.entries(env).map(([name, value]) => `${name}=${value}`));
  // The runtime ignores it, which would be passed on; programs expect to be ended by it.
  libc().signal(SIGPIPE, null);
  libc().execve(file.bytes, argv.bytes, envp.bytes);
  const error = errno();
  keep(argv);
  keep(envp);
  throw new SysError("execve", error, `Cannot run ${path}: ${errnoText(error)}`);
}
