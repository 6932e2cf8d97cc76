import { flatten, Frame, FRAME_START } from "../../lib/buffer/frame.ts";
import type { InterfaceConfig, StackConfig } from "../../lib/stack/config.ts";
import { Stack } from "../../lib/stack/stack.ts";
import { parseCidr, parseMac } from "../../lib/wire/address.ts";
import { arpFrame } from "../support/build.ts";
import { decode, type Packet } from "../support/decode.ts";

/** A frame that the stack under test sent: by which device, and what it left to that. */
export interface Sent extends Packet {
  device: number;
  gsoSize: number;
  isUdpSegmented: boolean;
  checksumStart: number;
  checksumOffset: number;
}

/** Our Ethernet address on a link, and that of a neighbor there by the last number of its IP address. */
export const ourMac = (device: number) => `02:00:00:0${device}:ff:ff`;
export const hostMac = (device: number, host: number) =>
  `02:00:00:0${device}:00:${host.toString(16).padStart(2, "0")}`;

/** What a frame says of itself when it comes in. */
export type FrameNotes = Partial<
  Pick<Frame, "gsoSize" | "checksumVerified" | "checksumStart" | "checksumOffset">
>;

/** A stack with a link for each of `addresses`, driven by hand. */
export class Router {
  readonly stack: Stack;
  now = 1_000_000_000;
  private readonly frameIn = new Frame();
  private readonly frameOut = new Frame();

  constructor(addresses: string[], config: Partial<StackConfig> = {}, each: Partial<InterfaceConfig>[] = []) {
    let state = 12345;
    this.stack = new Stack({
      interfaces: addresses.map((text, device) => ({
        mac: parseMac(ourMac(device))!,
        mtu: 1500,
        addresses: text.split(" ").filter((cidr) => cidr !== "").map((cidr) => parseCidr(cidr)!),
        ...each[device],
      })),
      secret: Uint32Array.of(1, 2, 3, 4),
      random: () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0),
      announce: false,
      forwarding: true,
      ...config,
    });
  }

  /** A frame arrives at a device; returns what the stack sends. */
  input(device: number, bytes: Uint8Array, notes: FrameNotes = {}): Sent[] {
    const { frameIn } = this;
    frameIn.clear();
    frameIn.memory.bytes.set(bytes, FRAME_START);
    frameIn.length = bytes.length;
    frameIn.device = device;
    Object.assign(frameIn, notes);
    this.stack.input(frameIn, this.now);
    return this.drain();
  }

  drain(): Sent[] {
    const { frameOut } = this;
    const sent: Sent[] = [];
    while (this.stack.transmit(frameOut, this.now)) {
      const bytes = new Uint8Array(frameOut.totalLength);
      flatten(frameOut, bytes, 0);
      const { device, gsoSize, isUdpSegmented, checksumStart, checksumOffset } = frameOut;
      const packet = decode(bytes, { checksumOffloaded: checksumStart >= 0 });
      sent.push({ ...packet, device, gsoSize, isUdpSegmented, checksumStart, checksumOffset });
    }
    return sent;
  }

  /** Lets time pass; returns what the stack sends meanwhile. */
  pass(us: number): Sent[] {
    const end = this.now + us;
    const sent = this.drain();
    while (this.stack.deadline <= end) {
      this.now = Math.max(this.now, this.stack.deadline);
      this.stack.advance(this.now);
      sent.push(...this.drain());
    }
    this.now = end;
    return sent;
  }

  /** Has the stack know a neighbor on a link, which asked for us. */
  learn(device: number, address: string, ours: string): string {
    const mac = hostMac(device, Number(address.split(".")[3]));
    const [reply] = this.input(
      device,
      arpFrame({
        operation: 1,
        senderIp: address,
        sourceMac: mac,
        targetIp: ours,
        destinationMac: ourMac(device),
      }),
    );
    if (reply?.arp === undefined) throw new Error(`${ours} did not answer ${address}`);
    return mac;
  }

  get drops(): Record<string, number> {
    return this.stack.counters.namedDrops();
  }
}
