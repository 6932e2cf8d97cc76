import { assertEquals, assertThrows } from "@std/assert";
import { HostError } from "../../lib/host/command.ts";
import { type Link, readCidr } from "../../lib/host/links.ts";
import { checkWish, type HostFacts, planDevice, type SetupWish } from "../../lib/host/setup_plan.ts";

const alice = { uid: 1000, name: "alice", groups: [1000] };

function wish(change: Partial<SetupWish> = {}): SetupWish {
  return {
    iface: "enp0s3",
    tap: "tap0",
    gateway: readCidr("10.0.0.5/24", "--gateway"),
    owner: alice,
    ...change,
  };
}

function link(name: string, change: Partial<Link> = {}): Link {
  return { name, up: true, carrier: true, mtu: 1500, addresses: [], tun: null, ...change };
}

function tap(change: Partial<Link> = {}): Link {
  const tun = { type: "tap", persistent: true, user: "alice" };
  return link("tap0", { addresses: ["10.0.0.5/24"], carrier: false, tun, ...change });
}

function facts(change: Partial<HostFacts> = {}, ...links: Link[]): HostFacts {
  const tunNode = { folder: true, node: { mode: 0o666, uid: 0, gid: 0 } };
  return { tunNode, links: [link("lo"), link("enp0s3"), ...links], ipForward: "1", sysctl: true, ...change };
}

const commands = (wanted: SetupWish, host: HostFacts) =>
  planDevice(wanted, host).flatMap((step) => step.commands.map((words) => words.join(" ")));

Deno.test("plan: a bare host needs all of it", () => {
  const bare = facts({ tunNode: { folder: false, node: null }, ipForward: "0" });
  assertEquals(commands(wish(), bare), [
    "mkdir -p -m 755 /dev/net",
    "mknod -m 666 /dev/net/tun c 10 200",
    "ip tuntap add dev tap0 mode tap user 1000",
    "ip addr add 10.0.0.5/24 dev tap0",
    "ip link set dev tap0 up",
    "sysctl -q -w net.ipv4.ip_forward=1",
  ]);
});

Deno.test("plan: what is so already is not done again", () => {
  assertEquals(commands(wish(), facts({}, tap())), []);
  assertEquals(commands(wish(), facts({}, tap({ up: false }))), ["ip link set dev tap0 up"]);
  assertEquals(commands(wish(), facts({}, tap({ addresses: ["10.9.0.1/24"] }))), [
    "ip addr add 10.0.0.5/24 dev tap0",
  ]);
});

Deno.test("plan: a TUN node that the owner may not open is opened to all, and only then", () => {
  const node = (mode: number, gid = 0) =>
    facts({ tunNode: { folder: true, node: { mode, uid: 0, gid } } }, tap());
  assertEquals(commands(wish(), node(0o600)), ["chmod 666 /dev/net/tun"]);
  assertEquals(commands(wish(), node(0o660, 1000)), []);
  assertEquals(commands(wish({ owner: { uid: 0, name: "root", groups: [0] } }), node(0o600)), []);
});

Deno.test("plan: without sysctl(8) the file itself is written", () => {
  assertEquals(commands(wish(), facts({ ipForward: "0", sysctl: false }, tap())), [
    "sh -c echo 1 > /proc/sys/net/ipv4/ip_forward",
  ]);
});

Deno.test("plan: an unknown interface is answered with those there are", () => {
  assertThrows(
    () => checkWish(wish({ iface: "eth9" }), facts({}, link("wlan0"), tap())),
    HostError,
    "There is no interface eth9; this host has enp0s3, wlan0",
  );
});

Deno.test("plan: a network that the host is in already is refused", () => {
  const home = link("wlan0", { addresses: ["10.0.0.77/16"] });
  assertThrows(
    () => checkWish(wish(), facts({}, home)),
    HostError,
    "lies in the network of wlan0 (10.0.0.77/16)",
  );
  checkWish(
    wish({ gateway: readCidr("10.99.0.5/24", "") }),
    facts({}, link("wlan0", { addresses: ["10.0.0.77/24"] })),
  );
});

Deno.test("plan: a TAP of someone else, of a running program or no TAP at all is left alone", () => {
  const with_ = (change: Partial<Link>) => () => checkWish(wish(), facts({}, tap(change)));
  const tun = { type: "tap", persistent: true, user: "bob" };
  assertThrows(with_({ tun }), HostError, "belongs to bob, not to alice");
  assertThrows(with_({ tun: { ...tun, user: null } }), HostError, "belongs to no user");
  assertThrows(with_({ tun: { ...tun, persistent: false } }), HostError, "belongs to a running program");
  assertThrows(with_({ tun: { ...tun, type: "tun" } }), HostError, "is no TAP device");
  assertThrows(with_({ tun: null }), HostError, "is no TAP device");
  with_({ tun: { ...tun, user: "1000" } })();
  checkWish(wish({ owner: { uid: 0, name: "root", groups: [0] } }), facts({}, tap({ tun })));
});

Deno.test("plan: names that ip(8) would misread are refused", () => {
  for (const name of ["-tap", "a b", "tap0;reboot", "", "sixteen-letters-"]) {
    assertThrows(() => checkWish(wish({ tap: name }), facts()), HostError, "--tap must be");
  }
});
