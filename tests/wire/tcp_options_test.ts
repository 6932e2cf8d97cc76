import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Memory } from "../../lib/buffer/memory.ts";
import { DROP } from "../../lib/wire/drop.ts";
import { ACK, emitTcp, parseTcp, SYN, TcpHeader } from "../../lib/wire/tcp.ts";
import { bytesOf, golden, memoryOf, START } from "./golden.ts";
import { anyTcpHeader, visible } from "./tcp_header.ts";

/** Parses a SYN with these option bytes, padded with zeros to 4 bytes, and two bytes of payload. */
function withOptions(options: string | Uint8Array, header = new TcpHeader()): TcpHeader {
  const optionBytes = typeof options === "string" ? bytesOf(options) : options;
  const headerLength = (20 + optionBytes.length + 3) & ~3;
  const bytes = new Uint8Array(headerLength + 2);
  bytes.set(bytesOf("a02808008e07cf7f000000000002faf000000000"));
  bytes[12] = headerLength << 2;
  bytes.set(optionBytes, 20);
  assertEquals(parseTcp(memoryOf(bytes), START, bytes.length, header), DROP.none);
  assertEquals([header.flags, header.headerLength, header.payloadLength], [SYN, headerLength, 2]);
  return header;
}

const options = (header: TcpHeader) => {
  const { mss, windowScale, sackPermitted, timestamps, sack, cookie } = { ...visible(header) };
  return [mss, windowScale, sackPermitted, timestamps, sack, cookie];
};
const NONE = options(new TcpHeader());

Deno.test("unknown options are skipped by their length", () => {
  // Experimental, MD5, alternate checksum, MPTCP, user timeout; each followed by an MSS.
  for (
    const unknown of [
      "fd04beef",
      "13021302",
      "0e0300",
      "1e0c0081aabbccddeeff0011",
      "1c041234",
      "0602",
      "ff0300",
    ]
  ) {
    assertEquals(withOptions(unknown + "020405b4").mss, 1460, unknown);
  }
});

Deno.test("no operation may stand anywhere, and nothing counts behind the end", () => {
  const header = withOptions("0101020405b401030307010100040201");
  assertEquals([header.mss, header.windowScale, header.sackPermitted], [1460, 7, false]);
});

Deno.test("a malformed length ends parsing and keeps what came before", () => {
  // Length 0, 1, past the header by one, 255; for options known and unknown.
  for (
    const malformed of [
      "0200ffff",
      "0201ffff",
      "0205ffff",
      "02ffffff",
      "0800ffff",
      "fd00ffff",
      "fd05ffff",
      "22ffffff",
    ]
  ) {
    const header = withOptions("020405b4" + malformed);
    assertEquals([header.mss, header.windowScale, header.timestamps, header.fastOpen], [
      1460,
      -1,
      false,
      false,
    ], malformed);
  }
  for (const malformed of ["fd00", "fd01"]) {
    assertEquals(withOptions(malformed + "020405b4").mss, 0, "what follows is not understood");
  }
});

Deno.test("an option whose length byte would lie behind the header", () => {
  for (const kind of ["02", "03", "04", "05", "08", "22", "ff"]) {
    assertEquals(options(withOptions("010101" + kind)), NONE, kind);
  }
});

Deno.test("a header that ends where the memory ends", () => {
  const memory = new Memory(128);
  for (const options of ["01010102", "01010122", "02040508", "01010402"]) {
    memory.bytes.set(bytesOf("a02808008e07cf7f000000006002faf000000000" + options), 104);
    assertEquals(parseTcp(memory, 104, 24, new TcpHeader()), DROP.none);
  }
});

Deno.test("a known option of the wrong length is skipped", () => {
  const wrong = [
    "0203ff",
    "0205ffffff",
    "0302",
    "030407ff",
    "040300",
    "0809" + "11".repeat(7),
    "080b" + "11".repeat(9),
  ];
  for (
    const option of [
      ...wrong,
      "0502",
      "0506aabbccdd",
      "050b" + "22".repeat(9),
      "2203aa",
      "2204aabb",
      "2209" + "aa".repeat(7),
    ]
  ) {
    const header = withOptions(option + "020405b4");
    assertEquals(header.mss, 1460, option);
    header.mss = 0;
    assertEquals(options(header), NONE, option);
  }
});

Deno.test("an MSS of 0 counts as absent, and a window scale above 14 as 14", () => {
  assertEquals(withOptions("02040000").mss, 0);
  assertEquals(withOptions("0303ff").windowScale, 14);
  assertEquals(withOptions("03030e").windowScale, 14);
  assertEquals(withOptions("030300").windowScale, 0);
});

Deno.test("of duplicates the last one counts", () => {
  assertEquals(withOptions("020405b402040200").mss, 512);
  assertEquals(withOptions("030307030302").windowScale, 2);
  const header = withOptions("050a0000000100000002" + "050a0000000300000004");
  assertEquals(visible(header).sack, [[3, 4]]);
});

Deno.test("four SACK blocks, in negative and wrapping sequence numbers", () => {
  const header = withOptions(
    "0522" + "fffffff000000010" + "8000000080000001" + "0000000000000001" + "7fffffff80000000",
  );
  assertEquals(visible(header).sack, [[-16, 16], [1 << 31, -0x7fffffff], [0, 1], [0x7fffffff, 1 << 31]]);
});

Deno.test("a Fast Open option is a request, or a cookie of 4 to 16 bytes", () => {
  const request = withOptions("2202");
  assertEquals([request.fastOpen, request.fastOpenLength], [true, 0]);
  for (const length of [4, 6, 8, 16]) {
    const header = withOptions(`22${(length + 2).toString(16).padStart(2, "0")}` + "c7".repeat(length));
    assertEquals([header.fastOpen, header.fastOpenLength], [true, length]);
  }
  const tooLong = withOptions("2214" + "c7".repeat(18));
  assertEquals(tooLong.fastOpen, false);
});

Deno.test("a header is reused: no option of the segment before is left", () => {
  const { memory, transport, length } = golden("synAckFastOpen");
  const header = withOptions("050a0000000100000002");
  assertEquals(header.sackCount, 1);
  parseTcp(memory, transport, length - 34, header);
  assertEquals([header.sackCount, header.fastOpen], [0, true]);
  assertEquals(options(withOptions("", header)), NONE);
});

Deno.test("timestamps alone are parsed the same in the short way and the long way", () => {
  const values = "c208dbd5000003e8";
  const short = withOptions("0101080a" + values);
  for (const long of ["080a" + values, "01080a" + values + "00", "0101080a" + values + "01010101"]) {
    assertEquals(options(withOptions(long)), options(short));
    assertEquals(withOptions(long).timestampValue, short.timestampValue);
    assertEquals(withOptions(long).timestampEcho, 1000);
  }
});

Deno.test("any option bytes are parsed, and what was understood can be sent and parsed again", () => {
  const header = new TcpHeader();
  const again = new TcpHeader();
  const memory = memoryOf(new Uint8Array(80));
  // Kinds and lengths that mean something, more often than bytes that do not.
  const meaningful = fc.constantFrom(0, 1, 2, 3, 4, 5, 8, 10, 18, 26, 34);
  const bytes = fc.array(fc.oneof(meaningful, fc.integer({ min: 0, max: 255 })), { maxLength: 40 });
  fc.assert(
    fc.property(bytes, (list) => {
      withOptions(Uint8Array.from(list), header);
      const length = emitTcp(memory, START, header);
      assertEquals(parseTcp(memory, START, length, again), DROP.none);
      header.sackCount = Math.min(header.sackCount, again.sackCount);
      assertEquals(visible(again), visible(header));
    }),
    { numRuns: 2000 },
  );
});

Deno.test("any cut through the options of any header is parsed, or dropped by name", () => {
  const memory = memoryOf(new Uint8Array(80));
  fc.assert(fc.property(anyTcpHeader, fc.integer({ min: 5, max: 15 }), (header, words) => {
    const length = emitTcp(memory, START, header);
    memory.view.setUint8(START + 12, words << 4);
    const drop = parseTcp(memory, START, length, new TcpHeader());
    assertEquals(drop, words * 4 > length ? DROP.tcpDataOffset : DROP.none);
  }));
});

Deno.test("options do not depend on the flags: TCP decides what a segment may carry", () => {
  const { memory, transport, length } = golden("synAckPlain");
  memory.view.setUint8(transport + 13, ACK);
  const header = new TcpHeader();
  parseTcp(memory, transport, length - 34, header);
  assertEquals([header.mss, header.sackPermitted], [1460, true]);
});
