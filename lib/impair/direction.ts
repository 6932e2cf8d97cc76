import { type Frame, FRAME_START } from "../buffer/frame.ts";
import { Bottleneck } from "./bottleneck.ts";
import { type Held, HoldPool, HoldQueue } from "./hold.ts";
import type { Random } from "./random.ts";
import { type DirectionSpec, isImpaired } from "./spec.ts";

/** What became of the frames of one direction. */
export interface ImpairCounters {
  /** Frames that went on, duplicates among them. */
  passed: number;
  lost: number;
  /** Extra copies made. */
  duplicated: number;
  /** Frames that were picked to leave out of order. */
  reordered: number;
  /** Frames with a bit flipped. */
  corrupted: number;
  /** Frames dropped because the queue (or the memory to hold frames) was full. */
  queueDropped: number;
}

/** Without a delay to skip, this many frames overtake one that is reordered ... */
const OVERTAKEN_BY = 3;
/** ... and it waits no longer than this for them, beside what the bottleneck takes to pass them. */
const OVERTAKEN_LIMIT_US = 1000;

/**
 * One direction's impairments. A frame `enter`s; either it goes on at once, or it is lost, or copies of it are held
 * until they are `due`. On its way it meets, in this order: duplication, loss, corruption, the bottleneck, the delay.
 */
export class Direction {
  readonly active: boolean;
  readonly counters: ImpairCounters = {
    passed: 0,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    corrupted: 0,
    queueDropped: 0,
  };
  readonly #spec: DirectionSpec;
  readonly #random: Random;
  readonly #pool = new HoldPool();
  readonly #bottleneck: Bottleneck | null;
  readonly #delays: boolean;
  readonly #queue = new HoldQueue();
  /** Bytes in #queue, for a `queue` in bytes without a rate. */
  #queuedBytes = 0;
  /** When the last frame that kept its place leaves: jitter does not make one overtake another. */
  #lastDueUs = 0;
  /** Frames that wait to be overtaken, oldest first, each with the value of `passed` that lets it go. */
  readonly #overtaken: { held: Held; atPassed: number }[] = [];

  constructor(spec: DirectionSpec, random: Random) {
    this.#spec = spec;
    this.#random = random;
    this.active = isImpaired(spec);
    this.#delays = spec.delayUs > 0 || spec.jitterUs > 0;
    this.#bottleneck = spec.rateBits > 0
      ? new Bottleneck(spec.rateBits, spec.queuePackets, spec.queueBytes)
      : null;
  }

  /** When the next held frame is due; Infinity when none is held. */
  get deadline(): number {
    const overtaken = this.#overtaken[0];
    if (overtaken === undefined) return this.#queue.deadline;
    if (overtaken.atPassed <= this.counters.passed) return 0;
    return Math.min(this.#queue.deadline, overtaken.held.dueUs);
  }

  /** True: `frame` itself goes on now and the caller passes it on. False: it was lost, or copies of it are held. */
  enter(frame: Frame, now: number): boolean {
    const copies = this.#random.chance(this.#spec.duplicate) ? 2 : 1;
    this.counters.duplicated += copies - 1;
    let passes = false;
    for (let copy = 0; copy < copies; copy++) {
      // Only the last may go as it is: its copy must not be overtaken by it.
      if (this.#enterOne(frame, now, copy === copies - 1)) passes = true;
    }
    return passes;
  }

  #enterOne(frame: Frame, now: number, mayPass: boolean): boolean {
    const { counters } = this;
    const spec = this.#spec;
    if (this.#random.chance(spec.loss)) {
      counters.lost++;
      return false;
    }
    const corrupt = this.#random.chance(spec.corrupt);
    const departs = this.#admit(frame.totalLength, now);
    if (departs < 0) {
      counters.queueDropped++;
      return false;
    }
    const reorder = this.#random.chance(spec.reorder);
    const alone = this.#queue.length === 0 && departs <= now && !this.#delays;
    if (mayPass && alone && !corrupt && !reorder) {
      counters.passed++;
      return true;
    }
    const held = this.#pool.copy(frame);
    if (held === null) {
      counters.queueDropped++;
      return false;
    }
    if (corrupt) this.#corrupt(held.frame);
    if (reorder) counters.reordered++;
    this.#hold(held, departs, reorder);
    return false;
  }

  /** When the frame leaves the bottleneck (now, if there is none); -1: no room. */
  #admit(length: number, now: number): number {
    if (this.#bottleneck !== null) return this.#bottleneck.pass(length, now);
    const { queuePackets, queueBytes } = this.#spec;
    if (this.#queue.length === 0) return now;
    return this.#queue.length >= queuePackets || this.#queuedBytes + length > queueBytes ? -1 : now;
  }

  #hold(held: Held, departs: number, reorder: boolean): void {
    if (reorder && !this.#delays) {
      const passing = this.#bottleneck?.transmissionUs(held.frame.length) ?? 0;
      held.dueUs = departs + OVERTAKEN_LIMIT_US + Math.ceil(OVERTAKEN_BY * passing);
      this.#overtaken.push({ held, atPassed: this.counters.passed + this.#queue.length + OVERTAKEN_BY });
      return;
    }
    let due = departs;
    if (!reorder) {
      due = Math.max(this.#lastDueUs, departs + this.#delay());
      this.#lastDueUs = due;
    }
    this.#queue.push(held, due);
    this.#queuedBytes += held.frame.length;
  }

  #delay(): number {
    const { delayUs, jitterUs } = this.#spec;
    if (jitterUs === 0) return delayUs;
    return Math.max(0, Math.round(delayUs + (this.#random.fraction() * 2 - 1) * jitterUs));
  }

  #corrupt(frame: Frame): void {
    const bit = this.#random.below(frame.length * 8);
    frame.memory.bytes[FRAME_START + (bit >> 3)] ^= 1 << (bit & 7);
    // Else a receiver that trusts the device would take the damage for data.
    frame.checksumVerified = false;
    this.counters.corrupted++;
  }

  /** The frame that is to go on now; null when none is due. It stays until `pop`. */
  due(now: number): Held | null {
    const overtaken = this.#overtaken[0];
    if (
      overtaken !== undefined && (overtaken.atPassed <= this.counters.passed || overtaken.held.dueUs <= now)
    ) {
      return overtaken.held;
    }
    const first = this.#queue.peek();
    return first !== undefined && first.dueUs <= now ? first : null;
  }

  /** Takes back `held`, which `due` gave and which has gone on. */
  pop(held: Held): void {
    if (this.#overtaken[0]?.held === held) {
      this.#overtaken.shift();
    } else {
      this.#queue.pop();
      this.#queuedBytes -= held.frame.length;
    }
    this.counters.passed++;
    this.#pool.release(held);
  }
}
