/**
 * Frames of every kind, whole and damaged, with whatever a device may say of their checksums and segments, into a router
 * that also has raw sockets: nothing is thrown, and all that it sends is well formed and fits its link.
 *
 * LVLIP_FUZZ_SEED repeats a run; LVLIP_FUZZ_FACTOR multiplies how many frames it has.
 */
import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { Random } from "../../lib/impair/random.ts";
import { Datagram, SocketKind, type StackFeatures } from "../../lib/stack/socket_types.ts";
import { parseMac, writeMac } from "../../lib/wire/address.ts";
import { arpFrame } from "../support/build.ts";
import { formatFrame } from "../support/format.ts";
import { type Aim, randomFrame } from "../support/frame_grammar.ts";
import { FUZZ_SEED } from "../support/fuzz.ts";
import { mutate } from "../support/mutate.ts";
import { type FrameNotes, hostMac, ourMac, Router, type Sent } from "../stack/router.ts";

const FRAMES = Math.round(150_000 * Number(Deno.env.get("LVLIP_FUZZ_FACTOR") ?? 1));
const MTU = 1500;
const MAX_BUFFERED_BYTES = 24 << 20;
const OFFLOADS: StackFeatures[] = [
  { checksum: false, segmentation: false },
  { checksum: true, segmentation: true },
  { checksum: true, segmentation: true, udpSegmentation: true },
];
const PROTOCOLS = [1, 6, 17, 253, 255];

console.log(`LVLIP_FUZZ_SEED=${FUZZ_SEED}`);

/** From hosts behind one link to the router, to hosts behind the other, and to those that are nowhere. */
function aimAt(random: Random, device: number): Aim {
  const there = ["10.1.0.7", "10.0.0.7"][device];
  const address = random.chance(0.3)
    ? ["10.0.0.5", "10.1.0.5"][device]
    : random.chance(0.8)
    ? there
    : "192.0.2.1";
  return {
    address,
    peer: ["10.0.0.4", "10.1.0.4"][device],
    ...{ tcpPorts: [80], udpPorts: [53], echoIds: [7], connections: [] },
  };
}

/** What a device may say of a frame: of segments of a size, a checksum that is to be made, one that is right. */
function notes(random: Random): FrameNotes {
  if (random.chance(0.5)) return {};
  return {
    gsoSize: random.chance(0.5) ? 0 : [1, 100, 536, 1448, 9000, 65535][random.below(6)],
    checksumVerified: random.chance(0.5),
    checksumStart: random.chance(0.5) ? -1 : [34, 14, 54, 0, random.below(2000)][random.below(5)],
    checksumOffset: [16, 6, 2, 0, random.below(65536)][random.below(5)],
  };
}

/** Forwarded frames may be damaged inside, as they came; what the router is answerable for is its own link and IP. */
function checkSent(sent: Sent, hasOffload: boolean): void {
  const what = formatFrame(sent.bytes);
  assertEquals(sent.sourceMac, ourMac(sent.device), what);
  if (sent.ipv4 === undefined) return assertEquals(sent.etherType, 0x0806, what);
  assert(sent.ipv4.checksumOk, `${what}: IP checksum`);
  assert(sent.ipv4.ttl > 0, `${what}: TTL`);
  if (!hasOffload) assertEquals([sent.gsoSize, sent.checksumStart], [0, -1], what);
  const { length } = sent.bytes;
  if (sent.gsoSize === 0) assertLessOrEqual(length, 14 + MTU, what);
  else assertLessOrEqual(sent.gsoSize + (sent.isUdpSegmented ? 28 : 40), MTU, `${what}: segments`);
  if (sent.checksumStart >= 0) assertLessOrEqual(sent.checksumStart + sent.checksumOffset + 2, length, what);
}

/** The hosts that are there answer for their addresses; returns what the router sends thereupon. */
function answer(router: Router, { device, arp }: Sent): Sent[] {
  if (arp === undefined || arp.operation !== 1) return [];
  const host = arp.targetAddress & 0xff;
  if (host !== 4 && host !== 7) return [];
  return router.input(
    device,
    arpFrame({
      operation: 2,
      senderIp: `10.${device}.0.${host}`,
      sourceMac: hostMac(device, host),
      targetIp: `10.${device}.0.5`,
      targetMac: ourMac(device),
      destinationMac: ourMac(device),
    }),
  );
}

function checkAll(router: Router, sent: Sent[], hasOffload: boolean): void {
  for (const each of sent) {
    checkSent(each, hasOffload);
    for (const next of answer(router, each)) checkSent(next, hasOffload);
  }
}

function openSockets(router: Router): number[] {
  return PROTOCOLS.map((protocol) => {
    const handle = router.stack.socket(SocketKind.raw, protocol);
    assert(handle >= 0, `raw socket of ${protocol}: ${handle}`);
    return handle;
  });
}

function flood(random: Random, frames: number, features: StackFeatures): number {
  const router = new Router(["10.0.0.5/24", "10.1.0.5/24"], { acceptRedirects: true }, [
    { features },
    { features },
  ]);
  const { stack } = router;
  for (const device of [0, 1]) {
    for (const host of [4, 7]) router.learn(device, `10.${device}.0.${host}`, `10.${device}.0.5`);
  }
  const handles = openSockets(router);
  const message = new Datagram();
  for (let n = 0; n < frames; n++) {
    const device = random.below(2);
    const sound = randomFrame(random, aimAt(random, device));
    if (random.chance(0.9)) writeMac(new DataView(sound.buffer), 0, parseMac(ourMac(device))!);
    const bytes = random.chance(0.6) ? mutate(sound, random) : sound;
    const said = notes(random);
    try {
      checkAll(router, router.input(device, bytes, said), features.checksum);
      if (n % 64 === 0) checkAll(router, router.pass(random.below(2_000_000)), features.checksum);
    } catch (error) {
      const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
      throw new Error(`LVLIP_FUZZ_SEED=${FUZZ_SEED} frame ${n} ${JSON.stringify(said)}: ${hex}`, {
        cause: error,
      });
    }
    for (const handle of handles) while (stack.receiveFrom(handle, message) >= 0);
    assertLessOrEqual(stack.bufferedBytes, MAX_BUFFERED_BYTES);
  }
  for (const handle of handles) assertEquals(stack.close(handle, router.now), 0);
  router.pass(60e6);
  assertEquals(stack.bufferedBytes, 0, "bytes that stayed");
  return stack.counters.ipForwarded;
}

Deno.test("a router with raw sockets: nothing thrown, and all it sends is sound", () => {
  const random = new Random(FUZZ_SEED);
  let forwarded = 0;
  for (const features of OFFLOADS) forwarded += flood(random, FRAMES / OFFLOADS.length, features);
  assert(forwarded > FRAMES / 20, `only ${forwarded} were forwarded`);
});
