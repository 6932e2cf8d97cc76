import { assert, assertEquals } from "@std/assert";
import { DROP } from "../../lib/wire/drop.ts";
import { fold, sum } from "../../lib/wire/checksum.ts";
import { Memory } from "../../lib/buffer/memory.ts";
import { icmpFrame, udpFrame } from "../support/build.ts";
import { assertFrame, from, icmp, payload, to, ttl } from "../support/checker.ts";
import { Bench, OURS, PEER } from "./helpers.ts";

const ECHO = 8;
const BROADCAST_MAC = "ff:ff:ff:ff:ff:ff";

/** A bench that knows the peer, and an echo request whose IP header a test spoils. */
function bench(): Bench {
  const made = new Bench();
  made.learnPeer();
  return made;
}

const request = (fields: Partial<Parameters<typeof icmpFrame>[0]> = {}) =>
  icmpFrame({ source: PEER, destination: OURS, type: ECHO, payload: "abcdef", ...fields });

/** Sets a byte of the IP header and makes its checksum right again. */
function withByte(frame: Uint8Array, at: number, value: number): Uint8Array {
  frame[14 + at] = value;
  return fixed(frame);
}

function fixed(frame: Uint8Array): Uint8Array {
  const headerLength = (frame[14] & 15) * 4;
  const memory = new Memory(128);
  frame[24] = frame[25] = 0;
  memory.bytes.set(frame.subarray(14, 14 + headerLength));
  const checksum = fold(sum(memory, 0, headerLength));
  frame[24] = checksum >> 8;
  frame[25] = checksum & 255;
  return frame;
}

/** The same frame with IP options put in. */
function withOptions(frame: Uint8Array, options: number[]): Uint8Array {
  const longer = new Uint8Array(frame.length + options.length);
  longer.set(frame.subarray(0, 34));
  longer.set(options, 34);
  longer.set(frame.subarray(34), 34 + options.length);
  longer[14] = 0x45 + options.length / 4;
  const totalLength = longer.length - 14;
  longer[16] = totalLength >> 8;
  longer[17] = totalLength & 255;
  return fixed(longer);
}

function assertDropped(frame: Uint8Array, reason: keyof typeof DROP): void {
  const made = bench();
  assertEquals(made.input(frame), [], reason);
  assertEquals(made.drops, { [reason]: 1 });
}

Deno.test("RFC 1122 3.2.1: headers that lie are dropped by name", () => {
  assertDropped(withByte(request(), 0, 0x65), "ipVersion");
  assertDropped(withByte(request(), 0, 0x44), "ipHeaderLength");
  assertDropped(withByte(request(), 3, 200), "ipTotalLength");
  assertDropped(withByte(request(), 3, 19), "ipTotalLength");
  const badSum = request();
  badSum[24] ^= 1;
  assertDropped(badSum, "ipChecksum");
  assertDropped(request().subarray(0, 14 + 19), "ipTruncated");
  assertDropped(request().subarray(0, 14 + 25), "ipTotalLength");
});

Deno.test("RFC 1122 3.2.1.3: sources that no other host can have", () => {
  for (const source of ["0.0.0.0", "127.0.0.1", "224.0.0.9", "255.255.255.255", "10.0.0.255", OURS]) {
    assertDropped(request({ source }), "ipSourceInvalid");
  }
});

Deno.test("packets for others, and for loopback from outside, are not ours", () => {
  assertDropped(request({ destination: "10.0.0.6" }), "ipNotForUs");
  assertDropped(request({ destination: "127.0.0.1" }), "ipNotForUs");
  assertDropped(request({ destination: "224.0.0.5", destinationMac: "01:00:5e:00:00:05" }), "ipNotForUs");
  assertDropped(request({ destinationMac: "02:00:00:00:00:77" }), "ethernetNotForUs");
});

Deno.test("RFC 1122 3.3.6: a packet for one host in a frame for all is dropped", () => {
  assertDropped(request({ destinationMac: BROADCAST_MAC }), "ipLinkBroadcast");
});

Deno.test("fragments that cannot be any are dropped by name", () => {
  assertDropped(request({ moreFragments: true }), "ipFragmentLength");
  assertDropped(request({ fragmentOffset: 65528, moreFragments: true }), "ipFragmentOversized");
});

Deno.test("RFC 1122 3.2.1.8: options are skipped, source routes refused, malformed ones dropped", () => {
  const made = bench();
  const timestamp = [0x44, 8, 5, 0, 0, 0, 0, 0];
  const unknown = [0x99, 3, 7, 1];
  for (
    const options of [[1, 1, 1, 0], timestamp, unknown, [0, 0xff, 0xff, 0xff], [...unknown, ...timestamp]]
  ) {
    const [reply] = made.input(withOptions(request(), options));
    assertFrame(reply, icmp(0), payload("abcdef"));
  }
  assertDropped(withOptions(request(), [0x83, 7, 4, 10, 0, 0, 1, 0]), "ipSourceRoute");
  assertDropped(withOptions(request(), [0x89, 7, 4, 10, 0, 0, 1, 0]), "ipSourceRoute");
  for (
    const [options, pointer] of [[[0x44, 0, 0, 0], 20], [[1, 0x44, 5, 0], 21], [[1, 1, 1, 7], 23]] as const
  ) {
    const spoiled = bench();
    const [error] = spoiled.input(withOptions(request(), [...options]));
    // RFC 1122 3.2.2.5
    assertFrame(error, icmp(12, 0), from(OURS), to(PEER));
    assertEquals(error[14 + 20 + 4], pointer);
    assertEquals(spoiled.drops, { ipOptionMalformed: 1 });
  }
});

Deno.test("what Ethernet padded is not payload", () => {
  const frame = request({ payload: "x" });
  const padded = new Uint8Array(60).fill(0xaa);
  padded.set(frame);
  const [reply] = bench().input(padded);
  assertFrame(reply, icmp(0), payload("x"), from(OURS), to(PEER), ttl(64));
  assertEquals(reply.length, frame.length);
});

Deno.test("RFC 1122 3.2.2.1: unknown protocols are answered with protocol unreachable", () => {
  const made = bench();
  const [error] = made.input(withByte(request(), 9, 132));
  assertFrame(error, icmp(3, 2), from(OURS), to(PEER));
  assertEquals(made.drops, { ipProtocolUnknown: 1 });
});

Deno.test("a TTL of 1 is enough for those who are there", () => {
  assertEquals(bench().input(request({ ttl: 1 })).length, 1);
});

Deno.test("frames above the MTU are oversized, those the kernel joined are not", () => {
  const made = bench();
  const big = icmpFrame({ source: PEER, destination: OURS, type: ECHO, payload: new Uint8Array(1473) });
  assertEquals(made.input(big), []);
  assertEquals(made.drops, { frameOversized: 1 });
  const fits = icmpFrame({ source: PEER, destination: OURS, type: ECHO, payload: new Uint8Array(1472) });
  assertEquals(made.input(fits).length, 1);
});

Deno.test("several addresses: each is ours, and answers come from the one that was asked", () => {
  const made = new Bench({
    addresses: [
      { address: (10 << 24) | 5, prefixLength: 24 },
      { address: (10 << 24) | (1 << 8) | 5, prefixLength: 24 },
    ],
  });
  made.learnPeer();
  const [reply] = made.input(request({ destination: "10.0.1.5" }));
  assertFrame(reply, from("10.0.1.5"), to(PEER));
});

Deno.test("counters say what went in and out", () => {
  const made = bench();
  made.input(request());
  made.input(udpFrame({ source: PEER, destination: OURS, sourcePort: 1, destinationPort: 2 }));
  const { counters } = made.stack;
  assertEquals([counters.framesIn, counters.ipIn, counters.icmpIn, counters.udpIn], [3, 2, 1, 1]);
  assertEquals([counters.framesOut, counters.ipOut, counters.icmpOut, counters.icmpErrorsOut], [3, 2, 2, 1]);
  assert(counters.bytesIn > 0 && counters.bytesOut > 0);
});
