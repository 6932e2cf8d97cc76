import { assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { readDigest, receiveBytes, sendPattern, serveBulk, writeAll } from "../../lib/host/bulk.ts";
import { Pattern } from "../../lib/host/pattern.ts";

/** A connection over loopback with the server of the lab at its other end. */
async function withServer(work: (client: Deno.TcpConn) => Promise<void>): Promise<void> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    using connection = await listener.accept();
    await serveBulk(connection);
  })();
  {
    using client = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
    await work(client);
  }
  await serving;
}

const say = (client: Deno.TcpConn, line: string) => writeAll(client, new TextEncoder().encode(`${line}\n`));

for (const size of [1, 65, 262_144, 1_000_003]) {
  Deno.test(`bulk: ${size} bytes each way have the same SHA-256 at both ends`, async () => {
    await withServer(async (client) => {
      await say(client, `receive ${size}`);
      const ours = await sendPattern(client, size, 5);
      assertEquals(await readDigest(client), ours);
    });
    await withServer(async (client) => {
      await say(client, `send ${size} -5`);
      const ours = await receiveBytes(client, size);
      assertEquals(await readDigest(client), ours);
    });
  });
}

Deno.test("bulk: a peer that closes early is named, with how far it came", async () => {
  await withServer(async (client) => {
    await say(client, "send 10 1");
    await assertRejects(() => receiveBytes(client, 100), Error, "the peer closed after 75 of 100 bytes");
  });
});

Deno.test("bulk: anything else is answered with what would do", async () => {
  await withServer(async (client) => {
    await say(client, "GET / HTTP/1.0");
    const text = await new Response(client.readable).text();
    assertEquals(text, "say `send SIZE SEED` or `receive SIZE`\n");
  });
});

Deno.test("pattern: the same for the same seed, however it is cut; another for another seed", () => {
  const fill = (seed: number, ...pieces: number[]) => {
    const pattern = new Pattern(seed);
    return pieces.flatMap((length) => {
      const words = new Uint32Array(length);
      pattern.fill(words);
      return [...words];
    });
  };
  assertEquals(fill(9, 10), fill(9, 3, 7));
  assertNotEquals(fill(9, 10), fill(8, 10));
  assertNotEquals(fill(0, 2), [0, 0]);
});
