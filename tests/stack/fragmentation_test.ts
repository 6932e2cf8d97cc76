import { assert, assertEquals } from "@std/assert";
import { EAGAIN, EINVAL, EMSGSIZE, ENOPROTOOPT } from "../../lib/errno.ts";
import {
  Datagram,
  IP_MTU_DISCOVER,
  IP_PMTUDISC,
  IPPROTO_IP,
  SocketKind,
  type Stack,
} from "../../lib/stack/stack.ts";
import { arpFrame, icmpFrame } from "../support/build.ts";
import { decode } from "../support/decode.ts";
import { cut } from "../support/fragments.ts";
import { Link } from "../support/link.ts";
import { Bench, expect, ip, OURS, PEER } from "./helpers.ts";

function bytesOf(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, i) => i * 7 + (i >> 8));
}

function bench(): Bench {
  const made = new Bench();
  made.learnPeer();
  return made;
}

/** A UDP socket, and what sends a message of `length` bytes from it. */
function sender(
  stack: Stack,
  discover?: number,
): { handle: number; send(length: number, now?: number): number } {
  const handle = expect(stack.socket(SocketKind.datagram));
  if (discover !== undefined) expect(stack.setOption(handle, IPPROTO_IP, IP_MTU_DISCOVER, discover, 0));
  const message = new Datagram();
  return {
    handle,
    send(length, now = 1e9) {
      message.address = ip(PEER);
      message.port = 9;
      message.offset = 0;
      message.length = length;
      message.bytes.set(bytesOf(length));
      return stack.sendTo(handle, message, now);
    },
  };
}

/** What fragments carry, put together here by their offsets. */
function payloadOf(frames: Uint8Array[]): Uint8Array {
  let end = 0;
  const bytes = new Uint8Array(65_536);
  for (const frame of frames) {
    const { fragmentOffset, totalLength, headerLength } = decode(frame).ipv4!;
    assertEquals(fragmentOffset, end, "fragments follow each other");
    bytes.set(frame.subarray(14 + headerLength, 14 + totalLength), end);
    end += totalLength - headerLength;
  }
  return bytes.subarray(0, end);
}

Deno.test("RFC 791 3.2: a message above the MTU goes out in fragments that fit it, all but the last multiples of 8", () => {
  const made = bench();
  const { send } = sender(made.stack);
  for (const length of [1473, 1481, 2952, 8000, 65_507]) {
    assertEquals(send(length), length);
    const frames = made.drain();
    const headers = frames.map((frame) => decode(frame).ipv4!);
    const most = Math.floor(1480 / 8) * 8;
    assertEquals(frames.length, Math.ceil((length + 8) / most));
    headers.forEach((header, i) => {
      assertEquals(header.moreFragments, i < frames.length - 1);
      assertEquals(header.dontFragment, false);
      assertEquals(header.identification, headers[0].identification);
      assert(header.totalLength <= 1500 && header.checksumOk);
    });
    const payload = payloadOf(frames);
    assertEquals(payload.subarray(8), bytesOf(length));
  }
  const { counters } = made.stack;
  assertEquals([counters.ipFragmented, counters.udpOut], [5, 5]);
  assertEquals(made.stack.bufferedBytes, 0);
});

Deno.test("a message that fits goes out whole, with DF", () => {
  const made = bench();
  assertEquals(sender(made.stack).send(1472), 1472);
  const frames = made.drain();
  assertEquals(frames.length, 1);
  const { dontFragment, moreFragments, totalLength } = decode(frames[0]).ipv4!;
  assertEquals([dontFragment, moreFragments, totalLength], [true, false, 1500]);
});

Deno.test("IP_MTU_DISCOVER: who wants no fragments is told EMSGSIZE", () => {
  const { dont, want, do: always, probe, interface: device, omit } = IP_PMTUDISC;
  for (
    const [discover, result, isWholeMarked] of [
      [dont, 3000, false],
      [want, 3000, true],
      [always, -EMSGSIZE, true],
      [probe, -EMSGSIZE, true],
      [device, -EMSGSIZE, false],
      [omit, 3000, false],
    ] as const
  ) {
    const made = bench();
    const { handle, send } = sender(made.stack, discover);
    assertEquals(made.stack.getOption(handle, IPPROTO_IP, IP_MTU_DISCOVER), discover);
    assertEquals(send(3000), result);
    assertEquals(made.drain().length, result > 0 ? 3 : 0);
    assertEquals(send(1472), 1472);
    assertEquals(decode(made.drain()[0]).ipv4!.dontFragment, isWholeMarked);
    assertEquals(send(65_508), -EMSGSIZE);
  }
});

Deno.test("IP_MTU_DISCOVER takes Linux's values only, and of a stream those that TCP follows", () => {
  const { stack } = new Bench();
  const { handle } = sender(stack);
  for (const value of [-1, 6]) {
    assertEquals(stack.setOption(handle, IPPROTO_IP, IP_MTU_DISCOVER, value, 0), -EINVAL);
  }
  const stream = expect(stack.socket(SocketKind.stream));
  assertEquals(stack.setOption(stream, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC.do, 0), 0);
  assertEquals(stack.setOption(stream, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC.dont, 0), -ENOPROTOOPT);
  assertEquals(stack.getOption(stream, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC.want);
});

Deno.test("RFC 6864 4.3: identifications of one peer follow each other; where they begin differs from peer to peer", () => {
  const made = bench();
  made.learnPeer("10.0.0.6");
  const identifications = (peer: string) => {
    const frame = icmpFrame({ source: peer, destination: OURS, type: 8 });
    return Array.from({ length: 20 }, () => decode(made.input(frame)[0]).ipv4!.identification);
  };
  const first = identifications(PEER);
  const other = identifications("10.0.0.6");
  const more = identifications(PEER);
  for (const list of [first, other, more]) {
    list.forEach((value, i) => assertEquals(value, (list[0] + i) & 0xffff));
  }
  assertEquals(more[0], (first[19] + 1) & 0xffff);
  assert(Math.abs(first[0] - other[0]) > 40);
});

Deno.test("an echo request of 65,507 bytes, in fragments, is answered so", () => {
  const made = bench();
  const data = bytesOf(65_507);
  const request = icmpFrame({ source: PEER, destination: OURS, type: 8, rest: (5 << 16) | 6, payload: data });
  const replies = cut(request, 1500, 99).flatMap((fragment) => made.input(fragment));
  assertEquals(replies.length, 45);
  const reply = payloadOf(replies);
  assertEquals([...reply.subarray(0, 2), ...reply.subarray(4, 8)], [0, 0, 0, 5, 0, 6]);
  assertEquals(reply.subarray(8), data);
  assertEquals(made.stack.bufferedBytes, 0);
});

Deno.test("while a datagram goes out in fragments, connections have their turn", () => {
  const made = bench();
  const { handle } = made.connected(80);
  sender(made.stack).send(20_000);
  made.stack.send(handle, bytesOf(5000), 0, 5000, made.now);
  const protocols = made.drain().map((frame) => decode(frame).ipv4!.protocol);
  assertEquals(protocols.slice(0, 8).toSorted(), [17, 17, 17, 17, 6, 6, 6, 6].toSorted());
  assertEquals(protocols.filter((protocol) => protocol === 17).length, 14);
});

Deno.test("a datagram waits whole for its neighbor's address", () => {
  const made = new Bench();
  sender(made.stack).send(4000, made.now);
  const [request, ...none] = made.drain();
  assertEquals([decode(request).ipv4, none.length], [undefined, 0]);
  const frames = made.input(
    arpFrame({ operation: 2, senderIp: PEER, targetIp: OURS, targetMac: "02:00:00:00:00:05" }),
  );
  assertEquals(payloadOf(frames).subarray(8), bytesOf(4000));
});

Deno.test("two stacks exchange datagrams of every size, through loss, duplication and reordering", () => {
  const link = new Link({ impair: "duplicate=20% reorder=20% delay=5ms jitter=5ms loss=2%" });
  const receiver = expect(link.b.stack.socket(SocketKind.datagram));
  expect(link.b.stack.bind(receiver, 0, 9));
  const { handle } = sender(link.a.stack);
  const message = new Datagram();
  let received = 0;
  for (let length = 0; length <= 65_507; length += 1489) {
    message.address = link.b.address;
    message.port = 9;
    message.offset = 0;
    message.length = length;
    message.bytes.set(bytesOf(length));
    expect(link.a.stack.sendTo(handle, message, link.now));
    link.runFor(100_000);
    for (;;) {
      const result = link.b.stack.receiveFrom(receiver, message);
      if (result === -EAGAIN) break;
      assertEquals(message.bytes.subarray(0, result), bytesOf(result));
      received++;
    }
  }
  assert(received >= 20, `${received} datagrams`);
  const { ipFragmentDuplicate, arpNotForUs: _, ...others } = link.b.stack.counters.namedDrops();
  assert(ipFragmentDuplicate > 0);
  assertEquals(others, {});
  link.runFor(60e6);
  assertEquals(link.b.stack.bufferedBytes, 0);
});

Deno.test("a datagram to ourselves is never cut", () => {
  const made = new Bench();
  const receiver = expect(made.stack.socket(SocketKind.datagram));
  expect(made.stack.bind(receiver, 0, 9));
  const message = new Datagram();
  message.address = ip("127.0.0.1");
  message.port = 9;
  message.length = 65_507;
  assertEquals(made.stack.sendTo(receiver, message, made.now), 65_507);
  assertEquals(made.drain(), []);
  assertEquals(made.stack.receiveFrom(receiver, message), 65_507);
  assertEquals(made.stack.counters.ipFragmentsOut, 0);
});
