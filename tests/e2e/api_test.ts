/** The Deno API against a real daemon and a kernel peer. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { listenDatagram } from "../../mod.ts";
import { Daemon } from "../support/daemon.ts";
import { hasNamespaces, Namespaces } from "../support/netns.ts";

const ignore = !hasNamespaces();
const ROOT = new URL("../../", import.meta.url).pathname;
const CONFIG = `${ROOT}deno.json`;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Python that sends every datagram back, from port 5300. */
const UDP_ECHO = `
s = socket.socket(type=socket.SOCK_DGRAM); s.bind(("10.0.0.5", 5300)); print("up")
while True:
  m, a = s.recvfrom(65535); s.sendto(m, a)`;

Deno.test({
  name: "api: datagrams of every size, to one peer and to any, and what goes wrong",
  ignore,
  async fn() {
    await using daemon = await Daemon.start();
    const { socketPath } = daemon;
    await using _echo = await daemon.python(UDP_ECHO);
    using any = await listenDatagram({ port: 5353, socketPath });
    const peer: Deno.NetAddr = { transport: "udp", hostname: "10.0.0.5", port: 5300 };
    assertEquals(any.addr, { transport: "udp", hostname: "0.0.0.0", port: 5353 });
    for (const size of [0, 1, 1472, 9000, 65507]) {
      const message = new Uint8Array(size).fill(size);
      assertEquals(await any.send(message, peer), size);
      assertEquals(await any.receive(), [message, peer]);
    }
    await any.send(encoder.encode("truncated"), peer);
    assertEquals(decoder.decode((await any.receive(new Uint8Array(5)))[0]), "trunc");

    const three = Uint8Array.from({ length: 2500 }, (_, i) => i);
    assertEquals(await any.send(three, peer, { segment: 1000 }), 2500);
    for (const [start, end] of [[0, 1000], [1000, 2000], [2000, 2500]]) {
      assertEquals(await any.receive(), [three.slice(start, end), peer]);
    }
    await any.send(three, peer, { segment: 1473 });
    await assertRejects(() => any.receive(), RangeError, "message too long");
    await assertRejects(
      () => any.send(three, peer, { segment: -1 }),
      RangeError,
      "segment must be 0 to 65535",
    );
    await assertRejects(() => any.send(three, peer, { segment: 19 }), RangeError, "more than 128 datagrams");

    using connected = await listenDatagram({ remote: { hostname: "10.0.0.5", port: 5300 }, socketPath });
    assertEquals(connected.remoteAddr, peer);
    const many = Array.from({ length: 100 }, (_, i) => connected.send(encoder.encode(`message ${i}`)));
    await Promise.all(many);
    for (let i = 0; i < 100; i++) {
      assertEquals(decoder.decode((await connected.receive())[0]), `message ${i}`);
    }

    using refused = await listenDatagram({ remote: { hostname: "10.0.0.5", port: 9 }, socketPath });
    await refused.send(new Uint8Array(1));
    const error = await assertRejects(() => refused.receive(), Deno.errors.ConnectionRefused);
    assertEquals((error as Error & { code?: string }).code, "ECONNREFUSED");
    await assertRejects(() => any.send(new Uint8Array(65508), peer), RangeError, "at most 65507 bytes");
    await assertRejects(() => any.send(new Uint8Array(1)), TypeError, "destination address required");
    await assertRejects(() => listenDatagram({ port: 5353, socketPath }), Deno.errors.AddrInUse);
  },
});

Deno.test({
  name: "api: a datagram socket ends its iteration when it is closed, by hand or by a signal",
  ignore,
  async fn() {
    await using daemon = await Daemon.start();
    const { socketPath } = daemon;
    const abort = new AbortController();
    const socket = await listenDatagram({ port: 5353, signal: abort.signal, socketPath });
    const all = Array.fromAsync(socket);
    await daemon.python(
      `socket.socket(type=socket.SOCK_DGRAM).sendto(b"one", ("10.0.0.4", 5353)); print("up")`,
    );
    const [[message]] = await Promise.race([
      all,
      (async () => {
        using other = await listenDatagram({ port: 5354, socketPath });
        await daemon.python(
          `socket.socket(type=socket.SOCK_DGRAM).sendto(b"two", ("10.0.0.4", 5354)); print("up")`,
        );
        await other.receive();
        abort.abort();
        return await all;
      })(),
    ]);
    assertEquals(decoder.decode(message), "one");
    await assertRejects(() => socket.receive(), Deno.errors.BadResource);
    assert(socket.addr.port === 5353);
  },
});

Deno.test({
  name: "api: a host inside a program, without a daemon, and nothing left of it",
  ignore,
  async fn() {
    await using world = await Namespaces.create();
    const [net] = world.all;
    await using _peer = await net.spawn([
      "python3",
      "-uc",
      `import socket\ns = socket.create_server(("", 7)); print("up")\nc, _ = s.accept()\nwhile m := c.recv(99): c.sendall(m)\nc.close()`,
    ]);
    await _peer.waitFor("up");
    const program = `
      import { Host } from "${new URL("../../mod.ts", import.meta.url)}";
      const files = () => [...Deno.readDirSync("/proc/self/fd")].length;
      let before = 0;
      for (let round = 0; round < 4; round++) {
        await using host = await Host.open({ addr: "10.0.7.4/24", gateway: "10.0.7.5", tap: "tap7" });
        using connection = await host.connect({ hostname: "127.0.0.1", port: 9 }).catch(() => null);
        for await (const { kind } of await host.ping("10.0.7.5", { count: 1 })) console.log(kind);
        if (round === 0) {
          using echo = await host.connect({ hostname: "10.0.7.5", port: 7 });
          await echo.write(new TextEncoder().encode("hello"));
          await echo.closeWrite();
          console.log(await new Response(echo.readable).text(), (await host.status()).device, host.address);
        }
        await host.close();
        // The Worker ends its thread by and by.
        await new Promise((resolve) => setTimeout(resolve, 50));
        if (round === 1) before = files();
      }
      // Deno's own, of two Workers.
      console.log(files() <= before + 4, await Host.open({ addr: "nonsense" }).catch((error) => error.message));
      console.log([...Deno.readDirSync(Deno.env.get("TMPDIR"))].length, Deno.networkInterfaces().some(({ name }) => name === "tap7"));`;
    const tmp = `${world.directory}/tmp`;
    await Deno.mkdir(tmp);
    await Deno.writeTextFile(`${world.directory}/program.ts`, program);
    const { code, stdout, stderr } = await net.run(
      [
        Deno.execPath(),
        "run",
        "-A",
        "--no-prompt",
        "--no-check",
        "--config",
        CONFIG,
        `${world.directory}/program.ts`,
      ],
      { env: { TMPDIR: tmp } },
    );
    assertEquals([code, stderr], [0, ""]);
    const lines = stdout.trim().split("\n");
    assertEquals(lines.slice(0, 5), ["reply", "hello tap7 10.0.7.4", "reply", "reply", "reply"]);
    assertEquals(lines[5].slice(0, 20), "true --addr nonsense");
    assertEquals(lines[6], "0 false");
  },
});

/** The examples in a file's documentation, as programs. */
function examplesIn(path: string): string[] {
  const text = Deno.readTextFileSync(`${ROOT}${path}`);
  return [...text.matchAll(/^ \* ```ts\n((?: \*.*\n)*?) \* ```$/gm)].map(([, code]) =>
    code.replace(/^ \* ?/gm, "")
  );
}

Deno.test({
  name: "api: the examples in the documentation run",
  ignore,
  async fn() {
    await using daemon = await Daemon.start();
    await using _echo = await daemon.python(
      `s = socket.create_server(("10.0.0.5", 2048)); print("up")\nwhile True:\n  c, _ = s.accept(); c.sendall(c.recv(99)); c.close()`,
    );
    const examples = ["lib/ipc/client.ts", "lib/daemon/embedded.ts", "ffi/tap.ts"].flatMap(examplesIn);
    assert(examples.length >= 4);
    for (const example of examples) {
      // Of the sources that this test is of, and what does not hold ends the program.
      const checked = `console.assert = (holds) => { if (!holds) throw new Error("does not hold"); };\n` +
        example.replace("@lvl-ip/lvl-ip", `${ROOT}mod.ts`);
      await Deno.writeTextFile(`${daemon.world.directory}/example.ts`, checked);
      const { code, stderr } = await daemon.net.run(
        [
          Deno.execPath(),
          "run",
          "-A",
          "--no-prompt",
          "--config",
          CONFIG,
          `${daemon.world.directory}/example.ts`,
        ],
        { env: { LVLIP_SOCKET: daemon.socketPath, NO_COLOR: "1" } },
      );
      assertEquals(code, 0, `${example}\n${stderr}`);
    }
  },
});
