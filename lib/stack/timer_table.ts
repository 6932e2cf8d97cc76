/** Something that wants to be woken once at a time; the table's fields are the table's alone. */
export class Timer {
  /** When it is to fire, microseconds; Infinity: not armed. Set through `TimerTable.arm`. */
  dueUs = Infinity;
  /** Where the heap has it: never later than `dueUs` while it is in the heap. */
  heapKeyUs = Infinity;
  /** -1: not in the heap. */
  heapIndex = -1;
}

/**
 * The one next deadline over many timers: a binary heap that is mended lazily.
 *
 * A connection moves its retransmission timer later with every ACK. Such a move only writes `dueUs`; the heap keeps the
 * earlier key and is corrected when that key comes to the top. So the common move costs one comparison, a move to an
 * earlier time or a first arming O(log n), and idle timers nothing.
 */
export class TimerTable<T extends Timer> {
  private readonly heap: T[] = [];

  /** How many timers the heap holds, lapsed ones included. */
  get size(): number {
    return this.heap.length;
  }

  /** Makes `timer` fire at `dueUs`, whatever it was set to; Infinity: not at all. */
  arm(timer: T, dueUs: number): void {
    timer.dueUs = dueUs;
    if (timer.heapIndex < 0) {
      if (dueUs === Infinity) return;
      timer.heapKeyUs = dueUs;
      timer.heapIndex = this.heap.length;
      this.heap.push(timer);
      this.up(timer.heapIndex);
    } else if (dueUs < timer.heapKeyUs) {
      timer.heapKeyUs = dueUs;
      this.up(timer.heapIndex);
    }
  }

  /** Takes `timer` out at once, so that the table no longer refers to it. */
  remove(timer: T): void {
    timer.dueUs = Infinity;
    const index = timer.heapIndex;
    if (index < 0) return;
    timer.heapIndex = -1;
    timer.heapKeyUs = Infinity;
    const last = this.heap.pop()!;
    if (last === timer) return;
    this.heap[index] = last;
    last.heapIndex = index;
    this.up(index);
    this.down(last.heapIndex);
  }

  /** When the first timer fires; Infinity when none is armed. */
  get deadline(): number {
    this.settle();
    return this.heap.length === 0 ? Infinity : this.heap[0].heapKeyUs;
  }

  /** The next timer that is due by `now`, disarmed; null when there is none. */
  takeDue(now: number): T | null {
    this.settle();
    if (this.heap.length === 0) return null;
    const first = this.heap[0];
    if (first.heapKeyUs > now) return null;
    this.remove(first);
    return first;
  }

  /** Mends the top until its key is true. */
  private settle(): void {
    while (this.heap.length > 0) {
      const first = this.heap[0];
      if (first.dueUs === first.heapKeyUs) return;
      if (first.dueUs === Infinity) {
        this.remove(first);
      } else {
        first.heapKeyUs = first.dueUs;
        this.down(0);
      }
    }
  }

  private up(start: number): void {
    const heap = this.heap;
    const timer = heap[start];
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (heap[parent].heapKeyUs <= timer.heapKeyUs) break;
      heap[index] = heap[parent];
      heap[index].heapIndex = index;
      index = parent;
    }
    heap[index] = timer;
    timer.heapIndex = index;
  }

  private down(start: number): void {
    const heap = this.heap;
    const timer = heap[start];
    let index = start;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1].heapKeyUs < heap[child].heapKeyUs) child++;
      if (heap[child].heapKeyUs >= timer.heapKeyUs) break;
      heap[index] = heap[child];
      heap[index].heapIndex = index;
      index = child;
    }
    heap[index] = timer;
    timer.heapIndex = index;
  }
}
