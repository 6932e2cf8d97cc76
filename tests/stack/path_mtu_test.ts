import { assert, assertEquals } from "@std/assert";
import { EAGAIN, EMSGSIZE } from "../../lib/errno.ts";
import {
  Datagram,
  IP_MTU,
  IP_MTU_DISCOVER,
  IP_PMTUDISC,
  IP_RECVERR,
  IPPROTO_IP,
  SocketKind,
} from "../../lib/stack/stack.ts";
import { PathMtuCache } from "../../lib/stack/path_mtu.ts";
import { icmpFrame } from "../support/build.ts";
import { decode } from "../support/decode.ts";
import { Bench, expect, GATEWAY, ip, only, OURS, PEER } from "./helpers.ts";

const TEN_MINUTES_US = 600e6;

function bench(): Bench {
  const made = new Bench();
  made.learnPeer();
  return made;
}

/** Fragmentation needed, about a frame that we sent. */
function tooBig(sent: Uint8Array, mtu: number): Uint8Array {
  const payload = sent.subarray(14, 14 + 28);
  return icmpFrame({ source: GATEWAY, destination: OURS, type: 3, code: 4, rest: mtu, payload });
}

class Sender {
  readonly handle: number;
  readonly message = new Datagram();

  constructor(readonly made: Bench, discover: number = IP_PMTUDISC.want) {
    this.handle = expect(made.stack.socket(SocketKind.datagram));
    expect(made.stack.setOption(this.handle, IPPROTO_IP, IP_MTU_DISCOVER, discover, made.now));
    expect(made.stack.connect(this.handle, ip(PEER), 9, made.now));
  }

  send(length: number): number {
    this.message.address = 0;
    this.message.offset = 0;
    this.message.length = length;
    return this.made.stack.sendTo(this.handle, this.message, this.made.now);
  }

  /** The sizes of the packets that a message becomes, negative without DF. */
  sizes(length: number): number[] {
    assertEquals(this.send(length), length);
    return this.made.drain().map((frame) => {
      const { totalLength, dontFragment } = decode(frame).ipv4!;
      return dontFragment ? totalLength : -totalLength;
    });
  }

  get mtu(): number {
    return this.made.stack.getOption(this.handle, IPPROTO_IP, IP_MTU);
  }

  takeError(): number {
    return this.made.stack.takeError(this.handle);
  }
}

Deno.test("RFC 1191: a datagram socket learns the path MTU, and fragments by it; after ten minutes it tries again", () => {
  const made = bench();
  const sender = new Sender(made);
  sender.send(1472);
  const [sent] = made.drain();
  assertEquals(made.input(tooBig(sent, 1000)), []);
  assertEquals(sender.takeError(), EMSGSIZE);
  assertEquals(sender.mtu, 1000);
  assertEquals(sender.sizes(1472), [-996, -524]);
  assertEquals(sender.sizes(972), [1000]);
  made.pass(TEN_MINUTES_US - 1);
  assertEquals(sender.mtu, 1000);
  made.pass(1);
  assertEquals(sender.mtu, 1500);
  made.learnPeer();
  assertEquals(sender.sizes(1472), [1500]);
});

Deno.test("IP_PMTUDISC_DO: EMSGSIZE above the path MTU; PROBE: the device's counts", () => {
  const made = bench();
  const always = new Sender(made, IP_PMTUDISC.do);
  const probe = new Sender(made, IP_PMTUDISC.probe);
  always.send(1472);
  made.input(tooBig(made.drain()[0], 1000));
  assertEquals(always.takeError(), EMSGSIZE);
  assertEquals(always.send(973), -EMSGSIZE);
  assertEquals(always.sizes(972), [1000]);
  assertEquals(probe.send(1473), -EMSGSIZE);
  assertEquals(probe.sizes(1472), [1500]);
});

Deno.test("IP_PMTUDISC_DONT: no DF, and nobody is told", () => {
  const made = bench();
  const sender = new Sender(made, IP_PMTUDISC.dont);
  assertEquals(sender.send(1472), 1472);
  const [sent] = made.drain();
  assertEquals(decode(sent).ipv4!.dontFragment, false);
  made.input(tooBig(sent, 1000));
  assertEquals(sender.takeError(), 0);
  assertEquals(sender.sizes(1472), [-996, -524]);
});

Deno.test("the path MTU that shrinks while a message waits: who wants no fragments is told", () => {
  const made = bench();
  const sender = new Sender(made, IP_PMTUDISC.do);
  expect(made.stack.setOption(sender.handle, IPPROTO_IP, IP_RECVERR, 1, made.now));
  sender.send(1472);
  const [sent] = made.drain();
  assertEquals(sender.send(1400), 1400);
  made.feed(tooBig(sent, 1000));
  assertEquals(made.drain(), []);
  assertEquals(made.drops, { ipTooBig: 1 });
  const { message } = sender;
  assertEquals(made.stack.receiveFrom(sender.handle, message), 0);
  assertEquals([message.errno, message.mtu, message.sourceAddress], [EMSGSIZE, 1000, ip(GATEWAY)]);
  assertEquals(made.stack.receiveFrom(sender.handle, message), 1400);
  assertEquals([message.errno, message.mtu, message.sourceAddress], [EMSGSIZE, 1000, ip(OURS)]);
  assertEquals(sender.takeError(), EMSGSIZE);
  assertEquals(made.stack.receiveFrom(sender.handle, message), -EAGAIN);
});

Deno.test("connections and sockets share what one of them learned", () => {
  const made = bench();
  const sender = new Sender(made);
  const first = made.connected(80);
  const second = made.connected(81);
  const sizes = (handle: number) => {
    made.stack.send(handle, new Uint8Array(1460), 0, 1460, made.now);
    return made.drain().map((frame) => decode(frame).ipv4!.totalLength);
  };
  made.stack.send(first.handle, new Uint8Array(1460), 0, 1460, made.now);
  const again = made.input(tooBig(only(made.drain()).bytes, 1200));
  assert(again.every((frame) => decode(frame).ipv4!.totalLength <= 1200));
  assertEquals(sender.mtu, 1200);
  const sent = sizes(second.handle);
  assertEquals(Math.max(...sent), 1200);
  // A connection that is opened now knows it from the start.
  const third = made.connected(82);
  assertEquals(Math.max(...sizes(third.handle)), 1200);
  // And the other way round.
  sender.send(1172);
  made.input(tooBig(made.drain()[0], 800));
  assertEquals(Math.max(...sizes(third.handle)), 800);
  assertEquals(made.stack.getOption(third.handle, IPPROTO_IP, IP_MTU), 800);
});

Deno.test("when the path MTU is forgotten, connections send full segments again", () => {
  const made = bench();
  const { handle, iss, localPort } = made.connected(80);
  made.stack.send(handle, new Uint8Array(1460), 0, 1460, made.now);
  made.input(tooBig(made.drain()[0], 1000));
  made.drain();
  made.segment({ sourcePort: 80, destinationPort: localPort, flags: ".", seq: 1000, ack: iss + 1 + 1460 });
  made.pass(TEN_MINUTES_US);
  made.learnPeer();
  made.stack.send(handle, new Uint8Array(1460), 0, 1460, made.now);
  const sizes = made.drain().map((frame) => decode(frame).ipv4?.totalLength ?? 0);
  assertEquals(Math.max(...sizes), 1500);
});

Deno.test("RFC 1191 5, 7.1: next-hop MTU 0 means the next lower plateau; nothing is believed below 552", () => {
  const made = bench();
  const sender = new Sender(made);
  sender.send(1472);
  made.input(tooBig(made.drain()[0], 0));
  assertEquals(sender.mtu, 1492);
  for (const [size, mtu] of [[1464, 1006], [978, 552]]) {
    sender.takeError();
    sender.send(size);
    made.input(tooBig(made.drain()[0], 0));
    assertEquals(sender.mtu, mtu);
  }
  sender.takeError();
  // The path takes less than that: DF would keep everything from getting there.
  assertEquals(sender.sizes(500), [-528]);
  assertEquals(sender.sizes(600), [-548, -100]);
});

Deno.test("RFC 1191 6.3: ICMP never raises the path MTU; forged ones have no effect", () => {
  const made = bench();
  const sender = new Sender(made);
  sender.send(1472);
  const [sent] = made.drain();
  for (const mtu of [1000, 1400, 1500, 9000]) made.input(tooBig(sent, mtu));
  assertEquals(sender.mtu, 1000);
  const other = bench();
  const victim = new Sender(other);
  victim.send(10);
  const forged = other.drain()[0].slice();
  forged[34] ^= 1;
  other.input(tooBig(forged, 600));
  assertEquals([victim.mtu, other.drops.icmpNoSocket], [1500, 1]);
  const segment = other.connected(80);
  other.stack.send(segment.handle, new Uint8Array(100), 0, 100, other.now);
  const stale = other.drain()[0].slice();
  stale[38] ^= 0x40;
  other.input(tooBig(stale, 600));
  assertEquals(victim.mtu, 1500);
});

Deno.test("the cache is bounded: what would expire first goes", () => {
  const cache = new PathMtuCache();
  for (let n = 1; n <= 3000; n++) cache.lower(n, 1000, n);
  assertEquals(cache.size, 1024);
  assertEquals([cache.get(1), cache.get(3000)?.mtu], [undefined, 1000]);
  assertEquals(cache.deadline, 3000 - 1023 + TEN_MINUTES_US);
  cache.advance(2999 + TEN_MINUTES_US);
  assertEquals(cache.size, 1);
  cache.advance(3000 + TEN_MINUTES_US);
  assertEquals([cache.size, cache.deadline], [0, Infinity]);
});
