import { assert, assertEquals } from "@std/assert";
import { EAGAIN } from "../../lib/errno.ts";
import { Random } from "../../lib/impair/random.ts";
import { Datagram, SocketKind } from "../../lib/stack/stack.ts";
import { icmpFrame, tcpFrame, udpFrame } from "../support/build.ts";
import { assertFrame, echo, from, icmp, payload, to } from "../support/checker.ts";
import { decode } from "../support/decode.ts";
import { asFragment, cut, fixIpChecksum, fragmentOf } from "../support/fragments.ts";
import { Bench, expect, ip, OURS, PEER } from "./helpers.ts";

const MEGABYTE = 1 << 20;
const BROADCAST_MAC = "ff:ff:ff:ff:ff:ff";
const TIMEOUT_US = 30_000_000;

function bytesOf(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const random = new Random(seed);
  return Uint8Array.from({ length }, () => random.next());
}

/** A bench with a UDP socket at port 9. */
class Receiver extends Bench {
  readonly socket: number;
  readonly message = new Datagram();

  constructor() {
    super();
    this.learnPeer();
    this.socket = expect(this.stack.socket(SocketKind.datagram));
    expect(this.stack.bind(this.socket, 0, 9));
  }

  /** What the socket got, if anything. */
  get received(): number[] | null {
    const length = this.stack.receiveFrom(this.socket, this.message);
    if (length === -EAGAIN) return null;
    return [...this.message.bytes.subarray(0, length)];
  }

  feedAll(frames: Uint8Array[]): void {
    for (const frame of frames) this.feed(frame);
  }

  /** Nothing is left behind, neither in the socket nor in the stack. */
  assertClean(): void {
    assertEquals(this.received, null);
    assertEquals(this.drain(), []);
    assertEquals(this.stack.bufferedBytes, 0);
  }
}

function udp(
  data: Uint8Array,
  fields: Partial<Parameters<typeof udpFrame>[0]> = {},
): Uint8Array<ArrayBuffer> {
  return udpFrame({
    source: PEER,
    destination: OURS,
    sourcePort: 5,
    destinationPort: 9,
    payload: data,
    ...fields,
  });
}

Deno.test("RFC 791 3.2: fragments make the datagram, whatever its length, and in whatever order they come", () => {
  const random = new Random(7);
  for (const length of [1473, 2048, 3000, 8000, 30_001, 65_507]) {
    for (const mtu of [68, 576, 1500]) {
      const data = bytesOf(length);
      const fragments = cut(udp(data), mtu, length & 0xffff);
      const orders = [fragments, fragments.toReversed(), shuffled(fragments, random)];
      const made = new Receiver();
      for (const order of orders) {
        made.feedAll(order.slice(0, -1));
        assertEquals(made.received, null);
        made.feed(order.at(-1)!);
        assertEquals(made.received, [...data]);
        made.assertClean();
      }
      assertEquals(made.drops, {});
      const { counters } = made.stack;
      assertEquals([counters.ipReassembled, counters.ipFragmentsIn], [3, 3 * fragments.length]);
    }
  }
});

/** Those that are not ARP. */
function packetsIn(frames: Uint8Array[]): Uint8Array[] {
  return frames.filter((frame) => decode(frame).ipv4 !== undefined);
}

function shuffled<T>(items: T[], random: Random): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
}

Deno.test("datagrams whose fragments come mixed are kept apart by source, destination, protocol and identification", () => {
  const made = new Receiver();
  made.learnPeer("10.0.0.6");
  const echoes = icmpFrame({ source: PEER, destination: OURS, type: 8, rest: 7, payload: bytesOf(1400, 4) });
  const all = [
    cut(udp(bytesOf(2000, 1)), 576, 1),
    cut(udp(bytesOf(2000, 2)), 576, 2),
    cut(udp(bytesOf(2000, 3), { source: "10.0.0.6" }), 576, 1),
    cut(echoes, 576, 1),
  ];
  const replies = [];
  for (let i = 0; i < all[0].length; i++) {
    for (const fragments of all) if (i < fragments.length) replies.push(...made.input(fragments[i]));
  }
  for (const seed of [1, 2, 3]) assertEquals(made.received, [...bytesOf(2000, seed)]);
  assert(replies.length > 0, "the echo request was whole, and answered");
});

Deno.test("TCP takes reassembled segments, and those of ICMP are answered", () => {
  const made = new Bench();
  made.learnPeer();
  const listener = made.listener(80);
  const { handle, iss } = made.accepted(listener, 4000, 80);
  const data = bytesOf(1400);
  const segment = tcpFrame({
    source: PEER,
    destination: OURS,
    sourcePort: 4000,
    destinationPort: 80,
    flags: ".",
    seq: 1000,
    ack: iss + 1,
    payload: data,
  });
  for (const fragment of cut(segment, 300, 77)) made.feed(fragment);
  const got = new Uint8Array(2000);
  assertEquals(made.stack.receive(handle, got, 0, got.length, made.now), 1400);
  assertEquals(got.subarray(0, 1400), data);

  const ping = icmpFrame({ source: PEER, destination: OURS, type: 8, rest: (3 << 16) | 9, payload: data });
  const replies = cut(ping, 600, 78).flatMap((fragment) => made.input(fragment));
  assertFrame(replies.at(-1)!, icmp(0), echo(3, 9), from(OURS), to(PEER), payload(data));
});

Deno.test("a damaged fragment is found by the checksum of the whole", () => {
  const made = new Receiver();
  const fragments = cut(udp(bytesOf(3000)), 1500, 1);
  fragments[1][500] ^= 1;
  // The device vouches for the fragment, which says nothing about the datagram.
  for (const fragment of fragments) made.feed(fragment, true);
  assertEquals(made.drops, { udpChecksum: 1 });
  made.assertClean();
});

Deno.test("RFC 5722: duplicates are ignored if they bring the same bytes", () => {
  const made = new Receiver();
  const data = bytesOf(5000);
  const whole = udp(data);
  const fragments = cut(whole, 1500, 1);
  made.feedAll(fragments.slice(0, 2));
  made.feedAll(fragments.slice(0, 2));
  made.feed(fragmentOf(whole, 80, 1504, true, 1));
  made.feedAll([fragments[3], fragments[3], fragments[2]]);
  assertEquals(made.drops, { ipFragmentDuplicate: 4 });
  assertEquals(made.received, [...data]);
  made.assertClean();
});

/** Fragments of the same datagram as [start, end, more]. */
type Range = [start: number, end: number, more: boolean];

const OVERLAPS: [name: string, reason: string, ranges: Range[]][] = [
  ["teardrop: the second lies within the first", "ipFragmentEnd", [[0, 1000, true], [496, 600, false]]],
  ["newtear: it begins within the first and ends with it", "ipFragmentEnd", [[0, 1000, true], [
    8,
    1000,
    false,
  ]]],
  ["bonk: it begins within the first", "ipFragmentOverlap", [[0, 1000, true], [992, 2000, false]]],
  ["syndrop: the last first", "ipFragmentOverlap", [[992, 2000, false], [0, 1000, true]]],
  ["one that covers two and the gap between them", "ipFragmentOverlap", [[0, 200, true], [400, 600, true], [
    0,
    600,
    true,
  ]]],
  ["one that fills a gap and more", "ipFragmentOverlap", [[0, 200, true], [400, 600, true], [
    200,
    408,
    true,
  ]]],
  ["one that fills a gap and something before it", "ipFragmentOverlap", [[0, 200, true], [400, 600, true], [
    192,
    400,
    true,
  ]]],
];

Deno.test("RFC 5722: fragments that overlap end the whole datagram, those to come too", () => {
  for (const [name, reason, ranges] of OVERLAPS) {
    const made = new Receiver();
    const whole = udp(bytesOf(1992));
    ranges.forEach(([start, end, more], i) => {
      const fragment = fragmentOf(whole, start, end, more, 1);
      // What overlaps brings other bytes than what came before.
      if (i === ranges.length - 1) { for (let at = 34; at < fragment.length; at++) fragment[at] ^= 0xff; }
      made.feed(fragment);
    });
    assertEquals(made.drops, { [reason]: 1 }, name);
    const rest = cut(whole, 1500, 1);
    made.feedAll(rest);
    assertEquals(made.drops.ipFragmentRefused, rest.length, name);
    made.assertClean();
    made.pass(TIMEOUT_US);
    made.feedAll(rest);
    assertEquals(made.received?.length, 1992, `${name}: the identification can be used again`);
  }
});

Deno.test("fragments that disagree about the end of the datagram end it", () => {
  const cases: [name: string, Range[]][] = [
    ["beyond the end", [[1000, 2000, false], [2000, 2496, true]]],
    ["across the end", [[1000, 2000, false], [1992, 2496, true]]],
    ["a second end, further", [[1000, 2000, false], [2000, 2100, false]]],
    ["a second end, nearer", [[1000, 2000, false], [400, 500, false]]],
    ["more to come behind the end", [[1000, 2000, false], [992, 2000, true]]],
    ["an end where more was to come", [[1000, 2000, true], [1000, 2000, false]]],
    ["an end before what came", [[1000, 2000, true], [400, 500, false]]],
  ];
  for (const [name, ranges] of cases) {
    const made = new Receiver();
    const whole = udp(bytesOf(3000));
    made.feedAll(ranges.map(([start, end, more]) => fragmentOf(whole, start, end, more, 1)));
    assertEquals(made.drops, { ipFragmentEnd: 1 }, name);
    made.feedAll(cut(whole, 1500, 1));
    made.assertClean();
  }
});

Deno.test("ping of death: what would be longer than a packet can be is dropped", () => {
  const made = new Receiver();
  const bytes = () => icmpFrame({ source: PEER, destination: OURS, type: 8, payload: new Uint8Array(1008) });
  assertEquals(made.input(asFragment(bytes(), 65_528, false, 1)), []);
  assertEquals(made.input(asFragment(bytes(), 64_504, false, 1)), []);
  assertEquals(made.drops, { ipFragmentOversized: 2 });
  made.assertClean();
});

Deno.test("ping of death by a header with options: the whole would be longer than its fragments showed", () => {
  const whole = icmpFrame({ source: PEER, destination: OURS, type: 8, payload: new Uint8Array(65_507) });
  const fragments = cut(whole, 1500, 1);
  const [first] = fragments;
  const options = new Uint8Array(first.length + 8);
  options.set(first.subarray(0, 34));
  options.set([1, 1, 1, 1, 1, 1, 1, 1], 34);
  options.set(first.subarray(34), 42);
  options[14] = 0x47;
  options[16] = (options.length - 14) >> 8;
  options[17] = (options.length - 14) & 255;
  fixIpChecksum(options);
  // 1508 bytes: a device with a larger MTU takes them.
  const big = new Bench({ mtu: 9000 });
  for (const fragment of [options, ...fragments.slice(1)]) assertEquals(big.input(fragment), []);
  assertEquals(big.drops, { ipFragmentOversized: 1 });
  assertEquals(big.stack.bufferedBytes, 0);
});

Deno.test("empty fragments, and odd ones in the middle, are dropped by name", () => {
  const made = new Receiver();
  const whole = udp(bytesOf(100));
  made.feed(fragmentOf(whole, 0, 7, true, 1));
  made.feed(fragmentOf(whole, 0, 0, true, 1));
  made.feed(fragmentOf(whole, 8, 8, false, 1));
  made.feed(fragmentOf(whole, 8, 21, true, 1));
  assertEquals(made.drops, { ipFragmentLength: 4 });
  made.assertClean();
});

Deno.test("tiny fragments: 8 bytes each make a datagram, in any order, in no more memory than it needs", () => {
  const made = new Receiver();
  const data = bytesOf(65_507);
  const fragments = shuffled(cut(udp(data), 28, 1), new Random(3));
  let most = 0;
  for (const fragment of fragments) {
    made.feed(fragment);
    most = Math.max(most, made.stack.bufferedBytes);
  }
  assert(most <= 65_536 + 131_072, `${most} bytes`);
  assertEquals(made.received, [...data]);
  made.assertClean();
});

Deno.test("RFC 792, RFC 1122 3.3.2: after 30 s the sender is told, if fragment 0 came", () => {
  const made = new Receiver();
  const whole = udp(bytesOf(3000));
  const [first, second] = cut(whole, 1500, 1);
  made.feed(first);
  assertEquals(made.stack.deadline, made.now + TIMEOUT_US);
  assertEquals(made.pass(TIMEOUT_US - 1), []);
  const [error] = made.pass(1);
  assertFrame(error, icmp(11, 1), from(OURS), to(PEER));
  // RFC 1812 4.3.2.3: of the fragment as it came, as much as 576 bytes hold.
  assertEquals(decode(error).icmp!.payload, first.slice(14, 14 + 548));
  assertEquals(made.drops, { ipReassemblyTimeout: 1 });
  made.feed(second);
  assertEquals(packetsIn(made.pass(TIMEOUT_US)), []);
  assertEquals(made.drops, { ipReassemblyTimeout: 2 });
  made.assertClean();
});

Deno.test("no time exceeded about a broadcast, an ICMP error or a datagram that was refused", () => {
  const made = new Receiver();
  const broadcast = udp(bytesOf(3000), { destination: "10.0.0.255", destinationMac: BROADCAST_MAC });
  made.feed(cut(broadcast, 1500, 1)[0]);
  const error = icmpFrame({ source: PEER, destination: OURS, type: 3, payload: bytesOf(3000) });
  made.feed(cut(error, 1500, 2)[0]);
  const whole = udp(bytesOf(3000));
  made.feed(fragmentOf(whole, 0, 800, true, 3));
  made.feed(fragmentOf(whole, 792, 1600, true, 3));
  assertEquals(made.pass(TIMEOUT_US), []);
  assertEquals(made.drops, { ipFragmentOverlap: 1, ipReassemblyTimeout: 2 });
});

Deno.test("a broadcast in fragments reaches the sockets", () => {
  const made = new Receiver();
  const data = bytesOf(3000);
  made.feedAll(cut(udp(data, { destination: "10.0.0.255", destinationMac: BROADCAST_MAC }), 1500, 1));
  assertEquals(made.received, [...data]);
});

Deno.test("RFC 3168 5.3: congestion met by one fragment is told of the whole", () => {
  const cases: [ecn: [number, number], expected: number | string][] = [
    [[2, 2], 2],
    [[2, 3], 3],
    [[3, 1], 3],
    [[0, 2], 0],
    [[0, 3], "ipFragmentEcn"],
    [[3, 0], "ipFragmentEcn"],
  ];
  for (const [codepoints, expected] of cases) {
    const made = new Bench();
    made.learnPeer();
    // Nobody listens: the error quotes the datagram as it was put together.
    const fragments = cut(udp(bytesOf(100)), 88, 1);
    const sent = fragments.flatMap((fragment, i) => {
      fragment[15] = codepoints[i];
      fixIpChecksum(fragment);
      return made.input(fragment);
    });
    if (typeof expected === "string") assertEquals(made.drops, { [expected]: 1 });
    else assertEquals(decode(sent[0]).icmp!.payload[1], expected);
  }
});

Deno.test("10,000 halves of datagrams from 1,000 sources stay below the cap, and other traffic flows", () => {
  const made = new Receiver();
  const whole = udp(bytesOf(3000));
  const half = fragmentOf(whole, 0, 1480, true, 0);
  const data = bytesOf(5000);
  let most = 0;
  let count = 0;
  for (let n = 0; n < 10_000; n++) {
    const view = new DataView(half.buffer);
    // 172.16.0.0 + n mod 1000
    view.setUint32(14 + 12, 0xac100000 + n % 1000 + 1);
    view.setUint16(14 + 4, n);
    fixIpChecksum(half);
    made.feed(half);
    most = Math.max(most, made.stack.bufferedBytes);
    if (n % 100 !== 0) continue;
    made.now += 1000;
    made.feedAll(cut(udp(data), 1500, count++));
    assertEquals(made.received?.length, data.length);
  }
  assert(most <= 4 * MEGABYTE, `${most} bytes`);
  assert(made.drops.ipReassemblyMemory > 8000);
  made.pass(TIMEOUT_US);
  made.now += TIMEOUT_US;
  assertEquals(made.stack.bufferedBytes, 0);
});

Deno.test("one source cannot take the place of the others", () => {
  const made = new Receiver();
  const victim = cut(udp(bytesOf(3000)), 1500, 1);
  made.feed(victim[0]);
  const half = fragmentOf(udp(bytesOf(3000), { source: "10.0.0.66" }), 1480, 2960, true, 0);
  for (let n = 0; n < 5000; n++) made.feed(asFragment(half, 1480, true, n));
  assert(made.stack.bufferedBytes <= MEGABYTE, `${made.stack.bufferedBytes} bytes`);
  made.feedAll(victim.slice(1));
  assertEquals(made.received?.length, 3000);
});

Deno.test("the oldest goes first", () => {
  const made = new Receiver();
  const whole = (n: number) => udp(bytesOf(3000), { source: `10.1.${n >> 8}.${n & 255}` });
  for (let n = 0; n < 2000; n++) made.feed(cut(whole(n), 1500, 1)[0]);
  for (const n of [0, 1, 1998, 1999]) made.feedAll(cut(whole(n), 1500, 1).slice(1));
  const sources = [];
  while (made.received !== null) sources.push(made.message.address);
  assertEquals(sources, [ip("10.1.7.206"), ip("10.1.7.207")]);
});
