/** ARP for IPv4 over Ethernet (RFC 826). */
import type { Memory } from "../buffer/memory.ts";
import { type IpAddress, type MacAddress, readMac, writeMac } from "./address.ts";
import { DROP, type DropCode } from "./drop.ts";

/** Bytes of an ARP packet. */
export const ARP_LENGTH = 28;

export const ARP_REQUEST = 1;
export const ARP_REPLY = 2;

const HARDWARE_ETHERNET = 1;
const PROTOCOL_IPV4 = 0x0800;
const ADDRESS_LENGTHS = (6 << 8) | 4;

/** One ARP packet. Reused for every packet. */
export class ArpHeader {
  /** ARP_REQUEST or ARP_REPLY. */
  operation = 0;
  senderMac: MacAddress = 0;
  senderIp: IpAddress = 0;
  targetMac: MacAddress = 0;
  targetIp: IpAddress = 0;
}

/**
 * Parses the packet at `offset`; what follows its 28 bytes is padding. Returns 0, or a DROP code: whether the addresses
 * make sense is for the neighbor cache to say.
 */
export function parseArp(memory: Memory, offset: number, length: number, header: ArpHeader): DropCode {
  if (length < ARP_LENGTH) return DROP.arpTruncated;
  const view = memory.view;
  if (
    view.getUint16(offset) !== HARDWARE_ETHERNET ||
    view.getUint16(offset + 2) !== PROTOCOL_IPV4 ||
    view.getUint16(offset + 4) !== ADDRESS_LENGTHS
  ) return DROP.arpMalformed;
  const operation = view.getUint16(offset + 6);
  if (operation !== ARP_REQUEST && operation !== ARP_REPLY) return DROP.arpOperationUnknown;
  header.operation = operation;
  header.senderMac = readMac(view, offset + 8);
  header.senderIp = view.getInt32(offset + 14);
  header.targetMac = readMac(view, offset + 18);
  header.targetIp = view.getInt32(offset + 24);
  return DROP.none;
}

/** Writes the packet at `offset`; returns its bytes, 28. */
export function emitArp(memory: Memory, offset: number, header: ArpHeader): number {
  const view = memory.view;
  view.setUint16(offset, HARDWARE_ETHERNET);
  view.setUint16(offset + 2, PROTOCOL_IPV4);
  view.setUint16(offset + 4, ADDRESS_LENGTHS);
  view.setUint16(offset + 6, header.operation);
  writeMac(view, offset + 8, header.senderMac);
  view.setInt32(offset + 14, header.senderIp);
  writeMac(view, offset + 18, header.targetMac);
  view.setInt32(offset + 24, header.targetIp);
  return ARP_LENGTH;
}
