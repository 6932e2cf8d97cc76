/** The longest that the loop looks for the next event before it sleeps, unless told otherwise; microseconds. */
export const BUSY_POLL_US = 50;

/** The window to begin with; it doubles. */
const FIRST_US = 10;
/** An event that comes later than so many of the longest windows is far from what looking could have caught. */
const SOON = 3;
/** The longest window was so often in vain, in a row: looking does not help here. */
const OFTEN_IN_VAIN = 8;
/** Short waits that are then slept through before it is tried again: twice as many after each attempt. */
const FIRST_REST = 16;
const LONGEST_REST = 1024;

/**
 * How long to look for the next event before sleeping. A thread that sleeps is woken up some 5 us late, or 50 where its
 * core has gone to sleep too; one that looks in vain burns its core. So the window follows what happens, as it does where
 * KVM polls for a halted guest (Linux's Documentation/virt/kvm/halt-polling.rst): it grows while events come soon after
 * the thread has gone to sleep, and closes with the first long wait. Beyond that, it closes for a while where events come
 * soon, but never soon enough, as 100 us apart.
 *
 * Between looks the core is not offered to others (sched_yield): Linux's EEVDF scheduler takes that for giving up the
 * rest of one's slice, and 64 flows went out at 23 Gbit/s instead of 42. Who waits for the core gets it by preemption.
 */
export class BusyPoll {
  #windowUs = 0;
  /** Longest windows in vain, in a row. */
  #inVain = 0;
  #rest = FIRST_REST;
  /** Short waits still to be slept through. */
  #resting = 0;

  /** `longestUs`: the longest window, microseconds; 0: it never looks. */
  constructor(readonly longestUs: number) {}

  /** How long to look before the next sleep, microseconds. */
  get windowUs(): number {
    return this.#windowUs;
  }

  /** A wait is over after `us` microseconds, looking and sleeping; `byEvent`: not because something was due. */
  waited(us: number, byEvent: boolean): void {
    if (us > SOON * this.longestUs) this.#windowUs = this.#inVain = 0;
    else if (byEvent) this.#eventCame(us);
  }

  #eventCame(us: number): void {
    if (us <= this.#windowUs) {
      this.#inVain = 0;
      this.#rest = FIRST_REST;
    } else if (this.#resting > 0) {
      this.#resting--;
    } else if (this.#windowUs < this.longestUs) {
      this.#windowUs = Math.min(this.longestUs, Math.max(FIRST_US, 2 * this.#windowUs));
    } else if (++this.#inVain === OFTEN_IN_VAIN) {
      this.#giveUp();
    }
  }

  #giveUp(): void {
    this.#windowUs = this.#inVain = 0;
    this.#resting = this.#rest;
    this.#rest = Math.min(LONGEST_REST, 2 * this.#rest);
  }
}
