import { assertEquals, assertRejects } from "@std/assert";
import { EPERM } from "../../lib/errno.ts";
import { Channel } from "../../lib/ipc/channel.ts";
import { network } from "../../lib/ipc/network.ts";
import { MAX_NETWORK_REQUEST, OP, ProtocolRecord } from "../../lib/ipc/protocol.ts";
import { Fixture } from "./server_fixture.ts";

const SHOW = { verb: "show", object: "route" } as const;

Deno.test("network: the request is handed on, with the right to change, and the answer comes back", async () => {
  const asked: [string, boolean][] = [];
  using fixture = new Fixture({
    configure: (request, mayChange) => {
      asked.push([request, mayChange]);
      return JSON.stringify([{ dst: "default" }]);
    },
  });
  const { socketPath } = fixture;
  assertEquals(await network(SHOW, "Cannot look", { socketPath }), [{ dst: "default" }]);
  assertEquals(asked, [[JSON.stringify(SHOW), true]]);
});

Deno.test("network: who may use the daemon but neither runs it nor is root may look and not change", async () => {
  const gid = 4711;
  using fixture = new Fixture({
    uid: 54321,
    gid,
    host: { credentials: () => ({ pid: 1, uid: 12345, gid }) },
    configure: (_request, mayChange) => mayChange ? "[]" : EPERM,
  });
  const error = await assertRejects(
    () => network({ verb: "flush", object: "route" }, "Cannot flush", { socketPath: fixture.socketPath }),
    Deno.errors.PermissionDenied,
    "Cannot flush: only root and the user who runs the daemon may change the network",
  );
  assertEquals((error as Error & { code: string }).code, "EPERM");
});

Deno.test("network: several requests on one connection, in pieces, errors between them; too long ones are refused", async () => {
  let errno = 0;
  using fixture = new Fixture({ configure: (request) => errno === 0 ? request : errno });
  using channel = await Channel.open(fixture.socketPath);
  const record = new ProtocolRecord();
  for (const [length, answer] of [[1, 0], [MAX_NETWORK_REQUEST, EPERM], [1000, 0]]) {
    errno = answer;
    const text = new TextEncoder().encode("x".repeat(length));
    record.reset(OP.network).length = length;
    await channel.send(record);
    for (let at = 0; at < length; at += 100) {
      await channel.socket.write(text.subarray(at, at + 100));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await channel.receive(record);
    assertEquals([record.op, record.errno, record.length], [OP.network, answer, answer === 0 ? length : 0]);
    await channel.readFully(new Uint8Array(record.length));
  }
  record.reset(OP.network).length = MAX_NETWORK_REQUEST + 1;
  await channel.send(record);
  await channel.receive(record);
  assertEquals([record.errno, await channel.receive(record)], [22, false]);
});

Deno.test("network: a server without one says so", async () => {
  using fixture = new Fixture();
  await assertRejects(
    () => network(SHOW, "Cannot look", { socketPath: fixture.socketPath }),
    Deno.errors.NotSupported,
  );
});
