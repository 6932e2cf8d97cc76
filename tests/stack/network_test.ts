import { assert, assertEquals } from "@std/assert";
import {
  EACCES,
  EADDRNOTAVAIL,
  EEXIST,
  EHOSTUNREACH,
  EINPROGRESS,
  EINVAL,
  ENETUNREACH,
  ENODEV,
  ENOENT,
  ESRCH,
} from "../../lib/errno.ts";
import type { Interface } from "../../lib/stack/interface.ts";
import { NeighborState } from "../../lib/stack/neighbor.ts";
import type { RouteSpec } from "../../lib/stack/network.ts";
import { Datagram, SocketKind } from "../../lib/stack/stack.ts";
import { formatIp, parseCidr, parseMac } from "../../lib/wire/address.ts";
import { arpFrame, icmpFrame, udpFrame } from "../support/build.ts";
import { expect, ip } from "./helpers.ts";
import { hostMac, ourMac, Router, type Sent } from "./router.ts";

/** A host with two links. */
function host(config = {}, each: object[] = []): { made: Router; eth0: Interface; eth1: Interface } {
  const made = new Router(["10.0.0.1/24", "10.1.0.1/24"], { forwarding: false, ...config }, each);
  const [, eth0, eth1] = made.stack.network.interfaces;
  return { made, eth0, eth1 };
}

function spec(network: string, more: Omit<Partial<RouteSpec>, "gateway"> & { via?: string } = {}): RouteSpec {
  const { address, prefixLength } = parseCidr(network)!;
  const { via, ...rest } = more;
  return { network: address, prefixLength, ...rest, ...(via === undefined ? {} : { gateway: ip(via) }) };
}

/** The routes as ip(8) would say them, in short. */
function routes(made: Router): string[] {
  return [...made.stack.network.routes].map(({ network, prefixLength, gateway, link, source }) =>
    `${formatIp(network)}/${prefixLength}${
      gateway === 0 ? "" : ` via ${formatIp(gateway)}`
    } dev ${link.name} src ${formatIp(source)}`
  );
}

/** Sends a message to `destination` and answers with what came of it. */
function sendTo(made: Router, destination: string): Sent[] {
  const handle = expect(made.stack.socket(SocketKind.datagram));
  const message = new Datagram();
  message.address = ip(destination);
  message.port = 9;
  expect(made.stack.sendTo(handle, message, made.now));
  const sent = made.drain();
  expect(made.stack.close(handle, made.now));
  return sent;
}

const askedBy = (sent: Sent[]) => sent.map(({ device, arp }) => [device, formatIp(arp!.senderAddress)]);

Deno.test("RFC 1122 3.3.4.3: packets leave by the link of their route, with the address that is there", () => {
  const { made, eth1 } = host();
  assertEquals(askedBy(sendTo(made, "10.0.0.9")), [[0, "10.0.0.1"]]);
  assertEquals(askedBy(sendTo(made, "10.1.0.9")), [[1, "10.1.0.1"]]);
  const { network } = made.stack;
  assertEquals(network.addAddress(eth1, ip("172.16.0.1"), 16, made.now), 0);
  assertEquals(network.setRoute(spec("192.0.2.0/24", { via: "172.16.0.9" }), "add"), 0);
  assertEquals(formatIp(network.sourceFor(ip("192.0.2.1"))), "172.16.0.1");
  assertEquals(formatIp(network.sourceFor(ip("172.16.0.77"))), "172.16.0.1");
  const preferred = spec("198.51.100.0/24", { via: "10.1.0.8", preferredSource: ip("10.0.0.1") });
  assertEquals(network.setRoute(preferred, "add"), 0);
  assertEquals(formatIp(network.sourceFor(ip("198.51.100.1"))), "10.0.0.1");
  // Asked is with an address that the neighbor is likely to answer, whatever the packet's source is.
  assertEquals(askedBy(sendTo(made, "198.51.100.1")), [[1, "10.1.0.1"]]);
  assertEquals(made.stack.network.sourceFor(ip("127.0.0.9")), ip("127.0.0.1"));
});

Deno.test("broadcasts leave by the link whose network they are for, or where the default route leads", () => {
  const { made } = host();
  const send = (destination: string) => {
    const handle = expect(made.stack.socket(SocketKind.datagram));
    expect(made.stack.setOption(handle, 1, 6, 1, made.now));
    const message = new Datagram();
    message.address = ip(destination);
    message.port = 9;
    expect(made.stack.sendTo(handle, message, made.now));
    return made.drain().map(({ device, ipv4 }) => [device, formatIp(ipv4!.source)]);
  };
  assertEquals(send("10.1.0.255"), [[1, "10.1.0.1"]]);
  assertEquals(send("10.0.0.255"), [[0, "10.0.0.1"]]);
  assertEquals(send("255.255.255.255"), [[0, "10.0.0.1"]]);
  assertEquals(made.stack.network.setRoute(spec("0.0.0.0/0", { via: "10.1.0.9" }), "add"), 0);
  assertEquals(send("255.255.255.255"), [[1, "10.1.0.1"]]);
});

Deno.test("addresses come with a route to their network, and go with it; one of the same network inherits", () => {
  const { made, eth0 } = host();
  const { network } = made.stack;
  const before = routes(made);
  const more = { address: ip("10.0.0.7"), prefixLength: 24 };
  assertEquals(network.addAddress(eth0, more.address, more.prefixLength, made.now), 0);
  assertEquals(network.addAddress(eth0, more.address, more.prefixLength, made.now), -EEXIST);
  assertEquals(eth0.addresses.map(({ isSecondary }) => isSecondary), [false, true]);
  assertEquals(routes(made), before);
  assertEquals(network.removeAddress(eth0, ip("10.0.0.1"), 24), 0);
  assertEquals(network.removeAddress(eth0, ip("10.0.0.1"), 24), -EADDRNOTAVAIL);
  assertEquals(routes(made), ["10.1.0.0/24 dev eth1 src 10.1.0.1", "10.0.0.0/24 dev eth0 src 10.0.0.7"]);
  assertEquals(network.setRoute(spec("0.0.0.0/0", { via: "10.0.0.9" }), "add"), 0);
  assertEquals(
    network.setRoute(spec("10.5.0.0/16", { via: "10.1.0.9", preferredSource: more.address }), "add"),
    0,
  );
  assertEquals(network.removeAddress(eth0, more.address, 24), 0);
  assertEquals(routes(made), ["10.1.0.0/24 dev eth1 src 10.1.0.1"], "with all that needed it");
  assertEquals(network.addAddress(eth0, ip("10.0.0.8"), 32, made.now), 0);
  assertEquals(routes(made).length, 1, "a /32 is no network");
  for (const impossible of ["0.0.0.0", "224.0.0.1", "255.255.255.255"]) {
    assertEquals(network.addAddress(eth0, ip(impossible), 24, made.now), -EINVAL);
  }
});

Deno.test("RFC 5227: an address that is added is announced, answered for and defended; one that is gone is not", () => {
  const { made, eth0 } = host({ announce: true });
  made.pass(10e6);
  const { network } = made.stack;
  assertEquals(network.addAddress(eth0, ip("10.0.0.7"), 24, made.now), 0);
  const told = made.pass(10e6).map(({ device, arp }) =>
    [device, arp!.senderAddress, arp!.targetAddress].join(" ")
  );
  const [probe, announcement] = [`0 0 ${ip("10.0.0.7")}`, `0 ${ip("10.0.0.7")} ${ip("10.0.0.7")}`];
  assertEquals(told, [probe, announcement, announcement], "and nothing of the others again");
  const question = { operation: 1, senderIp: "10.0.0.2", targetIp: "10.0.0.7", sourceMac: hostMac(0, 2) };
  assertEquals(made.input(0, arpFrame({ ...question, destinationMac: "ff:ff:ff:ff:ff:ff" })).length, 1);
  const thief = { operation: 2, senderIp: "10.0.0.7", targetIp: "10.0.0.2", sourceMac: hostMac(0, 66) };
  assertEquals(made.input(0, arpFrame({ ...thief, destinationMac: ourMac(0) })).length, 1);
  assertEquals(made.stack.takeNotice()?.address, ip("10.0.0.7"));
  assertEquals(network.removeAddress(eth0, ip("10.0.0.7"), 24), 0);
  assertEquals(made.input(0, arpFrame({ ...question, destinationMac: "ff:ff:ff:ff:ff:ff" })), []);
  const echo = { type: 8, source: "10.0.0.2", destination: "10.0.0.7", destinationMac: ourMac(0) };
  assertEquals(made.input(0, icmpFrame(echo)), []);
  assertEquals(made.drops.ipNotForUs, 1);
});

Deno.test("routes are added, replaced, changed and removed with ip(8)'s errors", () => {
  const { made, eth0, eth1 } = host();
  const { network } = made.stack;
  const net = "10.9.0.0/16";
  assertEquals(network.setRoute(spec(net, { via: "10.0.0.9" }), "change"), -ENOENT);
  assertEquals(network.setRoute(spec(net, { via: "10.0.0.9" }), "add"), 0);
  assertEquals(network.setRoute(spec(net, { via: "10.1.0.9" }), "add"), -EEXIST);
  assertEquals(network.setRoute(spec(net, { via: "10.1.0.9", metric: 5 }), "add"), 0);
  assertEquals(network.routeTo(ip("10.9.1.1"))?.link, eth0);
  assertEquals(network.removeRoute(spec(net, { metric: 0 })), 0);
  assertEquals(network.routeTo(ip("10.9.1.1"))?.link, eth1);
  assertEquals(network.removeRoute(spec(net, { via: "10.1.0.77" })), -ESRCH);
  assertEquals(network.setRoute(spec(net, { via: "10.1.0.77", metric: 5 }), "replace"), 0);
  assertEquals(network.removeRoute(spec(net, { via: "10.1.0.77" })), 0);
  assertEquals(network.removeRoute(spec(net)), -ESRCH);
  const refused: [RouteSpec, number][] = [
    [spec("10.9.0.1/16", { via: "10.0.0.9" }), EINVAL],
    [spec(net, { via: "192.0.2.1" }), ENETUNREACH],
    [spec(net, { via: "10.0.0.9", link: eth1 }), ENETUNREACH],
    [spec(net, { via: "10.0.0.1" }), EINVAL],
    [spec(net, { via: "10.0.0.9", preferredSource: ip("10.0.0.9") }), EINVAL],
    [spec(net, { via: "10.0.0.9", mtu: 20 }), EINVAL],
    [spec(net), ENODEV],
  ];
  for (const [bad, errno] of refused) assertEquals(network.setRoute(bad, "add"), -errno);
  assertEquals(network.setRoute(spec(net, { link: eth1 }), "add"), 0, "a network on the link");
  assertEquals(askedBy(sendTo(made, "10.9.3.3")), [[1, "10.1.0.1"]]);
});

Deno.test("routes that refuse: what programs are told", () => {
  const { made } = host();
  const { network } = made.stack;
  assertEquals(network.setRoute(spec("10.1.0.0/26", { type: "unreachable" }), "add"), 0);
  assertEquals(network.setRoute(spec("10.1.0.64/26", { type: "prohibit" }), "add"), 0);
  assertEquals(network.setRoute(spec("10.1.0.128/26", { type: "blackhole" }), "add"), 0);
  const cases: [string, number][] = [
    ["10.1.0.9", EHOSTUNREACH],
    ["10.1.0.77", EACCES],
    ["10.1.0.140", EINVAL],
    ["192.0.2.1", ENETUNREACH],
  ];
  for (const [address, errno] of cases) {
    const datagram = expect(made.stack.socket(SocketKind.datagram));
    assertEquals(made.stack.connect(datagram, ip(address), 9, made.now), -errno, address);
    const message = new Datagram();
    message.address = ip(address);
    message.port = 9;
    assertEquals(made.stack.sendTo(datagram, message, made.now), -errno, address);
    const stream = expect(made.stack.socket(SocketKind.stream));
    assertEquals(made.stack.connect(stream, ip(address), 9, made.now), -errno, address);
  }
  assertEquals(made.stack.network.flushRoutes(), 3);
  assertEquals(askedBy(sendTo(made, "10.1.0.9")), [[1, "10.1.0.1"]]);
});

Deno.test("a connection follows its route to another link", () => {
  const { made, eth0, eth1 } = host();
  const { network } = made.stack;
  for (const link of [eth0, eth1]) {
    const gateway = `10.${link.device}.0.9`;
    const mac = parseMac(hostMac(link.device, 9))!;
    assertEquals(network.setNeighbor(link, ip(gateway), mac, "permanent", "add", made.now), 0);
  }
  assertEquals(network.setRoute(spec("0.0.0.0/0", { via: "10.0.0.9" }), "add"), 0);
  const handle = expect(made.stack.socket(SocketKind.stream));
  assertEquals(made.stack.connect(handle, ip("192.0.2.1"), 80, made.now), -EINPROGRESS);
  assertEquals(made.drain().map(({ device, destinationMac }) => [device, destinationMac]), [[
    0,
    hostMac(0, 9),
  ]]);
  assertEquals(network.setRoute(spec("0.0.0.0/0", { via: "10.1.0.9" }), "replace"), 0);
  const again = made.pass(1.5e6);
  assertEquals(again.map(({ device, destinationMac }) => [device, destinationMac]), [[1, hostMac(1, 9)]]);
  assertEquals(formatIp(again[0].ipv4!.source), "10.0.0.1", "but its address is its own");
});

Deno.test("the segment size that is offered, and the path MTU that is told, are those of the link", () => {
  const { made, eth1 } = host({}, [{ mtu: 9000 }, { mtu: 1000 }]);
  const { network } = made.stack;
  const mac = parseMac(hostMac(1, 9))!;
  assertEquals(network.setNeighbor(eth1, ip("10.1.0.9"), mac, "permanent", "add", made.now), 0);
  const handle = expect(made.stack.socket(SocketKind.stream));
  assertEquals(made.stack.connect(handle, ip("10.1.0.9"), 80, made.now), -EINPROGRESS);
  const [syn] = made.drain();
  const mss = syn.tcp!.options.find(({ kind }) => kind === 2)!.data;
  assertEquals([...mss], [960 >> 8, 960 & 255]);
  assertEquals(made.stack.getOption(handle, 0, 14), 1000, "IP_MTU");
});

Deno.test("neighbors are set, changed, removed and flushed with ip(8)'s errors", () => {
  const { made, eth0 } = host();
  const { network } = made.stack;
  const address = ip("10.0.0.7");
  const mac = parseMac(hostMac(0, 7))!;
  const state = () => [...network.neighbors()].find((each) => each.address === address)?.state;
  assertEquals(network.setNeighbor(eth0, address, mac, "permanent", "change", made.now), -ENOENT);
  assertEquals(network.setNeighbor(eth0, address, mac, "permanent", "add", made.now), 0);
  assertEquals(network.setNeighbor(eth0, address, mac, "permanent", "add", made.now), -EEXIST);
  assertEquals(sendTo(made, "10.0.0.7").map(({ destinationMac }) => destinationMac), [hostMac(0, 7)]);
  // It holds: nobody is asked, for ever, and what the link says does not count.
  made.input(
    0,
    arpFrame({ operation: 1, senderIp: "10.0.0.7", targetIp: "10.0.0.1", sourceMac: hostMac(0, 66) }),
  );
  assertEquals(made.pass(3600e6), []);
  assertEquals(sendTo(made, "10.0.0.7").map(({ destinationMac }) => destinationMac), [hostMac(0, 7)]);
  assertEquals(state(), NeighborState.PERMANENT);
  assertEquals(network.flushNeighbors(undefined, made.now), 0, "permanent ones stay");
  assertEquals(network.setNeighbor(eth0, address, mac, "stale", "replace", made.now), 0);
  assertEquals(state(), NeighborState.STALE);
  assertEquals(network.flushNeighbors(eth0, made.now), 1);
  assertEquals(network.removeNeighbor(eth0, address, made.now), -ENOENT);
  assertEquals(network.setNeighbor(network.interfaces[0], address, mac, "stale", "add", made.now), -EINVAL);
  assertEquals(askedBy(sendTo(made, "10.0.0.7")), [[0, "10.0.0.1"]]);
  assertEquals(network.setNeighbor(eth0, address, mac, "reachable", "replace", made.now), 0);
  assertEquals(made.drain().map(({ udp }) => udp !== undefined), [true], "what waited goes");
});

Deno.test("what one link learns of its neighbors means nothing on the other", () => {
  const { made } = host();
  made.learn(0, "10.0.0.2", "10.0.0.1");
  assertEquals([...made.stack.network.neighbors()].map(({ link }) => link.name), ["eth0"]);
  // From the wrong link: an address of the other's network.
  const wrong = { operation: 1, senderIp: "10.0.0.3", targetIp: "10.1.0.1", sourceMac: hostMac(1, 3) };
  made.input(1, arpFrame({ ...wrong, destinationMac: ourMac(1) }));
  assertEquals([...made.stack.network.neighbors()].length, 1);
  const frame = { source: "10.1.0.2", destination: "10.1.0.1", sourcePort: 1, destinationPort: 2 };
  made.input(1, udpFrame({ ...frame, destinationMac: ourMac(0) }));
  assert(made.drops.ethernetNotForUs === 1, "the other link's Ethernet address");
});
