import type { Memory } from "../buffer/memory.ts";
import type { MemoryPool } from "../buffer/memory_pool.ts";
import type { IpAddress } from "../wire/address.ts";

/**
 * An IP payload that waits: for its turn to be sent, for its neighbor's address, or to be read by a program. Small and
 * rare things travel so (ICMP, UDP, resets); the segments of connections never do.
 */
export class Packet {
  next: Packet | null = null;
  /** From a MemoryPool; the payload begins at `offset`. */
  memory: Memory | null = null;
  offset = 0;
  length = 0;
  protocol = 0;
  source: IpAddress = 0;
  destination: IpAddress = 0;
  ttl = 0;
  /** DSCP and ECN, the old TOS octet. */
  tos = 0;
  /** It is dropped rather than fragmented, here and by routers (DF). */
  dontFragment = false;
  /** DF as long as it fits the path MTU: so that it is found out (RFC 1191), but what is larger gets there too. */
  discoversMtu = false;
  /** Only the device's MTU counts: what ICMP told of the path does not. */
  ignoresPathMtu = false;
  /** Its bytes begin with its IP header: it is passed on, or a program wrote it. Protocol and addresses are here too. */
  hasHeader = false;
  /** With `hasHeader`: where in it a device is to begin the checksum; -1: it is complete. See `Frame`. */
  checksumStart = -1;
  checksumOffset = 0;
  /** Payload bytes of each segment or datagram that it is to be cut into, or was put together from; 0: it is one. */
  gsoSize = 0;
  /** A program wrote what is in it: nobody vouches for its checksums. */
  isUnverified = false;
  /** Payload bytes that went out in fragments already. */
  sent = 0;
  /** Of the fragments; chosen with the first. */
  identification = 0;
  /** The socket that sent it, to be told if nobody answers for the next hop; -1: none. */
  socket = -1;

  // Of a received message, beside the above:
  sourcePort = 0;
  destinationPort = 0;
  /** DATAGRAM_DATA or DATAGRAM_ERROR. */
  kind: 0 | 1 = 0;
  icmpType = 0;
  icmpCode = 0;
  errno = 0;
  mtu = 0;
  /** Who reported an error. */
  reporter: IpAddress = 0;
  receivedAtUs = 0;
  /** The options that its IP header had; null: none, as nearly always. */
  ipOptions: Uint8Array | null = null;
}

/** Packets kept for reuse at most; a burst above it is left to the garbage collector. */
const MAX_SPARE = 1024;

/** Spare packets, so that a flood of pings allocates nothing. */
export class PacketPool {
  private spare: Packet | null = null;
  private spareCount = 0;

  constructor(private readonly memory: MemoryPool) {}

  /** A packet with room for `length` bytes at offset 0 and every other field at its default. */
  acquire(length: number): Packet {
    let packet = this.spare;
    if (packet === null) {
      packet = new Packet();
    } else {
      this.spare = packet.next;
      this.spareCount--;
      packet.next = null;
    }
    packet.memory = this.memory.acquire(length);
    packet.offset = 0;
    packet.length = length;
    packet.ttl =
      packet.tos =
      packet.sourcePort =
      packet.destinationPort =
        0;
    packet.icmpType =
      packet.icmpCode =
      packet.errno =
      packet.mtu =
      packet.reporter =
        0;
    packet.kind = 0;
    packet.dontFragment =
      packet.discoversMtu =
      packet.ignoresPathMtu =
      packet.hasHeader =
      packet.isUnverified =
        false;
    packet.checksumStart = -1;
    packet.checksumOffset = packet.gsoSize = 0;
    packet.sent = packet.identification = 0;
    packet.socket = -1;
    packet.ipOptions = null;
    return packet;
  }

  release(packet: Packet): void {
    if (packet.memory !== null) this.memory.release(packet.memory);
    packet.memory = null;
    if (this.spareCount >= MAX_SPARE) return;
    packet.next = this.spare;
    this.spare = packet;
    this.spareCount++;
  }
}

/** First in, first out. */
export class PacketQueue {
  private head: Packet | null = null;
  private tail: Packet | null = null;
  count = 0;
  /** Payload bytes of all. */
  bytes = 0;

  get first(): Packet | null {
    return this.head;
  }

  push(packet: Packet): void {
    packet.next = null;
    if (this.tail === null) this.head = packet;
    else this.tail.next = packet;
    this.tail = packet;
    this.count++;
    this.bytes += packet.length;
  }

  /** Puts one back to the front. */
  unshift(packet: Packet): void {
    packet.next = this.head;
    this.head = packet;
    if (this.tail === null) this.tail = packet;
    this.count++;
    this.bytes += packet.length;
  }

  /** Puts all of `other`, which is empty then, before the first. */
  prepend(other: PacketQueue): void {
    if (other.tail === null) return;
    other.tail.next = this.head;
    this.head = other.head;
    this.tail ??= other.tail;
    this.count += other.count;
    this.bytes += other.bytes;
    other.head = other.tail = null;
    other.count = other.bytes = 0;
  }

  shift(): Packet | null {
    const packet = this.head;
    if (packet === null) return null;
    this.head = packet.next;
    if (this.head === null) this.tail = null;
    packet.next = null;
    this.count--;
    this.bytes -= packet.length;
    return packet;
  }

  /** The first `length` bytes of the first one, which has more, were taken. */
  takeFromFirst(length: number): void {
    const packet = this.head!;
    packet.offset += length;
    packet.length -= length;
    this.bytes -= length;
  }

  /** Gives all packets back to `pool`; returns how many. */
  clear(pool: PacketPool): number {
    const count = this.count;
    for (let packet = this.shift(); packet !== null; packet = this.shift()) pool.release(packet);
    return count;
  }
}
