/** Cuts frames into fragments for tests, well and badly. */
import { fixChecksums } from "./mutate.ts";

const IP = 14;
const MORE_FRAGMENTS = 0x2000;

/** One fragment of the datagram in `frame`: its payload bytes from `start` (a multiple of 8) to before `end`. */
export function fragmentOf(
  frame: Uint8Array,
  start: number,
  end: number,
  more: boolean,
  identification: number,
): Uint8Array<ArrayBuffer> {
  const headerLength = (frame[IP] & 15) * 4;
  const payload = frame.subarray(IP + headerLength);
  const bytes = new Uint8Array(IP + headerLength + end - start);
  bytes.set(frame.subarray(0, IP + headerLength));
  bytes.set(payload.subarray(start, end), IP + headerLength);
  return asFragment(bytes, start, more, identification);
}

/** Makes a packet that has its length already the fragment at `offset`. In place. */
export function asFragment(
  bytes: Uint8Array<ArrayBuffer>,
  offset: number,
  more: boolean,
  identification: number,
): Uint8Array<ArrayBuffer> {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint16(IP + 2, bytes.length - IP);
  view.setUint16(IP + 4, identification);
  view.setUint16(IP + 6, (more ? MORE_FRAGMENTS : 0) | (offset >> 3));
  fixIpChecksum(bytes);
  return bytes;
}

/** Only the IP header's: what lies behind it in a fragment is no transport header. */
export function fixIpChecksum(bytes: Uint8Array): void {
  const header = bytes.slice(0, IP + (bytes[IP] & 15) * 4);
  header[IP + 9] = 255;
  // With a protocol that has no checksum to mend, only the IP header's is.
  fixChecksums(header);
  const difference = (header[IP + 10] << 8 | header[IP + 11]) + (255 - bytes[IP + 9]);
  const checksum = (difference & 0xffff) + (difference >>> 16);
  bytes[IP + 10] = checksum >> 8;
  bytes[IP + 11] = checksum & 255;
}

/** The fragments, in order, that a router whose next hop takes `mtu` bytes makes of the datagram in `frame`. */
export function cut(frame: Uint8Array, mtu: number, identification: number): Uint8Array<ArrayBuffer>[] {
  const headerLength = (frame[IP] & 15) * 4;
  const length = frame.length - IP - headerLength;
  const most = (mtu - headerLength) & ~7;
  const fragments = [];
  for (let start = 0; start < length; start += most) {
    const end = Math.min(length, start + most);
    fragments.push(fragmentOf(frame, start, end, end < length, identification));
  }
  return fragments;
}
