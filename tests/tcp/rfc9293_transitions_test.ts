/** RFC 9293 3.3.2, figure 5: every state, every way into it and out of it. */
import { assertEquals } from "@std/assert";
import { ECONNREFUSED, ECONNRESET, ENOTCONN, EPIPE } from "../../lib/errno.ts";
import { EVENT_CLOSED, EVENT_CONNECTED, EVENT_FIN, State, stateName } from "../../lib/tcp/state.ts";
import { Pair } from "./pair.ts";
import { Bench } from "./segments.ts";
import { close, openActive, shutdown } from "../../lib/tcp/user_calls.ts";

const MINUTE = 60e6;

Deno.test("CLOSED -> SYN-SENT -> ESTABLISHED: active open", () => {
  const b = new Bench().connect();
  assertEquals(b.state, "SYN-SENT");
  b.expect("S 0:0(0)");
  b.arrives("S. 0:0(0) ack 1").expect(". 1:1(0) ack 1");
  assertEquals(b.state, "ESTABLISHED");
  assertEquals(b.tcb.events & EVENT_CONNECTED, EVENT_CONNECTED);
});

Deno.test("LISTEN -> SYN-RECEIVED -> ESTABLISHED: passive open", () => {
  const b = new Bench().listen();
  assertEquals(b.state, "SYN-RECEIVED");
  b.expect("S. 0:0(0) ack 1");
  b.arrives(". 1:1(0) ack 1").expect();
  assertEquals(b.state, "ESTABLISHED");
});

Deno.test("SYN-RECEIVED: the ACK of the SYN may carry data and a FIN", () => {
  const b = new Bench().listen().clear();
  b.arrives("FP. 1:101(100) ack 1");
  assertEquals(b.state, "CLOSE-WAIT");
  assertEquals(b.read(), 100);
  assertEquals(b.read(), 0);
});

Deno.test("SYN-SENT -> SYN-RECEIVED -> ESTABLISHED: simultaneous open (figure 8)", () => {
  const b = new Bench().connect().clear();
  b.arrives("S 0:0(0)").expect("S. 0:0(0) ack 1");
  assertEquals(b.state, "SYN-RECEIVED");
  // As Linux, and unlike figure 8: the SYN-ACK is acknowledged, because ours may have been lost.
  b.arrives("S. 0:0(0) ack 1").expect(". 1:1(0) ack 1 sack 0-1");
  assertEquals(b.state, "ESTABLISHED");
  assertEquals(b.write(10), 10);
  assertEquals(b.sent.at(-1)!.text, "P. 1:11(10) ack 1");
});

Deno.test("simultaneous open is acknowledged by a plain ACK as well", () => {
  const b = new Bench().connect().arrives("S 0:0(0)").clear();
  b.arrives(". 1:1(0) ack 1").expect();
  assertEquals(b.state, "ESTABLISHED");
});

Deno.test("two connections that open at once reach ESTABLISHED and carry data", () => {
  const pair = new Pair();
  openActive(pair.client.tcb, 1000, pair.now);
  openActive(pair.server.tcb, 5000, pair.now);
  pair.pass(1e6);
  assertEquals(stateName(pair.client.tcb.state), "ESTABLISHED");
  assertEquals(stateName(pair.server.tcb.state), "ESTABLISHED");
  assertEquals(pair.client.tcb.snd.una, 1001);
  assertEquals(pair.server.tcb.snd.una, 5001);
  assertEquals(pair.log.length <= 6, true, `${pair.log.length} segments`);
});

Deno.test("SYN-SENT, CLOSE -> CLOSED without a word", () => {
  const b = new Bench().connect().clear();
  b.close().expect();
  assertEquals([b.state, b.tcb.deadline], ["CLOSED", Infinity]);
  assertEquals(b.tcb.events & EVENT_CLOSED, EVENT_CLOSED);
});

Deno.test("SYN-RECEIVED, CLOSE: the FIN waits for the ACK of the SYN", () => {
  const b = new Bench().listen().clear();
  b.close().expect();
  b.arrives(". 1:1(0) ack 1").expect("F. 1:1(0) ack 1");
  assertEquals(b.state, "FIN-WAIT-1");
  b.arrives(". 1:1(0) ack 2");
  assertEquals(b.state, "FIN-WAIT-2");
});

Deno.test("SYN-RECEIVED, RST -> CLOSED: refused if we opened, reset if the peer did", () => {
  const passive = new Bench().listen().arrives("R 1:1(0)");
  assertEquals([passive.state, passive.tcb.error], ["CLOSED", ECONNRESET]);
  const active = new Bench().connect().arrives("S 0:0(0)").arrives("R 1:1(0)");
  assertEquals([active.state, active.tcb.error], ["CLOSED", ECONNREFUSED]);
});

Deno.test("SYN-RECEIVED: an ACK of something never sent is answered with a reset", () => {
  const b = new Bench().listen().clear();
  b.arrives(". 1:1(0) ack 2").expect("R 2:2(0)");
  assertEquals(b.state, "SYN-RECEIVED");
});

Deno.test("active close: FIN-WAIT-1 -> FIN-WAIT-2 -> TIME-WAIT -> CLOSED", () => {
  const b = Bench.open();
  assertEquals(b.shutdown(1), 0);
  b.expect("F. 1:1(0) ack 1");
  assertEquals(b.state, "FIN-WAIT-1");
  b.arrives(". 1:1(0) ack 2").expect();
  assertEquals(b.state, "FIN-WAIT-2");
  b.arrives("F. 1:1(0) ack 2").expect(". 2:2(0) ack 2");
  assertEquals(b.state, "TIME-WAIT");
  b.pass(MINUTE - 1);
  assertEquals(b.state, "TIME-WAIT");
  b.pass(1).expect();
  assertEquals([b.state, b.tcb.error, b.tcb.deadline], ["CLOSED", 0, Infinity]);
});

Deno.test("FIN-WAIT-1, FIN with the ACK of ours -> TIME-WAIT at once", () => {
  const b = Bench.open();
  b.shutdown(1);
  b.clear().arrives("F. 1:1(0) ack 2").expect(". 2:2(0) ack 2");
  assertEquals(b.state, "TIME-WAIT");
});

Deno.test("simultaneous close: FIN-WAIT-1 -> CLOSING -> TIME-WAIT", () => {
  const b = Bench.open();
  b.shutdown(1);
  b.clear().arrives("F. 1:1(0) ack 1").expect(". 2:2(0) ack 2");
  assertEquals(b.state, "CLOSING");
  b.arrives(". 2:2(0) ack 1");
  assertEquals(b.state, "CLOSING", "an ACK that does not cover the FIN changes nothing");
  b.arrives(". 2:2(0) ack 2").expect();
  assertEquals(b.state, "TIME-WAIT");
});

Deno.test("CLOSING: our FIN is retransmitted until it is acknowledged", () => {
  const b = Bench.open();
  b.shutdown(1);
  b.arrives("F. 1:1(0) ack 1").clear();
  b.pass(400_000).expect("F. 1:1(0) ack 2");
  b.arrives(". 2:2(0) ack 2");
  assertEquals(b.state, "TIME-WAIT");
});

Deno.test("passive close: CLOSE-WAIT -> LAST-ACK -> CLOSED", () => {
  const b = Bench.accept();
  b.arrives("F. 1:1(0) ack 1").pass(200_000).expect(". 1:1(0) ack 2");
  assertEquals(b.state, "CLOSE-WAIT");
  assertEquals(b.tcb.events & EVENT_FIN, EVENT_FIN);
  assertEquals(b.read(), 0);
  b.close().expect("F. 1:1(0) ack 2");
  assertEquals(b.state, "LAST-ACK");
  b.arrives(". 2:2(0) ack 1");
  assertEquals(b.state, "LAST-ACK");
  b.arrives(". 2:2(0) ack 2").expect();
  assertEquals([b.state, b.tcb.error, b.tcb.deadline], ["CLOSED", 0, Infinity]);
});

Deno.test("LAST-ACK: the peer's repeated FIN is acknowledged again", () => {
  const b = Bench.accept().arrives("F. 1:1(0) ack 1");
  b.close().clear();
  b.arrives("F. 1:1(0) ack 1").expect(". 2:2(0) ack 2 sack 1-2");
  assertEquals(b.state, "LAST-ACK");
});

for (const state of ["CLOSE-WAIT", "CLOSING"]) {
  Deno.test(`${state}: a repeated FIN means that our ACK was lost: again`, () => {
    const b = Bench.accept();
    if (state === "CLOSING") b.shutdown(1);
    b.arrives("F. 1:1(0) ack 1").pass(200_000).clear();
    b.arrives("F. 1:1(0) ack 1");
    assertEquals([b.state, b.sent.length, (b.last!.header.ack - 5000) | 0], [state, 1, 2]);
  });
}

Deno.test("CLOSE-WAIT: data may still be sent, and the FIN follows the last byte of it", () => {
  const b = Bench.accept().arrives("F. 1:1(0) ack 1").clear();
  b.arrives(". 2:2(0) ack 1 win 2000").clear();
  assertEquals(b.write(2500), 2500);
  b.shutdown(1);
  b.expect(". 1:1001(1000) ack 2", ". 1001:2001(1000) ack 2");
  b.arrives(". 2:2(0) ack 2001").expect("FP. 2001:2501(500) ack 2");
  b.arrives(". 2:2(0) ack 2501");
  assertEquals(b.state, "LAST-ACK");
  b.arrives(". 2:2(0) ack 2502");
  assertEquals(b.state, "CLOSED");
});

Deno.test("half-close: after our FIN the peer's data is still taken, and acknowledged", () => {
  const b = Bench.open();
  b.shutdown(1);
  b.arrives(". 1:1(0) ack 2").clear();
  b.arrives("P. 1:1001(1000) ack 2").expect(". 2:2(0) ack 1001");
  assertEquals(b.state, "FIN-WAIT-2");
  assertEquals(b.read(), 1000);
  assertEquals(b.write(1), -EPIPE);
  b.clear().arrives("FP. 1001:1101(100) ack 2").expect(". 2:2(0) ack 1102");
  assertEquals([b.state, b.read(), b.read()], ["TIME-WAIT", 100, 0]);
});

Deno.test("data and FIN in one segment; a FIN beyond a gap waits for the gap", () => {
  const b = Bench.accept();
  b.arrives("FP. 1001:1501(500) ack 1");
  assertEquals(b.state, "ESTABLISHED");
  assertEquals(b.last!.text, ". 1:1(0) ack 1 sack 1001-1501");
  b.arrives(". 1:1001(1000) ack 1");
  assertEquals(b.state, "CLOSE-WAIT");
  assertEquals(b.read(), 1500);
  assertEquals(b.read(), 0);
  b.clear().arrives("FP. 1001:1501(500) ack 1");
  assertEquals(b.last!.text, ". 1:1(0) ack 1502 sack 1001-1502", "a D-SACK for what came twice");
});

Deno.test("text after the FIN is nonsense: ignored, and acknowledged as it stands", () => {
  const b = Bench.accept().arrives("F. 1:1(0) ack 1").clear();
  b.arrives("P. 2:102(100) ack 1");
  assertEquals([b.state, b.read()], ["CLOSE-WAIT", 0]);
  assertEquals((b.last!.header.ack - 5000) | 0, 2);
});

for (
  const [how, states] of [
    ["client first", ["TIME-WAIT", "CLOSED"]],
    ["server first", ["CLOSED", "TIME-WAIT"]],
    ["at once", ["TIME-WAIT", "TIME-WAIT"]],
  ] as const
) {
  Deno.test(`two connections close, ${how}`, () => {
    const pair = new Pair();
    pair.connect();
    const [first, second] = how === "server first" ? [pair.server, pair.client] : [pair.client, pair.server];
    shutdown(first.tcb, 1, pair.now);
    if (how !== "at once") pair.pass(1e6);
    shutdown(second.tcb, 1, pair.now);
    pair.pass(1e6);
    assertEquals([stateName(pair.client.tcb.state), stateName(pair.server.tcb.state)], [...states]);
    pair.pass(MINUTE);
    assertEquals([pair.client.tcb.state, pair.server.tcb.state], [State.CLOSED, State.CLOSED]);
    assertEquals([pair.client.tcb.deadline, pair.server.tcb.deadline], [Infinity, Infinity]);
    assertEquals(pair.pool.allocated, 0);
  });
}

/** How to get a connection into each synchronized state. */
const INTO: Record<string, () => Bench> = {
  "ESTABLISHED": () => Bench.open(),
  "FIN-WAIT-1": () => {
    const b = Bench.open();
    b.shutdown(1);
    return b;
  },
  "FIN-WAIT-2": () => {
    const b = Bench.open();
    b.shutdown(1);
    return b.arrives(". 1:1(0) ack 2");
  },
  "CLOSE-WAIT": () => Bench.open().arrives("F. 1:1(0) ack 1"),
  "CLOSING": () => {
    const b = Bench.open();
    b.shutdown(1);
    return b.arrives("F. 1:1(0) ack 1");
  },
  "LAST-ACK": () => {
    const b = Bench.open().arrives("F. 1:1(0) ack 1");
    b.shutdown(1);
    return b;
  },
  "TIME-WAIT": () => {
    const b = Bench.open();
    b.shutdown(1);
    return b.arrives("F. 1:1(0) ack 2");
  },
};

for (const [state, into] of Object.entries(INTO)) {
  Deno.test(`${state}: an exact RST ends it`, () => {
    const b = into().clear();
    assertEquals(b.state, state);
    const next = (b.tcb.rcv.nxt - b.peer.iss) | 0;
    b.arrives(`R ${next}:${next}(0)`).expect();
    const error = state === "TIME-WAIT" ? 0 : state === "CLOSE-WAIT" ? EPIPE : ECONNRESET;
    assertEquals([b.state, b.tcb.error, b.tcb.deadline], ["CLOSED", error, Infinity]);
    assertEquals(b.pool.allocated, 0);
  });

  Deno.test(`${state}: ABORT sends a reset where there is someone to reset`, () => {
    const b = into().clear();
    const seq = (b.tcb.snd.nxt - b.iss) | 0;
    const ack = (b.tcb.rcv.nxt - b.peer.iss) | 0;
    b.abort();
    b.expect(...(state === "TIME-WAIT" ? [] : [`R. ${seq}:${seq}(0) ack ${ack}`]));
    assertEquals([b.state, b.tcb.error], ["CLOSED", 0]);
  });
}

Deno.test("calls on a closed connection", () => {
  const b = new Bench();
  assertEquals([b.write(1), b.read(), b.shutdown(1)], [-EPIPE, 0, -ENOTCONN]);
  close(b.tcb, b.now);
  b.expect();
});
