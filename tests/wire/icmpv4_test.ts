import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { parseIp } from "../../lib/wire/address.ts";
import { fold, sum } from "../../lib/wire/checksum.ts";
import { DROP } from "../../lib/wire/drop.ts";
import {
  emitIcmpv4,
  ICMP_TYPE,
  ICMP_UNREACHABLE,
  Icmpv4Header,
  parseIcmpv4,
  parseQuoted,
  QuotedPacket,
} from "../../lib/wire/icmpv4.ts";
import { bytesOf, dump, GOLDEN, golden, memoryOf, START } from "./golden.ts";

/** The IP packet of a golden frame, as an error would quote it. */
const quoteOf = (name: keyof typeof GOLDEN) => bytesOf(GOLDEN[name]).subarray(14);

Deno.test("an echo request and an echo reply of Linux", () => {
  const header = new Icmpv4Header();
  const request = golden("echoRequest");
  assertEquals(parseIcmpv4(request.memory, request.transport, request.length - 34, header), DROP.none);
  assertEquals([header.type, header.code, header.identifier, header.sequence], [
    ICMP_TYPE.echoRequest,
    0,
    0x2506,
    1,
  ]);
  assertEquals([header.payloadOffset, header.payloadLength], [request.transport + 8, 24]);
  const reply = golden("echoReply");
  assertEquals(parseIcmpv4(reply.memory, reply.transport, reply.length - 34, header), DROP.none);
  assertEquals([header.type, header.identifier, header.sequence], [ICMP_TYPE.echoReply, 0x1234, 7]);
});

Deno.test("a message emitted over its payload has the checksum Linux gave it", () => {
  const { memory, transport, length } = golden("echoReply");
  const expected = dump(memory, transport, length - 34);
  const header = new Icmpv4Header();
  header.type = ICMP_TYPE.echoReply;
  header.setEcho(0x1234, 7);
  memory.bytes.fill(0xff, transport, transport + 8);
  assertEquals(emitIcmpv4(memory, transport, header, 6), 8);
  assertEquals(dump(memory, transport, length - 34), expected);
});

Deno.test("what was emitted parses to the same header", () => {
  const byte = fc.integer({ min: 0, max: 255 });
  fc.assert(
    fc.property(byte, byte, fc.integer(), fc.uint8Array({ maxLength: 99 }), (type, code, rest, payload) => {
      const memory = memoryOf(payload, 44);
      const header = Object.assign(new Icmpv4Header(), { type, code, rest, payloadOffset: 44 });
      header.payloadLength = payload.length;
      emitIcmpv4(memory, 36, header, payload.length);
      const parsed = new Icmpv4Header();
      assertEquals(parseIcmpv4(memory, 36, 8 + payload.length, parsed), DROP.none);
      assertEquals(parsed, header);
    }),
  );
});

Deno.test("every truncation is dropped by name", () => {
  const { memory, transport, length } = golden("portUnreachable");
  for (let cut = 0; cut < length - 34; cut++) {
    const drop = parseIcmpv4(memory, transport, cut, new Icmpv4Header());
    assertEquals(drop, cut < 8 ? DROP.icmpTruncated : DROP.icmpChecksum, `${cut}`);
  }
});

Deno.test("zeros and ones fail the checksum", () => {
  const header = new Icmpv4Header();
  assertEquals(parseIcmpv4(memoryOf(new Uint8Array(64)), START, 64, header), DROP.icmpChecksum);
  // All ones sum up to ones: type 255, which the stack knows nothing of.
  assertEquals(parseIcmpv4(memoryOf(new Uint8Array(64).fill(255)), START, 64, header), DROP.none);
  assertEquals(header.type, 255);
});

Deno.test("an error of Linux quotes the datagram it is about", () => {
  const { memory, transport, length } = golden("portUnreachable");
  const header = new Icmpv4Header();
  assertEquals(parseIcmpv4(memory, transport, length - 34, header), DROP.none);
  assertEquals([header.type, header.code], [ICMP_TYPE.unreachable, ICMP_UNREACHABLE.port]);
  const quoted = new QuotedPacket();
  assertEquals(parseQuoted(memory, header.payloadOffset, header.payloadLength, quoted), DROP.none);
  assertEquals({ ...quoted }, {
    protocol: 17,
    source: parseIp("10.0.0.4"),
    destination: parseIp("10.0.0.5"),
    totalLength: 31,
    sourcePort: 40000,
    destinationPort: 9,
    seq: 0,
    icmpType: -1,
    identifier: 0,
    sequence: 0,
  });
});

Deno.test("quoted TCP and ICMP, 8 bytes behind the IP header, and nothing left of the quote before", () => {
  const quoted = new QuotedPacket();
  assertEquals(parseQuoted(memoryOf(quoteOf("data")), START, 28, quoted), DROP.none);
  assertEquals([quoted.sourcePort, quoted.destinationPort, quoted.seq], [0xa028, 2048, 0x8e07cf80 | 0]);
  assertEquals(quoted.totalLength, 58);
  assertEquals(parseQuoted(memoryOf(quoteOf("echoRequest")), START, 28, quoted), DROP.none);
  assertEquals([quoted.icmpType, quoted.identifier, quoted.sequence], [ICMP_TYPE.echoRequest, 0x2506, 1]);
  assertEquals([quoted.sourcePort, quoted.destinationPort, quoted.seq], [0, 0, 0]);
  assertEquals(parseQuoted(memoryOf(quoteOf("udp")), START, 28, quoted), DROP.none);
  assertEquals([quoted.icmpType, quoted.identifier, quoted.sequence, quoted.seq], [-1, 0, 0, 0]);
});

Deno.test("a quote of another protocol says only the addresses", () => {
  const bytes = quoteOf("data");
  bytes[9] = 47;
  const quoted = new QuotedPacket();
  assertEquals(parseQuoted(memoryOf(bytes), START, 20, quoted), DROP.none);
  assertEquals([quoted.protocol, quoted.sourcePort, quoted.icmpType], [47, 0, -1]);
});

Deno.test("every truncation and every malformed quote is dropped by name", () => {
  const quoted = new QuotedPacket();
  for (const name of ["data", "udp", "echoRequest"] as const) {
    const bytes = quoteOf(name);
    for (let length = 0; length < 28; length++) {
      assertEquals(parseQuoted(memoryOf(bytes), START, length, quoted), DROP.icmpQuoteMalformed);
    }
    // A header that says to be longer than what is quoted; a version; a later fragment.
    for (const [at, value] of [[0, 0x4f], [0, 0x44], [0, 0x65], [7, 0x01]]) {
      const wrong = bytes.slice();
      wrong[at] = value;
      assertEquals(
        parseQuoted(memoryOf(wrong), START, 28, quoted),
        DROP.icmpQuoteMalformed,
        `${at} ${value}`,
      );
    }
  }
  for (const byte of [0, 0xff]) {
    const memory = memoryOf(new Uint8Array(64).fill(byte));
    assertEquals(parseQuoted(memory, START, 64, quoted), DROP.icmpQuoteMalformed);
  }
});

Deno.test("the MTU of fragmentation needed, and the checksum behind odd payloads", () => {
  const memory = memoryOf(new Uint8Array(19).fill(7), 44);
  const header = new Icmpv4Header();
  header.type = ICMP_TYPE.unreachable;
  header.code = ICMP_UNREACHABLE.fragmentationNeeded;
  header.rest = 1400;
  emitIcmpv4(memory, 36, header, 19);
  assertEquals(fold(sum(memory, 36, 27)), 0);
  const parsed = new Icmpv4Header();
  parseIcmpv4(memory, 36, 27, parsed);
  assertEquals(parsed.mtu, 1400);
});
