import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { lvlIp } from "../support/netns.ts";
import { noWorld, programTest } from "../support/programs.ts";
import { KERNEL, ShimWorld } from "../support/shim.ts";

Deno.test({
  name: "run: exit status, signals, no daemon, and a daemon of its own",
  ignore: noWorld,
  async fn() {
    await using world = await ShimWorld.start();
    const run = (...command: string[]) => world.net.run(world.onStack(command));
    assertEquals((await run("sh", "-c", "exit 3")).code, 3);
    assertEquals((await run("sh", "-c", "kill -TERM $$")).signal ?? "SIGTERM", "SIGTERM");
    assertEquals((await run("no-such-program")).code, 127);
    assertEquals((await run("/etc/passwd")).code, 126);
    // A program that clears its environment, as servers do that execute themselves anew.
    const cleared = await run("env", "-i", "/usr/bin/env");
    assertMatch(cleared.stdout, /^LD_PRELOAD=.*liblevelip\.so$/m);
    const owned = (
      ...words: string[]
    ) => [...lvlIp, "run", ...words, "--socket", world.socketPath, "--", "true"];
    const late = await world.net.run(owned("--daemon", "--dns", "192.0.2.53"));
    assertEquals(late.code, 1);
    assertStringIncludes(late.stderr, "A daemon runs already at");
    assertEquals((await world.net.run(owned("--mtu", "1400"))).code, 2, "no daemon is to be started");
    world.daemon.kill("SIGINT");
    await world.daemon.finished();
    const none = await run("true");
    assertEquals(none.code, 1);
    assertStringIncludes(none.stderr, "No lvl-ip daemon answers at");
    const path = (await world.net.exec([...lvlIp, "shim", "--path"])).trim();
    const direct = await world.net.run(["curl", "-sS", `http://${KERNEL}/`], {
      env: { LD_PRELOAD: path, LVLIP_SOCKET: world.socketPath },
    });
    assertStringIncludes(direct.stderr, "lvl-ip: no daemon answers at");
    await using server = await world.kernelServer(80, ["python3", "-m", "http.server", "80"]);
    const own = [...lvlIp, "run", "--daemon", "--socket", world.socketPath];
    assertStringIncludes(await world.net.exec([...own, "--", "curl", "-sSI", `http://${KERNEL}/`]), "200 OK");
    const options = ["--dns", "192.0.2.53", "192.0.2.54", "--mtu", "1400"];
    const status = await world.net.exec([...own, ...options, "--", ...lvlIp, "status", "--json"]);
    assertMatch(status, /"nameServers": ?\[\s*"192\.0\.2\.53",\s*"192\.0\.2\.54"\s*\]/);
    assertMatch(status, /"mtu": ?1400\b/);
    server.kill();
  },
});

programTest(
  "children of another user, with a cleared environment",
  ["setpriv"],
  async (world) => {
    await using _server = await world.kernelServer(80, ["python3", "-m", "http.server", "80"]);
    const drop = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "env", "-i"];
    const fetch = ["/usr/bin/curl", "-sSI", `http://${KERNEL}/`];
    assertStringIncludes(await world.exec([...drop, ...fetch]), "200 OK");
    // The same user without somebody who let it in.
    const library = (await world.net.exec([...lvlIp, "shim", "--path"])).trim();
    const stranger = [`LD_PRELOAD=${library}`, `LVLIP_SOCKET=${world.socketPath}`];
    const refused = await world.net.run([...drop, ...stranger, ...fetch]);
    assertEquals(refused.code, 7);
    const why = "serves only its own user, root and the group it was started with";
    assertStringIncludes(refused.stderr, why);
    const serve = ["/usr/bin/python3", "-m", "http.server", "8080"];
    const server = await world.net.run([...drop, ...stranger, ...serve]);
    assertEquals(server.code, 1);
    assertStringIncludes(server.stderr, why);
    assertStringIncludes(server.stderr, "PermissionError: [Errno 13]");
  },
  Deno.uid() === 0,
);
