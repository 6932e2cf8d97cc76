/**
 * A link of a given rate with a tail-drop queue before it. It holds no frames, only when each will have left: frames
 * leave in the order they came, so that time is known at once.
 */
export class Bottleneck {
  readonly #bitsPerSecond: number;
  readonly #maxPackets: number;
  readonly #maxBytes: number;
  /** When the last accepted frame will have left; not rounded, or many small frames would miss the rate. */
  #busyUntil = 0;
  /** Departures to come, oldest first: a ring whose size is a power of two. */
  #departures = new Float64Array(64);
  #lengths = new Uint32Array(64);
  #head = 0;
  #packets = 0;
  #bytes = 0;

  constructor(bitsPerSecond: number, maxPackets: number, maxBytes: number) {
    this.#bitsPerSecond = bitsPerSecond;
    this.#maxPackets = maxPackets;
    this.#maxBytes = maxBytes;
  }

  /** How long a frame of `length` bytes occupies the link, microseconds. */
  transmissionUs(length: number): number {
    return length * 8 * 1e6 / this.#bitsPerSecond;
  }

  /**
   * When a frame of `length` bytes that comes at `now` will have left, in whole microseconds; -1 when the queue is full:
   * it is dropped.
   */
  pass(length: number, now: number): number {
    this.#depart(now);
    if (this.#packets + 1 > this.#maxPackets) return -1;
    // A single frame larger than the whole queue still gets through an idle link.
    if (this.#packets > 0 && this.#bytes + length > this.#maxBytes) return -1;
    this.#busyUntil = Math.max(now, this.#busyUntil) + this.transmissionUs(length);
    this.#append(this.#busyUntil, length);
    return Math.ceil(this.#busyUntil);
  }

  #depart(now: number): void {
    const mask = this.#departures.length - 1;
    while (this.#packets > 0 && this.#departures[this.#head] <= now) {
      this.#bytes -= this.#lengths[this.#head];
      this.#head = (this.#head + 1) & mask;
      this.#packets--;
    }
  }

  #append(departure: number, length: number): void {
    if (this.#packets === this.#departures.length) this.#grow();
    const at = (this.#head + this.#packets) & (this.#departures.length - 1);
    this.#departures[at] = departure;
    this.#lengths[at] = length;
    this.#packets++;
    this.#bytes += length;
  }

  #grow(): void {
    const size = this.#departures.length;
    const departures = new Float64Array(size * 2);
    const lengths = new Uint32Array(size * 2);
    for (let i = 0; i < size; i++) {
      departures[i] = this.#departures[(this.#head + i) & (size - 1)];
      lengths[i] = this.#lengths[(this.#head + i) & (size - 1)];
    }
    this.#departures = departures;
    this.#lengths = lengths;
    this.#head = 0;
  }
}
