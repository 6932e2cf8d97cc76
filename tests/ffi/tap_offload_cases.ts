// Run by tap_test.ts in a network namespace of its own.
import "./open_libc.ts";
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { Frame, FRAME_START } from "../../lib/buffer/frame.ts";
import { Memory } from "../../lib/buffer/memory.ts";
import { configureInterface, readInterface } from "../../ffi/interface.ts";
import { check, closeDescriptor, libc } from "../../ffi/libc.ts";
import { Block } from "../../ffi/memory.ts";
import { openTap, type TapDevice } from "../../ffi/tap.ts";
import { setSocketOption, SOL_SOCKET } from "../../ffi/unix_socket.ts";
import { SOL_UDP, UDP_SEGMENT } from "../../lib/stack/socket_types.ts";
import { receiveWhere } from "./frames.ts";
import { PacketSocket } from "./packet_socket.ts";

const HOST = 0x0a090005;
const OURS = 0x0a090004;
const SO_BROADCAST = 6;
const SEGMENT = 1000;
const SEGMENTS = 20;
const HEADERS = 54;

function open(): TapDevice {
  const tap = openTap({ name: "tap0", vnetHeader: true });
  configureInterface(tap.name, { address: { address: HOST, prefixLength: 24 }, up: true });
  return tap;
}

/** Ethernet, IPv4 and TCP headers of a large segment; the TCP checksum holds the sum of the pseudo header only. */
function writeHeaders(view: DataView, at: number, payload: number): void {
  view.setUint16(at + 4, 5);
  view.setUint16(at + 12, 0x0800);
  const ip = at + 14;
  const total = 40 + payload;
  view.setUint16(ip, 0x4500);
  view.setUint16(ip + 2, total);
  view.setUint16(ip + 6, 0x4000);
  view.setUint16(ip + 8, 0x4006);
  view.setInt32(ip + 12, OURS);
  view.setInt32(ip + 16, HOST);
  let sum = 0;
  for (let i = 0; i < 20; i += 2) sum += i === 10 ? 0 : view.getUint16(ip + i);
  view.setUint16(ip + 10, ~((sum & 0xffff) + (sum >> 16)));
  const tcp = ip + 20;
  view.setUint16(tcp, 4000);
  view.setUint16(tcp + 2, 9);
  view.setUint16(tcp + 12, 0x5010);
  let pseudo = 6 + 20 + payload;
  for (let i = 12; i < 20; i += 2) pseudo += view.getUint16(ip + i);
  view.setUint16(tcp + 16, (pseudo & 0xffff) + (pseudo >> 16));
}

Deno.test("offload is promised when it was negotiated", () => {
  const tap = open();
  // Cutting datagrams came with Linux 6.2.
  const [major, minor] = Deno.osRelease().split(".").map(Number);
  const udpSegmentation = major > 6 || (major === 6 && minor >= 2);
  assertEquals(tap.features, { checksum: true, segmentation: true, udpSegmentation });
  tap.close();
});

Deno.test("a large segment goes out in one write, from headers and ring slices", () => {
  const tap = open();
  const packets = new PacketSocket(readInterface("tap0")?.index ?? 0);
  const frame = new Frame();
  const payload = new Memory(SEGMENT * SEGMENTS);
  payload.bytes.forEach((_, i) => payload.bytes[i] = i * 11);
  writeHeaders(frame.memory.view, FRAME_START, payload.size);
  frame.length = HEADERS;
  frame.checksumStart = 34;
  frame.checksumOffset = 16;
  frame.gsoSize = SEGMENT;
  frame.payload.memory = payload;
  frame.payload.offset1 = SEGMENT;
  frame.payload.length1 = payload.size - SEGMENT;
  frame.payload.length2 = SEGMENT;
  assert(tap.send(frame));
  const seen = packets.receive((f) => f.length === HEADERS + payload.size);
  assert(seen !== null, "the kernel did not take the segment as one");
  assertEquals(seen.subarray(HEADERS, seen.length - SEGMENT), payload.bytes.subarray(SEGMENT));
  assertEquals(seen.subarray(seen.length - SEGMENT), payload.bytes.subarray(0, SEGMENT));

  frame.checksumStart = 60_000; // a header that contradicts the frame
  frame.payload.clear();
  frame.gsoSize = 0;
  assert(tap.send(frame));
  assertEquals(tap.counters.sentRefused, 1);
  packets.close();
  tap.close();
});

Deno.test("a large segment comes in as one frame, with its segments' size and a checksum that is vouched for", () => {
  const tap = open();
  const packets = new PacketSocket(readInterface("tap0")?.index ?? 0, true);
  const message = new Uint8Array(10 + HEADERS + SEGMENT * SEGMENTS);
  const view = new DataView(message.buffer);
  // struct virtio_net_hdr: needs checksum, TCPv4, header length, segment size, where the checksum starts and goes
  view.setUint16(0, 0x0101, true);
  [HEADERS, SEGMENT, 34, 16].forEach((half, i) => view.setUint16(2 + 2 * i, half, true));
  writeHeaders(view, 10, SEGMENT * SEGMENTS);
  message.fill(0x5a, 10 + HEADERS);
  packets.send(message);
  const got = receiveWhere(tap, (v) => v.getUint16(12) === 0x0800 && v.getUint8(23) === 6);
  assertEquals(got?.bytes.length, message.length - 10);
  assertEquals(got?.bytes, message.subarray(10));
  assertEquals([got?.frame.gsoSize, got?.frame.checksumVerified], [SEGMENT, true]);
  packets.close();
  tap.close();
});

/** Has the kernel send UDP datagrams, `size` bytes in all, as a broadcast through the TAP: one, or each of `segment`. */
function kernelSends(size: number, segment = 0): void {
  const fd = check("socket", libc().socket(2, 2, 0));
  setSocketOption(fd, SOL_UDP, UDP_SEGMENT, segment);
  setSocketOption(fd, SOL_SOCKET, SO_BROADCAST, 1);
  const address = new Block(16); // struct sockaddr_in
  address.view.setUint16(0, 2, true);
  address.view.setUint16(2, 9);
  address.view.setInt32(4, HOST | 0xff);
  check("connect", libc().connect(fd, address.bytes, 16));
  check("send", libc().send(fd, new Block(size).bytes.fill(7), size, 0));
  closeDescriptor(fd);
}

/** RFC 768: the sum over pseudo header and datagram is all ones when the checksum in it is right. */
function udpSum(view: DataView): number {
  const length = view.getUint16(38);
  let sum = 17 + length;
  for (let at = 26; at < 34 + length; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

const isUdp = (view: DataView) => view.getUint16(12) === 0x0800 && view.getUint8(23) === 17;

Deno.test("datagrams that a program gave at once come as one frame, with the size of each", () => {
  const tap = open();
  kernelSends(2500, 1000);
  const got = receiveWhere(tap, isUdp);
  assert(got !== null);
  assertEquals([got.frame.gsoSize, got.frame.checksumVerified], [1000, true]);
  assertEquals([got.bytes.length, got.view.getUint16(38)], [42 + 2500, 8 + 2500]);
  tap.close();
});

Deno.test("the kernel leaves a checksum undone and says so; without vnet headers it does it", () => {
  const before = open();
  before.setPersistent(true);
  try {
    kernelSends(100);
    const undone = receiveWhere(before, isUdp);
    assert(undone !== null);
    assertEquals(undone.frame.checksumVerified, true);
    assertNotEquals(udpSum(undone.view), 0xffff);
  } finally {
    before.close();
  }
  // The interface remembers what the program before took; the next one must not be handed unmarked, unfinished packets.
  const tap = openTap({ name: "tap0" });
  try {
    assertEquals(tap.features, { checksum: false, segmentation: false, udpSegmentation: false });
    kernelSends(100);
    const done = receiveWhere(tap, isUdp);
    assert(done !== null);
    assertEquals(done.frame.checksumVerified, false);
    assertEquals(udpSum(done.view), 0xffff);
  } finally {
    tap.setPersistent(false);
    tap.close();
  }
});
