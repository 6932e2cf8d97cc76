import { EACCES, EADDRINUSE, EAGAIN, ECONNREFUSED, ENOENT, ENOTSOCK, EPERM } from "../lib/errno.ts";
import { errnoText, SysError } from "./errno.ts";
import { check, closeDescriptor, errno, libc, O_CLOEXEC, O_RDONLY } from "./libc.ts";
import { cString } from "./memory.ts";
import { isAbstract, openUnixSocket, SOCK_STREAM, UnixAddress } from "./unix_socket.ts";

const LOCK_EX = 2;
const LOCK_NB = 4;
/** How long another daemon that is just binding in the same folder is waited for, ms; it takes it less than one. */
const LOCK_PATIENCE_MS = 1000;
const LOCK_RETRY_MS = 5;

export interface ListenOptions {
  /** SOCK_STREAM (default) or SOCK_SEQPACKET. */
  type?: number;
  /** Who may connect by path: permission bits, not narrowed by the umask. Default 0o600. */
  mode?: number;
  /** Connections that wait for accept; more get EAGAIN. Default 4096, cut to net.core.somaxconn. */
  backlog?: number;
}

/** A listening Unix socket; `acceptUnix(listener.fd)` takes connections. */
export class UnixListener {
  readonly fd: number;
  readonly address: string;
  /** Device and inode of the socket's file, by which it is known again; "" for an abstract name. */
  readonly #file: string;

  /** `fd`: a socket that listens on `address` already: just bound, or inherited over an exec. */
  constructor(fd: number, address: string) {
    this.fd = fd;
    this.address = address;
    this.#file = isAbstract(address) ? "" : fileIdentity(address);
  }

  /**
   * Removes the socket's file, unless another has taken its place, and closes the descriptor. Returns false if the file
   * had to stay behind (a read-only folder, privileges given up).
   */
  close(): boolean {
    // The file first: while we listen nobody can take it for a stale one and put another in its place.
    let removed = true;
    if (this.#file !== "" && fileIdentity(this.address) === this.#file) {
      try {
        Deno.removeSync(this.address);
      } catch {
        removed = false;
      }
    }
    closeDescriptor(this.fd);
    return removed;
  }
}

/**
 * Listens on a path, or on an abstract name ("@name"). A socket's file that a killed process left behind is replaced,
 * but only after a connection to it was refused; anything else that is in the way stays.
 *
 * Throws `SysError`: EADDRINUSE when somebody listens there (a second daemon), ENOTSOCK when the file is no socket, EACCES,
 * ENOENT (no such folder), ENAMETOOLONG.
 */
export function listenUnix(address: string, options: ListenOptions = {}): UnixListener {
  const target = new UnixAddress(address);
  if (isAbstract(address)) return new UnixListener(bindAndListen(target, address, options), address);
  // Between two starting daemons "nobody answers, so I remove it" is a race: the second may remove what the first has
  // just bound, or find it bound and not yet listening. The folder's lock makes all of it one step, and unlike a lock
  // file leaves nothing behind; a process that dies gives it back.
  const lock = lockFolder(address);
  try {
    return new UnixListener(bindAndListen(target, address, options), address);
  } finally {
    closeDescriptor(lock);
  }
}

function bindAndListen(target: UnixAddress, address: string, options: ListenOptions): number {
  const { type = SOCK_STREAM, mode = 0o600, backlog = 4096 } = options;
  const fd = openUnixSocket(type);
  let bound = false;
  try {
    // On Linux the file takes its mode from the socket, so that it is at no moment more open than asked for.
    check("fchmod", libc().fchmod(fd, mode));
    bindOver(fd, target, address, type);
    bound = true;
    // The umask was taken off all the same.
    if (!isAbstract(address)) Deno.chmodSync(address, mode);
    check("listen", libc().listen(fd, backlog));
    return fd;
  } catch (error) {
    if (bound && !isAbstract(address)) Deno.removeSync(address);
    closeDescriptor(fd);
    throw error;
  }
}

function bindOver(fd: number, target: UnixAddress, address: string, type: number): void {
  if (libc().bind(fd, target.bytes, target.length) >= 0) return;
  const error = errno();
  if (error !== EADDRINUSE) throw cannotListen(address, error);
  if (isAbstract(address)) throw cannotListen(address, EADDRINUSE, "another process listens there");
  removeStale(target, address, type);
  if (libc().bind(fd, target.bytes, target.length) < 0) throw cannotListen(address, errno());
}

/** Returns if nothing is in the way any more. */
function removeStale(target: UnixAddress, address: string, type: number): void {
  try {
    if (!Deno.lstatSync(address).isSocket) {
      throw cannotListen(address, ENOTSOCK, "a file that is no socket is in the way");
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  const probe = openUnixSocket(type);
  const result = libc().connect(probe, target.bytes, target.length);
  const error = result < 0 ? errno() : 0;
  closeDescriptor(probe);
  if (error === ENOENT) return;
  // Any other answer, a full queue (EAGAIN) or another type of socket (EPROTOTYPE) included, comes from a live one.
  if (error !== ECONNREFUSED) {
    const why = error === EACCES || error === EPERM
      ? "a socket is there that this user may not ask whether it is in use"
      : "another process listens there";
    throw cannotListen(address, EADDRINUSE, why);
  }
  try {
    Deno.removeSync(address);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return;
    throw cannotListen(address, EACCES, "the file that a former process left there may not be removed");
  }
}

function lockFolder(address: string): number {
  const slash = address.lastIndexOf("/");
  const folder = slash < 0 ? "." : slash === 0 ? "/" : address.slice(0, slash);
  const fd = libc().open(cString(folder).bytes, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) throw cannotListen(address, errno());
  for (let waitedMs = 0; libc().flock(fd, LOCK_EX | LOCK_NB) < 0; waitedMs += LOCK_RETRY_MS) {
    const error = errno();
    if (error !== EAGAIN || waitedMs >= LOCK_PATIENCE_MS) {
      closeDescriptor(fd);
      const why = error === EAGAIN ? `another process holds a lock on ${folder}` : errnoText(error);
      throw cannotListen(address, error, why);
    }
    libc().poll(null, 0, LOCK_RETRY_MS);
  }
  return fd;
}

function cannotListen(address: string, error: number, why = errnoText(error)): SysError {
  return new SysError("bind", error, `Cannot listen on ${address}: ${why}`);
}

function fileIdentity(path: string): string {
  try {
    const { dev, ino } = Deno.lstatSync(path);
    return `${dev}:${ino}`;
  } catch {
    return "";
  }
}
