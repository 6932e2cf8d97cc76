/**
 * Whole transfers in virtual time over a bad network: every byte arrives, and no stall is longer than the RTO asks for,
 * which the bounds on the time of each transfer stand for. Exact and repeatable: a failure shows the last frames.
 */
import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { flatten } from "../../lib/buffer/frame.ts";
import { decode } from "../support/decode.ts";
import { watchFlight } from "../support/invariants.ts";
import { Link, type LinkOptions } from "../support/link.ts";
import { connect, transfer, type TransferOptions, type TransferResult } from "../support/transfer.ts";

const MB = 1 << 20;

interface Case {
  name: string;
  /** In both directions. */
  impair: string;
  link?: LinkOptions;
  bytes: TransferOptions;
  /** Virtual seconds that the transfer may take, for every seed. */
  maxSeconds: number;
  seeds?: number[];
}

const CASES: Case[] = [
  { name: "no loss", impair: "loss=0%", bytes: { bytes: 8 * MB, bytesBack: 8 * MB }, maxSeconds: 1 },
  { name: "1 % loss", impair: "loss=1%", bytes: { bytes: 8 * MB, bytesBack: 8 * MB }, maxSeconds: 10 },
  { name: "5 % loss", impair: "loss=5%", bytes: { bytes: 4 * MB, bytesBack: 4 * MB }, maxSeconds: 60 },
  { name: "25 % loss", impair: "loss=25%", bytes: { bytes: MB, bytesBack: MB }, maxSeconds: 1200 },
  {
    name: "50 % duplication",
    impair: "duplicate=50%",
    bytes: { bytes: 8 * MB, bytesBack: 8 * MB },
    maxSeconds: 2,
  },
  {
    name: "10 % reordering",
    impair: "reorder=10%",
    bytes: { bytes: 8 * MB, bytesBack: 8 * MB },
    maxSeconds: 10,
  },
  {
    name: "10 % reordering past a delay of 20 ms",
    impair: "delay=20ms reorder=10%",
    bytes: { bytes: 4 * MB, bytesBack: 4 * MB },
    maxSeconds: 30,
  },
  { name: "100 ms delay", impair: "delay=100ms", bytes: { bytes: 8 * MB, bytesBack: 8 * MB }, maxSeconds: 6 },
  {
    name: "1 % corruption",
    impair: "corrupt=1%",
    bytes: { bytes: 4 * MB, bytesBack: 4 * MB },
    maxSeconds: 10,
  },
  {
    name: "jitter",
    impair: "delay=50ms jitter=40ms",
    bytes: { bytes: 4 * MB, bytesBack: 4 * MB },
    maxSeconds: 20,
  },
  {
    name: "a bottleneck of 10 Mbit/s with a short queue",
    impair: "rate=10mbit queue=20 delay=10ms",
    bytes: { bytes: 4 * MB },
    maxSeconds: 6,
  },
  {
    name: "everything at once",
    impair: "loss=2% delay=20ms jitter=5ms duplicate=5% reorder=5% corrupt=1% rate=20mbit queue=50",
    bytes: { bytes: MB, bytesBack: MB },
    maxSeconds: 120,
  },
];

function run(test: Case, seed: number): TransferResult {
  const link = new Link({ ...test.link, impair: `${test.impair} seed=${seed}`, seed });
  watchFlight(link);
  return transfer(link, { ...test.bytes, limitUs: test.maxSeconds * 1e6 });
}

for (const test of CASES) {
  Deno.test(`transfer: ${test.name}`, () => {
    for (const seed of test.seeds ?? [1, 2, 3]) run(test, seed);
  });
}

Deno.test("transfer: the same seed gives the same transfer", () => {
  const lossy = CASES[2];
  assertEquals(run(lossy, 9), run(lossy, 9));
});

Deno.test("transfer: without loss nothing is sent again, and the line is used", () => {
  const link = new Link({ impair: "rate=100mbit queue=200 delay=5ms" });
  const { goodput, retransmits } = transfer(link, { bytes: 16 * MB });
  assertLess(retransmits.a, 600);
  assertEquals(retransmits.b, 0);
  // 1448 of 1514 bytes are payload: 95.6 % at best.
  assertGreater(goodput, 85e6);
  const clean = transfer(new Link(), { bytes: 16 * MB, bytesBack: 16 * MB });
  assertEquals(clean.retransmits, { a: 0, b: 0 });
});

Deno.test("transfer: a device that cuts segments and sums checksums", () => {
  const features = { checksum: true, segmentation: true };
  const link = new Link({ features });
  let largest = 0;
  const { onTransmit } = link.a;
  link.a.onTransmit = (frame, now) => {
    largest = Math.max(largest, frame.totalLength);
    onTransmit?.(frame, now);
  };
  transfer(link, { bytes: 16 * MB, bytesBack: 16 * MB });
  assertGreater(largest, 10_000);
});

Deno.test("transfer: small MTU, small chunks, small buffers", () => {
  transfer(new Link({ mtu: 576, impair: "loss=2% delay=1ms" }), { bytes: MB, bytesBack: MB, chunk: 999 });
  const tcp = { receiveBuffer: 4096, receiveBufferMax: 4096, sendBuffer: 4608, sendBufferMax: 4608 };
  transfer(new Link({ tcp, impair: "loss=2% delay=1ms" }), { bytes: MB / 4, bytesBack: MB / 4 });
});

/** What each side's SYN says: its sequence number and its timestamp. */
function firstNumbers(startUs: number): { seq: number; timestamp: number }[] {
  const link = new Link({ startUs });
  const found: { seq: number; timestamp: number }[] = [];
  for (const host of [link.a, link.b]) {
    host.onTransmit = (frame) => {
      const bytes = new Uint8Array(frame.totalLength);
      flatten(frame, bytes, 0);
      const { tcp } = decode(bytes);
      const option = tcp?.options.find(({ kind }) => kind === 8);
      if (!tcp || !option || (tcp.flags & 2) === 0) return;
      const view = new DataView(option.data.buffer, option.data.byteOffset);
      found.push({ seq: tcp.seq, timestamp: view.getInt32(0) });
    };
  }
  connect(link);
  return found;
}

/** Starts the clock so that a number which grows by one every `unitUs` is `target` where it was `seen`. */
function startFor(startUs: number, seen: number, target: number, unitUs: number): number {
  return startUs + ((target - seen) >>> 0) * unitUs;
}

Deno.test("transfer: sequence numbers and timestamps that wrap, of either side, signed and unsigned", () => {
  const startUs = 1e9;
  const first = firstNumbers(startUs);
  for (const boundary of [0, -0x80000000]) {
    const starts = first.flatMap(({ seq, timestamp }) => [
      // A sequence number moves on by one in 4 us (RFC 6528), a timestamp in a millisecond.
      startFor(startUs, seq, (boundary - 300_000) | 0, 4),
      startFor(startUs, timestamp, (boundary - 200) | 0, 1000),
    ]);
    for (const [index, start] of starts.entries()) {
      const [a, b] = firstNumbers(start);
      const near = [a.seq, a.timestamp, b.seq, b.timestamp][index];
      assertLess((boundary - near) | 0, 300_001, "the numbers do not start where they should");
      for (const impair of ["delay=50ms rate=50mbit queue=100", "loss=3% delay=20ms reorder=5%"]) {
        const link = new Link({ impair, startUs: start });
        watchFlight(link);
        transfer(link, { bytes: MB, bytesBack: MB, limitUs: 60e6 });
      }
    }
  }
});

Deno.test("transfer: a tail that was probed and then SACKed does not keep the RTO from sending the head again", () => {
  const impair = "out.loss=3.6% out.duplicate=40.3% out.reorder=0.1% out.jitter=1ms seed=411692011";
  const small = { windowScaling: false, receiveBuffer: 2048 };
  const link = new Link({ impair, seed: 0, tcpA: { rack: false }, tcpB: small });
  transfer(link, { bytes: 2892, limitUs: 10e6 });
});
