import { assert, assertEquals, assertThrows } from "@std/assert";
import { Memory } from "../../lib/buffer/memory.ts";
import { addressOf, Block, cString, IoVectors, keep } from "../../ffi/memory.ts";
import { InterfaceRequest, isInterfaceName } from "../../ffi/interface_request.ts";

Deno.test("a block is never so small that V8 would keep it on its heap, where it moves", () => {
  assertEquals(new Block(1).bytes.length, 128);
  assertEquals(new Block(129).bytes.length, 136);
});

Deno.test("addresses are written as C reads them, also above 4 GB", () => {
  const block = new Block(128);
  for (
    const address of [0, 1, 0xffff_ffff, 0x1_0000_0000, 0x7fff_ffff_f000, 0x5555_8000_0001, block.address]
  ) {
    block.setAddress(8, address);
    assertEquals(block.view.getBigUint64(8, true), BigInt(address));
  }
  const vectors = new IoVectors(3);
  vectors.set(2, 0x7fab_cdef_0123, 65_549);
  assertEquals(vectors.view.getBigUint64(32, true), 0x7fab_cdef_0123n);
  assertEquals(vectors.view.getBigUint64(40, true), 65_549n);
});

Deno.test("a block's address is that of its bytes", () => {
  const block = new Block(128);
  block.bytes[5] = 77;
  const pointer = Deno.UnsafePointer.create(
    BigInt(block.address + 5) as unknown as Deno.PointerValue & bigint,
  );
  assert(pointer !== null);
  assertEquals(new Deno.UnsafePointerView(pointer).getUint8(), 77);
});

Deno.test("the address of a memory is asked for once", () => {
  const memory = new Memory(4096);
  assertEquals(memory.address, 0);
  const address = addressOf(memory);
  assertEquals(memory.address, address);
  memory.address = 4711;
  assertEquals(addressOf(memory), 4711);
});

Deno.test("strings end with a zero, and hold none", () => {
  const block = cString("/tmp/ä");
  assertEquals([...block.bytes.subarray(0, 8)], [47, 116, 109, 112, 47, 0xc3, 0xa4, 0]);
  assertEquals(block.text(0, 128), "/tmp/ä");
  assertEquals(block.text(1, 3), "tmp");
  assertThrows(() => cString("a\0b"), TypeError, "zero byte");
  keep(block);
});

Deno.test("names of interfaces", () => {
  for (const name of ["tap0", "enp0s3", "br-lan.100", "a".repeat(15), "tap%d"]) {
    assert(isInterfaceName(name), name);
  }
  for (const name of ["", "a".repeat(16), "ü".repeat(8), "a b", "a/b", "a:1", ".", "..", "a\n"]) {
    assert(!isInterfaceName(name), name);
  }
  assertThrows(() => new InterfaceRequest("a b"), RangeError, 'current value is "a b"');
  const request = new InterfaceRequest("tap0");
  request.flags = 0xfffe;
  assertEquals([request.name, request.flags], ["tap0", 0xfffe]);
  request.value = -2;
  assertEquals(request.value, -2);
});
