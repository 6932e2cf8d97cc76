import { assert, assertEquals } from "@std/assert";
import { Frame, FRAME_START } from "../../lib/buffer/frame.ts";
import { pseudoSum } from "../../lib/wire/checksum.ts";
import { Bench, ip, OURS, PEER } from "./helpers.ts";

const HEADERS = 14 + 20;
const big = new Uint8Array(200_000).fill(7);

function sendBig(features: { checksum: boolean; segmentation: boolean }): Frame[] {
  const made = new Bench({ features });
  made.learnPeer();
  const { handle } = made.connected(80);
  made.stack.send(handle, big, 0, big.length, made.now);
  const frames: Frame[] = [];
  for (let frame = new Frame(); made.stack.transmit(frame, made.now); frame = new Frame()) frames.push(frame);
  return frames;
}

Deno.test("without offload every segment is whole, with its checksum, its payload uncopied", () => {
  for (const frame of sendBig({ checksum: false, segmentation: false })) {
    assertEquals([frame.checksumStart, frame.gsoSize], [-1, 0]);
    assertEquals(frame.length, HEADERS + 20);
    assert(frame.payload.length <= 1460);
    assert(frame.payload.memory !== null && frame.payload.memory !== frame.memory);
  }
});

Deno.test("a checksum left to the device: the field holds the pseudo header's sum, not complemented", () => {
  const [frame] = sendBig({ checksum: true, segmentation: false });
  assertEquals([frame.checksumStart, frame.checksumOffset, frame.gsoSize], [HEADERS, 16, 0]);
  const field = frame.memory.view.getUint16(FRAME_START + frame.checksumStart + frame.checksumOffset);
  assertEquals(field, pseudoSum(ip(OURS), ip(PEER), 6, 20 + frame.payload.length));
});

Deno.test("segmentation left to the device: the initial window in two frames, half of it each", () => {
  const frames = sendBig({ checksum: true, segmentation: true });
  assertEquals(frames.length, 2);
  for (const frame of frames) {
    assertEquals(frame.gsoSize, 1460);
    assertEquals(frame.payload.length, 7_300);
    assertEquals(frame.memory.view.getUint16(FRAME_START + 16), 7_300 + 40);
  }
});
