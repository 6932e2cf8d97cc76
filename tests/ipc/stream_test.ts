import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { connect } from "../../lib/ipc/client.ts";
import { ECONNREFUSED, ECONNRESET, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT } from "../../lib/errno.ts";
import { receiveBytes, sendBytes } from "../../ffi/socket_io.ts";
import { closeDescriptor, connectUnix, SHUT_RD, shutdownSocket } from "../../ffi/unix_socket.ts";
import { Memory } from "../../lib/buffer/memory.ts";
import { ask, Channel } from "../../lib/ipc/channel.ts";
import { encodeRecord, FLAG_QUIET, OP, ProtocolRecord, RECORD_SIZE } from "../../lib/ipc/protocol.ts";
import { Fixture } from "./server_fixture.ts";

const text = (value: string) => new TextEncoder().encode(value);

/** Connects while the fake stack says yes. */
async function connected(fixture: Fixture) {
  const { socketPath, stack } = fixture;
  const pending = connect({ hostname: "192.168.99.1", port: 2048, socketPath });
  await fixture.until(() => stack.sockets.size > 0 && stack.last[1].state === "connecting");
  const [handle, socket] = stack.last;
  stack.open(handle);
  return { connection: await pending, handle, socket };
}

Deno.test("connect: the answer has both names, and the socket then is the byte stream", async () => {
  using fixture = new Fixture();
  const { connection, handle, socket } = await connected(fixture);
  assertEquals(connection.remoteAddr, { transport: "tcp", hostname: "192.168.99.1", port: 2048 });
  assertEquals(connection.localAddr.hostname, "10.0.0.4");
  await connection.write(text("hello"));
  await fixture.until(() => socket.sent.length === 5);
  assertEquals(fixture.stack.drain(handle), text("hello"));
  fixture.stack.deliver(handle, text("world"));
  const bytes = new Uint8Array(16);
  assertEquals(await connection.read(bytes), 5);
  assertEquals(bytes.subarray(0, 5), text("world"));
  connection.close();
  await fixture.until(() => socket.state === "closed");
  assertEquals(fixture.server.clientCount, 0);
});

Deno.test("connect: failures come as Deno's errors, with words and errno's name", async () => {
  const cases: [number, new () => Error, string][] = [
    [ECONNREFUSED, Deno.errors.ConnectionRefused, "connection refused"],
    [ETIMEDOUT, Deno.errors.TimedOut, "timed out"],
    [EHOSTUNREACH, Deno.errors.NetworkUnreachable, "no route to host"],
  ];
  for (const [errno, Class, words] of cases) {
    using fixture = new Fixture();
    const { stack, socketPath } = fixture;
    const pending = connect({ hostname: "10.0.0.9", port: 80, socketPath });
    const check = assertRejects(() => pending, Class, words);
    await fixture.until(() => stack.sockets.size > 0);
    stack.fail(stack.last[0], errno);
    const error = await check;
    assertStringIncludes(error.message, "Cannot connect to 10.0.0.9:80: ");
    await fixture.until(() => stack.last[1].state === "closed");
  }
  using fixture = new Fixture();
  fixture.stack.connectResult = -ENETUNREACH;
  await assertRejects(
    () => connect({ hostname: "10.0.0.9", port: 80, socketPath: fixture.socketPath }),
    Deno.errors.NetworkUnreachable,
    "unreachable",
  );
});

Deno.test("connect: a timeout or a signal gives up, and the stack's attempt is aborted", async () => {
  using fixture = new Fixture();
  const { stack, socketPath } = fixture;
  const error = await assertRejects(
    () => connect({ hostname: "10.0.0.9", port: 80, timeoutMs: 30, socketPath }),
    Deno.errors.TimedOut,
    "no answer within 30 ms",
  );
  assertEquals((error as Error & { code?: string }).code, "ETIMEDOUT");
  await fixture.until(() => stack.last[1].state === "reset");

  const abort = new AbortController();
  const reason = new Error("enough");
  const pending = connect({ hostname: "10.0.0.9", port: 80, signal: abort.signal, socketPath });
  const check = assertRejects(() => pending, Error, "enough");
  await fixture.until(() => stack.sockets.size === 2);
  abort.abort(reason);
  await check;
  await fixture.until(() => stack.last[1].state === "reset");
});

Deno.test("half-close: closeWrite becomes a FIN, and reading goes on until the peer's FIN", async () => {
  using fixture = new Fixture();
  const { connection, handle, socket } = await connected(fixture);
  await connection.write(text("request"));
  await connection.closeWrite();
  await fixture.until(() => socket.finOut);
  assertEquals(socket.sentTotal, 7);
  fixture.stack.deliver(handle, text("answer"));
  socket.finIn = true;
  const bytes = new Uint8Array(16);
  assertEquals(await connection.read(bytes), 6);
  assertEquals(await connection.read(bytes), null);
  assertEquals(await connection.read(bytes), null);
  await fixture.until(() => socket.state === "closed");
  connection.close();
});

Deno.test("the peer's FIN alone leaves the program's side open", async () => {
  using fixture = new Fixture();
  const { connection, handle, socket } = await connected(fixture);
  socket.finIn = true;
  fixture.stack.notify(handle);
  assertEquals(await connection.read(new Uint8Array(1)), null);
  await connection.write(text("late"));
  await fixture.until(() => socket.sentTotal === 4);
  assertEquals(socket.state, "open");
  connection.close();
  await fixture.until(() => socket.state === "closed");
});

Deno.test("the peer's FIN is told without asking the daemon, also while a write waits for room", async () => {
  using fixture = new Fixture();
  const { connection, handle, socket } = await connected(fixture);
  const bytes = new Uint8Array(1 << 20);
  socket.window = 0;
  const written = (async () => {
    for (let left = bytes.length; left > 0;) left -= await connection.write(bytes.subarray(0, left));
  })();
  socket.finIn = true;
  fixture.stack.notify(handle);
  assertEquals(await connection.read(bytes), null);
  const asked = fixture.server.counters.clientsAccepted;
  const quiet = await connected(fixture);
  quiet.socket.finIn = true;
  fixture.stack.notify(quiet.handle);
  assertEquals(await quiet.connection.read(bytes), null);
  // Its own connection is the only one that came.
  assertEquals(fixture.server.counters.clientsAccepted, asked + 1);
  quiet.connection.close();
  socket.window = Infinity;
  while (socket.sentTotal < bytes.length) {
    fixture.stack.drain(handle);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await written;
  connection.close();
});

Deno.test("a reset after the peer's FIN ends the writing of a program that has read to the end", async () => {
  using fixture = new Fixture();
  const { connection, handle, socket } = await connected(fixture);
  socket.finIn = true;
  fixture.stack.notify(handle);
  const bytes = new Uint8Array(1 << 16);
  assertEquals(await connection.read(bytes), null);
  fixture.stack.fail(handle, ECONNRESET);
  await assertRejects(async () => {
    for (;;) await connection.write(bytes);
  });
  connection.close();
});

Deno.test("a reset and a timeout are told from a FIN, after the bytes that came before", async () => {
  for (
    const [errno, Class] of [[ECONNRESET, Deno.errors.ConnectionReset], [
      ETIMEDOUT,
      Deno.errors.TimedOut,
    ]] as const
  ) {
    using fixture = new Fixture();
    const { connection, handle, socket } = await connected(fixture);
    socket.incoming.push(1, 2, 3);
    fixture.stack.fail(handle, errno);
    const bytes = new Uint8Array(16);
    assertEquals(await connection.read(bytes), 3);
    await assertRejects(() => connection.read(bytes), Class, "192.168.99.1:2048");
    await assertRejects(async () => {
      for (;;) await connection.write(bytes);
    }, Class);
    connection.close();
  }
});

Deno.test("closing with bytes unread resets the connection", async () => {
  using fixture = new Fixture();
  const { connection, handle, socket } = await connected(fixture);
  fixture.stack.deliver(handle, text("unread"));
  await fixture.until(() => socket.incoming.length === 0);
  connection.close();
  await fixture.until(() => socket.state === "reset");
});

Deno.test("a full send ring stops the reading, and bytes written before a close are all sent", async () => {
  using fixture = new Fixture();
  const { connection, handle, socket } = await connected(fixture);
  socket.window = 10_000;
  const data = crypto.getRandomValues(new Uint8Array(60_000));
  const written = (async () => {
    for (let sent = 0; sent < data.length;) sent += await connection.write(data.subarray(sent));
    connection.close();
  })();
  await fixture.until(() => socket.sent.length === 10_000);
  await written;
  const got: number[] = [];
  while (got.length < data.length) {
    await fixture.until(() => socket.sent.length > 0);
    assert(socket.sent.length <= 10_000);
    got.push(...fixture.stack.drain(handle));
  }
  assertEquals(new Uint8Array(got), data);
  await fixture.until(() => socket.state === "closed");
});

Deno.test("a program that does not read lets the stack's ring fill; one that stops reading for good is drained", async () => {
  using fixture = new Fixture();
  const { connection, handle, socket } = await connected(fixture);
  for (let i = 0; i < 16; i++) fixture.stack.deliver(handle, new Uint8Array(65536));
  await new Promise((resolve) => setTimeout(resolve, 30));
  const held = socket.incoming.length;
  assert(held > 0 && held < 16 * 65536, `${held} bytes are held`);
  let got = 0;
  const bytes = new Uint8Array(65536);
  while (got < 16 * 65536) got += (await connection.read(bytes))!;
  assertEquals(socket.incoming.length, 0);
  connection.close();
  await fixture.until(() => socket.state === "closed");
});

Deno.test("readable and writable carry the stream, and closing writable sends the FIN", async () => {
  using fixture = new Fixture();
  const { connection, handle, socket } = await connected(fixture);
  const writer = connection.writable.getWriter();
  await writer.write(text("abc"));
  await writer.close();
  await fixture.until(() => socket.finOut && socket.sentTotal === 3);
  fixture.stack.deliver(handle, text("xyz"));
  socket.finIn = true;
  const chunks: number[] = [];
  for await (const chunk of connection.readable) chunks.push(...chunk);
  assertEquals(new Uint8Array(chunks), text("xyz"));
  connection.close();
});

Deno.test("options are set and read by the connection's id", async () => {
  using fixture = new Fixture();
  const { connection, socket } = await connected(fixture);
  connection.setNoDelay();
  await fixture.until(() => socket.options.get("6/1") === 1);
  await connection.setOption(1, 8, 65536);
  assertEquals(await connection.getOption(1, 8), 65536);
  await assertRejects(() => connection.getOption(6, 99), Deno.errors.NotSupported, "option not supported");
  connection.close();
});

Deno.test("kill -9 of the program resets its connection, a plain exit does not", async () => {
  for (const signal of ["SIGKILL", undefined] as const) {
    using fixture = new Fixture();
    const { stack, socketPath } = fixture;
    const url = new URL("../../lib/ipc/client.ts", import.meta.url).href;
    const code =
      `import { connect } from "${url}"; const c = await connect({ hostname: "10.0.0.9", port: 80, ` +
      `socketPath: "${socketPath}" }); console.log("up"); await Deno.stdin.read(new Uint8Array(1)); Deno.exit(0);`;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-lock", code],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    await fixture.until(() => stack.sockets.size > 0 && stack.last[1].state === "connecting", "the connect");
    const [handle, socket] = stack.last;
    stack.open(handle);
    const reader = child.stdout.getReader();
    await reader.read();
    if (signal) child.kill(signal);
    await child.stdin.close().catch(() => {});
    await fixture.until(() => socket.state !== "open");
    assertEquals(socket.state, signal ? "reset" : "closed");
    await child.status;
    await reader.cancel();
  }
});

Deno.test("filler: it is drained when the connection is made and not before, and the answer can be left out", async () => {
  using fixture = new Fixture();
  const { stack, socketPath } = fixture;
  const record = new ProtocolRecord().reset(OP.connect);
  record.remote.set(0x0a000009, 80);
  record.flags = FLAG_QUIET;
  record.id = 77n;
  record.length = 300_000;
  using channel = await Channel.open(socketPath);
  let written = false;
  const writing = channel.send(record, new Uint8Array(300_000)).then(() => written = true);
  await fixture.until(() => stack.sockets.size > 0);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals(written, false, "more than the socket holds cannot be written yet");
  const outcome = new ProtocolRecord().reset(OP.outcome);
  outcome.id = 77n;
  await ask(outcome, "outcome", { socketPath });
  assertEquals([outcome.arg0, outcome.arg1], [0, 1]);

  const [handle, socket] = stack.last;
  stack.open(handle);
  await writing;
  await channel.socket.write(text("data"));
  await fixture.until(() => socket.sentTotal === 4);
  assertEquals(stack.drain(handle), text("data"));
  stack.deliver(handle, text("answer"));
  const bytes = new Uint8Array(100);
  assertEquals(await channel.socket.read(bytes), 6);
});

Deno.test("a quiet connect that fails is a closed connection, and the outcome tells why", async () => {
  using fixture = new Fixture();
  const { stack, socketPath } = fixture;
  const record = new ProtocolRecord().reset(OP.connect);
  record.remote.set(0x0a000009, 80);
  record.flags = FLAG_QUIET;
  record.id = 78n;
  using channel = await Channel.open(socketPath);
  await channel.send(record);
  await fixture.until(() => stack.sockets.size > 0);
  stack.fail(stack.last[0], ECONNREFUSED);
  assertEquals(await channel.socket.read(new Uint8Array(1)), null);
  const outcome = new ProtocolRecord().reset(OP.outcome);
  outcome.id = 78n;
  await ask(outcome, "outcome", { socketPath });
  assertEquals([outcome.arg0, outcome.arg1], [ECONNREFUSED, 0]);
  using second = await Channel.open(socketPath);
  await assertRejects(() => second.exchange(record, "again"), Deno.errors.AlreadyExists);
});

Deno.test("a program that shuts down reading goes on writing; what comes for it is thrown away", async () => {
  using fixture = new Fixture();
  const { stack, socketPath } = fixture;
  const record = new ProtocolRecord().reset(OP.connect);
  record.remote.set(0x0a000009, 80);
  const fd = connectUnix(socketPath);
  const memory = new Memory(128);
  encodeRecord(record, memory.view, 0);
  assertEquals(sendBytes(fd, memory, 0, RECORD_SIZE), RECORD_SIZE);
  await fixture.until(() => stack.sockets.size > 0);
  const [handle, socket] = stack.last;
  stack.open(handle);
  await fixture.until(() => receiveBytes(fd, memory, 0, RECORD_SIZE) === RECORD_SIZE);
  shutdownSocket(fd, SHUT_RD);
  stack.deliver(handle, new Uint8Array(1000));
  await fixture.until(() => socket.incoming.length === 0);
  stack.deliver(handle, new Uint8Array(1000));
  await fixture.until(() => socket.incoming.length === 0);
  assertEquals(socket.state, "open");
  assertEquals(sendBytes(fd, memory, 0, 10), 10);
  await fixture.until(() => socket.sentTotal === 10);
  closeDescriptor(fd);
  await fixture.until(() => socket.state === "closed");
});
