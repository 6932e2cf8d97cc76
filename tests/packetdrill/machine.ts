import { flatten, Frame, FRAME_START } from "../../lib/buffer/frame.ts";
import { Stack, type TcpInfo } from "../../lib/stack/stack.ts";
import type { TcpSettings } from "../../lib/tcp/settings.ts";
import { type IpAddress, parseIp } from "../../lib/wire/address.ts";
import { headersLength, ipv4Mtu, type RunConfig, Unsupported } from "./config.ts";
import type { Packet } from "./segment.ts";
import { answerArp, decode, ETHERNET, type Mac } from "./wire.ts";

/** When scripts begin, on the stack's clock: not 0, so that nothing works by being empty. */
export const START_US = 1_000_000_000;

/** The machine under test. */
export const OUR_MAC: Mac = [0x02, 0, 0, 0, 0, 0x01];
/** The router to everything else, played by the runner. */
export const ROUTER_MAC: Mac = [0x02, 0, 0, 0, 0, 0x02];

const FIN = 1;
const PSH = 8;
const CWR = 128;
/** IPv4 and TCP header without options, as they are on the runner's link. */
const HEADERS = 40;

/** Steps without progress in virtual time after which the stack is taken to be turning in circles. */
const MAX_STEPS_AT_ONE_TIME = 100_000;

/** A stack, a clock that jumps, and the link it sends on; the link's other end answers ARP at once. */
export class Machine {
  readonly stack: Stack;
  /** What the stack sent and no script event has asked for yet. */
  readonly sent: Packet[] = [];
  /** Handles whose readiness changed are told here. */
  onReady: (handle: number) => void = () => {};
  /** Called whenever something happened, to go on with calls that wait. */
  onProgress: () => void = () => {};
  /** When a waiting call wants to be tried again although nothing happened. */
  wakeUpUs = Infinity;
  /** The device's queue takes nothing: what the stack sends is gone (`tc qdisc ... limit 0`). */
  queueIsShut = false;
  #now = START_US;
  /** The longest payload that is not taken for several segments put together. */
  readonly #segmentSize: number;
  readonly #frame = new Frame();
  readonly #buffer = new Uint8Array(65536 + 256);
  readonly #trace: (packet: Packet, inbound: boolean) => void;

  constructor(
    config: RunConfig,
    settings: Partial<TcpSettings>,
    trace: (packet: Packet, inbound: boolean) => void = () => {},
  ) {
    this.#trace = trace;
    this.#segmentSize = config.mss > 0 ? config.mss : config.mtu - headersLength(config);
    this.stack = makeStack(config, settings);
    this.#drain();
  }

  get now(): number {
    return this.#now;
  }

  /** The settings of TCP, which later commands of the script may change. */
  get settings(): TcpSettings {
    return this.stack.settings;
  }

  /** TCP_INFO as of now: the stack knows the time only from the calls that tell it. */
  info(handle: number): TcpInfo {
    this.stack.advance(this.#now);
    return this.stack.info(handle);
  }

  /** Lets time pass, up to `time`, with every timer on the way. */
  advanceTo(time: number): void {
    this.advanceWhile(() => true, time);
    if (time > this.#now) this.#now = time;
  }

  /** Goes from timer to timer, as long as `condition` holds and there is one before `limit`. */
  advanceWhile(condition: () => boolean, limit: number): void {
    let steps = 0;
    while (condition()) {
      const next = Math.min(this.stack.deadline, this.wakeUpUs);
      if (next > limit || next === Infinity) return;
      steps = next > this.#now ? 0 : steps + 1;
      if (steps > MAX_STEPS_AT_ONE_TIME) throw new Error("the stack's deadline does not move on");
      this.#now = Math.max(this.#now, next);
      this.stack.advance(this.#now);
      this.settle();
    }
  }

  /** Lets time pass until something was sent or `limit` is reached; true if something was sent. */
  advanceUntilSent(limit: number): boolean {
    this.advanceWhile(() => this.sent.length === 0, limit);
    if (this.sent.length === 0) this.#now = Math.max(this.#now, limit);
    return this.sent.length > 0;
  }

  /** A frame arrives now. */
  input(bytes: Uint8Array, packet?: Packet): void {
    if (packet !== undefined) this.#trace(packet, true);
    this.#feed(bytes);
    this.settle();
  }

  /** What follows any call: frames out, readiness, calls that wait. */
  settle(): void {
    this.#drain();
    this.onProgress();
    this.#drain();
  }

  #feed(bytes: Uint8Array): void {
    const frame = this.#frame;
    frame.clear();
    frame.memory.bytes.set(bytes, FRAME_START);
    frame.length = bytes.length;
    // A segment longer than the link carries is what a device makes of several.
    if (bytes.length > this.#segmentSize + HEADERS + ETHERNET) frame.gsoSize = this.#segmentSize;
    this.stack.input(frame, this.#now);
  }

  #drain(): void {
    this.#transmit();
    for (let handle = this.stack.nextReady(); handle >= 0; handle = this.stack.nextReady()) {
      this.onReady(handle);
    }
  }

  #transmit(): void {
    const frame = this.#frame;
    for (;;) {
      frame.clear();
      if (!this.stack.transmit(frame, this.#now)) return;
      if (this.queueIsShut) continue;
      const length = flatten(frame, this.#buffer, 0);
      const bytes = this.#buffer.slice(0, length);
      const answer = answerArp(bytes, ROUTER_MAC);
      if (answer !== null) {
        this.#feed(answer);
        continue;
      }
      const whole = decode(bytes, this.#now, frame.checksumStart < 0);
      if (whole === null) continue;
      for (const packet of cutSegment(whole, frame.gsoSize)) {
        this.#trace(packet, false);
        this.sent.push(packet);
      }
    }
  }
}

/** What a device makes of a segment that the stack left to it to cut. */
function cutSegment(whole: Packet, size: number): Packet[] {
  const { payload } = whole;
  if (size === 0 || payload.length <= size) return [whole];
  const pieces: Packet[] = [];
  for (let at = 0; at < payload.length; at += size) {
    const last = at + size >= payload.length;
    let { bits } = whole;
    if (at > 0) bits &= ~CWR;
    if (!last) bits &= ~(FIN | PSH);
    pieces.push({ ...whole, bits, seq: (whole.seq + at) >>> 0, payload: payload.subarray(at, at + size) });
  }
  return pieces;
}

/** An address that a script names. */
export function address(text: string): IpAddress {
  const parsed = parseIp(text);
  if (parsed === null) throw new Unsupported(`the address ${text}`);
  return parsed;
}

function makeStack(config: RunConfig, settings: Partial<TcpSettings>): Stack {
  let seed = 0x1234567;
  const random = () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed;
  };
  const local = address(config.localIp);
  // Any neighbour will do: the runner answers for all of them.
  const gateway = local ^ 0xfe;
  try {
    return new Stack({
      mac: OUR_MAC.reduce((value, byte) => value * 256 + byte, 0),
      mtu: ipv4Mtu(config, config.mtu),
      addresses: [{ address: local, prefixLength: config.prefixLength }],
      gateway,
      secret: Uint32Array.from({ length: 8 }, random),
      random,
      announce: false,
      features: { checksum: false, segmentation: true },
      tcp: settings,
    });
  } catch (error) {
    if (error instanceof RangeError) throw new Unsupported(error.message);
    throw error;
  }
}
