/** UDP_SEGMENT: many datagrams in one message, cut by the device or here. */
import { assertEquals } from "@std/assert";
import { flatten, Frame, FRAME_START } from "../../lib/buffer/frame.ts";
import { EINVAL, EMSGSIZE, ENOPROTOOPT } from "../../lib/errno.ts";
import { Datagram, SocketKind, SOL_UDP, UDP_SEGMENT } from "../../lib/stack/stack.ts";
import { parseIp } from "../../lib/wire/address.ts";
import { IP_PROTOCOL } from "../../lib/wire/ipv4.ts";
import { pseudoSum } from "../../lib/wire/checksum.ts";
import { decode } from "../support/decode.ts";
import { complaints } from "../support/format.ts";
import { Bench, expect, ip, OURS, PEER } from "./helpers.ts";

const OFFLOAD = { checksum: true, segmentation: true, udpSegmentation: true };
const SIZE = 1000;

function makeMessage(length: number, address = PEER): Datagram {
  const message = new Datagram();
  message.address = parseIp(address)!;
  message.port = 9;
  message.length = length;
  for (let i = 0; i < length; i++) message.bytes[i] = i * 7 >> 3;
  return message;
}

function bench(features?: typeof OFFLOAD): { made: Bench; handle: number } {
  const made = new Bench({ features });
  made.learnPeer();
  const handle = expect(made.stack.socket(SocketKind.datagram));
  assertEquals(made.stack.setOption(handle, SOL_UDP, UDP_SEGMENT, SIZE, made.now), 0);
  assertEquals(made.stack.getOption(handle, SOL_UDP, UDP_SEGMENT), SIZE);
  return { made, handle };
}

Deno.test("without a device that can, each datagram is cut, with its length and checksum", () => {
  for (const destination of [PEER, "10.0.0.255", "224.0.0.9"]) {
    const { made, handle } = bench();
    made.stack.setOption(handle, 1, 6, 1, made.now);
    const message = makeMessage(3500, destination);
    assertEquals(made.stack.sendTo(handle, message, made.now), 3500);
    const sent = made.drain().map((frame) => decode(frame));
    assertEquals(sent.map(({ udp }) => udp?.payload.length), [1000, 1000, 1000, 500]);
    assertEquals(sent.flatMap(({ udp }) => [...udp!.payload]), [...message.bytes.subarray(0, 3500)]);
    for (const packet of sent) assertEquals(complaints(packet), []);
  }
});

Deno.test("a device that can gets all of it, with what it needs to know", () => {
  const { made, handle } = bench(OFFLOAD);
  const message = makeMessage(3500);
  assertEquals(made.stack.sendTo(handle, message, made.now), 3500);
  const frame = new Frame();
  assertEquals(made.stack.transmit(frame, made.now), true);
  assertEquals([frame.gsoSize, frame.isUdpSegmented], [SIZE, true]);
  assertEquals([frame.checksumStart, frame.checksumOffset, frame.totalLength], [34, 6, 34 + 8 + 3500]);
  const bytes = new Uint8Array(frame.totalLength);
  flatten(frame, bytes, 0);
  const view = new DataView(bytes.buffer);
  assertEquals(view.getUint16(16), 20 + 8 + 3500);
  assertEquals(view.getUint16(38), 8 + 3500);
  assertEquals(view.getUint16(40), pseudoSum(ip(OURS), ip(PEER), IP_PROTOCOL.udp, 8 + 3500));
  assertEquals(made.stack.transmit(frame, made.now), false);
  assertEquals(frame.memory.bytes[FRAME_START], 0x02);
});

Deno.test("what fits one datagram is one; a message may have a size of its own", () => {
  const { made, handle } = bench(OFFLOAD);
  assertEquals(made.stack.sendTo(handle, makeMessage(SIZE), made.now), SIZE);
  assertEquals(made.drain().map((frame) => decode(frame).udp?.payload.length), [SIZE]);
  const message = makeMessage(100);
  message.segment = 30;
  assertEquals(made.stack.sendTo(handle, message, made.now), 100);
  const frame = new Frame();
  made.stack.transmit(frame, made.now);
  assertEquals(frame.gsoSize, 30);
});

Deno.test("a message says whether it is cut, whatever the socket has", () => {
  const { made, handle } = bench();
  const message = makeMessage(1400);
  message.segment = 0;
  assertEquals(made.stack.sendTo(handle, message, made.now), 1400);
  assertEquals(made.drain().map((frame) => decode(frame).udp?.payload.length), [1400]);
  message.segment = -1;
  assertEquals(made.stack.sendTo(handle, message, made.now), 1400);
  assertEquals(made.drain().map((frame) => decode(frame).udp?.payload.length), [1000, 400]);
});

Deno.test("to ourselves they come one by one", () => {
  const { made, handle } = bench(OFFLOAD);
  const receiver = expect(made.stack.socket(SocketKind.datagram));
  expect(made.stack.bind(receiver, 0, 9));
  made.stack.sendTo(handle, makeMessage(2500, OURS), made.now);
  assertEquals(made.drain(), []);
  const message = new Datagram();
  const lengths = [];
  for (
    let n = made.stack.receiveFrom(receiver, message);
    n >= 0;
    n = made.stack.receiveFrom(receiver, message)
  ) {
    lengths.push(n);
  }
  assertEquals(lengths, [1000, 1000, 500]);
});

Deno.test("refusals are Linux's", () => {
  const { made, handle } = bench(OFFLOAD);
  const message = makeMessage(65507);
  message.segment = 1473;
  assertEquals(made.stack.sendTo(handle, message, made.now), -EMSGSIZE, "a piece does not fit the MTU");
  assertEquals(message.mtu, 0, "it is not told as the path's");
  message.length = 1473;
  assertEquals(
    made.stack.sendTo(handle, message, made.now),
    -EMSGSIZE,
    "nor a single one that would fit in fragments",
  );
  message.segment = 0;
  assertEquals(made.stack.sendTo(handle, message, made.now), 1473);
  message.length = 65507;
  message.segment = 500;
  assertEquals(made.stack.sendTo(handle, message, made.now), -EINVAL, "more than 128 pieces");
  message.segment = 1472;
  message.length = 65508;
  assertEquals(made.stack.sendTo(handle, message, made.now), -EMSGSIZE, "no packet holds it");
  assertEquals(made.stack.setOption(handle, SOL_UDP, UDP_SEGMENT, 65536, made.now), -EINVAL);
  assertEquals(made.stack.setOption(handle, SOL_UDP, UDP_SEGMENT, -1, made.now), -EINVAL);
  assertEquals(made.stack.setOption(handle, SOL_UDP, 1, 1, made.now), -ENOPROTOOPT);
  const stream = expect(made.stack.socket(SocketKind.stream));
  assertEquals(made.stack.setOption(stream, SOL_UDP, UDP_SEGMENT, 5, made.now), -ENOPROTOOPT);
});
