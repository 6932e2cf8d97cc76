import { type IpAddress, MAC_ZERO, type MacAddress, maskOf } from "../wire/address.ts";
import { ArpQueue } from "./arp_queue.ts";
import { Burst } from "./burst.ts";
import type { Connection } from "./connection.ts";
import { NeighborTable } from "./neighbor.ts";
import { PacketQueue } from "./packet.ts";
import type { LocalAddress } from "./routes.ts";
import type { StackFeatures } from "./socket_types.ts";

/** The index of the loopback, as on Linux; devices follow. */
export const LOOPBACK_INDEX = 1;
/** The largest packet that the host sends itself: as Linux's `lo`. */
const LOOPBACK_MTU = 65536;

/** What an interface is made from, see `InterfaceConfig`. */
export interface InterfaceParts {
  /** As ip(8) numbers them: from 1. */
  index: number;
  name: string;
  mac: MacAddress;
  mtu: number;
  features: StackFeatures;
  /** Its place among the devices, see `Frame.device`; -1: there is none behind it. */
  device: number;
}

/** An address of this host, on an interface. */
export class InterfaceAddress implements LocalAddress {
  /** How often the link was told (RFC 5227 2.3). */
  announced = 0;
  /** When it is told next; Infinity: enough was said. */
  announceAtUs = Infinity;
  /** When the address was last defended (RFC 5227 2.4). */
  defendedAtUs = -Infinity;

  constructor(
    readonly address: IpAddress,
    readonly prefixLength: number,
    readonly link: Interface,
  ) {}

  /** Without host bits. */
  get network(): IpAddress {
    return this.address & maskOf(this.prefixLength);
  }

  contains(address: IpAddress): boolean {
    return (address & maskOf(this.prefixLength)) === this.network;
  }

  /** As Linux: an address is secondary to an earlier one of the same network on the same interface. */
  get isSecondary(): boolean {
    for (const other of this.link.addresses) {
      if (other === this) return false;
      if (other.prefixLength === this.prefixLength && other.network === this.network) return true;
    }
    return false;
  }
}

/** One of the host's ends of a link: its addresses there, and what it knows of its neighbors. */
export class Interface {
  readonly index: number;
  readonly name: string;
  readonly mac: MacAddress;
  /** Largest IP packet, bytes. */
  readonly mtu: number;
  readonly features: StackFeatures;
  readonly device: number;
  /** In the order in which they were added. */
  readonly addresses: InterfaceAddress[] = [];
  readonly arp: ArpQueue;
  readonly neighbors: NeighborTable;
  /** The device takes no frame now: who has something for it waits here. */
  isFull = false;
  /** What of a connection's segments is still to be cut and sent before anybody else's. */
  readonly burst = new Burst(this);
  readonly waitingPackets = new PacketQueue();
  readonly waitingConnections: Connection[] = [];

  constructor(parts: InterfaceParts, random: () => number) {
    this.index = parts.index;
    this.name = parts.name;
    this.mac = parts.mac;
    this.mtu = parts.mtu;
    this.features = parts.features;
    this.device = parts.device;
    this.arp = new ArpQueue(parts.mac);
    this.neighbors = new NeighborTable(this, random);
  }

  /** `lo`. */
  static loopback(random: () => number): Interface {
    const features = { checksum: true, segmentation: true };
    return new Interface(
      { index: LOOPBACK_INDEX, name: "lo", mac: MAC_ZERO, mtu: LOOPBACK_MTU, features, device: -1 },
      random,
    );
  }

  get isLoopback(): boolean {
    return this.index === LOOPBACK_INDEX;
  }

  /**
   * The address to use here towards `nextHop` (RFC 1122 3.3.4.3): the one in its network, else the first; 0: there is
   * none. `nextHop` 0: the first.
   */
  sourceFor(nextHop: IpAddress): IpAddress {
    if (nextHop !== 0) {
      for (const own of this.addresses) if (own.contains(nextHop)) return own.address;
    }
    return this.addresses.length > 0 ? this.addresses[0].address : 0;
  }
}
