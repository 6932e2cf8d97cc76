/** Payload that the device puts where it is wanted; and everything that may come in its place. */
import { assert, assertEquals } from "@std/assert";
import { Frame } from "../../lib/buffer/frame.ts";
import { SocketKind } from "../../lib/stack/stack.ts";
import { arpFrame, MAC_A } from "../support/build.ts";
import { Fed } from "./fed.ts";
import { OURS } from "./helpers.ts";

const SIZE = 10_000;
/** Ethernet, IP and TCP without options. */
const HEADERS = 54;

/** One that is in the midst of a bulk transfer. */
function flowing(): Fed {
  const made = new Fed();
  assertEquals([made.data(), made.data(), made.data()], [false, false, false]);
  made.check();
  return made;
}

Deno.test("after some large segments of a connection the next goes to its place without a copy", () => {
  const made = flowing();
  for (let i = 0; i < 20; i++) {
    assert(made.data(SIZE + i * 7));
    if (i % 3 === 0) made.check();
  }
  assert(made.data(100), "a small one too");
  made.check();
});

Deno.test("what comes instead is taken as ever", () => {
  const others: [string, (made: Fed) => Uint8Array][] = [
    ["an old segment", (made) => made.frame({ seq: made.next - 5000, payload: new Uint8Array(5000) })],
    ["one beyond a gap", (made) => made.frame({ seq: made.next + 5000, payload: new Uint8Array(5000) })],
    ["another connection's", (made) => made.frame({ sourcePort: 8, payload: new Uint8Array(5000) })],
    ["a reset of long ago", (made) => made.frame({ flags: "R", seq: 1, payload: new Uint8Array(500) })],
    ["no TCP", () => arpFrame({ operation: 2, senderIp: "10.0.0.77", sourceMac: MAC_A, targetIp: OURS })],
    ["a long frame that is no IP", () => new Uint8Array(9000).fill(8)],
  ];
  for (const [what, make] of others) {
    const made = flowing();
    assertEquals(made.deliver(make(made)), false, what);
    made.drain();
    for (let i = 0; i < 5; i++) made.data();
    // What lay beyond the gap came again with the rest.
    made.check();
  }
});

Deno.test("the next segment with more headers than thought is taken too, and then those like it", () => {
  const made = flowing();
  const timestamps: [number, number] = [1, 1];
  assertEquals(made.data(SIZE, { timestamps }), false);
  made.check();
  for (let i = 0; i < 3; i++) made.data(SIZE, { timestamps });
  assert(made.data(SIZE, { timestamps }));
  made.check();
});

Deno.test("a segment that reaches beyond the window is cut there", () => {
  const made = flowing();
  const before = made.next;
  while (made.next - before < 200_000 && made.stack.info(made.handle).receiveQueue === made.next - before) {
    made.data(60_000);
  }
  made.sent.length = made.stack.info(made.handle).receiveQueue;
  assert(made.sent.length < 200_000);
  made.next = before + made.sent.length;
  made.check();
  made.data();
  made.check();
});

Deno.test("nothing is kept for a connection from which nothing comes", () => {
  const made = flowing();
  const frame = new Frame();
  made.stack.expect(frame);
  assert(frame.headers === HEADERS && frame.payload.length >= 65536);
  made.stack.expectNothing(frame, made.now);
  assertEquals([frame.headers, frame.payload.length, made.stack.bufferedBytes], [0, 0, 0]);
});

Deno.test("a raw socket sees whole packets, so nothing is put elsewhere", () => {
  const made = flowing();
  const raw = made.stack.socket(SocketKind.raw, 6);
  assert(raw >= 0);
  assertEquals(made.data(), false);
  made.check();
});
