/** Segments that the stack merges where the device does not, and what is never merged. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { arpFrame, MAC_A, type TcpFields } from "../support/build.ts";
import { decode } from "../support/decode.ts";
import { check } from "../support/fuzz.ts";
import { Fed, type FedOptions } from "./fed.ts";
import { ip, only, OURS } from "./helpers.ts";

const MSS = 1460;

/** A connection in the midst of a bulk transfer from a device that merges nothing. */
function flowing(options: FedOptions = {}): Fed {
  const made = new Fed({ offload: false, ...options });
  // Until the peer has had its quick acknowledgments.
  for (let i = 0; i < 60; i++) {
    made.data(MSS);
    made.endTurn();
    made.check();
  }
  return made;
}

/** How many segments TCP saw while `act` was done, merged ones counted as one. */
function segmentsSeen(made: Fed, act: () => void): number {
  const before = made.stack.counters.tcpIn;
  act();
  made.endTurn();
  return made.stack.counters.tcpIn - before;
}

/** What acknowledgments say: number, and flags. */
function acks(frames: Uint8Array[], made: Fed): number[] {
  return frames.map((frame) => decode(frame).tcp!.ack - made.next);
}

for (const places of [true, false]) {
  Deno.test(`segments that follow each other in one turn are one to TCP${places ? ", put in place" : ""}`, () => {
    const made = flowing({ places });
    const before = made.stack.counters.framesIn;
    const seen = segmentsSeen(made, () => {
      for (let i = 0; i < 20; i++) assertEquals(made.data(MSS), places);
    });
    assertEquals([seen, made.stack.counters.framesIn - before], [1, 20]);
    made.check();
  });
}

Deno.test("there is one acknowledgment a batch, as with a device that merges", () => {
  const made = flowing();
  for (let i = 0; i < 20; i++) made.data(MSS);
  assertEquals(acks(made.endTurn(), made), [0]);
  // One segment alone has to wait for a second, or for the timer.
  made.check();
  made.data(MSS);
  assertEquals(made.endTurn(), []);
  assertEquals(acks(made.pass(50_000), made), [0]);
  made.check();
});

Deno.test("a batch ends with 64 KB of packet, a push, a short segment, or the turn", () => {
  // More than the window takes, which does not matter here.
  const overfull = flowing();
  assertEquals(segmentsSeen(overfull, () => Array.from({ length: 45 }, () => overfull.data(1456))), 2);
  const made = flowing();
  const pushed = () => [".", "P.", "."].forEach((flags) => made.data(MSS, { flags }));
  assertEquals(segmentsSeen(made, pushed), 2);
  assertEquals(segmentsSeen(made, () => [MSS, 700, MSS].forEach((length) => made.data(length))), 2);
  assertEquals(segmentsSeen(made, () => [700, MSS, MSS].forEach((length) => made.data(length))), 2);
  made.check();
  made.data(MSS);
  made.endTurn();
  assertEquals(segmentsSeen(made, () => made.data(MSS)), 1);
  made.check();
});

Deno.test("a push is not held back", () => {
  const made = flowing();
  const before = made.stack.counters.tcpIn;
  [".", ".", "P."].forEach((flags) => made.data(MSS, { flags }));
  assertEquals(made.stack.counters.tcpIn - before, 1);
  made.endTurn();
  made.check();
});

Deno.test("segments that differ are not merged", () => {
  const different: [string, Partial<TcpFields>][] = [
    ["window", { window: 65000 }],
    ["timestamps", { timestamps: [1, 1] }],
    ["time to live", { ttl: 63 }],
    ["Congestion Experienced", { ecn: 3 }],
    ["FIN", { flags: "F." }],
    ["URG", { flags: "U.", urgentPointer: 1 }],
    ["ECE", { flags: "E." }],
    ["Ethernet address", { sourceMac: "02:00:00:00:00:77" }],
  ];
  for (const [what, fields] of different) {
    const made = flowing();
    const seen = segmentsSeen(made, () => {
      made.data(MSS);
      made.data(MSS);
      made.data(MSS - 12, fields);
    });
    assertEquals(seen, 2, what);
    if (what !== "FIN") made.check();
  }
});

Deno.test("what comes between ends the batch first, and is taken as ever", () => {
  const others: [string, (made: Fed) => Uint8Array][] = [
    ["an old segment", (made) => made.piece(made.next - 500, 500)],
    ["one beyond a gap", (made) => made.piece(made.next + 5000, 1000)],
    ["an acknowledgment", (made) => made.frame()],
    ["another connection's", (made) => made.frame({ sourcePort: 8, payload: new Uint8Array(MSS) })],
    ["no TCP", () => arpFrame({ operation: 2, senderIp: "10.0.0.77", sourceMac: MAC_A, targetIp: OURS })],
  ];
  for (const [what, make] of others) {
    const made = flowing();
    made.data(MSS);
    made.data(MSS);
    made.deliver(make(made));
    for (let i = 0; i < 5; i++) made.data(MSS);
    made.endTurn();
    assertEquals(made.stack.info(made.handle).receiveQueue, 7 * MSS, what);
    made.check();
  }
});

Deno.test("each segment beyond a gap is acknowledged on its own", () => {
  const made = flowing();
  const lost = made.make(MSS);
  let duplicates = 0;
  for (let i = 0; i < 5; i++) {
    made.data(MSS);
    assert(made.stack.isUrgent);
    duplicates += made.drain().length;
  }
  assertEquals(duplicates, 5);
  made.deliver(lost);
  assertEquals(acks(made.endTurn(), made), [0]);
});

Deno.test("a segment with a wrong checksum is lost, whatever waits before it", () => {
  for (const at of [14 + 11, 14 + 20 + 17, 14 + 40 + 999]) {
    const made = flowing();
    made.data(MSS);
    const broken = made.make(MSS);
    const good = broken.slice();
    broken[at] ^= 0x10;
    made.deliver(broken);
    made.endTurn();
    assertEquals(Object.values(made.drops).reduce((a, b) => a + b), 1);
    assertEquals(made.stack.info(made.handle).receiveQueue, MSS);
    made.deliver(good);
    made.endTurn();
    made.check();
  }
});

Deno.test("what waits is taken in before anything is sent", () => {
  const made = flowing();
  made.data(MSS);
  made.data(MSS);
  assertEquals(only(made.drain()).tcp!.ack, made.next);
  made.endTurn();
  made.check();
});

Deno.test("the receive ring grows under segments that wait", () => {
  const made = flowing();
  for (let i = 0; i < 30; i++) {
    for (let k = 0; k < 4; k++) made.data(MSS);
    if (i % 3 === 0) made.endTurn();
    if (i % 10 !== 9) continue;
    made.endTurn();
    made.check();
  }
});

Deno.test("an address that was taken away while segments wait gets them no more", () => {
  const made = flowing();
  made.data(MSS);
  made.data(MSS);
  made.stack.network.removeAddress(made.stack.network.interfaces[1], ip(OURS), 24);
  assertEquals(made.endTurn(), []);
});

/** One frame of a random stream: which piece of it, how long, and how it comes. */
const frames = fc.array(
  fc.record({
    /** Pieces that it goes back by, or leaves out. */
    step: fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, fc.integer({ min: -3, max: 3 })),
    length: fc.oneof({ weight: 8, arbitrary: fc.constant(MSS) }, fc.integer({ min: 1, max: MSS })),
    push: fc.boolean(),
    ecn: fc.oneof({ weight: 9, arbitrary: fc.constant(2) }, fc.constant(3)),
    corrupt: fc.integer({ min: 0, max: 15 }).map((n) => n === 0),
    turnEnds: fc.integer({ min: 0, max: 5 }).map((n) => n === 0),
  }),
  { minLength: 20, maxLength: 80 },
);

Deno.test("merged or not, the same bytes arrive, and the same is acknowledged at the end of each turn", () => {
  const property = fc.property(frames, (plan) => {
    const all = [true, false, false].map((places) => flowing({ places }));
    // A turn for each frame: nothing waits for another.
    const plain = all[2];
    let seq = plain.next;
    for (const { step, length, push, ecn, corrupt, turnEnds } of plan) {
      seq = Math.max(1000, seq + step * MSS);
      for (const made of all) {
        const frame = made.piece(seq, length, { ecn, flags: push ? "P." : "." });
        if (corrupt) frame[frame.length - 1] ^= 1;
        made.deliver(frame);
        if (made === plain || turnEnds) made.endTurn();
      }
      seq += length;
      if (turnEnds) assertEquals(...pairOf(all.map(position)));
    }
    for (const made of all) made.endTurn();
    const [first, ...others] = all.map(contents);
    for (const other of others) assertEquals(other, first);
  });
  check(property, 25);
});

/** What was received in order, and beyond gaps. */
function position({ stack, handle }: Fed): number[] {
  const info = stack.info(handle);
  return [info.receiveQueue, info.tcpi_bytes_received];
}

/** Merging stacks must agree with the one that does not. */
function pairOf(all: number[][]): [number[][], number[][]] {
  return [all, all.map(() => all.at(-1)!)];
}

function contents(made: Fed): number[] {
  const bytes = new Uint8Array(1 << 20);
  const length = made.stack.receive(made.handle, bytes, 0, bytes.length, made.now);
  return length < 0 ? [] : [...bytes.subarray(0, length)];
}
