import { flatten, Frame, FRAME_START } from "../../lib/buffer/frame.ts";
import type { Device, DeviceFeatures } from "../../lib/device.ts";

export interface MemoryDeviceOptions {
  name?: string;
  /** Bytes; 1500 by default. */
  mtu?: number;
  /** What the device does for the stack; nothing by default. */
  features?: DeviceFeatures;
  /** Frames that may wait in the peer before `send` answers false. */
  capacity?: number;
  /** How long a frame is on its way, microseconds; 0 by default. */
  latencyUs?: number;
}

/** Bytes of the memory of a frame of the usual size. */
const SMALL = 2048;

/** A frame on its way, and when it arrives. */
class Arrival {
  atUs = 0;
  readonly frame: Frame;

  constructor(size?: number) {
    this.frame = new Frame(size);
  }
}

/** One end of a cable: what one end sends, the other receives, in order and unharmed. */
export class MemoryDevice implements Device {
  readonly name: string;
  readonly mtu: number;
  readonly features: DeviceFeatures;
  readonly fd = -1;
  closed = false;
  /** Sees every frame sent from this end, as one run of bytes; set by tests that look at the traffic. */
  onSend: ((bytes: Uint8Array, now: number) => void) | null = null;
  readonly #capacity: number;
  readonly #latencyUs: number;
  readonly #arrivals: Arrival[] = [];
  /** Index of the first in #arrivals that was not taken: cheaper than moving a long queue up for each frame. */
  #first = 0;
  readonly #small: Arrival[] = [];
  readonly #large: Arrival[] = [];
  #peer: MemoryDevice | null = null;

  constructor(options: MemoryDeviceOptions = {}) {
    this.name = options.name ?? "memory0";
    this.mtu = options.mtu ?? 1500;
    this.features = options.features ?? { checksum: false, segmentation: false };
    this.#capacity = options.capacity ?? 100_000;
    this.#latencyUs = options.latencyUs ?? 0;
  }

  static join(a: MemoryDevice, b: MemoryDevice): void {
    a.#peer = b;
    b.#peer = a;
  }

  /** Frames that wait to be received, or are on their way. */
  get pending(): number {
    return this.#arrivals.length - this.#first;
  }

  /** When the next frame arrives. */
  get deadline(): number {
    return this.pending > 0 ? this.#arrivals[this.#first].atUs : Infinity;
  }

  /** Puts these bytes where the next `receive` finds them, as if the peer had sent them. */
  inject(bytes: Uint8Array, now = 0): void {
    const { frame } = this.#push(bytes.length, now);
    frame.memory.bytes.set(bytes, FRAME_START);
    frame.length = bytes.length;
  }

  receive(frame: Frame, now: number): boolean {
    if (this.deadline > now) return false;
    const arrival = this.#arrivals[this.#first++];
    if (this.#first > 256 && this.#first * 2 > this.#arrivals.length) {
      this.#arrivals.splice(0, this.#first);
      this.#first = 0;
    }
    frame.clear();
    frame.length = flatten(arrival.frame, frame.memory.bytes, FRAME_START);
    frame.checksumStart = arrival.frame.checksumStart;
    frame.checksumOffset = arrival.frame.checksumOffset;
    frame.gsoSize = arrival.frame.gsoSize;
    frame.checksumVerified = arrival.frame.checksumVerified;
    (arrival.frame.memory.size <= SMALL ? this.#small : this.#large).push(arrival);
    return true;
  }

  send(frame: Frame, now: number): boolean {
    const peer = this.#peer;
    if (this.closed || peer === null) return true;
    if (peer.pending >= peer.#capacity) return false;
    this.#verify(frame);
    const copy = peer.#push(frame.totalLength, now + this.#latencyUs).frame;
    copy.length = flatten(frame, copy.memory.bytes, FRAME_START);
    // A checksum left to the device is one that never left the machine, as between two TAPs of one kernel.
    copy.checksumVerified = frame.checksumStart >= 0;
    copy.checksumStart = frame.checksumStart;
    copy.checksumOffset = frame.checksumOffset;
    copy.gsoSize = frame.gsoSize;
    this.onSend?.(copy.memory.bytes.subarray(FRAME_START, FRAME_START + copy.length), now);
    return true;
  }

  advance(_now: number): void {}

  close(): void {
    this.closed = true;
    this.#arrivals.length = this.#first = 0;
  }

  /** What a real device would refuse is a bug of the stack, so it fails the test. */
  #verify(frame: Frame): void {
    if (frame.gsoSize === 0 && frame.totalLength > this.mtu + 14) {
      throw new RangeError(
        `${this.name}: frame of ${frame.totalLength} bytes is above the MTU of ${this.mtu}`,
      );
    }
    if (frame.gsoSize > 0 && !this.features.segmentation) {
      throw new RangeError(`${this.name}: a segment to be cut was given to a device that cannot`);
    }
    if (frame.checksumStart >= 0 && !this.features.checksum) {
      throw new RangeError(`${this.name}: a checksum was left to a device that does none`);
    }
  }

  #push(length: number, atUs: number): Arrival {
    const small = length + FRAME_START <= SMALL;
    const arrival = (small ? this.#small : this.#large).pop() ?? new Arrival(small ? SMALL : undefined);
    arrival.frame.clear();
    arrival.atUs = atUs;
    this.#arrivals.push(arrival);
    return arrival;
  }
}

/** Two joined ends with the same options. */
export function memoryPair(options: MemoryDeviceOptions = {}): [MemoryDevice, MemoryDevice] {
  const name = options.name ?? "memory";
  const a = new MemoryDevice({ ...options, name: `${name}0` });
  const b = new MemoryDevice({ ...options, name: `${name}1` });
  MemoryDevice.join(a, b);
  return [a, b];
}
