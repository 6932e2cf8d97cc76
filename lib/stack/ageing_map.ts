import type { IpAddress } from "../wire/address.ts";

/** What is believed of single destinations for a while, in bounded memory: the oldest belief goes first. */
export class AgeingMap<T> {
  /** When `advance` is due; Infinity: never. */
  deadline = Infinity;
  /** In the order in which they expire. */
  private readonly entries = new Map<IpAddress, { value: T; expiresAtUs: number }>();

  /** `lifetimeUs`: how long an entry stays after it was set, microseconds. */
  constructor(private readonly lifetimeUs: number, private readonly maxEntries: number) {}

  get size(): number {
    return this.entries.size;
  }

  get(destination: IpAddress): T | undefined {
    return this.entries.get(destination)?.value;
  }

  set(destination: IpAddress, value: T, now: number): void {
    this.entries.delete(destination);
    if (this.entries.size >= this.maxEntries) {
      const [oldest] = this.entries.keys();
      this.entries.delete(oldest);
    }
    this.entries.set(destination, { value, expiresAtUs: now + this.lifetimeUs });
    this.findDeadline();
  }

  /** Forgets all that `condition` holds for; true if there was any. */
  removeIf(condition: (value: T) => boolean): boolean {
    const before = this.entries.size;
    for (const [destination, { value }] of this.entries) {
      if (condition(value)) this.entries.delete(destination);
    }
    this.findDeadline();
    return this.entries.size < before;
  }

  /** Forgets what is too old; true if there was any. */
  advance(now: number): boolean {
    if (now < this.deadline) return false;
    for (const [destination, { expiresAtUs }] of this.entries) {
      if (expiresAtUs > now) break;
      this.entries.delete(destination);
    }
    this.findDeadline();
    return true;
  }

  *values(): IterableIterator<T> {
    for (const { value } of this.entries.values()) yield value;
  }

  private findDeadline(): void {
    this.deadline = Infinity;
    for (const { expiresAtUs } of this.entries.values()) {
      this.deadline = expiresAtUs;
      return;
    }
  }
}
