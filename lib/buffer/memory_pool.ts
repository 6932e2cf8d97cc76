import { Memory } from "./memory.ts";

const MIN_SHIFT = 11;
const MAX_SHIFT = 30;
/** Free bytes that are kept for reuse at most; more is left to the garbage collector. */
const MAX_FREE = 32 * 1024 * 1024;

/**
 * Memory blocks for the connections' ring buffers, reused by size: a block of a few megabytes costs more to allocate and
 * to clear than to fill. Blocks come back with their old contents.
 */
export class MemoryPool {
  /** Free blocks, by the power of two of their size. */
  readonly #free: Memory[][] = Array.from({ length: MAX_SHIFT + 1 }, () => []);
  readonly #maxFree: number;
  #allocated = 0;
  #freeBytes = 0;

  /** `maxFree`: bytes of free blocks kept for reuse at most. */
  constructor(maxFree = MAX_FREE) {
    this.#maxFree = maxFree;
  }

  /** Bytes of the blocks that are out: acquired and not released. */
  get allocated(): number {
    return this.#allocated;
  }

  /** Bytes of the free blocks kept for reuse. */
  get free(): number {
    return this.#freeBytes;
  }

  /**
   * A block of the power of two of at least `size` bytes, 2048 at least. Throws RangeError if `size` is not from 0 to
   * 2^30. Its contents are arbitrary.
   */
  acquire(size: number): Memory {
    const shift = shiftOf(size);
    const bytes = 1 << shift;
    this.#allocated += bytes;
    const memory = this.#free[shift].pop();
    if (memory === undefined) return new Memory(bytes);
    memory.isSpare = false;
    this.#freeBytes -= bytes;
    return memory;
  }

  /** Takes back a block that `acquire` gave. Throws RangeError if it was released already or cannot be from a pool. */
  release(memory: Memory): void {
    const bytes = memory.size;
    // It would give one block to two connections.
    if (memory.isSpare) throw new RangeError("Cannot release memory: it was released before");
    if (1 << shiftOf(bytes) !== bytes || bytes > this.#allocated) {
      throw new RangeError(`Cannot release memory: ${bytes} bytes are not of this pool`);
    }
    this.#allocated -= bytes;
    if (this.#freeBytes + bytes > this.#maxFree) return;
    this.#freeBytes += bytes;
    memory.isSpare = true;
    this.#free[shiftOf(bytes)].push(memory);
  }

  /** Lets go of all free blocks. */
  trim(): void {
    for (const list of this.#free) {
      for (const memory of list) memory.isSpare = false;
      list.length = 0;
    }
    this.#freeBytes = 0;
  }
}

/** The power of two of the block that holds `size` bytes. */
function shiftOf(size: number): number {
  if (!(size >= 0 && size <= 2 ** MAX_SHIFT)) {
    throw new RangeError(`Cannot acquire memory: size must be from 0 to 2^30: current value is ${size}`);
  }
  return size <= 1 << MIN_SHIFT ? MIN_SHIFT : 32 - Math.clz32(Math.ceil(size) - 1);
}
