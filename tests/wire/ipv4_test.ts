import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Memory } from "../../lib/buffer/memory.ts";
import { parseIp } from "../../lib/wire/address.ts";
import { fold, sum } from "../../lib/wire/checksum.ts";
import { DROP } from "../../lib/wire/drop.ts";
import { emitIpv4, IP_PROTOCOL, Ipv4Header, parseIpv4 } from "../../lib/wire/ipv4.ts";
import { bytesOf, dump, golden, memoryOf, START } from "./golden.ts";

/** A header with these options, padded with zeros to 4 bytes, and 4 bytes of payload; the checksum is right. */
function withOptions(options: string, mangle: (view: DataView) => void = () => {}) {
  const optionBytes = bytesOf(options);
  const headerLength = (20 + optionBytes.length + 3) & ~3;
  const bytes = new Uint8Array(headerLength + 4);
  bytes.set(bytesOf("4500000000010000400600000a0000050a000004"));
  bytes.set(optionBytes, 20);
  const memory = memoryOf(bytes);
  memory.view.setUint8(START, 0x40 | (headerLength >> 2));
  memory.view.setUint16(START + 2, bytes.length);
  mangle(new DataView(memory.bytes.buffer, START));
  memory.view.setUint16(START + 10, 0);
  memory.view.setUint16(START + 10, fold(sum(memory, START, headerLength)));
  return { memory, length: bytes.length, headerLength };
}

function dropOf(options: string, mangle?: (view: DataView) => void) {
  const { memory, length } = withOptions(options, mangle);
  return parseIpv4(memory, START, length, new Ipv4Header());
}

Deno.test("a packet of Linux, and what pads the frame behind it", () => {
  const { memory, ip } = golden("reset");
  const header = new Ipv4Header();
  assertEquals(parseIpv4(memory, ip, 46, header), DROP.none);
  assertEquals({ ...header }, {
    headerLength: 20,
    dscp: 0,
    ecn: 0,
    totalLength: 40,
    identification: 0,
    dontFragment: true,
    moreFragments: false,
    fragmentOffset: 0,
    ttl: 64,
    protocol: IP_PROTOCOL.tcp,
    source: parseIp("10.0.0.5"),
    destination: parseIp("10.0.0.4"),
    sourceRoute: false,
    badOption: 0,
    payloadOffset: ip + 20,
    payloadLength: 20,
  });
});

Deno.test("parsed and emitted again, the bytes are the same", () => {
  for (const name of ["syn", "udp", "echoReply", "portUnreachable"] as const) {
    const { memory, ip, length } = golden(name);
    const header = new Ipv4Header();
    assertEquals(parseIpv4(memory, ip, length - 14, header), DROP.none);
    const copy = new Memory(128);
    assertEquals(emitIpv4(copy, 16, header), 20);
    assertEquals(dump(copy, 16, 20), dump(memory, ip, 20), name);
  }
});

Deno.test("what was emitted parses to the same header", () => {
  const model = fc.record({
    dscp: fc.integer({ min: 0, max: 63 }),
    ecn: fc.integer({ min: 0, max: 3 }),
    totalLength: fc.integer({ min: 20, max: 0xffff }),
    identification: fc.integer({ min: 0, max: 0xffff }),
    dontFragment: fc.boolean(),
    moreFragments: fc.boolean(),
    fragmentOffset: fc.integer({ min: 0, max: 0x1fff }).map((units) => units * 8),
    ttl: fc.integer({ min: 0, max: 255 }),
    protocol: fc.integer({ min: 0, max: 255 }),
    source: fc.integer(),
    destination: fc.integer(),
  });
  const memory = new Memory(65536 + 128);
  fc.assert(fc.property(model, (fields) => {
    const payload = { payloadOffset: 36, payloadLength: fields.totalLength - 20 };
    const header = Object.assign(new Ipv4Header(), fields, payload);
    emitIpv4(memory, 16, header);
    const parsed = new Ipv4Header();
    assertEquals(parseIpv4(memory, 16, 65535, parsed), DROP.none);
    assertEquals(parsed, header);
  }));
});

Deno.test("every truncation is dropped by name", () => {
  const { memory, ip } = golden("data");
  const totalLength = memory.view.getUint16(ip + 2);
  for (let length = 0; length < totalLength; length++) {
    const expected = length < 20 ? DROP.ipTruncated : DROP.ipTotalLength;
    assertEquals(parseIpv4(memory, ip, length, new Ipv4Header()), expected, `${length}`);
  }
  const { memory: optioned } = withOptions("0101010101010101");
  assertEquals(parseIpv4(optioned, START, 27, new Ipv4Header()), DROP.ipHeaderLength);
});

Deno.test("lying lengths are dropped by name, checksum or not", () => {
  assertEquals(dropOf("", (view) => view.setUint8(0, 0x44)), DROP.ipHeaderLength);
  assertEquals(dropOf("", (view) => view.setUint8(0, 0x4f)), DROP.ipHeaderLength);
  assertEquals(dropOf("", (view) => view.setUint16(2, 19)), DROP.ipTotalLength);
  assertEquals(dropOf("", (view) => view.setUint16(2, 0)), DROP.ipTotalLength);
  assertEquals(dropOf("", (view) => view.setUint16(2, 25)), DROP.ipTotalLength);
  assertEquals(dropOf("", (view) => view.setUint16(2, 0xffff)), DROP.ipTotalLength);
  assertEquals(dropOf("", (view) => view.setUint16(2, 20)), DROP.none);
  assertEquals(dropOf("01010101", (view) => view.setUint16(2, 23)), DROP.ipTotalLength);
});

Deno.test("other versions are dropped by name", () => {
  for (const version of [0, 3, 5, 6, 15]) {
    assertEquals(dropOf("", (view) => view.setUint8(0, (version << 4) | 5)), DROP.ipVersion);
  }
  for (const byte of [0, 0xff]) {
    assertEquals(
      parseIpv4(memoryOf(new Uint8Array(60).fill(byte)), START, 60, new Ipv4Header()),
      DROP.ipVersion,
    );
  }
});

Deno.test("every single bit of the header is covered by its checksum", () => {
  for (let bit = 0; bit < 160; bit++) {
    const { memory, ip, length } = golden("syn");
    memory.bytes[ip + (bit >> 3)] ^= 1 << (bit & 7);
    const drop = parseIpv4(memory, ip, length - 14, new Ipv4Header());
    const byte = bit >> 3;
    if (byte >= 4) assertEquals(drop, DROP.ipChecksum, `bit ${bit}`);
    else assertEquals(drop !== DROP.none, true, `bit ${bit}`);
  }
});

Deno.test("options are skipped by their lengths", () => {
  // No operation, record route, timestamp, router alert, an unknown one, end and garbage behind it.
  for (
    const options of [
      "01",
      "010101",
      "070704000000000001",
      "4408050000000000",
      "94040000",
      "9e03ff",
      "00ffffff",
    ]
  ) {
    assertEquals(dropOf(options), DROP.none, options);
  }
  const { memory, length, headerLength } = withOptions("94040000");
  const header = new Ipv4Header();
  parseIpv4(memory, START, length, header);
  assertEquals([header.headerLength, header.payloadOffset, header.payloadLength], [
    24,
    START + headerLength,
    4,
  ]);
});

Deno.test("malformed options are dropped by name", () => {
  for (const options of ["9e00", "9e01", "9e05ff00", "010101ff", "0707040000000007"]) {
    assertEquals(dropOf(options), DROP.ipOptionMalformed, options);
  }
});

Deno.test("an option without a length, where the memory ends", () => {
  const memory = new Memory(128);
  memory.bytes.set(bytesOf("4600001800010000400600000a0000050a00000401010194"), 104);
  memory.view.setUint16(114, fold(sum(memory, 104, 24)));
  assertEquals(parseIpv4(memory, 104, 24, new Ipv4Header()), DROP.ipOptionMalformed);
});

Deno.test("source routes are noticed, and forgotten with the next packet", () => {
  const header = new Ipv4Header();
  for (const kind of ["83", "89"]) {
    const { memory, length } = withOptions(`${kind}07040a000001`);
    assertEquals(parseIpv4(memory, START, length, header), DROP.none);
    assertEquals(header.sourceRoute, true);
  }
  const { memory, ip, length } = golden("syn");
  parseIpv4(memory, ip, length - 14, header);
  assertEquals(header.sourceRoute, false);
});
