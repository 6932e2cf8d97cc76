import { copyAgain, copyBytes } from "./copy.ts";
import type { Memory, Slices } from "./memory.ts";
import type { MemoryPool } from "./memory_pool.ts";

/**
 * How much of its usual size a ring remembers from one time that it was empty to the next: a transfer in bursts of all
 * sizes does not grow its block, and copy it, in each of them (up to 9 % of the time of a bulk transfer).
 */
const FADING = 0.9;

/**
 * A queue of bytes in one memory block of the pool that doubles as needed; without bytes it can hold no block at all.
 *
 * Positions count from the head, the oldest byte held. `length` bytes from the head on are held; behind them bytes that
 * arrived out of order may be placed in advance with `writeAt`, until `advance` makes them part of what is held. Slices
 * are valid until the next call that writes, reserves or releases, since the block may be replaced by a larger one.
 * Ranges outside what is held, and outside the caller's arrays, throw RangeError.
 */
export class RingBuffer {
  readonly #pool: MemoryPool;
  #memory: Memory | null = null;
  /** Index of the head in the block. */
  #head = 0;
  #length = 0;
  /** Bytes from the head to behind the last byte ever placed: at least `length`. */
  #extent = 0;
  /** The largest size asked for since it held nothing; and that of the times before, fading: the next block's. */
  #largest = 0;
  #usual = 0;

  constructor(pool: MemoryPool) {
    this.#pool = pool;
  }

  /** Bytes held. */
  get length(): number {
    return this.#length;
  }

  /** Bytes of the block, a power of two; 0 without one. */
  get capacity(): number {
    return this.#memory === null ? 0 : this.#memory.size;
  }

  /** Appends `length` bytes of `bytes` from `offset` on, growing as needed. */
  write(bytes: Uint8Array, offset: number, length: number): void {
    this.writeAt(this.#length, bytes, offset, length);
    this.#length += length;
  }

  /** Places bytes `position` bytes behind the head without changing `length`, growing as needed. */
  writeAt(position: number, bytes: Uint8Array, offset: number, length: number): void {
    checkRange("write", offset, length, bytes.length);
    checkRange("write at", position, length, Number.MAX_SAFE_INTEGER);
    if (length === 0) return;
    const memory = this.#ensure(position + length);
    const start = (this.#head + position) & (memory.size - 1);
    const first = Math.min(length, memory.size - start);
    copyAgain(bytes, offset, memory.bytes, start, first);
    if (first < length) copyAgain(bytes, offset + first, memory.bytes, 0, length - first);
    if (position + length > this.#extent) this.#extent = position + length;
  }

  /** Makes `n` more bytes held that were placed by `writeAt` or into a reservation. */
  advance(n: number): void {
    checkRange("advance", this.#length, n, this.capacity);
    this.#length += n;
    if (this.#length > this.#extent) this.#extent = this.#length;
  }

  /** Moves up to `length` bytes from the head into `target`; returns how many, the smaller of `length` and what is held. */
  read(target: Uint8Array, offset: number, length: number): number {
    checkRange("read into", offset, length, target.length);
    const n = Math.min(length, this.#length);
    this.copyOut(0, target, offset, n);
    this.consume(n);
    return n;
  }

  /** Copies `length` held bytes, `position` bytes behind the head, into `target`. */
  copyOut(position: number, target: Uint8Array, offset: number, length: number): void {
    checkRange("copy", position, length, this.#length);
    checkRange("copy into", offset, length, target.length);
    const memory = this.#memory;
    if (length === 0 || memory === null) return;
    const start = (this.#head + position) & (memory.size - 1);
    const first = Math.min(length, memory.size - start);
    copyBytes(memory.bytes, start, target, offset, first);
    if (first < length) copyBytes(memory.bytes, 0, target, offset + first, length - first);
  }

  /** Lets go of the `n` oldest bytes. The block stays, see `release` and `releaseIfEmpty`. */
  consume(n: number): void {
    checkRange("consume", 0, n, this.#length);
    if (n === 0) return;
    this.#length -= n;
    this.#extent -= n;
    this.#head = (this.#head + n) & (this.capacity - 1);
    if (this.#extent === 0) {
      this.#usual = Math.max(this.#largest, Math.floor(this.#usual * FADING));
      this.#largest = 0;
    }
  }

  /** Sets `out` to the pieces of `length` held bytes, `position` bytes behind the head. Nothing is copied. */
  slices(position: number, length: number, out: Slices): void {
    checkRange("slice", position, length, this.#length);
    this.#pieces(position, length, out);
  }

  /**
   * Makes room for `n` bytes behind those held, and behind `filled` more that were reserved before, and sets `out` to it;
   * fill it, then `advance` by what was filled.
   */
  reserve(n: number, out: Slices, filled = 0): void {
    checkRange("reserve", filled, n, Number.MAX_SAFE_INTEGER);
    const position = this.#length + filled;
    if (n > 0) this.#ensure(position + n, Math.max(this.#extent, position));
    this.#pieces(position, n, out);
  }

  /** Gives the block back to the pool; whatever it held is gone. */
  release(): void {
    if (this.#memory !== null) this.#pool.release(this.#memory);
    this.#memory = null;
    this.#head = this.#length = this.#extent = 0;
  }

  /** Gives the block back if it holds nothing, neither in order nor out of order. */
  releaseIfEmpty(): void {
    if (this.#extent === 0) this.release();
  }

  #pieces(position: number, length: number, out: Slices): void {
    const memory = this.#memory;
    if (memory === null || length === 0) {
      out.clear();
      return;
    }
    const start = (this.#head + position) & (memory.size - 1);
    const first = Math.min(length, memory.size - start);
    out.memory = memory;
    out.offset1 = start;
    out.length1 = first;
    out.offset2 = 0;
    out.length2 = length - first;
  }

  /** A block of at least `size` bytes. Growing keeps the first `kept`, those placed out of order too, and moves the head to 0. */
  #ensure(size: number, kept = this.#extent): Memory {
    const old = this.#memory;
    if (size > this.#largest) this.#largest = size;
    if (old !== null && size <= old.size) {
      // Empty: start over at the front, where a range is one piece more often.
      if (kept === 0) this.#head = 0;
      return old;
    }
    // A transfer that empties the ring again and again does not make it grow each time.
    const memory = this.#pool.acquire(old === null ? Math.max(size, this.#usual) : size);
    if (old !== null) {
      const first = Math.min(kept, old.size - this.#head);
      copyBytes(old.bytes, this.#head, memory.bytes, 0, first);
      copyBytes(old.bytes, 0, memory.bytes, first, kept - first);
      this.#pool.release(old);
    }
    this.#head = 0;
    this.#memory = memory;
    return memory;
  }
}

/** Throws unless start and length are integers from 0 on with start + length <= limit. */
function checkRange(verb: string, start: number, length: number, limit: number): void {
  if (
    Number.isSafeInteger(start) && Number.isSafeInteger(length) && start >= 0 && length >= 0 &&
    length <= limit - start
  ) {
    return;
  }
  throw new RangeError(
    `Cannot ${verb} ${length} bytes at ${start}: the range must lie within 0 and ${limit}`,
  );
}
