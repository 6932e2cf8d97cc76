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
}

/** One end of a cable without length: what one end sends, the other receives. */
export class MemoryDevice implements Device {
  readonly name: string;
  readonly mtu: number;
  readonly features: DeviceFeatures;
  readonly fd = -1;
  readonly deadline = Infinity;
  closed = false;
  /** Sees every frame sent from this end, as one run of bytes; set by tests that look at the traffic. */
  onSend: ((bytes: Uint8Array, now: number) => void) | null = null;
  readonly #capacity: number;
  readonly #arrived: Frame[] = [];
  readonly #free: Frame[] = [];
  #peer: MemoryDevice | null = null;

  constructor(options: MemoryDeviceOptions = {}) {
    this.name = options.name ?? "memory0";
    this.mtu = options.mtu ?? 1500;
    this.features = options.features ?? { checksum: false, segmentation: false };
    this.#capacity = options.capacity ?? 100_000;
  }

  static join(a: MemoryDevice, b: MemoryDevice): void {
    a.#peer = b;
    b.#peer = a;
  }

  /** Frames that wait to be received. */
  get pending(): number {
    return this.#arrived.length;
  }

  /** Puts these bytes where the next `receive` finds them, as if the peer had sent them. */
  inject(bytes: Uint8Array): void {
    const frame = this.#take(bytes.length);
    frame.memory.bytes.set(bytes, FRAME_START);
    frame.length = bytes.length;
    this.#arrived.push(frame);
  }

  receive(frame: Frame, _now: number): boolean {
    const arrived = this.#arrived.shift();
    if (arrived === undefined) return false;
    frame.clear();
    frame.length = flatten(arrived, frame.memory.bytes, FRAME_START);
    frame.gsoSize = arrived.gsoSize;
    frame.checksumVerified = arrived.checksumVerified;
    this.#free.push(arrived);
    return true;
  }

  send(frame: Frame, now: number): boolean {
    const peer = this.#peer;
    if (this.closed || peer === null) return true;
    if (peer.#arrived.length >= peer.#capacity) return false;
    this.#verify(frame);
    const copy = peer.#take(frame.totalLength);
    copy.length = flatten(frame, copy.memory.bytes, FRAME_START);
    // A checksum left to the device is one that never left the machine, as between two TAPs of one kernel.
    copy.checksumVerified = frame.checksumStart >= 0;
    copy.gsoSize = frame.gsoSize;
    peer.#arrived.push(copy);
    this.onSend?.(copy.memory.bytes.subarray(FRAME_START, FRAME_START + copy.length), now);
    return true;
  }

  advance(_now: number): void {}

  close(): void {
    this.closed = true;
    this.#arrived.length = 0;
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

  #take(length: number): Frame {
    const small = length + FRAME_START <= 2048;
    const at = this.#free.findLastIndex((frame) => small || frame.memory.size > 2048);
    const frame = at >= 0 ? this.#free.splice(at, 1)[0] : new Frame(small ? 2048 : undefined);
    frame.clear();
    return frame;
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
