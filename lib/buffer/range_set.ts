/** Ranges that are kept at most, unless told otherwise: a 64 MB window of which every other segment is missing. */
const DEFAULT_LIMIT = 16384;
const INITIAL_SIZE = 8;
const EMPTY = new Int32Array(0);

/**
 * Disjoint ranges [left, right) of sequence numbers in ascending order: what arrived out of order, or what the peer has
 * SACKed. Sequence numbers are int32 and may wrap; all those in the set at one time must span less than 2^31.
 */
export class RangeSet {
  readonly #limit: number;
  // Allocated with the first range: most connections never see one.
  #lefts: Int32Array = EMPTY;
  #rights: Int32Array = EMPTY;
  #count = 0;

  /**
   * `limit`: ranges kept at most, so that a peer sending single bytes with gaps cannot make the set large. A range that
   * would need one more is forgotten, which costs a retransmission and nothing else.
   */
  constructor(limit = DEFAULT_LIMIT) {
    this.#limit = limit;
  }

  /** How many ranges there are. */
  get count(): number {
    return this.#count;
  }

  /** The first sequence number of range `index`, an int32. */
  left(index: number): number {
    this.#check(index);
    return this.#lefts[index];
  }

  /** The sequence number after the last one of range `index`, an int32. */
  right(index: number): number {
    this.#check(index);
    return this.#rights[index];
  }

  /**
   * Adds [left, right), joined with every range it overlaps or touches. Returns the index of the range that holds it
   * now; -1 if it was empty (or `right` before `left`) or the limit is reached.
   */
  add(left: number, right: number): number {
    if (((right - left) | 0) <= 0) return -1;
    const lefts = this.#lefts;
    const rights = this.#rights;
    const count = this.#count;
    // [first, end) are the ranges that overlap or touch it.
    const first = this.#firstEndingAtOrAfter(left);
    let end = first;
    while (end < count && ((lefts[end] - right) | 0) <= 0) end++;
    if (end === first) return this.#insert(first, left, right);
    if (((lefts[first] - left) | 0) > 0) lefts[first] = left;
    const last = rights[end - 1];
    rights[first] = ((last - right) | 0) > 0 ? last : right;
    this.#remove(first + 1, end);
    return first;
  }

  /** The index of the first range that ends after `seq`, the only one that may hold it; `count` if there is none. */
  search(seq: number): number {
    return this.#firstEndingAtOrAfter((seq + 1) | 0);
  }

  /** Whether `seq` lies in one of the ranges. */
  contains(seq: number): boolean {
    const index = this.search(seq);
    return index < this.#count && ((this.#lefts[index] - seq) | 0) <= 0;
  }

  /** Forgets everything before `seq`. */
  removeBefore(seq: number): void {
    if (this.#count === 0) return;
    const end = this.search(seq);
    if (end < this.#count && ((this.#lefts[end] - seq) | 0) < 0) this.#lefts[end] = seq;
    this.#remove(0, end);
  }

  /** Forgets everything. */
  clear(): void {
    this.#count = 0;
  }

  /** The index of the first range whose right edge is not before `seq`; `count` if there is none. */
  #firstEndingAtOrAfter(seq: number): number {
    const rights = this.#rights;
    let low = 0;
    let high = this.#count;
    // Data mostly arrives behind everything that came before, or extends the last range.
    if (high > 0 && ((rights[high - 1] - seq) | 0) < 0) return high;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (((rights[middle] - seq) | 0) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #insert(index: number, left: number, right: number): number {
    const count = this.#count;
    if (count >= this.#limit) return -1;
    if (count === this.#lefts.length) this.#grow();
    this.#lefts.copyWithin(index + 1, index, count);
    this.#rights.copyWithin(index + 1, index, count);
    this.#lefts[index] = left;
    this.#rights[index] = right;
    this.#count = count + 1;
    return index;
  }

  /** Removes the ranges [first, end). */
  #remove(first: number, end: number): void {
    if (end <= first) return;
    this.#lefts.copyWithin(first, end, this.#count);
    this.#rights.copyWithin(first, end, this.#count);
    this.#count -= end - first;
  }

  #grow(): void {
    const size = Math.max(INITIAL_SIZE, this.#lefts.length * 2);
    const lefts = new Int32Array(size);
    const rights = new Int32Array(size);
    lefts.set(this.#lefts);
    rights.set(this.#rights);
    this.#lefts = lefts;
    this.#rights = rights;
  }

  #check(index: number): void {
    if (!(index >= 0 && index < this.#count)) {
      throw new RangeError(`Cannot read range ${index}: there are ${this.#count}`);
    }
  }
}

/** Stands for the set of a connection that never had a range: it takes none, so all may share it. */
export const NO_RANGES = new RangeSet(0);
