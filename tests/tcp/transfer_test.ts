/**
 * Whole transfers in virtual time over a bad network: every byte arrives, and no stall is longer than the RTO asks for,
 * which the bounds on the time of each transfer stand for. Exact and repeatable: a failure shows the last frames.
 */
import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { watchFlight } from "../support/invariants.ts";
import { Link, type LinkOptions } from "../support/link.ts";
import { transfer, type TransferOptions, type TransferResult } from "../support/transfer.ts";

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
