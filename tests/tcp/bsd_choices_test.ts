/** `bsd`: where RFC 9293 leaves a choice, FreeBSD's instead of Linux's. Each test shows both. */
import { assertEquals } from "@std/assert";
import { ECONNRESET, EPIPE } from "../../lib/errno.ts";
import { Bench } from "./segments.ts";

const BSD = { bsd: true, quickAcks: 0 };

Deno.test("bsd: the ACK of the peer's FIN carries ours again, a challenge ACK does not", () => {
  const bsd = Bench.open(BSD);
  bsd.shutdown(1);
  bsd.clear().arrives("F. 1:1(0) ack 1").expect("F. 1:1(0) ack 2");
  bsd.arrives("S 2:2(0)").expect(". 2:2(0) ack 2");
  const linux = Bench.open();
  linux.shutdown(1);
  linux.clear().arrives("F. 1:1(0) ack 1").expect(". 2:2(0) ack 2");
});

Deno.test("bsd: every second segment is acknowledged at once, however small", () => {
  for (const [settings, answer] of [[BSD, [". 1:1(0) ack 1021"]], [{ quickAcks: 0 }, []]] as const) {
    const b = Bench.open(settings);
    b.arrives(". 1:1001(1000) ack 1").pass(1e6);
    b.read();
    b.clear().arrives(". 1001:1011(10) ack 1").expect();
    b.arrives(". 1011:1021(10) ack 1").expect(...answer);
  }
});

Deno.test("bsd: what the buffer has room for is in the window, beyond the 65535 that the field can say", () => {
  const sizes = { receiveBuffer: 66_000, rfc5961: false };
  const reset = "R 66000:66000(0)";
  assertEquals(Bench.open({ ...BSD, ...sizes }).arrives(reset).state, "CLOSED");
  assertEquals(Bench.open(sizes).arrives(reset).state, "ESTABLISHED");
});

Deno.test("bsd: a reset or SYN at the very end of the window is outside; on Linux it gets a challenge ACK", () => {
  const sizes = { receiveBuffer: 20_000, invalidRateLimitUs: 0 };
  const bsd = Bench.open({ ...BSD, ...sizes });
  bsd.arrives("R 20001:20001(0)").expect();
  bsd.arrives("R 20000:20000(0)").expect(". 1:1(0) ack 1");
  const linux = Bench.open(sizes);
  linux.arrives("R 20001:20001(0)").expect(". 1:1(0) ack 1");
  linux.arrives("R 20002:20002(0)").expect();
});

Deno.test("Linux: a reset at the very end counts where all before it was SACKed", () => {
  const b = Bench.open({ receiveBuffer: 3000 });
  b.arrives(". 1001:3001(2000) ack 1").arrives("R 3001:3001(0)");
  assertEquals([b.state, b.tcb.error], ["CLOSED", ECONNRESET]);
});

Deno.test("bsd: a reset in CLOSE-WAIT is ECONNRESET, on Linux EPIPE", () => {
  for (const [settings, errno] of [[BSD, ECONNRESET], [{}, EPIPE]] as const) {
    const b = Bench.open(settings).arrives("F. 1:1(0) ack 1").arrives("R 2:2(0)");
    assertEquals([b.state, b.tcb.error], ["CLOSED", errno]);
  }
});

Deno.test("bsd: in TIME-WAIT a SYN that does not begin a new connection gets no answer", () => {
  for (const [settings, answer] of [[BSD, []], [{}, [". 2:2(0) ack 2"]]] as const) {
    const b = Bench.open(settings);
    b.shutdown(1);
    b.arrives("F. 1:1(0) ack 2").clear().arrives("S 1:1(0)").expect(...answer);
    assertEquals(b.state, "TIME-WAIT");
  }
});
