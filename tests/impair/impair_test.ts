import { assert, assertEquals, assertGreater, assertLess, assertNotEquals } from "@std/assert";
import { flatten, Frame, FRAME_START } from "../../lib/buffer/frame.ts";
import { Memory } from "../../lib/buffer/memory.ts";
import { ImpairedDevice, parseImpair } from "../../lib/impair.ts";
import { Random } from "../../lib/impair/random.ts";
import { type MemoryDevice, memoryPair } from "../support/memory_device.ts";

/** A frame of 64 bytes that holds its number. */
function numbered(frame: Frame, n: number): Frame {
  frame.clear();
  frame.memory.bytes.fill(0, FRAME_START, FRAME_START + 64);
  frame.memory.view.setUint32(FRAME_START, n);
  frame.length = 64;
  return frame;
}

function number(frame: Frame): number {
  return frame.memory.view.getUint32(FRAME_START);
}

interface Arrival {
  n: number;
  at: number;
  bytes: Uint8Array;
}

/** Takes what came to the far end by `now`. */
function collect(far: MemoryDevice, arrivals: Arrival[], now: number): void {
  const frame = new Frame(2048);
  while (far.receive(frame, now)) {
    const bytes = frame.memory.bytes.slice(FRAME_START, FRAME_START + frame.length);
    arrivals.push({ n: number(frame), at: now, bytes });
  }
}

/** Sends `count` frames, one each `everyUs`, through the impairment; what arrives, and when. */
function sendThrough(
  spec: string,
  count: number,
  everyUs = 10,
): { arrivals: Arrival[]; device: ImpairedDevice } {
  const [near, far] = memoryPair();
  const device = new ImpairedDevice(near, parseImpair(spec));
  const arrivals: Arrival[] = [];
  const frame = new Frame(2048);
  const settle = (until: number) => {
    while (device.deadline <= until) {
      const at = device.deadline;
      device.advance(at);
      collect(far, arrivals, at);
    }
  };
  for (let n = 0; n < count; n++) {
    const now = n * everyUs;
    settle(now);
    assert(device.send(numbered(frame, n), now));
    collect(far, arrivals, now);
  }
  settle(Number.MAX_SAFE_INTEGER);
  assertEquals(device.deadline, Infinity);
  return { arrivals, device };
}

/** The same the other way: from the far end, received through the impairment. */
function receiveThrough(
  spec: string,
  count: number,
  everyUs = 10,
): { arrivals: Arrival[]; device: ImpairedDevice } {
  const [near, far] = memoryPair();
  const device = new ImpairedDevice(near, parseImpair(spec));
  const arrivals: Arrival[] = [];
  const frame = new Frame(2048);
  const drain = (now: number) => {
    while (device.receive(frame, now)) {
      const bytes = frame.memory.bytes.slice(FRAME_START, FRAME_START + frame.length);
      arrivals.push({ n: number(frame), at: now, bytes });
    }
  };
  const settle = (until: number) => {
    while (device.deadline <= until) drain(device.deadline);
  };
  for (let n = 0; n < count; n++) {
    const now = n * everyUs;
    settle(now);
    far.send(numbered(frame, n), now);
    drain(now);
  }
  settle(Number.MAX_SAFE_INTEGER);
  return { arrivals, device };
}

function assertShare(actual: number, total: number, share: number): void {
  const deviation = 5 * Math.sqrt(total * share * (1 - share)) + 1;
  assertLess(Math.abs(actual - total * share), deviation, `${actual} of ${total} is not near ${share}`);
}

function inversions(arrivals: Arrival[]): number {
  return arrivals.filter((arrival, i) => i > 0 && arrival.n < arrivals[i - 1].n).length;
}

Deno.test("without an active impairment every frame passes as it is, and offload stays on offer", () => {
  const features = { checksum: true, segmentation: true };
  const [near, far] = memoryPair({ features });
  const device = new ImpairedDevice(near, parseImpair("loss=0% seed=3"));
  assertEquals(device.features, features);
  assertEquals([device.name, device.mtu, device.fd], [near.name, 1500, -1]);
  const frame = numbered(new Frame(2048), 7);
  frame.checksumStart = 34;
  assert(device.send(frame, 0));
  const arrived = new Frame(2048);
  assert(far.receive(arrived, 0));
  assertEquals([number(arrived), arrived.checksumVerified], [7, true]);
  assertEquals(device.deadline, Infinity);
});

Deno.test("an impaired device offers no offload", () => {
  const [near] = memoryPair({ features: { checksum: true, segmentation: true } });
  const device = new ImpairedDevice(near, parseImpair("in.loss=1%"));
  assertEquals(device.features, { checksum: false, segmentation: false });
});

Deno.test("loss: the share asked for, by direction, repeatable by the seed", () => {
  const { arrivals, device } = sendThrough("out.loss=25% seed=5", 20_000);
  assertShare(device.counters.out.lost, 20_000, 0.25);
  assertEquals(arrivals.length, 20_000 - device.counters.out.lost);
  assertEquals(arrivals.length, device.counters.out.passed);
  assertEquals(inversions(arrivals), 0);
  assertEquals(device.counters.in.lost, 0);

  const numbers = (spec: string) => sendThrough(spec, 2_000).arrivals.map((arrival) => arrival.n);
  assertEquals(numbers("loss=25% seed=5"), numbers("loss=25% seed=5"));
  assertNotEquals(numbers("loss=25% seed=5"), numbers("loss=25% seed=6"));
  assertEquals(sendThrough("loss=100%", 100).arrivals.length, 0);
});

Deno.test("loss on the way in", () => {
  const { arrivals, device } = receiveThrough("in.loss=25%", 20_000);
  assertShare(device.counters.in.lost, 20_000, 0.25);
  assertEquals(arrivals.length, device.counters.in.passed);
  assertEquals(device.counters.out.passed, 0);
});

Deno.test("what comes in does not change the fate of what goes out", () => {
  const [near, far] = memoryPair();
  const device = new ImpairedDevice(near, parseImpair("loss=25% seed=5"));
  const frame = new Frame(2048);
  const arrivals: Arrival[] = [];
  for (let n = 0; n < 1000; n++) {
    far.send(numbered(frame, n), n * 10);
    while (device.receive(frame, n * 10));
    device.send(numbered(frame, n), n * 10);
    collect(far, arrivals, n * 10);
  }
  const alone = sendThrough("loss=25% seed=5", 1000).arrivals;
  assertEquals(arrivals.map((a) => a.n), alone.map((a) => a.n));
});

Deno.test("delay: every frame arrives exactly that much later, both ways", () => {
  for (const through of [sendThrough, receiveThrough]) {
    const { arrivals } = through("delay=50ms", 500, 100);
    assertEquals(
      arrivals.map((a) => [a.n, a.at]),
      Array.from({ length: 500 }, (_, n) => [n, n * 100 + 50_000]),
    );
  }
});

Deno.test("jitter: spreads the delay over its whole range and keeps the order", () => {
  const { arrivals } = sendThrough("delay=50ms jitter=5ms", 2_000, 20_000);
  const delays = arrivals.map((a) => a.at - a.n * 20_000);
  assertGreater(Math.min(...delays), 44_999);
  assertLess(Math.min(...delays), 45_200);
  assertGreater(Math.max(...delays), 54_800);
  assertLess(Math.max(...delays), 55_001);
  const dense = sendThrough("delay=50ms jitter=5ms", 5_000, 10).arrivals;
  assertEquals(dense.length, 5_000);
  assertEquals(inversions(dense), 0);
});

Deno.test("duplicate: the share asked for arrives twice, the copy right behind", () => {
  const { arrivals, device } = sendThrough("duplicate=50%", 10_000);
  assertShare(device.counters.out.duplicated, 10_000, 0.5);
  assertEquals(arrivals.length, 10_000 + device.counters.out.duplicated);
  assertEquals(inversions(arrivals), 0);
  assertEquals(arrivals.length, device.counters.out.passed);
});

Deno.test("reorder without a delay: three frames overtake, nothing is lost, 1 ms at most", () => {
  const { arrivals, device } = sendThrough("reorder=10%", 10_000);
  assertShare(device.counters.out.reordered, 10_000, 0.1);
  assertEquals(arrivals.length, 10_000);
  assertEquals(new Set(arrivals.map((a) => a.n)).size, 10_000);
  assertGreater(inversions(arrivals), 600);
  for (const arrival of arrivals) assertLess(arrival.at - arrival.n * 10, 1001);

  const lone = sendThrough("reorder=100%", 1).arrivals;
  assertEquals(lone.map((a) => a.at), [1000]);
});

Deno.test("reorder without a delay works behind a slow bottleneck too", () => {
  const { arrivals, device } = sendThrough("reorder=10% rate=1mbit", 1000, 512);
  assertEquals(arrivals.length, 1000);
  assertGreater(inversions(arrivals), device.counters.out.reordered / 2);
});

Deno.test("reorder with a delay: the frame skips it, as in netem", () => {
  const { arrivals, device } = sendThrough("delay=10ms reorder=10%", 5_000, 100);
  const early = arrivals.filter((a) => a.at === a.n * 100).length;
  assertEquals(early, device.counters.out.reordered);
  assertShare(early, 5_000, 0.1);
  assertEquals(arrivals.filter((a) => a.at === a.n * 100 + 10_000).length, 5_000 - early);
});

Deno.test("corrupt: exactly one bit of the copy, never the sender's memory, and no longer vouched for", () => {
  const { arrivals, device } = sendThrough("corrupt=20%", 5_000);
  const original = new Frame(2048);
  let damaged = 0;
  arrivals.forEach((arrival, n) => {
    numbered(original, n);
    let bits = 0;
    for (let i = 0; i < 64; i++) {
      let diff = arrival.bytes[i] ^ original.memory.bytes[FRAME_START + i];
      for (; diff !== 0; diff &= diff - 1) bits++;
    }
    assertLess(bits, 2);
    damaged += bits;
  });
  assertEquals(damaged, device.counters.out.corrupted);
  assertShare(damaged, 5_000, 0.2);

  const [near, far] = memoryPair({ features: { checksum: true, segmentation: false } });
  const receiver = new ImpairedDevice(near, parseImpair("corrupt=100%"));
  const frame = numbered(new Frame(2048), 0);
  frame.checksumStart = 34;
  far.send(frame, 0);
  assert(receiver.receive(frame, 0));
  assertEquals(frame.checksumVerified, false);
});

Deno.test("rate: frames leave at the bottleneck's pace, and what finds the queue full is dropped", () => {
  // 64 bytes at 1 Mbit/s take 512 us.
  const paced = sendThrough("rate=1mbit", 100, 10).arrivals;
  assertEquals(paced.map((a) => a.at), Array.from({ length: 100 }, (_, n) => (n + 1) * 512));

  const idle = sendThrough("rate=1mbit", 10, 10_000).arrivals;
  assertEquals(idle.map((a) => a.at), Array.from({ length: 10 }, (_, n) => n * 10_000 + 512));

  const burst = sendThrough("rate=1mbit queue=10", 100, 0);
  assertEquals(burst.arrivals.map((a) => a.n), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assertEquals(burst.device.counters.out.queueDropped, 90);

  const bytes = sendThrough("rate=1mbit queue=640b", 100, 0);
  assertEquals(bytes.arrivals.length, 10);
});

Deno.test("a delay behind the bottleneck does not count for its queue", () => {
  const { arrivals, device } = sendThrough("rate=1mbit queue=2 delay=1s", 100, 512);
  assertEquals(device.counters.out.queueDropped, 0);
  assertEquals(arrivals.map((a) => a.at), Array.from({ length: 100 }, (_, n) => (n + 1) * 512 + 1e6));
});

Deno.test("without a rate, queue bounds what the delay holds", () => {
  const { arrivals, device } = sendThrough("delay=1s queue=10", 100, 1);
  assertEquals([arrivals.length, device.counters.out.queueDropped], [10, 90]);
});

Deno.test("payload slices are flattened, and survive their ring being reused", () => {
  const [near, far] = memoryPair();
  const device = new ImpairedDevice(near, parseImpair("delay=1ms"));
  const frame = new Frame(2048);
  const ring = new Memory(4096);
  ring.bytes.forEach((_, i) => ring.bytes[i] = i * 7);
  frame.length = 54;
  frame.memory.bytes.fill(9, FRAME_START, FRAME_START + 54);
  frame.payload.memory = ring;
  [frame.payload.offset1, frame.payload.length1] = [4000, 96];
  [frame.payload.offset2, frame.payload.length2] = [0, 300];
  const expected = new Uint8Array(450);
  flatten(frame, expected, 0);
  assert(device.send(frame, 0));
  ring.bytes.fill(0);
  frame.clear();
  device.advance(1000);
  const arrived = new Frame(2048);
  assert(far.receive(arrived, 1000));
  assertEquals(arrived.memory.bytes.slice(FRAME_START, FRAME_START + arrived.length), expected);
});

Deno.test("large frames are held with what they say about offload", () => {
  const [near, far] = memoryPair({ features: { checksum: true, segmentation: true } });
  const device = new ImpairedDevice(near, parseImpair("in.delay=1ms"));
  const frame = new Frame();
  frame.length = 60_000;
  frame.gsoSize = 1460;
  frame.checksumStart = 34;
  far.send(frame, 0);
  const arrived = new Frame();
  assertEquals(device.receive(arrived, 0), false);
  assertEquals(device.deadline, 1000);
  assert(device.receive(arrived, 1000));
  assertEquals([arrived.length, arrived.gsoSize, arrived.checksumVerified], [60_000, 1460, true]);
});

Deno.test("a device that is full makes send answer false; what was held goes out later, in order", () => {
  const [near, far] = memoryPair({ capacity: 2 });
  const device = new ImpairedDevice(near, parseImpair("delay=1ms"));
  const frame = new Frame(2048);
  for (let n = 0; n < 4; n++) assert(device.send(numbered(frame, n), 0));
  device.advance(1000);
  assertEquals(far.pending, 2);
  assertEquals(device.deadline, 2000);
  assertEquals(device.send(numbered(frame, 4), 1500), false);
  const arrivals: Arrival[] = [];
  collect(far, arrivals, 1600);
  assert(device.send(numbered(frame, 4), 1600));
  device.advance(2600);
  collect(far, arrivals, 2600);
  device.advance(3600);
  collect(far, arrivals, 3600);
  assertEquals(arrivals.map((a) => a.n), [0, 1, 2, 3, 4]);

  const lossy = memoryPair({ capacity: 1 });
  const passing = new ImpairedDevice(lossy[0], parseImpair("loss=0.001%"));
  assert(passing.send(numbered(frame, 0), 0));
  assertEquals(passing.send(numbered(frame, 1), 0), false);
  assertEquals(passing.counters.out.passed, 1);
});

Deno.test("a flood of frames that are all held does not keep receive from returning", () => {
  const [near, far] = memoryPair();
  const device = new ImpairedDevice(near, parseImpair("delay=1ms"));
  const frame = new Frame(2048);
  for (let n = 0; n < 1000; n++) far.send(numbered(frame, n), 0);
  assertEquals(device.receive(frame, 0), false);
  assertGreater(near.pending, 0);
  assertEquals(device.deadline, 0);
  while (device.deadline === 0) assertEquals(device.receive(frame, 0), false);
  assertEquals(near.pending, 0);
  assertEquals(device.deadline, 1000);
});

Deno.test("Random: uniform, and the same for the same seed", () => {
  const random = new Random(1);
  const buckets = new Array(16).fill(0);
  for (let i = 0; i < 160_000; i++) buckets[random.below(16)]++;
  for (const bucket of buckets) assertShare(bucket, 160_000, 1 / 16);
  assertEquals(new Random(9).next(), new Random(9).next());
  assertNotEquals(new Random(0).next(), new Random(1).next());
  assertEquals(random.chance(0), false);
  assertEquals(random.chance(1), true);
});
