import { assert, assertEquals } from "@std/assert";
import { Interface, InterfaceAddress } from "../../lib/stack/interface.ts";
import { LocalAddresses, Route, type RouteParts, RoutingTable } from "../../lib/stack/routes.ts";
import { parseCidr, parseIp } from "../../lib/wire/address.ts";

const ip = (text: string) => parseIp(text)!;

/** An interface with these addresses, which are the host's. */
function link(local: LocalAddresses, name: string, ...cidrs: string[]): Interface {
  const features = { checksum: false, segmentation: false };
  const made = new Interface({ index: 2, name, mac: 0x02, mtu: 1500, features, device: 0 }, () => 0);
  for (const cidr of cidrs) {
    const { address, prefixLength } = parseCidr(cidr)!;
    const own = new InterfaceAddress(address, prefixLength, made);
    made.addresses.push(own);
    local.list.push(own);
  }
  return made;
}

const local = new LocalAddresses();
const eth0 = link(local, "eth0", "10.0.0.4/24");
const emptyTable = () => new RoutingTable(local);
const route = (network: string, gateway = "0.0.0.0", more: Partial<RouteParts> = {}) => {
  const { address, prefixLength } = parseCidr(network)!;
  return new Route({ network: address, prefixLength, gateway: ip(gateway), link: eth0, ...more });
};

Deno.test("RFC 1122 3.3.1: the longest prefix wins, whatever the order of adding", () => {
  const table = emptyTable();
  const byDefault = route("0.0.0.0/0", "10.0.0.5");
  const network = route("10.0.0.0/24");
  const host = route("10.0.0.77/32", "10.0.0.6");
  table.add(network);
  table.add(byDefault);
  table.add(host);
  assertEquals(table.lookup(ip("8.8.8.8")), byDefault);
  assertEquals(table.lookup(ip("10.0.0.9")), network);
  assertEquals(table.lookup(ip("10.0.0.77")), host);
  assertEquals(byDefault.nextHop(ip("8.8.8.8")), ip("10.0.0.5"));
  assertEquals(network.nextHop(ip("10.0.0.9")), ip("10.0.0.9"));
});

Deno.test("routes: of equal prefixes the lower metric wins; without any there is none", () => {
  const table = emptyTable();
  assertEquals(table.lookup(ip("8.8.8.8")), null);
  const slow = route("192.168.0.0/16", "10.0.0.5", { metric: 100 });
  const quick = route("192.168.0.0/16", "10.0.0.6", { metric: 10 });
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
  const table = emptyTable();
  table.add(route("10.0.0.0/24"));
  table.add(route("0.0.0.0/0", "10.0.0.5"));
  table.add(route("10.0.0.128/25", "0.0.0.0", { type: "unreachable" }));
  assert(table.isOnLink(ip("10.0.0.5")));
  assert(table.isOnLink(ip("10.0.0.5"), eth0));
  assert(!table.isOnLink(ip("10.0.0.5"), link(new LocalAddresses(), "eth1")));
  assert(!table.isOnLink(ip("10.0.1.5")));
  assert(!table.isOnLink(ip("10.0.0.129")));
});

Deno.test("addresses: ours, loopback and broadcasts", () => {
  const local = new LocalAddresses();
  link(local, "eth0", "10.0.0.4/24");
  const eth1 = link(local, "eth1", "172.16.0.1/31", "192.168.7.1/24");
  assert(local.has(ip("10.0.0.4")));
  assert(local.has(ip("127.3.2.1")));
  assert(!local.isOwn(ip("127.0.0.1")));
  assert(!local.has(ip("10.0.0.5")));
  assert(local.isBroadcast(ip("10.0.0.255")));
  assert(local.isBroadcast(ip("255.255.255.255")));
  assert(!local.isBroadcast(ip("172.16.0.1")), "RFC 3021: a /31 has no broadcast");
  assertEquals(local.linkOfBroadcast(ip("192.168.7.255")), eth1);
  assertEquals(local.linkOfBroadcast(ip("255.255.255.255")), null);
});

Deno.test("RFC 1122 3.3.4.3: the source is preferred, else in the next hop's network, else the link's first", () => {
  const local = new LocalAddresses();
  const eth0 = link(local, "eth0", "10.0.0.4/24");
  const eth1 = link(local, "eth1", "172.16.0.1/24", "192.168.7.1/24");
  const bare = link(local, "eth2");
  const sourceVia = (link: Interface, more: Partial<RouteParts> = {}) =>
    local.sourceOf(route("0.0.0.0/0", "0.0.0.0", { link, ...more }));
  assertEquals(sourceVia(eth1, { gateway: ip("192.168.7.9") }), ip("192.168.7.1"));
  assertEquals(sourceVia(eth1, { gateway: ip("9.9.9.9") }), ip("172.16.0.1"));
  assertEquals(sourceVia(eth1), ip("172.16.0.1"));
  assertEquals(sourceVia(eth0, { preferredSource: ip("192.168.7.1") }), ip("192.168.7.1"));
  assertEquals(sourceVia(bare), ip("10.0.0.4"), "an unnumbered link borrows");
  assertEquals(new LocalAddresses().sourceOf(route("0.0.0.0/0", "0.0.0.0", { link: bare })), 0);
});
