import { EAGAIN } from "../lib/errno.ts";
import { check, closeDescriptor, errno, libc, O_CLOEXEC, O_NONBLOCK } from "./libc.ts";
import { SysError } from "./errno.ts";
import { Block } from "./memory.ts";

/**
 * Wakes a thread that sleeps in epoll: an eventfd, readable from `signal()` until `clear()`.
 *
 * The number `fd` is all that another Worker of the process needs: both sides make a `WakeUp` of it. Signals add up to
 * one wake-up; the message itself travels elsewhere, and is to be there before the signal.
 */
export class WakeUp {
  /** Readable while a signal is pending. */
  readonly fd: number;
  readonly #libc = libc();
  readonly #value = new Block(8);

  /** `fd`: an eventfd made by another `WakeUp`; without it a new one is made. Throws `SysError` (EMFILE, ENFILE). */
  constructor(fd?: number) {
    this.fd = fd ?? check("eventfd", libc().eventfd(0, O_NONBLOCK | O_CLOEXEC));
  }

  /** Wakes the sleeper, now or when it next sleeps. */
  signal(): void {
    this.#value.words[0] = 1;
    this.#value.words[1] = 0;
    const result = this.#libc.write(this.fd, this.#value.pointer, 8);
    // EAGAIN: the counter is at its end, hence not zero, hence the sleeper is awake.
    if (result < 0 && errno() !== EAGAIN) throw new SysError("write", errno());
  }

  /** Forgets the pending signals; answers whether there was one. To be called before looking for what was signalled. */
  clear(): boolean {
    const result = this.#libc.read(this.fd, this.#value.pointer, 8);
    if (result < 0 && errno() !== EAGAIN) throw new SysError("read", errno());
    return result > 0;
  }

  close(): void {
    closeDescriptor(this.fd);
  }
}
