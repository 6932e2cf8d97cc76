import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Memory } from "../../lib/buffer/memory.ts";
import { MAC_BROADCAST } from "../../lib/wire/address.ts";
import { DROP } from "../../lib/wire/drop.ts";
import { emitEthernet, ETHER_TYPE, EthernetHeader, parseEthernet } from "../../lib/wire/ethernet.ts";
import { bytesOf, dump, golden, memoryOf, START } from "./golden.ts";

Deno.test("a frame of Linux", () => {
  const { memory, length } = golden("arpRequest");
  const header = new EthernetHeader();
  assertEquals(parseEthernet(memory, START, length, header), DROP.none);
  assertEquals({ ...header }, {
    destination: MAC_BROADCAST,
    source: 0x020000000005,
    etherType: ETHER_TYPE.arp,
  });
});

Deno.test("what was emitted parses to the same header", () => {
  const mac = fc.integer({ min: 0, max: MAC_BROADCAST });
  // The group bit of the first octet clear.
  const unicast = fc.tuple(fc.integer({ min: 0, max: 127 }), fc.integer({ min: 0, max: 2 ** 40 - 1 }))
    .map(([first, rest]) => first * 2 ** 41 + rest);
  const etherType = fc.integer({ min: 0, max: 0xffff });
  fc.assert(fc.property(mac, unicast, etherType, (destination, source, etherType) => {
    const header = Object.assign(new EthernetHeader(), { destination, source, etherType });
    const memory = new Memory(128);
    assertEquals(emitEthernet(memory, START, header), 14);
    const parsed = new EthernetHeader();
    assertEquals(parseEthernet(memory, START, 14, parsed), DROP.none);
    assertEquals(parsed, header);
  }));
});

Deno.test("parsed and emitted again, the bytes are the same", () => {
  const { memory, length } = golden("syn");
  const header = new EthernetHeader();
  parseEthernet(memory, START, length, header);
  const copy = new Memory(128);
  emitEthernet(copy, START, header);
  assertEquals(dump(copy, START, 14), dump(memory, START, 14));
});

Deno.test("every truncation is dropped by name", () => {
  const { memory } = golden("syn");
  for (let length = 0; length < 14; length++) {
    assertEquals(parseEthernet(memory, START, length, new EthernetHeader()), DROP.ethernetTruncated);
  }
});

Deno.test("no frame comes from a group", () => {
  const header = new EthernetHeader();
  for (const source of ["ffffffffffff", "01005e000001"]) {
    const memory = memoryOf(bytesOf(`020000000004${source}0800`));
    assertEquals(parseEthernet(memory, START, 14, header), DROP.ethernetSourceInvalid);
  }
  assertEquals(
    parseEthernet(memoryOf(new Uint8Array(14).fill(255)), START, 14, header),
    DROP.ethernetSourceInvalid,
  );
  assertEquals(parseEthernet(memoryOf(new Uint8Array(14)), START, 14, header), DROP.none);
});
