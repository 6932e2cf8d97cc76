/** RFC 9293 3.8.5, RFC 6093: urgent data is noted, stays in line, and confuses nothing. */
import { assertEquals } from "@std/assert";
import { Bench } from "./segments.ts";

const urgent = (b: Bench) => [b.tcb.rcv.urgent, b.tcb.rcv.urgent ? (b.tcb.rcv.up - b.peer.iss) | 0 : 0];

Deno.test("the pointer is an offset from the segment's sequence number, to the byte after the urgent ones", () => {
  const b = Bench.accept().arrives("UP. 1:101(100) ack 1", (h) => h.urgentPointer = 10);
  assertEquals(urgent(b), [true, 11]);
});

Deno.test("urgent data stays in its place in the stream", () => {
  const b = Bench.accept().arrives("UP. 1:101(100) ack 1", (h) => h.urgentPointer = 10);
  assertEquals(b.read(), 100);
  assertEquals(urgent(b), [false, 0], "urgent mode ends when it was read");
});

Deno.test("the pointer may lie ahead of what has come, and only moves forward", () => {
  const b = Bench.accept().arrives("UP. 1:101(100) ack 1", (h) => h.urgentPointer = 65_535);
  assertEquals([b.read(), ...urgent(b)], [100, true, 65_536]);
  b.arrives("UP. 101:201(100) ack 1", (h) => h.urgentPointer = 50);
  assertEquals(urgent(b), [true, 65_536]);
});

Deno.test("a repeated segment does not make urgent what was read long ago", () => {
  const b = Bench.accept().arrives("UP. 1:101(100) ack 1", (h) => h.urgentPointer = 10);
  b.read();
  b.arrives("UP. 101:201(100) ack 1", (h) => h.urgentPointer = 0);
  b.read();
  b.arrives("U. 201:201(0) ack 1", (h) => h.urgentPointer = 0);
  assertEquals(urgent(b), [false, 0]);
  b.arrives("UP. 101:301(200) ack 1", (h) => h.urgentPointer = 5);
  assertEquals([...urgent(b), b.read()], [false, 0, 100]);
});

Deno.test("a pointer without the URG flag means nothing", () => {
  const b = Bench.accept().arrives("P. 1:101(100) ack 1", (h) => h.urgentPointer = 10);
  assertEquals([...urgent(b), b.read()], [false, 0, 100]);
});

Deno.test("after the FIN there is nothing urgent", () => {
  const b = Bench.accept().arrives("UF. 1:101(100) ack 1", (h) => h.urgentPointer = 500);
  assertEquals([b.read(), b.read(), b.state], [100, 0, "CLOSE-WAIT"]);
});
