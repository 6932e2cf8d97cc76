/** Datagrams as records on a program's byte stream. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { DatagramConn, listenDatagram, openIcmp, openRaw } from "../../lib/ipc/client.ts";
import { encodeRecord, MAX_DATAGRAM, OP, ProtocolRecord, RECORD_SIZE } from "../../lib/ipc/protocol.ts";
import { EAGAIN, ECONNREFUSED } from "../../lib/errno.ts";
import { Fixture } from "./server_fixture.ts";

/** A message of a program: its 8 bytes end with `number`. */
function messageOf(number: number): Uint8Array<ArrayBuffer> {
  const record = new ProtocolRecord().reset(OP.datagram);
  record.remote.set(0x0a000005, 53);
  record.length = 8;
  const bytes = new Uint8Array(RECORD_SIZE + 8);
  encodeRecord(record, new DataView(bytes.buffer), 0);
  bytes[RECORD_SIZE + 7] = number;
  return bytes;
}

/** Opens a datagram socket by hand. */
async function openByHand(fixture: Fixture): Promise<Deno.UnixConn> {
  const socket = await Deno.connect({ transport: "unix", path: fixture.socketPath });
  const bytes = new Uint8Array(RECORD_SIZE);
  encodeRecord(new ProtocolRecord().reset(OP.datagram), new DataView(bytes.buffer), 0);
  await socket.write(bytes);
  assertEquals(await socket.read(bytes), RECORD_SIZE);
  return socket;
}

Deno.test("messages of a program may come in pieces, or many at once", async () => {
  using fixture = new Fixture();
  using socket = await openByHand(fixture);
  const [, stackSocket] = fixture.stack.last;
  for (const byte of messageOf(1)) {
    await socket.write(new Uint8Array([byte]));
    fixture.turn();
  }
  assertEquals(stackSocket.echoes, [1]);
  const many = Array.from({ length: 200 }, (_, i) => [...messageOf(i + 2)]).flat();
  const all = new Uint8Array(many);
  for (let sent = 0; sent < all.length;) sent += await socket.write(all.subarray(sent));
  await fixture.until(() => stackSocket.echoes.length === 201);
  assertEquals(stackSocket.echoes, Array.from({ length: 201 }, (_, i) => i + 1));
});

Deno.test("messages wait while the stack has no room for them, and those sent before a close go out", async () => {
  using fixture = new Fixture();
  const socket = await openByHand(fixture);
  const [handle, stackSocket] = fixture.stack.last;
  const sendTo = fixture.stack.sendTo;
  let refusals = 0;
  fixture.stack.sendTo = () => {
    refusals++;
    return -EAGAIN;
  };
  await socket.write(messageOf(1));
  await socket.write(messageOf(2));
  await fixture.until(() => refusals > 0);
  fixture.stack.sendTo = sendTo;
  fixture.stack.notify(handle);
  await fixture.until(() => stackSocket.echoes.length === 2);
  fixture.paused = true;
  await socket.write(messageOf(3));
  socket.close();
  fixture.paused = false;
  await fixture.until(() => stackSocket.state === "closed");
  assertEquals(stackSocket.echoes, [1, 2, 3]);
});

Deno.test("a record that is no message ends the socket, and harms nobody else", async () => {
  using fixture = new Fixture();
  for (
    const spoil of [
      (view: DataView) => view.setUint16(6, OP.status, true),
      (view: DataView) => view.setUint32(44, MAX_DATAGRAM + 1, true),
      (view: DataView) => view.setUint32(0, 1, true),
    ]
  ) {
    using socket = await openByHand(fixture);
    const bytes = messageOf(1);
    spoil(new DataView(bytes.buffer));
    await socket.write(bytes);
    assertEquals(await socket.read(new Uint8Array(1)).catch(() => null), null);
  }
  assertEquals(fixture.server.counters.requestsMalformed, 3);
  assertEquals(fixture.server.clientCount, 0);
});

Deno.test("what the network sends waits for a program that does not read, and errors are thrown in order", async () => {
  using fixture = new Fixture();
  const { socketPath, stack } = fixture;
  using socket = await listenDatagram({ port: 53, socketPath });
  assert(socket instanceof DatagramConn);
  const [handle, stackSocket] = stack.last;
  // Some 6 MB: more than what lies in the Unix socket.
  for (let seq = 1; seq <= 100; seq++) stackSocket.messages.push({ from: 0x0a000005, seq, length: 60_000 });
  stack.notify(handle);
  await fixture.until(() => stackSocket.messages.length < 100);
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert(stackSocket.messages.length > 50, "the daemon keeps more than one message");
  for (let seq = 1; seq <= 100; seq++) {
    const [message, from] = await socket.receive();
    assertEquals([message.length, message[7], from.hostname], [60_000, seq, "10.0.0.5"]);
  }
  const receiveFrom = stack.receiveFrom;
  stack.receiveFrom = () => {
    stack.receiveFrom = receiveFrom;
    return -ECONNREFUSED;
  };
  stack.notify(handle);
  await assertRejects(() => socket.receive(), Deno.errors.ConnectionRefused);
});

Deno.test("a raw socket is for root and the daemon's user; the group's members have the other kinds", async () => {
  const credentials = () => ({ pid: 1, uid: 1000, gid: 7 });
  using fixture = new Fixture({ uid: 999, gid: 7, host: { credentials } });
  const { socketPath, stack } = fixture;
  await assertRejects(
    () => openRaw({ protocol: 1, socketPath }),
    Deno.errors.PermissionDenied,
    "Cannot open a raw socket for protocol 1: only root and the user who runs the daemon may",
  );
  assertEquals(stack.sockets.size, 0);
  using _icmp = await openIcmp({ socketPath });
  using owners = new Fixture({ uid: 1000, host: { credentials } });
  using _raw = await openRaw({ protocol: 1, socketPath: owners.socketPath });
});
