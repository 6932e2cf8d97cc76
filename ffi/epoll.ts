import { EINTR } from "../lib/errno.ts";
import { monotonicUs } from "./clock.ts";
import { ENOSYS, SysError } from "./errno.ts";
import { check, closeDescriptor, errno, libc, O_CLOEXEC, O_NONBLOCK } from "./libc.ts";
import { Block } from "./memory.ts";

export const EPOLLIN = 0x1;
export const EPOLLPRI = 0x2;
export const EPOLLOUT = 0x4;
/** Reported whether asked for or not, as is EPOLLHUP. */
export const EPOLLERR = 0x8;
export const EPOLLHUP = 0x10;
export const EPOLLRDHUP = 0x2000;
export const EPOLLEXCLUSIVE = 1 << 28;
export const EPOLLONESHOT = 1 << 30;
export const EPOLLET = 1 << 31;

const PR_SET_TIMERSLACK = 29;
const CTL_ADD = 1;
const CTL_REMOVE = 2;
const CTL_MODIFY = 3;
const CLOCK_MONOTONIC = 1;

/** struct epoll_event { uint32 events; uint64 data }: packed on x86_64 only. Both in 32-bit words. */
const EVENT_WORDS = Deno.build.arch === "x86_64" ? 3 : 4;
const DATA_WORD = Deno.build.arch === "x86_64" ? 1 : 2;

/** Sleeps longer than this are cut into several (the kernel's 64-bit seconds are written as 32). */
const LONGEST_SLEEP_US = 1e6 * 1e9;

export interface EpollOptions {
  /** Events fetched by one `wait`; the others come with the next. Default 256. */
  capacity?: number;
  /** How short sleeps are timed; for tests. Default: `pwait2` where the kernel and the C library have it. */
  sleep?: "pwait2" | "timerfd";
}

/**
 * epoll(7), synchronous: `wait` blocks the whole thread, so it belongs into a Worker.
 *
 * Sleeps are as exact as the kernel's timers. epoll_wait counts whole milliseconds: rounded down it would busy-loop
 * through the last millisecond before a deadline, rounded up it would be late by as much (delayed ACKs, pacing and
 * impaired links have deadlines of tens of microseconds). So a finite sleep is epoll_pwait2, which takes nanoseconds and
 * is one system call; where it is missing (before Linux 5.11 or glibc 2.35) a timerfd in the same epoll is armed, which
 * is as exact and costs one call more. Measured: 20-30 us late, and with epoll_pwait2 the thread's timer slack on top,
 * which is 50 us unless `setTimerSlack` says otherwise.
 */
export class Epoll {
  readonly fd: number;
  readonly #libc = libc();
  readonly #capacity: number;
  readonly #events: Block;
  readonly #event = new Block(EVENT_WORDS * 4);
  /** struct timespec, or struct itimerspec with the interval zero. */
  readonly #timeout = new Block(32);
  #timerFd = -1;
  /** Set and not disarmed since: it may be, or become, readable. */
  #timerSet = false;
  #count = 0;

  /** Throws `SysError` (EMFILE, ENFILE). */
  constructor(options: EpollOptions = {}) {
    this.#capacity = options.capacity ?? 256;
    this.#events = new Block(this.#capacity * EVENT_WORDS * 4);
    this.fd = check("epoll_create1", this.#libc.epoll_create1(O_CLOEXEC));
    if (options.sleep === "timerfd" || this.#libc.epoll_pwait2 === null) this.#openTimer();
  }

  /**
   * Watches `fd` for `events` (EPOLLIN | ...). `data`, an int32, comes back with each event: an index of the caller's.
   * Throws `SysError` (EEXIST, EBADF, EPERM for a regular file).
   */
  add(fd: number, events: number, data = 0): void {
    this.#control(CTL_ADD, fd, events, data);
  }

  /** Watches `fd` for other events from now on. Throws `SysError` (ENOENT if it is not watched). */
  modify(fd: number, events: number, data = 0): void {
    this.#control(CTL_MODIFY, fd, events, data);
  }

  /**
   * Stops watching `fd`; to be called before the descriptor is closed. Its events among those already fetched lose their
   * mask, so that a new descriptor of the same number is not taken for it.
   */
  remove(fd: number): void {
    this.#control(CTL_REMOVE, fd, 0, 0);
    for (let i = 0; i < this.#count; i++) {
      if (this.eventFd(i) === fd) this.#events.words[i * EVENT_WORDS] = 0;
    }
  }

  /**
   * Sleeps until something is ready, at most `timeoutUs` microseconds (0 or less: does not sleep; Infinity: as long as
   * it takes). Returns the number of events; 0 means that the time is over, never that a signal came.
   */
  wait(timeoutUs: number): number {
    if (timeoutUs > 0 && timeoutUs !== Infinity) return this.#waitUntil(monotonicUs() + timeoutUs, timeoutUs);
    if (this.#timerSet) this.#armTimer(0);
    const timeoutMs = timeoutUs > 0 ? -1 : 0;
    for (;;) {
      const count = this.#libc.epoll_wait(this.fd, this.#events.pointer, this.#capacity, timeoutMs);
      if (count >= 0) return this.#count = count;
      if (errno() !== EINTR) throw this.#failed("epoll_wait");
    }
  }

  /** The descriptor of event `i` of the last `wait`. */
  eventFd(i: number): number {
    return this.#events.words[i * EVENT_WORDS + DATA_WORD];
  }

  /** What `add` or `modify` was given as `data`. */
  eventData(i: number): number {
    return this.#events.words[i * EVENT_WORDS + DATA_WORD + 1] | 0;
  }

  /** EPOLLIN | ... of event `i`; 0 if its descriptor was removed since. */
  eventMask(i: number): number {
    return this.#events.words[i * EVENT_WORDS];
  }

  close(): void {
    if (this.#timerFd >= 0) closeDescriptor(this.#timerFd);
    closeDescriptor(this.fd);
    this.#count = 0;
  }

  #waitUntil(deadline: number, timeoutUs: number): number {
    for (let left = timeoutUs; left > 0; left = deadline - monotonicUs()) {
      const sleep = Math.min(left, LONGEST_SLEEP_US);
      const count = this.#timerFd >= 0 ? this.#sleepByTimer(sleep) : this.#sleepByPwait2(sleep);
      if (count > 0) return count;
    }
    return this.#count = 0;
  }

  /** Returns the number of events; 0 if the time is over or a signal came. */
  #sleepByPwait2(sleepUs: number): number {
    const sleep = this.#libc.epoll_pwait2;
    if (sleep === null) throw this.#failed("epoll_pwait2");
    setTimespec(this.#timeout.words, 0, sleepUs);
    const count = sleep(this.fd, this.#events.pointer, this.#capacity, this.#timeout.pointer, null);
    if (count >= 0) return this.#count = count;
    if (errno() === ENOSYS) this.#openTimer(); // the library has it, the kernel has not
    else if (errno() !== EINTR) throw this.#failed("epoll_pwait2");
    return 0;
  }

  #sleepByTimer(sleepUs: number): number {
    this.#armTimer(sleepUs);
    const count = this.#libc.epoll_wait(this.fd, this.#events.pointer, this.#capacity, -1);
    if (count < 0) {
      if (errno() !== EINTR) throw this.#failed("epoll_wait");
      return 0;
    }
    return this.#count = this.#withoutTimer(count);
  }

  /** The timer's own event is nobody else's business: the last event takes its place. */
  #withoutTimer(count: number): number {
    const words = this.#events.words;
    for (let i = 0; i < count; i++) {
      if (this.eventFd(i) !== this.#timerFd) continue;
      words.copyWithin(i * EVENT_WORDS, (count - 1) * EVENT_WORDS, count * EVENT_WORDS);
      return count - 1;
    }
    return count;
  }

  #openTimer(): void {
    this.#timerFd = check(
      "timerfd_create",
      this.#libc.timerfd_create(CLOCK_MONOTONIC, O_NONBLOCK | O_CLOEXEC),
    );
    this.#control(CTL_ADD, this.#timerFd, EPOLLIN, 0);
  }

  /** 0 disarms. Arming also takes back an expiry that was not read, so the timer need never be read. */
  #armTimer(sleepUs: number): void {
    setTimespec(this.#timeout.words, 4, sleepUs);
    check("timerfd_settime", this.#libc.timerfd_settime(this.#timerFd, 0, this.#timeout.bytes, null));
    this.#timerSet = sleepUs > 0;
  }

  #control(operation: number, fd: number, events: number, data: number): void {
    const words = this.#event.words;
    words[0] = events;
    words[DATA_WORD] = fd;
    words[DATA_WORD + 1] = data;
    check("epoll_ctl", this.#libc.epoll_ctl(this.fd, operation, fd, this.#event.bytes));
  }

  #failed(call: string): SysError {
    return new SysError(call, errno());
  }
}

/** struct timespec at word `at`; a part of a microsecond is rounded up, so that no sleep ends before its deadline. */
function setTimespec(words: Uint32Array, at: number, us: number): void {
  const whole = Math.ceil(us);
  const seconds = Math.floor(whole / 1e6);
  words[at] = seconds;
  words[at + 2] = (whole - seconds * 1e6) * 1000;
}

/**
 * How much later than asked the kernel may end the calling thread's sleeps so as to gather wake-ups, in nanoseconds
 * (at least 1; 50,000 by default). For a Worker whose deadlines are short; other threads are not concerned.
 */
export function setTimerSlack(nanoseconds: number): void {
  check("prctl", libc().prctl(PR_SET_TIMERSLACK, BigInt(Math.max(1, Math.round(nanoseconds))), 0n, 0n, 0n));
}
