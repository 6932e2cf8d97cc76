/** The stack as a router between two Linux kernels. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { status } from "../../mod.ts";
import { DIGEST_SERVER, randomBytes, sha256 } from "../support/daemon.ts";
import { hasNamespaces, type Namespace } from "../support/netns.ts";
import { LEFT, OURS, RIGHT, RouterWorld } from "../support/router_world.ts";

const ignore = !hasNamespaces();

const PYTHON_SERVER = ["python3", "-uc", `import socket, hashlib\n${DIGEST_SERVER}`];

/** Sends a file to the digest server at `host` and compares. */
async function transfer(world: RouterWorld, from: Namespace, to: Namespace, host: string): Promise<void> {
  const bytes = randomBytes(20_000_000);
  const file = `${world.daemon.world.directory}/data`;
  await Deno.writeFile(file, bytes);
  await using server = await to.spawn(PYTHON_SERVER);
  await server.waitFor("up");
  assertEquals(await from.exec(["sh", "-c", `nc -N ${host} 7001 < ${file}`]), await sha256(bytes));
}

Deno.test({
  name: "router: ping, traceroute and large TCP with offload pass between two kernels",
  ignore,
  async fn() {
    await using world = await RouterWorld.start();
    const { left, right } = world;
    assertStringIncludes(await left.exec(["ping", "-c", "3", "-i", "0.1", RIGHT]), "ttl=63");
    assertMatch(await left.exec(["ping", "-f", "-q", "-c", "500", "-s", "4000", RIGHT]), / 0% packet loss/);
    const hops = await left.exec(["traceroute", "-n", "-q", "1", RIGHT]);
    assertMatch(hops, new RegExp(`^ 1 {2}${OURS.left} .*\n 2 {2}${RIGHT} `, "m"));
    assertMatch(
      (await left.run(["ping", "-c", "1", "-t", "1", RIGHT])).stdout,
      new RegExp(`^From ${OURS.left} icmp_seq=1 Time to live exceeded$`, "m"),
    );
    const recorded = await left.exec(["ping", "-n", "-c", "1", "-R", RIGHT]);
    assertMatch(recorded, /RR: \t10\.1\.0\.2\s+10\.2\.0\.1\s+10\.2\.0\.2/);
    await transfer(world, left, right, RIGHT);
    await transfer(world, right, left, LEFT);
    const { counters } = await status({ socketPath: world.socketPath });
    assert(counters.ipForwarded > 1000, JSON.stringify(counters));
    assert(counters.bytesOut / counters.framesOut > 2000, "segments went on as large as they came");
    assertEquals(counters["drop.frameOffloadInvalid"], undefined);
  },
});

Deno.test({
  name: "router: a smaller MTU on the way is told, learnt and kept; what may be is fragmented",
  ignore,
  async fn() {
    await using world = await RouterWorld.start(["--forward"], 1000);
    const { left, right } = world;
    // The peer's SYN would tell it: only the router does.
    await right.sh(`ip route change default via ${OURS.right} advmss 1460`);
    await right.sh("ip link set tap1 mtu 1000");
    const large = await left.run(["ping", "-c", "1", "-M", "do", "-s", "1400", RIGHT]);
    assertStringIncludes(large.stdout, `From ${OURS.left} icmp_seq=1 Frag needed and DF set (mtu = 1000)`);
    assertMatch(await left.exec(["ip", "route", "get", RIGHT]), /cache expires \d+sec mtu 1000/);
    await left.sh("ip route flush cache");
    assertMatch(
      await left.exec(["ping", "-c", "2", "-i", "0.2", "-M", "dont", "-s", "3000", RIGHT]),
      / 0% packet/,
    );
    await transfer(world, left, right, RIGHT);
    assertMatch(await left.exec(["ip", "route", "get", RIGHT]), /mtu 1000/);
    await transfer(world, right, left, LEFT);
    const { counters } = await status({ socketPath: world.socketPath });
    assert(counters.ipFragmented > 0 && counters["drop.ipTooBig"] > 0, JSON.stringify(counters));
  },
});

/** What a ping from the left hears of `address`. */
async function heard(left: Namespace, address: string): Promise<string> {
  const { stdout } = await left.run(["ping", "-c", "1", "-W", "10", address]);
  return /^From \S+ icmp_seq=1 (.*)$/m.exec(stdout)?.[1] ?? stdout;
}

Deno.test({
  name: "router: Linux is told what is unreachable and why, and is redirected",
  ignore,
  async fn() {
    await using world = await RouterWorld.start();
    const { left, daemon } = world;
    await world.lvlIp("route", "add", "unreachable", "10.77.1.0/24");
    await world.lvlIp("route", "add", "prohibit", "10.77.2.0/24");
    const [none, unreachable, prohibited, silent] = await Promise.all(
      ["10.99.0.1", "10.77.1.1", "10.77.2.1", "10.2.0.77"].map((address) => heard(left, address)),
    );
    assertEquals(
      { none, unreachable, prohibited, silent },
      {
        none: "Destination Net Unreachable",
        unreachable: "Destination Host Unreachable",
        prohibited: "Packet filtered",
        silent: "Destination Host Unreachable",
      },
    );

    // Another router on the left's link, by a bridge there.
    const other = await daemon.world.add("other");
    await left.sh(`ip addr flush dev tap0
      ip link add br0 type bridge; ip link set tap0 master br0; ip link set br0 up
      ip addr add ${LEFT}/24 dev br0; ip route add default via ${OURS.left}
      for each in all br0; do echo 1 > /proc/sys/net/ipv4/conf/$each/accept_redirects; done
      ip link add cable netns left type veth peer name eth0 netns other
      ip link set cable master br0; ip link set cable up`);
    await other.sh("ip addr add 10.1.0.9/24 dev eth0; ip link set eth0 up; ip addr add 10.66.0.1/32 dev lo");
    await world.lvlIp("route", "add", "10.66.0.0/24", "via", "10.1.0.9");
    assertMatch(await left.exec(["ping", "-c", "2", "-i", "0.2", "10.66.0.1"]), / 0% packet loss/);
    const way = await left.exec(["ip", "route", "get", "10.66.0.1"]);
    assertMatch(way, /via 10\.1\.0\.9 .*\n.*redirected/);
  },
});

Deno.test({
  name: "router: without --forward it is a host with two links, that uses the right address on each",
  ignore,
  async fn() {
    await using world = await RouterWorld.start([]);
    const { left, right, socketPath } = world;
    assertEquals((await left.run(["ping", "-c", "1", "-W", "0.3", RIGHT])).code, 1);
    await right.sh("ip addr add 10.3.0.1/32 dev lo");
    await left.sh("ip addr add 10.4.0.1/32 dev lo");
    await world.lvlIp("route", "add", "10.3.0.0/24", "via", RIGHT);
    await world.lvlIp("route", "add", "10.4.0.0/24", "via", LEFT, "src", OURS.right);
    // The host and the loopback of a kernel peer say whom they see.
    const server = `import socket
s = socket.create_server(("", 7100)); print("up")
while True: c, peer = s.accept(); c.sendall(peer[0].encode()); c.close()`;
    await using a = await left.spawn(["python3", "-uc", server]);
    await using b = await right.spawn(["python3", "-uc", server]);
    await Promise.all([a.waitFor("up"), b.waitFor("up")]);
    const seen = await Promise.all(
      [LEFT, RIGHT, "10.3.0.1", "10.4.0.1"].map((host) => world.lvlIp("connect", `${host}:7100`)),
    );
    assertEquals(seen, [OURS.left, OURS.right, OURS.right, OURS.right]);
    assertEquals(
      await status({ socketPath }).then((daemon) => daemon.interfaces.map((link) => link.ifname)),
      [
        "lo",
        "tap0",
        "tap1",
      ],
    );
  },
});
