import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { InitialSequence } from "../../lib/stack/isn.ts";
import { EPHEMERAL_FIRST, EPHEMERAL_LAST, EphemeralPorts } from "../../lib/stack/ports.ts";
import { SipHash } from "../../lib/stack/siphash.ts";

const KEY = [0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c];

Deno.test("SipHash-2-4 gives the reference implementation's vectors", () => {
  const hash = new SipHash(KEY);
  // vectors_sip64 of the reference code: the message is the bytes 0, 1, 2 ...; [high, low]
  const vectors: [number, string][] = [
    [0, "726fdb47dd0e0e31"],
    [1, "cf2794e0277187b7"],
    [2, "93f5f5799a932462"],
    [3, "751e8fbc860ee5fb"],
  ];
  for (const [words, expected] of vectors) {
    const low = hash.hash(Int32Array.from(KEY), words);
    const hex = (n: number) => (n >>> 0).toString(16).padStart(8, "0");
    assertEquals(hex(hash.high) + hex(low), expected);
  }
});

Deno.test("RFC 6528: the ISN moves on by one every 4 us and differs between connections", () => {
  const isn = new InitialSequence(new SipHash(KEY));
  const at = (now: number, port = 80) => isn.next(1, 40000, 2, port, now);
  assertEquals((at(4000) - at(0)) | 0, 1000);
  assertEquals((at(2 ** 40) - at(0)) | 0, (2 ** 38) | 0);
  assertNotEquals(at(0, 80), at(0, 81));
  assertNotEquals(isn.next(1, 2, 3, 4, 0), isn.next(1, 3, 2, 4, 0));
  assertNotEquals(at(0), new InitialSequence(new SipHash([1, 2, 3, 4])).next(1, 40000, 2, 80, 0));
});

Deno.test("RFC 6056 3.3.4: ports to one destination follow each other and begin elsewhere for another", () => {
  const ports = new EphemeralPorts(new SipHash(KEY), () => 7);
  const any = () => true;
  const first = ports.choose(1, 2, 80, any);
  const second = ports.choose(1, 2, 80, any);
  const span = EPHEMERAL_LAST - EPHEMERAL_FIRST + 1;
  assertEquals((second - first + span) % span, 1);
  const others = new Set([3, 4, 5, 6].map((remote) => ports.choose(1, remote, 80, any)));
  assert(others.size >= 3, "destinations share a sequence");
  for (const port of [first, second, ...others]) {
    assert(port >= EPHEMERAL_FIRST && port <= EPHEMERAL_LAST);
  }
});

Deno.test("RFC 6056: taken ports are passed over, and 0 says that none is left", () => {
  const ports = new EphemeralPorts(new SipHash(KEY), () => 0);
  assertEquals(ports.choose(1, 2, 80, (port) => port === 40123), 40123);
  assertEquals(ports.choose(1, 2, 80, () => false), 0);
});
