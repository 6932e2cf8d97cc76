import { assert, assertEquals } from "@std/assert";
import { receiveBytes, ReceivedDescriptor, receiveDescriptor, sendBytes } from "../../ffi/socket_io.ts";
import { closeDescriptor, connectUnix, getTag, SHUT_WR, shutdownSocket } from "../../ffi/unix_socket.ts";
import { Memory } from "../../lib/buffer/memory.ts";
import { EACCES, EAGAIN, ECONNREFUSED, EINVAL, ENOENT } from "../../lib/errno.ts";
import { Channel } from "../../lib/ipc/channel.ts";
import { DATAGRAM_HEADER, DATAGRAM_MAGIC } from "../../lib/ipc/datagram_header.ts";
import {
  decodeRecord,
  encodeRecord,
  FLAG_QUIET,
  ID_MASK,
  OP,
  ProtocolRecord,
  RECORD_SIZE,
} from "../../lib/ipc/protocol.ts";
import { makeTag, TAG_STATE } from "../../lib/ipc/tag.ts";
import { Fixture } from "./server_fixture.ts";

/** A program's descriptor that talks to the server, as the preloaded library does. */
class Program implements Disposable {
  readonly memory = new Memory(65536 + DATAGRAM_HEADER);
  readonly record = new ProtocolRecord();
  readonly received = new ReceivedDescriptor();

  constructor(readonly fixture: Fixture, readonly fd = connectUnix(fixture.socketPath)) {}

  send(op: number, fill: (record: ProtocolRecord) => void = () => {}): void {
    this.record.reset(op);
    fill(this.record);
    encodeRecord(this.record, this.memory.view, 0);
    assertEquals(sendBytes(this.fd, this.memory, 0, RECORD_SIZE), RECORD_SIZE);
  }

  /** The next record, with the descriptor that may come along. */
  async receive(): Promise<ProtocolRecord> {
    let count = -EAGAIN;
    await this.fixture.until(() => {
      count = receiveDescriptor(this.fd, this.memory, 0, RECORD_SIZE, this.received);
      return count !== -EAGAIN;
    }, "an answer");
    assertEquals(count, RECORD_SIZE);
    assert(decodeRecord(this.memory.view, 0, this.record));
    return this.record;
  }

  /** Bytes of a stream, or one message of a datagram socket; -errno. */
  async read(): Promise<number> {
    let count = -EAGAIN;
    await this.fixture.until(() => {
      count = receiveBytes(this.fd, this.memory, 0, this.memory.size);
      return count !== -EAGAIN;
    }, "bytes");
    return count;
  }

  [Symbol.dispose](): void {
    closeDescriptor(this.fd);
  }
}

/** One request by id on a connection of its own; the answer. */
async function control(
  fixture: Fixture,
  op: number,
  fill: (record: ProtocolRecord) => void,
): Promise<ProtocolRecord> {
  using program = new Program(fixture);
  program.send(op, fill);
  return await program.receive();
}

async function openSocket(fixture: Fixture, kind: number): Promise<{ program: Program; id: bigint }> {
  const program = new Program(fixture);
  program.send(OP.socket, (record) => record.arg0 = kind);
  const { errno, id } = await program.receive();
  assertEquals(errno, 0);
  assert(id !== 0n && (id & ~ID_MASK) === 0n);
  return { program, id };
}

Deno.test("a socket is bound, listens by its id, and gets connections as tagged descriptors", async () => {
  using fixture = new Fixture();
  const { stack } = fixture;
  const { program, id } = await openSocket(fixture, 1);
  using listener = program;
  const bound = await control(fixture, OP.bind, (record) => {
    record.id = id;
    record.local.set(0, 8080);
  });
  assertEquals([bound.errno, bound.local.port], [0, 8080]);
  const listening = await control(fixture, OP.listen, (record) => {
    record.id = id;
    record.local.set(0, 0);
    record.arg0 = 5;
  });
  assertEquals(listening.errno, 0);
  const [handle, socket] = stack.last;
  assertEquals([socket.state, socket.backlog], ["listening", 5]);
  const accepted = stack.arrive(handle, 1234);
  const record = await listener.receive();
  assertEquals([record.op, record.remote.port], [OP.accept, 1234]);
  const { fd } = listener.received;
  assert(fd >= 0);
  assertEquals(getTag(fd), makeTag(TAG_STATE.stream, record.id));
  using stream = new Program(fixture, fd);
  stack.deliver(accepted, new TextEncoder().encode("hello"));
  assertEquals(await stream.read(), 5);
  assertEquals(sendBytes(fd, stream.memory, 0, 5), 5);
  await fixture.until(() => stack.get(accepted).sentTotal === 5);
  shutdownSocket(fd, SHUT_WR);
  await fixture.until(() => stack.get(accepted).finOut);
});

Deno.test("connections that lie unread in a listener that is closed are reset", async () => {
  using fixture = new Fixture();
  const { stack } = fixture;
  const { program, id } = await openSocket(fixture, 1);
  await control(fixture, OP.listen, (record) => {
    record.id = id;
    record.local.set(0, 0);
  });
  const [handle] = stack.last;
  const waiting = [1, 2, 3].map((port) => stack.arrive(handle, port));
  await fixture.until(() => stack.get(handle).accepts.length === 0);
  program[Symbol.dispose]();
  await fixture.until(() => waiting.every((each) => stack.sockets.get(each)?.state !== "open"));
  assertEquals(fixture.server.clientCount, 0);
});

Deno.test("a quiet connect on an attached socket: the failure is a close, its errno is given once if taken", async () => {
  using fixture = new Fixture();
  const { stack } = fixture;
  const { program, id } = await openSocket(fixture, 1);
  using socket = program;
  socket.send(OP.connect, (record) => {
    record.id = id;
    record.flags = FLAG_QUIET;
    record.remote.set(0x0a000009, 80);
  });
  await fixture.until(() => stack.last[1].state === "connecting");
  stack.fail(stack.last[0], ECONNREFUSED);
  assertEquals(await socket.read(), 0);
  const ask = (take: number) =>
    control(fixture, OP.outcome, (record) => {
      record.id = id;
      record.arg0 = take;
    });
  assertEquals((await ask(0)).arg0, ECONNREFUSED);
  assertEquals((await ask(1)).arg0, ECONNREFUSED);
  assertEquals((await ask(1)).arg0, 0);
  const unknown = await control(fixture, OP.names, (record) => record.id = id);
  assertEquals(unknown.errno, ENOENT);
});

Deno.test("on a socket anything but a connect ends it; an unknown kind is refused", async () => {
  using fixture = new Fixture();
  const { program } = await openSocket(fixture, 1);
  using socket = program;
  socket.send(OP.status);
  assertEquals(await socket.read(), 0);
  using other = new Program(fixture);
  other.send(OP.socket, (record) => record.arg0 = 5);
  assertEquals((await other.receive()).errno, EINVAL);
  await fixture.until(() => fixture.server.clientCount === 0);
});

Deno.test("a datagram socket is a SOCK_SEQPACKET descriptor that comes with the answer", async () => {
  using fixture = new Fixture();
  const { stack } = fixture;
  const { program, id } = await openSocket(fixture, 2);
  using asking = program;
  const { fd } = asking.received;
  using socket = new Program(fixture, fd);
  assertEquals(getTag(fd), makeTag(TAG_STATE.datagram, id));
  const { view, bytes } = socket.memory;
  // A bare message goes to the peer that was named; bytes 6 and 7 are what the fake stack remembers of it.
  bytes.set([0, 0, 0, 0, 0, 0, 1, 2]);
  sendBytes(fd, socket.memory, 0, 8);
  // One with a header goes to the address in it.
  bytes.fill(0, 0, DATAGRAM_HEADER);
  view.setUint32(0, DATAGRAM_MAGIC, true);
  view.setBigUint64(8, id, true);
  bytes.set([0, 0, 0, 0, 0, 0, 3, 4], DATAGRAM_HEADER);
  sendBytes(fd, socket.memory, 0, DATAGRAM_HEADER + 8);
  const [handle, sent] = stack.last;
  await fixture.until(() => sent.echoes.length === 2);
  assertEquals(sent.echoes, [0x102, 0x304]);
  // What comes to a socket without a peer says who sent it.
  sent.messages.push({ from: 0x0a000007, seq: 5, length: 16 });
  stack.notify(handle);
  assertEquals(await socket.read(), DATAGRAM_HEADER + 16);
  assertEquals([view.getUint32(0, true), view.getInt32(16)], [DATAGRAM_MAGIC, 0x0a000007]);
  assertEquals(view.getBigUint64(8, true), id);
});

Deno.test("an empty datagram is sent, the end of writing is not, though the event of it has yet to come", async () => {
  using fixture = new Fixture();
  const { program } = await openSocket(fixture, 2);
  using asking = program;
  const { fd } = asking.received;
  using socket = new Program(fixture, fd);
  fixture.turn();
  fixture.paused = true;
  assertEquals(sendBytes(fd, socket.memory, 0, 8), 8);
  assertEquals(sendBytes(fd, socket.memory, 0, 0), 0);
  const { epoll, server, stack } = fixture;
  assertEquals(epoll.wait(0), 1);
  server.event(epoll.eventFd(0), epoll.eventMask(0));
  while (server.work(fixture.now));
  assertEquals(stack.last[1].echoes.length, 2);
  assertEquals(sendBytes(fd, socket.memory, 0, 8), 8);
  assertEquals(epoll.wait(0), 1);
  server.event(epoll.eventFd(0), epoll.eventMask(0));
  shutdownSocket(fd, SHUT_WR);
  while (server.work(fixture.now));
  assertEquals(stack.last[1].echoes.length, 3);
});

Deno.test("a stranger may control a socket whose id it knows, and nothing else", async () => {
  let uid = 0;
  using fixture = new Fixture({
    uid: 4321,
    host: { credentials: () => ({ pid: 1, uid, gid: uid }) },
  });
  const { program, id } = await openSocket(fixture, 1);
  using _socket = program;
  uid = 1234;
  const option = await control(fixture, OP.setOption, (record) => {
    record.id = id;
    record.arg0 = 1;
    record.arg1 = 9;
    record.arg2 = 1;
  });
  assertEquals(option.errno, 0);
  for (const op of [OP.socket, OP.status, OP.connect]) {
    const refused = await control(fixture, op, (record) => {
      record.arg0 = op === OP.socket ? 1 : 0;
      if (op === OP.connect) record.remote.set(1, 80);
    });
    assertEquals(refused.errno, EACCES);
  }
  using channel = await Channel.open(fixture.socketPath);
  await fixture.until(() => fixture.server.clientCount === 2);
  channel.close();
});

Deno.test("the pass lets in programs that have become another user's", async () => {
  let uid = 4321;
  using fixture = new Fixture({ uid, host: { credentials: () => ({ pid: 1, uid, gid: uid }) } });
  const { arg3, arg4 } = await control(fixture, OP.pass, () => {});
  uid = 1234;
  const ask = (change: number) =>
    control(fixture, OP.serves, (record) => {
      record.arg0 = 1;
      record.remote.set(0x7f000001, 80);
      [record.arg3, record.arg4] = [arg3 ^ change, arg4];
    });
  assertEquals((await ask(0)).errno, 0);
  assertEquals((await ask(1)).errno, EACCES);
  assertEquals((await control(fixture, OP.pass, () => {})).errno, EACCES);
});

Deno.test("what a program has set is told to the socket that takes its place", async () => {
  using fixture = new Fixture();
  const { program, id } = await openSocket(fixture, 1);
  using _socket = program;
  const set = (arg0: number, arg1: number, arg2: number) =>
    control(fixture, OP.setOption, (record) => Object.assign(record, { id, arg0, arg1, arg2 }));
  await set(1, 9, 1);
  await set(6, 4, 77);
  await set(1, 9, 0);
  await control(fixture, OP.bind, (record) => {
    record.id = id;
    record.local.set(0x7f000001, 1234);
  });
  using channel = await Channel.open(fixture.socketPath);
  const record = new ProtocolRecord().reset(OP.settings);
  record.id = id;
  await channel.exchange(record, "Cannot ask");
  assertEquals([record.arg0, record.arg1, record.length], [2, 1, 24]);
  assertEquals([record.local.address, record.local.port], [0x7f000001, 1234]);
  const bytes = new Uint8Array(record.length);
  await channel.readFully(bytes);
  assertEquals([...new Int32Array(bytes.buffer)], [1, 9, 0, 6, 4, 77]);
});
