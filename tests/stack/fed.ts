import { assertEquals } from "@std/assert";
import { Frame, FRAME_START } from "../../lib/buffer/frame.ts";
import { EAGAIN } from "../../lib/errno.ts";
import type { TcpSettings } from "../../lib/tcp/settings.ts";
import { type TcpFields, tcpFrame } from "../support/build.ts";
import { Bench, expect, OURS, PEER } from "./helpers.ts";

const SIZE = 10_000;

export interface FedOptions {
  /** The device merges segments and verifies checksums; true by default. */
  offload?: boolean;
  /** The device puts payload where the stack wants it; true by default. */
  places?: boolean;
  tcp?: Partial<TcpSettings>;
}

/** A stack with one connection, that is fed as the loop feeds it from a TAP. */
export class Fed extends Bench {
  readonly handle: number;
  readonly iss: number;
  /** The peer's next number, and what it sent that should arrive. */
  next = 1000;
  readonly sent: number[] = [];
  readonly #frame = new Frame();
  readonly #options: FedOptions;

  constructor(options: FedOptions = {}) {
    const { offload = true, tcp } = options;
    super({ features: { checksum: offload, segmentation: offload }, tcp });
    this.#options = options;
    this.learnPeer();
    ({ handle: this.handle, iss: this.iss } = this.accepted(this.listener(80), 7, 80));
  }

  /** A frame comes in; whether its payload went where the stack said. */
  deliver(bytes: Uint8Array): boolean {
    const { offload = true, places = true } = this.#options;
    const frame = this.#frame;
    this.stack.expect(frame);
    if (!places) frame.clear();
    const { headers, payload } = frame;
    const isApart = headers > 0 && bytes.length > headers;
    frame.length = isApart ? headers : bytes.length;
    frame.memory.bytes.fill(0xee);
    frame.memory.bytes.set(bytes.subarray(0, frame.length), FRAME_START);
    const rest = bytes.subarray(frame.length);
    if (isApart) {
      payload.length1 = Math.min(payload.length1, rest.length);
      payload.length2 = rest.length - payload.length1;
      payload.memory!.bytes.set(rest.subarray(0, payload.length1), payload.offset1);
      payload.memory!.bytes.set(rest.subarray(payload.length1), payload.offset2);
    } else {
      payload.clear();
    }
    frame.checksumVerified = offload;
    frame.gsoSize = offload ? 1460 : 0;
    this.stack.input(frame, this.now);
    return isApart && frame.payload.length > 0;
  }

  /** No frame comes in now; what the stack sends. */
  endTurn(): Uint8Array[] {
    this.stack.expectNothing(this.#frame, this.now);
    return this.drain();
  }

  frame(fields: Partial<TcpFields> = {}): Uint8Array {
    const ports = { sourcePort: 7, destinationPort: 80 };
    const base = { source: PEER, destination: OURS, flags: ".", seq: this.next, ack: this.iss + 1 };
    return tcpFrame({ ...base, ...ports, ...fields });
  }

  /** The `length` bytes of the stream from `seq` on, as a frame that is still to be delivered. */
  piece(seq: number, length: number, fields: Partial<TcpFields> = {}): Uint8Array {
    const payload = Uint8Array.from({ length }, (_, i) => (seq + i) * 31 >> 3);
    return this.frame({ ...fields, seq, payload });
  }

  /** The next `length` bytes. */
  make(length = SIZE, fields: Partial<TcpFields> = {}): Uint8Array {
    const frame = this.piece(this.next, length, fields);
    for (let i = 0; i < length; i++, this.next++) this.sent.push(this.next * 31 >> 3);
    return frame;
  }

  /** The next `length` bytes of the stream come in one frame. */
  data(length = SIZE, fields: Partial<TcpFields> = {}): boolean {
    return this.deliver(this.make(length, fields));
  }

  /** Reads all there is, and compares it with what was sent. */
  check(): void {
    const bytes = new Uint8Array(1 << 20);
    let length = 0;
    for (;;) {
      const count = this.stack.receive(this.handle, bytes, length, bytes.length - length, this.now);
      if (count === -EAGAIN) break;
      length += expect(count);
    }
    assertEquals(length, this.sent.length);
    const wrong = this.sent.findIndex((byte, i) => bytes[i] !== (byte & 0xff));
    assertEquals(wrong, -1);
    this.sent.length = 0;
    this.drain();
  }
}
