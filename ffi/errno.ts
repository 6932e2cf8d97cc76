import { EAGAIN } from "../lib/errno.ts";
import * as stackErrnos from "../lib/errno.ts";

/** Numbers that system calls answer with and the stack never does (Linux, x86_64 and arm64). */
export const ESRCH = 3;
export const ENXIO = 6;
export const ENOEXEC = 8;
export const ENOTDIR = 20;
export const EISDIR = 21;
export const ENOTTY = 25;
export const EFBIG = 27;
export const ENOSPC = 28;
export const EROFS = 30;
export const ENAMETOOLONG = 36;
export const ENOSYS = 38;
export const ELOOP = 40;
export const EBADFD = 77;

const SYSTEM_ERRNOS: Record<string, number> = {
  ESRCH,
  ENXIO,
  ENOEXEC,
  ENOTDIR,
  EISDIR,
  ENOTTY,
  EFBIG,
  ENOSPC,
  EROFS,
  ENAMETOOLONG,
  ENOSYS,
  ELOOP,
  EBADFD,
};

/** What strerror(3) says; kept here so that a program without FFI permission can speak of errors too. */
const TEXTS: Record<string, string> = {
  EPERM: "Operation not permitted",
  ENOENT: "No such file or directory",
  ESRCH: "No such process",
  EINTR: "Interrupted system call",
  EIO: "Input/output error",
  ENXIO: "No such device or address",
  ENOEXEC: "Exec format error",
  EBADF: "Bad file descriptor",
  EAGAIN: "Resource temporarily unavailable",
  ENOMEM: "Cannot allocate memory",
  EACCES: "Permission denied",
  EFAULT: "Bad address",
  EBUSY: "Device or resource busy",
  EEXIST: "File exists",
  ENODEV: "No such device",
  ENOTDIR: "Not a directory",
  EISDIR: "Is a directory",
  EINVAL: "Invalid argument",
  ENFILE: "Too many open files in system",
  EMFILE: "Too many open files",
  ENOTTY: "Inappropriate ioctl for device",
  EFBIG: "File too large",
  ENOSPC: "No space left on device",
  EROFS: "Read-only file system",
  EPIPE: "Broken pipe",
  ENAMETOOLONG: "File name too long",
  ENOSYS: "Function not implemented",
  ELOOP: "Too many levels of symbolic links",
  EPROTO: "Protocol error",
  EBADFD: "File descriptor in bad state",
  ENOTSOCK: "Socket operation on non-socket",
  EDESTADDRREQ: "Destination address required",
  EMSGSIZE: "Message too long",
  EPROTOTYPE: "Protocol wrong type for socket",
  ENOPROTOOPT: "Protocol not available",
  EPROTONOSUPPORT: "Protocol not supported",
  EOPNOTSUPP: "Operation not supported",
  EAFNOSUPPORT: "Address family not supported by protocol",
  EADDRINUSE: "Address already in use",
  EADDRNOTAVAIL: "Cannot assign requested address",
  ENETDOWN: "Network is down",
  ENETUNREACH: "Network is unreachable",
  ECONNABORTED: "Software caused connection abort",
  ECONNRESET: "Connection reset by peer",
  ENOBUFS: "No buffer space available",
  EISCONN: "Transport endpoint is already connected",
  ENOTCONN: "Transport endpoint is not connected",
  ETIMEDOUT: "Connection timed out",
  ECONNREFUSED: "Connection refused",
  EHOSTDOWN: "Host is down",
  EHOSTUNREACH: "No route to host",
  EALREADY: "Operation already in progress",
  EINPROGRESS: "Operation now in progress",
};

const NAMES = new Map<number, string>();
for (const [name, number] of [...Object.entries(stackErrnos), ...Object.entries(SYSTEM_ERRNOS)]) {
  if (typeof number === "number" && !NAMES.has(number)) NAMES.set(number, name);
}

/** The symbolic name of a positive errno: 111 -> "ECONNREFUSED"; "E" and the number for one that is not listed. */
export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? `E${errno}`;
}

/** What the C library would say: 111 -> "Connection refused". */
export function errnoText(errno: number): string {
  return TEXTS[errnoName(errno)] ?? `Unknown error ${errno}`;
}

/** A system call that failed. `name` is the errno's name, so `${error}` reads "EBUSY: Cannot open TAP tap0: ...". */
export class SysError extends Error {
  /** The call that failed, as in its manual page: "bind". */
  readonly call: string;
  /** Positive. */
  readonly errno: number;

  constructor(call: string, errno: number, message = `Cannot ${call}: ${errnoText(errno)}`) {
    super(message);
    this.call = call;
    this.errno = errno;
    this.name = errnoName(errno);
  }
}

/** Whether a call answered "not now" (as `-errno`), which is no failure on a non-blocking descriptor. */
export function wouldBlock(result: number): boolean {
  return result === -EAGAIN;
}
