import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { EINVAL, EMFILE, ENOENT, EPROTO } from "../../lib/errno.ts";
import { connect, DaemonUnreachableError, listen, ping, resolve, status } from "../../lib/ipc/client.ts";
import { acceptUnix } from "../../ffi/unix_socket.ts";
import { Channel } from "../../lib/ipc/channel.ts";
import { encodeRecord, OP, ProtocolRecord, RECORD_SIZE } from "../../lib/ipc/protocol.ts";
import { Fixture } from "./server_fixture.ts";

/** Sends bytes to the daemon and reads what it answers until it closes. */
async function rawExchange(path: string, ...pieces: Uint8Array[]): Promise<Uint8Array> {
  using socket = await Deno.connect({ transport: "unix", path });
  for (const piece of pieces) {
    await socket.write(piece);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const got: number[] = [];
  const bytes = new Uint8Array(4096);
  try {
    for (let n = await socket.read(bytes); n !== null; n = await socket.read(bytes)) {
      got.push(...bytes.subarray(0, n));
    }
  } catch (error) {
    assert(error instanceof Deno.errors.ConnectionReset);
  }
  return new Uint8Array(got);
}

function bytesOf(record: ProtocolRecord): Uint8Array {
  const bytes = new Uint8Array(RECORD_SIZE);
  encodeRecord(record, new DataView(bytes.buffer), 0);
  return bytes;
}

function errnoOf(bytes: Uint8Array): number {
  assertEquals(bytes.length, RECORD_SIZE);
  return new DataView(bytes.buffer).getInt32(12, true);
}

Deno.test("a malformed request gets an error and a closed connection, and harms nobody else", async () => {
  using fixture = new Fixture();
  const { socketPath } = fixture;
  using healthy = await Channel.open(socketPath);
  const garbage = crypto.getRandomValues(new Uint8Array(RECORD_SIZE));
  assertEquals(errnoOf(await rawExchange(socketPath, garbage)), EPROTO);
  for (const op of [0, OP.echo, OP.probe, Math.max(...Object.values(OP)) + 1, 65535]) {
    const record = new ProtocolRecord().reset(op);
    assertEquals(errnoOf(await rawExchange(socketPath, bytesOf(record))), EPROTO);
  }
  const faults: ((record: ProtocolRecord) => void)[] = [
    (record) => record.flags = 2,
    (record) => record.errno = 1,
    (record) => record.length = 1 << 30,
    (record) => record.remote.port = 0,
  ];
  for (const spoil of faults) {
    const record = new ProtocolRecord().reset(OP.connect);
    record.remote.set(1, 80);
    spoil(record);
    assertEquals(errnoOf(await rawExchange(socketPath, bytesOf(record))), EINVAL);
  }
  assertEquals(fixture.server.counters.requestsMalformed, 10);
  const record = new ProtocolRecord().reset(OP.status);
  await healthy.exchange(record, "status");
  assertEquals(fixture.server.clientCount, 1);
  assertEquals(fixture.stack.sockets.size, 0);
});

Deno.test("a request may come in pieces; a program that dies in the middle of one is forgotten", async () => {
  using fixture = new Fixture();
  const { socketPath } = fixture;
  const request = new ProtocolRecord().reset(OP.resolve);
  const name = new TextEncoder().encode("192.168.99.1");
  request.length = name.length;
  using socket = await Deno.connect({ transport: "unix", path: socketPath });
  for (const byte of [...bytesOf(request), ...name]) {
    await socket.write(new Uint8Array([byte]));
    fixture.turn();
  }
  // Behind the record the name with a zero byte, and one address.
  const answer = new Uint8Array(RECORD_SIZE + name.length + 1 + 4 + 1);
  assertEquals(await socket.read(answer), answer.length - 1);
  assertEquals(new DataView(answer.buffer).getInt32(answer.length - 5, false), 0xc0a86301 | 0);

  const dying = await Deno.connect({ transport: "unix", path: socketPath });
  await dying.write(bytesOf(request).subarray(0, 40));
  await fixture.until(() => fixture.server.clientCount === 2);
  dying.close();
  await fixture.until(() => fixture.server.clientCount === 1);
});

Deno.test("control requests follow one another on one connection; unknown ids are said to be unknown", async () => {
  using fixture = new Fixture({ describe: () => JSON.stringify({ text: "x".repeat(1_000_000) }) });
  using channel = await Channel.open(fixture.socketPath);
  for (let i = 0; i < 3; i++) {
    const record = new ProtocolRecord().reset(OP.outcome);
    record.id = 12345n;
    await channel.send(record);
    assert(await channel.receive(record));
    assertEquals([record.op, record.errno], [OP.outcome, ENOENT]);
    record.reset(OP.status);
    await channel.exchange(record, "status");
    const json = new Uint8Array(record.length);
    assert(await channel.readFully(json));
    assertEquals(JSON.parse(new TextDecoder().decode(json)).text.length, 1_000_000);
  }
});

Deno.test("status and resolve answer", async () => {
  using fixture = new Fixture({ describe: () => JSON.stringify({ version: "1" }) });
  const { socketPath } = fixture;
  assertEquals((await status({ socketPath })).version, "1");
  assertEquals(await resolve("8.8.8.8", { socketPath }), ["8.8.8.8"]);
  assertEquals(await resolve("localhost", { socketPath }), ["127.0.0.1"]);
  await assertRejects(() => resolve("no.such.name", { socketPath }), Deno.errors.NotFound, "no.such.name");
});

Deno.test("no daemon: the error names the paths and how to start one", async () => {
  const error = await assertRejects(
    () => connect({ hostname: "10.0.0.1", port: 1, socketPath: "/nonexistent/lvl-ip.sock" }),
    DaemonUnreachableError,
    "/nonexistent/lvl-ip.sock",
  );
  assertStringIncludes(error.message, "lvl-ip daemon");
  const folder = Deno.makeTempDirSync();
  const stale = Deno.listen({ transport: "unix", path: `${folder}/s` });
  stale.close();
  await assertRejects(() => status({ socketPath: `${folder}/s` }), DaemonUnreachableError);
  Deno.removeSync(folder, { recursive: true });
});

Deno.test("who is not allowed gets EACCES in words; the group's members are allowed", async () => {
  const stranger = { pid: 1, uid: 4242, gid: 4243 };
  {
    using fixture = new Fixture({ uid: 1000, host: { credentials: () => stranger } });
    const error = await assertRejects(
      () => status({ socketPath: fixture.socketPath }),
      Deno.errors.PermissionDenied,
      "--group",
    );
    assertEquals((error as Error & { code?: string }).code, "EACCES");
    assertEquals(fixture.server.counters.clientsRefused, 1);
  }
  for (
    const host of [{ credentials: () => ({ ...stranger, gid: 77 }) }, {
      credentials: () => stranger,
      isMember: (_fd: number, gid: number) => gid === 77,
    }]
  ) {
    using fixture = new Fixture({ uid: 1000, gid: 77, host });
    await status({ socketPath: fixture.socketPath });
  }
});

Deno.test("accept without descriptors left: programs wait, and are served when there are some again", async () => {
  let full = true;
  using fixture = new Fixture({ host: { accept: (fd) => full ? -EMFILE : acceptUnix(fd) } });
  const pending = status({ socketPath: fixture.socketPath });
  await fixture.until(() => fixture.server.counters.acceptFailures > 0);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals(fixture.server.counters.acceptFailures, 1, "it must not spin");
  assertEquals(fixture.server.deadline, fixture.now + 100_000);
  assertStringIncludes(fixture.warnings.join(), "ulimit -n");
  full = false;
  fixture.now += 200_000;
  await pending;
  assertEquals(fixture.server.deadline, Infinity);
});

Deno.test("a full queue of new connections: programs try again until there is room", async () => {
  using fixture = new Fixture({ backlog: 1 });
  fixture.paused = true;
  const pending = Array.from({ length: 20 }, () => status({ socketPath: fixture.socketPath }));
  await new Promise((resolve) => setTimeout(resolve, 30));
  fixture.paused = false;
  assertEquals((await Promise.all(pending)).length, 20);
});

Deno.test("listen: each connection is announced once, and claimed by its token", async () => {
  using fixture = new Fixture();
  const { stack, socketPath } = fixture;
  using listener = await listen({ port: 8080, backlog: 7, socketPath });
  assertEquals(listener.addr.port, 8080);
  const [handle, socket] = stack.last;
  assertEquals(socket.backlog, 7);
  const arrivals = [stack.arrive(handle, 1001), stack.arrive(handle, 1002)];
  using first = await listener.accept();
  using second = await listener.accept();
  assertEquals([first.remoteAddr.port, second.remoteAddr.port], [1001, 1002]);
  await second.write(new Uint8Array([7]));
  await fixture.until(() => stack.get(arrivals[1]).sent.length === 1);
  await assertRejects(() => listen({ port: 8080, socketPath }), Deno.errors.AddrInUse, "0.0.0.0:8080");
});

Deno.test("listen: what nobody accepted is reset when the listener goes, what is being accepted is not", async () => {
  using fixture = new Fixture();
  const { stack, socketPath } = fixture;
  const listener = await listen({ port: 80, socketPath });
  const [handle, socket] = stack.last;
  const arrivals = Array.from({ length: 40 }, (_, i) => stack.arrive(handle, 2000 + i));
  const accepted = await listener.accept();
  const pending = listener.accept();
  // The record of the second is on its way or read: closing now must not lose the connection.
  await new Promise((resolve) => setTimeout(resolve, 0));
  listener.close();
  const second = await pending.catch((error) => error);
  await fixture.until(() => socket.state === "closed");
  const resets = arrivals.filter((each) => stack.get(each).state === "reset").length;
  // Those that the server had not taken from the stack are the stack's own to reset.
  assertEquals(stack.get(arrivals[0]).state, "open");
  if (second instanceof Error) assert(second instanceof Deno.errors.BadResource);
  else assertEquals(stack.get(arrivals[1]).state, "open");
  assert(resets >= 14 && resets <= 17, `${resets} resets`);
  accepted.close();
  if (!(second instanceof Error)) second.close();
});

Deno.test("listen: what could not be claimed waits for the next accept, and never keeps others out", async () => {
  using fixture = new Fixture();
  const { stack, socketPath } = fixture;
  using listener = await listen({ port: 80, socketPath });
  const [handle] = stack.last;
  // More than the server announces before some are claimed.
  const count = 20;
  for (let i = 0; i < count; i++) stack.arrive(handle, 3000 + i);
  Deno.renameSync(socketPath, `${socketPath}.away`);
  for (let i = 0; i < count; i++) await assertRejects(() => listener.accept(), DaemonUnreachableError);
  Deno.renameSync(`${socketPath}.away`, socketPath);
  const ports = new Set<number>();
  for (let i = 0; i < count; i++) {
    using connection = await listener.accept();
    ports.add(connection.remoteAddr.port);
  }
  assertEquals(ports.size, count);
});

Deno.test("listen: iteration ends when the listener is closed", async () => {
  using fixture = new Fixture();
  const { stack, socketPath } = fixture;
  const listener = await listen({ port: 80, socketPath });
  stack.arrive(stack.last[0], 1);
  let count = 0;
  for await (const connection of listener) {
    connection.close();
    count++;
    listener.close();
  }
  assertEquals(count, 1);
});

Deno.test("ping: replies, duplicates and errors come as events, with the daemon's own times", async () => {
  using fixture = new Fixture();
  const { stack, socketPath } = fixture;
  fixture.now = 4_999_000;
  const run = await ping("8.8.8.8", { count: 3, intervalMs: 5, waitMs: 300, size: 100, ttl: 9, socketPath });
  const events = (async () => {
    const all = [];
    for await (const event of run) all.push(event);
    return all;
  })();
  await fixture.until(() => stack.sockets.size > 0 && stack.last[1].echoes.length === 3);
  const [handle, socket] = stack.last;
  assertEquals(socket.echoes, [1, 2, 3]);
  socket.messages.push(
    { from: 0x08080808, seq: 1, length: 108 },
    { from: 0x08080808, seq: 1, length: 108 },
    { from: 0x0a000005, seq: 2, length: 8, error: 113 },
    { from: 0x08080808, seq: 99, length: 108 },
    { from: 0x08080808, seq: 3, length: 108 },
  );
  stack.notify(handle);
  const got = await events;
  const reply = { kind: "reply", bytes: 108, ttl: 61, rttUs: 1000, from: "8.8.8.8" };
  assertEquals(got as unknown[], [
    { ...reply, seq: 1, duplicate: false },
    { ...reply, seq: 1, duplicate: true },
    {
      kind: "error",
      seq: 2,
      error: "Destination Host Unreachable",
      from: "10.0.0.5",
      icmpType: 3,
      icmpCode: 1,
      mtu: 0,
    },
    { ...reply, seq: 3, duplicate: false },
  ]);
  assertEquals([run.transmitted, run.address], [3, "8.8.8.8"]);
  await fixture.until(() => socket.state === "closed");
});

Deno.test("ping: it ends without replies after the wait, and at a signal", async () => {
  using fixture = new Fixture();
  const { socketPath } = fixture;
  for await (const _ of await ping("8.8.8.8", { count: 2, intervalMs: 5, waitMs: 20, socketPath })) {
    assert(false);
  }
  const abort = new AbortController();
  const run = await ping("8.8.8.8", { intervalMs: 5, signal: abort.signal, socketPath });
  setTimeout(() => abort.abort(), 30);
  for await (const _ of run) assert(false);
  assert(run.transmitted >= 2);
});

Deno.test("many programs at once are served", async () => {
  using fixture = new Fixture({ describe: () => "{}" });
  const channels = await Promise.all(Array.from({ length: 300 }, () => Channel.open(fixture.socketPath)));
  const record = () => new ProtocolRecord().reset(OP.status);
  await Promise.all(channels.map((channel) => channel.exchange(record(), "status")));
  assertEquals(fixture.server.clientCount, 300);
  for (const channel of channels) channel.close();
  await fixture.until(() => fixture.server.clientCount === 0);
});
