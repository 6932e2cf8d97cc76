// How fast frames go through a TAP, one system call each, without a stack around it:
//
//   unshare -n deno run -A tests/ffi/tap_throughput.ts
//
// Out: 54 bytes of headers and a slice of 1460 bytes of a ring, to a kernel that drops them by their EtherType.
// In: frames of 1514 bytes that a packet socket put into the TAP's queue.
import { Frame, FRAME_START } from "../../lib/buffer/frame.ts";
import { Memory } from "../../lib/buffer/memory.ts";
import { monotonicUs } from "../../ffi/clock.ts";
import { configureInterface, readInterface } from "../../ffi/interface.ts";
import { openTap, type TapDevice } from "../../ffi/tap.ts";
import { testFrame } from "./frames.ts";
import { PacketSocket } from "./packet_socket.ts";

const SECONDS = 1;
const RUNS = 5;
const QUEUE = 500;

function median(name: string, measure: () => number): void {
  const results = Array.from({ length: RUNS }, measure).sort((a, b) => a - b);
  const [low, middle, high] = [results[0], results[RUNS >> 1], results[RUNS - 1]].map((rate) =>
    Math.round(rate / 1000)
  );
  console.log(`${name}: ${middle}k frames/s (${low}k-${high}k), ${Math.round(1e6 / middle)} ns a frame`);
}

function sendRate(tap: TapDevice): number {
  const frame = new Frame();
  const ring = new Memory(1 << 20);
  frame.memory.bytes.set(testFrame(54), FRAME_START);
  frame.length = 54;
  frame.payload.memory = ring;
  frame.payload.length1 = 1460;
  const start = monotonicUs();
  let sent = 0;
  let offset = 0;
  while (monotonicUs() - start < SECONDS * 1e6) {
    for (let i = 0; i < 64; i++) {
      offset = offset + 2920 > ring.size ? 0 : offset + 1460;
      frame.payload.offset1 = offset;
      if (tap.send(frame, 0)) sent++;
    }
  }
  return sent / ((monotonicUs() - start) / 1e6);
}

/** The queue is filled, then emptied, by this one thread: what a frame costs, without wake-ups and without a race. */
function receiveRate(tap: TapDevice, packets: PacketSocket): number {
  const frame = new Frame();
  const bytes = testFrame(1514);
  let received = 0;
  let elapsed = 0;
  while (elapsed < (SECONDS * 1e6) / 2) {
    for (let i = 0; i < QUEUE; i++) packets.send(bytes);
    const start = monotonicUs();
    while (tap.receive(frame, 0)) received++;
    elapsed += monotonicUs() - start;
  }
  return received / (elapsed / 1e6);
}

for (const vnetHeader of [false, true]) {
  const tap = openTap({ name: "tap0", vnetHeader });
  configureInterface("tap0", { up: true, queueLength: QUEUE });
  const packets = new PacketSocket(readInterface("tap0")?.index ?? 0, false, true);
  const how = vnetHeader ? "with vnet header" : "plain";
  median(`out, ${how}`, () => sendRate(tap));
  median(`in, ${how}`, () => receiveRate(tap, packets));
  packets.close();
  tap.close();
}
