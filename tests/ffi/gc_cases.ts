// Run by gc_test.ts in a network namespace of its own, with --v8-flags=--expose-gc.
//
// A buffer of which only the address is kept is collected, and the kernel then reads or writes memory that belongs to
// something else. Here everything that can be collected is, and its memory is filled with rubbish, between all calls.
import { assert, assertEquals } from "@std/assert";
import { Frame, FRAME_START } from "../../lib/buffer/frame.ts";
import { Memory, Slices } from "../../lib/buffer/memory.ts";
import { monotonicUs } from "../../ffi/clock.ts";
import { Epoll, EPOLLIN } from "../../ffi/epoll.ts";
import { WakeUp } from "../../ffi/eventfd.ts";
import { configureInterface, readInterface } from "../../ffi/interface.ts";
import { openTap } from "../../ffi/tap.ts";
import {
  ReceivedDescriptor,
  receiveDescriptor,
  receiveSlices,
  sendDescriptor,
  sendSlices,
} from "../../ffi/socket_io.ts";
import { closeDescriptor, getTag, setTag, socketPair } from "../../ffi/unix_socket.ts";
import { listenUnix } from "../../ffi/unix_listener.ts";
import { ETHER_TYPE_TEST, receiveWhere, testFrame } from "./frames.ts";
import { PacketSocket } from "./packet_socket.ts";
import "./open_libc.ts";

const ROUNDS = 6;
/** Sizes of what the code under test allocates: argument blocks, iovecs, events, rings and frames. */
const SIZES = [128, 136, 256, 1024, 2048, 3072, 4096, 65792];

const collect = (globalThis as unknown as { gc(): void }).gc;

function churn(): void {
  collect();
  for (const size of SIZES) {
    for (let i = 0; i < 5; i++) new Uint8Array(new ArrayBuffer(size)).fill(0xee);
  }
}

Deno.test("collection is really forced", async () => {
  let collected = false;
  const registry = new FinalizationRegistry(() => collected = true);
  (() => registry.register(new ArrayBuffer(4096), 0))();
  for (let i = 0; i < 20 && !collected; i++) {
    churn();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert(collected);
});

for (const vnetHeader of [false, true]) {
  Deno.test(`TAP, vnet header: ${vnetHeader}`, () => {
    const tap = openTap({ name: "tap0", vnetHeader });
    configureInterface("tap0", { up: true });
    const packets = new PacketSocket(readInterface("tap0")?.index ?? 0);
    const frame = new Frame();
    const ring = new Memory(4096);
    ring.bytes.forEach((_, i) => ring.bytes[i] = i * 5);
    const whole = testFrame(1014);
    whole.set(ring.bytes.subarray(3596), 14);
    whole.set(ring.bytes.subarray(0, 500), 514);
    for (let round = 0; round < ROUNDS; round++) {
      churn();
      packets.send(whole);
      const got = receiveWhere(tap, (view) => view.getUint16(12) === ETHER_TYPE_TEST, frame);
      assertEquals(got?.bytes, whole);
      frame.clear();
      frame.memory.bytes.set(whole.subarray(0, 14), FRAME_START);
      frame.length = 14;
      frame.payload.memory = ring;
      [frame.payload.offset1, frame.payload.length1, frame.payload.length2] = [3596, 500, 500];
      churn();
      assert(tap.send(frame));
      assertEquals(packets.receive((f) => f.length === whole.length), whole);
    }
    packets.close();
    tap.close();
  });
}

for (const sleep of ["pwait2", "timerfd"] as const) {
  Deno.test(`epoll with ${sleep}, eventfd and clock`, () => {
    const epoll = new Epoll({ sleep });
    const wake = new WakeUp();
    epoll.add(wake.fd, EPOLLIN, 5);
    for (let round = 0; round < ROUNDS; round++) {
      churn();
      assertEquals(epoll.wait(10), 0);
      const before = monotonicUs();
      churn();
      wake.signal();
      churn();
      assertEquals([epoll.wait(1000), epoll.eventFd(0), epoll.eventData(0)], [1, wake.fd, 5]);
      assert(wake.clear() && monotonicUs() > before);
    }
    epoll.close();
    wake.close();
  });
}

Deno.test("sockets", () => {
  const [a, b] = socketPair();
  const out = new Slices();
  out.memory = new Memory(4096);
  out.memory.bytes.forEach((_, i, bytes) => bytes[i] = i * 13);
  [out.offset1, out.length1, out.length2] = [4000, 96, 1000];
  const into = new Slices();
  into.memory = new Memory(4096);
  [into.offset1, into.length1, into.length2] = [4000, 96, 4000];
  const received = new ReceivedDescriptor();
  for (let round = 0; round < ROUNDS; round++) {
    churn();
    assertEquals(sendSlices(a, out), 1096);
    churn();
    assertEquals(receiveSlices(b, into), 1096);
    assertEquals(into.memory.bytes.subarray(0, 1000), out.memory.bytes.subarray(0, 1000));
    assertEquals(into.memory.bytes.subarray(4000), out.memory.bytes.subarray(4000));
    into.memory.bytes.fill(0);
    assertEquals(setTag(a, BigInt(round)), 0);
    assertEquals(sendDescriptor(a, a, out.memory, 0, 10), 10);
    churn();
    assertEquals(receiveDescriptor(b, into.memory, 0, 4096, received), 10);
    assertEquals(getTag(received.fd), BigInt(round));
    closeDescriptor(received.fd);
    const name = `@lvl-ip-gc-${round}`;
    listenUnix(name).close();
  }
  closeDescriptor(a);
  closeDescriptor(b);
});
