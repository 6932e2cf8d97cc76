/**
 * Frames that are nearly right: generated with a meaning, then mutated, and their checksums mostly mended so that the next
 * layer gets to see them. Whatever comes, parsers return a named drop or a header that keeps its promises, and look at no
 * byte beyond the length they were given.
 *
 * LVLIP_FUZZ_SEED repeats a run; LVLIP_FUZZ_RUNS multiplies how many frames it has.
 */
import { assert, assertEquals } from "@std/assert";
import { Memory } from "../../lib/buffer/memory.ts";
import { Random } from "../../lib/impair/random.ts";
import { ArpHeader, parseArp } from "../../lib/wire/arp.ts";
import { fold, pseudoSum, sum } from "../../lib/wire/checksum.ts";
import { DROP, DROP_COUNT, type DropCode, dropName } from "../../lib/wire/drop.ts";
import { ETHER_TYPE, EthernetHeader, parseEthernet } from "../../lib/wire/ethernet.ts";
import { Icmpv4Header, parseIcmpv4, parseQuoted, QuotedPacket } from "../../lib/wire/icmpv4.ts";
import { IP_PROTOCOL, Ipv4Header, parseIpv4 } from "../../lib/wire/ipv4.ts";
import { emitTcp, parseTcp, TCP_CHECKSUM_OFFSET, TcpHeader, tcpHeaderLength } from "../../lib/wire/tcp.ts";
import { parseUdp, UDP_CHECKSUM_OFFSET, UdpHeader } from "../../lib/wire/udp.ts";
import { bytesOf, dump, GOLDEN } from "../wire/golden.ts";

const SEED = Number(Deno.env.get("LVLIP_FUZZ_SEED") ?? Math.floor(Math.random() * 0x1_0000_0000));
const RUNS = Math.ceil(100_000 * Number(Deno.env.get("LVLIP_FUZZ_RUNS") ?? 1));
const START = 2;
const IP = START + 14;
const CAPACITY = 2048;

const random = new Random(SEED);
const pick = (n: number) => Math.floor(random.fraction() * n);
const oneOf = <T>(list: readonly T[]): T => list[pick(list.length)];

/** Values at which length checks go wrong. */
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
  27,
  28,
  39,
  40,
  59,
  60,
  61,
  0x7f,
  0x80,
  0xfe,
  0xff,
];
const SEEDS = Object.values(GOLDEN).map((hex) => bytesOf(hex));

/** Builds one frame from START on; returns its length. */
function generate(memory: Memory): number {
  const frame = oneOf(SEEDS);
  memory.bytes.set(frame, START);
  let length = frame.length;
  if (random.chance(0.3)) length = withOptions(memory, length);
  for (let i = pick(4); i > 0; i--) mutate(memory, length);
  if (random.chance(0.3)) length = pick(length + 1);
  else if (random.chance(0.2)) length += pick(64);
  // A packet that was cut before it got its length, so that the layer above meets the cut.
  if (random.chance(0.5) && length >= 34) memory.view.setUint16(IP + 2, length - 14);
  if (random.chance(0.8)) mend(memory, length);
  return length;
}

/** Makes room for random options behind the IP or TCP header, of kinds known and unknown, with lengths true and false. */
function withOptions(memory: Memory, length: number): number {
  const { view, bytes } = memory;
  if (view.getUint16(START + 12) !== ETHER_TYPE.ipv4) return length;
  const inIp = random.chance(0.3);
  const header = inIp ? IP : IP + 20;
  const words = 1 + pick(10);
  const at = header + 20;
  bytes.copyWithin(at + words * 4, at, START + length);
  let end = at;
  while (end < at + words * 4) {
    const kind = random.chance(0.8) ? oneOf([0, 1, 2, 3, 4, 5, 7, 8, 34, 0x83, 0x89, 0x94]) : pick(256);
    bytes[end++] = kind;
    if (kind < 2) continue;
    const optionLength = random.chance(0.8) ? oneOf([2, 3, 4, 6, 10, 18]) : oneOf(EDGES);
    bytes[end++] = optionLength;
    for (let i = 2; i < optionLength && i < 20; i++) bytes[end++] = pick(256);
  }
  // What ran over the room is payload now.
  if (inIp) bytes[header] = 0x45 + words;
  else bytes[header + 12] = (5 + words) << 4;
  view.setUint16(IP + 2, view.getUint16(IP + 2) + words * 4);
  return length + words * 4;
}

function mutate(memory: Memory, length: number): void {
  const at = START + pick(length);
  switch (pick(6)) {
    case 0:
      memory.bytes[at] ^= 1 << pick(8);
      return;
    case 1:
      memory.bytes[at] = oneOf(EDGES);
      return;
    case 2:
      memory.view.setUint16(at, oneOf([0, 1, 8, 20, 28, length - 14, length, 0x5dc, 0x7fff, 0xffff]));
      return;
    case 3:
      memory.bytes.fill(oneOf([0, 0xff]), at, at + pick(16));
      return;
    case 4:
      memory.bytes.copyWithin(at, START + pick(length), START + length);
      return;
    case 5:
      // Another protocol's header where this one's was.
      memory.bytes[IP + 9] = oneOf([1, 6, 17, 2, 47]);
      return;
  }
}

/** Makes the checksums right where the lengths, as they say, allow it. */
function mend(memory: Memory, length: number): void {
  const { view, bytes } = memory;
  const headerLength = (bytes[IP] & 0xf) << 2;
  if (length < 34 || headerLength < 20 || 14 + headerLength > length) return;
  view.setUint16(IP + 10, 0);
  view.setUint16(IP + 10, fold(sum(memory, IP, headerLength)));
  const transport = IP + headerLength;
  const bytesLeft = view.getUint16(IP + 2) - headerLength;
  if (bytesLeft < 8 || 14 + headerLength + bytesLeft > length || bytes[IP + 9] !== IP_PROTOCOL.icmp) return;
  view.setUint16(transport + 2, 0);
  view.setUint16(transport + 2, fold(sum(memory, transport, bytesLeft)));
}

/** How often each drop code was returned. */
const seen = new Uint32Array(DROP_COUNT);
/** Every drop that a parser can return. */
const REACHED = [
  ...(["none", "ethernetTruncated", "ethernetSourceInvalid", "arpTruncated", "arpMalformed"] as const),
  ...([
    "arpOperationUnknown",
    "ipTruncated",
    "ipVersion",
    "ipHeaderLength",
    "ipTotalLength",
    "ipChecksum",
  ] as const),
  ...(["ipOptionMalformed", "icmpTruncated", "icmpChecksum", "icmpQuoteMalformed", "udpTruncated"] as const),
  ...(["udpLength", "tcpTruncated", "tcpDataOffset"] as const),
];

const ethernet = new EthernetHeader();
const arp = new ArpHeader();
const ip = new Ipv4Header();
const icmp = new Icmpv4Header();
const quoted = new QuotedPacket();
const udp = new UdpHeader();
const tcp = new TcpHeader();
const tcpAgain = new TcpHeader();
const scratch = new Memory(128);

/** Parses as far as it goes, checks what the headers promise, and says how far it got: to compare two walks. */
function walk(memory: Memory, length: number): string {
  const first = parseEthernet(memory, START, length, ethernet);
  if (first !== DROP.none) return named(first);
  if (ethernet.etherType === ETHER_TYPE.arp) {
    return named(parseArp(memory, IP, length - 14, arp)) + JSON.stringify(arp);
  }
  const drop = parseIpv4(memory, IP, length - 14, ip);
  if (drop !== DROP.none) return named(drop);
  assert(ip.headerLength >= 20 && ip.payloadLength >= 0);
  assertEquals(ip.headerLength + ip.payloadLength, ip.totalLength);
  assert(ip.payloadOffset + ip.payloadLength <= START + length);
  return JSON.stringify(ip) + walkTransport(memory);
}

function walkTransport(memory: Memory): string {
  const { payloadOffset: at, payloadLength: length } = ip;
  const pseudo = pseudoSum(ip.source, ip.destination, ip.protocol, length);
  switch (ip.protocol) {
    case IP_PROTOCOL.icmp: {
      const drop = parseIcmpv4(memory, at, length, icmp);
      if (drop !== DROP.none) return named(drop);
      inside(icmp.payloadOffset, icmp.payloadLength);
      const quote = named(parseQuoted(memory, icmp.payloadOffset, icmp.payloadLength, quoted));
      return JSON.stringify(icmp) + quote + (quote === "none" ? JSON.stringify(quoted) : "");
    }
    case IP_PROTOCOL.udp: {
      const drop = parseUdp(memory, at, length, udp);
      if (drop !== DROP.none) return named(drop);
      inside(udp.payloadOffset, udp.payloadLength);
      assert(at + UDP_CHECKSUM_OFFSET < udp.payloadOffset);
      return JSON.stringify(udp) + sum(memory, at, udp.length, pseudo);
    }
    default: {
      // Whatever the protocol says, a TCP parser must stand it.
      const drop = parseTcp(memory, at, length, tcp);
      if (drop !== DROP.none) return named(drop);
      inside(tcp.payloadOffset, tcp.payloadLength);
      return tcpPromises() + sum(memory, at, length, pseudo);
    }
  }
}

function inside(offset: number, length: number): void {
  assert(offset >= ip.payloadOffset && length >= 0);
  assert(offset + length <= ip.payloadOffset + ip.payloadLength);
}

/** The header's values are in range; sent and parsed again they are the same. Returns them as bytes. */
function tcpPromises(): string {
  assert(tcp.headerLength >= 20 && tcp.headerLength <= 60);
  assert(tcp.windowScale >= -1 && tcp.windowScale <= 14);
  assert(tcp.sackCount >= 0 && tcp.sackCount <= 4);
  assert(tcp.seq === (tcp.seq | 0) && tcp.ack === (tcp.ack | 0));
  assert(tcp.fastOpenLength <= 16 && tcp.fastOpenLength % 2 === 0);
  const { checksum, headerLength, payloadLength } = tcp;
  const length = tcpHeaderLength(tcp);
  assertEquals(emitTcp(scratch, 0, tcp), length);
  const once = dump(scratch, 0, length);
  assertEquals(parseTcp(scratch, 0, length, tcpAgain), DROP.none);
  assertEquals(tcpAgain.checksum, 0);
  assertEquals(emitTcp(scratch, 0, tcpAgain), length);
  assertEquals(dump(scratch, 0, length), once);
  assert(TCP_CHECKSUM_OFFSET < length);
  return `${once} ${checksum} ${headerLength} ${payloadLength}`;
}

function named(drop: DropCode): string {
  assert(drop >= 0 && drop < DROP_COUNT);
  seen[drop]++;
  return dropName(drop);
}

Deno.test("frames that are nearly right never throw and never mislead", () => {
  console.log(`LVLIP_FUZZ_SEED=${SEED}`);
  const memory = new Memory(CAPACITY);
  seen.fill(0);
  for (let run = 0; run < RUNS; run++) {
    memory.bytes.fill(0);
    const length = generate(memory);
    const message = `LVLIP_FUZZ_SEED=${SEED} run ${run} length ${length} ${dump(memory, START, length)}`;
    try {
      memory.bytes.fill(0, START + length);
      const outcome = walk(memory, length);
      memory.bytes.fill(0xff, START + length);
      assertEquals(walk(memory, length), outcome, "A byte beyond the length was looked at");
    } catch (error) {
      throw new Error(message, { cause: error });
    }
  }
  // A generator that no longer reaches the parsers' branches would pass unnoticed.
  if (RUNS < 10_000) return;
  for (const name of REACHED) {
    assert(seen[DROP[name]] > RUNS / 5000, `${name} was reached ${seen[DROP[name]]} times`);
  }
});

Deno.test("any bytes at all never throw", () => {
  console.log(`LVLIP_FUZZ_SEED=${SEED}`);
  const memory = new Memory(CAPACITY);
  for (let run = 0; run < RUNS / 2; run++) {
    const length = pick(200);
    for (let i = 0; i < length; i++) memory.bytes[START + i] = random.next();
    for (const parse of [walk, walkFromIp, walkFromTransport]) parse(memory, length);
  }
});

function walkFromIp(memory: Memory, length: number): void {
  memory.bytes[IP] = 0x40 | (memory.bytes[IP] & 0xf);
  named(parseIpv4(memory, IP, Math.max(0, length - 14), ip));
}

/** Without the checksums in the way that random bytes do not have. */
function walkFromTransport(memory: Memory, length: number): void {
  ip.payloadOffset = START;
  ip.payloadLength = length;
  named(parseIcmpv4(memory, START, length, icmp));
  named(parseUdp(memory, START, length, udp));
  named(parseArp(memory, START, length, arp));
  named(parseQuoted(memory, START, length, quoted));
  if (named(parseTcp(memory, START, length, tcp)) !== "none") return;
  inside(tcp.payloadOffset, tcp.payloadLength);
  tcpPromises();
}
