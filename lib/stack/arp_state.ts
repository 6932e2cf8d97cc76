import type { IpAddress, MacAddress } from "../wire/address.ts";
import { ArpHeader } from "../wire/arp.ts";
import { ArpQueue } from "./arp_queue.ts";

/** What ARP remembers beside the neighbors: what is to be sent, what was announced, which conflicts were seen. */
export class ArpState {
  readonly queue: ArpQueue;
  readonly header = new ArpHeader();
  /** When the next announcement of our addresses is due; Infinity when all were made. */
  announceAtUs: number;
  announced = 0;
  /** When each of our addresses was last defended (RFC 5227 2.4). */
  readonly defendedAtUs = new Map<IpAddress, number>();

  constructor(mac: MacAddress, announce: boolean) {
    this.queue = new ArpQueue(mac);
    this.announceAtUs = announce ? 0 : Infinity;
  }
}
