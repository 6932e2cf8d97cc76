/**
 * Two stacks joined by a wire that allocates nothing and copies no payload, to see what the stacks do of both. A frame
 * arrives when it is sent, with its headers as they are; what its payload would be stays what lies there.
 */
import { Frame, FRAME_START } from "../../lib/buffer/frame.ts";
import type { DeviceFeatures } from "../../lib/device.ts";
import { SocketKind, Stack } from "../../lib/stack/stack.ts";
import { parseIp } from "../../lib/wire/address.ts";
import { Random } from "../../lib/impair/random.ts";

export const ADDRESSES = [parseIp("10.0.0.4")!, parseIp("10.0.0.5")!] as const;

/** Far above what a small integer holds, as the daemon's clock is after half an hour. */
const START_US = 1e10;
const STEP_US = 10;
const ETHERNET_AND_IP = 34;
const UDP_HEADER = 8;
/** Ethernet, IP and TCP with all options. */
const LONGEST_HEADERS = 14 + 60 + 60;

function makeStack(place: 0 | 1, features: DeviceFeatures): Stack {
  const random = new Random(1 + place);
  return new Stack({
    mac: 0x020000000004 + place,
    mtu: 1500,
    addresses: [{ address: ADDRESSES[place], prefixLength: 24 }],
    secret: Uint32Array.of(1, 2, 3, 4),
    random: () => random.next(),
    announce: false,
    features,
  });
}

export class BareWire {
  readonly a: Stack;
  readonly b: Stack;
  now = START_US;
  /** Frames carried, both ways. */
  frames = 0;
  readonly #out = new Frame();
  readonly #in = new Frame();

  constructor(features: DeviceFeatures) {
    this.a = makeStack(0, features);
    this.b = makeStack(1, features);
  }

  /** Some microseconds: what is due is done, and all frames are carried. */
  step(): void {
    const now = this.now += STEP_US;
    if (this.a.deadline <= now) this.a.advance(now);
    if (this.b.deadline <= now) this.b.advance(now);
    for (let more = true; more;) {
      more = this.#carry(this.a, this.b, now);
      if (this.#carry(this.b, this.a, now)) more = true;
    }
    while (this.a.nextReady() >= 0);
    while (this.b.nextReady() >= 0);
  }

  /** All that `from` has to send; true if there was something. */
  #carry(from: Stack, to: Stack, now: number): boolean {
    const [sent, received] = [this.#out, this.#in];
    const { frames } = this;
    for (; from.transmit(sent, now); this.frames++) {
      to.expect(received);
      arrive(sent, received);
      to.input(received, now);
    }
    to.expectNothing(received, now);
    return this.frames > frames;
  }
}

/** `received` becomes what a device makes of `sent`: see TapDevice.receive. */
function arrive(sent: Frame, received: Frame): void {
  const { payload, headers } = received;
  carryHeaders(sent, received.memory.bytes);
  const total = sent.totalLength;
  if (headers === 0) payload.clear();
  received.length = headers > 0 ? Math.min(total, headers) : total;
  const rest = total - received.length;
  payload.length1 = Math.min(payload.length1, rest);
  payload.length2 = rest - payload.length1;
  received.checksumVerified = sent.checksumStart >= 0;
  received.checksumStart = sent.checksumStart;
  received.checksumOffset = sent.checksumOffset;
  received.gsoSize = sent.gsoSize;
}

/** All payload is zeros, and so is what follows the headers in `target`. */
function carryHeaders(sent: Frame, target: Uint8Array): void {
  const { payload, length, memory } = sent;
  let end = FRAME_START;
  for (; end < FRAME_START + length; end++) target[end] = memory.bytes[end];
  // UDP's header lies with its datagram.
  if (length === ETHERNET_AND_IP && payload.memory !== null) {
    for (let i = 0; i < UDP_HEADER; i++) target[end++] = payload.memory.bytes[payload.offset1 + i];
  }
  for (; end < FRAME_START + LONGEST_HEADERS; end++) target[end] = 0;
}

/** A connection from a to b: the two handles. */
export function joined(wire: BareWire, port: number): { client: number; server: number } {
  const { a, b } = wire;
  const listener = b.socket(SocketKind.stream);
  b.bind(listener, 0, port);
  b.listen(listener, 1);
  const client = a.socket(SocketKind.stream);
  a.connect(client, ADDRESSES[1], port, wire.now);
  for (let i = 0; i < 10; i++) wire.step();
  return { client, server: b.accept(listener) };
}
