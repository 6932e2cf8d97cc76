/**
 * Damages frames the way an attacker or a broken peer would: with a sense of where the fields are, and mostly with
 * checksums that fit again, so that the damage gets past the first check.
 */
import type { Random } from "../../lib/impair/random.ts";

/** Values at which length checks and wrap-arounds go wrong. */
const EDGES = [
  0,
  1,
  2,
  3,
  4,
  5,
  7,
  8,
  15,
  16,
  19,
  20,
  21,
  40,
  60,
  0x7f,
  0x80,
  0xfe,
  0xff,
  0x100,
  0x7fff,
  0x8000,
  0xffff,
];
const ADDRESSES = [
  0,
  -1,
  0x7f000001,
  0xe0000001 | 0,
  0x0a0000ff,
  0x0a000000,
  0x0a000004,
  0x0a000005,
  0x08080808,
];
const IP = 14;

/** A damaged copy of `frame`. */
export function mutate(frame: Uint8Array, random: Random): Uint8Array<ArrayBuffer> {
  let bytes = frame.slice();
  for (let times = 1 + random.below(3); times > 0; times--) {
    const mutation = MUTATIONS[random.below(MUTATIONS.length)];
    bytes = mutation(bytes, random) ?? bytes;
  }
  if (random.chance(0.85)) fixChecksums(bytes);
  return bytes;
}

/** Changes in place, or answers with another array. What does not apply to the frame does nothing. */
type Mutation = (bytes: Uint8Array<ArrayBuffer>, random: Random) => Uint8Array<ArrayBuffer> | void;

const MUTATIONS: Mutation[] = [
  (bytes, random) => bytes.slice(0, random.below(bytes.length + 1)),
  (bytes, random) => {
    const longer = new Uint8Array(bytes.length + random.below(64));
    longer.set(bytes);
    return longer;
  },
  (bytes, random) => {
    for (let n = random.below(8); n >= 0 && bytes.length > 0; n--) {
      bytes[random.below(bytes.length)] ^= 1 << random.below(8);
    }
  },
  (bytes, random) => {
    if (bytes.length > 0) bytes[random.below(Math.min(bytes.length, 80))] = edge(random);
  },
  (bytes, random) => set16(bytes, IP + 2, edge(random)),
  (bytes, random) => set16(bytes, IP + 6, edge(random)),
  (bytes, random) => setAddress(bytes, IP + 12, random),
  (bytes, random) => setAddress(bytes, IP + 16, random),
  (bytes, random) => set8(bytes, IP, 0x40 | random.below(16)),
  (bytes, random) => set8(bytes, IP + 9, [1, 6, 17, 0, 255][random.below(5)]),
  // TCP, if it is that: sequence number, acknowledgment, data offset and flags, window, urgent pointer, options.
  (bytes, random) => shift32(bytes, transportOf(bytes) + 4, random),
  (bytes, random) => shift32(bytes, transportOf(bytes) + 8, random),
  (bytes, random) => set8(bytes, transportOf(bytes) + 12, random.below(256)),
  (bytes, random) => set8(bytes, transportOf(bytes) + 13, random.below(256)),
  (bytes, random) => set8(bytes, transportOf(bytes) + 13, [1, 2, 4, 16, 17, 18, 20, 24, 48][random.below(9)]),
  (bytes, random) => set16(bytes, transportOf(bytes) + 14, edge(random)),
  (bytes, random) => set16(bytes, transportOf(bytes) + 18, edge(random)),
  (bytes, random) => {
    const start = transportOf(bytes) + 20;
    for (let at = start; at < Math.min(start + 40, bytes.length); at++) {
      if (random.chance(0.3)) bytes[at] = random.chance(0.5) ? random.below(9) : edge(random);
    }
  },
  (bytes, random) => set16(bytes, transportOf(bytes) + 2 * random.below(10), edge(random)),
  // Ethernet: addresses and type. ARP, if it is that: any of its fields.
  (bytes, random) =>
    set16(bytes, 2 * random.below(7), [0, 0xffff, 0x0100, 0x0800, 0x0806, 0x86dd][random.below(6)]),
  (bytes, random) => (bytes[13] === 6 ? set16(bytes, IP + 2 * random.below(14), edge(random)) : undefined),
  (bytes, random) => insertIpOptions(bytes, random),
  // ICMP, if it is that: type, code, what a quote says of itself.
  (bytes, random) => (bytes[IP + 9] === 1 ? set8(bytes, transportOf(bytes), random.below(20)) : undefined),
  (bytes, random) => (bytes[IP + 9] === 1 ? set8(bytes, transportOf(bytes) + 1, edge(random)) : undefined),
  (bytes, random) =>
    bytes[IP + 9] === 1
      ? set16(bytes, transportOf(bytes) + 8 + 2 * random.below(16), edge(random))
      : undefined,
];

/** Makes room behind the IP header for options of kinds known and unknown, with lengths true and false. */
function insertIpOptions(bytes: Uint8Array, random: Random): Uint8Array<ArrayBuffer> | void {
  if (bytes.length < IP + 20 || bytes[12] !== 8 || bytes[13] !== 0 || bytes[IP] !== 0x45) return;
  const room = 4 * (1 + random.below(10));
  const longer = new Uint8Array(bytes.length + room);
  longer.set(bytes.subarray(0, IP + 20));
  longer.set(bytes.subarray(IP + 20), IP + 20 + room);
  for (let at = IP + 20; at < IP + 20 + room;) {
    const kind = [0, 1, 7, 68, 131, 137, 148, random.below(256)][random.below(8)];
    longer[at] = kind;
    if (kind < 2) {
      at++;
      continue;
    }
    const length = random.chance(0.7) ? [3, 4, 7, 8, 11][random.below(5)] : edge(random) & 0xff;
    set8(longer, at + 1, length);
    set8(longer, at + 2, [4, 5, 8, length, 0][random.below(5)]);
    at += Math.max(2, length);
  }
  longer[IP] = 0x45 + room / 4;
  const total = ((bytes[IP + 2] << 8) | bytes[IP + 3]) + room;
  set16(longer, IP + 2, total);
  return longer;
}

function edge(random: Random): number {
  return random.chance(0.7) ? EDGES[random.below(EDGES.length)] : random.below(65536);
}

function transportOf(bytes: Uint8Array): number {
  return IP + (bytes.length > IP ? (bytes[IP] & 15) * 4 : 20);
}

function set8(bytes: Uint8Array, at: number, value: number): void {
  if (at < bytes.length) bytes[at] = value;
}

function set16(bytes: Uint8Array, at: number, value: number): void {
  set8(bytes, at, value >> 8);
  set8(bytes, at + 1, value);
}

function set32(bytes: Uint8Array, at: number, value: number): void {
  set16(bytes, at, value >>> 16);
  set16(bytes, at + 2, value);
}

function setAddress(bytes: Uint8Array, at: number, random: Random): void {
  set32(bytes, at, ADDRESSES[random.below(ADDRESSES.length)]);
}

/** Moves a sequence number a little, by half the space, or anywhere. */
function shift32(bytes: Uint8Array, at: number, random: Random): void {
  if (at + 4 > bytes.length) return;
  const now = new DataView(bytes.buffer, bytes.byteOffset).getInt32(at);
  const deltas = [1, -1, 1460, -1460, 65535, -65535, 0x40000000, 0x7fffffff, -0x80000000, random.next() | 0];
  set32(bytes, at, now + deltas[random.below(deltas.length)]);
}

/** Gives an IPv4 frame the checksums that its contents ask for, as far as its lengths make sense. */
export function fixChecksums(bytes: Uint8Array): void {
  if (bytes.length < IP + 20 || bytes[12] !== 8 || bytes[13] !== 0) return;
  const headerLength = (bytes[IP] & 15) * 4;
  const end = Math.min(bytes.length, IP + ((bytes[IP + 2] << 8) | bytes[IP + 3]));
  const start = IP + headerLength;
  if (headerLength < 20 || start > end) return;
  set16(bytes, IP + 10, 0);
  set16(bytes, IP + 10, ~sum(bytes, IP, start) & 0xffff);
  const protocol = bytes[IP + 9];
  const at = start + ({ 1: 2, 6: 16, 17: 6 }[protocol] ?? 65536);
  if (at + 2 > end) return;
  set16(bytes, at, 0);
  const pseudo = protocol === 1 ? 0 : sum(bytes, IP + 12, IP + 20) + protocol + (end - start);
  set16(bytes, at, ~fold(pseudo + sum(bytes, start, end)) & 0xffff);
}

function sum(bytes: Uint8Array, start: number, end: number): number {
  let total = 0;
  for (let at = start; at < end; at += 2) total += (bytes[at] << 8) | (at + 1 < end ? bytes[at + 1] : 0);
  return fold(total);
}

function fold(total: number): number {
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}
