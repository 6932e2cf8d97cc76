/** RFC 9768: Accurate ECN. */
import { assert, assertEquals } from "@std/assert";
import { OPTION_FIELDS } from "../../lib/tcp/accurate_ecn.ts";
import { info } from "../../lib/tcp/info.ts";
import { CaState } from "../../lib/tcp/state.ts";
import { linuxSysctl } from "../../lib/tcp/sysctl.ts";
import { receive, send } from "../../lib/tcp/user_calls.ts";
import { AE, CWR, ECE, type TcpHeader } from "../../lib/wire/tcp.ts";
import { type Flying, Pair } from "./pair.ts";
import { Bench } from "./segments.ts";

const MS = 1000;
const [NOT_ECT, ECT1, ECT0, CE] = [0, 1, 2, 3];
const ACE = AE | CWR | ECE;

/** The ACE field, as a number. */
const ace = (header: TcpHeader) => (header.flags & ACE) >> 6;
const lastAce = (b: Bench) => ace(b.last!.header);

/** Changes for `arrives`: the codepoint it came with, the ACE field, and the option's counters e1b, ceb, e0b. */
function marked(codepoint: number, field?: number, counters?: number[]) {
  return (header: TcpHeader) => {
    header.ecn = codepoint;
    if (field !== undefined) header.flags = (header.flags & ~ACE) | (field << 6);
    if (counters === undefined) return;
    header.accecnCount = counters.length;
    header.accecnCounters.set(counters);
  };
}

const FIRST_OPTION = [1, 0, 1];

function write(b: Bench, length: number): Bench {
  b.write(length);
  return b;
}

/** A client whose SYN-ACK agreed, with the option. */
function opened(settings = {}): Bench {
  const b = new Bench({ ecn: 3, congestion: "reno", ...settings }).connect().pass(100 * MS);
  return b.arrives("S. 0:0(0) ack 1", marked(NOT_ECT, 0b010, FIRST_OPTION)).clear();
}

/** The same for a server; `third`: the ACE field of the client's ACK. */
function accepted(settings = {}, third = 0b010): Bench {
  const b = new Bench({ ecn: 3, ...settings }).listen("SEWA 0:0(0)").pass(100 * MS);
  return b.arrives(". 1:1(0) ack 1", marked(ECT0, third, FIRST_OPTION)).clear();
}

/** The option's counters e1b, ceb and e0b of the last segment, as far as it has them; null: it has none. */
function counters(b: Bench): number[] | null {
  const { accecnCount, accecnCounters } = b.last!.header;
  return accecnCount < 0 ? null : [...accecnCounters].slice(0, accecnCount);
}

Deno.test("3.1.1: the SYN asks with all three flags, and not ECN-capable", () => {
  const { last } = new Bench({ ecn: 3 }).connect();
  assertEquals([ace(last!.header), last!.header.ecn], [0b111, NOT_ECT]);
  const flagsOf = (ecn: number) => ace(new Bench({ ecn }).connect().last!.header);
  assertEquals([0, 1, 2, 4, 5].map(flagsOf), [0, 0b011, 0, 0b011, 0]);
});

Deno.test("3.1.2, table 2: what the SYN-ACK says decides between accurate, RFC 3168 and none", () => {
  const modes = [0, 1, 2, 3, 4, 5, 6, 7].map((field) => {
    const b = new Bench({ ecn: 3 }).connect().arrives("S. 0:0(0) ack 1", marked(NOT_ECT, field));
    return info(b.tcb, b.now).tcpi_ecn_mode;
  });
  assertEquals(modes, [0, 1, 2, 2, 2, 2, 2, 0]);
});

Deno.test("3.1.2: a server takes every SYN as an offer but that without flags and RFC 3168's", () => {
  const mode = (ecn: number, field: number) => {
    const b = new Bench({ ecn }).listen("S 0:0(0)", marked(NOT_ECT, field));
    return [info(b.tcb, b.now).tcpi_ecn_mode, lastAce(b)];
  };
  assertEquals([0, 1, 3, 4, 7].map((field) => mode(3, field)), [[0, 0], [2, 2], [1, 1], [2, 2], [2, 2]]);
  // Who knows only RFC 3168 sees its bits in all three.
  assertEquals([1, 2, 0].map((ecn) => mode(ecn, 7)), [[1, 1], [1, 1], [0, 0]]);
});

Deno.test("3.1.1, table 2: the SYN-ACK tells how the SYN arrived, and carries the option the first time", () => {
  const fields = [NOT_ECT, ECT1, ECT0, CE].map((codepoint) => {
    const b = new Bench({ ecn: 3 }).listen("SEWA 0:0(0)", (header) => header.ecn = codepoint);
    assertEquals([counters(b), b.last!.header.ecn], [FIRST_OPTION, NOT_ECT]);
    return lastAce(b);
  });
  assertEquals(fields, [0b010, 0b011, 0b100, 0b110]);
});

Deno.test("3.2.2.1, table 3: the client's ACK tells how the SYN-ACK arrived; the next segment counts", () => {
  for (const [codepoint, field, count] of [[NOT_ECT, 2, 5], [ECT1, 3, 5], [ECT0, 4, 5], [CE, 6, 6]]) {
    const b = new Bench({ ecn: 3 }).connect().pass(100 * MS);
    b.arrives("S. 0:0(0) ack 1", marked(codepoint, 0b010, FIRST_OPTION));
    assertEquals([lastAce(b), b.last!.header.ecn], [field, ECT0]);
    b.write(100);
    assertEquals(lastAce(b), count);
  }
});

Deno.test("3.1.4.1: the SYN asks once more when repeated, then no more; a late agreement counts all the same", () => {
  const b = new Bench({ ecn: 3 }).connect().clear().pass(8000 * MS);
  assertEquals(b.sent.map(({ header }) => ace(header)), [0b111, 0, 0]);
  b.arrives("S. 0:0(0) ack 1", marked(NOT_ECT, 0b010));
  assert(b.tcb.accurateEcn !== null);
});

Deno.test("3.2.3.2.2, 3.1.5: a repeated SYN-ACK has no option, the next no flags, and then nothing is ECN-capable", () => {
  const b = new Bench({ ecn: 3 }).listen("SEWA 0:0(0)").clear().pass(4000 * MS);
  const sent = b.sent.map(({ header }) => [ace(header), header.accecnCount]);
  assertEquals(sent, [[0b010, -1], [0, -1]]);
  write(b.arrives(". 1:1(0) ack 1", marked(ECT0, 0b010, FIRST_OPTION)), 100);
  assertEquals([b.last!.header.ecn, lastAce(b)], [NOT_ECT, 5]);
});

Deno.test("3.1.5: the latest SYN counts; one without the offer forbids ECT, not feedback", () => {
  const b = new Bench({ ecn: 3 }).listen("SEWA 0:0(0)", marked(ECT0)).pass(1000 * MS);
  b.pass(100 * MS).arrives("S 0:0(0)", marked(NOT_ECT, 0));
  assertEquals(lastAce(b), 0b010);
  write(b.arrives(". 1:1(0) ack 1", marked(NOT_ECT, 0b010)), 100);
  assertEquals([b.last!.header.ecn, lastAce(b)], [NOT_ECT, 5]);
});

Deno.test("3.1.5: a SYN-ACK that comes again is answered with how it arrived this time", () => {
  const b = opened();
  b.arrives("S. 0:0(0) ack 1", marked(CE, 0b010)).expect(".WA 1:1(0) ack 1");
  b.write(100);
  assertEquals(lastAce(b), 5);
  // Somebody else's tells nothing: the challenge ACK (RFC 5961 4.2) counts.
  b.pass(1000 * MS).arrives("S. 5:5(0) ack 1", marked(CE, 0b010));
  assertEquals([lastAce(b), b.last!.payload.length], [5, 0]);
});

Deno.test("3.2.2.4: an ACE field of zero where it cannot be zero: nothing is ECN-capable, no mark is believed", () => {
  const b = accepted({}, 0);
  b.write(1000);
  assertEquals(b.last!.header.ecn, NOT_ECT);
  b.arrives(". 1:1(0) ack 1001", marked(ECT0, 7));
  assertEquals([b.tcb.recovery.caState, b.tcb.recovery.deliveredCe], [CaState.OPEN, 0]);
  const c = opened();
  c.write(1000);
  write(c.arrives(". 1:1(0) ack 1001", marked(ECT0, 0)), 1000);
  assertEquals([c.last!.header.ecn, c.tcb.recovery.deliveredCe], [NOT_ECT, 0]);
});

Deno.test("3.2.2.3: a SYN-ACK that left as Not-ECT and arrived as ECT: the network changes codepoints", () => {
  assertEquals([0b010, 0b100, 0b001].map((third) => write(accepted({}, third), 100).last!.header.ecn), [
    ...[ECT0, NOT_ECT, ECT0],
  ]);
  // Linux's tcp_ecn_fallback=0: nothing is given up.
  const off = linuxSysctl("net.ipv4.tcp_ecn_fallback", "0")!;
  assertEquals(write(accepted(off, 0b100), 100).last!.header.ecn, ECT0);
});

Deno.test("3.2.1: every segment with CE counts, pure ACKs too; the bytes by codepoint", () => {
  const b = opened();
  b.arrives("P. 1:101(100) ack 1", marked(CE, 5));
  assertEquals([lastAce(b), counters(b)], [6, [1, 100, 1]]);
  b.arrives("P. 101:301(200) ack 1", marked(ECT0, 5));
  assertEquals([lastAce(b), counters(b)], [6, [1, 100, 201]]);
  b.arrives("P. 301:601(300) ack 1", marked(ECT1, 5));
  assertEquals([lastAce(b), counters(b)], [6, [301, 100, 201]]);
  write(b.arrives(". 601:601(0) ack 1", marked(CE, 5)), 10);
  assertEquals(lastAce(b), 7);
  const { tcpi_received_ce, tcpi_received_ce_bytes, tcpi_received_e0_bytes, tcpi_received_e1_bytes } = info(
    b.tcb,
    b.now,
  );
  assertEquals([tcpi_received_ce, tcpi_received_ce_bytes], [2, 100]);
  assertEquals([tcpi_received_e0_bytes, tcpi_received_e1_bytes], [200, 300]);
});

Deno.test("3.2.2.5.1: an ACK at once when the codepoint changes, and for the second mark", () => {
  const b = opened({ quickAcks: 0 });
  b.arrives("P. 1:101(100) ack 1", marked(ECT0, 5)).pass(500 * MS).clear();
  b.arrives("P. 101:201(100) ack 1", marked(ECT0, 5)).expect();
  b.arrives("P. 201:301(100) ack 1", marked(CE, 5)).expect(".WA 1:1(0) ack 301");
  b.arrives("P. 301:401(100) ack 1", marked(CE, 5)).expect();
  b.arrives("P. 401:501(100) ack 1", marked(CE, 5)).expect(". 1:1(0) ack 501");
});

Deno.test("3.2.2.5.1: pure ACKs with CE are answered too, but only every third", () => {
  const b = opened();
  for (let i = 0; i < 2; i++) b.arrives(". 1:1(0) ack 1", marked(CE, 5));
  b.expect().arrives(". 1:1(0) ack 1", marked(CE, 5));
  assertEquals([b.sent.length, lastAce(b)], [1, 0]);
});

Deno.test("3.1.5: retransmissions and pure ACKs are ECN-capable", () => {
  const b = opened({ tailLossProbe: false });
  b.write(1000);
  b.clear().pass(350 * MS);
  assertEquals([b.last!.text, b.last!.header.ecn], [
    ".EA 1:989(988) ack 1",
    ECT0,
  ]);
  b.arrives("P. 1:101(100) ack 1001", marked(ECT0, 5)).pass(300 * MS);
  assertEquals([b.last!.payload.length, b.last!.header.ecn], [0, ECT0]);
});

Deno.test("the option takes its room from the data, and every full segment has the same size", () => {
  const b = opened();
  b.write(3000);
  assertEquals(b.sent.map(({ payload }) => payload.length), [988, 988, 988, 36]);
  const c = opened({ ecnOption: 0 });
  c.write(3000);
  assertEquals(c.sent.map(({ payload, header }) => [payload.length, header.accecnCount]), [
    ...[[1000, -1], [1000, -1], [1000, -1]],
  ]);
});

Deno.test("more CE marks reduce the window, once a round trip", () => {
  const b = opened({ ecnOption: 0 });
  b.write(60_000);
  b.clear().pass(100 * MS);
  for (let i = 1; i <= 10; i++) {
    b.arrives(`. 1:1(0) ack ${i * 1000 + 1}`, marked(ECT0, (5 + Math.min(i, 4)) & 7));
  }
  assertEquals([b.tcb.ssthresh, b.tcb.recovery.caState, b.tcb.recovery.deliveredCe], [5, CaState.CWR, 4]);
  assertEquals(b.tcb.totals.retransmitted, 0);
  // Not RFC 3168's: the bit is the count's.
  assert(b.sent.every(({ header }) => ace(header) === 5));
});

Deno.test("3.2.2.5.2: an ACK that shows no progress tells nothing new", () => {
  const b = opened();
  b.write(1000);
  b.arrives(". 1:1(0) ack 1", marked(ECT0, 6));
  assertEquals(b.tcb.recovery.deliveredCe, 0);
  b.arrives(". 1:1(0) ack 1001", marked(ECT0, 6));
  assertEquals(b.tcb.recovery.deliveredCe, 1);
});

Deno.test("bursts are not left to a device to cut while the count has CWR, which it says once (RFC 3168 6.1.2)", () => {
  const b = opened({ gsoMaxSegments: 8 });
  const sizes = () => {
    b.clear().write(4 * 988);
    return b.sent.map(({ payload }) => payload.length);
  };
  assertEquals(sizes(), [2 * 988, 2 * 988]);
  b.arrives(`. 1:1(0) ack ${4 * 988 + 1}`, marked(CE, 5));
  assertEquals([sizes(), lastAce(b)], [[988, 988, 988, 988], 0b110]);
});

/** How many marks the sender believes that 20 segments, acknowledged at once, had. */
function marksOfLargeAck(field: number, bytes: number[] | undefined): number {
  const b = opened({ ecnOption: bytes === undefined ? 0 : 2, initialWindow: 24 });
  const size = bytes === undefined ? 1000 : 988;
  b.write(size);
  // ACKs of single segments first, which make no thinning path; the option shows what grows.
  b.pass(100 * MS).arrives(`. 1:1(0) ack ${size + 1}`, marked(ECT0, 5, bytes && [1, 0, size + 1])).clear();
  write(b, 20 * size).pass(100 * MS);
  b.arrives(`. 1:1(0) ack ${21 * size + 1}`, marked(ECT0, field, bytes));
  return b.tcb.recovery.deliveredCe;
}

Deno.test("3.2.2.5.2, A.2: an ACK for more segments than the field can count: the worst, or what the bytes make likely", () => {
  assertEquals(marksOfLargeAck(5, undefined), 16);
  assertEquals(marksOfLargeAck(7, undefined), 18);
  assertEquals(marksOfLargeAck(7, [1, 2 * 988, 19 * 988 + 1]), 2);
  assertEquals(marksOfLargeAck(7, [1, 10 * 988, 11 * 988 + 1]), 10);
  assertEquals(marksOfLargeAck(7, [1, 18 * 988, 3 * 988 + 1]), 18);
});

Deno.test("3.2.3.3: SACK blocks and the option share 40 bytes; blocks beyond two give way to counters that are needed", () => {
  const b = opened();
  const shape = () => [counters(b)?.length ?? -1, b.last!.header.sackCount];
  const shapes = [1, 3, 5, 7].map((i) => {
    b.arrives(`. ${i}001:${i + 1}001(1000) ack 1`, marked(ECT1, 5));
    return shape();
  });
  assertEquals(shapes, [[3, 1], [3, 2], [3, 3], [1, 4]]);
  b.arrives(". 9001:10001(1000) ack 1", marked(CE, 5));
  assertEquals(shape(), [3, 3]);
});

Deno.test("3.2.3.2.2: repetitions although a D-SACK told of the first: the option seems to get lost with its ACKs", () => {
  const b = opened();
  const again = () => b.arrives("P. 1:101(100) ack 1", marked(ECT0, 5));
  assert(counters(again()) !== null && counters(again()) !== null);
  assertEquals([counters(again()), counters(b.arrives("P. 101:201(100) ack 1", marked(ECT0, 5)))], [
    null,
    null,
  ]);
});

Deno.test("3.2.3.2.4: an option of zeros comes from a middlebox and is not believed", () => {
  const b = new Bench({ ecn: 3 }).connect().arrives("S. 0:0(0) ack 1", marked(NOT_ECT, 0b010, [0, 0, 0]));
  b.write(100);
  b.arrives(". 1:1(0) ack 101", marked(ECT0, 5, [1, 100, 1]));
  const { tcpi_accecn_opt_seen, tcpi_accecn_fail_mode, tcpi_delivered_ce_bytes } = info(b.tcb, b.now);
  assertEquals([tcpi_accecn_opt_seen, tcpi_accecn_fail_mode, tcpi_delivered_ce_bytes], [3, 8, 0]);
});

Deno.test("tcp_ecn_option=1: the option goes when something changed, and as a beacon", () => {
  const b = opened({ ecnOption: 1, ecnOptionBeacon: 0 });
  b.tcb.user.noDelay = true;
  const sizes = [1, 2, 3, 4].map(() => counters(write(b, 10))?.length ?? -1);
  assertEquals(sizes, [3, -1, -1, -1]);
  b.arrives(". 1:1(0) ack 1", marked(CE, 5));
  assertEquals([counters(write(b, 10))?.length, counters(write(b, 10))?.length, counters(write(b, 10))], [
    3,
    3,
    null,
  ]);
  const c = opened({ ecnOption: 1, ecnOptionBeacon: 1 });
  c.tcb.user.noDelay = true;
  assertEquals([counters(write(c, 10))?.length, counters(write(c, 10))], [3, null]);
  assertEquals(counters(write(c.pass(100 * MS), 10))?.length, 3);
});

Deno.test("a whole transfer over a link that marks: both sides count the same, and the sender slows down without loss", () => {
  const pair = new Pair({ ecn: 3 });
  let data = 0;
  pair.lose = ({ to, header, payload }: Flying) => {
    if (to === pair.server && payload.length > 0 && ++data % 50 === 0) header.ecn = CE;
    return false;
  };
  const { client, server } = pair;
  pair.connect();
  const chunk = new Uint8Array(100_000);
  for (let sent = 0; sent < 2_000_000;) {
    const n = send(client.tcb, chunk, 0, chunk.length, pair.now);
    if (n > 0) sent += n;
    pair.step();
    receive(server.tcb, chunk, 0, chunk.length, pair.now);
  }
  while (client.tcb.queue.packetsOut > 0) pair.step();
  const [there, here] = [server.tcb.accurateEcn!, client.tcb.accurateEcn!];
  assert(there.receivedCe > 20, `${there.receivedCe}`);
  assertEquals(client.tcb.recovery.deliveredCe, there.receivedCe);
  for (const codepoint of OPTION_FIELDS[1]) {
    assertEquals(here.deliveredBytes[codepoint], there.receivedBytes[codepoint], `${codepoint}`);
  }
  assertEquals(client.tcb.totals.retransmitted, 0);
  assert(client.tcb.ssthresh < 1000, `${client.tcb.ssthresh}`);
});
