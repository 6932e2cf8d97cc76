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
  /** The first `size` places; null behind them. An array that is emptied would give its places away, and make new ones. */
  private readonly heap: (T | null)[] = [];
  /** How many timers the heap holds, lapsed ones included. */
  private count = 0;

  get size(): number {
    return this.count;
  }

  /** Makes `timer` fire at `dueUs`, whatever it was set to; Infinity: not at all. */
  arm(timer: T, dueUs: number): void {
    // So short that it is compiled into its callers: a time that is passed on is an allocation.
    timer.dueUs = dueUs;
    this.place(timer);
  }

  /** Puts `timer` where its time wants it. */
  private place(timer: T): void {
    const { dueUs } = timer;
    if (timer.heapIndex < 0) {
      if (dueUs === Infinity) return;
      timer.heapKeyUs = dueUs;
      timer.heapIndex = this.count++;
      this.heap[timer.heapIndex] = timer;
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
    const last = this.heap[--this.count]!;
    this.heap[this.count] = null;
    if (last === timer) return;
    this.heap[index] = last;
    last.heapIndex = index;
    this.up(index);
    this.down(last.heapIndex);
  }

  /** When the first timer fires; Infinity when none is armed. */
  get deadline(): number {
    this.settle();
    return this.count === 0 ? Infinity : this.heap[0]!.heapKeyUs;
  }

  /** The next timer that is due by `now`, disarmed; null when there is none. */
  takeDue(now: number): T | null {
    this.settle();
    if (this.count === 0) return null;
    const first = this.heap[0]!;
    if (first.heapKeyUs > now) return null;
    this.remove(first);
    return first;
  }

  /** Mends the top until its key is true. */
  private settle(): void {
    while (this.count > 0) {
      const first = this.heap[0]!;
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
    const timer = heap[start]!;
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent]!;
      if (above.heapKeyUs <= timer.heapKeyUs) break;
      heap[index] = above;
      above.heapIndex = index;
      index = parent;
    }
    heap[index] = timer;
    timer.heapIndex = index;
  }

  private down(start: number): void {
    const heap = this.heap;
    const timer = heap[start]!;
    let index = start;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= this.count) break;
      if (child + 1 < this.count && heap[child + 1]!.heapKeyUs < heap[child]!.heapKeyUs) child++;
      const below = heap[child]!;
      if (below.heapKeyUs >= timer.heapKeyUs) break;
      heap[index] = below;
      below.heapIndex = index;
      index = child;
    }
    heap[index] = timer;
    timer.heapIndex = index;
  }
}
