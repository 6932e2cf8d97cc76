/**
 * A million frames into stacks that are in use: well formed by a grammar that knows what the stack is doing, then most of
 * them damaged at any header, checksums mostly mended. Nothing is thrown, every frame is counted, memory stays within
 * bounds that do not depend on how many there were, and when the flood is over nothing of it is left.
 *
 * LVLIP_FUZZ_SEED repeats a run; LVLIP_FUZZ_FACTOR multiplies how many frames it has.
 */
import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { Frame, FRAME_START } from "../../lib/buffer/frame.ts";
import { Random } from "../../lib/impair/random.ts";
import { Datagram, SocketKind } from "../../lib/stack/socket_types.ts";
import { formatFrame } from "../support/format.ts";
import { type Aim, type LiveConnection, randomFrame } from "../support/frame_grammar.ts";
import { FUZZ_SEED } from "../support/fuzz.ts";
import { checkInvariants } from "../support/invariants.ts";
import { ADDRESS_A, ADDRESS_B, Link } from "../support/link.ts";
import { mutate } from "../support/mutate.ts";
import { transfer } from "../support/transfer.ts";

const FRAMES = Math.round(1_000_000 * Number(Deno.env.get("LVLIP_FUZZ_FACTOR") ?? 1));
/** Stacks, one after the other: what one believes because of a forgery must not hide the rest from the fuzzer. */
const STACKS = 5;
const BACKLOG = 4;
const TCP_FASTOPEN = 23;
const MAX_OPEN = 24;
/** Reassembly's 4 MB, the outbox's 4 MB, and what sockets may buffer in the short time before they are read. */
const MAX_BUFFERED_BYTES = 24 << 20;
const MAX_NEIGHBORS = 1024;
/** RSS of the process may grow by this in all, bytes: buffers of the stacks, and garbage that is not collected yet. */
const MAX_GROWTH = 512 << 20;

console.log(`LVLIP_FUZZ_SEED=${FUZZ_SEED}`);

/** A host that serves and uses every kind of socket while frames are thrown at it. */
class Target {
  readonly link: Link;
  readonly aim: Aim & { connections: LiveConnection[] };
  injected = 0;
  readonly #random: Random;
  readonly #listener: number;
  readonly #datagrams: number;
  readonly #echo: number;
  readonly #message = new Datagram();
  readonly #open: number[] = [];
  readonly #frame = new Frame();
  readonly #buffer = new Uint8Array(4096);

  constructor(random: Random) {
    this.#random = random;
    this.link = new Link({ seed: random.next(), trace: 0 });
    const { stack } = this.link.b;
    this.#listener = stack.socket(SocketKind.stream);
    assertEquals(stack.bind(this.#listener, 0, 80), 0);
    assertEquals(stack.setOption(this.#listener, 6, TCP_FASTOPEN, BACKLOG, 0), 0);
    assertEquals(stack.listen(this.#listener, BACKLOG), 0);
    this.#datagrams = stack.socket(SocketKind.datagram);
    assertEquals(stack.bind(this.#datagrams, 0, 53), 0);
    this.#echo = stack.socket(SocketKind.icmp);
    assertEquals(stack.bind(this.#echo, 0, 7), 0);
    const outgoing = Array.from({ length: 4 }, (_, i) => 5000 + i);
    this.aim = {
      address: ADDRESS_B,
      peer: ADDRESS_A,
      tcpPorts: [80, ...outgoing],
      udpPorts: [53],
      echoIds: [7],
      connections: [],
    };
    this.#serveOnA(outgoing);
  }

  /** Listeners that the target connects to, and that never read: its sends fill windows. */
  #serveOnA(ports: number[]): void {
    const { stack } = this.link.a;
    for (const port of ports) {
      const listener = stack.socket(SocketKind.stream);
      assertEquals(stack.bind(listener, 0, port), 0);
      assertEquals(stack.listen(listener, BACKLOG), 0);
    }
  }

  inject(): void {
    const random = this.#random;
    const sound = randomFrame(random, this.aim);
    const bytes = random.chance(0.7) ? mutate(sound, random) : sound;
    const frame = this.#frame;
    frame.clear();
    frame.memory.bytes.set(bytes, FRAME_START);
    frame.length = bytes.length;
    this.injected++;
    try {
      this.link.b.stack.input(frame, this.link.now);
    } catch (error) {
      const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
      throw new Error(
        `LVLIP_FUZZ_SEED=${FUZZ_SEED}: input threw on frame ${this.injected}, ${
          formatFrame(bytes)
        }\n  ${hex}`,
        { cause: error },
      );
    }
  }

  /** The programs on the target: they accept, read, write, connect and close. */
  use(): void {
    const { stack, address } = this.link.b;
    const random = this.#random;
    const { now } = this.link;
    for (let handle = stack.nextReady(); handle >= 0; handle = stack.nextReady());
    for (let handle = stack.accept(this.#listener); handle >= 0; handle = stack.accept(this.#listener)) {
      this.#open.push(handle);
    }
    if (this.#open.length < MAX_OPEN && random.chance(0.2)) {
      const handle = stack.socket(SocketKind.stream);
      stack.connect(handle, this.link.a.address, 5000 + random.below(4), now);
      this.#open.push(handle);
    }
    for (const handle of this.#open) {
      while (stack.receive(handle, this.#buffer, 0, this.#buffer.length, now) > 0);
      if (random.chance(0.3)) stack.send(handle, this.#buffer, 0, random.below(4096), now);
    }
    while (this.#open.length > MAX_OPEN || (this.#open.length > 0 && random.chance(0.1))) {
      const [handle] = this.#open.splice(random.below(this.#open.length), 1);
      if (random.chance(0.5)) stack.close(handle, now);
      else stack.abort(handle, now);
    }
    for (const socket of [this.#datagrams, this.#echo]) {
      while (stack.receiveFrom(socket, this.#message) !== -11);
      this.#message.address = random.chance(0.7) ? this.link.a.address : address;
      this.#message.port = 53;
      this.#message.length = random.below(3000);
      stack.sendTo(socket, this.#message, now);
    }
  }

  /** Has the grammar aim at what is alive now, and checks that it is not too much. */
  look(): void {
    const { stack } = this.link.b;
    const { connections } = this.aim;
    this.link.settle();
    connections.length = 0;
    for (const { tcb, remoteAddress, remotePort, localPort } of stack.connections()) {
      connections.push({
        ...{ remoteAddress, remotePort, localPort },
        ...{ rcvNxt: tcb.rcv.nxt, sndUna: tcb.snd.una, sndNxt: tcb.snd.nxt },
        timestamps: tcb.options.timestamps ? [tcb.timestamps.recent, 0] : null,
      });
    }
    checkInvariants(this.link);
    assertLessOrEqual(stack.bufferedBytes, MAX_BUFFERED_BYTES, "bytes in buffers");
    assertLessOrEqual([...stack.network.neighbors()].length, MAX_NEIGHBORS, "neighbors");
    assertLessOrEqual([...stack.network.routes].length, 300, "routes");
  }

  /** The flood is over and the programs have gone: nothing may be left. */
  finish(): void {
    const { stack } = this.link.b;
    const { counters } = stack;
    assert(counters.framesIn >= this.injected, "frames that were not counted");
    for (const handle of this.#open) stack.abort(handle, this.link.now);
    for (const handle of [this.#listener, this.#datagrams, this.#echo]) stack.close(handle, this.link.now);
    // Longer than the longest retransmission, than TIME-WAIT and than a neighbor is remembered.
    this.link.runFor(3600e6);
    assertEquals([...stack.connections()].length, 0, "connections that stayed");
    assertEquals(stack.bufferedBytes, 0, "bytes that stayed");
    transfer(this.link, { bytes: 20_000, bytesBack: 20_000, port: 81, limitUs: 600e6 });
  }
}

function flood(random: Random, frames: number): Map<string, number> {
  const target = new Target(random);
  const { link } = target;
  for (let n = 0; n < frames; n++) {
    target.inject();
    if (n % 8 === 0) link.settle();
    if (n % 16 === 0) target.use();
    if (n % 100 === 0) target.look();
    if (n % 50 === 0) link.runFor(random.chance(0.02) ? 40e6 : random.below(5000));
  }
  target.finish();
  return new Map(Object.entries(link.b.stack.counters.namedDrops()));
}

/** A generator that no longer gets past the first checks would pass unnoticed: these must all have occurred. */
const REACHED = [
  ...[
    "ethernetTruncated",
    "etherTypeUnknown",
    "arpMalformed",
    "arpSenderInvalid",
    "ipChecksum",
    "ipTotalLength",
  ],
  ...["ipOptionMalformed", "ipSourceInvalid", "ipNotForUs", "ipFragmentRefused", "ipProtocolUnknown"],
  ...["icmpChecksum", "icmpTypeUnknown", "icmpQuoteMalformed", "icmpNoSocket", "udpChecksum", "udpLength"],
  ...["udpNoSocket", "tcpChecksum", "tcpDataOffset", "tcpPortInvalid", "tcpNoSocket", "tcpNotUnicast"],
];

Deno.test("a million frames: nothing thrown, memory bounded, nothing left", () => {
  const random = new Random(FUZZ_SEED);
  const before = Deno.memoryUsage().rss;
  const seen = new Map<string, number>();
  for (let n = 0; n < STACKS; n++) {
    for (const [name, count] of flood(random, FRAMES / STACKS)) seen.set(name, (seen.get(name) ?? 0) + count);
  }
  assertLessOrEqual(Deno.memoryUsage().rss - before, MAX_GROWTH, "bytes that the process grew by");
  if (FRAMES < 100_000) return;
  const missing = REACHED.filter((name) => (seen.get(name) ?? 0) < FRAMES / 20_000);
  assertEquals(missing, [], `hardly reached; reached: ${JSON.stringify(Object.fromEntries(seen))}`);
});
