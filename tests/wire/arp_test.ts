import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Memory } from "../../lib/buffer/memory.ts";
import { MAC_BROADCAST, parseIp } from "../../lib/wire/address.ts";
import { ARP_LENGTH, ARP_REPLY, ARP_REQUEST, ArpHeader, emitArp, parseArp } from "../../lib/wire/arp.ts";
import { DROP } from "../../lib/wire/drop.ts";
import { dump, golden, memoryOf, START } from "./golden.ts";

Deno.test("request and reply of Linux", () => {
  const header = new ArpHeader();
  const request = golden("arpRequest");
  assertEquals(parseArp(request.memory, request.ip, 28, header), DROP.none);
  assertEquals({ ...header }, {
    operation: ARP_REQUEST,
    senderMac: 0x020000000005,
    senderIp: parseIp("10.0.0.5"),
    targetMac: 0,
    targetIp: parseIp("10.0.0.4"),
  });
  const reply = golden("arpReply");
  assertEquals(parseArp(reply.memory, reply.ip, 46, header), DROP.none, "padding is no part of it");
  assertEquals(header.operation, ARP_REPLY);
  assertEquals(header.targetMac, 0x020000000004);
  const copy = new Memory(128);
  assertEquals(emitArp(copy, 16, header), ARP_LENGTH);
  assertEquals(dump(copy, 16, 28), dump(reply.memory, reply.ip, 28));
});

Deno.test("what was emitted parses to the same header", () => {
  const mac = fc.integer({ min: 0, max: MAC_BROADCAST });
  const model = fc.record({
    operation: fc.constantFrom(ARP_REQUEST, ARP_REPLY),
    senderMac: mac,
    senderIp: fc.integer(),
    targetMac: mac,
    targetIp: fc.integer(),
  });
  fc.assert(fc.property(model, (fields) => {
    const header = Object.assign(new ArpHeader(), fields);
    const memory = new Memory(128);
    emitArp(memory, 16, header);
    const parsed = new ArpHeader();
    assertEquals(parseArp(memory, 16, 28, parsed), DROP.none);
    assertEquals(parsed, header);
  }));
});

Deno.test("every truncation is dropped by name", () => {
  const { memory, ip } = golden("arpRequest");
  for (let length = 0; length < 28; length++) {
    assertEquals(parseArp(memory, ip, length, new ArpHeader()), DROP.arpTruncated);
  }
});

Deno.test("other hardware, protocols, lengths and operations are dropped by name", () => {
  const wrong = (at: number, value: number) => {
    const { memory, ip } = golden("arpRequest");
    memory.view.setUint16(ip + at, value);
    return parseArp(memory, ip, 28, new ArpHeader());
  };
  assertEquals(wrong(0, 6), DROP.arpMalformed);
  assertEquals(wrong(2, 0x86dd), DROP.arpMalformed);
  assertEquals(wrong(4, 0x0804), DROP.arpMalformed);
  assertEquals(wrong(4, 0x0610), DROP.arpMalformed);
  for (const operation of [0, 3, 8, 0xffff]) assertEquals(wrong(6, operation), DROP.arpOperationUnknown);
  for (const byte of [0, 0xff]) {
    const memory = memoryOf(new Uint8Array(28).fill(byte));
    assertEquals(parseArp(memory, START, 28, new ArpHeader()), DROP.arpMalformed);
  }
});
