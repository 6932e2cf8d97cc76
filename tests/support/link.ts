/**
 * Two stacks joined by a cable under virtual time, so that whole transfers run in milliseconds and the same way each
 * time. Nothing happens between two wake-ups, so the clock jumps from one to the next.
 *
 * ```ts
 * const link = new Link({ impair: "loss=5% delay=50ms" });
 * const server = link.b.stack.socket(SocketKind.stream);
 * ...
 * link.runUntil(() => link.b.stack.accept(server) >= 0, 10e6);
 * ```
 */
import { AssertionError } from "@std/assert";
import { flatten, Frame, FRAME_START } from "../../lib/buffer/frame.ts";
import type { Device, DeviceFeatures } from "../../lib/device.ts";
import { ImpairedDevice, parseImpair } from "../../lib/impair.ts";
import { Random } from "../../lib/impair/random.ts";
import { Stack } from "../../lib/stack/stack.ts";
import type { StackConfig } from "../../lib/stack/config.ts";
import { parseIp, parseMac } from "../../lib/wire/address.ts";
import { VirtualClock } from "./clock.ts";
import { decode } from "./decode.ts";
import { formatFrame } from "./format.ts";
import { MemoryDevice } from "./memory_device.ts";

export const ADDRESS_A = "10.0.0.4";
export const ADDRESS_B = "10.0.0.5";

export interface LinkOptions {
  /** On a's device, as `--impair` takes it: `out.` is from a to b. */
  impair?: string;
  /** One way, beside the impairment; 50 us by default. */
  latencyUs?: number;
  mtu?: number;
  /** What both devices do for their stacks; nothing by default. Impairment takes it from a. */
  features?: DeviceFeatures;
  /** Of the stacks' secrets and random numbers; 1 by default. */
  seed?: number;
  /** Settings of both stacks' TCP, and of one. */
  tcp?: StackConfig["tcp"];
  tcpA?: StackConfig["tcp"];
  tcpB?: StackConfig["tcp"];
  /** When the clock starts, microseconds: sequence numbers and timestamps depend on it. */
  startUs?: number;
  /**
   * Both take in all frames that are there before they send anything, as the daemon's loop does, so that segments may be
   * merged. By default what each frame brings about is sent before the next one comes in.
   */
  turns?: boolean;
  /** How many of the last frames a failure shows; 40 by default. */
  trace?: number;
}

/** A moment at which more than this happens without an end is a loop that does not end. */
const MAX_ROUNDS = 100_000;

/** A stack and its device. */
export class Host {
  readonly name: string;
  readonly address: number;
  readonly stack: Stack;
  /** What the stack is driven by: the cable's end, maybe impaired. */
  readonly device: Device;
  /** Looks at every frame that the stack sends, before impairment. */
  onTransmit: ((frame: Frame, now: number) => void) | null = null;
  /** See `LinkOptions.turns`. */
  takesTurns = false;
  readonly #incoming = new Frame();
  readonly #outgoing = new Frame();
  /** #outgoing holds a frame that the device had no room for. */
  #refused = false;

  constructor(name: string, stack: Stack, device: Device, address: number) {
    this.name = name;
    this.stack = stack;
    this.device = device;
    this.address = address;
  }

  get deadline(): number {
    return Math.min(this.stack.deadline, this.device.deadline);
  }

  /** Does what can be done at `now`, as the daemon's loop would; true when there was something. */
  step(now: number): boolean {
    let active = false;
    if (this.device.deadline <= now) this.device.advance(now);
    if (this.stack.deadline <= now) {
      this.stack.advance(now);
      active = true;
    }
    if (this.#transmit(now)) active = true;
    if (this.#receive(now)) active = true;
    return active;
  }

  /** True when anything came in. */
  #receive(now: number): boolean {
    const { stack, device, takesTurns } = this;
    const frame = this.#incoming;
    let received = false;
    while (!this.#refused) {
      if (takesTurns) stack.expect(frame);
      if (!device.receive(frame, now)) break;
      received = true;
      stack.input(frame, now);
      if (!takesTurns || stack.isUrgent) this.#transmit(now);
    }
    if (takesTurns) {
      stack.expectNothing(frame, now);
      this.#transmit(now);
    }
    return received;
  }

  /** Sends what the stack has, as far as the device has room; true when anything went out. */
  #transmit(now: number): boolean {
    let sent = false;
    for (;;) {
      if (!this.#refused) {
        if (!this.stack.transmit(this.#outgoing, now)) return sent;
        this.onTransmit?.(this.#outgoing, now);
      }
      this.#refused = !this.device.send(this.#outgoing, now);
      if (this.#refused) return sent;
      sent = true;
    }
  }
}

export class Link {
  readonly clock: VirtualClock;
  readonly a: Host;
  readonly b: Host;
  /** The ends of the cable: `onSend` sees what passed the impairment. */
  readonly cableA: MemoryDevice;
  readonly cableB: MemoryDevice;
  /** The impairing device of a, for its counters; null without impairment. */
  readonly impaired: ImpairedDevice | null;
  readonly #trace: Trace;

  constructor(options: LinkOptions = {}) {
    const { mtu, features, latencyUs = 50 } = options;
    this.clock = new VirtualClock(options.startUs);
    this.cableA = new MemoryDevice({ name: "a", mtu, features, latencyUs });
    this.cableB = new MemoryDevice({ name: "b", mtu, features, latencyUs });
    MemoryDevice.join(this.cableA, this.cableB);
    this.impaired = options.impair ? new ImpairedDevice(this.cableA, parseImpair(options.impair)) : null;
    const random = new Random(options.seed ?? 1);
    const tcpA = { ...options.tcp, ...options.tcpA };
    const tcpB = { ...options.tcp, ...options.tcpB };
    this.a = makeHost("a", this.impaired ?? this.cableA, ADDRESS_A, "02:00:00:00:00:04", tcpA, random);
    this.b = makeHost("b", this.cableB, ADDRESS_B, "02:00:00:00:00:05", tcpB, random);
    this.a.takesTurns = this.b.takesTurns = options.turns ?? false;
    this.#trace = new Trace(options.trace ?? 40);
    this.a.onTransmit = (frame, now) => this.#trace.record("a", frame, now);
    this.b.onTransmit = (frame, now) => this.#trace.record("b", frame, now);
  }

  get now(): number {
    return this.clock.now;
  }

  /** Does all that can be done at this moment; true when there was something. */
  settle(): boolean {
    const { now } = this.clock;
    let active = false;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const a = this.a.step(now);
      const b = this.b.step(now);
      if (!a && !b) return active;
      active = true;
    }
    throw this.failure(`time does not pass: the deadlines are ${this.a.deadline} and ${this.b.deadline}`);
  }

  /** When something happens next; Infinity: never. */
  get deadline(): number {
    return Math.min(this.a.deadline, this.b.deadline);
  }

  /**
   * Lets time pass until `condition` holds. It is asked at every moment at which something happened, and may do
   * something itself (read, write). Throws an AssertionError that shows the last frames when nothing is left to happen,
   * or when more than `limitUs` would pass.
   */
  runUntil(condition: () => boolean, limitUs: number, what = "the condition"): void {
    if (this.tryUntil(condition, limitUs)) return;
    throw this.failure(
      this.deadline === Infinity
        ? `${what} can never hold: nothing is left to happen`
        : `${what} did not hold within ${limitUs / 1e6} s`,
    );
  }

  /** The same, but answers false where that throws. */
  tryUntil(condition: () => boolean, limitUs: number): boolean {
    const limit = this.clock.now + limitUs;
    for (;;) {
      do {
        this.settle();
        if (condition()) {
          this.settle();
          return true;
        }
      } while (this.settle());
      const next = Math.ceil(this.deadline);
      if (next > limit || next === Infinity) return false;
      this.clock.advanceTo(Math.max(next, this.clock.now));
    }
  }

  /** Lets this much time pass, or all the time there is something to do in, whichever is less. */
  runFor(us: number): void {
    const limit = this.clock.now + us;
    for (;;) {
      this.settle();
      const next = Math.ceil(this.deadline);
      if (next > limit) break;
      this.clock.advanceTo(Math.max(next, this.clock.now));
    }
    this.clock.advanceTo(limit);
    this.settle();
  }

  /** An error that says where things stand. */
  failure(message: string): AssertionError {
    const where = `at ${(this.clock.now / 1e6).toFixed(6)} s`;
    return new AssertionError({ message: `${message} (${where})\n${this.#trace.lines().join("\n")}` });
  }

  /** The last frames that the stacks sent, as lines. */
  trace(): string[] {
    return this.#trace.lines();
  }
}

function makeHost(
  name: string,
  device: Device,
  address: string,
  mac: string,
  tcp: StackConfig["tcp"],
  random: Random,
): Host {
  const ip = parseIp(address)!;
  const stack = new Stack({
    mac: parseMac(mac)!,
    mtu: device.mtu,
    addresses: [{ address: ip, prefixLength: 24 }],
    secret: Uint32Array.from({ length: 8 }, () => random.next()),
    random: () => random.next(),
    features: device.features,
    tcp,
  });
  return new Host(name, stack, device, ip);
}

/** The last frames, kept as bytes and put into words only when a test fails. */
class Trace {
  readonly #slots: { name: string; now: number; bytes: Uint8Array; offloaded: boolean; order: number }[] = [];
  readonly #isn = new Map<string, number>();
  readonly #size: number;
  #count = 0;

  constructor(size: number) {
    this.#size = size;
  }

  record(name: string, frame: Frame, now: number): void {
    if (frame.length > 14 + 33 && frame.memory.bytes[FRAME_START + 14 + 20 + 13] & 2) this.#learn(frame);
    if (this.#size === 0) return;
    const bytes = new Uint8Array(frame.totalLength);
    flatten(frame, bytes, 0);
    const offloaded = frame.checksumStart >= 0;
    this.#slots[this.#count % this.#size] = { name, now, bytes, offloaded, order: this.#count };
    this.#count++;
  }

  /** A SYN's sequence number, so that later ones can be shown as the distance from it. */
  #learn(frame: Frame): void {
    const bytes = new Uint8Array(frame.totalLength);
    flatten(frame, bytes, 0);
    const { ipv4, tcp } = decode(bytes);
    if (!ipv4 || !tcp || (tcp.flags & 2) === 0) return;
    const address = [24, 16, 8, 0].map((shift) => (ipv4.source >>> shift) & 255).join(".");
    this.#isn.set(`${address}.${tcp.sourcePort}`, tcp.seq);
  }

  lines(): string[] {
    return [...this.#slots].sort((x, y) => x.order - y.order).map(({ name, now, bytes, offloaded }) => {
      const line = formatFrame(bytes, { isn: this.#isn, checksumOffloaded: offloaded });
      return `  ${(now / 1e6).toFixed(6)} ${name}: ${line}`;
    });
  }
}
