/** Time that passes only when a test says so: whole microseconds on a monotonic clock. */
export class VirtualClock {
  #now: number;

  /** Starts well above 0, so that a time of 0 left in some field shows as a mistake. */
  constructor(startUs = 1_000_000_000) {
    this.#now = startUs;
  }

  get now(): number {
    return this.#now;
  }

  advanceBy(us: number): void {
    this.advanceTo(this.#now + us);
  }

  /** Throws a RangeError for a time that has passed already, never comes or is no whole number. */
  advanceTo(timeUs: number): void {
    if (!(timeUs >= this.#now) || !Number.isInteger(timeUs)) {
      throw new RangeError(`Cannot advance the clock to ${timeUs}: current value is ${this.#now}`);
    }
    this.#now = timeUs;
  }
}
