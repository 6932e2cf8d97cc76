/** RFC 2018, RFC 2883: what a receiver reports; RFC 6675: what a sender makes of it. */
import { assert, assertEquals } from "@std/assert";
import { LOST, RETRANSMITTED, SACKED } from "../../lib/tcp/retransmit_queue.ts";
import { Bench } from "./segments.ts";

const ack = (b: Bench) => b.last!.text.replace(/^. 1:1\(0\) /, "");

Deno.test("2018 4: the first block is the one that was just extended", () => {
  const b = Bench.accept();
  b.arrives(". 2001:3001(1000) ack 1");
  assertEquals(ack(b), "ack 1 sack 2001-3001");
  b.arrives(". 4001:5001(1000) ack 1");
  assertEquals(ack(b), "ack 1 sack 4001-5001 2001-3001");
  b.arrives(". 6001:7001(1000) ack 1");
  assertEquals(ack(b), "ack 1 sack 6001-7001 4001-5001 2001-3001");
  b.arrives(". 3001:4001(1000) ack 1");
  assertEquals(ack(b), "ack 1 sack 2001-5001 6001-7001");
});

Deno.test("2018 4: at most four blocks, three beside timestamps; the oldest is left out", () => {
  const send = (b: Bench) => {
    for (let i = 0; i < 6; i++) b.arrives(`. ${2001 + i * 2000}:${3001 + i * 2000}(1000) ack 1`);
    return b;
  };
  assertEquals(ack(send(Bench.accept())), "ack 1 sack 12001-13001 10001-11001 8001-9001 6001-7001");
  const withTimestamps = send(Bench.accept({ timestamps: true }, { timestamps: true }));
  assertEquals(ack(withTimestamps), "ack 1 sack 12001-13001 10001-11001 8001-9001");
});

Deno.test("2018 4: a filled gap drops its block, and the ACK goes at once", () => {
  const b = Bench.accept().arrives(". 1001:2001(1000) ack 1").arrives(". 3001:4001(1000) ack 1").clear();
  b.arrives(". 1:1001(1000) ack 1").expect(". 1:1(0) ack 2001 sack 3001-4001");
  b.arrives(". 2001:3001(1000) ack 1").expect(". 1:1(0) ack 4001");
});

Deno.test("2018 2: no blocks without the peer's SACK-permitted", () => {
  const b = Bench.accept({}, { sack: false });
  b.arrives(". 1001:2001(1000) ack 1").arrives(". 1001:2001(1000) ack 1");
  assertEquals(ack(b), "ack 1");
});

Deno.test("2018 3: data that is sent while blocks are owed carries them, and is shorter by them", () => {
  const b = Bench.accept();
  b.arrives(". 1001:2001(1000) ack 1").arrives(". 3001:4001(1000) ack 1").clear();
  b.write(1000);
  b.expect(
    ". 1:981(980) ack 1 sack 3001-4001 1001-2001",
    "P. 981:1001(20) ack 1 sack 3001-4001 1001-2001",
  );
});

Deno.test("2883 4.1.1: a whole duplicate below the ACK", () => {
  const b = Bench.accept().arrives(". 1:1001(1000) ack 1").pass(1e6);
  b.arrives(". 1:1001(1000) ack 1");
  assertEquals(ack(b), "ack 1001 sack 1-1001");
  b.arrives(". 1001:2001(1000) ack 1").pass(1e6);
  assertEquals(ack(b), "ack 2001", "reported once");
});

Deno.test("2883 4.1.2: a duplicate above the ACK: the D-SACK, then the block that holds it", () => {
  const b = Bench.accept().arrives(". 1001:2001(1000) ack 1").arrives(". 1001:2001(1000) ack 1");
  assertEquals(ack(b), "ack 1 sack 1001-2001 1001-2001");
});

Deno.test("2883 4.2: a partial duplicate", () => {
  const b = Bench.accept().arrives(". 1001:2001(1000) ack 1");
  b.arrives(". 1501:2501(1000) ack 1");
  assertEquals(ack(b), "ack 1 sack 1501-2001 1001-2501");
  const c = Bench.accept().arrives(". 1:1001(1000) ack 1").pass(1e6);
  c.arrives(". 501:1501(1000) ack 1");
  assertEquals(ack(c), "ack 1501 sack 501-1001");
});

Deno.test("D-SACK can be switched off", () => {
  const b = Bench.accept({ dsack: false }).arrives(". 1:1001(1000) ack 1").pass(1e6);
  b.arrives(". 1:1001(1000) ack 1");
  assertEquals(ack(b), "ack 1001");
});

/** Ten segments in flight. */
function flight(settings = {}, iss = 1000): Bench {
  const b = Bench.open(settings, {}, 100_000, iss);
  b.write(10_000);
  assertEquals(b.sent.length, 10);
  b.pass(100_000);
  return b.clear();
}

function marks(b: Bench): string {
  let text = "";
  for (let node = b.tcb.queue.head; node !== null; node = node.next) {
    const mark = (node.flags & SACKED) !== 0
      ? "s"
      : (node.flags & RETRANSMITTED) !== 0
      ? "r"
      : (node.flags & LOST) !== 0
      ? "l"
      : ".";
    text += mark.repeat(node.count);
  }
  return text;
}

Deno.test("6675 4: the scoreboard marks what blocks cover, and pipe counts what is in the network", () => {
  const b = flight();
  assertEquals(b.tcb.queue.inFlight, 10);
  b.arrives(". 1:1(0) ack 1 sack 2001-3001");
  assertEquals([marks(b).slice(0, 10), b.tcb.queue.sackedOut], ["..s.......", 1]);
  b.arrives(". 1:1(0) ack 1 sack 4001-6001 2001-3001");
  assertEquals(b.tcb.queue.sackedOut, 3);
});

Deno.test("6675 4: nonsense in SACK blocks is ignored", () => {
  const b = flight();
  for (const block of ["10001-11001", "3001-2001", "9001-10002", "5001-5001", "-5000--4000", "1-20001"]) {
    b.arrives(`. 1:1(0) ack 1 sack ${block}`);
    assertEquals([b.tcb.queue.sackedOut, b.tcb.queue.lostOut], [0, 0], block);
  }
});

Deno.test("6675 4: blocks that do not fall on segments mark only whole segments", () => {
  const b = flight().arrives(". 1:1(0) ack 1 sack 2500-5500");
  assertEquals(marks(b).slice(0, 10), "...ss.....");
});

Deno.test("6675 4.2: three segments SACKed above it: lost, and sent again", () => {
  const b = flight();
  b.arrives(". 1:1(0) ack 1 sack 1001-2001").arrives(". 1:1(0) ack 1 sack 1001-3001");
  assertEquals(b.sent.filter(({ text }) => text.includes(" 1:1001(")).length, 0);
  b.arrives(". 1:1(0) ack 1 sack 1001-4001");
  assertEquals(b.sent[0].text, ". 1:1001(1000) ack 1");
  assertEquals(marks(b)[0], "r");
});

Deno.test("6675 5: two holes, both sent again within one round trip", () => {
  const b = flight();
  b.arrives(". 1:1(0) ack 1 sack 1001-4001").arrives(". 1:1(0) ack 1 sack 5001-8001 1001-4001");
  b.arrives(". 1:1(0) ack 1 sack 5001-10001 1001-4001");
  const again = b.sent.map(({ text }) => text);
  assert(again.includes(". 1:1001(1000) ack 1"), again.join());
  assert(again.includes(". 4001:5001(1000) ack 1"), again.join());
  b.pass(100_000).arrives(". 1:1(0) ack 10001");
  assertEquals([b.tcb.queue.packetsOut, b.tcb.queue.sackedOut, b.tcb.queue.lostOut], [0, 0, 0]);
});

Deno.test("2018 8: a receiver that discards what it SACKed is survived", () => {
  const b = flight().arrives(". 1:1(0) ack 1 sack 1001-10001").pass(100_000);
  // The hole is filled, but what lay behind it is asked for again.
  b.arrives(". 1:1(0) ack 1001").clear();
  for (let i = 0; i < 200 && b.tcb.queue.packetsOut > 0; i++) {
    b.pass(200_000);
    const last = (b.tcb.snd.una - b.iss) | 0;
    b.arrives(`. 1:1(0) ack ${last + 1000}`);
  }
  assertEquals(b.tcb.queue.packetsOut, 0);
  assert(b.sent.some(({ text }) => text.includes(" 1001:2001(")), "sent again");
});

for (const base of [0x7fffffff - 4000, -1 - 4000, -4000, 0x7fffffff, -1]) {
  Deno.test(`sequence numbers that wrap at ${base >>> 0}: SACK, both sides`, () => {
    const b = flight({}, base | 0);
    b.arrives(". 1:1(0) ack 1 sack 1001-4001");
    assertEquals([b.tcb.queue.sackedOut, b.sent[0].text], [3, ". 1:1001(1000) ack 1"]);
    b.arrives(". 1:1(0) ack 10001");
    assertEquals(b.tcb.queue.packetsOut, 0);
    const c = Bench.accept({}, { iss: base | 0 });
    c.arrives(". 2001:3001(1000) ack 1").arrives(". 4001:5001(1000) ack 1");
    assertEquals(ack(c), "ack 1 sack 4001-5001 2001-3001");
    c.arrives(". 1:2001(2000) ack 1").arrives(". 3001:4001(1000) ack 1").arrives("FP. 5001:6001(1000) ack 1");
    assertEquals([c.read(), c.read(), c.state], [6000, 0, "CLOSE-WAIT"]);
  });
}
