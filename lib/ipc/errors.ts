import * as errno from "../errno.ts";

/** No daemon answers on any of the paths tried. The message says how to start one. */
export class DaemonUnreachableError extends Error {
  override readonly name = "DaemonUnreachableError";
  readonly code = "ENETDOWN";

  constructor(readonly paths: readonly string[], why: string) {
    super(`No lvl-ip daemon answers at ${paths.join(" or ")} (${why}); start one with: lvl-ip daemon`);
  }
}

/** The errors of this module carry errno's name, e.g. "ECONNREFUSED". */
export type CodedError = Error & { code: string };

type ErrorClass = new (message: string) => Error;

interface Known {
  code: string;
  text: string;
  Class: ErrorClass;
}

const KNOWN = new Map<number, Known>();

function known(number: number, code: string, text: string, Class: ErrorClass): void {
  KNOWN.set(number, { code, text, Class });
}

const { errors } = Deno;
known(errno.EPERM, "EPERM", "operation not permitted", errors.PermissionDenied);
known(errno.ENOENT, "ENOENT", "not known", errors.NotFound);
known(errno.ESRCH, "ESRCH", "no such process", errors.NotFound);
known(errno.ENODEV, "ENODEV", "no such device", errors.NotFound);
known(errno.EBADF, "EBADF", "no such socket", errors.BadResource);
known(errno.EAGAIN, "EAGAIN", "resource temporarily unavailable", errors.WouldBlock);
known(errno.EACCES, "EACCES", "permission denied", errors.PermissionDenied);
known(errno.EEXIST, "EEXIST", "exists already", errors.AlreadyExists);
known(errno.EINVAL, "EINVAL", "invalid argument", TypeError);
known(errno.EMFILE, "EMFILE", "too many open sockets", Error);
known(errno.EPIPE, "EPIPE", "broken pipe", errors.BrokenPipe);
known(errno.EPROTO, "EPROTO", "the daemon speaks another version of the protocol", errors.InvalidData);
known(errno.EDESTADDRREQ, "EDESTADDRREQ", "destination address required", TypeError);
known(errno.EMSGSIZE, "EMSGSIZE", "message too long", RangeError);
known(errno.ENOPROTOOPT, "ENOPROTOOPT", "option not supported", errors.NotSupported);
known(errno.EOPNOTSUPP, "EOPNOTSUPP", "operation not supported", errors.NotSupported);
known(errno.EAFNOSUPPORT, "EAFNOSUPPORT", "address family not supported", errors.NotSupported);
known(errno.EADDRINUSE, "EADDRINUSE", "address already in use", errors.AddrInUse);
known(errno.EADDRNOTAVAIL, "EADDRNOTAVAIL", "address not available", errors.AddrNotAvailable);
known(errno.ENETDOWN, "ENETDOWN", "network is down", errors.NetworkUnreachable);
known(errno.ENETUNREACH, "ENETUNREACH", "network is unreachable", errors.NetworkUnreachable);
known(errno.ECONNABORTED, "ECONNABORTED", "connection aborted", errors.ConnectionAborted);
known(errno.ECONNRESET, "ECONNRESET", "connection reset by peer", errors.ConnectionReset);
known(errno.ENOBUFS, "ENOBUFS", "no buffer space available", Error);
known(errno.EISCONN, "EISCONN", "already connected", errors.AlreadyExists);
known(errno.ENOTCONN, "ENOTCONN", "not connected", errors.NotConnected);
known(errno.ETIMEDOUT, "ETIMEDOUT", "connection timed out", errors.TimedOut);
known(errno.ECONNREFUSED, "ECONNREFUSED", "connection refused", errors.ConnectionRefused);
known(errno.EHOSTDOWN, "EHOSTDOWN", "host is down", errors.NetworkUnreachable);
known(errno.EHOSTUNREACH, "EHOSTUNREACH", "no route to host", errors.NetworkUnreachable);

/** What errno number means, in words; "error 42" when it is not one of ours. */
export function errnoText(number: number): string {
  return KNOWN.get(number)?.text ?? `error ${number}`;
}

/** The Deno error for errno: its message says `what` failed and why, e.g. "Cannot connect to 1.2.3.4:80: ...". */
export function errnoError(number: number, what: string, why = errnoText(number)): CodedError {
  const entry = KNOWN.get(number);
  const Class = entry?.Class ?? Error;
  return Object.assign(new Class(`${what}: ${why}`), { code: entry?.code ?? `errno ${number}` });
}
