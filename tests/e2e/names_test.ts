import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { connect, lookUp, NameError, resolve, status } from "../../mod.ts";
import { hasNamespaces, lvlIp } from "../support/netns.ts";
import { hasPrograms, KERNEL, ShimWorld } from "../support/shim.ts";

const ignore = !hasNamespaces() || !hasPrograms("python3");
const SERVER = decodeURIComponent(new URL("../support/dns_server.py", import.meta.url).pathname);

/** A world whose daemon asks a name server of the kernel's side. */
async function startWorld(...options: string[]): Promise<ShimWorld> {
  const world = await ShimWorld.start("--dns", KERNEL, "--dns-search", "test", ...options);
  const server = await world.net.spawn(["python3", SERVER, KERNEL]);
  await server.waitFor("up");
  return world;
}

async function counters(world: ShimWorld): Promise<Record<string, number>> {
  return (await status(world)).counters;
}

Deno.test({
  name: "names: good, bad and hostile answers through the whole stack",
  ignore,
  async fn() {
    await using world = await startWorld();
    const { socketPath } = world;
    assertEquals(await resolve("www.test", { socketPath }), ["192.0.2.1"]);
    // The search list.
    assertEquals((await lookUp("www", { socketPath })).names, ["www.test"]);
    assertEquals((await lookUp("chain.test", { socketPath })).names, [
      "chain.test",
      "middle.test",
      "end.test",
    ]);
    assertEquals((await lookUp("192.0.2.9", { socketPath, type: "PTR" })).names, ["host.test"]);
    assertEquals((await resolve("many.test", { socketPath })).length, 100);
    assertEquals(await resolve("old.test", { socketPath }), ["192.0.2.1"]);
    assertEquals(await resolve("spoofed.test", { socketPath }), ["192.0.2.1"]);
    const all = await Promise.all(
      Array.from({ length: 50 }, (_, i) => resolve(`n${i}.test`, { socketPath })),
    );
    assertEquals(new Set(all.flat()), new Set(["192.0.2.1"]));
    const seen = await counters(world);
    assertEquals([seen["dns.wrongId"], seen["dns.wrongQuestion"], seen["dns.malformed"]], [1, 1, 1]);
    assertEquals([seen["dns.queriesOverTcp"], seen["dns.ednsRefused"]], [1, 1]);
    assert(seen["dns.cacheHits"] > 0);
    for (
      const [name, code, text] of [
        ["nobody.test", "EAI_NONAME", /no such name \(NXDOMAIN from 10\.0\.0\.5\)/],
        ["void.test", "EAI_NODATA", /no A record/],
        ["broken.test.", "EAI_AGAIN", /SERVFAIL from 10\.0\.0\.5/],
        ["a b", "EAI_NONAME", /cannot be the name/],
      ] as const
    ) {
      const error = await assertRejects(() => resolve(name, { socketPath }), NameError);
      assertEquals(error.code, code);
      assertMatch(error.message, text);
    }
    await assertRejects(() => connect({ hostname: "nobody.test", port: 1, socketPath }), NameError);
  },
});

Deno.test({
  name:
    "names: a lost query is sent again, askers that go away are forgotten, and without a server it is said",
  ignore,
  async fn() {
    await using world = await ShimWorld.start();
    const { socketPath, net } = world;
    // The world's own files, which the daemon looks at again when they change.
    const conf = "nameserver 127.0.0.53\\noptions timeout:1\\n";
    await net.sh(`cd ${world.directory}; printf '${conf}' > conf; printf '10.7.7.7 listed\\n' > hosts
      mount --bind conf /etc/resolv.conf; mount --bind hosts /etc/hosts`);
    const error = await assertRejects(() => resolve("www.test", { socketPath }), NameError);
    assertMatch(error.message, /no name server is known .* --dns/);
    assertEquals(await resolve("Listed", { socketPath }), ["10.7.7.7"]);
    await world.daemon.waitFor(/cannot reach those of \/etc\/resolv.conf \(127\.0\.0\.53\)/);
    // Where systemd-resolved says whom its stub on 127.0.0.53 asks.
    await net.sh(
      `mkdir -p /run/systemd/resolve; echo nameserver ${KERNEL} > /run/systemd/resolve/resolv.conf`,
    );
    const server = await net.spawn(["python3", SERVER, KERNEL]);
    await server.waitFor("up");
    // The files are looked at once a second at most.
    await new Promise((done) => setTimeout(done, 1100));
    assertEquals(await resolve("lost.test", { socketPath }), ["192.0.2.1"]);
    const asker = await net.spawn([...lvlIp, "resolve", "--socket", socketPath, "silent.test"]);
    for (let sent = 0; sent < 4;) sent = (await counters(world))["dns.queries"];
    asker.kill();
    await asker.finished();
    const silent = { hostname: "silent.test", port: 1, socketPath };
    await assertRejects(() => connect({ ...silent, timeoutMs: 100 }), Deno.errors.TimedOut);
    const end = new AbortController();
    const looked = lookUp("silent.test", { socketPath, signal: end.signal });
    setTimeout(() => end.abort(new Error("enough")), 50);
    await assertRejects(() => looked, Error, "enough");
    const { clients, nameServers } = await status({ socketPath });
    assertEquals([clients, nameServers], [1, [KERNEL]]);
  },
});
