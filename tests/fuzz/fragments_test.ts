/**
 * Fragments of all kinds, in all orders, among damaged ones: a model that keeps every byte says which datagrams may come
 * out and what they hold. LVLIP_FUZZ_SEED repeats a run.
 */
import { assert, assertEquals } from "@std/assert";
import { EAGAIN } from "../../lib/errno.ts";
import { Random } from "../../lib/impair/random.ts";
import { Datagram, SocketKind } from "../../lib/stack/stack.ts";
import { icmpFrame, udpFrame } from "../support/build.ts";
import { asFragment, fragmentOf } from "../support/fragments.ts";
import { FUZZ_SEED } from "../support/fuzz.ts";
import { mutate } from "../support/mutate.ts";
import { Bench, expect, ip, OURS, PEER } from "../stack/helpers.ts";

const FACTOR = Number(Deno.env.get("LVLIP_FUZZ_FACTOR") ?? 1);
const MEMORY_CAP = 4 << 20;
const TIMEOUT_US = 30_000_000;

console.log(`LVLIP_FUZZ_SEED=${FUZZ_SEED}`);

class Target extends Bench {
  readonly socket: number;
  readonly message = new Datagram();

  constructor() {
    super();
    this.learnPeer();
    this.socket = expect(this.stack.socket(SocketKind.datagram));
    expect(this.stack.bind(this.socket, 0, 9));
  }

  receive(): Uint8Array | null {
    const length = this.stack.receiveFrom(this.socket, this.message);
    return length === -EAGAIN ? null : this.message.bytes.slice(0, length);
  }
}

/** RFC 791 done the slow way: every byte on its own, for one datagram. */
class Model {
  readonly #bytes: number[] = [];
  #total = -1;
  #end = 0;
  #isRefused = false;

  /** Takes a fragment in; the whole payload when it is complete. */
  put(fragment: Uint8Array): Uint8Array | null {
    const view = new DataView(fragment.buffer, fragment.byteOffset);
    const field = view.getUint16(14 + 6);
    const start = (field & 0x1fff) << 3;
    const payload = fragment.subarray(34);
    const end = start + payload.length;
    const more = (field & 0x2000) !== 0;
    if (this.#isRefused || payload.length === 0 || (more && payload.length % 8 !== 0)) return null;
    if (20 + end > 65_535) return null;
    const isEndWrong = more
      ? this.#total >= 0 && end >= this.#total
      : this.#total >= 0
      ? end !== this.#total
      : end <= this.#end;
    // Blocks of 8 are what fragments are counted in.
    let known = 0;
    let same = true;
    for (let at = start; at < end; at++) {
      if (this.#bytes[at] === undefined) continue;
      known++;
      same &&= this.#bytes[at] === payload[at - start];
    }
    if (isEndWrong || (known > 0 && !(known === payload.length && same))) {
      this.#isRefused = true;
      return null;
    }
    payload.forEach((byte, i) => this.#bytes[start + i] = byte);
    this.#end = Math.max(this.#end, end);
    if (!more) this.#total = end;
    for (let at = 0; at < this.#total; at++) if (this.#bytes[at] === undefined) return null;
    return this.#total < 0 || known > 0 ? null : Uint8Array.from(this.#bytes.slice(0, this.#total));
  }
}

/** A fragment of `whole` at a place of chance, mostly with a true end; now and then with other bytes. */
function anyFragment(whole: Uint8Array, random: Random): Uint8Array<ArrayBuffer> {
  const length = whole.length - 34;
  const start = random.below(Math.ceil(length / 8)) * 8;
  const size = random.chance(0.95) ? 8 * (1 + random.below(8)) : random.below(64);
  const end = Math.min(length, start + size);
  const isEnd = random.chance(0.98) ? end === length : random.chance(0.5);
  const fragment = fragmentOf(whole, start, end, !isEnd, 1);
  if (random.chance(0.01) && fragment.length > 34) fragment[34 + random.below(fragment.length - 34)] ^= 1;
  return fragment;
}

Deno.test("fragments at random: what comes out is what the model says", () => {
  const random = new Random(FUZZ_SEED);
  let completed = 0;
  for (let n = 0; n < 2000 * FACTOR; n++) {
    const payload = Uint8Array.from({ length: random.below(200) }, () => random.next());
    // Without a checksum, so that wrong bytes would come through.
    const whole = udpFrame({ source: PEER, destination: OURS, sourcePort: 5, destinationPort: 9, payload });
    whole[40] = whole[41] = 0;
    const target = new Target();
    const model = new Model();
    for (let sent = 0; sent < 60; sent++) {
      const fragment = anyFragment(whole, random);
      // One that is the whole datagram is none.
      if ((fragment[20] & 0x3f) === 0 && fragment[21] === 0) continue;
      const expected = model.put(fragment);
      target.feed(fragment);
      const received = target.receive();
      if (expected === null) {
        assertEquals(received, null);
        continue;
      }
      completed++;
      const length = (expected[4] << 8) | expected[5];
      const isGood = expected[3] === 9 && expected[2] === 0 && length >= 8 && length <= expected.length &&
        expected[6] === 0 && expected[7] === 0;
      if (isGood) assertEquals(received, expected.subarray(8, length));
      break;
    }
    target.pass(TIMEOUT_US);
    while (target.receive() !== null);
    assertEquals(target.stack.bufferedBytes, 0);
  }
  assert(completed > 100, `${completed} datagrams were completed`);
});

/** Halves, overlaps, damaged headers: from few and from many sources. */
function hostileFragment(random: Random): Uint8Array {
  const data = new Uint8Array([0, 8, 40, 600, 1480][random.below(5)]);
  const fields = { source: `10.${random.below(3)}.0.${1 + random.below(250)}`, destination: OURS };
  const whole = random.chance(0.5)
    ? udpFrame({ ...fields, sourcePort: 5, destinationPort: 9, payload: data.subarray(0, 1472) })
    : icmpFrame({ ...fields, type: 8, payload: data.subarray(0, 1472) });
  const offset = random.chance(0.5) ? random.below(8192) * 8 : random.below(8) * 8;
  const fragment = asFragment(
    whole,
    offset,
    random.chance(0.7),
    random.below(random.chance(0.5) ? 4 : 65_536),
  );
  return random.chance(0.3) ? mutate(fragment, random) : fragment;
}

Deno.test("hostile fragments: nothing is thrown, memory stays below its cap, and good datagrams get through", () => {
  const random = new Random(FUZZ_SEED);
  const target = new Target();
  let received = 0;
  const rounds = Math.round(200 * FACTOR);
  for (let n = 0; n < rounds; n++) {
    for (let i = 0; i < 300; i++) {
      target.feed(hostileFragment(random));
      assert(
        target.stack.bufferedBytes <= MEMORY_CAP + (8 << 20),
        "sockets and the line of packets included",
      );
      if (random.chance(0.1)) target.now += random.below(100_000);
    }
    target.drain();
    while (target.receive() !== null);
    target.learnPeer("10.0.0.251");
    const good = udpFrame({
      source: "10.0.0.251",
      destination: OURS,
      sourcePort: 5,
      destinationPort: 9,
      payload: new Uint8Array(5000).fill(n),
    });
    for (let at = 0; at < 5008; at += 1480) {
      const end = Math.min(5008, at + 1480);
      target.feed(fragmentOf(good, at, end, end < 5008, n & 0xffff));
    }
    for (let data = target.receive(); data !== null; data = target.receive()) {
      if (data.length === 5000 && target.message.address === ip("10.0.0.251")) received++;
    }
    if (random.chance(0.1)) target.pass(1_000_000);
  }
  assertEquals(received, rounds);
  target.pass(TIMEOUT_US);
  target.pass(TIMEOUT_US);
  while (target.receive() !== null);
  target.drain();
  assertEquals(target.stack.bufferedBytes, 0);
});
