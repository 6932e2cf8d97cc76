import { assertEquals } from "@std/assert";
import { receiveBytes, sendBytes } from "../../ffi/socket_io.ts";
import { closeDescriptor, connectUnix } from "../../ffi/unix_socket.ts";
import { Memory } from "../../lib/buffer/memory.ts";
import { EAGAIN, EEXIST, EINVAL, EPROTO } from "../../lib/errno.ts";
import {
  decodeRecord,
  encodeRecord,
  FLAG_QUIET,
  OP,
  ProtocolRecord,
  RECORD_SIZE,
} from "../../lib/ipc/protocol.ts";
import { Fixture } from "./server_fixture.ts";

/* What a program writes on its socket before it connects, without waiting for an answer. */

const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const TCP_KEEPIDLE = 4;
const ID = 0x1234n;

/** A program's connection to the server, which gets its turns from the test alone. */
class Wire implements Disposable {
  readonly memory = new Memory(256);
  readonly record = new ProtocolRecord();
  readonly fd: number;

  constructor(readonly fixture: Fixture) {
    fixture.paused = true;
    this.fd = connectUnix(fixture.socketPath);
  }

  send(op: number, fields: Partial<ProtocolRecord> = {}): void {
    Object.assign(this.record.reset(op), fields);
    encodeRecord(this.record, this.memory.view, 0);
    assertEquals(sendBytes(this.fd, this.memory, 0, RECORD_SIZE), RECORD_SIZE);
  }

  /** Makes it a socket, and sets an option of it. */
  setEarly(name: number, value: number, id = ID): void {
    this.send(OP.socket, { flags: FLAG_QUIET, id, arg0: 1 });
    this.send(OP.setOption, { flags: FLAG_QUIET, id, arg0: IPPROTO_TCP, arg1: name, arg2: value });
  }

  /** The next record; null when there is none, 0 at the end. */
  receive(): ProtocolRecord | 0 | null {
    const count = receiveBytes(this.fd, this.memory, 0, RECORD_SIZE);
    if (count <= 0) return count === 0 ? 0 : null;
    decodeRecord(this.memory.view, 0, this.record);
    return this.record;
  }

  ask(op: number, fields: Partial<ProtocolRecord>): ProtocolRecord {
    this.send(op, fields);
    this.fixture.turn();
    return this.receive() as ProtocolRecord;
  }

  [Symbol.dispose](): void {
    closeDescriptor(this.fd);
  }
}

const keepIdle = { id: ID, arg0: IPPROTO_TCP, arg1: TCP_KEEPIDLE };

Deno.test("options written on the socket take effect, unanswered, before the connect behind them", () => {
  using fixture = new Fixture();
  using socket = new Wire(fixture);
  socket.setEarly(TCP_KEEPIDLE, 77);
  socket.record.remote.set(0x0a000005, 80);
  socket.send(OP.setOption, { ...keepIdle, flags: FLAG_QUIET, arg2: 78 });
  fixture.turn();
  const [, { options }] = fixture.stack.last;
  assertEquals(options.get(`${IPPROTO_TCP}/${TCP_KEEPIDLE}`), 78);
  assertEquals(receiveBytes(socket.fd, socket.memory, 0, 1), -EAGAIN);
});

Deno.test("what is asked on another connection comes after what was written on the socket", () => {
  using fixture = new Fixture();
  using socket = new Wire(fixture);
  // The server finds it silent, and is told of the other one before it is told that this one has written.
  fixture.turnForNewcomers();
  socket.setEarly(TCP_KEEPIDLE, 77);
  using control = new Wire(fixture);
  control.send(OP.getOption, keepIdle);
  fixture.turnForNewcomers();
  assertEquals([control.receive(), control.record.errno, control.record.arg2], [control.record, 0, 77]);
  // The same when the socket is known already.
  socket.send(OP.setOption, { ...keepIdle, flags: FLAG_QUIET, arg2: 78 });
  control.send(OP.getOption, keepIdle);
  using other = new Wire(fixture);
  other.send(OP.getOption, keepIdle);
  fixture.turnForNewcomers();
  assertEquals([other.receive(), other.record.arg2], [other.record, 78]);
});

Deno.test("an option that is refused after all closes the socket, and the outcome says why", () => {
  using fixture = new Fixture();
  fixture.stack.setOption = () => -EINVAL;
  using socket = new Wire(fixture);
  socket.setEarly(TCP_KEEPIDLE, -1);
  using control = new Wire(fixture);
  const { errno, arg0 } = control.ask(OP.outcome, { id: ID });
  assertEquals([errno, arg0], [0, EINVAL]);
  assertEquals(socket.receive(), 0);
  assertEquals(fixture.stack.last[1].state, "closed");
});

Deno.test("an option that asks for an answer, and another op, end a socket that is not connected", () => {
  using fixture = new Fixture();
  const wrong = [[OP.setOption, 0, EINVAL], [OP.names, FLAG_QUIET, EPROTO]] as const;
  for (const [op, flags, expected] of wrong) {
    using socket = new Wire(fixture);
    const id = BigInt(expected);
    socket.setEarly(TCP_NODELAY, 1, id);
    socket.send(op, { ...keepIdle, id, flags });
    using control = new Wire(fixture);
    assertEquals(control.ask(OP.outcome, { id }).arg0, expected);
    fixture.turn();
  }
});

Deno.test("a proposed id that is in use is refused, and its holder keeps it", () => {
  using fixture = new Fixture();
  using socket = new Wire(fixture);
  socket.setEarly(TCP_KEEPIDLE, 77);
  using second = new Wire(fixture);
  const { errno } = second.ask(OP.socket, { flags: FLAG_QUIET, id: ID, arg0: 1 });
  assertEquals(errno, EEXIST);
  assertEquals(second.receive(), 0);
  using control = new Wire(fixture);
  assertEquals(control.ask(OP.getOption, keepIdle).arg2, 77);
});

Deno.test("only a stream without an answer has an id of its own choice, of 48 bits", () => {
  using fixture = new Fixture();
  const refused = [
    { id: ID, arg0: 1 },
    { flags: FLAG_QUIET, arg0: 1 },
    { flags: FLAG_QUIET, id: ID, arg0: 2 },
    { flags: FLAG_QUIET, id: 1n << 48n, arg0: 1 },
  ];
  for (const fields of refused) {
    using socket = new Wire(fixture);
    socket.send(OP.socket, fields);
    fixture.turn();
    const answer = socket.receive();
    assertEquals(answer === 0 || answer?.errno, answer === 0 ? true : EINVAL);
    assertEquals(fixture.server.clientCount, 0);
  }
});
