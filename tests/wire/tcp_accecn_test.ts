/** RFC 9768 3.2.3: the AccECN option, where it lies and what of it takes the place of padding, as Linux has it. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Memory } from "../../lib/buffer/memory.ts";
import { DROP } from "../../lib/wire/drop.ts";
import { emitTcp, parseTcp, TcpHeader, tcpHeaderLength } from "../../lib/wire/tcp.ts";
import { START } from "./golden.ts";

function withCounters(count: number, change: Partial<TcpHeader> = {}): TcpHeader {
  const header = new TcpHeader();
  header.accecnCount = count;
  header.accecnCounters.set([1, 0, 1]);
  return Object.assign(header, change);
}

/** The options that the header is sent with, as hexadecimal digits. */
function optionsOf(header: TcpHeader): string {
  const memory = new Memory(128);
  const length = emitTcp(memory, START, header);
  assertEquals(length, tcpHeaderLength(header));
  return memory.bytes.subarray(START + 20, START + length).toHex();
}

Deno.test("three counters, padded, before SACK-permitted and window scale", () => {
  const synAck = withCounters(3, { mss: 1460, sackPermitted: true, windowScale: 8 });
  assertEquals(optionsOf(synAck), "020405b4" + "ae0b00000100000000000101" + "01010402" + "01030308");
  assertEquals(optionsOf(withCounters(3, { accecnOrder: 0 })), "ac0b00000100000000000101");
});

Deno.test("two counters need no padding; bytes left over take the place of NOPs", () => {
  assertEquals(optionsOf(withCounters(2)), "ae08000001000000");
  const sack = {
    sackCount: 1,
    sackLeft: new Int32Array([1, 0, 0, 0]),
    sackRight: new Int32Array([2, 0, 0, 0]),
  };
  const block = "050a0000000100000002";
  assertEquals(optionsOf(withCounters(1, sack)), "ae050000" + "0101" + block);
  assertEquals(optionsOf(withCounters(0, sack)), "ae02" + block);
  assertEquals(optionsOf(withCounters(1, { sackPermitted: true })), "ae050000" + "01010402");
  assertEquals(optionsOf(withCounters(1, { windowScale: 3 })), "ae050000" + "01030303");
  // Nothing is there that they could fill up.
  assertEquals(optionsOf(withCounters(1)), "ae050000" + "01010101");
  assertEquals(optionsOf(withCounters(0)), "ae020101");
  assertEquals(optionsOf(withCounters(0, { windowScale: 3 })), "01030303" + "ae020101");
});

Deno.test("whatever fits comes back as it was", () => {
  const counter = fc.integer({ min: 0, max: 0xffffff });
  const any = fc.record({
    count: fc.integer({ min: 0, max: 3 }),
    order: fc.constantFrom<0 | 1>(0, 1),
    counters: fc.tuple(counter, counter, counter),
    timestamps: fc.boolean(),
    sackPermitted: fc.boolean(),
    windowScale: fc.integer({ min: -1, max: 14 }),
    sackCount: fc.integer({ min: 0, max: 4 }),
  });
  fc.assert(fc.property(any, ({ count, order, counters, ...rest }) => {
    const sent = Object.assign(new TcpHeader(), rest, { accecnCount: count, accecnOrder: order });
    sent.accecnCounters.set(counters);
    const memory = new Memory(128);
    const length = emitTcp(memory, START, sent);
    assertEquals(length, tcpHeaderLength(sent));
    assert(length <= 60 && length % 4 === 0);
    const header = new TcpHeader();
    assertEquals(parseTcp(memory, START, length, header), DROP.none);
    assertEquals([header.accecnCount, header.accecnOrder], [count, order]);
    assertEquals([...header.accecnCounters].slice(0, count), counters.slice(0, count));
    const { timestamps, sackPermitted, windowScale } = header;
    assertEquals([timestamps, sackPermitted, windowScale], [
      rest.timestamps,
      rest.sackPermitted,
      rest.windowScale,
    ]);
  }));
});

Deno.test("a counter that is cut short is not there, and more than three are not looked at", () => {
  const parsed = (option: string) => {
    const memory = new Memory(128);
    const header = new TcpHeader();
    const bytes = Uint8Array.fromHex(option.padEnd(Math.ceil(option.length / 8) * 8, "0"));
    memory.bytes.set(bytes, START + 20);
    memory.view.setUint8(START + 12, (20 + bytes.length) << 2);
    assertEquals(parseTcp(memory, START, 20 + bytes.length, header), DROP.none);
    return header.accecnCount;
  };
  assertEquals(
    ["ac02", "ac040001", "ac05000001", "ac0700000100ff", "ae0e000001000002000003000004"].map(parsed),
    [
      ...[0, 0, 1, 1, 3],
    ],
  );
});
