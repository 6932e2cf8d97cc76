/** The namespaces that the other end-to-end tests stand on. */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { hasNamespaces, Namespaces } from "../support/netns.ts";

Deno.test({
  name: "namespaces: two hosts reach each other over a cable, and the host sees nothing of it",
  ignore: !hasNamespaces(),
  async fn() {
    await using world = await Namespaces.create("left", "right");
    const [left, right] = world.all;
    await world.link(left, "eth0", "10.1.0.1/24", right, "eth0", "10.1.0.2/24");
    const listener = "require('net').createServer(s => s.pipe(s)).listen(7, () => console.log('ready'))";
    await using server = await right.spawn(["node", "-e", listener]);
    await server.waitFor("ready");
    const talk = "const s = require('net').connect(7, '10.1.0.2', () => s.end('hi')); s.pipe(process.stdout)";
    assertEquals(await left.exec(["node", "-e", talk]), "hi");
    assertEquals((await left.sh("ls /run")).trim(), "netns");
  },
});

Deno.test({
  name: "namespaces: a process is killed by its own pid, and all of them with the world",
  ignore: !hasNamespaces(),
  async fn() {
    const world = await Namespaces.create();
    const [alone] = world.all;
    const first = await alone.spawn(["sleep", "1000"]);
    first.kill("SIGTERM");
    assertEquals((await first.finished()).signal, "SIGTERM");
    const second = await alone.spawn(["sh", "-c", "sleep 1000 & echo up; wait"]);
    await second.waitFor("up");
    assertMatch(await alone.sh("cat /proc/[0-9]*/cmdline"), /echo up/);
    await world[Symbol.asyncDispose]();
    assert(!(await second.status).success);
    await assertRejects(() => Deno.stat(`/proc/${second.pid}`), Deno.errors.NotFound);
    await assertRejects(() => Deno.stat(world.directory), Deno.errors.NotFound);
  },
});

Deno.test({
  name: "namespaces: exec throws with what the command said, run answers with its status",
  ignore: !hasNamespaces(),
  async fn() {
    await using world = await Namespaces.create();
    const [alone] = world.all;
    await assertRejects(() => alone.sh("echo lost >&2; exit 3"), Error, "lost");
    const done = await alone.run(["cat"], { stdin: "through" });
    assertEquals([done.code, done.stdout], [0, "through"]);
    await assertRejects(() => alone.exec(["sleep", "100"], { timeoutMs: 50 }), Error, "within 50 ms");
  },
});
