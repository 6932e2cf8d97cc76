import { SysError } from "./errno.ts";

// C types as the foreign function interface names them.
const int = "i32";
const uint = "u32";
const clockid_t = "i32";
const mode_t = "u32";
const uid_t = "u32";
const gid_t = "u32";
const socklen_t = "u32";
/** An unsigned long in a call that is not on the data path. */
const ulong = "usize";
/** nfds_t, size_t and ssize_t are 64 bits wide, see below. */
const nfds_t = "u32";
const size_t = "u32";
const ssize_t = "i32";
/** A PointerObject made once, to memory that its owner keeps: the data path. */
const pointer = "pointer";
/** A typed array, which as an argument stays alive through the call by itself (3 ns more): everything else. */
const buffer = "buffer";

/**
 * The C library: every foreign function of the project, in one table.
 *
 * Lengths are `u32` and results `i32` where C has size_t and ssize_t: with `usize` the same call takes 270-600 ns
 * instead of 150-200. Lengths here are far below 2^31, and the upper half of the register is zero on both machines.
 */
const SYMBOLS = {
  // int *__errno_location(void)
  __errno_location: { parameters: [], result: pointer },
  // int open(const char *path, int flags, mode_t mode)
  open: { parameters: [buffer, int, mode_t], result: int },
  // int close(int fd)
  close: { parameters: [int], result: int },
  // ssize_t read(int fd, void *buffer, size_t length)
  read: { parameters: [int, pointer, size_t], result: ssize_t },
  // ssize_t write(int fd, const void *buffer, size_t length)
  write: { parameters: [int, pointer, size_t], result: ssize_t },
  // ssize_t readv(int fd, const struct iovec *vectors, int count)
  readv: { parameters: [int, pointer, int], result: ssize_t },
  // ssize_t writev(int fd, const struct iovec *vectors, int count)
  writev: { parameters: [int, pointer, int], result: ssize_t },
  // int fcntl(int fd, int command, int argument)
  fcntl: { parameters: [int, int, int], result: int },
  // The variadic argument of ioctl is a pointer or an unsigned long: one entry for each.
  // int ioctl(int fd, unsigned request, void *argument)
  ioctl: { parameters: [int, uint, buffer], result: int },
  // int ioctl(int fd, unsigned request, unsigned long argument)
  ioctl_value: { name: "ioctl", parameters: [int, uint, ulong], result: int },
  // int flock(int fd, int operation)
  flock: { parameters: [int, int], result: int },
  // int fchmod(int fd, mode_t mode)
  fchmod: { parameters: [int, mode_t], result: int },

  // int epoll_create1(int flags)
  epoll_create1: { parameters: [int], result: int },
  // int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
  epoll_ctl: { parameters: [int, int, int, buffer], result: int },
  // int epoll_wait(int epoll, struct epoll_event *events, int capacity, int timeout_ms)
  epoll_wait: { parameters: [int, pointer, int, int], result: int },
  // Linux 5.11 with glibc 2.35
  // int epoll_pwait2(int epoll, struct epoll_event *events, int capacity, const struct timespec *timeout, const sigset_t *mask)
  epoll_pwait2: { parameters: [int, pointer, int, pointer, pointer], result: int, optional: true },
  // int eventfd(unsigned initial, int flags)
  eventfd: { parameters: [uint, int], result: int },
  // int timerfd_create(clockid_t clock, int flags)
  timerfd_create: { parameters: [clockid_t, int], result: int },
  // int timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *old)
  timerfd_settime: { parameters: [int, int, buffer, buffer], result: int },
  // int clock_gettime(clockid_t clock, struct timespec *time)
  clock_gettime: { parameters: [clockid_t, pointer], result: int },
  // int poll(struct pollfd *entries, nfds_t count, int timeout_ms)
  poll: { parameters: [buffer, nfds_t, int], result: int },

  // int socket(int domain, int type, int protocol)
  socket: { parameters: [int, int, int], result: int },
  // int socketpair(int domain, int type, int protocol, int pair[2])
  socketpair: { parameters: [int, int, int, buffer], result: int },
  // int bind(int fd, const struct sockaddr *address, socklen_t length)
  bind: { parameters: [int, buffer, socklen_t], result: int },
  // int listen(int fd, int backlog)
  listen: { parameters: [int, int], result: int },
  // int connect(int fd, const struct sockaddr *address, socklen_t length)
  connect: { parameters: [int, buffer, socklen_t], result: int },
  // int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
  accept4: { parameters: [int, buffer, buffer, int], result: int },
  // int shutdown(int fd, int how)
  shutdown: { parameters: [int, int], result: int },
  // int getsockopt(int fd, int level, int name, void *value, socklen_t *length)
  getsockopt: { parameters: [int, int, int, buffer, buffer], result: int },
  // int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
  setsockopt: { parameters: [int, int, int, buffer, socklen_t], result: int },
  // ssize_t send(int fd, const void *buffer, size_t length, int flags)
  send: { parameters: [int, buffer, size_t, int], result: ssize_t },
  // ssize_t recv(int fd, void *buffer, size_t length, int flags)
  recv: { parameters: [int, buffer, size_t, int], result: ssize_t },
  // ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
  sendmsg: { parameters: [int, pointer, int], result: ssize_t },
  // ssize_t recvmsg(int fd, struct msghdr *message, int flags)
  recvmsg: { parameters: [int, pointer, int], result: ssize_t },

  // glibc only
  // int malloc_trim(size_t keep)
  malloc_trim: { parameters: [ulong], result: int, optional: true },

  // int prctl(int option, unsigned long, unsigned long, unsigned long, unsigned long)
  prctl: { parameters: [int, ulong, ulong, ulong, ulong], result: int },
  // int capset(cap_user_header_t *header, const cap_user_data_t *data)
  capset: { parameters: [buffer, buffer], result: int },
  // int setgroups(unsigned long count, const gid_t *list)
  setgroups: { parameters: [ulong, buffer], result: int },
  // int setresgid(gid_t real, gid_t effective, gid_t saved)
  setresgid: { parameters: [gid_t, gid_t, gid_t], result: int },
  // int setresuid(uid_t real, uid_t effective, uid_t saved)
  setresuid: { parameters: [uid_t, uid_t, uid_t], result: int },
  // sighandler_t signal(int signal, sighandler_t handler)
  signal: { parameters: [int, pointer], result: pointer },
  // int execve(const char *path, char *const argv[], char *const envp[])
  execve: { parameters: [buffer, buffer, buffer], result: int },
} as const satisfies Deno.ForeignLibraryInterface;

/** The functions of the table, callable. */
export type Libc = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

let symbols: Libc | null = null;
let errnoCell = new Int32Array(1);

/**
 * The C library, opened on first use, so that a program that never calls it needs no `--allow-ffi`.
 *
 * Throws the runtime's `NotCapable` without `--allow-ffi`, and `Error` where there is neither glibc nor musl.
 */
export function libc(): Libc {
  return symbols ?? openLibc();
}

function openLibc(): Libc {
  const arch = Deno.build.arch;
  const candidates = ["libc.so.6", `libc.musl-${arch}.so.1`, `/lib/ld-musl-${arch}.so.1`];
  const failures: string[] = [];
  for (const path of candidates) {
    try {
      symbols = Deno.dlopen(path, SYMBOLS).symbols;
      break;
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable) throw error;
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  if (symbols === null) throw new Error(`Cannot open the C library: ${failures.join("; ")}`);
  const location = symbols.__errno_location();
  if (location === null) throw new Error("Cannot find errno: __errno_location answered NULL");
  // errno is one cell a thread, and a module instance stays on its thread (main or Worker), so the cell's address is
  // asked for once: reading it is then 3 ns, and nothing runs between the failed call and the reading that could change
  // it. Through __errno_location and a pointer view each time it takes 34 ns.
  errnoCell = new Int32Array(Deno.UnsafePointerView.getArrayBuffer(location, 4));
  return symbols;
}

/** The errno of the call that has just failed in this thread; to be read before anything else is done. */
export function errno(): number {
  return errnoCell[0];
}

/** The result of a call in the stack's manner: itself if it is >= 0, else -errno. */
export function resultOf(result: number): number {
  return result < 0 ? -errnoCell[0] : result;
}

/** The result of a call that has no reason to fail; throws `SysError` if it did. */
export function check(call: string, result: number): number {
  if (result < 0) throw new SysError(call, errnoCell[0]);
  return result;
}

/** Flags of descriptors (Linux, x86_64 and arm64). */
export const O_RDONLY = 0;
export const O_RDWR = 2;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;
export const F_GETFD = 1;
export const F_SETFD = 2;
export const F_GETFL = 3;
export const F_SETFL = 4;
export const FD_CLOEXEC = 1;

/** Closes a descriptor; 0 or -errno (EBADF). */
export function closeDescriptor(fd: number): number {
  return resultOf(libc().close(fd));
}
