import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  ANY,
  BROADCAST,
  formatIp,
  formatMac,
  isBroadcastOf,
  isLoopback,
  isMulticast,
  isMulticastMac,
  MAC_BROADCAST,
  MAC_ZERO,
  maskOf,
  parseCidr,
  parseIp,
  parseMac,
  readMac,
  writeMac,
} from "../../lib/wire/address.ts";

const ip = (text: string) => parseIp(text) ?? NaN;

Deno.test("parseIp reads dotted decimal into an int32", () => {
  assertEquals(parseIp("192.168.0.1"), 0xc0a80001 | 0);
  assertEquals(parseIp("0.0.0.0"), ANY);
  assertEquals(parseIp("255.255.255.255"), BROADCAST);
});

Deno.test("parseIp refuses everything else", () => {
  const wrong = [
    "",
    "1",
    "1.2.3",
    "1.2.3.4.5",
    "256.0.0.1",
    "1.2.3.-4",
    "01.2.3.4",
    "1.2.3.4 ",
    " 1.2.3.4",
    "1..2.3",
  ];
  for (const text of [...wrong, "a.b.c.d", "1.2.3.4\n", "::1", "0x1.2.3.4", "1.2.3.٤"]) {
    assertEquals(parseIp(text), null, text);
  }
});

Deno.test("formatIp and parseIp are inverse", () => {
  fc.assert(fc.property(fc.integer(), (address) => assertEquals(parseIp(formatIp(address)), address)));
});

Deno.test("parseCidr keeps the host part", () => {
  assertEquals(parseCidr("10.0.0.4/24"), { address: ip("10.0.0.4"), prefixLength: 24 });
  assertEquals(parseCidr("0.0.0.0/0"), { address: 0, prefixLength: 0 });
  assertEquals(parseCidr("10.0.0.4/32")?.prefixLength, 32);
  for (
    const text of ["10.0.0.4", "10.0.0.4/", "10.0.0.4/33", "10.0.0/24", "10.0.0.4/-1", "10.0.0.4/024", "/24"]
  ) {
    assertEquals(parseCidr(text), null, text);
  }
});

Deno.test("maskOf gives the mask of every prefix length", () => {
  assertEquals(maskOf(0), 0);
  assertEquals(formatIp(maskOf(1)), "128.0.0.0");
  assertEquals(formatIp(maskOf(24)), "255.255.255.0");
  assertEquals(formatIp(maskOf(31)), "255.255.255.254");
  assertEquals(maskOf(32), -1);
});

Deno.test("kinds of addresses", () => {
  assert(isMulticast(ip("224.0.0.1")) && isMulticast(ip("239.255.255.255")));
  assert(!isMulticast(ip("223.255.255.255")) && !isMulticast(ip("240.0.0.0")));
  assert(isLoopback(ip("127.0.0.1")) && isLoopback(ip("127.255.0.1")));
  assert(!isLoopback(ip("126.0.0.1")) && !isLoopback(ip("128.0.0.1")) && !isLoopback(BROADCAST));
});

Deno.test("isBroadcastOf knows the limited and the directed broadcast", () => {
  assert(isBroadcastOf(ip("10.0.0.255"), ip("10.0.0.4"), 24));
  assert(isBroadcastOf(BROADCAST, ip("10.0.0.4"), 24));
  assert(isBroadcastOf(ip("10.255.255.255"), ip("10.0.0.4"), 8));
  assert(!isBroadcastOf(ip("10.0.1.255"), ip("10.0.0.4"), 24));
  assert(!isBroadcastOf(ip("10.0.0.0"), ip("10.0.0.4"), 24));
  assert(!isBroadcastOf(ip("10.0.0.5"), ip("10.0.0.4"), 31), "RFC 3021: both addresses of a /31 are hosts");
  assert(!isBroadcastOf(ip("10.0.0.4"), ip("10.0.0.4"), 32));
});

Deno.test("parseMac reads colons and dashes", () => {
  assertEquals(parseMac("02:00:00:00:00:04"), 0x020000000004);
  assertEquals(parseMac("FF-ff-FF-ff-FF-ff"), MAC_BROADCAST);
  assertEquals(parseMac("0:0:0:0:0:0"), MAC_ZERO);
  for (
    const text of [
      "",
      "02:00:00:00:00",
      "02:00:00:00:00:04:05",
      "0200.0000.0004",
      "02:00:00:00:00:0g",
      "002:0:0:0:0:0",
    ]
  ) {
    assertEquals(parseMac(text), null, text);
  }
});

Deno.test("MAC addresses survive text and bytes", () => {
  const view = new DataView(new ArrayBuffer(10));
  fc.assert(fc.property(fc.integer({ min: 0, max: MAC_BROADCAST }), (mac) => {
    assertEquals(parseMac(formatMac(mac)), mac);
    writeMac(view, 3, mac);
    assertEquals(readMac(view, 3), mac);
  }));
  assertEquals(formatMac(4), "00:00:00:00:00:04");
});

Deno.test("isMulticastMac looks at the group bit of the first octet", () => {
  assert(isMulticastMac(MAC_BROADCAST));
  assert(isMulticastMac(0x01005e000001));
  assert(!isMulticastMac(0x020000000004));
  assert(!isMulticastMac(0xfeffffffffff));
  assert(!isMulticastMac(MAC_ZERO));
});
