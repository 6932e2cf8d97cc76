import type { Memory } from "../buffer/memory.ts";
import { type IpAddress, MAC_BROADCAST, MAC_ZERO, type MacAddress } from "../wire/address.ts";
import { ARP_REPLY, ARP_REQUEST, ArpHeader, emitArp } from "../wire/arp.ts";
import { emitEthernet, ETHER_TYPE, ETHERNET_HEADER, EthernetHeader } from "../wire/ethernet.ts";

/** A power of two. Requests that find it full are asked again a second later, and so are answers. */
const CAPACITY = 64;

class Slot {
  readonly arp = new ArpHeader();
  to: MacAddress = 0;
}

/** The ARP packets that are to be sent. */
export class ArpQueue {
  private readonly slots: Slot[] = Array.from({ length: CAPACITY }, () => new Slot());
  private readonly ethernet = new EthernetHeader();
  private head = 0;
  private count = 0;

  constructor(private readonly mac: MacAddress) {}

  get length(): number {
    return this.count;
  }

  /** Asks who has `target`; of everybody, or of `to` alone. `source` 0 makes it an RFC 5227 probe. */
  request(source: IpAddress, target: IpAddress, to: MacAddress): void {
    this.push(ARP_REQUEST, source, MAC_ZERO, target, to);
  }

  /** Tells `to`, whose IP address is `target`, that `source` is ours. */
  reply(source: IpAddress, target: IpAddress, to: MacAddress): void {
    this.push(ARP_REPLY, source, to, target, to);
  }

  /** RFC 5227 1.1: an announcement is a request for our own address. */
  announce(address: IpAddress): void {
    this.push(ARP_REQUEST, address, MAC_ZERO, address, MAC_BROADCAST);
  }

  /** Writes the first frame at `offset`; returns its bytes, 0 when there is none. */
  emit(memory: Memory, offset: number): number {
    if (this.count === 0) return 0;
    const slot = this.slots[this.head];
    this.head = (this.head + 1) & (CAPACITY - 1);
    this.count--;
    this.ethernet.destination = slot.to;
    this.ethernet.source = this.mac;
    this.ethernet.etherType = ETHER_TYPE.arp;
    emitEthernet(memory, offset, this.ethernet);
    return ETHERNET_HEADER + emitArp(memory, offset + ETHERNET_HEADER, slot.arp);
  }

  private push(
    operation: number,
    source: IpAddress,
    targetMac: MacAddress,
    target: IpAddress,
    to: MacAddress,
  ): void {
    if (this.count === CAPACITY) return;
    const slot = this.slots[(this.head + this.count) & (CAPACITY - 1)];
    this.count++;
    const arp = slot.arp;
    arp.operation = operation;
    arp.senderMac = this.mac;
    arp.senderIp = source;
    arp.targetMac = targetMac;
    arp.targetIp = target;
    slot.to = to;
  }
}
