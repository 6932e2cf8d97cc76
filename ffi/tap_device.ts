import { type Frame, FRAME_START } from "../lib/buffer/frame.ts";
import type { Device, DeviceFeatures } from "../lib/device.ts";
import { EAGAIN, EINTR, EINVAL, EIO, ENOMEM } from "../lib/errno.ts";
import { EBADFD, errnoText, SysError } from "./errno.ts";
import { InterfaceRequest } from "./interface_request.ts";
import { readMtu } from "./interface.ts";
import { check, closeDescriptor, errno, libc } from "./libc.ts";
import { addressOf, Block, IoVectors } from "./memory.ts";

const TUNSETPERSIST = 0x400454cb;
const TUNSETOWNER = 0x400454cc;
const TUNSETOFFLOAD = 0x400454d0;
const TUNGETIFF = 0x800454d2;
const TUNSETVNETHDRSZ = 0x400454d8;
const IFF_TAP = 0x0002;
const IFF_PERSIST = 0x0800;
const IFF_VNET_HDR = 0x4000;
const TUN_F_CSUM = 1;
const TUN_F_TSO4 = 2;
/** Linux 6.2, which takes both or none: UDP datagrams come as a program gave them (UDP_SEGMENT), and may go out so. */
const TUN_F_USO = 0x20 | 0x40;

/** Ethernet header and one VLAN tag: what a frame may be longer than the largest IP packet. */
const LINK_OVERHEAD = 18;

/** struct virtio_net_hdr without the number of buffers, which a TAP never fills in. */
const VNET_HEADER = 10;
const VNET_NEEDS_CHECKSUM = 1;
const VNET_CHECKSUM_VALID = 2;
const VNET_GSO_TCPV4 = 1;
const VNET_GSO_UDP = 5;
const UDP_HEADER = 8;

/** Unusable frames passed over in one `receive`, so that a flood of them cannot hold the loop. */
const MOST_PASSED_OVER = 64;

/** Where the header lies in a frame's memory. */
const VNET_START = FRAME_START - VNET_HEADER;

/** Frames that a TAP lost, by reason. */
export interface TapCounters {
  /** Came in larger than MTU + 18, or than the frame's memory. */
  receivedOversized: number;
  /** Were to go out larger than MTU + 18 without segmentation. */
  sentOversized: number;
  /** Went out while the kernel's interface was down. */
  sentWhileDown: number;
  /** The kernel refused: a header that contradicts the frame, or no memory. */
  sentRefused: number;
}

export interface TapDeviceOptions {
  /** Largest IP packet, bytes; that of the kernel's interface if left out. */
  mtu?: number;
}

/**
 * A TAP: Ethernet frames to and from the kernel.
 *
 * A frame goes out as one writev of its headers and the ring buffer's slices as they lie, and comes in as one readv into
 * the frame's memory: no payload byte is touched here, and nothing is allocated (400-500 ns a frame of 1514 bytes each
 * way, most of it the kernel's; tests/ffi/tap_throughput.ts). Opened with a vnet header (`openTap`), the kernel takes and
 * gives TCP segments, and UDP datagrams of one size, of up to 64 KB and does the checksums; the header travels in the first vector.
 *
 * The descriptor is readable when a frame came in (to be watched level-triggered: `receive` may stop for a while in a
 * flood of unusable frames), and shows EPOLLERR when the interface was deleted: `receive` then throws `SysError` (EBADFD).
 */
export class TapDevice implements Device {
  readonly name: string;
  readonly mtu: number;
  readonly features: DeviceFeatures;
  readonly fd: number;
  readonly deadline = Infinity;
  /** The interface outlives this descriptor. */
  readonly persistent: boolean;
  readonly counters: TapCounters = {
    receivedOversized: 0,
    sentOversized: 0,
    sentWhileDown: 0,
    sentRefused: 0,
  };

  readonly #libc = libc();
  readonly #largest: number;
  /** 10, or 0 without vnet headers. */
  readonly #headerSize: number;
  readonly #vectors = new IoVectors(3);
  #closed = false;

  private constructor(fd: number, request: InterfaceRequest, options: TapDeviceOptions) {
    this.fd = fd;
    this.name = request.name;
    this.persistent = (request.flags & IFF_PERSIST) !== 0;
    this.mtu = options.mtu ?? readMtu(this.name);
    this.#largest = this.mtu + LINK_OVERHEAD;
    this.#headerSize = (request.flags & IFF_VNET_HDR) !== 0 ? VNET_HEADER : 0;
    const offload = this.#negotiate();
    const udpSegmentation = offload && this.#offload(TUN_F_CSUM | TUN_F_TSO4 | TUN_F_USO);
    this.features = { checksum: offload, segmentation: offload, udpSegmentation };
  }

  /**
   * A TAP that was opened elsewhere: by another thread of this process, or before an exec. The device takes the
   * descriptor over. Throws `SysError` if `fd` is none of a TAP (ENOTTY, EBADF, EBADFD).
   */
  static fromFd(fd: number, options: TapDeviceOptions = {}): TapDevice {
    const request = new InterfaceRequest("");
    if (libc().ioctl(fd, TUNGETIFF, request.bytes) < 0) {
      const error = errno();
      throw new SysError("ioctl", error, `Cannot use descriptor ${fd} as a TAP: ${errnoText(error)}`);
    }
    if ((request.flags & IFF_TAP) === 0) {
      throw new SysError("ioctl", EINVAL, `Cannot use ${request.name} as a TAP: it is a TUN`);
    }
    return new TapDevice(fd, request, options);
  }

  receive(frame: Frame, _now = 0): boolean {
    const header = this.#headerSize;
    for (let i = 0; i < MOST_PASSED_OVER; i++) {
      const { headers, payload, memory } = frame;
      if (headers === 0) payload.clear();
      // One byte more than the largest frame tells a truncated one. With vnet headers up to 64 KB may come.
      const room = headers > 0 ? headers + payload.length : memory.size - FRAME_START;
      const capacity = header > 0 ? room : Math.min(room, this.#largest + 1);
      const vectors = this.#aim(frame, headers > 0 ? headers : capacity);
      const count = this.#libc.readv(this.fd, this.#vectors.pointer, vectors);
      if (count < 0) {
        const error = errno();
        if (error === EAGAIN) return false;
        if (error === EINTR) continue;
        throw this.#failed("readv", error);
      }
      const length = count - header;
      this.#spread(frame, length);
      if (header > 0) readVnetHeader(frame);
      if (length < capacity && (length <= this.#largest || frame.gsoSize > 0)) return true;
      this.counters.receivedOversized++;
      frame.clear();
    }
    return false;
  }

  /**
   * Points the vectors at a frame: the vnet header and `length` bytes in its memory, which follow each other there, then the
   * pieces of the payload; how many vectors these are.
   */
  #aim(frame: Frame, length: number): number {
    const { memory, payload } = frame;
    const vectors = this.#vectors;
    const header = this.#headerSize;
    vectors.set(0, addressOf(memory) + FRAME_START - header, header + length);
    if (payload.memory === null || payload.length1 === 0) return 1;
    const address = addressOf(payload.memory);
    vectors.set(1, address + payload.offset1, payload.length1);
    if (payload.length2 === 0) return 2;
    vectors.set(2, address + payload.offset2, payload.length2);
    return 3;
  }

  /** `length` bytes came, to where `#aim` pointed. */
  #spread(frame: Frame, length: number): void {
    const { headers, payload } = frame;
    frame.checksumStart = -1;
    frame.checksumOffset = frame.gsoSize = 0;
    frame.checksumVerified = false;
    frame.length = headers > 0 ? Math.min(length, headers) : length;
    const rest = length - frame.length;
    payload.length1 = Math.min(payload.length1, rest);
    payload.length2 = rest - payload.length1;
  }

  /**
   * Sends a frame. A frame that can never go out (too large, interface down) is lost and counted, as on a wire; `false`
   * means only "not now". Throws `SysError` when the TAP is gone, and `RangeError` if the frame asks for an offload that
   * `features` does not promise.
   */
  send(frame: Frame, _now = 0): boolean {
    if (frame.gsoSize === 0 && frame.totalLength > this.#largest) {
      this.counters.sentOversized++;
      return true;
    }
    if (this.#headerSize > 0) {
      writeVnetHeader(frame);
    } else if (frame.checksumStart >= 0 || frame.gsoSize > 0) {
      throw new RangeError(
        `Cannot send the frame: ${this.name} has no offload, and the frame leaves it work`,
      );
    }
    const vectors = this.#aim(frame, frame.length);
    // The addresses written above belong to `frame`, which the caller holds; this thread cannot collect before the call
    // is over, and no address is used in a later call without being written anew.
    const written = this.#libc.writev(this.fd, this.#vectors.pointer, vectors);
    return written >= 0 || this.#sendFailed(errno());
  }

  advance(_now = 0): void {}

  /**
   * Makes the interface outlive this descriptor (or no longer), so that the user `owner` (a uid) can attach to it later
   * without privilege. Throws `SysError` (EPERM; EINVAL for a uid that this user namespace does not know).
   */
  setPersistent(persistent: boolean, owner?: number): void {
    if (owner !== undefined) this.#set(TUNSETOWNER, owner, `give ${this.name} to user ${owner}`);
    this.#set(TUNSETPERSIST, persistent ? 1 : 0, `make ${this.name} persistent`);
  }

  #set(request: number, value: number, what: string): void {
    if (this.#libc.ioctl_value(this.fd, request, BigInt(value)) >= 0) return;
    const error = errno();
    throw new SysError("ioctl", error, `Cannot ${what}: ${errnoText(error)}`);
  }

  /** Closes the descriptor; an interface that is not persistent disappears with it. */
  close(): void {
    if (!this.#closed) closeDescriptor(this.fd);
    this.#closed = true;
  }

  /**
   * Tells the kernel what it may hand over: checksums left undone and large segments, or neither. Said in both cases,
   * because a persistent interface remembers what the last program took, and without vnet headers its packets with
   * unfinished checksums would come in unmarked.
   */
  #negotiate(): boolean {
    if (this.#headerSize === 0) {
      this.#libc.ioctl_value(this.fd, TUNSETOFFLOAD, 0n);
      return false;
    }
    const size = new Block(4);
    size.view.setInt32(0, VNET_HEADER, true);
    check("ioctl", this.#libc.ioctl(this.fd, TUNSETVNETHDRSZ, size.bytes));
    return this.#offload(TUN_F_CSUM | TUN_F_TSO4);
  }

  #offload(flags: number): boolean {
    return this.#libc.ioctl_value(this.fd, TUNSETOFFLOAD, BigInt(flags)) >= 0;
  }

  #sendFailed(error: number): boolean {
    if (error === EAGAIN || error === EINTR) return false;
    if (error === EIO) this.counters.sentWhileDown++;
    else if (error === EINVAL || error === ENOMEM) this.counters.sentRefused++;
    else throw this.#failed("writev", error);
    return true;
  }

  #failed(call: string, error: number): SysError {
    const why = error === EBADFD ? "the interface was deleted" : errnoText(error);
    return new SysError(call, error, `Cannot use TAP ${this.name} any longer: ${why}`);
  }
}

/** Fills in the vnet header, which lies right before the frame. */
function writeVnetHeader(frame: Frame): void {
  const { view } = frame.memory;
  const checksum = frame.checksumStart >= 0;
  const gso = frame.gsoSize === 0 ? 0 : frame.isUdpSegmented ? VNET_GSO_UDP : VNET_GSO_TCPV4;
  // flags, then gso_type; all later fields are 16 bits in the machine's byte order
  view.setUint16(VNET_START, (checksum ? VNET_NEEDS_CHECKSUM : 0) | (gso << 8), true);
  // Length of the headers: the kernel puts that much into the packet's first piece and the payload into pages. 0 for
  // packets in one piece; a segment of 64 KB without it would be one allocation of 64 KB.
  const headers = frame.isUdpSegmented ? frame.checksumStart + UDP_HEADER : frame.length;
  view.setUint16(VNET_START + 2, frame.gsoSize > 0 ? headers : 0, true);
  view.setUint16(VNET_START + 4, frame.gsoSize, true);
  view.setUint16(VNET_START + 6, checksum ? frame.checksumStart : 0, true);
  view.setUint16(VNET_START + 8, checksum ? frame.checksumOffset : 0, true);
}

/** The same of a frame that came in. */
function readVnetHeader(frame: Frame): void {
  const { view } = frame.memory;
  const flags = view.getUint8(VNET_START);
  // "Needs checksum" on the way in: the packet comes from this machine, and nobody has computed it.
  frame.checksumVerified = (flags & (VNET_CHECKSUM_VALID | VNET_NEEDS_CHECKSUM)) !== 0;
  if ((flags & VNET_NEEDS_CHECKSUM) !== 0) {
    frame.checksumStart = view.getUint16(VNET_START + 6, true);
    frame.checksumOffset = view.getUint16(VNET_START + 8, true);
  }
  frame.gsoSize = view.getUint8(VNET_START + 1) === 0 ? 0 : view.getUint16(VNET_START + 4, true);
}
