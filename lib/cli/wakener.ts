/** The clock of a command. */
export interface Timer {
  /** Milliseconds, monotonic. */
  nowMs(): number;
  /** Calls `action` after `ms` milliseconds, unless the function that is returned is called before. */
  after(ms: number, action: () => void): () => void;
}

/** A sleep that ends at a time, or earlier when something happens. */
export class Wakener {
  /** Something happened while nobody slept. */
  #pending = false;
  #wake: (() => void) | null = null;

  constructor(readonly timer: Timer) {}

  nowMs(): number {
    return this.timer.nowMs();
  }

  /** Ends the sleep, or the next one. */
  wake(): void {
    if (this.#wake === null) this.#pending = true;
    else this.#wake();
  }

  /** `deadlineMs`: Infinity: until woken. */
  async sleepUntil(deadlineMs: number): Promise<void> {
    if (this.#pending) {
      this.#pending = false;
      return;
    }
    let cancel = () => {};
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (deadlineMs < Infinity) cancel = this.timer.after(Math.max(0, deadlineMs - this.nowMs()), resolve);
    });
    this.#wake = null;
    cancel();
  }
}
