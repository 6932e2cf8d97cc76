import { type Frame, FRAME_START } from "../buffer/frame.ts";
import type { Device, DeviceFeatures } from "../device.ts";
import { type ByteSink, INBOUND, OUTBOUND, type PacketPart, PcapngWriter } from "./pcapng.ts";

export interface CaptureOptions {
  /** What to add to a monotonic `now` to get microseconds since 1970. */
  epochOffsetUs: number;
  /** shb_userappl: the program that captures. */
  application?: string;
  /** Largest number of bytes kept of a frame; 0 (the default): all. */
  snapLength?: number;
}

/** A quiet connection's packets are on disk after this long. */
const FLUSH_US = 200_000;

/**
 * Any device, with every frame that passes it written to a pcapng file in the order it passed. Around an impaired
 * device it records what the stack sees, below one what is on the wire.
 *
 * A sink that throws (a full disk) ends the capture, not the traffic: `failure` is set, and the frames that could not
 * be written are counted.
 */
export class CaptureDevice implements Device {
  /** What the sink threw; undefined while all is well. */
  failure: unknown = undefined;
  /** Frames written, and frames that passed after a failure. */
  written = 0;
  missed = 0;
  readonly #inner: Device;
  readonly #writer: PcapngWriter;
  readonly #epochOffsetUs: number;
  readonly #interface: number;
  /** The frame's pieces, reused. */
  readonly #whole: PacketPart[] = [part()];
  readonly #pieces: PacketPart[] = [part(), part(), part()];
  /** When what is buffered goes to the sink; Infinity while nothing is. */
  #flushAtUs = Infinity;
  #startUs = -1;
  #lastUs = 0;
  #closed = false;

  /** `target`: a sink of its own, or a writer that several devices share. */
  constructor(inner: Device, target: ByteSink | PcapngWriter, options: CaptureOptions) {
    this.#inner = inner;
    this.#epochOffsetUs = options.epochOffsetUs;
    this.#writer = target instanceof PcapngWriter
      ? target
      : new PcapngWriter(target, { application: options.application ?? "lvl-ip" });
    this.#interface = this.#writer.addInterface({
      name: inner.name,
      snapLength: options.snapLength,
      description: "lvl-ip",
    });
    // A sink that cannot be written to at all shows now, to the caller, not with the first packet.
    this.#writer.flush();
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
    return this.#inner.features;
  }

  get deadline(): number {
    return Math.min(this.#inner.deadline, this.#flushAtUs);
  }

  receive(frame: Frame, now: number): boolean {
    if (!this.#inner.receive(frame, now)) return false;
    this.#record(frame, now, INBOUND);
    return true;
  }

  /** Records the frame only when the device took it. */
  send(frame: Frame, now: number): boolean {
    if (!this.#inner.send(frame, now)) return false;
    this.#record(frame, now, OUTBOUND);
    return true;
  }

  advance(now: number): void {
    this.#inner.advance(now);
    if (now >= this.#flushAtUs) this.flush();
  }

  /** Gives what is buffered to the sink. */
  flush(): void {
    this.#flushAtUs = Infinity;
    this.#guarded(() => this.#writer.flush());
  }

  /** Ends the capture with the interface's statistics, then closes the device below. */
  close(): void {
    if (!this.#closed) {
      this.#closed = true;
      this.#guarded(() => this.#writeStatistics());
      this.flush();
    }
    this.#inner.close();
  }

  #writeStatistics(): void {
    const start = this.#startUs < 0 ? this.#lastUs : this.#startUs;
    this.#writer.statistics(this.#interface, {
      startUs: start + this.#epochOffsetUs,
      endUs: this.#lastUs + this.#epochOffsetUs,
      received: this.written + this.missed,
      dropped: this.missed,
    });
  }

  #record(frame: Frame, now: number, direction: number): void {
    if (this.failure !== undefined) {
      this.missed++;
      return;
    }
    if (this.#startUs < 0) this.#startUs = now;
    this.#lastUs = now;
    const parts = this.#split(frame);
    try {
      this.#writer.packet(this.#interface, now + this.#epochOffsetUs, parts, direction);
      this.written++;
    } catch (error) {
      this.failure = error;
      this.missed++;
    }
    if (this.#flushAtUs === Infinity) this.#flushAtUs = now + FLUSH_US;
  }

  #split(frame: Frame): PacketPart[] {
    const { payload, memory } = frame;
    const parts = payload.memory === null ? this.#whole : this.#pieces;
    parts[0].bytes = memory.bytes;
    parts[0].offset = FRAME_START;
    parts[0].length = frame.length;
    if (payload.memory !== null) {
      parts[1].bytes = parts[2].bytes = payload.memory.bytes;
      parts[1].offset = payload.offset1;
      parts[1].length = payload.length1;
      parts[2].offset = payload.offset2;
      parts[2].length = payload.length2;
    }
    return parts;
  }

  #guarded(write: () => void): void {
    if (this.failure !== undefined) return;
    try {
      write();
    } catch (error) {
      this.failure = error;
    }
  }
}

function part(): PacketPart {
  return { bytes: new Uint8Array(0), offset: 0, length: 0 };
}
