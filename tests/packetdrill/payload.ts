/**
 * What the scripts' connections carry. Scripts do not say which bytes are written; these depend on their place in the
 * stream, so that a byte in a wrong place is noticed.
 */

/** The byte at a place in a stream. */
function patternByte(position: number): number {
  return (Math.imul(position, 31) ^ (position >>> 8)) & 0xff;
}

/** Fills `length` bytes of `target` with the stream's bytes from `position` on. */
export function fillPattern(target: Uint8Array, length: number, position: number): void {
  for (let i = 0; i < length; i++) target[i] = patternByte(position + i);
}

/** Where the first byte is that is not the stream's, or -1. */
export function findMismatch(bytes: Uint8Array, length: number, position: number): number {
  for (let i = 0; i < length; i++) {
    if (bytes[i] !== patternByte(position + i)) return i;
  }
  return -1;
}
