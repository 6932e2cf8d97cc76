/**
 * Merging in software what the device did not merge, by the rules of Linux's GRO (tcp_gro_receive): segments of one flow
 * that follow each other and differ in nothing but that wait, with their payload in its place already (expected.ts), and
 * are taken in as one, as if the device had put them together.
 */
import { Frame, FRAME_START } from "../buffer/frame.ts";
import { fold, sum } from "../wire/checksum.ts";
import { ETHERNET_HEADER } from "../wire/ethernet.ts";
import { IPV4_CHECKSUM_OFFSET, IPV4_HEADER } from "../wire/ipv4.ts";
import { ACK, PSH } from "../wire/tcp.ts";
import type { Core } from "./core.ts";
import { isAsExpected, isSound, place, receiverOf } from "./expected.ts";

// Offsets in the frame's memory
const IP = FRAME_START + ETHERNET_HEADER;
const TCP = IP + IPV4_HEADER;
const TOTAL_LENGTH = IP + 2;
const SEQUENCE = TCP + 4;
/** The 32-bit word whose upper half a frame begins with. */
const FIRST = FRAME_START >> 2;
const FLAGS = TCP + 12;
const FLAGS_MASK = 0x1ff;
/** The longest IP packet. */
const MOST_BYTES = 65535;

/** Segments that wait to be taken in as one. */
export class Merged {
  /** Somebody will say when no more comes in: else nothing may wait. */
  isOpen = false;
  /** How many; 0: none waits. */
  count = 0;
  /** The payload of all of them, and of the first. */
  bytes = 0;
  private size = 0;
  /** The sequence number of the one that would be next. */
  private next = 0;
  /** Nothing may follow what waits. */
  isComplete = false;
  /** The headers of the first; made when something is merged for the first time. */
  private held: Frame | null = null;

  /** `headers`: bytes of the frame's. */
  begin(frame: Frame, headers: number): void {
    const held = this.held ??= new Frame();
    held.clear();
    held.memory.bytes.set(frame.memory.bytes.subarray(0, FRAME_START + headers), 0);
    held.length = headers;
    held.device = frame.device;
    held.checksumVerified = true;
    this.count = 1;
    this.size = this.bytes = frame.totalLength - headers;
    this.next = (frame.memory.view.getInt32(SEQUENCE) + this.size) | 0;
    this.isComplete = false;
  }

  /** Whether `frame` is what comes next of the same. */
  isContinuedBy(frame: Frame): boolean {
    const held = this.held!;
    const { view, words } = frame.memory;
    const length = frame.totalLength - held.length;
    return frame.device === held.device && view.getInt32(SEQUENCE) === this.next && length > 0 &&
      length <= this.size &&
      held.length + this.bytes + length <= MOST_BYTES &&
      view.getUint16(TOTAL_LENGTH) === frame.totalLength - ETHERNET_HEADER &&
      isAlike(words, held.memory.words, (FRAME_START + held.length) >> 2) && isSound(frame);
  }

  join(frame: Frame): void {
    const held = this.held!;
    const length = frame.totalLength - held.length;
    const pushes = frame.memory.bytes[FLAGS + 1] & PSH;
    held.memory.bytes[FLAGS + 1] |= pushes;
    this.isComplete = pushes !== 0 || length < this.size;
    this.count++;
    this.bytes += length;
    this.next = (this.next + length) | 0;
  }

  /** All that waited, as the frame that a device would have made of it; the payload is in its place. */
  take(): Frame {
    const held = this.held!;
    const { memory } = held;
    const { view } = memory;
    if (this.count > 1) {
      view.setUint16(TOTAL_LENGTH, held.length - ETHERNET_HEADER + this.bytes);
      view.setUint16(IP + IPV4_CHECKSUM_OFFSET, 0);
      view.setUint16(IP + IPV4_CHECKSUM_OFFSET, fold(sum(memory, IP, IPV4_HEADER)));
      held.gsoSize = this.size;
    }
    held.payload.length1 = this.bytes;
    this.count = this.bytes = 0;
    return held;
  }
}

/** Has a frame wait for those that follow it; false: it does not go with what waits, or need not wait. */
export function merge(core: Core, frame: Frame): boolean {
  const { merged, expected } = core;
  if (!merged.isOpen || frame.gsoSize > 0) return false;
  if (merged.count > 0 ? !merged.isContinuedBy(frame) : !mayBegin(core, frame)) return false;
  if (frame.payload.length1 === 0) place(core, frame);
  if (merged.count > 0) merged.join(frame);
  else merged.begin(frame, expected.headers);
  return true;
}

/** What is pushed is to be taken in at once; what has other flags, one by one. */
function mayBegin(core: Core, frame: Frame): boolean {
  return core.expected.connection !== null && (frame.memory.view.getUint16(FLAGS) & FLAGS_MASK) === ACK &&
    isAsExpected(core, frame) && (frame.payload.length1 > 0 || receiverOf(core) !== null);
}

/**
 * Whether two headers, up to the word `length`, differ in nothing but what segments of a burst differ in:
 * lengths, identification, checksums, sequence number, PSH.
 */
function isAlike(a: Uint32Array, b: Uint32Array, length: number): boolean {
  // Words as the machine reads them: what lies first is the low half (all that Deno runs on is little-endian).
  const differ = ((a[FIRST] ^ b[FIRST]) >>> 16) | (a[FIRST + 1] ^ b[FIRST + 1]) |
    (a[FIRST + 2] ^ b[FIRST + 2]) | (a[FIRST + 3] ^ b[FIRST + 3]) |
    ((a[FIRST + 4] ^ b[FIRST + 4]) & 0xffff) | ((a[FIRST + 5] ^ b[FIRST + 5]) >>> 16) |
    ((a[FIRST + 6] ^ b[FIRST + 6]) & 0xffff) |
    (a[FIRST + 7] ^ b[FIRST + 7]) | (a[FIRST + 8] ^ b[FIRST + 8]) | (a[FIRST + 9] ^ b[FIRST + 9]) |
    (a[FIRST + 11] ^ b[FIRST + 11]) |
    ((a[FIRST + 12] ^ b[FIRST + 12]) & ~(PSH << 8)) | ((a[FIRST + 13] ^ b[FIRST + 13]) >>> 16);
  if (differ !== 0) return false;
  for (let i = FIRST + 14; i < length; i++) if (a[i] !== b[i]) return false;
  return true;
}
