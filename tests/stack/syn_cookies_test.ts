import { assert, assertEquals } from "@std/assert";
import { EAGAIN } from "../../lib/errno.ts";
import { tcpFrame } from "../support/build.ts";
import { decode, type Packet } from "../support/decode.ts";
import { ack, assertFrame, flags, optionKinds } from "../support/checker.ts";
import { arpFrame } from "../support/build.ts";
import { Bench, expect, GATEWAY, ip, only, OURS } from "./helpers.ts";
import { formatIp } from "../../lib/wire/address.ts";

const MINUTE = 60_000_000;
const CLIENT = "192.0.2.7";
/** NOP, NOP, timestamps and the like are 12 bytes; of the values the second four are the echo. */
const TIMESTAMPS = 8;

/** A host behind a gateway that it knows, so that strangers can be answered. */
function bench(synCookies: 0 | 1 | 2 = 1): Bench {
  const made = new Bench({ gateway: ip(GATEWAY), tcp: { synCookies } });
  made.learnPeer(GATEWAY);
  return made;
}

type Fields = Partial<Parameters<typeof tcpFrame>[0]>;

function fromClient(made: Bench, fields: Fields): Uint8Array[] {
  return made.input(tcpFrame({
    source: CLIENT,
    destination: OURS,
    sourcePort: 1000,
    destinationPort: 80,
    flags: ".",
    ...fields,
  }));
}

function timestampOf(packet: Packet): number {
  const { data } = packet.tcp!.options.find(({ kind }) => kind === TIMESTAMPS)!;
  return new DataView(data.buffer, data.byteOffset).getInt32(0);
}

/** Opens a connection whose every SYN is answered with a cookie; returns its handle. */
function openWithCookie(made: Bench, listener: number, syn: Fields): { handle: number; synAck: Packet } {
  const before = [...made.stack.connections()].length;
  const synAck = only(fromClient(made, { flags: "S", seq: 99, ...syn }));
  assertEquals([...made.stack.connections()].length, before, "a cookie keeps no state");
  const timestamps = syn.timestamps ? { timestamps: [5001, timestampOf(synAck)] as [number, number] } : {};
  fromClient(made, { seq: 100, ack: synAck.tcp!.seq + 1, window: 30000, ...timestamps });
  return { handle: expect(made.stack.accept(listener)), synAck };
}

Deno.test("RFC 4987 3.6: with tcp_syncookies 2 no SYN is remembered, and the ACK opens the connection", () => {
  const made = bench(2);
  const listener = made.listener(80);
  const { handle } = openWithCookie(made, listener, { mss: 1460 });
  const info = made.stack.info(handle);
  assertEquals([info.stateName, info.tcpi_options, info.tcpi_snd_mss], ["ESTABLISHED", 0, 1460]);
  const { counters } = made.stack;
  assertEquals([counters.tcpSynCookiesSent, counters.tcpSynCookiesReceived, counters.tcpPassiveOpens], [
    1,
    1,
    1,
  ]);
});

Deno.test("a connection from a cookie carries data both ways", () => {
  const made = bench(2);
  const { handle, synAck } = openWithCookie(made, made.listener(80), { mss: 1460 });
  const bytes = new Uint8Array(10);
  fromClient(made, { seq: 100, ack: synAck.tcp!.seq + 1, flags: "P.", payload: "question" });
  assertEquals(made.stack.receive(handle, bytes, 0, 10, made.now), 8);
  assertEquals(made.stack.send(handle, bytes, 0, 8, made.now), 8);
  const [answer] = made.drain();
  assertFrame(answer, flags("P."), ack(108));
  assertEquals(decode(answer).tcp!.seq, (synAck.tcp!.seq + 1) | 0);
});

Deno.test("the segment size is the largest of a cookie's four that is not above the peer's", () => {
  const sizes = [[0, 536], [500, 536], [1299, 536], [1300, 1300], [1459, 1440], [1460, 1460], [9000, 1460]];
  for (const [offered, remembered] of sizes) {
    const made = bench(2);
    const { handle } = openWithCookie(made, made.listener(80), { mss: offered });
    assertEquals(made.stack.info(handle).tcpi_snd_mss, remembered, `of ${offered}`);
  }
});

Deno.test("Accurate ECN comes through a cookie too: the client's ACK tells of it (RFC 9768 5.1)", () => {
  for (const [flagsOfAck, mode] of [["W.", 2], [".", 1]] as const) {
    const made = new Bench({ gateway: ip(GATEWAY), tcp: { synCookies: 2, ecn: 3 } });
    made.learnPeer(GATEWAY);
    const listener = made.listener(80);
    const offer: Fields = { mss: 1460, sackPermitted: true, timestamps: [5000, 0] };
    const synAck = only(fromClient(made, { flags: "SEWe", seq: 99, ...offer }));
    assertFrame(synAck.bytes, flags("S.W"));
    const timestamps: [number, number] = [5001, timestampOf(synAck)];
    fromClient(made, { flags: flagsOfAck, seq: 100, ack: synAck.tcp!.seq + 1, window: 30000, timestamps });
    assertEquals(made.stack.info(expect(made.stack.accept(listener))).tcpi_ecn_mode, mode);
  }
});

Deno.test("timestamps bring window scale, SACK and ECN through a cookie, in their low bits", () => {
  for (
    const [windowScale, sackPermitted, ecn] of [[7, true, true], [-1, false, false], [
      14,
      true,
      false,
    ]] as const
  ) {
    const made = bench(2);
    const { handle, synAck } = openWithCookie(made, made.listener(80), {
      flags: ecn ? "SEW" : "S",
      mss: 1460,
      windowScale,
      sackPermitted,
      timestamps: [5000, 0],
    });
    const info = made.stack.info(handle);
    const wanted = 1 | (sackPermitted ? 2 : 0) | (windowScale >= 0 ? 4 : 0) | (ecn ? 8 : 0);
    assertEquals(info.tcpi_options, wanted);
    assertEquals(info.tcpi_snd_wscale, Math.max(0, windowScale));
    assertEquals(info.tcpi_snd_wnd, 30000 << Math.max(0, windowScale));
    const bits = (windowScale >= 0 ? windowScale : 15) | (sackPermitted ? 16 : 0) | (ecn ? 32 : 0);
    const [connection] = made.stack.connections();
    assertEquals((timestampOf(synAck) - connection.tcb.timestamps.offset) & 63, bits);
    // It is never later than the clock, or what follows would fail PAWS at the peer.
    const clock = (Math.floor(made.now / 1000) + connection.tcb.timestamps.offset) | 0;
    const age = (clock - timestampOf(synAck)) | 0;
    assert(age >= 0 && age < 64, `${age} ms old`);
  }
});

Deno.test("without timestamps neither SACK nor window scale nor ECN is agreed on in a cookie", () => {
  const made = bench(2);
  made.listener(80);
  const [synAck] = fromClient(made, { flags: "SEW", mss: 1460, windowScale: 7, sackPermitted: true });
  assertFrame(synAck, flags("S."), optionKinds(2));
});

Deno.test("a cookie is good for the minute it was made in and the next", () => {
  for (
    const [age, isGood] of [[0, true], [MINUTE, true], [2 * MINUTE, false], [300 * MINUTE, false]] as const
  ) {
    const made = bench(2);
    const listener = made.listener(80);
    const synAck = only(fromClient(made, { flags: "S", seq: 99 }));
    made.pass(age);
    made.learnPeer(GATEWAY);
    // Another peer is answered meanwhile: the listener is still one that sends cookies.
    fromClient(made, { source: "192.0.2.8", flags: "S" });
    const answers = fromClient(made, { seq: 100, ack: synAck.tcp!.seq + 1 });
    assertEquals(made.stack.accept(listener) >= 0, isGood, `after ${age} us`);
    if (!isGood) assertFrame(answers[0], flags("R"));
    assertEquals(made.stack.counters.tcpSynCookiesFailed, isGood ? 0 : 1);
  }
});

Deno.test("who acknowledges what is no cookie, or another's, is reset", () => {
  const made = bench(2);
  const listener = made.listener(80);
  const cookie = only(fromClient(made, { flags: "S", seq: 99 })).tcp!.seq;
  const forged = { seq: 100, ack: cookie + 1 };
  const wrong: Fields[] = [
    { ...forged, ack: cookie + 5 },
    { ...forged, ack: (cookie + 1) ^ 0x800 },
    { ...forged, seq: 101 },
    { ...forged, source: "192.0.2.8" },
    { ...forged, sourcePort: 1001 },
  ];
  for (const fields of wrong) assertFrame(fromClient(made, fields)[0], flags("R"));
  assertEquals(made.stack.accept(listener), -EAGAIN);
  assertEquals(made.stack.counters.tcpSynCookiesFailed, wrong.length);
  assertEquals([...made.stack.connections()].length, 0);
  fromClient(made, forged);
  expect(made.stack.accept(listener));
});

Deno.test("guessing does not pay: of 100,000 random ACKs hardly any is taken for a cookie", () => {
  const made = bench(2);
  made.listener(80, 4096);
  fromClient(made, { flags: "S", seq: 99 });
  let state = 1;
  for (let i = 0; i < 100_000; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    made.feed(tcpFrame({
      source: CLIENT,
      destination: OURS,
      sourcePort: 1000 + (i & 0xfff),
      destinationPort: 80,
      flags: ".",
      seq: 100,
      ack: state,
    }));
    if ((i & 0xff) === 0) made.drain();
  }
  // Two minutes of 256, and 4 of 2^24 numbers: one of 2^29.
  assertEquals(made.stack.counters.tcpSynCookiesReceived, 0);
});

Deno.test("a listener that needed no cookie lately takes none", () => {
  const made = bench(1);
  const listener = made.listener(80, 0);
  fromClient(made, { source: "192.0.2.9", flags: "S" });
  const synAck = only(fromClient(made, { flags: "S", seq: 99 }));
  assertEquals(made.stack.counters.tcpSynCookiesSent, 1);
  made.pass(2 * MINUTE + 1);
  made.learnPeer(GATEWAY);
  assertFrame(fromClient(made, { seq: 100, ack: synAck.tcp!.seq + 1 })[0], flags("R"));
  assertEquals(made.stack.counters.tcpSynCookiesFailed, 0, "it is not even looked at");
  assertEquals(made.stack.accept(listener), -EAGAIN);
});

Deno.test("data that comes in the place of a lost ACK opens the connection of a cookie too", () => {
  const made = bench(2);
  const listener = made.listener(80);
  const synAck = only(fromClient(made, { flags: "S", seq: 99 }));
  const there = { seq: 100, ack: synAck.tcp!.seq + 1 };
  assertFrame(fromClient(made, { ...there, flags: "P.", payload: "hello" })[0], flags("."), ack(105));
  assertEquals(made.stack.receive(expect(made.stack.accept(listener)), new Uint8Array(9), 0, 9, made.now), 5);
});

Deno.test("a cookie that comes back while the accept queue is full is dropped, and taken when there is room", () => {
  const made = bench(2);
  const listener = made.listener(80, 0);
  const late = only(fromClient(made, { flags: "S", seq: 99, sourcePort: 2000 }));
  const lastAck = { seq: 100, ack: late.tcp!.seq + 1, sourcePort: 2000 };
  const synAck = only(fromClient(made, { flags: "S", seq: 99 }));
  fromClient(made, { seq: 100, ack: synAck.tcp!.seq + 1 });
  assertEquals(fromClient(made, lastAck), []);
  assertEquals(fromClient(made, { flags: "S", sourcePort: 2001 }), [], "and so are SYNs");
  assertEquals(made.drops, { tcpBacklogFull: 2 });
  expect(made.stack.accept(listener));
  fromClient(made, lastAck);
  expect(made.stack.accept(listener));
});

Deno.test("the timers of a connection from a cookie run: unanswered data is sent again", () => {
  const made = bench(2);
  const { handle } = openWithCookie(made, made.listener(80), { mss: 1460 });
  made.stack.send(handle, new Uint8Array(5), 0, 5, made.now);
  assertEquals(made.pass(0).length, 1);
  // No round trip was measured: the timeout is that after a lost SYN (RFC 6298 5.7).
  assertEquals(made.pass(2_900_000).length, 0);
  assertEquals(made.pass(200_000).length, 1);
});

Deno.test("100,000 SYNs from random addresses: honest clients get in, before, amid and after, and memory is bounded", () => {
  const made = bench(1);
  const listener = made.listener(80, 128);
  let state = 7;
  const random = () => (state = (Math.imul(state, 1664525) + 1013904223) | 0);
  const stranger = () => {
    // 11.x.y.z: no address that is refused for what it is.
    const address = 0x0b000000 | (random() >>> 8);
    return { source: formatIp(address), sourcePort: 1 + (random() >>> 17), seq: random() };
  };
  let served = 0;
  for (let i = 0; i < 100_000; i++) {
    made.feed(tcpFrame({ ...stranger(), destination: OURS, destinationPort: 80, flags: "S", mss: 1460 }));
    made.now += 100;
    if (i % 100 === 99) made.pass(0);
    if (i % 20_000 === 10_000) {
      const client = {
        sourcePort: 3000 + i % 7 + i / 10_000,
        mss: 1460,
        timestamps: [5000, 0] as [number, number],
      };
      const [bytes] = fromClient(made, { flags: "S", seq: 99, ...client }).slice(-1);
      const synAck = decode(bytes);
      made.pass(50_000);
      fromClient(made, {
        ...client,
        seq: 100,
        ack: synAck.tcp!.seq + 1,
        timestamps: [5050, timestampOf(synAck)],
      });
      made.stack.close(expect(made.stack.accept(listener)), made.now);
      served++;
    }
    if (i % 10_000 === 0) {
      made.input(arpFrame({ operation: 1, senderIp: GATEWAY, targetIp: OURS }));
      assert([...made.stack.connections()].length <= 129 + 5);
      assertEquals(made.stack.bufferedBytes < 8 << 20, true, `${made.stack.bufferedBytes} bytes`);
    }
  }
  assertEquals(served, 5);
  assert(made.stack.counters.tcpSynCookiesSent > 90_000);
  assertEquals(made.stack.counters.tcpSynCookiesFailed, 0);
  // When it is over, the half-open connections end and SYNs are remembered again.
  made.pass(200e6);
  made.learnPeer(GATEWAY);
  const sent = made.stack.counters.tcpSynCookiesSent;
  fromClient(made, { flags: "S", seq: 99, sourcePort: 4000 });
  assertEquals(made.stack.counters.tcpSynCookiesSent, sent);
});
