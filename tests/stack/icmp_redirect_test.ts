import { assertEquals } from "@std/assert";
import { Datagram, SocketKind } from "../../lib/stack/stack.ts";
import { icmpFrame, udpFrame } from "../support/build.ts";
import { decode } from "../support/decode.ts";
import { Bench, expect, GATEWAY, ip, OURS } from "./helpers.ts";

const REMOTE = "192.0.2.7";
const BETTER = "10.0.0.2";
const GATEWAY_MAC = "02:00:00:00:00:01";
const BETTER_MAC = "02:00:00:00:00:02";
const LIFETIME_US = 300e6;

function bench(acceptRedirects = true): Bench {
  const made = new Bench({ gateway: ip(GATEWAY), acceptRedirects });
  know(made);
  return made;
}

function know(made: Bench): void {
  made.learnPeer(GATEWAY, GATEWAY_MAC);
  made.learnPeer(BETTER, BETTER_MAC);
}

function redirect(
  fields: { source?: string; gateway?: string; about?: string; code?: number } = {},
): Uint8Array {
  const { source = GATEWAY, gateway = BETTER, about = REMOTE, code = 1 } = fields;
  const quoted = udpFrame({ source: OURS, destination: about, sourcePort: 5, destinationPort: 9 });
  return icmpFrame({
    source,
    destination: OURS,
    type: 5,
    code,
    rest: ip(gateway),
    payload: quoted.subarray(14, 14 + 28),
  });
}

/** The last byte of the MAC address that a message to `destination` goes to. */
function nextHop(made: Bench, destination: string): number {
  const handle = expect(made.stack.socket(SocketKind.datagram));
  const message = new Datagram();
  message.address = ip(destination);
  message.port = 9;
  expect(made.stack.sendTo(handle, message, made.now));
  expect(made.stack.close(handle, made.now));
  return made.drain().filter((frame) => decode(frame).ipv4)[0][5];
}

Deno.test("RFC 1122 3.2.2.2: a redirect of the router in use is followed, for that host, for a while", () => {
  for (const code of [0, 1, 2, 3]) {
    const made = bench();
    assertEquals(nextHop(made, REMOTE), 1);
    made.input(redirect({ code }));
    assertEquals([nextHop(made, REMOTE), nextHop(made, "192.0.2.8")], [2, 1]);
    // The better one knows a still better one.
    made.learnPeer("10.0.0.3", "02:00:00:00:00:03");
    made.input(redirect({ source: BETTER, gateway: "10.0.0.3" }));
    assertEquals(nextHop(made, REMOTE), 3);
    made.pass(LIFETIME_US);
    know(made);
    assertEquals(nextHop(made, REMOTE), 1);
    assertEquals(made.drops, {});
  }
});

Deno.test("RFC 1122 3.2.2.2: redirects from others, to where nobody can be, or unasked for, are ignored", () => {
  const cases: [name: string, frame: Uint8Array, acceptRedirects?: boolean][] = [
    ["not enabled", redirect(), false],
    ["from another router", redirect({ source: BETTER, gateway: "10.0.0.3" })],
    ["to a router that is not on the link", redirect({ gateway: "192.0.2.1" })],
    ["to ourselves", redirect({ gateway: OURS })],
    ["to the broadcast address", redirect({ gateway: "10.0.0.255" })],
    ["to a multicast address", redirect({ gateway: "224.0.0.2" })],
    ["to loopback", redirect({ gateway: "127.0.0.1" })],
    ["to itself", redirect({ gateway: GATEWAY })],
    ["about a neighbor", redirect({ about: "10.0.0.9" })],
  ];
  for (const [name, frame, acceptRedirects] of cases) {
    const made = bench(acceptRedirects);
    made.input(frame);
    assertEquals(made.drops, { icmpRedirectIgnored: 1 }, name);
    assertEquals(nextHop(made, REMOTE), 1, name);
  }
  const made = bench();
  made.input(redirect({ code: 4 }));
  assertEquals(made.drops, { icmpCodeUnknown: 1 });
});

Deno.test("RFC 1122 3.3.1.4: a router that does not answer is left again", () => {
  const made = bench();
  made.input(redirect({ gateway: "10.0.0.77" }));
  const handle = expect(made.stack.socket(SocketKind.datagram));
  const message = new Datagram();
  message.address = ip(REMOTE);
  message.port = 9;
  expect(made.stack.sendTo(handle, message, made.now));
  made.pass(5_000_000);
  know(made);
  assertEquals(nextHop(made, REMOTE), 1);
});

Deno.test("connections that are under way follow redirects too, and redirects are bounded", () => {
  const made = bench();
  const handle = expect(made.stack.socket(SocketKind.stream));
  made.stack.connect(handle, ip(REMOTE), 80, made.now);
  assertEquals(made.drain().map((frame) => frame[5]), [1]);
  made.input(redirect());
  assertEquals(made.pass(1_000_000).filter((frame) => decode(frame).tcp).map((frame) => frame[5]), [2]);
  for (let n = 0; n < 1000; n++) made.input(redirect({ about: `198.51.${n >> 8}.${n & 255}` }));
  assertEquals([...made.stack.network.routes].length, 256 + 2);
});

Deno.test("RFC 1812 5.2.7.2: a router does not let itself be redirected", () => {
  const made = new Bench({ gateway: ip(GATEWAY), acceptRedirects: true, forwarding: true });
  know(made);
  made.input(redirect());
  assertEquals(nextHop(made, REMOTE), 1);
  assertEquals(made.drops.icmpRedirectIgnored, 1);
});
