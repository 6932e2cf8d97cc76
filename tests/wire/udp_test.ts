import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Memory } from "../../lib/buffer/memory.ts";
import { DROP } from "../../lib/wire/drop.ts";
import { emitUdp, parseUdp, UDP_CHECKSUM_OFFSET, UdpHeader } from "../../lib/wire/udp.ts";
import { dump, golden, memoryOf, START } from "./golden.ts";

Deno.test("a datagram of Linux", () => {
  const { memory, transport } = golden("udp");
  const header = new UdpHeader();
  assertEquals(parseUdp(memory, transport, 17, header), DROP.none);
  assertEquals({ ...header }, {
    sourcePort: 40001,
    destinationPort: 7,
    length: 17,
    checksum: 0x2624,
    payloadOffset: transport + 8,
    payloadLength: 9,
  });
  const copy = new Memory(128);
  assertEquals(emitUdp(copy, 36, header), 8);
  copy.view.setUint16(36 + UDP_CHECKSUM_OFFSET, header.checksum);
  assertEquals(dump(copy, 36, 8), dump(memory, transport, 8));
});

Deno.test("what was emitted parses to the same header", () => {
  const port = fc.integer({ min: 0, max: 0xffff });
  const memory = new Memory(65536 + 128);
  fc.assert(
    fc.property(port, port, fc.integer({ min: 8, max: 0xffff }), (sourcePort, destinationPort, length) => {
      const payload = { payloadOffset: 44, payloadLength: length - 8 };
      const header = Object.assign(new UdpHeader(), { sourcePort, destinationPort, length, ...payload });
      emitUdp(memory, 36, header);
      const parsed = new UdpHeader();
      assertEquals(parseUdp(memory, 36, 65535, parsed), DROP.none);
      assertEquals(parsed, header);
    }),
  );
});

Deno.test("every truncation and every lying length is dropped by name", () => {
  const { memory, transport } = golden("udp");
  for (let length = 0; length < 17; length++) {
    const expected = length < 8 ? DROP.udpTruncated : DROP.udpLength;
    assertEquals(parseUdp(memory, transport, length, new UdpHeader()), expected);
  }
  for (const length of [0, 7, 18, 0xffff]) {
    memory.view.setUint16(transport + 4, length);
    assertEquals(parseUdp(memory, transport, 17, new UdpHeader()), DROP.udpLength);
  }
  for (const byte of [0, 0xff]) {
    const constant = memoryOf(new Uint8Array(40).fill(byte));
    assertEquals(parseUdp(constant, START, 40, new UdpHeader()), DROP.udpLength);
  }
});

Deno.test("bytes beyond the datagram's own length are not payload", () => {
  const { memory, transport } = golden("udp");
  memory.view.setUint16(transport + 4, 10);
  const header = new UdpHeader();
  assertEquals(parseUdp(memory, transport, 17, header), DROP.none);
  assertEquals([header.length, header.payloadLength], [10, 2]);
});
