import { assert, assertEquals } from "@std/assert";
import { fold, pseudoSum, sum } from "../../lib/wire/checksum.ts";
import { Memory } from "../../lib/buffer/memory.ts";
import type { StackFeatures } from "../../lib/stack/socket_types.ts";
import { arpFrame, icmpFrame, type IpFields, tcpFrame, udpFrame } from "../support/build.ts";
import { ip } from "./helpers.ts";
import { type FrameNotes, hostMac, ourMac, Router, type Sent } from "./router.ts";

const A = "10.0.0.2";
const B = "10.1.0.2";
const FAR = "192.0.2.7";
const IP_HEADER = 14;

/** A host on each side of the router, and a network behind the one on the right. */
function router(config = {}, each: object[] = []): Router {
  const made = new Router(["10.0.0.1/24", "10.1.0.1/24"], config, each);
  made.learn(0, A, "10.0.0.1");
  made.learn(1, B, "10.1.0.1");
  return made;
}

function addRoute(made: Router, network: string, prefixLength: number, more: object): void {
  const link = "type" in more ? undefined : made.stack.network.interfaces[2];
  assertEquals(made.stack.network.setRoute({ network: ip(network), prefixLength, link, ...more }, "add"), 0);
}

const udp = (fields: Partial<IpFields> & { payload?: Uint8Array } = {}) =>
  udpFrame({
    source: A,
    destination: B,
    sourcePort: 5,
    destinationPort: 9,
    sourceMac: hostMac(0, 2),
    destinationMac: ourMac(0),
    payload: new Uint8Array(8),
    ...fields,
  });

/** The bytes from the IP header on, where the TTL and the header's checksum are as they were. */
function beyond(bytes: Uint8Array): number[] {
  const copy = [...bytes.subarray(IP_HEADER)];
  copy[8] = copy[10] = copy[11] = 0;
  return copy;
}

/** The type and code of the one ICMP message that went back to A, and its bytes 4 to 7. */
function errorOf(sent: Sent[]): [type: number, code: number, rest: number] {
  const errors = sent.filter(({ icmp }) => icmp !== undefined);
  assertEquals(errors.length, 1);
  const [{ icmp, device, ipv4 }] = errors;
  assertEquals([device, ipv4!.destination, ipv4!.source], [0, ip(A), ip("10.0.0.1")]);
  return [icmp!.type, icmp!.code, (icmp!.id << 16) | icmp!.seq];
}

Deno.test("RFC 1812 5.2.1: a packet is passed on as it is, one hop older, to the next hop's address", () => {
  const made = router();
  addRoute(made, "192.0.2.0", 24, { gateway: ip(B) });
  for (const destination of [B, FAR]) {
    const frame = udp({ destination, ttl: 2 });
    const [passed, ...more] = made.input(0, frame);
    assertEquals(more, []);
    assertEquals(passed.malformed, "");
    assertEquals([passed.device, passed.sourceMac, passed.destinationMac], [1, ourMac(1), hostMac(1, 2)]);
    assertEquals([passed.ipv4!.ttl, passed.ipv4!.checksumOk], [1, true]);
    assertEquals(beyond(passed.bytes), beyond(frame));
  }
  assertEquals(made.stack.counters.ipForwarded, 2);
});

Deno.test("RFC 1624: the header's checksum is right for every checksum there can be", () => {
  const made = router();
  for (let identification = 0; identification < 65536; identification += 7) {
    const [passed] = made.input(0, udp({ identification, ttl: 64 + (identification & 63) }));
    assert(passed.ipv4!.checksumOk, `identification ${identification}`);
  }
});

Deno.test("without the option nothing is passed on, and nobody is told", () => {
  const made = router({ forwarding: false });
  assertEquals(made.input(0, udp()), []);
  assertEquals(made.drops.ipNotForUs, 1);
});

Deno.test("RFC 1812 5.3.1: a packet whose time is over is reported, from the address that its source knows", () => {
  for (const ttl of [0, 1]) {
    const made = router();
    assertEquals(errorOf(made.input(0, udp({ ttl }))), [11, 0, 0]);
    assertEquals(made.drops.ipTtlExceeded, 1);
  }
});

Deno.test("RFC 1812 5.2.7.1: no route, and routes that say no", () => {
  const made = router();
  addRoute(made, "198.51.100.0", 26, { type: "unreachable" });
  addRoute(made, "198.51.100.64", 26, { type: "prohibit" });
  addRoute(made, "198.51.100.128", 26, { type: "blackhole" });
  assertEquals(errorOf(made.input(0, udp({ destination: FAR }))), [3, 0, 0]);
  assertEquals(errorOf(made.input(0, udp({ destination: "198.51.100.1" }))), [3, 1, 0]);
  assertEquals(errorOf(made.input(0, udp({ destination: "198.51.100.65" }))), [3, 13, 0]);
  assertEquals(made.input(0, udp({ destination: "198.51.100.129" })), []);
  assertEquals(made.drops.ipNoRoute, 4);
});

Deno.test("a next hop that does not answer: host unreachable, for each packet that waited", () => {
  const made = router();
  const asked = made.input(0, udp({ destination: "10.1.0.77" }));
  assertEquals(asked.map(({ device, arp }) => [device, arp?.targetAddress]), [[1, ip("10.1.0.77")]]);
  made.input(0, udp({ destination: "10.1.0.77" }));
  const errors = made.pass(10e6).filter(({ icmp }) => icmp !== undefined);
  assertEquals(errors.map(({ icmp }) => [icmp!.type, icmp!.code]), [[3, 1], [3, 1]]);
});

Deno.test("RFC 1191 4: too large with DF: the next hop's MTU is told; without, fragments go on", () => {
  const made = router({}, [{}, { mtu: 1000 }]);
  const payload = Uint8Array.from({ length: 1400 }, (_, i) => i);
  const large = udp({ payload });
  assertEquals(errorOf(made.input(0, large)), [3, 4, 1000]);
  const view = new DataView(large.buffer);
  setFragmentField(view, 0);
  const fragments = made.input(0, large);
  assertEquals(
    fragments.map(({ ipv4 }) => [ipv4!.totalLength, ipv4!.fragmentOffset, ipv4!.moreFragments, ipv4!.ttl]),
    [[996, 0, true, 63], [452, 976, false, 63]],
  );
  const joined = fragments.flatMap(({ bytes }) => [...bytes.subarray(IP_HEADER + 20)]);
  assertEquals(joined, [...large.subarray(IP_HEADER + 20)]);
  // A fragment is cut as well, and knows where in the whole it was (RFC 791 3.2).
  setFragmentField(view, 0x2000 | 100);
  assertEquals(
    made.input(0, large).map(({ ipv4 }) => [ipv4!.fragmentOffset, ipv4!.moreFragments]),
    [[800, true], [1776, true]],
  );
});

/** Flags and offset of the IP header, with the checksum mended. */
function setFragmentField(view: DataView, value: number): void {
  view.setUint16(IP_HEADER + 6, value);
  mendHeader(view, 20);
}

function mendHeader(view: DataView, length: number): void {
  view.setUint16(IP_HEADER + 10, 0);
  const memory = new Memory(128);
  memory.bytes.set(new Uint8Array(view.buffer, IP_HEADER, length));
  view.setUint16(IP_HEADER + 10, fold(sum(memory, 0, length)));
}

/** A datagram with these options, a multiple of 4 bytes, that may be fragmented. */
function withOptions(options: number[], payload: number): Uint8Array {
  const plain = udp({ payload: new Uint8Array(payload) });
  const frame = new Uint8Array(plain.length + options.length);
  frame.set(plain.subarray(0, 34));
  frame.set(options, 34);
  frame.set(plain.subarray(34), 34 + options.length);
  const view = new DataView(frame.buffer);
  view.setUint8(IP_HEADER, 0x45 + options.length / 4);
  view.setUint16(IP_HEADER + 2, frame.length - IP_HEADER);
  view.setUint16(IP_HEADER + 6, 0);
  mendHeader(view, 20 + options.length);
  return frame;
}

Deno.test("RFC 1812 5.2.4: who records the way finds our address on the next link there, as long as there is room", () => {
  const made = router();
  const optionsOf = (options: number[]) => {
    const [{ bytes, malformed }] = made.input(0, withOptions(options, 8));
    assertEquals(malformed, "");
    return [...bytes.subarray(34, 34 + options.length)];
  };
  const ours = [10, 1, 0, 1];
  assertEquals(optionsOf([1, 7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0]), [1, 7, 11, 8, ...ours, 0, 0, 0, 0]);
  assertEquals(optionsOf([1, 7, 11, 8, 9, 9, 9, 9, 0, 0, 0, 0]), [1, 7, 11, 12, 9, 9, 9, 9, ...ours]);
  for (const unchanged of [[1, 7, 7, 8, 9, 9, 9, 9], [1, 7, 7, 3, 9, 9, 9, 9], [7, 2, 1, 1], [68, 4, 4, 0]]) {
    assertEquals(optionsOf(unchanged), unchanged);
  }
  // Milliseconds by a clock of our own, which the highest bit says (RFC 791 3.1).
  const time = [
    0x80 | ((made.now / 1000) >>> 24),
    ...[16, 8, 0].map((bits) => ((made.now / 1000) >> bits) & 255),
  ];
  assertEquals(optionsOf([68, 8, 5, 0, 0, 0, 0, 0]), [68, 8, 9, 0, ...time]);
  assertEquals(optionsOf([68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0]), [68, 12, 13, 1, ...ours, ...time]);
  assertEquals(optionsOf([68, 4, 5, 0x10]), [68, 4, 5, 0x20], "one more that found no room");
  assertEquals(optionsOf([68, 4, 5, 0xf0]), [68, 4, 5, 0xf0]);
});

Deno.test("RFC 791 3.1: options go on; into later fragments only those that are marked for it", () => {
  const made = router({}, [{}, { mtu: 600 }]);
  // Some that nobody knows (not copied), router alert (copied), no operation, end.
  const frame = withOptions([30, 4, 5, 0, 0x94, 4, 0, 0, 1, 1, 1, 0], 1000);
  const [first, second] = made.input(0, frame);
  assertEquals([...first.bytes.subarray(34, 42)], [30, 4, 5, 0, 0x94, 4, 0, 0]);
  assertEquals([...second.bytes.subarray(34, 42)], [1, 1, 1, 1, 0x94, 4, 0, 0]);
  assertEquals([first.malformed, second.malformed, second.ipv4!.headerLength], ["", "", 32]);
});

Deno.test("RFC 1812 5.3.7, RFC 3927 2.7: martians and broadcasts are not passed on, and not told of", () => {
  const made = router();
  const strange = ["169.254.1.1", "127.0.0.9", "240.0.0.1", "224.0.0.9", "0.0.0.9"];
  for (const address of strange) {
    assertEquals(made.input(0, udp({ destination: address })), [], `to ${address}`);
    assertEquals(made.input(0, udp({ source: address })), [], `from ${address}`);
  }
  assertEquals(made.input(0, udp({ destination: "10.1.0.255" })), [], "a directed broadcast (RFC 2644)");
  assertEquals(made.input(0, udp({ destinationMac: "ff:ff:ff:ff:ff:ff" })), []);
  assertEquals(made.stack.counters.ipForwarded, 0);
});

Deno.test("RFC 1812 5.2.7.2: a host is told of the better router on its own link, less and less often", () => {
  const made = router();
  made.stack.network.setRoute({ network: ip("192.0.2.0"), prefixLength: 24, gateway: ip("10.0.0.9") }, "add");
  made.learn(0, "10.0.0.9", "10.0.0.1");
  const sent = made.input(0, udp({ destination: FAR }));
  assertEquals(errorOf(sent), [5, 1, ip("10.0.0.9")]);
  const passed = sent.find(({ udp }) => udp !== undefined)!;
  assertEquals([passed.device, passed.destinationMac], [0, hostMac(0, 9)]);
  let redirects = 0;
  for (let i = 0; i < 1000; i++) {
    made.pass(10_000);
    redirects += made.input(0, udp({ destination: FAR })).filter(({ icmp }) => icmp !== undefined).length;
  }
  assertEquals(redirects, 7, "after 40, 80 ... ms in ten seconds");
  // That router was silent meanwhile, and is asked again first.
  made.learn(0, "10.0.0.9", "10.0.0.1");
  const stranger = udp({ source: "10.9.9.9", destination: FAR });
  assertEquals(made.input(0, stranger).map(({ icmp }) => icmp), [undefined], "no neighbor of that router");
});

Deno.test("RFC 1122 3.3.4.2: addresses of either link are answered on each, and used for answers", () => {
  const made = router({ forwarding: false });
  const echo = icmpFrame({ type: 8, source: A, destination: "10.1.0.1", destinationMac: ourMac(0) });
  const [reply] = made.input(0, echo);
  assertEquals([reply.device, reply.icmp!.type, reply.ipv4!.source], [0, 0, ip("10.1.0.1")]);
  const question = {
    operation: 1,
    senderIp: A,
    targetIp: "10.1.0.1",
    sourceMac: hostMac(0, 2),
    destinationMac: ourMac(0),
  };
  const [answer] = made.input(0, arpFrame(question));
  assertEquals([answer.device, answer.arp!.senderMac], [0, ourMac(0)]);
});

const OFFLOAD = { features: { checksum: true, segmentation: true } };
const TCP_START = 34;

/** A TCP packet of `length` payload bytes from A to B as a kernel with offload gives it: the checksum is not made. */
function offloaded(length: number): { frame: Uint8Array; notes: FrameNotes; payload: Uint8Array } {
  const payload = Uint8Array.from({ length }, (_, i) => (i * 7) & 0xff);
  const flags = "FP.W";
  const fields = { source: A, destination: B, sourcePort: 1, destinationPort: 2, seq: 1000, ack: 1, flags };
  const frame = tcpFrame({ ...fields, payload, sourceMac: hostMac(0, 2), destinationMac: ourMac(0) });
  const pseudo = pseudoSum(ip(A), ip(B), 6, 20 + length);
  new DataView(frame.buffer).setUint16(TCP_START + 16, pseudo);
  const notes = { checksumVerified: true, checksumStart: TCP_START, checksumOffset: 16 };
  return { frame, notes: length > 1460 ? { ...notes, gsoSize: 1460 } : notes, payload };
}

Deno.test("offload: what a device would have done is left to the next one that can", () => {
  const made = router({}, [OFFLOAD, OFFLOAD]);
  for (const length of [100, 60_000]) {
    const { frame, notes } = offloaded(length);
    const [passed, ...more] = made.input(0, frame, notes);
    assertEquals(more, []);
    assertEquals(beyond(passed.bytes), beyond(frame));
    const { device, gsoSize, checksumStart, checksumOffset } = passed;
    assertEquals({ device, gsoSize, checksumStart, checksumOffset }, {
      device: 1,
      gsoSize: length > 1460 ? 1460 : 0,
      checksumStart: TCP_START,
      checksumOffset: 16,
    });
  }
});

Deno.test("offload: towards a device that can do nothing checksums are made and segments are cut here", () => {
  const made = router({}, [OFFLOAD, {}]);
  const single = offloaded(100);
  const [passed] = made.input(0, single.frame, single.notes);
  assertEquals([passed.tcp!.checksumOk, passed.checksumStart], [true, -1]);
  const { frame, notes, payload } = offloaded(4000);
  const pieces = made.input(0, frame, notes);
  assertEquals(pieces.map(({ tcp }) => tcp!.payload.length), [1460, 1460, 1080]);
  assertEquals(pieces.map(({ tcp }) => tcp!.seq), [1000, 2460, 3920]);
  assertEquals(pieces.map(({ tcp }) => tcp!.checksumOk), [true, true, true]);
  // CWR is said once, by the first, FIN and PSH by the last.
  assertEquals(pieces.map(({ tcp }) => tcp!.flags), [0x90, 0x10, 0x19]);
  assertEquals(pieces.map(({ ipv4 }) => ipv4!.identification), [0, 1, 2]);
  assertEquals(pieces.flatMap(({ tcp }) => [...tcp!.payload]), [...payload]);
});

Deno.test("offload: datagrams that came as one stay so, or are cut with a length and a checksum each", () => {
  const payload = Uint8Array.from({ length: 2500 }, (_, i) => (i * 7) & 0xff);
  const cut = (features: StackFeatures) => {
    const made = router({}, [OFFLOAD, { features }]);
    return made.input(0, udp({ payload }), { gsoSize: 1000, checksumVerified: true });
  };
  const [passed, ...more] = cut({ ...OFFLOAD.features, udpSegmentation: true });
  const { gsoSize, isUdpSegmented, checksumStart, checksumOffset } = passed;
  assertEquals([more.length, gsoSize, isUdpSegmented, checksumStart, checksumOffset], [0, 1000, true, 34, 6]);
  assertEquals(passed.bytes.length, 42 + 2500);
  for (const features of [OFFLOAD.features, { checksum: false, segmentation: false }]) {
    const pieces = cut(features);
    assertEquals(pieces.map(({ udp }) => udp!.payload.length), [1000, 1000, 500]);
    assertEquals(pieces.map(({ ipv4 }) => ipv4!.totalLength), [1028, 1028, 528]);
    assertEquals(pieces.map(({ udp }) => udp!.checksumOk), [true, true, true]);
    assertEquals(pieces.map(({ ipv4 }) => ipv4!.identification), [0, 1, 2]);
    assertEquals(pieces.flatMap(({ udp }) => [...udp!.payload]), [...payload]);
    assertEquals(pieces.map(({ gsoSize }) => gsoSize), [0, 0, 0]);
  }
});

Deno.test("offload: segments that are too large for the next link are told of, or cut and fragmented", () => {
  const made = router({}, [OFFLOAD, { ...OFFLOAD, mtu: 1000 }]);
  const { frame, notes } = offloaded(4000);
  assertEquals(errorOf(made.input(0, frame, notes)), [3, 4, 1000]);
  setFragmentField(new DataView(frame.buffer), 0);
  const fragments = made.input(0, frame, notes);
  assertEquals(fragments.length, 6);
  assert(fragments.every(({ ipv4 }) => ipv4!.totalLength <= 1000 && ipv4!.checksumOk));
});

Deno.test("offload: a frame that contradicts what is said of it is dropped", () => {
  const made = router({}, [OFFLOAD, OFFLOAD]);
  const { frame, notes } = offloaded(100);
  assertEquals(made.input(0, frame, { ...notes, checksumStart: 5000 }), []);
  const packet = icmpFrame({ type: 8, source: A, destination: B, destinationMac: ourMac(0), payload: "x" });
  assertEquals(made.input(0, packet, { gsoSize: 1000 }), [], "only TCP and UDP are cut");
  assertEquals(made.drops.frameOffloadInvalid, 2);
});

Deno.test("a device that is full holds up its own traffic only, and loses nothing", () => {
  const made = router();
  made.stack.setDeviceFull(1, true);
  assertEquals(made.input(0, udp({ identification: 1 })), []);
  assertEquals(made.input(0, udp({ identification: 2 })), []);
  const echo = icmpFrame({ type: 8, source: A, destination: "10.0.0.1", destinationMac: ourMac(0) });
  assertEquals(made.input(0, echo).map(({ device }) => device), [0]);
  made.stack.setDeviceFull(1, false);
  assertEquals(made.drain().map(({ ipv4 }) => ipv4!.identification), [1, 2]);
  assertEquals(made.drops, {});
});
