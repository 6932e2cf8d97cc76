/** What TCP hands down in one piece, and the stack cuts because the device does not. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Frame, FRAME_START } from "../../lib/buffer/frame.ts";
import { SHUT_WR } from "../../lib/stack/stack.ts";
import { pseudoSum } from "../../lib/wire/checksum.ts";
import { ACK, CWR, FIN, PSH, RST } from "../../lib/wire/tcp.ts";
import { icmpFrame, tcpFrame } from "../support/build.ts";
import { decode, type DecodedTcp } from "../support/decode.ts";
import { check } from "../support/fuzz.ts";
import { Bench, expect, ip, OURS, PEER } from "./helpers.ts";

const MSS = 1460;
const PORT = 80;
const text = Uint8Array.from({ length: 200_000 }, (_, i) => i * 31 >> 3);

/** A stack with one connection that has something to send. */
class Sender extends Bench {
  handle = -1;
  iss = 0;
  localPort = 0;
  written = 0;

  static make(options: ConstructorParameters<typeof Bench>[0] = {}): Sender {
    const made = new Sender(options);
    made.learnPeer();
    Object.assign(made, made.connected(PORT));
    return made;
  }

  /** The next `length` bytes of the text. */
  write(length: number): void {
    assertEquals(this.stack.send(this.handle, text, this.written, length, this.now), length);
    this.written += length;
  }

  /** The peer acknowledges the first `acked` bytes of the text. */
  feedAnswer(acked: number): void {
    const ends = { sourcePort: PORT, destinationPort: this.localPort, source: PEER, destination: OURS };
    this.feed(tcpFrame({ ...ends, flags: ".", seq: 1000, ack: this.iss + 1 + acked }));
  }

  /** The next `count` frames, or as many as there are. */
  take(count: number): Uint8Array[] {
    const taken: Uint8Array[] = [];
    const frame = new Frame();
    while (taken.length < count && this.stack.transmit(frame, this.now)) {
      const { memory, length, payload } = frame;
      const text = payload.memory?.bytes ?? new Uint8Array(0);
      taken.push(Uint8Array.from([
        ...memory.bytes.subarray(FRAME_START, FRAME_START + length),
        ...text.subarray(payload.offset1, payload.offset1 + payload.length1),
        ...text.subarray(payload.offset2, payload.offset2 + payload.length2),
      ]));
    }
    return taken;
  }

  /** Where in the text segments begin, and how long they are; each must be sound and carry what belongs there. */
  pieces(frames: Uint8Array[]): [from: number, length: number][] {
    return frames.map((bytes) => {
      const packet = decode(bytes);
      const tcp = packet.tcp!;
      assert(packet.malformed === "" && packet.ipv4!.checksumOk && tcp.checksumOk);
      const from = (tcp.seq - this.iss - 1) | 0;
      assertEquals(tcp.payload, text.slice(from, from + tcp.payload.length));
      return [from, tcp.payload.length];
    });
  }
}

const whole = (count: number, first = 0): [number, number][] =>
  Array.from({ length: count }, (_, i) => [(first + i) * MSS, MSS]);
const flagsOf = (frames: Uint8Array[]): number[] => frames.map((frame) => decode(frame).tcp!.flags);
const tcpOf = (frame: Uint8Array): DecodedTcp => decode(frame).tcp!;

Deno.test("a burst leaves as segments of the MTU: numbers, flags and checksums of each are its own", () => {
  const made = Sender.make();
  made.write(10 * MSS);
  const frames = made.drain();
  assertEquals(made.pieces(frames), whole(10));
  // The initial window is two bursts, the last segment of each pushed.
  assertEquals(flagsOf(frames), [0, 0, 0, 0, PSH, 0, 0, 0, 0, PSH].map((flag) => ACK | flag));
  const ids = frames.map((frame) => decode(frame).ipv4!.identification);
  assertEquals(ids.slice(0, 5).map((id) => (id - ids[0]) & 0xffff), [0, 1, 2, 3, 4]);
  assertEquals(new Set(frames.map((frame) => decode(frame).ipv4!.totalLength)), new Set([1500]));
});

Deno.test("a short last segment, with the FIN", () => {
  const made = Sender.make();
  made.write(4 * MSS + 17);
  made.stack.shutdown(made.handle, SHUT_WR, made.now);
  const frames = made.drain();
  assertEquals(made.pieces(frames), [...whole(4), [4 * MSS, 17]]);
  assertEquals(flagsOf(frames), [0, 0, 0, 0, PSH | FIN].map((flag) => ACK | flag));
});

Deno.test("every segment has the options", () => {
  const made = new Sender();
  made.learnPeer();
  const listener = made.listener(PORT);
  const fields = { sourcePort: 7, destinationPort: PORT };
  const [synAck] = made.segment({ ...fields, flags: "S", seq: 999, mss: MSS, timestamps: [5, 0] });
  made.iss = tcpOf(synAck).seq;
  made.segment({ ...fields, flags: ".", seq: 1000, ack: made.iss + 1, timestamps: [6, 0] });
  made.handle = expect(made.stack.accept(listener));
  made.write(5 * 1448);
  const frames = made.drain();
  assertEquals(made.pieces(frames), Array.from({ length: 5 }, (_, i) => [i * 1448, 1448]));
  const options = frames.map((frame) => tcpOf(frame).options);
  for (const each of options) assertEquals(each, options[0]);
  assert(options[0].some(({ kind }) => kind === 8));
});

Deno.test("RFC 3168 6.1.2: the first segment only tells that the window was reduced", () => {
  const made = new Sender({ tcp: { ecn: 1 } });
  made.learnPeer();
  const listener = made.listener(PORT);
  const fields = { sourcePort: 7, destinationPort: PORT };
  const [synAck] = made.segment({ ...fields, flags: "SEW", seq: 999, mss: MSS });
  made.iss = tcpOf(synAck).seq;
  made.segment({ ...fields, flags: ".", seq: 1000, ack: made.iss + 1 });
  made.handle = expect(made.stack.accept(listener));
  made.write(20 * MSS);
  made.drain();
  const frames = made.segment({ ...fields, flags: "E.", seq: 1000, ack: made.iss + 1 + 10 * MSS });
  assert(frames.length > 2);
  assertEquals(flagsOf(frames).map((flags) => flags & CWR), frames.map((_, i) => i === 0 ? CWR : 0));
  assertEquals(new Set(frames.map((frame) => decode(frame).ipv4!.ecn)), new Set([2]));
});

Deno.test("a device that makes checksums but cuts nothing makes one for each segment", () => {
  const made = Sender.make({ features: { checksum: true, segmentation: false } });
  made.write(5 * MSS);
  const frame = new Frame();
  for (let i = 0; i < 5; i++) {
    assert(made.stack.transmit(frame, made.now));
    assertEquals([frame.checksumStart, frame.checksumOffset, frame.gsoSize], [34, 16, 0]);
    assertEquals(
      frame.memory.view.getUint16(FRAME_START + 34 + 16),
      pseudoSum(ip(OURS), ip(PEER), 6, 20 + MSS),
    );
  }
});

Deno.test("a device that is full in the midst of a burst gets the rest later, each segment once", () => {
  const made = Sender.make();
  made.write(10 * MSS);
  const frames = made.take(2);
  made.stack.setDeviceFull(0, true);
  assertEquals(made.drain(), []);
  made.stack.setDeviceFull(0, false);
  frames.push(...made.take(1));
  made.stack.setDeviceFull(0, true);
  made.write(1);
  assertEquals(made.drain(), []);
  made.stack.setDeviceFull(0, false);
  frames.push(...made.drain());
  assertEquals(made.pieces(frames), whole(10));
});

Deno.test("no other connection's segment, and no packet, goes between those of a burst", () => {
  const made = Sender.make();
  const other = made.connected(81);
  made.write(5 * MSS);
  const frames = made.take(2);
  made.stack.send(other.handle, text, 0, 100, made.now);
  frames.push(...made.drain());
  const ports = frames.map((frame) => tcpOf(frame).destinationPort);
  assertEquals(ports, [...Array(5).fill(PORT), 81]);
});

Deno.test("the rest of a burst is forgotten when its connection is aborted meanwhile", () => {
  const made = Sender.make();
  made.write(5 * MSS);
  made.take(2);
  made.stack.setDeviceFull(0, true);
  made.stack.abort(made.handle, made.now);
  made.stack.setDeviceFull(0, false);
  assertEquals(flagsOf(made.drain()).map((flags) => flags & RST), [RST]);
});

Deno.test("what is acknowledged while the rest of its burst waits is not sent again", () => {
  const made = Sender.make({ tcp: { frto: false } });
  made.write(10 * MSS);
  made.drain();
  // A timeout: the first goes again, and when it is acknowledged the next three.
  assertEquals(made.pieces(made.pass(300_000)), whole(1));
  made.write(2 * MSS);
  made.feedAnswer(3 * MSS);
  const [[first]] = made.pieces(made.take(1));
  made.stack.setDeviceFull(0, true);
  // The others had only been late.
  made.feedAnswer(10 * MSS);
  made.stack.setDeviceFull(0, false);
  assertEquals([[first], ...made.pieces(made.drain())], [[3 * MSS], ...whole(2, 10)]);
});

Deno.test("of a burst that lost some of its segments these are sent again, and no others", () => {
  const made = new Sender();
  made.learnPeer();
  const listener = made.listener(PORT);
  const fields = { sourcePort: 7, destinationPort: PORT };
  const [synAck] = made.segment({ ...fields, flags: "S", seq: 999, mss: MSS, sackPermitted: true });
  made.iss = tcpOf(synAck).seq;
  made.segment({ ...fields, flags: ".", seq: 1000, ack: made.iss + 1 });
  made.handle = expect(made.stack.accept(listener));
  made.write(10 * MSS);
  made.drain();
  const blocks: [number, number][] = [[made.iss + 1 + 3 * MSS, made.iss + 1 + 10 * MSS]];
  const ack = made.iss + 1 + MSS;
  const again = made.segment({ ...fields, flags: ".", seq: 1000, ack, sack: blocks });
  again.push(...made.pass(20_000));
  const resent = made.pieces(again);
  assertEquals(resent, whole(2, 1));
});

Deno.test("an MTU that shrinks in the midst of a burst counts for what is sent after it", () => {
  const made = Sender.make();
  made.write(10 * MSS);
  const frames = made.take(2);
  const [quoted] = frames;
  const error = { source: PEER, destination: OURS, type: 3, code: 4, rest: 1000 };
  made.feed(icmpFrame({ ...error, payload: quoted.subarray(14, 14 + 28) }));
  const sizes = made.pieces(made.drain()).map(([, length]) => length);
  // The rest of the burst is as lost as its beginning; all of it goes again in smaller segments.
  assertEquals(sizes.slice(0, 3), [MSS, MSS, MSS]);
  assert(sizes.length > 3 && sizes.slice(3).every((size) => size <= 960), `${sizes}`);
});

Deno.test("whatever the device takes when, the text goes out in order and once", () => {
  const plan = fc.array(fc.record({ frames: fc.nat(8), text: fc.nat(4000) }), { maxLength: 60 });
  const property = fc.property(plan, (steps) => {
    const made = Sender.make();
    let sent = 0;
    const follow = (frames: Uint8Array[]) => {
      for (const bytes of frames) {
        const tcp = tcpOf(bytes);
        if (tcp.payload.length === 0) continue;
        assertEquals((tcp.seq - made.iss - 1) | 0, sent);
        assertEquals(tcp.payload, text.slice(sent, sent + tcp.payload.length));
        sent += tcp.payload.length;
      }
    };
    for (const { frames, text: more } of steps) {
      if (more > 0) made.written += expect(made.stack.send(made.handle, text, made.written, more, made.now));
      follow(made.take(frames));
      made.stack.setDeviceFull(0, true);
      made.now += 100;
      // The peer acknowledges all that reached it.
      made.feedAnswer(sent);
      assertEquals(made.drain(), []);
      made.stack.setDeviceFull(0, false);
    }
    for (let i = 0; i < 200 && sent < made.written; i++) {
      follow(made.drain());
      made.feedAnswer(sent);
    }
    assertEquals(sent, made.written);
  });
  check(property, 60);
});
