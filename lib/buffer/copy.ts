/**
 * Up to so many bytes are copied one by one: `set` needs a view of what it copies, 104 bytes of garbage and 54 ns, which a
 * loop over few bytes undercuts.
 */
const FEW = 64;

/** Copies `length` bytes of `from`, from `at` on, to `target` in `to`. */
export function copyBytes(
  from: Uint8Array,
  at: number,
  to: Uint8Array,
  target: number,
  length: number,
): void {
  if (length <= FEW) copyFew(from, at, to, target, length);
  else to.set(from.subarray(at, at + length), target);
}

function copyFew(from: Uint8Array, at: number, to: Uint8Array, target: number, length: number): void {
  for (let i = 0; i < length; i++) to[target + i] = from[at + i];
}

/** A view that was made before. */
class Part {
  whole: Uint8Array = new Uint8Array(0);
  start = 0;
  bytes: Uint8Array = this.whole;
}

/** As many as there are places that packets are copied from by turns. */
const parts = [new Part(), new Part(), new Part(), new Part()];
let oldest = 0;

/**
 * The same for what is copied from the same place again and again, and allocates nothing then: full segments lie in one
 * place of one frame, and a program sends from one buffer.
 */
export function copyAgain(
  from: Uint8Array,
  at: number,
  to: Uint8Array,
  target: number,
  length: number,
): void {
  if (length <= FEW) copyFew(from, at, to, target, length);
  else to.set(partOf(from, at, length), target);
}

function partOf(whole: Uint8Array, start: number, length: number): Uint8Array {
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i];
    if (part.whole === whole && part.start === start && part.bytes.length === length) return part.bytes;
  }
  const part = parts[oldest];
  oldest = (oldest + 1) % parts.length;
  part.whole = whole;
  part.start = start;
  return part.bytes = part.whole.subarray(start, start + length);
}
