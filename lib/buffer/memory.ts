/**
 * A block of off-heap bytes that the kernel may be pointed at.
 *
 * The block comes from `new ArrayBuffer`, so it does not move; `address` is filled in by the FFI layer the first time
 * the block is handed to the kernel (addresses fit a double exactly) and stays valid for as long as this object lives.
 */
export class Memory {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  /** The same bytes as 32-bit words, for the checksum. */
  readonly words: Uint32Array<ArrayBuffer>;
  /** The address of the first byte; 0 until the FFI layer has asked for it. */
  address = 0;
  /** Its pool has it: nobody holds it. The pool's alone. */
  isSpare = false;

  /** `size`: bytes, a multiple of 4 of at least 128 (smaller typed arrays live on the V8 heap and move). */
  constructor(size: number) {
    if (size < 128 || size % 4 !== 0) {
      throw new RangeError(
        `Cannot allocate memory: size must be a multiple of 4 of at least 128: current value is ${size}`,
      );
    }
    const buffer = new ArrayBuffer(size);
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.words = new Uint32Array(buffer);
  }

  get size(): number {
    return this.bytes.length;
  }
}

/** Up to two pieces of one memory block: what a range of a ring buffer is. Reused, never allocated per packet. */
export class Slices {
  memory: Memory | null = null;
  offset1 = 0;
  length1 = 0;
  offset2 = 0;
  length2 = 0;

  get length(): number {
    return this.length1 + this.length2;
  }

  clear(): void {
    this.memory = null;
    this.offset1 =
      this.length1 =
      this.offset2 =
      this.length2 =
        0;
  }
}
