/** The Deno API against a real daemon and a kernel peer. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { listenDatagram } from "../../mod.ts";
import { Daemon } from "../support/daemon.ts";
import { hasNamespaces } from "../support/netns.ts";

const ignore = !hasNamespaces();
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
