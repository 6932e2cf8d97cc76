/** `lvl-ip addr`, `route` and `neigh` on a running daemon, and what a Linux peer sees of it. */
import { assertEquals, assertMatch } from "@std/assert";
import { Daemon } from "../support/daemon.ts";
import { hasNamespaces, lvlIp } from "../support/netns.ts";

Deno.test({
  name: "addresses, routes and neighbours are changed while the daemon runs, and Linux sees it",
  ignore: !hasNamespaces(),
  async fn() {
    await using daemon = await Daemon.start();
    const { net, socketPath } = daemon;
    const run = (words: string) => net.exec([...lvlIp, ...words.split(" "), "--socket", socketPath]);
    const isHeard = async (address: string) =>
      (await net.run(["ping", "-c", "1", "-W", "1", address])).code === 0;

    // What the kernel knew of somebody else's address is mended by the announcement (RFC 5227 2.3).
    await net.sh("ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:66 dev tap0 nud stale");
    await run("addr add 10.0.0.9/24 dev tap0");
    assertEquals(await isHeard("10.0.0.9"), true);
    assertMatch(await net.exec(["ip", "neigh", "show", "10.0.0.9"]), /lladdr 02:00:0a:00:00:04/);
    await run("addr del 10.0.0.9/24 dev tap0");
    await net.sh("ip neigh flush to 10.0.0.9 dev tap0");
    assertEquals(await isHeard("10.0.0.9"), false);
    assertMatch(await run("addr"), /^ {4}inet 10\.0\.0\.4\/24 {2}brd 10\.0\.0\.255 {2}scope global tap0$/m);

    // A network of its own on the same link, and the address that belongs to it.
    await net.sh("ip addr add 10.7.0.1/24 dev tap0; ip addr add 10.8.0.1/32 dev lo");
    await run("addr add 10.7.0.2/24 dev tap0");
    await run("route add 10.8.0.0/24 via 10.7.0.1");
    assertMatch(
      await run("route get 10.8.0.1"),
      /^10\.8\.0\.1 {2}via 10\.7\.0\.1 {2}dev tap0 {2}src 10\.7\.0\.2$/m,
    );
    await using capture = await net.spawn([
      "tcpdump",
      "-Z",
      "root",
      "--immediate-mode",
      "-lnc",
      "1",
      "-i",
      "tap0",
      "icmp[0] == 8",
    ]);
    await capture.waitFor("listening on");
    assertMatch(await run("ping -c 1 10.8.0.1"), / 0% packet loss/);
    await capture.waitFor("10.7.0.2 > 10.8.0.1");
    await run("route del 10.8.0.0/24");
    await run("route add unreachable 10.8.0.0/24");
    const refused = await net.run([...lvlIp, "connect", "--socket", socketPath, "10.8.0.1:80"]);
    assertMatch(refused.stderr, /^lvl-ip: Cannot connect to 10\.8\.0\.1:80: No route to host/);

    // A neighbour that a person has named is asked for by nobody, right or wrong.
    await run("neigh replace 10.0.0.5 lladdr 02:00:00:00:00:99 dev tap0");
    assertMatch(await run("ping -c 1 -W 0.3 10.0.0.5").catch((error) => error.message), / 100% packet loss/);
    await run("neigh del 10.0.0.5 dev tap0");
    assertMatch(await run("ping -c 1 10.0.0.5"), / 0% packet loss/);

    const exists = await net.run([
      ...lvlIp,
      "addr",
      "add",
      "10.0.0.4/24",
      "dev",
      "tap0",
      "--socket",
      socketPath,
    ]);
    assertEquals([exists.code, exists.stderr], [
      1,
      'lvl-ip: Cannot do "addr add 10.0.0.4/24 dev tap0": it is there already (replace does not mind)\n',
    ]);
    const nonsense = await net.run([...lvlIp, "route", "add", "--socket", socketPath]);
    assertEquals(nonsense.code, 2);
  },
});
