/** Ethernet II frames (RFC 894). */
import type { Memory } from "../buffer/memory.ts";
import { isMulticastMac, type MacAddress, readMac, writeMac } from "./address.ts";
import { DROP, type DropCode } from "./drop.ts";

/** Bytes of the header. */
export const ETHERNET_HEADER = 14;

export const ETHER_TYPE = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const;

/** One Ethernet header. Reused for every frame. */
export class EthernetHeader {
  destination: MacAddress = 0;
  source: MacAddress = 0;
  /** Below 0x600 it is the length of an IEEE 802.3 frame, which carries no IP here. */
  etherType = 0;
}

/** Parses the header of the frame of `length` bytes at `offset`. Returns 0, or a DROP code. */
export function parseEthernet(
  memory: Memory,
  offset: number,
  length: number,
  header: EthernetHeader,
): DropCode {
  if (length < ETHERNET_HEADER) return DROP.ethernetTruncated;
  const view = memory.view;
  header.destination = readMac(view, offset);
  header.source = readMac(view, offset + 6);
  header.etherType = view.getUint16(offset + 12);
  return isMulticastMac(header.source) ? DROP.ethernetSourceInvalid : DROP.none;
}

/** Writes the header at `offset`; returns its bytes, 14. */
export function emitEthernet(memory: Memory, offset: number, header: EthernetHeader): number {
  const view = memory.view;
  writeMac(view, offset, header.destination);
  writeMac(view, offset + 6, header.source);
  view.setUint16(offset + 12, header.etherType);
  return ETHERNET_HEADER;
}
