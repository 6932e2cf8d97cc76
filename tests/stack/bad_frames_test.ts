import { assert, assertEquals } from "@std/assert";
import { Frame } from "../../lib/buffer/frame.ts";
import { Random } from "../../lib/impair/random.ts";
import { SocketKind } from "../../lib/stack/stack.ts";
import { arpFrame, icmpFrame, tcpFrame, udpFrame } from "../support/build.ts";
import { complaints, decode } from "../support/checker.ts";
import { fixChecksums, mutate } from "../support/mutate.ts";
import { Bench, expect, OURS, PEER } from "./helpers.ts";

/** A host with one of everything that a frame may concern. */
function busyBench(): { made: Bench; samples: Uint8Array[] } {
  const made = new Bench();
  made.learnPeer();
  const listener = made.listener(80);
  const { iss } = made.accepted(listener, 1000, 80);
  const connected = made.connected(81);
  const udp = expect(made.stack.socket(SocketKind.datagram));
  expect(made.stack.bind(udp, 0, 53));
  const echo = expect(made.stack.socket(SocketKind.icmp));
  expect(made.stack.bind(echo, 0, 7));
  made.stack.send(connected.handle, new Uint8Array(5000), 0, 5000, made.now);
  const [sent] = made.drain();
  const way = { source: PEER, destination: OURS };
  const samples = [
    arpFrame({ operation: 1, senderIp: PEER, targetIp: OURS }),
    arpFrame({ operation: 2, senderIp: PEER, targetIp: OURS }),
    icmpFrame({ ...way, type: 8, rest: 1, payload: "ping" }),
    icmpFrame({ ...way, type: 0, rest: 7 << 16, payload: "pong" }),
    icmpFrame({ ...way, type: 3, code: 3, payload: sent.subarray(14, 42) }),
    icmpFrame({ ...way, type: 3, code: 4, rest: 1200, payload: sent.subarray(14, 42) }),
    icmpFrame({ ...way, type: 11, payload: sent.subarray(14, 60) }),
    udpFrame({ ...way, sourcePort: 5, destinationPort: 53, payload: "hello" }),
    udpFrame({ ...way, sourcePort: 5, destinationPort: 54, payload: "nobody" }),
    tcpFrame({
      ...way,
      sourcePort: 9,
      destinationPort: 80,
      flags: "S",
      mss: 1460,
      windowScale: 7,
      sackPermitted: true,
      timestamps: [1, 0],
    }),
    tcpFrame({
      ...way,
      sourcePort: 1000,
      destinationPort: 80,
      flags: "P.",
      seq: 1000,
      ack: iss + 1,
      payload: "data",
    }),
    tcpFrame({ ...way, sourcePort: 1000, destinationPort: 80, flags: "F.", seq: 1000, ack: iss + 1 }),
    tcpFrame({
      ...way,
      sourcePort: 81,
      destinationPort: connected.localPort,
      flags: ".",
      seq: 1000,
      ack: connected.iss + 1461,
      sack: [[1, 2]],
    }),
  ];
  return { made, samples };
}

/** Everything that came in is in a layer's hands or was dropped for a reason that has a name. */
function assertCounted(made: Bench, before: number): void {
  assert(made.stack.counters.totalDropped > before, "not counted");
}

Deno.test("every truncation of every kind of frame is dropped by name", () => {
  const { made, samples } = busyBench();
  for (const sample of samples) {
    const needed = sample[12] === 8 && sample[13] === 6 ? 42 : 14 + ((sample[16] << 8) | sample[17]);
    for (let length = 0; length < needed; length++) {
      const before = made.stack.counters.totalDropped;
      assertEquals(made.input(sample.subarray(0, length)), []);
      assertCounted(made, before);
    }
  }
  const names = Object.keys(made.drops).sort();
  assertEquals(names, ["arpTruncated", "ethernetTruncated", "ipTotalLength", "ipTruncated"]);
});

Deno.test("all zeros and all ones, of every length, are dropped by name", () => {
  const { made } = busyBench();
  for (const byte of [0x00, 0xff]) {
    for (let length = 0; length <= 1600; length += length < 128 ? 1 : 61) {
      const before = made.stack.counters.totalDropped;
      assertEquals(made.input(new Uint8Array(length).fill(byte)), []);
      assertCounted(made, before);
    }
  }
});

Deno.test("headers of zeros and ones behind a good Ethernet header are dropped by name", () => {
  const { made, samples } = busyBench();
  for (const sample of samples) {
    for (const byte of [0x00, 0xff]) {
      for (const from of [14, 34]) {
        // ARP has its sender, whom we know, before the 34th byte: what is left is a packet for somebody else.
        if (from === 34 && sample[13] === 6) continue;
        const frame = sample.slice();
        frame.fill(byte, from);
        const before = made.stack.counters.totalDropped;
        assertEquals(made.input(frame), []);
        assertCounted(made, before);
      }
    }
  }
});

Deno.test("every single damaged bit is noticed by a checksum, or leads nowhere wrong", () => {
  const { made, samples } = busyBench();
  const [, , echo] = samples;
  for (let bit = 14 * 8; bit < echo.length * 8; bit++) {
    const frame = echo.slice();
    frame[bit >> 3] ^= 1 << (bit & 7);
    const before = made.stack.counters.totalDropped;
    assertEquals(made.input(frame), [], `bit ${bit}`);
    assertCounted(made, before);
  }
});

Deno.test("lying lengths in IP, UDP and TCP headers", () => {
  const { made, samples } = busyBench();
  for (const sample of samples.filter((frame) => frame[13] === 0)) {
    for (const lie of [0, 1, 19, 20, 21, 27, 28, 33, 60, 65535]) {
      const ipLength = sample.slice();
      ipLength[16] = lie >> 8;
      ipLength[17] = lie & 255;
      fixChecksums(ipLength);
      made.input(ipLength);
      const udpLength = sample.slice();
      if (udpLength[23] !== 17) continue;
      udpLength[38] = lie >> 8;
      udpLength[39] = lie & 255;
      fixChecksums(udpLength);
      made.input(udpLength);
    }
    for (let offset = 0; offset < 16; offset++) {
      const dataOffset = sample.slice();
      if (dataOffset[23] !== 6) break;
      dataOffset[46] = (offset << 4) | (dataOffset[46] & 1);
      fixChecksums(dataOffset);
      made.input(dataOffset);
    }
  }
  const { drops } = made;
  for (
    const name of [
      "ipTotalLength",
      "udpTruncated",
      "udpLength",
      "tcpTruncated",
      "tcpDataOffset",
      "icmpTruncated",
    ]
  ) {
    assert(drops[name] > 0, `${name} is not among ${Object.keys(drops)}`);
  }
});

Deno.test("a frame longer than its memory claims is oversized", () => {
  const { made } = busyBench();
  const frame = new Frame(256);
  frame.length = 400;
  frame.gsoSize = 1;
  made.stack.input(frame, made.now);
  assertEquals(made.drops, { frameOversized: 1 });
});

Deno.test("ten thousand mutated frames: no exception, and whatever is answered is well made", () => {
  const random = new Random(20260722);
  let { made, samples } = busyBench();
  for (let i = 0; i < 10_000; i++) {
    if (i % 500 === 0) ({ made, samples } = busyBench());
    const sample = samples[random.next() % samples.length];
    const frame = mutate(sample, random);
    for (const sent of made.input(frame)) assertEquals(complaints(decode(sent)), []);
    if (i % 10 === 0) made.pass(random.next() % 300_000);
    made.ready();
  }
  assert(made.stack.bufferedBytes < 4 << 20);
});
