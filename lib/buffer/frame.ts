import { Memory, Slices } from "./memory.ts";

/**
 * Where a frame begins in its memory: after the 14-byte Ethernet header, IP is then aligned to 4 bytes. The bytes before it
 * are the device's, for what a kernel wants in front of a frame (virtio_net_hdr): one run of bytes is given to it faster
 * than two.
 */
export const FRAME_START = 18;

/** Room for headers: Ethernet 14 + IPv4 60 + TCP 60, and some. */
const DEFAULT_SIZE = 65536 + 256;

/**
 * One Ethernet frame on its way in or out.
 *
 * In: the whole frame lies in `memory` from `FRAME_START` on and is `length` bytes long; `payload` is empty. Only where
 * `headers` was set are its first bytes, so many, in `memory`, and the rest in `payload`.
 * Out: `memory` holds the first `length` bytes (headers, and the payload too for small control packets); `payload`
 * is what follows them, not copied: one or two slices of a ring buffer.
 */
export class Frame {
  readonly memory: Memory;
  /** Bytes in use in `memory`, from FRAME_START on. */
  length = 0;
  /** The bytes that follow those in `memory`. */
  readonly payload = new Slices();
  /**
   * Set before a frame is received: what comes after so many bytes is to be put into `payload`, which has room for the
   * largest frame. 0: all goes to `memory`.
   */
  headers = 0;
  /**
   * Offset from FRAME_START where the checksum is to start that whoever puts the frame on a wire has to make; -1: it is
   * complete. Incoming too: what comes from a program of this machine was on no wire yet.
   */
  checksumStart = -1;
  /** Where, from checksumStart on, the checksum goes. */
  checksumOffset = 0;
  /** Outgoing: payload bytes a segment that the device is to cut; 0: no segmentation. Incoming: GRO size, of TCP and UDP. */
  gsoSize = 0;
  /** Outgoing: what is to be cut are UDP datagrams, and not TCP segments. */
  isUdpSegmented = false;
  /** Incoming: the device vouches for the transport checksum (it was verified, or never left the machine). */
  checksumVerified = false;
  /** Which of the stack's devices it came from or goes to: its place in `StackConfig.interfaces`. */
  device = 0;

  constructor(size = DEFAULT_SIZE) {
    this.memory = new Memory(size);
  }

  /** Bytes on the wire. */
  get totalLength(): number {
    return this.length + this.payload.length1 + this.payload.length2;
  }

  clear(): void {
    this.length = 0;
    this.payload.clear();
    this.headers = 0;
    this.checksumStart = -1;
    this.checksumOffset = 0;
    this.gsoSize = 0;
    this.isUdpSegmented = false;
    this.checksumVerified = false;
    this.device = 0;
  }
}

/** Puts a frame together whose payload was received apart, see `Frame.headers`. */
export function gather(frame: Frame): void {
  frame.length = flatten(frame, frame.memory.bytes, FRAME_START);
  frame.payload.clear();
}

/** Copies a frame, headers and payload, into `target` from `at` on as one run of bytes; returns its length. */
export function flatten(frame: Frame, target: Uint8Array, at: number): number {
  const { memory, length, payload } = frame;
  target.set(memory.bytes.subarray(FRAME_START, FRAME_START + length), at);
  let end = at + length;
  if (payload.memory !== null) {
    const bytes = payload.memory.bytes;
    target.set(bytes.subarray(payload.offset1, payload.offset1 + payload.length1), end);
    end += payload.length1;
    if (payload.length2 > 0) {
      target.set(bytes.subarray(payload.offset2, payload.offset2 + payload.length2), end);
      end += payload.length2;
    }
  }
  return end - at;
}
