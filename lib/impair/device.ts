import type { Frame } from "../buffer/frame.ts";
import type { Device, DeviceFeatures } from "../device.ts";
import { Direction, type ImpairCounters } from "./direction.ts";
import { copyFrame } from "./hold.ts";
import { Random } from "./random.ts";
import type { ImpairSpec } from "./spec.ts";

const NO_OFFLOAD: DeviceFeatures = { checksum: false, segmentation: false };

/** Frames taken from the device in one `receive` before the stack gets its turn. */
const RECEIVE_BUDGET = 256;

/** How long to wait before a device that took no frame is tried again. */
const RETRY_US = 1000;

/**
 * Any device behind a bad network: loss, delay, jitter, duplication, reordering, corruption and a rate, in both
 * directions, decided by the seed alone. It has no clock of its own: what it holds back goes out in `send` and
 * `advance` and comes in by `receive`, when `deadline` says.
 *
 * While anything is impaired the stack is offered no offload, so that what gets lost or corrupted is a real packet. A
 * device below that would itself give merged packets (a TAP with TSO) should be opened without that too: a merged
 * packet is impaired as one.
 *
 * ```ts
 * const device = new ImpairedDevice(tap, parseImpair("loss=5% delay=50ms in.loss=0%"));
 * ```
 */
export class ImpairedDevice implements Device {
  readonly #inner: Device;
  readonly #in: Direction;
  readonly #out: Direction;
  /** A receive ended with its budget, not with the device's last frame. */
  #moreToReceive = false;
  /** The device below refused a frame that is due; when to try again. -1: it did not. */
  #retryAtUs = -1;

  constructor(inner: Device, spec: ImpairSpec) {
    this.#inner = inner;
    const random = new Random(spec.seed);
    // A generator each: what comes in does not change the fate of what goes out.
    this.#in = new Direction(spec.in, new Random(random.next()));
    this.#out = new Direction(spec.out, new Random(random.next()));
  }

  get name(): string {
    return this.#inner.name;
  }

  get mtu(): number {
    return this.#inner.mtu;
  }

  get fd(): number {
    return this.#inner.fd;
  }

  get features(): DeviceFeatures {
    return this.#in.active || this.#out.active ? NO_OFFLOAD : this.#inner.features;
  }

  /** What happened so far, by direction as the stack sees it. Directions that are not impaired are not counted. */
  get counters(): { readonly in: Readonly<ImpairCounters>; readonly out: Readonly<ImpairCounters> } {
    return { in: this.#in.counters, out: this.#out.counters };
  }

  get deadline(): number {
    if (this.#moreToReceive) return 0;
    const out = this.#retryAtUs >= 0 ? this.#retryAtUs : this.#out.deadline;
    return Math.min(this.#inner.deadline, this.#in.deadline, out);
  }

  receive(frame: Frame, now: number): boolean {
    const direction = this.#in;
    if (!direction.active) return this.#inner.receive(frame, now);
    this.#moreToReceive = false;
    // What gets lost or is held back must not lie where the stack wants the next frame's payload.
    frame.clear();
    for (let taken = 0; taken < RECEIVE_BUDGET; taken++) {
      const held = direction.due(now);
      if (held !== null) {
        copyFrame(held.frame, frame);
        direction.pop(held);
        return true;
      }
      if (!this.#inner.receive(frame, now)) return false;
      if (direction.enter(frame, now)) return true;
    }
    this.#moreToReceive = true;
    return false;
  }

  send(frame: Frame, now: number): boolean {
    const direction = this.#out;
    if (!direction.active) return this.#inner.send(frame, now);
    // What is due goes first; where that finds no room, this frame finds none either.
    if (!this.#flush(now)) return false;
    if (direction.enter(frame, now) && !this.#inner.send(frame, now)) {
      direction.counters.passed--;
      this.#retryAtUs = now + RETRY_US;
      return false;
    }
    this.#flush(now);
    return true;
  }

  advance(now: number): void {
    this.#inner.advance(now);
    if (this.#out.active) this.#flush(now);
  }

  /** Frames still held are dropped. */
  close(): void {
    this.#inner.close();
  }

  /** Sends what is due; false when the device below took not all of it. */
  #flush(now: number): boolean {
    this.#retryAtUs = -1;
    for (let held = this.#out.due(now); held !== null; held = this.#out.due(now)) {
      if (!this.#inner.send(held.frame, now)) {
        this.#retryAtUs = now + RETRY_US;
        return false;
      }
      this.#out.pop(held);
    }
    return true;
  }
}
