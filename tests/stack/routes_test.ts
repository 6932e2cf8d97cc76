import { assert, assertEquals } from "@std/assert";
import { LocalAddresses, Route, RoutingTable } from "../../lib/stack/routes.ts";
import { parseIp } from "../../lib/wire/address.ts";

const ip = (text: string) => parseIp(text)!;
const route = (network: string, prefixLength: number, gateway = "0.0.0.0", metric = 0) =>
  new Route(ip(network), prefixLength, ip(gateway), metric, ip("10.0.0.4"), 1500);

Deno.test("RFC 1122 3.3.1: the longest prefix wins, whatever the order of adding", () => {
  const table = new RoutingTable();
  const byDefault = route("0.0.0.0", 0, "10.0.0.5");
  const link = route("10.0.0.0", 24);
  const host = route("10.0.0.77", 32, "10.0.0.6");
  table.add(link);
  table.add(byDefault);
  table.add(host);
  assertEquals(table.lookup(ip("8.8.8.8")), byDefault);
  assertEquals(table.lookup(ip("10.0.0.9")), link);
  assertEquals(table.lookup(ip("10.0.0.77")), host);
  assertEquals(byDefault.nextHop(ip("8.8.8.8")), ip("10.0.0.5"));
  assertEquals(link.nextHop(ip("10.0.0.9")), ip("10.0.0.9"));
});

Deno.test("routes: of equal prefixes the lower metric wins; without any there is none", () => {
  const table = new RoutingTable();
  assertEquals(table.lookup(ip("8.8.8.8")), null);
  const slow = route("192.168.0.0", 16, "10.0.0.5", 100);
  const quick = route("192.168.0.0", 16, "10.0.0.6", 10);
  table.add(slow);
  table.add(quick);
  assertEquals(table.lookup(ip("192.168.99.1")), quick);
  const before = table.generation;
  assert(table.remove(quick));
  assert(!table.remove(quick));
  assert(table.generation > before, "who remembers a route must notice");
  assertEquals(table.lookup(ip("192.168.99.1")), slow);
  assertEquals(table.lookup(ip("192.169.0.1")), null);
  assertEquals([...table], [slow]);
});

Deno.test("routes: what is on the link and what is behind a router", () => {
  const table = new RoutingTable();
  table.add(route("10.0.0.0", 24));
  table.add(route("0.0.0.0", 0, "10.0.0.5"));
  assert(table.isOnLink(ip("10.0.0.5")));
  assert(!table.isOnLink(ip("10.0.1.5")));
});

Deno.test("addresses: ours, loopback, broadcasts and the source for a destination (RFC 1122 3.3.4.3)", () => {
  const local = new LocalAddresses([
    { address: ip("10.0.0.4"), prefixLength: 24 },
    { address: ip("172.16.0.1"), prefixLength: 31 },
  ]);
  assert(local.has(ip("10.0.0.4")));
  assert(local.has(ip("127.3.2.1")));
  assert(!local.isOwn(ip("127.0.0.1")));
  assert(!local.has(ip("10.0.0.5")));
  assert(local.isBroadcast(ip("10.0.0.255")));
  assert(local.isBroadcast(ip("255.255.255.255")));
  assert(!local.isBroadcast(ip("172.16.0.1")), "RFC 3021: a /31 has no broadcast");
  assertEquals(local.sourceFor(ip("172.16.0.0")), ip("172.16.0.1"));
  assertEquals(local.sourceFor(ip("9.9.9.9")), ip("10.0.0.4"));
  assertEquals(new LocalAddresses([]).sourceFor(ip("9.9.9.9")), 0);
});
