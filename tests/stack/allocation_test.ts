/** In the steady state nothing is allocated for a packet, and no byte of payload is looked at. */
import { assert, assertEquals } from "@std/assert";
import { Memory, Slices } from "../../lib/buffer/memory.ts";
import { MemoryPool } from "../../lib/buffer/memory_pool.ts";
import { Datagram, SocketKind } from "../../lib/stack/stack.ts";
import { allocatedBytes } from "../support/allocated.ts";
import { ADDRESSES, BareWire, joined } from "../support/bare_wire.ts";

const OFFLOAD = { checksum: true, segmentation: true };
const PLAIN = { checksum: false, segmentation: false };
const CHUNK = 256 * 1024;
/** Until all is compiled, and buffers have grown. */
const WARM_UP_FRAMES = 200_000;
const FRAMES = 50_000;
const ROUNDS = 4;

/** One round of what is to be measured, on a wire. */
interface Load {
  wire: BareWire;
  turn(): void;
}

function bulk(features: typeof OFFLOAD): Load {
  const wire = new BareWire(features);
  const { a, b } = wire;
  const { client, server } = joined(wire, 80);
  const slices = new Slices();
  return {
    wire,
    turn() {
      for (let n = 1; n > 0;) {
        n = a.reserve(client, CHUNK, slices);
        if (n > 0) a.commit(client, n, wire.now);
      }
      wire.step();
      for (let n = 1; n > 0;) {
        n = b.peek(server, CHUNK, slices);
        if (n > 0) b.consume(server, n, wire.now);
      }
      wire.step();
    },
  };
}

/** A request of `size` bytes and its answer. */
function requests(size: number, features: typeof OFFLOAD): Load {
  const wire = new BareWire(features);
  const { a, b } = wire;
  const { client, server } = joined(wire, 80);
  const bytes = new Uint8Array(size);
  return {
    wire,
    turn() {
      a.send(client, bytes, 0, size, wire.now);
      wire.step();
      assertEquals(b.receive(server, bytes, 0, size, wire.now), size);
      b.send(server, bytes, 0, size, wire.now);
      wire.step();
      assertEquals(a.receive(client, bytes, 0, size, wire.now), size);
    },
  };
}

/** A datagram of 100 bytes and its answer. */
function datagrams(features: typeof OFFLOAD): Load {
  const wire = new BareWire(features);
  const { a, b } = wire;
  const client = a.socket(SocketKind.datagram);
  const server = b.socket(SocketKind.datagram);
  b.bind(server, 0, 53);
  const message = new Datagram();
  return {
    wire,
    turn() {
      message.address = ADDRESSES[1];
      message.port = 53;
      message.length = 100;
      a.sendTo(client, message, wire.now);
      wire.step();
      assertEquals(b.receiveFrom(server, message), 100);
      b.sendTo(server, message, wire.now);
      wire.step();
      assertEquals(a.receiveFrom(client, message), 100);
    },
  };
}

/** Carries `count` frames at least. */
function carry({ wire, turn }: Load, count: number): void {
  for (const end = wire.frames + count; wire.frames < end;) turn();
}

/** Bytes allocated a frame, the least of some rounds: the compiler may still be at work in one of them. */
function bytesPerFrame(load: Load): number {
  carry(load, WARM_UP_FRAMES);
  let least = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const bytes = allocatedBytes();
    const { frames } = load.wire;
    carry(load, FRAMES);
    least = Math.min(least, (allocatedBytes() - bytes) / (load.wire.frames - frames));
  }
  return least;
}

Deno.test("what is allocated is counted, collected or not", () => {
  const before = allocatedBytes();
  const kept: number[][] = [];
  for (let i = 0; i < 100_000; i++) kept[i & 7] = [i];
  const bytes = allocatedBytes() - before;
  assert(bytes >= 100_000 * 16, `${bytes} bytes for 100,000 arrays`);
});

/**
 * The least object there is, a number that is no small integer, takes 16 bytes. A time that is passed from one function to
 * another, or stored, may become one: that is the compiler's choice. An array, a closure, a view (104 bytes), an entry of a
 * Map or a node of a queue for each frame would be more than is allowed here.
 */
const CASES: [name: string, most: number, make: () => Load][] = [
  ["bulk transfer", 110, () => bulk(OFFLOAD)],
  ["bulk transfer without offload", 110, () => bulk(PLAIN)],
  ["requests of a byte", 330, () => requests(1, OFFLOAD)],
  ["requests of a byte without offload", 330, () => requests(1, PLAIN)],
  ["datagrams", 140, () => datagrams(PLAIN)],
];
for (const [name, most, make] of CASES) {
  Deno.test(`${name}: nothing but some numbers is allocated a frame, less than ${most} bytes`, () => {
    const bytes = bytesPerFrame(make());
    console.log(name, bytes);
    console.log(name, bytes);
    assert(bytes < most, `${bytes.toFixed(1)} bytes a frame`);
  });
}

/** Counts how often the bytes are looked at of blocks that pools give out while it exists. */
class Looks implements Disposable {
  count = 0;
  readonly #acquire = MemoryPool.prototype.acquire;

  constructor() {
    const acquire = this.#acquire;
    const watch = (memory: Memory) => this.#watch(memory);
    MemoryPool.prototype.acquire = function (size) {
      return watch(acquire.call(this, size));
    };
  }

  #watch(memory: Memory): Memory {
    if (Object.getOwnPropertyDescriptor(memory, "bytes")?.get !== undefined) return memory;
    const { bytes, view, words, size } = memory;
    Object.defineProperty(memory, "size", { value: size });
    for (const [name, value] of Object.entries({ bytes, view, words })) {
      const get = () => {
        this.count++;
        return value;
      };
      Object.defineProperty(memory, name, { get });
    }
    return memory;
  }

  [Symbol.dispose](): void {
    MemoryPool.prototype.acquire = this.#acquire;
  }
}

/** How often a bulk transfer looks at what its ring buffers hold, while `FRAMES` frames are carried. */
function looksOfBulk(features: typeof OFFLOAD): number {
  using looks = new Looks();
  const load = bulk(features);
  // Until the rings have their size: to grow is to copy.
  carry(load, FRAMES);
  looks.count = 0;
  carry(load, FRAMES);
  return looks.count;
}

Deno.test("bulk transfer: no byte of payload is looked at, from the ring it is written to to the ring it is read from", () => {
  assertEquals(looksOfBulk(OFFLOAD), 0);
});

Deno.test("without offload it is: somebody has to make the checksums", () => {
  assert(looksOfBulk(PLAIN) >= FRAMES, "the count above counts");
});
