/** RFC 3168: explicit congestion notification. */
import { assert, assertEquals } from "@std/assert";
import { CaState } from "../../lib/tcp/state.ts";
import { CWR, ECE } from "../../lib/wire/tcp.ts";
import { Bench } from "./segments.ts";

const MS = 1000;
const ECT0 = 2;
const CE = 3;
const SYN = 2;

/** Both sides agreed on ECN. */
function opened(settings = {}): Bench {
  const b = new Bench({ ecn: 1, congestion: "reno", ...settings }).connect().pass(100 * MS);
  b.arrives("SE. 0:0(0) ack 1").clear();
  assertEquals(b.tcb.options.ecn, true);
  return b;
}

Deno.test("6.1.1: a SYN asks with ECE and CWR, a SYN-ACK agrees with ECE alone", () => {
  const b = new Bench({ ecn: 1 }).connect();
  assertEquals(b.last!.header.flags, SYN | ECE | CWR);
  const c = new Bench({ ecn: 2 }).listen("SEW 0:0(0)");
  assertEquals(c.last!.header.flags & (ECE | CWR), ECE);
  assertEquals(c.tcb.options.ecn, true);
});

Deno.test("6.1.1: no ECN when one side does not want it, or answers with both bits", () => {
  const flags = (b: Bench) => [b.last!.header.flags & (ECE | CWR), b.tcb.options.ecn];
  assertEquals(flags(new Bench({ ecn: 2 }).connect()), [0, false]);
  assertEquals(flags(new Bench({ ecn: 0 }).listen("SEW 0:0(0)")), [0, false]);
  assertEquals(flags(new Bench({ ecn: 2 }).listen()), [0, false]);
  assertEquals(new Bench({ ecn: 1 }).connect().arrives("S. 0:0(0) ack 1").tcb.options.ecn, false);
  assertEquals(new Bench({ ecn: 1 }).connect().arrives("SEW. 0:0(0) ack 1").tcb.options.ecn, false);
});

Deno.test("6.1.1: a SYN that got no answer is repeated without ECN (Linux's fallback)", () => {
  const b = new Bench({ ecn: 1 }).connect().clear().pass(1100 * MS);
  assertEquals(b.sent[0].header.flags & (ECE | CWR), 0);
});

Deno.test("6.1.4, 6.1.5: SYN, pure ACKs and retransmissions are not ECN-capable, new data is", () => {
  const b = opened({ tailLossProbe: false });
  b.write(1000);
  assertEquals(b.last!.header.ecn, ECT0);
  b.pass(350 * MS);
  assertEquals([b.last!.text, b.last!.header.ecn], ["P. 1:1001(1000) ack 1", 0]);
  b.arrives("P. 1:101(100) ack 1001").pass(300 * MS);
  assertEquals([b.last!.text.slice(0, 2), b.last!.header.ecn], [". ", 0]);
});

Deno.test("6.1.3: CE is echoed in every ACK until CWR, at once", () => {
  const b = opened();
  b.arrives("P. 1:101(100) ack 1", (h) => h.ecn = CE).expect("E. 1:1(0) ack 101".replace("E.", ".E"));
  b.arrives("P. 101:201(100) ack 1", (h) => h.ecn = ECT0).pass(300 * MS);
  assertEquals(b.last!.header.flags & ECE, ECE);
  b.arrives("PW. 201:301(100) ack 1", (h) => h.ecn = ECT0).pass(300 * MS);
  assertEquals(b.last!.header.flags & ECE, 0);
});

Deno.test("6.1.3: CE on the segment that carries CWR is a new one", () => {
  const b = opened();
  b.arrives("P. 1:101(100) ack 1", (h) => h.ecn = CE);
  b.arrives("PW. 101:201(100) ack 1", (h) => h.ecn = CE).pass(300 * MS);
  assertEquals(b.last!.header.flags & ECE, ECE);
});

Deno.test("6.1.2: ECE halves the window once a round trip, and CWR says so once", () => {
  const b = opened();
  b.write(60_000);
  assertEquals(b.sent.length, 10);
  b.clear().pass(100 * MS);
  for (let i = 1; i <= 10; i++) b.arrives(`E. 1:1(0) ack ${i * 1000 + 1}`);
  assertEquals([b.tcb.ssthresh, b.tcb.recovery.caState], [5, CaState.CWR]);
  const cwr = b.sent.filter(({ header }) => (header.flags & CWR) !== 0);
  assertEquals(cwr.length, 1);
  assertEquals(cwr[0].header.ecn, ECT0);
  assertEquals(b.tcb.totals.retransmitted, 0);
  assert(b.tcb.cwnd <= 6, `${b.tcb.cwnd}`);
  b.pass(100 * MS).arrives(`. 1:1(0) ack ${(b.tcb.snd.nxt - b.iss) | 0}`);
  b.pass(100 * MS).arrives(`. 1:1(0) ack ${(b.tcb.snd.nxt - b.iss) | 0}`);
  assertEquals(b.tcb.recovery.caState, CaState.OPEN);
});

Deno.test("without the agreement neither CE nor ECE means anything", () => {
  const b = Bench.open({ ecn: 0 });
  b.arrives("P. 1:101(100) ack 1", (h) => h.ecn = CE);
  assertEquals(b.last!.header.flags & ECE, 0);
  b.write(5000);
  assertEquals(b.last!.header.ecn, 0);
  b.arrives("E. 101:101(0) ack 1001");
  assertEquals(b.tcb.recovery.caState, CaState.OPEN);
});
