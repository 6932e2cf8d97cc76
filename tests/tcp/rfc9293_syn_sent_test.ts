/** RFC 9293 3.10.7.3, SYN-SENT: every combination of SYN, ACK and RST with a good or a bad acknowledgment. */
import { assertEquals } from "@std/assert";
import { ECONNREFUSED, ETIMEDOUT } from "../../lib/errno.ts";
import { Bench } from "./segments.ts";

/** Segment, what it is answered with, the state after it, the error. */
const TABLE: [string, string[], string, number][] = [
  // first, check the ACK bit: SEG.ACK =< ISS or SEG.ACK > SND.NXT -> reset, unless RST
  [". 0:0(0) ack 0", ["R 0:0(0)"], "SYN-SENT", 0],
  [". 0:0(0) ack 2", ["R 2:2(0)"], "SYN-SENT", 0],
  [". 0:0(0) ack -5", ["R -5:-5(0)"], "SYN-SENT", 0],
  ["S. 0:0(0) ack 0", ["R 0:0(0)"], "SYN-SENT", 0],
  ["S. 0:0(0) ack 2", ["R 2:2(0)"], "SYN-SENT", 0],
  ["F. 0:0(0) ack 2", ["R 2:2(0)"], "SYN-SENT", 0],
  ["R. 0:0(0) ack 0", [], "SYN-SENT", 0],
  ["R. 0:0(0) ack 2", [], "SYN-SENT", 0],
  ["SR. 0:0(0) ack 2", [], "SYN-SENT", 0],
  // second, check the RST bit
  ["R. 0:0(0) ack 1", [], "CLOSED", ECONNREFUSED],
  ["R. 77777:77777(0) ack 1", [], "CLOSED", ECONNREFUSED],
  ["R 0:0(0)", [], "SYN-SENT", 0],
  ["SR 0:0(0)", [], "SYN-SENT", 0],
  // fourth, check the SYN bit
  ["S. 0:0(0) ack 1", [". 1:1(0) ack 1"], "ESTABLISHED", 0],
  ["S 0:0(0)", ["S. 0:0(0) ack 1"], "SYN-RECEIVED", 0],
  // fifth: neither SYN nor RST: drop
  [". 0:0(0) ack 1", [], "SYN-SENT", 0],
  ["P. 1:101(100) ack 1", [], "SYN-SENT", 0],
  ["F 1:1(0)", [], "SYN-SENT", 0],
  ["- 0:0(0)", [], "SYN-SENT", 0],
];

for (const [segment, answer, state, error] of TABLE) {
  Deno.test(`SYN-SENT, ${segment} -> ${state} ${answer}`, () => {
    const b = new Bench().connect().clear();
    b.arrives(segment).expect(...answer);
    assertEquals([b.state, b.tcb.error], [state, error]);
  });
}

Deno.test("data that comes with the SYN-ACK is kept (RFC 9293 3.10.7.3, fourth)", () => {
  const b = new Bench().connect().clear();
  b.arrives("S. 0:100(100) ack 1").expect(". 1:1(0) ack 101");
  assertEquals([b.state, b.read()], ["ESTABLISHED", 100]);
});

Deno.test("a SYN-ACK with FIN closes at once", () => {
  const b = new Bench().connect().clear();
  b.arrives("SF. 0:0(0) ack 1");
  assertEquals([b.state, b.last!.text, b.read()], ["CLOSE-WAIT", ". 1:1(0) ack 2", 0]);
});

Deno.test("a reset for a half-open peer's old ACK lets the connection be made (RFC 9293 3.5.1, figure 9)", () => {
  const b = new Bench().connect().clear();
  b.arrives(". 300:300(0) ack 100").expect("R 100:100(0)");
  b.pass(1e6).expect("S 0:0(0)");
  b.arrives("S. 0:0(0) ack 1").expect(". 1:1(0) ack 1");
  assertEquals(b.state, "ESTABLISHED");
});

Deno.test("the SYN is sent again after 1, 3, 7, ... s; after tcp_syn_retries more ETIMEDOUT", () => {
  const b = new Bench().connect();
  const start = b.now;
  b.pass(300e6);
  const times = b.sent.map(({ atUs }) => (atUs - start) / 1e6);
  assertEquals(times, [0, 1, 3, 7, 15, 31, 63]);
  assertEquals(b.sent.every(({ text }) => text === "S 0:0(0)"), true);
  assertEquals([b.state, b.tcb.error, b.tcb.deadline], ["CLOSED", ETIMEDOUT, Infinity]);
});

Deno.test("ETIMEDOUT comes 127 s after the first SYN, as on Linux", () => {
  const b = new Bench().connect().pass(127e6 - 1);
  assertEquals(b.state, "SYN-SENT");
  b.pass(1);
  assertEquals(b.state, "CLOSED");
});

Deno.test("TCP_SYNCNT limits the SYNs", () => {
  const b = new Bench();
  assertEquals(b.option(6, 7, 2), 0);
  b.connect().pass(100e6).expect("S 0:0(0)", "S 0:0(0)", "S 0:0(0)");
  assertEquals(b.tcb.error, ETIMEDOUT);
});

Deno.test("SYN-RECEIVED: the SYN-ACK is sent again, five times, then the connection is forgotten", () => {
  const b = new Bench().listen();
  const start = b.now;
  b.pass(100e6);
  assertEquals(b.sent.map(({ atUs }) => (atUs - start) / 1e6), [0, 1, 3, 7, 15, 31]);
  assertEquals([b.state, b.tcb.deadline], ["CLOSED", Infinity]);
});

Deno.test("SYN-RECEIVED: the peer's repeated SYN gets the SYN-ACK again", () => {
  const b = new Bench().listen().clear();
  b.pass(500_000).arrives("S 0:0(0)").expect("S. 0:0(0) ack 1");
  b.arrives(". 1:1(0) ack 1");
  assertEquals(b.state, "ESTABLISHED");
});

Deno.test("the SYN says what the settings say", () => {
  const all = new Bench({ timestamps: true, windowScaling: true, ecn: 1, mss: 1460 }).connect().last!.header;
  assertEquals([all.mss, all.sackPermitted, all.timestamps, all.windowScale], [1460, true, true, 7]);
  assertEquals(all.flags, 2 | 64 | 128);
  const none = new Bench({ sack: false, ecn: 0 }).connect().last!.header;
  assertEquals([none.mss, none.sackPermitted, none.timestamps, none.windowScale], [1000, false, false, -1]);
  assertEquals(none.flags, 2);
});

Deno.test("the SYN-ACK offers only what the SYN offered", () => {
  const settings = { timestamps: true, windowScaling: true };
  const b = new Bench(settings, { sack: false }).listen();
  const { header } = b.last!;
  assertEquals([header.sackPermitted, header.timestamps, header.windowScale], [false, false, -1]);
  const c = new Bench(settings, { timestamps: true, windowScale: 3 }).listen();
  assertEquals([c.last!.header.sackPermitted, c.last!.header.timestamps, c.last!.header.windowScale], [
    true,
    true,
    7,
  ]);
});

Deno.test("without the MSS option 536 bytes are the most (RFC 9293 3.7.1, MUST-15)", () => {
  const b = Bench.open({}, { mss: 0 });
  b.write(1000);
  b.expect(". 1:537(536) ack 1", "P. 537:1001(464) ack 1");
});
