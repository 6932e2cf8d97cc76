/** Every ICMP error to and from the Linux kernel; what a router sends of its own is in router_test.ts. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { connect, status } from "../../mod.ts";
import { Daemon } from "../support/daemon.ts";
import { hasNamespaces, lvlIp, Namespaces } from "../support/netns.ts";
import { KERNEL, STACK } from "../support/shim.ts";

const ignore = !hasNamespaces();

/**
 * Sends packets that call for an error, from the kernel's side, and prints type and code of what comes back in the order
 * of the packets; a raw socket hears every ICMP message.
 */
const PROVOKER = `
import socket, struct, sys
listener = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
listener.settimeout(5)
sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
SOURCE, STACK = "${KERNEL}", "${STACK}"

def packet(protocol, payload, options=b"", fragment=0):
  header = struct.pack("!BBHHHBBH4s4s", 0x45 + len(options) // 4, 0, 0, 7, fragment, 64, protocol, 0,
    socket.inet_aton(SOURCE), socket.inet_aton(STACK))
  return header + options + payload

def expect(what, data):
  sender.sendto(data, (STACK, 0))
  while True:
    answer = listener.recv(65536)
    start = (answer[0] & 15) * 4
    if answer[12:16] == socket.inet_aton(STACK) and answer[start] in (3, 11, 12):
      # Behind the ICMP header is the packet that it is about.
      assert answer[start + 8 + 12:start + 8 + 16] == socket.inet_aton(SOURCE)
      print(what, answer[start], answer[start + 1], answer[start + 4])
      return

expect("port", packet(17, struct.pack("!HHHH", 5, 4711, 8, 0)))
expect("protocol", packet(200, b"12345678"))
expect("option", packet(17, struct.pack("!HHHH", 5, 4711, 8, 0), options=b"\\x01\\x44\\x00\\x00"))
expect("reassembly", packet(17, b"x" * 16, fragment=0x2000))`;

Deno.test({
  name: "ICMP errors: Linux hears of the port, the protocol, the option and the fragment that are wrong",
  // A raw packet with such an option is only for the real root.
  ignore: ignore || Deno.uid() !== 0,
  async fn() {
    await using daemon = await Daemon.start("--sysctl", "net.ipv4.ipfrag_time=1");
    const heard = await daemon.net.exec(["python3", "-c", PROVOKER]);
    assertEquals(heard, "port 3 3 0\nprotocol 3 2 0\noption 12 0 21\nreassembly 11 1 0\n");
    const udp = `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(("${STACK}", 4712)); s.settimeout(3); s.send(b"x")
try: s.recv(10)
except ConnectionRefusedError: print("refused")`;
    assertEquals(await daemon.net.exec(["python3", "-c", udp]), "refused\n");
  },
});

/** nft's words for what the kernel is to answer with, and what a ping says of it. */
const REJECTIONS: [word: string, said: string][] = [
  ["net-unreachable", "Destination Net Unreachable"],
  ["host-unreachable", "Destination Host Unreachable"],
  ["prot-unreachable", "Destination Protocol Unreachable"],
  ["port-unreachable", "Destination Port Unreachable"],
  ["net-prohibited", "Destination Net Prohibited"],
  ["host-prohibited", "Destination Host Prohibited"],
  ["admin-prohibited", "Packet filtered"],
];

Deno.test({
  name: "ICMP errors: what Linux tells is what a ping says, and what ends a connect",
  ignore,
  async fn() {
    await using daemon = await Daemon.start();
    const { net, socketPath } = daemon;
    const ping = async (address: string, ...more: string[]) => {
      const words = ["ping", "--socket", socketPath, "-c", "1", "-W", "3", ...more, address];
      const { stdout } = await net.run([...lvlIp, ...words]);
      return /^From \S+ icmp_seq=1 (.*)$/m.exec(stdout)?.[1] ?? stdout;
    };
    const rules = REJECTIONS.map(([word], i) =>
      `nft add rule ip t c ip daddr 10.50.0.${i} reject with icmp type ${word}`
    );
    await net.sh(`echo 1 > /proc/sys/net/ipv4/ip_forward; echo 0 > /proc/sys/net/ipv4/icmp_ratelimit
      echo 1 > /proc/sys/net/ipv4/ipfrag_time
      ip link add d0 type bridge; ip link set d0 up; ip route add 10.50.0.0/24 dev d0
      nft add table ip t; nft 'add chain ip t c { type filter hook forward priority 0; }'
      ${rules.join("\n")}
      ip route add unreachable 10.51.0.0/24; ip route add prohibit 10.52.0.0/24
      nft add rule ip t c ip daddr 10.50.0.99 tcp dport 80 reject with icmp type port-unreachable`);
    // First what the kernel's routes say: it counts every error against a limit that holds for these alone.
    assertEquals(await ping("10.51.0.1"), "Destination Host Unreachable");
    assertEquals(await ping("10.52.0.1"), "Packet filtered");
    assertEquals(await ping("10.99.0.1"), "Destination Net Unreachable", "the kernel has no route");
    const said = await Promise.all(REJECTIONS.map((_, i) => ping(`10.50.0.${i}`)));
    assertEquals(said, REJECTIONS.map(([, words]) => words));
    assertEquals(await ping("10.50.0.77", "-t", "1"), "Time to live exceeded");

    // Only first fragments get in: the kernel gives the rest up after a second.
    await net.sh(`nft 'add chain ip t early { type filter hook prerouting priority -450; }'
      nft add rule ip t early ip saddr ${STACK} ip frag-off '&' 0x1fff != 0 drop`);
    assertEquals(await ping(KERNEL, "-s", "3000"), "Frag reassembly time exceeded");

    // RFC 5461: a hard error ends what is being opened, at once.
    for (const [host, code] of [["10.50.0.99", "ECONNREFUSED"], ["10.50.0.6", "EHOSTUNREACH"]]) {
      const error = await assertRejects(() => connect({ hostname: host, port: 80, socketPath }));
      assertEquals((error as Error & { code: string }).code, code);
    }
    const { counters } = await status({ socketPath });
    assert(counters.icmpErrorsIn >= REJECTIONS.length + 6, JSON.stringify(counters));
  },
});

/** Answers every echo request with "parameter problem" about it, from the kernel's side. */
const CRITIC = `
import socket, struct
def checksum(data):
  total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
  while total >> 16: total = (total & 0xffff) + (total >> 16)
  return ~total & 0xffff
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
print("up", flush=True)
while True:
  data = s.recv(65536)
  if data[(data[0] & 15) * 4] != 8: continue
  body = struct.pack("!BBHI", 12, 0, 0, 20 << 24) + data[:28]
  s.sendto(body[:2] + struct.pack("!H", checksum(body)) + body[4:], ("${STACK}", 0))`;

Deno.test({
  name: "ICMP errors: a parameter problem is told to whom it concerns",
  ignore,
  async fn() {
    await using daemon = await Daemon.start();
    const { net, socketPath } = daemon;
    await net.sh("echo 1 > /proc/sys/net/ipv4/icmp_echo_ignore_all");
    await using critic = await net.spawn(["python3", "-c", CRITIC]);
    await critic.waitFor("up");
    const { stdout } = await net.run([...lvlIp, "ping", "--socket", socketPath, "-c", "1", KERNEL]);
    assertMatch(stdout, new RegExp(`^From ${KERNEL} icmp_seq=1 Parameter problem`, "m"));
  },
});

Deno.test({
  name: "ICMP errors: a Linux router's redirect is followed with --accept-redirects, and not without",
  ignore,
  async fn() {
    for (const accepted of [true, false]) {
      const world = await Namespaces.create("router", "other");
      const [router, other] = world.all;
      await using daemon = await Daemon.startIn(world, ...(accepted ? ["--accept-redirects"] : []));
      const { socketPath } = daemon;
      // The router and a better one are on the same link, by a bridge.
      await router.sh(`ip addr flush dev tap0; ip link add br0 type bridge; ip link set tap0 master br0
        ip addr add ${KERNEL}/24 dev br0; ip link set br0 up
        ip link add cable type veth peer name eth0 netns other; ip link set cable master br0; ip link set cable up
        echo 1 > /proc/sys/net/ipv4/ip_forward
        for each in all br0; do echo 1 > /proc/sys/net/ipv4/conf/$each/send_redirects; done
        ip route add 10.66.0.0/24 via 10.0.0.6`);
      await other.sh(
        "ip addr add 10.0.0.6/24 dev eth0; ip link set eth0 up; ip addr add 10.66.0.1/32 dev lo",
      );
      const run = (...words: string[]) => router.exec([...lvlIp, ...words, "--socket", socketPath]);
      assertMatch(await run("ping", "-c", "3", "-i", "0.2", "10.66.0.1"), / 0% packet loss/);
      const { counters } = await status({ socketPath });
      assert(counters.icmpErrorsIn > 0, "the router told");
      const [way] = JSON.parse(await run("route", "get", "10.66.0.1", "--json"));
      assertEquals(way.gateway, accepted ? "10.0.0.6" : KERNEL);
      assertEquals(/^10\.66\.0\.1 +via 10\.0\.0\.6 .*proto redirect/m.test(await run("route")), accepted);
    }
  },
});
