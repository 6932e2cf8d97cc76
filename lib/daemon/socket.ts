import { SysError } from "../../ffi/errno.ts";
import { listenUnix, UnixListener } from "../../ffi/unix_listener.ts";
import { CommandError } from "../cli/errors.ts";
import { EACCES, EADDRINUSE, ENOENT, EPERM } from "../errno.ts";
import { socketPaths } from "../ipc/paths.ts";

/**
 * Anyone may connect to the path, and the daemon decides by the peer's credentials: servers that change their user
 * after start, as nginx's workers do, must go on working.
 */
const MODE = 0o666;
const FOLDER_MODE = 0o755;

/** The daemon's listening sockets, and what is to be tidied up with them. */
export class DaemonSocket {
  constructor(
    /** The one with a path. */
    readonly listener: UnixListener,
    /** The same under an abstract name, for programs that chroot; null if somebody else has the name. */
    readonly abstract: UnixListener | null,
    readonly madeFolder: boolean,
  ) {}

  get path(): string {
    return this.listener.address;
  }

  get descriptors(): number[] {
    return this.abstract === null ? [this.listener.fd] : [this.listener.fd, this.abstract.fd];
  }

  /** Removes the file, and the folder if it was made for it and is empty. */
  close(): void {
    this.listener.close();
    this.abstract?.close();
    if (!this.madeFolder) return;
    try {
      Deno.removeSync(folderOf(this.path));
    } catch {
      // Another daemon's socket is in it by now.
    }
  }
}

/** What a second start of this program needs to take the sockets over. */
export interface SocketState {
  path: string;
  madeFolder: boolean;
}

/** Takes sockets over that an earlier start of this program bound. */
export function inheritSocket(state: SocketState, fd: number, abstractFd: number | undefined): DaemonSocket {
  const { path, madeFolder } = state;
  const abstract = abstractFd === undefined ? null : new UnixListener(abstractFd, abstractName(path));
  return new DaemonSocket(new UnixListener(fd, path), abstract, madeFolder);
}

/** The abstract name that belongs to a path: who knows one knows the other. */
export function abstractName(path: string): string {
  return `@${path}`;
}

function listenAbstract(path: string): UnixListener | null {
  try {
    return listenUnix(abstractName(path));
  } catch (error) {
    // Taken in this network namespace, or too long: the path is what counts.
    if (error instanceof SysError) return null;
    throw error;
  }
}

/** Listens at the first of the usual paths that can be had, or at `explicit` alone. Throws `CommandError`. */
export function bindSocket(explicit?: string): DaemonSocket {
  const paths = socketPaths(explicit);
  const failures: string[] = [];
  for (const path of paths) {
    try {
      const madeFolder = makeFolder(folderOf(path), explicit !== undefined);
      try {
        return new DaemonSocket(listenUnix(path, { mode: MODE }), listenAbstract(path), madeFolder);
      } catch (error) {
        if (madeFolder) Deno.removeSync(folderOf(path));
        throw error;
      }
    } catch (error) {
      if (!isForbidden(error)) throw explain(error, path);
      failures.push(path);
    }
  }
  throw new CommandError(
    `Cannot make a socket at ${failures.join(" or ")}: this user may not`,
    "name a folder of your own: lvl-ip daemon --socket $HOME/lvl-ip.sock",
  );
}

/** The folder of the first of the usual paths, made if need be. */
export function usualFolder(): string {
  const folder = folderOf(socketPaths()[0]);
  makeFolder(folder, false);
  return folder;
}

export function folderOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "." : slash === 0 ? "/" : path.slice(0, slash);
}

/** True if it was made: only the usual places are, a folder that was asked for must be there. */
function makeFolder(folder: string, explicit: boolean): boolean {
  if (explicit) return false;
  try {
    Deno.mkdirSync(folder, { mode: FOLDER_MODE });
    // The umask was taken off; other users must get through.
    Deno.chmodSync(folder, FOLDER_MODE);
    return true;
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    // One that a daemon of another user left: root without capabilities could not remove a socket from it.
    if (Deno.uid() === 0) Deno.chownSync(folder, 0, 0);
    return false;
  }
}

function isForbidden(error: unknown): boolean {
  if (error instanceof SysError) return error.errno === EACCES || error.errno === EPERM;
  return error instanceof Deno.errors.PermissionDenied;
}

function explain(error: unknown, path: string): unknown {
  if (error instanceof Deno.errors.NotFound) {
    return new CommandError(
      `Cannot listen on ${path}: its folder cannot be made`,
      `mkdir -p ${folderOf(path)}`,
    );
  }
  if (!(error instanceof SysError)) return error;
  if (error.errno === EADDRINUSE) {
    return new CommandError(
      `${error.message}, most likely another lvl-ip daemon`,
      "stop that one, or choose another socket and TAP: lvl-ip daemon --socket PATH --tap tap1",
    );
  }
  if (error.errno === ENOENT) return new CommandError(error.message, `mkdir -p ${folderOf(path)}`);
  return new CommandError(error.message);
}
