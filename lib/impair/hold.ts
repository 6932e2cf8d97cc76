import { flatten, Frame, FRAME_START } from "../buffer/frame.ts";

/** A copy of a frame that waits for its time. */
export class Held {
  readonly frame: Frame;
  /** When it is to leave. */
  dueUs = 0;
  /** Breaks ties: frames that are due at the same time leave in the order they came. */
  order = 0;

  constructor(size: number) {
    this.frame = new Frame(size);
  }
}

/** What a frame of the usual MTU takes; larger ones take a block for the largest. */
const SMALL = 2048;
const LARGE = 65536 + 256;

/** How much memory the frames held in one direction may take: 1 Gbit/s for a second. */
const HELD_LIMIT_BYTES = 128 * 1024 * 1024;

/** Copies `source` with all it says about itself into `target`, as one run of bytes. */
export function copyFrame(source: Frame, target: Frame): void {
  target.clear();
  target.length = flatten(source, target.memory.bytes, FRAME_START);
  target.checksumStart = source.checksumStart;
  target.checksumOffset = source.checksumOffset;
  target.gsoSize = source.gsoSize;
  target.isUdpSegmented = source.isUdpSegmented;
  target.checksumVerified = source.checksumVerified;
}

/** Gives and takes back the frames to copy into, so that a steady flow allocates nothing; bounded in bytes. */
export class HoldPool {
  #small: Held[] = [];
  #large: Held[] = [];
  #allocated = 0;

  /** A copy of `source`; null when the bound is reached. */
  copy(source: Frame): Held | null {
    const room = source.totalLength + FRAME_START;
    const size = room <= SMALL ? SMALL : LARGE;
    if (room > LARGE) return null;
    let held = (size === SMALL ? this.#small : this.#large).pop();
    if (held === undefined) {
      if (this.#allocated + size > HELD_LIMIT_BYTES) return null;
      this.#allocated += size;
      held = new Held(size);
    }
    copyFrame(source, held.frame);
    return held;
  }

  release(held: Held): void {
    (held.frame.memory.size === SMALL ? this.#small : this.#large).push(held);
  }
}

/** Held frames by the time they are due: a binary heap. */
export class HoldQueue {
  #heap: Held[] = [];
  #order = 0;

  get length(): number {
    return this.#heap.length;
  }

  /** When the first is due; Infinity when there is none. */
  get deadline(): number {
    return this.#heap.length > 0 ? this.#heap[0].dueUs : Infinity;
  }

  push(held: Held, dueUs: number): void {
    held.dueUs = dueUs;
    held.order = this.#order++;
    const heap = this.#heap;
    let at = heap.length;
    heap.push(held);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(held, heap[parent])) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = held;
  }

  /** The first, whether or not it is due; undefined when there is none. */
  peek(): Held | undefined {
    return this.#heap[0];
  }

  pop(): Held | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    const size = heap.length;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && isBefore(heap[child + 1], heap[child])) child++;
      if (!isBefore(heap[child], last)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(a: Held, b: Held): boolean {
  return a.dueUs < b.dueUs || (a.dueUs === b.dueUs && a.order < b.order);
}
