/** The commands as processes, with a real daemon on a real TAP, in a world of their own. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { hasNamespaces, lvlIp, type Namespace, Namespaces } from "../support/netns.ts";
import type { Finished, RunOptions } from "../support/process.ts";

/** One host with the daemon at 10.0.0.4, and the kernel at 10.0.0.5. */
class World implements AsyncDisposable {
  private constructor(readonly world: Namespaces, readonly host: Namespace) {}

  static async create(): Promise<World> {
    const world = await Namespaces.create();
    const [host] = world.all;
    const daemon = await host.spawn([...lvlIp, "daemon"]);
    await daemon.waitFor("ready at");
    return new World(world, host);
  }

  run(args: string[], options?: RunOptions): Promise<Finished> {
    return this.host.run([...lvlIp, ...args], options);
  }

  start(args: string[], options?: RunOptions) {
    return this.host.spawn([...lvlIp, ...args], options);
  }

  /** A kernel peer at 10.0.0.5:PORT that handles each connection `c` with a line of Python. */
  async serve(port: number, body: string) {
    const server = await this.host.spawn([
      "python3",
      "-uc",
      `import socket,time\ns=socket.create_server(("10.0.0.5",${port}))\nprint("listens")\n` +
      `while True:\n  c,_=s.accept()\n  ${body}\n  c.close()\n`,
    ]);
    await server.waitFor("listens");
    return server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]();
  }
}

function test(name: string, fn: (world: World) => Promise<void>): void {
  Deno.test({
    name,
    ignore: !hasNamespaces(),
    async fn() {
      await using world = await World.create();
      await fn(world);
    },
  });
}

test("ping over the daemon: replies, silence, unreachable, signals, a closed pipe", async (world) => {
  const answered = await world.run(["ping", "-c", "3", "-i", "0.05", "10.0.0.5"]);
  assertEquals(answered.code, 0, answered.stderr);
  assertMatch(
    answered.stdout,
    /^PING 10\.0\.0\.5 \(10\.0\.0\.5\) 56\(84\) bytes of data\.\n(64 bytes from 10\.0\.0\.5: icmp_seq=[1-3] ttl=64 time=[0-9.]+ ms\n){3}\n--- 10\.0\.0\.5 ping statistics ---\n3 packets transmitted, 3 received, 0% packet loss, time [0-9]+ms\nrtt min\/avg\/max\/mdev = [0-9./]+ ms\n$/,
  );

  await world.host.sh("ip route add blackhole 192.0.2.0/24; sysctl -q net.ipv4.ip_forward=1");
  const [silent, unreachable, tooLong] = await Promise.all([
    world.run(["ping", "-c", "1", "-W", "0.2", "192.0.2.1"]),
    world.run(["ping", "-c", "1", "10.0.0.77"]),
    world.run(["ping", "-c", "1", "-M", "do", "-s", "60000", "10.0.0.5"]),
  ]);
  assertEquals(silent.code, 1);
  assertStringIncludes(silent.stdout, "1 packets transmitted, 0 received, ");
  assertEquals(unreachable.code, 1);
  assertStringIncludes(unreachable.stdout, "From 10.0.0.4 icmp_seq=1 Destination Host Unreachable\n");
  assertEquals([tooLong.code, tooLong.stderr], [1, "lvl-ip: local error: message too long, mtu=1500\n"]);

  await using endless = await world.start(["ping", "10.0.0.5"]);
  await endless.waitFor("icmp_seq=1");
  endless.kill("SIGQUIT");
  await endless.waitFor("1/1 packets, 0% loss");
  endless.kill("SIGINT");
  const ended = await endless.finished();
  assertEquals(ended.code, 0);
  assertStringIncludes(ended.stdout, "1 packets transmitted, 1 received");

  const quoted = lvlIp.map((word) => `'${word}'`).join(" ");
  const piped = await world.host.run([
    "bash",
    "-c",
    `${quoted} ping -i 0.05 10.0.0.5 | head -2; echo \${PIPESTATUS[0]}`,
  ]);
  assertMatch(piped.stdout, /\n141\n$/);
  assertEquals(piped.stderr, "");
});

test("connect over the daemon: an answer, a pipe, and what goes wrong", async (world) => {
  await using _echo = await world.serve(2048, "while d:=c.recv(65536): c.sendall(d)");
  await using _mute = await world.serve(2049, 'c.sendall(b"hi"); time.sleep(60)');
  await using _reset = await world.serve(
    2050,
    'c.sendall(b"hi"); time.sleep(.1); c.setsockopt(1,13,b"\\1\\0\\0\\0\\0\\0\\0\\0")',
  );

  const hello = await world.run(["connect", "10.0.0.5:2048", "--send", "hello"]);
  assertEquals(hello, { code: 0, signal: null, stdout: "hello", stderr: "" });

  const bytes = crypto.getRandomValues(new Uint8Array(60_000));
  await Deno.writeFile(`${world.world.directory}/in`, bytes);
  const quoted = lvlIp.map((word) => `'${word}'`).join(" ");
  await world.host.sh(`cd ${world.world.directory}; ${quoted} connect 10.0.0.5:2048 < in > out; cmp in out`);

  const [mute, reset, refused, unreachable, timedOut] = await Promise.all([
    world.run(["connect", "10.0.0.5:2049", "--send", "x", "--timeout", "0.5"]),
    world.run(["connect", "10.0.0.5:2050", "--send", "x"]),
    world.run(["connect", "10.0.0.5:9", "--send", "x"]),
    world.run(["connect", "10.0.0.77:9", "--send", "x"]),
    world.run(["connect", "10.0.0.77:9", "--send", "x", "--timeout", "0.3"]),
  ]);
  assertEquals(mute, { code: 0, signal: null, stdout: "hi", stderr: "" });
  assertEquals([reset.code, reset.stdout], [1, "hi"]);
  assertEquals(reset.stderr, "lvl-ip: The connection to 10.0.0.5:2050 broke: Connection reset by peer\n");
  assertEquals(refused.code, 1);
  assertStringIncludes(refused.stderr, "lvl-ip: Cannot connect to 10.0.0.5:9: Connection refused");
  assertEquals(unreachable.code, 1);
  assertStringIncludes(unreachable.stderr, "lvl-ip: Cannot connect to 10.0.0.77:9: No route to host");
  assertEquals(timedOut.code, 1);
  assertStringIncludes(timedOut.stderr, "Connection timed out (no answer within 0.3 s)");

  await using open = await world.start(["connect", "10.0.0.5:2048"], { stdin: "" });
  await open.write("one\n");
  await open.waitFor("one");
  open.kill("SIGINT");
  assertEquals((await open.finished()).code, 130);
});

test("status of a real daemon", async (world) => {
  await using _echo = await world.serve(2048, "while d:=c.recv(65536): c.sendall(d)");
  await using open = await world.start(["connect", "10.0.0.5:2048"], { stdin: "" });
  await open.write("one\n");
  await open.waitFor("one");
  const page = await world.run(["status"]);
  assertEquals(page.code, 0, page.stderr);
  assertMatch(page.stdout, /^tcp +ESTAB +0 +0 +10\.0\.0\.4:[0-9]+ +10\.0\.0\.5:2048 /m);
  assertMatch(page.stdout, /^10\.0\.0\.5 +[0-9a-f:]{17} +REACHABLE +tap0$/m);
  assertMatch(page.stdout, /^default +10\.0\.0\.5 +tap0$/m);
  const { connections } = JSON.parse((await world.run(["status", "--json"])).stdout);
  assert(connections.some(({ remotePort }: { remotePort: number }) => remotePort === 2048));
});
