import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { connect, DaemonUnreachableError, listen, ping, status } from "../../mod.ts";
import { Daemon, DIGEST_SERVER, readAll, sendAll, SERVER, transferBothWays } from "../support/daemon.ts";
import { hasNamespaces, lvlIp, Namespaces } from "../support/netns.ts";

const ignore = !hasNamespaces();

Deno.test({
  name: "daemon: the kernel's ping is answered, ours too, and status tells of it",
  ignore,
  async fn() {
    await using daemon = await Daemon.start();
    const { socketPath, net } = daemon;
    assertEquals(
      daemon.process.stdout.trim(),
      `lvl-ip: ready at 10.0.0.4/24 on tap0 (gateway 10.0.0.5), socket ${socketPath}`,
    );
    assertStringIncludes(await net.exec(["ping", "-f", "-c", "1000", "10.0.0.4"]), " 0% packet loss");
    const replies = [];
    for await (const event of await ping("10.0.0.5", { count: 3, intervalMs: 10, socketPath })) {
      replies.push(event);
    }
    assertEquals(replies.map(({ kind, seq }) => [kind, seq]), [["reply", 1], ["reply", 2], ["reply", 3]]);
    for await (const event of await ping("10.0.0.77", { count: 1, waitMs: 6000, socketPath })) {
      assert(event.kind === "error");
      assertEquals(event.error, "Destination Host Unreachable");
    }
    const report = await status({ socketPath });
    assertEquals([report.address, report.device, report.mac], ["10.0.0.4", "tap0", "02:00:0a:00:00:04"]);
    assert(report.neighbours.some(({ address, mac }) => address === "10.0.0.5" && mac !== null));
    assert(report.counters.icmpIn >= 1003);
    assertEquals(await daemon.stop(), 0);
  },
});

Deno.test({
  name: "daemon: streams to and from the kernel arrive whole, with and without offload",
  ignore,
  async fn() {
    for (
      const options of [[], ["--no-offload"], ["--impair", "loss=1% reorder=1% duplicate=1% seed=7"]]
    ) {
      await using daemon = await Daemon.start(...options);
      const size = options.join().includes("1%") ? 2_000_000 : 20_000_000;
      await transferBothWays(daemon, size);
      const { framesIn } = (await status({ socketPath: daemon.socketPath })).counters;
      assertEquals(framesIn > size / 1460, options.length > 0, `${framesIn} frames came in`);
    }
  },
});

Deno.test({
  name: "daemon: kernel clients talk to a listener of a Deno program",
  ignore,
  async fn() {
    await using daemon = await Daemon.start();
    const { socketPath, net } = daemon;
    using listener = await listen({ port: 8080, socketPath });
    const served = (async () => {
      for await (const connection of listener) {
        sendAll(connection, await readAll(connection)).then(() => connection.close());
      }
    })();
    const client = `import socket, sys
for i in range(20):
  c = socket.create_connection(("10.0.0.4", 8080)); c.sendall(b"x" * 100000); c.shutdown(1)
  n = 0
  while b := c.recv(65536): n += len(b)
  assert n == 100000, n
print("served")`;
    assertStringIncludes(await net.exec(["python3", "-c", client]), "served");
    listener.close();
    await served;
    const refused = await net.run(["nc", "-w", "2", "-v", "10.0.0.4", "8080"]);
    assertStringIncludes(refused.stderr, "refused");
  },
});

Deno.test({
  name: "daemon: refused, reset and half-closed connections are told apart",
  ignore,
  async fn() {
    await using daemon = await Daemon.start();
    const { socketPath } = daemon;
    await assertRejects(
      () => connect({ hostname: "10.0.0.5", port: 9, socketPath }),
      Deno.errors.ConnectionRefused,
      "10.0.0.5:9",
    );
    await assertRejects(
      () => connect({ hostname: "10.0.0.77", port: 9, socketPath }),
      Deno.errors.NetworkUnreachable,
      "no route to host",
    );
    const resetting = SERVER.replace("PORT", "7003") + `
while True:
  c, _ = s.accept(); c.recv(1)
  c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); c.close()`;
    await using _server = await daemon.python(resetting);
    using connection = await connect({ hostname: "10.0.0.5", port: 7003, socketPath });
    await sendAll(connection, new Uint8Array(1));
    await assertRejects(() => readAll(connection), Deno.errors.ConnectionReset, "10.0.0.5:7003");
  },
});

Deno.test({
  name: "daemon: no capability is left in any thread",
  ignore,
  async fn() {
    await using daemon = await Daemon.start();
    const { pid } = daemon.process;
    let threads = 0;
    for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
      const sets = Deno.readTextFileSync(`/proc/${pid}/task/${name}/status`).match(
        /^Cap(Inh|Prm|Eff|Amb):.*$/gm,
      )!;
      for (const set of sets) assertMatch(set, /:\t0+$/);
      threads++;
    }
    assert(threads > 2);
  },
});

Deno.test({
  name: "daemon: under sudo it becomes the user who called it, and cleans up as that user",
  ignore: ignore || Deno.uid() !== 0,
  async fn() {
    await using world = await Namespaces.create();
    const [net] = world.all;
    await using process = await net.spawn([...lvlIp, "daemon"], {
      env: { SUDO_UID: "1234", SUDO_GID: "1235" },
    });
    await process.waitFor(/ready/);
    for (const { name } of Deno.readDirSync(`/proc/${process.pid}/task`)) {
      const text = Deno.readTextFileSync(`/proc/${process.pid}/task/${name}/status`);
      assertMatch(text, /^Uid:\t1234\t1234\t1234\t1234$/m);
      assertMatch(text, /^Gid:\t1235\t1235\t1235\t1235$/m);
      for (const set of text.match(/^Cap(Inh|Prm|Eff|Amb):.*$/gm)!) assertMatch(set, /:\t0+$/);
    }
    assertStringIncludes(await net.exec(["ping", "-c", "1", "10.0.0.4"]), " 0% packet loss");
    process.kill("SIGTERM");
    assertEquals((await process.finished(5000)).code, 0);
    assertEquals(await net.exec(["ls", "/run/lvl-ip"]), "");
  },
});

Deno.test({
  name: "daemon: a clean end resets connections and leaves nothing behind",
  ignore,
  async fn() {
    await using daemon = await Daemon.start();
    const { socketPath, net } = daemon;
    const server = await daemon.python(
      SERVER.replace("PORT", "7004") + `
c, _ = s.accept(); print("accepted")
try: print("end", c.recv(1))
except ConnectionResetError: print("reset")`,
    );
    using connection = await connect({ hostname: "10.0.0.5", port: 7004, socketPath });
    await server.waitFor("accepted");
    assertEquals(await daemon.stop(), 0);
    await server.waitFor("reset");
    await assertRejects(() => readAll(connection), Deno.errors.ConnectionReset);
    await assertRejects(() => status({ socketPath }), DaemonUnreachableError, "no socket there");
    assertEquals((await net.run(["ip", "link", "show", "tap0"])).code, 1);
    assertEquals(daemon.process.stderr, "");
  },
});

Deno.test({
  name: "daemon: kill -9 of a program resets its connection and frees its listener",
  ignore,
  async fn() {
    await using daemon = await Daemon.start();
    const { socketPath, net } = daemon;
    const server = await daemon.python(
      SERVER.replace("PORT", "7005") + `
c, _ = s.accept()
try: print("end", c.recv(1))
except ConnectionResetError: print("reset")`,
    );
    const url = new URL("../../mod.ts", import.meta.url).href;
    const code = `import { connect, listen } from "${url}"; const socketPath = "${socketPath}";` +
      `await listen({ port: 99, socketPath }); await connect({ hostname: "10.0.0.5", port: 7005, socketPath });` +
      `console.log("connected"); await new Promise(() => setTimeout(() => {}, 1e6));`;
    await using program = await net.spawn([Deno.execPath(), "eval", "--no-lock", code]);
    await program.waitFor("connected");
    await assertRejects(() => listen({ port: 99, socketPath }), Deno.errors.AddrInUse);
    program.kill("SIGKILL");
    await server.waitFor("reset");
    await program.settled();
    using _again = await listen({ port: 99, socketPath });
    assertEquals((await status({ socketPath })).connections.filter(({ state }) => state === "ESTAB"), []);
  },
});

Deno.test({
  name: "daemon: kill -9 of it ends every call with an error, and a new one starts at once",
  ignore,
  async fn() {
    await using daemon = await Daemon.start();
    const { socketPath, net } = daemon;
    await using _server = await daemon.python(DIGEST_SERVER);
    using connection = await connect({ hostname: "10.0.0.5", port: 7001, socketPath });
    using listener = await listen({ port: 80, socketPath });
    const connecting = connect({ hostname: "10.0.0.99", port: 80, socketPath });
    const ends = [
      assertRejects(() => readAll(connection), Deno.errors.ConnectionReset),
      assertRejects(() => listener.accept(), Deno.errors.NetworkUnreachable, "daemon has ended"),
      assertRejects(() => connecting, DaemonUnreachableError),
    ];
    daemon.process.kill("SIGKILL");
    await Promise.all(ends);
    await daemon.process.settled();
    await using again = await net.spawn([...lvlIp, "daemon", "--socket", socketPath]);
    await again.waitFor(/ready/, 3000);
    using _connection = await connect({ hostname: "10.0.0.5", port: 7001, socketPath });
  },
});

Deno.test({
  name: "daemon: what stands in its way is said in one sentence, and nothing is left behind",
  ignore,
  async fn() {
    await using daemon = await Daemon.start();
    const { socketPath, net, world } = daemon;
    const other = `${world.directory}/other.sock`;
    const cases: [string[], number, RegExp][] = [
      [["--socket", socketPath, "--tap", "tap1"], 1, /another process listens there.*--socket/],
      [["--socket", other], 1, /tap0: another program has it open.*--tap tap1/],
      [["--socket", other, "--tap", "tap1", "--pcap", "/nonexistent/x"], 1, /capture.*No such file/],
      [["--socket", "/nonexistent/x", "--tap", "tap1"], 1, /mkdir -p \/nonexistent/],
      [["--socket", other, "--addr", "10.0.0.0/24"], 2, /--addr/],
      [["--socket", other, "--gateway", "10.0.1.5"], 2, /outside.*10\.0\.0\.0\/24/],
      [["--socket", other, "--gateway", "10.0.0.4"], 2, /own address/],
      [["--socket", other, "--group", "no-such-group"], 2, /groupadd/],
    ];
    for (const [options, code, sentence] of cases) {
      const end = await net.run([...lvlIp, "daemon", ...options]);
      assertEquals(end.code, code, end.stderr);
      assertMatch(end.stderr, sentence);
      assertEquals(end.stderr.trim().split("\n").length, 1, end.stderr);
      assertEquals(end.stdout, "");
    }
    assertEquals((await net.run(["ip", "link", "show", "tap1"])).code, 1);
    const left = [...Deno.readDirSync(world.directory)].map(({ name }) => name);
    assertEquals(left, ["lvl-ip.sock"]);
    await status({ socketPath });
  },
});

Deno.test({
  name: "daemon: when the TAP is deleted under it, it says so and ends with status 1",
  ignore,
  async fn() {
    await using daemon = await Daemon.start();
    await daemon.net.exec(["ip", "link", "del", "tap0"]);
    const end = await daemon.process.finished(5000);
    assertEquals(end.code, 1);
    assertMatch(end.stderr, /tap0.*deleted/);
    await assertRejects(() => Deno.lstat(daemon.socketPath), Deno.errors.NotFound);
  },
});

Deno.test({
  name: "daemon: --pcap records what passed, --json says ready as an object",
  ignore,
  async fn() {
    const world = await Namespaces.create();
    const file = `${world.directory}/all.pcapng`;
    await using daemon = await Daemon.startIn(
      world,
      "--json",
      "--pcap",
      file,
      "--addr",
      "10.9.0.4/16",
      "--gateway",
      "10.9.8.7",
    );
    await daemon.net.exec(["ping", "-c", "2", "-i", "0.1", "10.9.0.4"]);
    const ready = JSON.parse(daemon.process.stdout);
    assertEquals([ready.event, ready.address, ready.gateway], ["ready", "10.9.0.4", "10.9.8.7"]);
    assertEquals(await daemon.stop(), 0);
    // Outside of the world: in it tcpdump could not become another user, as it does when root runs it.
    const shown = await new Deno.Command("tcpdump", { args: ["-nr", file, "icmp"] }).output();
    const decoder = new TextDecoder();
    const echoes = decoder.decode(shown.stdout).match(/echo (request|reply)/g);
    assertEquals(echoes?.length, 4, decoder.decode(shown.stderr));
  },
});
