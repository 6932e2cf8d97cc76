/** UDP_GRO: datagrams of one flow and size are read as one; and what came as one from the device or from ourselves. */
import { assertEquals } from "@std/assert";
import { EAGAIN, ENOPROTOOPT } from "../../lib/errno.ts";
import {
  Datagram,
  DATAGRAM_ERROR,
  IP_RECVERR,
  IPPROTO_IP,
  SO_RCVBUF,
  SocketKind,
  SOL_SOCKET,
  SOL_UDP,
  UDP_GRO,
} from "../../lib/stack/stack.ts";
import { udpFrame } from "../support/build.ts";
import { decode } from "../support/decode.ts";
import { Bench, expect, ip, OURS, PEER } from "./helpers.ts";

const PORT = 53;
const ON = [SOL_UDP, UDP_GRO, 1] as const;

type Fields = Partial<Parameters<typeof udpFrame>[0]>;

function numbered(length: number, first = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (first + i) * 7 >> 3);
}

/** A bench with a socket on PORT, which reads datagrams as one if asked to. */
class Receiver extends Bench {
  readonly message: Datagram;
  readonly handle: number;

  constructor({ merges = true, capacity = 65536 } = {}) {
    super();
    this.message = new Datagram(capacity);
    this.learnPeer();
    this.handle = expect(this.stack.socket(SocketKind.datagram));
    expect(this.stack.bind(this.handle, 0, PORT));
    if (merges) expect(this.stack.setOption(this.handle, ...ON, this.now));
  }

  /** Datagrams of these sizes arrive, whose bytes go on from one to the next; or one frame of `gsoSize`. */
  arrive(sizes: number[], fields: Fields = {}, gsoSize = 0): void {
    let first = 0;
    for (const size of sizes) {
      const addresses = { source: PEER, destination: OURS, sourcePort: 5000, destinationPort: PORT };
      this.input(udpFrame({ ...addresses, payload: numbered(size, first), ...fields }), true, gsoSize);
      first += size;
    }
  }

  /** Reads all: each message's length, with what UDP_GRO tells of it if it does. */
  read(): (number | [length: number, groSize: number])[] {
    const { stack, handle, message } = this;
    const read: ReturnType<Receiver["read"]> = [];
    for (;;) {
      const length = stack.receiveFrom(handle, message);
      if (length < 0) return length === -EAGAIN ? read : [...read, length];
      read.push(message.groSize > 0 ? [length, message.groSize] : length);
    }
  }

  /** The same after these arrived. */
  exchange(sizes: number[], fields: Fields = {}, gsoSize = 0): ReturnType<Receiver["read"]> {
    this.arrive(sizes, fields, gsoSize);
    return this.read();
  }
}

Deno.test("equal sizes are one message, in their order, and the shorter one ends it", () => {
  const made = new Receiver();
  assertEquals(made.exchange([100]), [100]);
  assertEquals(made.exchange([100, 100, 40, 100]), [[240, 100], 100]);
  assertEquals(made.exchange([100, 101, 101]), [100, [202, 101]]);
  assertEquals(made.exchange([1, 1, 1]), [[3, 1]]);
  made.arrive([300, 300, 200]);
  const { message, stack, handle } = made;
  assertEquals(stack.receiveFrom(handle, message), 800);
  assertEquals(message.bytes.subarray(0, 800), numbered(800));
  assertEquals([message.address, message.port], [ip(PEER), 5000]);
  assertEquals([message.localAddress, message.localPort], [ip(OURS), PORT]);
});

Deno.test("an empty datagram is a message of its own", () => {
  assertEquals(new Receiver().exchange([100, 0, 100, 100]), [100, 0, [200, 100]]);
  assertEquals(new Receiver().exchange([0, 0]), [0, 0]);
});

Deno.test("at most 64 datagrams, and at most what one could carry, or the reader has room for", () => {
  assertEquals(new Receiver().exchange(Array(100).fill(10)), [[640, 10], [360, 10]]);
  const made = new Receiver();
  made.stack.setOption(made.handle, SOL_SOCKET, SO_RCVBUF, 1 << 20, made.now);
  assertEquals(made.exchange(Array(50).fill(1472)), [[44 * 1472, 1472], [6 * 1472, 1472]]);
  assertEquals(new Receiver({ capacity: 1000 }).exchange([400, 400, 400]), [[800, 400], 400]);
});

Deno.test("another sender, port, TTL or TOS: another message", () => {
  const differences: Fields[] = [
    { source: "10.0.0.9" },
    { sourcePort: 5001 },
    { ttl: 9 },
    { ecn: 1 },
  ];
  for (const difference of differences) {
    const made = new Receiver();
    made.arrive([100, 100]);
    made.arrive([100], difference);
    made.arrive([100]);
    assertEquals(made.read(), [[200, 100], 100, 100], Object.keys(difference)[0]);
  }
});

Deno.test("with IP options, or to another address of ours, it is another message", () => {
  const made = new Receiver();
  const fields = { source: PEER, destination: OURS, sourcePort: 5000, destinationPort: PORT, payload: "ab" };
  const frames = [fields, fields, { ...fields, destination: "10.0.0.255" }, fields].map(udpFrame);
  // A word more: no operation three times, and the end of the list. The sum is of one word more and 4 bytes, and of them.
  const plain = frames[0];
  const view = new DataView(plain.buffer);
  view.setUint8(14, 0x46);
  view.setUint16(16, view.getUint16(16) + 4);
  view.setUint16(24, view.getUint16(24) - 0x0104 - 0x0101 - 0x0100);
  frames[0] = Uint8Array.of(...plain.subarray(0, 34), 1, 1, 1, 0, ...plain.subarray(34));
  for (const frame of frames) made.input(frame, true);
  assertEquals(made.drops, {});
  assertEquals(made.read(), [2, 2, 2, 2]);
});

Deno.test("without UDP_GRO, which is the default, each is a message", () => {
  const made = new Receiver({ merges: false });
  const { stack, handle, now } = made;
  assertEquals(stack.getOption(handle, SOL_UDP, UDP_GRO), 0);
  assertEquals(made.exchange([100, 100]), [100, 100]);
  expect(stack.setOption(handle, SOL_UDP, UDP_GRO, 5, now));
  assertEquals(stack.getOption(handle, SOL_UDP, UDP_GRO), 1);
  assertEquals(made.exchange([100, 100]), [[200, 100]]);
  const echo = expect(stack.socket(SocketKind.icmp));
  assertEquals(stack.setOption(echo, ...ON, now), -ENOPROTOOPT);
});

Deno.test("what the device gives as one is read so, or one by one", () => {
  assertEquals(new Receiver().exchange([2500], {}, 1000), [[2500, 1000]]);
  const made = new Receiver({ merges: false });
  made.arrive([2500], {}, 1000);
  const { message, stack, handle } = made;
  for (const [at, length] of [[0, 1000], [1000, 1000], [2000, 500]]) {
    assertEquals(stack.receiveFrom(handle, message), length);
    assertEquals(message.bytes.subarray(0, length), numbered(length, at));
  }
  assertEquals(made.read(), []);
  assertEquals(stack.bufferedBytes, 0);
  // It may have more than 64, and be followed by others of its size.
  assertEquals(new Receiver().exchange([1000], {}, 10), [[1000, 10]]);
  assertEquals(new Receiver().exchange([2000, 2000, 1500], {}, 1000), [[5500, 1000]]);
  assertEquals(new Receiver().exchange([900], {}, 1000), [900], "it is one datagram");
});

Deno.test("the option may be given while a message is read one by one", () => {
  const made = new Receiver({ merges: false });
  made.arrive([3500], {}, 1000);
  assertEquals(made.stack.receiveFrom(made.handle, made.message), 1000);
  expect(made.stack.setOption(made.handle, ...ON, made.now));
  assertEquals(made.read(), [[2500, 1000]]);
});

Deno.test("a buffer too small for all: without UDP_GRO as many as fit, with it nothing", () => {
  for (const merges of [false, true]) {
    const made = new Receiver({ merges });
    made.stack.setOption(made.handle, SOL_SOCKET, SO_RCVBUF, 2500, made.now);
    assertEquals(made.exchange([4000], {}, 1000), merges ? [] : [1000, 1000]);
    assertEquals(made.drops, { udpQueueFull: 1 });
  }
});

Deno.test("to ourselves what UDP_SEGMENT gave at once is one where it is wanted so", () => {
  const made = new Receiver();
  const sender = expect(made.stack.socket(SocketKind.datagram));
  const message = new Datagram();
  message.address = ip(OURS);
  message.port = PORT;
  message.length = 2500;
  message.bytes.set(numbered(2500));
  message.segment = 1000;
  assertEquals(made.stack.sendTo(sender, message, made.now), 2500);
  assertEquals(made.drain(), []);
  assertEquals(made.read(), [[2500, 1000]]);
  assertEquals(made.message.bytes.subarray(0, 2500), numbered(2500));
});

Deno.test("errors of IP_RECVERR's queue stand between datagrams, and are none", () => {
  const made = new Receiver();
  const { stack, handle, message } = made;
  expect(stack.setOption(handle, IPPROTO_IP, IP_RECVERR, 1, made.now));
  made.arrive([100]);
  // Nobody has the address: the message is reported back.
  message.address = ip("10.0.0.77");
  message.port = 9;
  message.ttl = 0;
  message.length = 100;
  expect(stack.sendTo(handle, message, made.now));
  made.pass(10_000_000);
  made.arrive([100]);
  assertEquals(stack.receiveFrom(handle, message), 100);
  assertEquals([message.kind, message.groSize], [0, 0]);
  assertEquals(stack.receiveFrom(handle, message), 100);
  assertEquals([message.kind, message.groSize], [DATAGRAM_ERROR, 0]);
  assertEquals(made.read(), [100]);
});

Deno.test("a port that nobody has is told of once, for all that came as one", () => {
  const made = new Receiver();
  const frame = udpFrame({
    ...{ source: PEER, destination: OURS, sourcePort: 5000, destinationPort: 9 },
    payload: numbered(2500),
  });
  const errors = made.input(frame, true, 1000).map((sent) => decode(sent).icmp);
  assertEquals(errors.map((icmp) => [icmp?.type, icmp?.code]), [[3, 3]]);
});
