/**
 * IPv4 and Ethernet addresses as plain numbers: no allocation to hold, compare or copy one.
 *
 * An IP address is an int32, the first octet in the highest bits (192.168.0.1 is 0xC0A80001 | 0, a negative number).
 * Transports treat it as opaque: they compare with `===` and call the functions here.
 */

/** An IPv4 address as an int32; opaque outside the IP layer. */
export type IpAddress = number;
/** A 48-bit Ethernet address in a double, the first octet in the highest bits. */
export type MacAddress = number;

/** 0.0.0.0: no address yet, or any local address. */
export const ANY: IpAddress = 0;
/** 255.255.255.255, the limited broadcast. */
export const BROADCAST: IpAddress = -1;

export const MAC_ZERO: MacAddress = 0;
export const MAC_BROADCAST: MacAddress = 0xffff_ffff_ffff;

const TWO_POW_32 = 0x1_0000_0000;
const TWO_POW_40 = 0x100_0000_0000;

// As inet_pton(3): four decimal octets, no leading zeros, which other programs read as octal.
const OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
const DOTTED_QUAD = new RegExp(`^${OCTET}\\.${OCTET}\\.${OCTET}\\.${OCTET}$`);
const CIDR = /^([0-9.]+)\/(3[0-2]|[12]?[0-9])$/;
const MAC = /^[0-9a-f]{1,2}(?:[:-][0-9a-f]{1,2}){5}$/i;

/** Reads dotted decimal ("10.0.0.4"); null if it is anything else (short forms and leading zeros are refused). */
export function parseIp(text: string): IpAddress | null {
  const octets = DOTTED_QUAD.exec(text);
  if (octets === null) return null;
  return (Number(octets[1]) << 24) | (Number(octets[2]) << 16) | (Number(octets[3]) << 8) | Number(octets[4]);
}

/** Dotted decimal. */
export function formatIp(address: IpAddress): string {
  return `${address >>> 24}.${(address >> 16) & 0xff}.${(address >> 8) & 0xff}.${address & 0xff}`;
}

/** Reads "10.0.0.4/24"; null if it is anything else. The address keeps its host part. */
export function parseCidr(text: string): { address: IpAddress; prefixLength: number } | null {
  const parts = CIDR.exec(text);
  if (parts === null) return null;
  const address = parseIp(parts[1]);
  return address === null ? null : { address, prefixLength: Number(parts[2]) };
}

/** The network mask of a prefix length of 0 to 32 bits, an int32. */
export function maskOf(prefixLength: number): number {
  // A shift by 32 is a shift by 0 in JavaScript.
  return prefixLength === 0 ? 0 : -1 << (32 - prefixLength);
}

/** 224.0.0.0/4 (RFC 1112 4). */
export function isMulticast(address: IpAddress): boolean {
  return (address >>> 28) === 0xe;
}

/**
 * Whether `address` is the directed broadcast of the network that `net` lies in (RFC 922 7); also true for
 * 255.255.255.255. Networks of /31 and /32 have no directed broadcast (RFC 3021 2.1).
 */
export function isBroadcastOf(address: IpAddress, net: IpAddress, prefixLength: number): boolean {
  if (address === BROADCAST) return true;
  return prefixLength < 31 && address === (net | ~maskOf(prefixLength));
}

/** 127.0.0.0/8 (RFC 1122 3.2.1.3). */
export function isLoopback(address: IpAddress): boolean {
  return (address >>> 24) === 127;
}

/** Reads six hexadecimal octets between colons or dashes; null if it is anything else. */
export function parseMac(text: string): MacAddress | null {
  if (!MAC.test(text)) return null;
  return text.split(/[:-]/).reduce((mac, octet) => mac * 256 + parseInt(octet, 16), 0);
}

/** Lower-case hexadecimal octets between colons. */
export function formatMac(mac: MacAddress): string {
  const digits = mac.toString(16).padStart(12, "0");
  return digits.replace(/(..)(?!$)/g, "$1:");
}

/** Whether the group bit is set: multicast, and broadcast too (IEEE 802.3 3.2.3). */
export function isMulticastMac(mac: MacAddress): boolean {
  return ((mac / TWO_POW_40) & 1) === 1;
}

/** The six bytes at `offset`. */
export function readMac(view: DataView, offset: number): MacAddress {
  return view.getUint16(offset) * TWO_POW_32 + view.getUint32(offset + 2);
}

/** Writes six bytes at `offset`. */
export function writeMac(view: DataView, offset: number, mac: MacAddress): void {
  view.setUint16(offset, mac / TWO_POW_32);
  // setUint32 keeps the low 32 bits of a double of any size exactly.
  view.setUint32(offset + 2, mac);
}
