import { AssertionError } from "@std/assert";
import { flatten, Frame, FRAME_START } from "../../lib/buffer/frame.ts";
import { EINPROGRESS } from "../../lib/errno.ts";
import type { StackConfig } from "../../lib/stack/config.ts";
import { SocketKind, Stack } from "../../lib/stack/stack.ts";
import { parseIp, parseMac } from "../../lib/wire/address.ts";
import { arpFrame, MAC_A, MAC_B, type TcpFields, tcpFrame } from "../support/build.ts";
import { decode, type Packet } from "../support/decode.ts";

/** The stack under test, and the machine on the link that the test plays. */
export const OURS = "10.0.0.5";
export const PEER = "10.0.0.4";
export const GATEWAY = "10.0.0.1";

export const ip = (text: string): number => parseIp(text)!;

/** One stack, driven by hand: frames go in as bytes, and what it sends comes out as bytes. */
export class Bench {
  readonly stack: Stack;
  /** Well above 0, so that a time of 0 left in some field shows. */
  now = 1_000_000_000;
  private readonly frameIn = new Frame();
  private readonly frameOut = new Frame();

  constructor(config: Partial<StackConfig> = {}) {
    let state = 12345;
    this.stack = new Stack({
      mac: parseMac(MAC_B)!,
      mtu: 1500,
      addresses: [{ address: ip(OURS), prefixLength: 24 }],
      secret: Uint32Array.of(1, 2, 3, 4),
      random: () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0),
      announce: false,
      ...config,
    });
  }

  /** A frame arrives; returns what the stack sends. */
  input(bytes: Uint8Array, checksumVerified = false, gsoSize = 0): Uint8Array[] {
    this.feed(bytes, checksumVerified, gsoSize);
    return this.drain();
  }

  /** A frame arrives, and nothing is sent yet. */
  feed(bytes: Uint8Array, checksumVerified = false, gsoSize = 0): void {
    this.frameIn.clear();
    this.frameIn.memory.bytes.set(bytes, FRAME_START);
    this.frameIn.length = bytes.length;
    this.frameIn.checksumVerified = checksumVerified;
    this.frameIn.gsoSize = gsoSize;
    this.stack.input(this.frameIn, this.now);
  }

  /** What the stack has to send. */
  drain(): Uint8Array[] {
    const sent: Uint8Array[] = [];
    while (this.stack.transmit(this.frameOut, this.now)) {
      const bytes = new Uint8Array(this.frameOut.totalLength);
      flatten(this.frameOut, bytes, 0);
      sent.push(bytes);
    }
    return sent;
  }

  /** Lets time pass, firing what is due when it is due; returns what the stack sends meanwhile. */
  pass(us: number): Uint8Array[] {
    const end = this.now + us;
    const sent: Uint8Array[] = this.drain();
    while (this.stack.deadline <= end) {
      this.now = Math.max(this.now, this.stack.deadline);
      this.stack.advance(this.now);
      sent.push(...this.drain());
    }
    this.now = end;
    return sent;
  }

  /** The handles whose readiness may have changed. */
  ready(): number[] {
    const handles: number[] = [];
    for (let handle = this.stack.nextReady(); handle >= 0; handle = this.stack.nextReady()) {
      handles.push(handle);
    }
    return handles;
  }

  /** Has the stack know the peer's Ethernet address, as if the peer had asked for ours. */
  learnPeer(address = PEER, mac = MAC_A): void {
    this.input(arpFrame({ operation: 1, senderIp: address, sourceMac: mac, targetIp: OURS }));
  }

  get drops(): Record<string, number> {
    return this.stack.counters.namedDrops();
  }

  /** A TCP segment from the peer's `sourcePort` to our `destinationPort`. */
  segment(
    fields: Partial<TcpFields> & { sourcePort: number; destinationPort: number; flags: string },
  ): Uint8Array[] {
    return this.input(tcpFrame({ source: PEER, destination: OURS, ...fields }));
  }

  listener(port: number, backlog = 16, address = 0): number {
    const handle = expect(this.stack.socket(SocketKind.stream));
    expect(this.stack.bind(handle, address, port));
    expect(this.stack.listen(handle, backlog));
    return handle;
  }

  /** A connection that the peer opened from `sourcePort` and that was accepted; sequence numbers are 1000 and `iss`. */
  accepted(listener: number, sourcePort: number, port: number): { handle: number; iss: number } {
    const [synAck] = this.segment({ sourcePort, destinationPort: port, flags: "S", seq: 999, mss: 1460 });
    const iss = only([synAck]).tcp!.seq;
    this.segment({ sourcePort, destinationPort: port, flags: ".", seq: 1000, ack: iss + 1 });
    return { handle: expect(this.stack.accept(listener)), iss };
  }

  /** A connection to the peer's `port`; its first number is `iss`, the peer's is 999. */
  connected(port: number): { handle: number; iss: number; localPort: number } {
    const handle = expect(this.stack.socket(SocketKind.stream));
    const result = this.stack.connect(handle, ip(PEER), port, this.now);
    if (result !== -EINPROGRESS) throw new AssertionError({ message: `connect answered ${result}` });
    const syn = only(this.drain()).tcp!;
    const localPort = syn.sourcePort;
    this.segment({
      sourcePort: port,
      destinationPort: localPort,
      flags: "S.",
      seq: 999,
      ack: syn.seq + 1,
      mss: 1460,
    });
    return { handle, iss: syn.seq, localPort };
  }
}

/** Throws unless a call went well. */
export function expect(result: number): number {
  if (result < 0) throw new AssertionError({ message: `a call answered ${result}` });
  return result;
}

/** The one frame that was sent, decoded. */
export function only(frames: (Uint8Array | undefined)[]): Packet {
  if (frames.length !== 1 || frames[0] === undefined) {
    throw new AssertionError({ message: `Expected one frame, got ${frames.length}` });
  }
  return decode(frames[0]);
}
