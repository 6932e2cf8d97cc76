// Run by tap_test.ts in a network namespace of its own.
import "./open_libc.ts";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { flatten, Frame, FRAME_START } from "../../lib/buffer/frame.ts";
import { Memory } from "../../lib/buffer/memory.ts";
import { Epoll, EPOLLERR, EPOLLIN } from "../../ffi/epoll.ts";
import { SysError } from "../../ffi/errno.ts";
import { configureInterface, readInterface } from "../../ffi/interface.ts";
import { openTap, TapDevice, TapError } from "../../ffi/tap.ts";
import { F_GETFD, F_GETFL, FD_CLOEXEC, libc, O_NONBLOCK } from "../../ffi/libc.ts";
import { arpRequest, ETHER_TYPE_TEST, receiveWhere, testFrame } from "./frames.ts";
import { PacketSocket } from "./packet_socket.ts";

const HOST = 0x0a090005; // 10.9.0.5
const OURS = 0x0a090004;
const OUR_MAC = 0x020000000004;

function hostUp(tap: TapDevice, mtu = 1500): PacketSocket {
  configureInterface(tap.name, { address: { address: HOST, prefixLength: 24 }, mtu, up: true });
  return new PacketSocket(readInterface(tap.name)?.index ?? 0);
}

Deno.test("a new TAP is there while it is open, and then gone", () => {
  const tap = openTap({ name: "tap%d" });
  assertEquals(tap.name, "tap0");
  assertEquals(tap.mtu, 1500);
  assertEquals(tap.features, { checksum: false, segmentation: false, udpSegmentation: false });
  assertEquals(tap.deadline, Infinity);
  assertEquals(tap.persistent, false);
  assert((libc().fcntl(tap.fd, F_GETFD, 0) & FD_CLOEXEC) !== 0, "close-on-exec");
  assert((libc().fcntl(tap.fd, F_GETFL, 0) & O_NONBLOCK) !== 0, "non-blocking");
  assertEquals(readInterface("tap0")?.tun?.kind, "tap");
  tap.close();
  tap.close();
  assertEquals(readInterface("tap0"), null);
});

Deno.test("the kernel answers an ARP request sent through the TAP", () => {
  const tap = openTap({ name: "tap0" });
  const packets = hostUp(tap);
  const frame = new Frame(2048);
  frame.memory.bytes.set(arpRequest(OUR_MAC, OURS, HOST), FRAME_START);
  frame.length = 42;
  assert(tap.send(frame));
  const answer = receiveWhere(tap, (view) => view.getUint16(12) === 0x0806 && view.getUint16(20) === 2);
  assert(answer !== null, "no ARP answer");
  assertEquals(answer.view.getInt32(28), HOST); // sender's protocol address
  assertEquals(answer.view.getInt32(38), OURS);
  packets.close();
  tap.close();
});

Deno.test("headers and both slices of a ring go out as one frame", () => {
  const tap = openTap({ name: "tap0" });
  const packets = hostUp(tap);
  const frame = new Frame(2048);
  const ring = new Memory(4096);
  ring.bytes.forEach((_, i) => ring.bytes[i] = i * 7);
  const whole = testFrame(14 + 700 + 300);
  frame.memory.bytes.set(whole.subarray(0, 14), FRAME_START);
  frame.length = 14;
  frame.payload.memory = ring;
  frame.payload.offset1 = 4096 - 700;
  frame.payload.length1 = 700;
  frame.payload.length2 = 300;
  whole.set(ring.bytes.subarray(4096 - 700), 14);
  whole.set(ring.bytes.subarray(0, 300), 714);
  assert(tap.send(frame));
  assertEquals(packets.receive((f) => f[12] === ETHER_TYPE_TEST >> 8 && f.length === whole.length), whole);
  // one slice, and none
  frame.payload.length2 = 0;
  assert(tap.send(frame));
  assertEquals(packets.receive((f) => f.length === 714), whole.subarray(0, 714));
  frame.clear();
  frame.length = 14;
  assert(tap.send(frame));
  packets.close();
  tap.close();
});

Deno.test("frames come in whole, behind FRAME_START, in order; then there is none", () => {
  const tap = openTap({ name: "tap0" });
  const packets = hostUp(tap);
  for (const size of [14, 60, 61, 1000, 1514]) packets.send(testFrame(size));
  const frame = new Frame();
  frame.gsoSize = 5;
  for (const size of [14, 60, 61, 1000, 1514]) {
    const got = receiveWhere(tap, (view) => view.getUint16(12) === ETHER_TYPE_TEST, frame);
    assertEquals(got?.bytes, testFrame(size));
    assertEquals(frame.gsoSize, 0);
    assertEquals(frame.checksumVerified, false);
  }
  while (tap.receive(frame)) { /* what the kernel says of itself */ }
  assertEquals(tap.receive(frame), false);
  packets.close();
  tap.close();
});

Deno.test("what follows the headers comes in where the frame says", () => {
  for (const vnetHeader of [false, true]) {
    const tap = openTap({ name: "tap0", vnetHeader });
    const packets = hostUp(tap);
    const ring = new Memory(4096);
    const frame = new Frame();
    const prepare = () => {
      Object.assign(frame.payload, { memory: ring, offset1: 3096, length1: 1000, offset2: 0, length2: 3000 });
      frame.headers = 54;
    };
    for (const size of [14, 54, 55, 500, 1054, 1055, 1514]) {
      const wanted = testFrame(size);
      packets.send(wanted);
      do prepare(); while (
        tap.receive(frame) && frame.memory.view.getUint16(FRAME_START + 12) !== ETHER_TYPE_TEST
      );
      assertEquals([frame.length, frame.totalLength], [Math.min(size, 54), size]);
      const got = new Uint8Array(size);
      flatten(frame, got, 0);
      assertEquals(got, wanted);
    }
    packets.close();
    tap.close();
  }
});

Deno.test("frames too large for the MTU or for the memory are passed over and counted", () => {
  const tap = openTap({ name: "tap0", mtu: 1000 });
  assertEquals(tap.mtu, 1000);
  const packets = hostUp(tap, 1500);
  const isTest = (view: DataView) => view.getUint16(12) === ETHER_TYPE_TEST;
  packets.send(testFrame(1019));
  packets.send(testFrame(1514));
  packets.send(testFrame(1018));
  assertEquals(receiveWhere(tap, isTest)?.bytes.length, 1018);
  assertEquals(tap.counters.receivedOversized, 2);
  packets.send(testFrame(127));
  packets.send(testFrame(64));
  assertEquals(receiveWhere(tap, isTest, new Frame(128))?.bytes.length, 64);
  assertEquals(tap.counters.receivedOversized, 3);

  const frame = new Frame();
  frame.length = 1019;
  assert(tap.send(frame), "a frame that can never go is not to be tried again");
  assertEquals(tap.counters.sentOversized, 1);
  packets.close();
  tap.close();
});

Deno.test("a frame for an interface that is down is lost and counted", () => {
  const tap = openTap({ name: "tap0" });
  const frame = new Frame();
  frame.length = 60;
  assert(tap.send(frame));
  assertEquals(tap.counters.sentWhileDown, 1);
  tap.close();
});

Deno.test("a frame that leaves the device work which it cannot do is a mistake of the program", () => {
  const tap = openTap({ name: "tap0" });
  const frame = new Frame();
  frame.length = 60;
  frame.checksumStart = 34;
  assertThrows(() => tap.send(frame), RangeError, "no offload");
  tap.close();
});

Deno.test("a TAP that another has open is busy; another kind of interface is no TAP", () => {
  const tap = openTap({ name: "tap0" });
  const busy = assertThrows(() => openTap({ name: "tap0" }), TapError, "another program has it open");
  assertEquals([busy.reason, busy.name], ["busy", "EBUSY"]);
  const wrong = assertThrows(() => openTap({ name: "lo" }), TapError, "is no TAP");
  assertEquals(wrong.reason, "not-a-tap");
  tap.close();
});

Deno.test("a persistent TAP outlives its program, and a descriptor is enough to go on with it", () => {
  const first = openTap({ name: "tap7" });
  const owner = Deno.uid() ?? 0; // in a user namespace there may be no other
  first.setPersistent(true, owner);
  assertThrows(() => first.setPersistent(true, 0xffff_ffff), SysError, "Cannot give tap7 to user 4294967295");
  first.close();
  const left = readInterface("tap7");
  assertEquals(left?.tun, { kind: "tap", persistent: true, owner, group: null });
  assertEquals(left?.running, false);
  const second = openTap({ name: "tap7" });
  assertEquals(second.persistent, true);
  const third = TapDevice.fromFd(second.fd);
  assertEquals([third.name, third.mtu, third.persistent], ["tap7", 1500, true]);
  third.setPersistent(false);
  third.close();
  assertEquals(readInterface("tap7"), null);
});

Deno.test("an interface that is deleted ends its device with an error, and epoll tells", () => {
  const tap = openTap({ name: "tap0" });
  const epoll = new Epoll();
  epoll.add(tap.fd, EPOLLIN);
  const deleted = new Deno.Command("ip", { args: ["link", "delete", "tap0"] });
  try {
    deleted.outputSync();
  } catch {
    return; // no iproute2 on this machine
  } finally {
    if (readInterface("tap0") !== null) tap.close();
  }
  assertEquals(epoll.wait(1e6), 1);
  assert((epoll.eventMask(0) & EPOLLERR) !== 0);
  const error = assertThrows(() => tap.receive(new Frame()), SysError, "the interface was deleted");
  assertEquals(error.name, "EBADFD");
  epoll.close();
  tap.close();
});
