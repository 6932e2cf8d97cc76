/**
 * Damaged traffic into a stack in the midst of real traffic: nothing is thrown, time goes on, every frame is counted,
 * and afterwards the stack still does what it did before. LVLIP_FUZZ_SEED repeats a run.
 */
import { AssertionError } from "@std/assert";
import { flatten, Frame, FRAME_START } from "../../lib/buffer/frame.ts";
import { Random } from "../../lib/impair/random.ts";
import { SocketKind } from "../../lib/stack/socket_types.ts";
import { arpFrame, icmpFrame, udpFrame } from "../support/build.ts";
import { formatFrame } from "../support/format.ts";
import { FUZZ_SEED } from "../support/fuzz.ts";
import { checkInvariants } from "../support/invariants.ts";
import { ADDRESS_A, ADDRESS_B, type Host, Link } from "../support/link.ts";
import { mutate } from "../support/mutate.ts";
import { connect, Talker, transfer } from "../support/transfer.ts";

const ROUNDS = Math.round(120 * Number(Deno.env.get("LVLIP_FUZZ_FACTOR") ?? 1));
const FRAMES_A_ROUND = 400;

console.log(`LVLIP_FUZZ_SEED=${FUZZ_SEED}`);

/** Frames that both stacks sent of late, and some that neither would send. */
class Samples {
  readonly #frames: Uint8Array[] = [];

  constructor(link: Link) {
    const ends = { source: ADDRESS_A, destination: ADDRESS_B, sourcePort: 7, destinationPort: 9 };
    const back = { source: ADDRESS_B, destination: ADDRESS_A };
    this.#frames.push(
      arpFrame({ operation: 1, senderIp: ADDRESS_A, targetIp: ADDRESS_B }),
      arpFrame({ operation: 2, senderIp: ADDRESS_B, targetIp: ADDRESS_A }),
      icmpFrame({ ...ends, type: 8, rest: 0x10001, payload: "0123456789" }),
      icmpFrame({ ...back, type: 8, rest: 0x10001, payload: "0123456789" }),
      udpFrame({ ...ends, payload: "hello" }),
      udpFrame({ ...ends, payload: "x".repeat(600), moreFragments: true, identification: 7 }),
    );
    for (const host of [link.a, link.b]) {
      const before = host.onTransmit;
      host.onTransmit = (frame, now) => {
        before?.(frame, now);
        this.#add(frame);
      };
    }
  }

  #add(frame: Frame): void {
    const bytes = new Uint8Array(frame.totalLength);
    flatten(frame, bytes, 0);
    if (this.#frames.length >= 64) this.#frames.splice(6, 1);
    this.#frames.push(bytes);
  }

  /** One of them; now and then an ICMP error about it instead. */
  pick(random: Random): Uint8Array {
    const frame = this.#frames[random.below(this.#frames.length)];
    if (!random.chance(0.15) || frame.length < 42) return frame;
    const [type, code] = [[3, random.below(16)], [11, 0], [4, 0], [5, 1], [12, 0]][random.below(5)];
    const text = (at: number) => frame.subarray(at, at + 4).join(".");
    return icmpFrame({
      source: random.chance(0.5) ? text(30) : "10.0.0.1",
      destination: text(26),
      type,
      code,
      rest: [0, 68, 576, 1000, 1500, 65535][random.below(6)],
      payload: frame.slice(14, 14 + 20 + 8 + random.below(60)),
    });
  }
}

/** Gives the bytes to one stack as if its device had received them. */
function inject(host: Host, bytes: Uint8Array, now: number): void {
  const frame = new Frame(4096);
  frame.memory.bytes.set(bytes, FRAME_START);
  frame.length = bytes.length;
  try {
    host.stack.input(frame, now);
  } catch (error) {
    const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    throw new Error(`input threw on ${formatFrame(bytes)}\n  ${hex}`, { cause: error });
  }
}

/** Some rounds reset the connection or poison a cache; that is what an attacker on the link can do. */
function round(random: Random): void {
  const link = new Link({ seed: random.next(), impair: "delay=1ms" });
  const samples = new Samples(link);
  const datagrams = link.b.stack.socket(SocketKind.datagram);
  link.b.stack.bind(datagrams, 0, 9);
  const { client, server } = connect(link);
  const talkers = [
    new Talker(link.a, client, 1 << 30, 1 << 30, 4096),
    new Talker(link.b, server, 1 << 30, 1 << 30, 4096, true),
  ];
  for (let n = 0; n < FRAMES_A_ROUND; n++) {
    inject(random.chance(0.5) ? link.a : link.b, mutate(samples.pick(random), random), link.now);
    link.settle();
    checkInvariants(link);
    if (random.chance(0.3)) link.runFor(random.below(random.chance(0.05) ? 1_000_000 : 3000));
    if (random.chance(0.2)) {
      for (const talker of talkers) {
        try {
          talker.write(link.now, random.below(8000));
          talker.read(link.now, random.below(8000));
        } catch (error) {
          // The stack reports a reset, or bytes that the attacker put in: neither is a failure here.
          if (!(error instanceof AssertionError)) throw error;
        }
      }
    }
  }
  link.a.stack.abort(client, link.now);
  link.b.stack.abort(server, link.now);
  link.runFor(1e6);
  transfer(link, { bytes: 20_000, bytesBack: 20_000, port: 81, limitUs: 600e6 });
}

Deno.test("damaged frames in the midst of real traffic: nothing is thrown, and the stack works on", () => {
  const random = new Random(FUZZ_SEED);
  for (let n = 0; n < ROUNDS; n++) round(random);
});

Deno.test("any bytes at all, at any length: nothing is thrown", () => {
  const random = new Random(FUZZ_SEED);
  const link = new Link({ trace: 0 });
  link.settle();
  for (let n = 0; n < 20_000; n++) {
    const bytes = Uint8Array.from({ length: random.below(120) }, () => random.next());
    if (random.chance(0.8)) {
      bytes.set([2, 0, 0, 0, 0, 5, 2, 0, 0, 0, 0, 4, 8, random.chance(0.8) ? 0 : 6].slice(0, bytes.length));
    }
    if (random.chance(0.5) && bytes.length > 14) bytes[14] = 0x45;
    inject(link.b, bytes, link.now);
    link.settle();
  }
  for (const value of [0, 0xff]) {
    for (let length = 0; length <= 1600; length += 7) {
      inject(link.b, new Uint8Array(length).fill(value), link.now);
    }
  }
  transfer(link, { bytes: 1000 });
});
