import type { Memory, Slices } from "../lib/buffer/memory.ts";
import { type Libc, libc, resultOf } from "./libc.ts";
import { addressOf, Block, IoVectors } from "./memory.ts";

const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;

export const MSG_OOB = 0x1;
export const MSG_PEEK = 0x2;
export const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;

// struct msghdr { void *name; socklen_t; struct iovec *vectors; size_t; void *control; size_t; int flags; }
const MSGHDR = 56;
const VECTORS = 16;
const VECTOR_COUNT = 24;
const CONTROL = 32;
const CONTROL_LENGTH = 40;
const FLAGS = 48;

// struct cmsghdr { size_t length; int level, type; }, then the descriptors
const CMSG_DATA = 16;
/** Room for one descriptor and not a byte more: in the padding a second one, sent by a stranger, would be installed. */
const CMSG_LENGTH = CMSG_DATA + 4;

/** The structures of one thread's calls, which are synchronous: one set is enough. */
class Calls {
  readonly libc: Libc = libc();
  readonly vectors = new IoVectors(2);
  /** Without control data. */
  readonly plain = new Block(MSGHDR);
  readonly withControl = new Block(MSGHDR);
  readonly control = new Block(CMSG_LENGTH);

  constructor() {
    this.plain.setAddress(VECTORS, this.vectors.address);
    this.withControl.setAddress(VECTORS, this.vectors.address);
    this.withControl.setAddress(CONTROL, this.control.address);
  }

  /** Points the vectors at both slices; what they point at belongs to the caller, who holds it during the call. */
  aimAtSlices(message: Block, slices: Slices): void {
    const { memory, length2 } = slices;
    if (memory !== null) {
      const address = addressOf(memory);
      this.vectors.set(0, address + slices.offset1, slices.length1);
      if (length2 > 0) this.vectors.set(1, address + slices.offset2, length2);
    }
    message.words[VECTOR_COUNT >> 2] = memory === null ? 0 : length2 > 0 ? 2 : 1;
  }

  aimAtBytes(message: Block, memory: Memory, offset: number, length: number): void {
    if (!(offset >= 0 && length >= 0 && offset + length <= memory.size)) {
      throw new RangeError(
        `Cannot transfer ${length} bytes at ${offset}: the memory has ${memory.size} bytes`,
      );
    }
    this.vectors.set(0, addressOf(memory) + offset, length);
    message.words[VECTOR_COUNT >> 2] = 1;
  }
}

let shared: Calls | null = null;

function calls(): Calls {
  return shared ??= new Calls();
}

/**
 * Fills the slices, in order, from a socket; never blocks. Bytes, 0 at the end of the stream, or -errno (EAGAIN,
 * ECONNRESET). `flags`: MSG_PEEK, MSG_TRUNC, MSG_OOB.
 */
export function receiveSlices(fd: number, slices: Slices, flags = 0): number {
  const call = calls();
  call.aimAtSlices(call.plain, slices);
  return resultOf(call.libc.recvmsg(fd, call.plain.pointer, flags | MSG_DONTWAIT));
}

/** Sends the slices, in order; never blocks, never raises SIGPIPE. Bytes taken, or -errno (EAGAIN, EPIPE, ECONNRESET). */
export function sendSlices(fd: number, slices: Slices, flags = 0): number {
  const call = calls();
  call.aimAtSlices(call.plain, slices);
  // sendmsg and not writev: it alone takes MSG_NOSIGNAL, and both take 700 ns (64 bytes, with the reading).
  return resultOf(call.libc.sendmsg(fd, call.plain.pointer, flags | MSG_DONTWAIT | MSG_NOSIGNAL));
}

/** As `receiveSlices`, into one run of bytes. Throws `RangeError` if it lies outside the memory. */
export function receiveBytes(fd: number, memory: Memory, offset: number, length: number, flags = 0): number {
  const call = calls();
  call.aimAtBytes(call.plain, memory, offset, length);
  return resultOf(call.libc.recvmsg(fd, call.plain.pointer, flags | MSG_DONTWAIT));
}

/** As `sendSlices`, from one run of bytes. Throws `RangeError` if it lies outside the memory. */
export function sendBytes(fd: number, memory: Memory, offset: number, length: number, flags = 0): number {
  const call = calls();
  call.aimAtBytes(call.plain, memory, offset, length);
  return resultOf(call.libc.sendmsg(fd, call.plain.pointer, flags | MSG_DONTWAIT | MSG_NOSIGNAL));
}

/**
 * Sends bytes (at least one, on a stream) with a descriptor attached, which the receiver gets as one of its own. Ours
 * stays open. Bytes taken, the descriptor going with the first of them, or -errno (EAGAIN; ETOOMANYREFS).
 */
export function sendDescriptor(
  fd: number,
  descriptor: number,
  memory: Memory,
  offset: number,
  length: number,
): number {
  const call = calls();
  call.aimAtBytes(call.withControl, memory, offset, length);
  const { words } = call.control;
  words[0] = CMSG_LENGTH;
  words[1] = 0;
  words[2] = SOL_SOCKET;
  words[3] = SCM_RIGHTS;
  words[CMSG_DATA >> 2] = descriptor;
  call.withControl.words[CONTROL_LENGTH >> 2] = CMSG_LENGTH;
  return resultOf(call.libc.sendmsg(fd, call.withControl.pointer, MSG_DONTWAIT | MSG_NOSIGNAL));
}

/** Where `receiveDescriptor` puts what came. */
export class ReceivedDescriptor {
  /** Close-on-exec, and now the caller's to close; -1: the bytes came without one. */
  fd = -1;
}

/**
 * Receives bytes and the descriptor that may be attached to them; of several only the first is taken. Bytes, 0 at the
 * end of the stream, or -errno.
 */
export function receiveDescriptor(
  fd: number,
  memory: Memory,
  offset: number,
  length: number,
  received: ReceivedDescriptor,
): number {
  const call = calls();
  const message = call.withControl;
  call.aimAtBytes(message, memory, offset, length);
  message.words[CONTROL_LENGTH >> 2] = CMSG_LENGTH;
  message.words[FLAGS >> 2] = 0;
  const count = resultOf(call.libc.recvmsg(fd, message.pointer, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
  const { words } = call.control;
  const attached = count >= 0 && message.words[CONTROL_LENGTH >> 2] >= CMSG_LENGTH &&
    words[2] === SOL_SOCKET && words[3] === SCM_RIGHTS;
  received.fd = attached ? words[CMSG_DATA >> 2] : -1;
  return count;
}
