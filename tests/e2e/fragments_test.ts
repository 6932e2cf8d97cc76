/** Fragments to and from the Linux kernel, and paths with a smaller MTU in the middle. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { connect, listenDatagram, ping, status } from "../../mod.ts";
import { Daemon, DIGEST_SERVER, randomBytes, readAll, sendAll, sha256 } from "../support/daemon.ts";
import { hasNamespaces, lvlIp, Namespaces } from "../support/netns.ts";
import { KERNEL, ShimWorld, STACK } from "../support/shim.ts";

const ignore = !hasNamespaces();

/** Sends messages to an echo server and counts those that come back as they were. */
const UDP_CLIENT = `
import os, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], 7001)); s.settimeout(0.5)
good = 0
for size in map(int, sys.argv[2:]):
  sent = os.urandom(size); s.send(sent)
  try:
    while s.recv(65536) != sent: pass
    good += 1
  except TimeoutError: pass
print(good)`;

const UDP_SERVER = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 7001)); print("up", flush=True)
while True:
  data, peer = s.recvfrom(65536); s.sendto(data, peer)`;

const SIZES = ["0", "1", "1472", "1473", "2952", "8000", "30001", "65506", "65507"];

Deno.test({
  name: "fragments: the kernel's large pings are answered, and ours are",
  ignore,
  async fn() {
    await using daemon = await Daemon.start();
    const { net, socketPath } = daemon;
    const slow = await net.exec(["ping", "-c", "3", "-i", "0.2", "-s", "65507", STACK]);
    assertStringIncludes(slow, " 0% packet loss");
    assert(!slow.includes("wrong data"));
    assertStringIncludes(await net.exec(["ping", "-f", "-c", "500", "-s", "8000", STACK]), " 0% packet loss");
    const sizes = [];
    for await (const event of await ping(KERNEL, { count: 3, intervalMs: 50, size: 65_507, socketPath })) {
      sizes.push(event.kind === "reply" ? event.bytes : event.error);
    }
    assertEquals(sizes, [65_515, 65_515, 65_515]);
    const { counters } = await status({ socketPath });
    assertEquals(counters.ipReassembled, 3 + 500 + 3);
    assertEquals(counters.ipFragmented, 3 + 500 + 3);
    assertEquals(await daemon.stop(), 0);
  },
});

Deno.test({
  name: "fragments: UDP of every size up to 65507 bytes, both ways",
  ignore,
  async fn() {
    await using world = await ShimWorld.start();
    await using kernel = await world.net.spawn(["python3", "-c", UDP_SERVER]);
    await kernel.waitFor("up");
    assertEquals(await world.exec(["python3", "-c", UDP_CLIENT, KERNEL, ...SIZES]), `${SIZES.length}\n`);
    await using ours = await world.spawn(["python3", "-c", UDP_SERVER]);
    await ours.waitFor("up");
    assertEquals(
      await world.net.exec(["python3", "-c", UDP_CLIENT, STACK, ...SIZES]),
      `${SIZES.length}\n`,
    );
  },
});

Deno.test({
  name: "fragments: through loss, reordering and duplication nothing arrives but what was sent",
  ignore,
  async fn() {
    await using world = await ShimWorld.start(
      "--impair",
      "loss=5% reorder=20% duplicate=10% delay=1ms seed=5",
    );
    await using kernel = await world.net.spawn(["python3", "-c", UDP_SERVER]);
    await kernel.waitFor("up");
    const sizes = Array.from({ length: 30 }, (_, i) => `${2000 + 200 * i}`);
    const good = Number(await world.exec(["python3", "-c", UDP_CLIENT, KERNEL, ...sizes]));
    assert(good >= 3, `${good} of ${sizes.length}`);
    const said =
      (await world.net.run(["ping", "-c", "60", "-i", "0.02", "-s", "5000", "-W", "1", STACK])).stdout;
    assert(!said.includes("wrong data"));
    assert(Number(/(\d+) received/.exec(said)?.[1]) >= 10, said);
    const { counters } = await status({ socketPath: world.socketPath });
    assertEquals(
      Object.keys(counters).filter((name) => /drop.*(Overlap|End|Refused|Checksum)/.test(name)),
      [],
    );
  },
});

Deno.test({
  name: "path MTU: TCP and UDP get through a network in the middle that takes 1000 bytes",
  ignore,
  async fn() {
    const world = await Namespaces.create("router", "peer");
    const [router, peer] = world.all;
    await world.link(router, "eth1", "10.9.0.1/24", peer, "eth0", "10.9.0.2/24");
    await router.sh("ip link set eth1 mtu 1000; echo 1 > /proc/sys/net/ipv4/ip_forward");
    // The peer knows, but does not say so in its SYN: only the router tells us.
    await peer.sh("ip route add default via 10.9.0.1 mtu 1000 advmss 1460");
    await using daemon = await Daemon.startIn(world);
    const { socketPath } = daemon;
    await using server = await peer.spawn(["python3", "-uc", `import socket, hashlib\n${DIGEST_SERVER}`]);
    await server.waitFor("up");
    const bytes = randomBytes(1_000_000);
    using connection = await connect({ hostname: "10.9.0.2", port: 7001, socketPath });
    await sendAll(connection, bytes);
    await connection.closeWrite();
    assertEquals(new TextDecoder().decode(await readAll(connection)), await sha256(bytes));
    // UDP of this process's own: what is too large is told once, and goes through from then on, in fragments or whole.
    await using echo = await peer.spawn(["python3", "-c", UDP_SERVER]);
    await echo.waitFor("up");
    using datagrams = await listenDatagram({ remote: { hostname: "10.9.0.2", port: 7001 }, socketPath });
    for (const size of [972, 1400, 20_000]) {
      const sent = randomBytes(size);
      await datagrams.send(sent);
      assertEquals((await datagrams.receive())[0], sent);
    }
    // What TCP learned, pings know: they go out in fragments that fit, as the router need not make any.
    const before = (await status({ socketPath })).counters.ipFragmentsOut;
    for await (const event of await ping("10.9.0.2", { count: 1, size: 1472, socketPath })) {
      assertEquals(event.kind === "reply" ? event.bytes : event.error, 1480);
    }
    assertEquals((await status({ socketPath })).counters.ipFragmentsOut - before, 2);
    const command = [...lvlIp, "ping", "--socket", socketPath, "-c", "1", "-M", "do"];
    const tooLong = await router.run([...command, "-s", "973", "10.9.0.2"]);
    assertEquals([tooLong.code, tooLong.stderr], [1, "lvl-ip: local error: message too long, mtu=1000\n"]);
    assertStringIncludes(await router.exec([...command, "-s", "972", "10.9.0.2"]), " 0% packet loss");
    const probe = await router.run([...command, "-M", "probe", "-s", "973", "10.9.0.2"]);
    assertMatch(probe.stdout, /From 10\.0\.0\.5 icmp_seq=1 Frag needed and DF set \(mtu = 1000\)/);
    assertMatch(await peer.exec(["ping", "-c", "2", "-i", "0.2", "-s", "20000", STACK]), / 0% packet loss/);
  },
});

Deno.test({
  name:
    "path MTU: TCP gets through a network in the middle that takes 1000 bytes and says nothing (RFC 4821)",
  ignore,
  async fn() {
    const world = await Namespaces.create("router", "peer");
    const [router, peer] = world.all;
    await world.link(router, "eth1", "10.9.0.1/24", peer, "eth0", "10.9.0.2/24");
    await router.sh(`ip link set eth1 mtu 1000; echo 1 > /proc/sys/net/ipv4/ip_forward
      nft add table ip t; nft 'add chain ip t out { type filter hook output priority 0; }'
      nft add rule ip t out icmp type destination-unreachable counter drop`);
    await peer.sh("ip route add default via 10.9.0.1 mtu 1000 advmss 1460");
    await using daemon = await Daemon.startIn(world, "--sysctl", "tcp_rto_min_us=20000");
    const { socketPath } = daemon;
    await using server = await peer.spawn(["python3", "-uc", `import socket, hashlib\n${DIGEST_SERVER}`]);
    await server.waitFor("up");
    const bytes = randomBytes(300_000);
    using connection = await connect({ hostname: "10.9.0.2", port: 7001, socketPath });
    await sendAll(connection, bytes);
    await connection.closeWrite();
    assertEquals(new TextDecoder().decode(await readAll(connection)), await sha256(bytes));
    assertMatch(await router.exec(["nft", "list", "ruleset"]), /counter packets [1-9]/);
    assertEquals((await status({ socketPath })).counters.icmpErrorsIn, 0);
  },
});
