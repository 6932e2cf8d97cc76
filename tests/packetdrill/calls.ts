import type { SyscallSpec } from "./ast.ts";
import { accept, bind, close, connect, fcntl, listen, shutdown, socket, socketName } from "./calls_socket.ts";
import {
  ioctl,
  open,
  pipe,
  read,
  readv,
  recvmsg,
  sendfile,
  sendmsg,
  splice,
  write,
  writev,
} from "./calls_data.ts";
import { getsockopt, setsockopt } from "./calls_options.ts";
import { epollCreate, epollCtl, epollWait, poll } from "./calls_poll.ts";
import { Unsupported } from "./config.ts";
import { Arguments, type Kernel, type Operation } from "./operation.ts";
import { errnoName, ERRNOS } from "./symbols.ts";

const CALLS: Record<string, (args: Arguments) => Operation> = {
  socket,
  bind,
  listen,
  accept,
  accept4: accept,
  connect,
  close,
  shutdown,
  fcntl,
  getsockname: socketName,
  getpeername: socketName,
  read,
  recv: read,
  recvfrom: read,
  readv,
  recvmsg,
  write,
  send: write,
  sendto: write,
  writev,
  sendmsg,
  sendfile,
  splice,
  pipe,
  open,
  ioctl,
  setsockopt,
  getsockopt,
  poll,
  epoll_create: epollCreate,
  epoll_create1: epollCreate,
  epoll_ctl: epollCtl,
  epoll_wait: epollWait,
};

/** Begins a call of the script; it does nothing before its first attempt, except what cannot wait. */
export function beginCall(spec: SyscallSpec, kernel: Kernel): Operation {
  const begin = CALLS[spec.name];
  if (begin === undefined) throw new Unsupported(`the system call ${spec.name}`);
  return begin(new Arguments(spec, kernel));
}

/** Compares a call's result with the script's; returns what differs, or null. */
export function resultDifference(
  spec: SyscallSpec,
  kernel: Kernel,
  operation: Operation,
  result: number,
): string | null {
  if (spec.result.kind === "ellipsis") return null;
  const expected = new Arguments(spec, kernel).evaluate(spec.result);
  if (expected >= 0 && spec.error === "") {
    const same = operation.install === undefined ? result === expected : result >= 0;
    if (!same) return `expected ${expected}, got ${formatResult(result)}`;
    operation.install?.(result, expected);
    return operation.check?.(result) ?? null;
  }
  const errno = ERRNOS[spec.error];
  if (spec.error !== "" && errno === undefined) throw new Unsupported(`the errno ${spec.error}`);
  const same = result < 0 && (errno === undefined || result === -errno);
  return same ? null : `expected -1 ${spec.error}, got ${formatResult(result)}`;
}

function formatResult(result: number): string {
  return result < 0 ? `-1 ${errnoName(-result)}` : String(result);
}
