import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Memory } from "../../lib/buffer/memory.ts";
import { DROP } from "../../lib/wire/drop.ts";
import {
  ACK,
  AE,
  emitTcp,
  FIN,
  parseTcp,
  PSH,
  RST,
  SYN,
  TCP_CHECKSUM_OFFSET,
  TcpHeader,
  tcpHeaderLength,
} from "../../lib/wire/tcp.ts";
import { dump, GOLDEN, golden, memoryOf, START } from "./golden.ts";
import { anyTcpHeader, visible } from "./tcp_header.ts";

const SEGMENTS = [
  "syn",
  "ack",
  "data",
  "sack1",
  "sack3",
  "fin",
  "synAckFastOpen",
  "synAckPlain",
  "reset",
] as const;

function parsed(name: keyof typeof GOLDEN): TcpHeader {
  const { memory, transport, length } = golden(name);
  const header = new TcpHeader();
  assertEquals(parseTcp(memory, transport, length - 34, header), DROP.none);
  return header;
}

Deno.test("a SYN of Linux", () => {
  const header = parsed("syn");
  assertEquals([header.sourcePort, header.destinationPort, header.flags], [41000, 2048, SYN]);
  assertEquals([header.seq, header.ack, header.window], [0x8e07cf7f | 0, 0, 64240]);
  assertEquals([header.mss, header.windowScale, header.sackPermitted], [1460, 10, true]);
  assertEquals([header.timestamps, header.timestampValue, header.timestampEcho], [true, 0xc208dbd5 | 0, 0]);
  assertEquals([header.fastOpen, header.sackCount, header.payloadLength, header.headerLength], [
    false,
    0,
    0,
    40,
  ]);
});

Deno.test("data, FIN and RST of Linux", () => {
  const { memory, transport } = golden("data");
  const data = parsed("data");
  assertEquals([data.flags, data.ack, data.checksum], [PSH | ACK, 5001, 0x638b]);
  assertEquals([data.payloadOffset - transport, data.payloadLength], [32, 6]);
  assertEquals(dump(memory, data.payloadOffset, data.payloadLength), "68656c6c6f0a");
  assertEquals([data.timestamps, data.timestampEcho, data.mss, data.windowScale], [true, 1000, 0, -1]);
  assertEquals(parsed("fin").flags, FIN | ACK);
  const reset = parsed("reset");
  assertEquals([reset.flags, reset.seq, reset.headerLength, reset.timestamps], [RST | ACK, 0, 20, false]);
});

Deno.test("SACK blocks of Linux, the latest first", () => {
  const header = parsed("sack3");
  assertEquals(header.sackCount, 3);
  assertEquals([...header.sackLeft.subarray(0, 3)], [5301, 5201, 5101]);
  assertEquals([...header.sackRight.subarray(0, 3)], [5311, 5211, 5111]);
});

Deno.test("a Fast Open cookie of Linux", () => {
  const header = parsed("synAckFastOpen");
  assertEquals([header.fastOpen, header.fastOpenLength], [true, 8]);
  assertEquals(dump(memoryOf(header.fastOpenCookie), START, 8), "cb2d7e86df02db55");
});

Deno.test("emitted again, segments are byte for byte as Linux made them", () => {
  for (const name of SEGMENTS) {
    const { memory, transport } = golden(name);
    const header = parsed(name);
    const copy = memoryOf(new Uint8Array(60).fill(0xff), 36);
    const { headerLength } = header;
    assertEquals(tcpHeaderLength(header), headerLength, name);
    assertEquals(emitTcp(copy, 36, header), headerLength, name);
    assertEquals(copy.view.getUint16(36 + TCP_CHECKSUM_OFFSET), 0, "the checksum is the caller's");
    copy.view.setUint16(36 + TCP_CHECKSUM_OFFSET, header.checksum);
    assertEquals(dump(copy, 36, headerLength), dump(memory, transport, headerLength), name);
  }
});

Deno.test("what was emitted parses to the same header", () => {
  const memory = new Memory(256);
  const again = new TcpHeader();
  fc.assert(
    fc.property(anyTcpHeader, fc.integer({ min: 0, max: 7 }), (header, payload) => {
      memory.bytes.fill(0xa5);
      const length = emitTcp(memory, 36, header);
      assert(length >= 20 && length <= 60 && length % 4 === 0);
      assertEquals(header.headerLength, length);
      assertEquals(memory.bytes[36 + length], 0xa5, "nothing is written behind the header");
      assertEquals(parseTcp(memory, 36, length + payload, again), DROP.none);
      // Blocks that did not fit were left out, the last first.
      header.sackCount = Math.min(header.sackCount, again.sackCount);
      assertEquals(visible(again), visible(header));
      assertEquals([again.payloadOffset, again.payloadLength], [36 + length, payload]);
    }),
    { numRuns: 2000 },
  );
});

Deno.test("as many SACK blocks are emitted as fit", () => {
  const header = new TcpHeader();
  header.sackCount = 4;
  assertEquals(tcpHeaderLength(header), 20 + 4 + 32);
  header.timestamps = true;
  assertEquals(tcpHeaderLength(header), 20 + 12 + 4 + 24);
  header.mss = 1460;
  header.windowScale = 7;
  assertEquals(tcpHeaderLength(header), 20 + 12 + 8 + 4 + 16);
  header.fastOpen = true;
  header.fastOpenLength = 8;
  const length = tcpHeaderLength(header);
  assertEquals(length, 20 + 12 + 8 + 12);
  assertEquals(emitTcp(new Memory(128), 0, header), length);
});

Deno.test("the option layouts that need padding", () => {
  const emitted = (set: (header: TcpHeader) => void) => {
    const header = new TcpHeader();
    set(header);
    const memory = new Memory(128);
    const length = emitTcp(memory, 0, header);
    return dump(memory, 20, length - 20);
  };
  assertEquals(emitted((h) => h.windowScale = 7), "01030307");
  assertEquals(emitted((h) => h.sackPermitted = true), "01010402");
  assertEquals(emitted((h) => h.fastOpen = true), "22020101", "a request for a cookie");
  assertEquals(emitted((h) => (h.fastOpen = true, h.fastOpenLength = 6)), "2208000000000000");
});

Deno.test("every truncation is dropped by name", () => {
  for (const name of SEGMENTS) {
    const { memory, transport } = golden(name);
    const { headerLength } = parsed(name);
    for (let length = 0; length < headerLength; length++) {
      const expected = length < 20 ? DROP.tcpTruncated : DROP.tcpDataOffset;
      assertEquals(parseTcp(memory, transport, length, new TcpHeader()), expected, `${name} ${length}`);
    }
  }
});

Deno.test("lying data offsets are dropped by name", () => {
  const { memory, transport, length } = golden("data");
  for (let words = 0; words < 16; words++) {
    memory.view.setUint8(transport + 12, words << 4);
    const good = words >= 5 && words * 4 <= length - 34;
    const expected = good ? DROP.none : DROP.tcpDataOffset;
    assertEquals(parseTcp(memory, transport, length - 34, new TcpHeader()), expected, `${words} words`);
  }
});

Deno.test("zeros have no data offset; ones are a header of 60 bytes with nothing understood", () => {
  const header = new TcpHeader();
  assertEquals(parseTcp(memoryOf(new Uint8Array(80)), START, 80, header), DROP.tcpDataOffset);
  assertEquals(parseTcp(memoryOf(new Uint8Array(80).fill(255)), START, 80, header), DROP.none);
  assertEquals([header.headerLength, header.payloadLength, header.seq], [60, 20, -1]);
  assertEquals([header.mss, header.windowScale, header.timestamps, header.fastOpen], [0, -1, false, false]);
});

Deno.test("the accurate-ECN bit is a flag, reserved bits are not", () => {
  const { memory, transport, length } = golden("ack");
  const header = new TcpHeader();
  memory.view.setUint8(transport + 12, 0x8f);
  parseTcp(memory, transport, length - 34, header);
  assertEquals(header.flags, ACK | AE);
  emitTcp(memory, transport, header);
  assertEquals(memory.view.getUint8(transport + 12), 0x81);
});
