import type { Memory } from "../lib/buffer/memory.ts";

/**
 * Bytes that C is pointed at: an argument structure, an array of iovecs or events, a string.
 *
 * The bytes come from an ArrayBuffer of their own, since typed arrays of up to 64 bytes live on V8's heap and move.
 * `pointer` and `address` do not keep them alive, the object does: whoever hands them to the kernel owns the block and
 * uses it after the call.
 */
export class Block {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  readonly words: Uint32Array<ArrayBuffer>;
  /** Made once: a pointer object per call would be an allocation per call. */
  readonly pointer: Deno.PointerObject;
  readonly address: number;

  /** `size`: bytes; rounded up to a multiple of 8, at least 128. */
  constructor(size: number) {
    const buffer = new ArrayBuffer(Math.max(128, (size + 7) & ~7));
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.words = new Uint32Array(buffer);
    this.pointer = pointerTo(buffer);
    this.address = addressAt(this.pointer);
  }

  /** Writes the address of other bytes at `offset` (a multiple of 4); those must be kept alive by the caller. */
  setAddress(offset: number, address: number): void {
    // Two 32-bit halves: a typed array store wraps a double modulo 2^32 by itself, and a BigInt would be an allocation.
    this.words[offset >> 2] = address;
    this.words[(offset >> 2) + 1] = address / 4294967296;
  }

  /** The `length` bytes from `offset` on, up to the first zero byte, as text. */
  text(offset: number, length: number): string {
    const bytes = this.bytes.subarray(offset, offset + length);
    const end = bytes.indexOf(0);
    return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
  }
}

/** An array of `struct iovec { void *base; size_t length; }`. */
export class IoVectors extends Block {
  constructor(count: number) {
    super(count * 16);
  }

  /** Sets entry `index`; whatever lies at `address` must be owned by something used after the call. */
  set(index: number, address: number, length: number): void {
    const words = this.words;
    const at = index << 2;
    words[at] = address;
    words[at + 1] = address / 4294967296;
    words[at + 2] = length;
  }
}

/** A zero-terminated UTF-8 string in a block of its own. Throws `TypeError` if the text holds a zero byte. */
export function cString(text: string): Block {
  if (text.includes("\0")) {
    throw new TypeError("Cannot pass a string to C: it must not contain a zero byte");
  }
  const encoded = new TextEncoder().encode(text);
  const block = new Block(encoded.length + 1);
  block.bytes.set(encoded);
  return block;
}

let kept: unknown = null;

/**
 * Uses an object after the call that was given addresses inside it, so that it cannot be collected before. Where the
 * object is read after the call anyway this is not needed.
 */
export function keep(object: unknown): void {
  kept = object; // a store to a module variable is not optimised away, an unused argument could be
  if (kept === keep) kept = null;
}

/** Where the memory lies: asked of the runtime the first time, then remembered in `memory.address`. */
export function addressOf(memory: Memory): number {
  if (memory.address === 0) memory.address = addressAt(pointerTo(memory.bytes));
  return memory.address;
}

function pointerTo(source: BufferSource): Deno.PointerObject {
  const pointer = Deno.UnsafePointer.of(source);
  if (pointer === null) throw new RangeError("Cannot take the address of an empty buffer");
  return pointer;
}

/** User-space addresses are below 2^47, so a double holds them exactly. */
function addressAt(pointer: Deno.PointerObject): number {
  return Number(Deno.UnsafePointer.value(pointer));
}
