import { assert, assertEquals, assertThrows } from "@std/assert";
import { EAGAIN, EBADF, ECONNREFUSED, ENOENT, ENOPROTOOPT, ENOTSOCK, EPIPE } from "../../lib/errno.ts";
import { Memory, Slices } from "../../lib/buffer/memory.ts";
import { ENAMETOOLONG, SysError } from "../../ffi/errno.ts";
import { F_GETFD, F_GETFL, FD_CLOEXEC, libc, O_NONBLOCK } from "../../ffi/libc.ts";
import {
  MSG_PEEK,
  MSG_TRUNC,
  receiveBytes,
  ReceivedDescriptor,
  receiveDescriptor,
  receiveSlices,
  sendBytes,
  sendDescriptor,
  sendSlices,
} from "../../ffi/socket_io.ts";
import {
  acceptUnix,
  closeDescriptor,
  connectUnix,
  getSocketOption,
  getTag,
  isPeerInGroup,
  NO_TAG,
  peerCredentials,
  setSocketOption,
  setTag,
  SHUT_RD,
  SHUT_WR,
  shutdownSocket,
  SO_ERROR,
  SO_SNDBUF,
  SOCK_SEQPACKET,
  SOCK_STREAM,
  socketPair,
  SOL_SOCKET,
  UnixAddress,
} from "../../ffi/unix_socket.ts";
import { listenUnix } from "../../ffi/unix_listener.ts";
import { WakeUp } from "../../ffi/eventfd.ts";
import "./open_libc.ts";

function pattern(size: number): Memory {
  const memory = new Memory(size);
  memory.bytes.forEach((_, i) => memory.bytes[i] = i * 31 + (i >> 8));
  return memory;
}

Deno.test("both slices of a ring are sent and filled in order", () => {
  const [a, b] = socketPair();
  const out = new Slices();
  out.memory = pattern(1024);
  [out.offset1, out.length1, out.offset2, out.length2] = [900, 124, 0, 200];
  assertEquals(sendSlices(a, out), 324);
  const into = new Slices();
  into.memory = new Memory(1024);
  [into.offset1, into.length1, into.offset2, into.length2] = [1000, 24, 4, 500];
  assertEquals(receiveSlices(b, into), 324);
  const expected = [...out.memory.bytes.subarray(900), ...out.memory.bytes.subarray(0, 200)];
  assertEquals([...into.memory.bytes.subarray(1000), ...into.memory.bytes.subarray(4, 304)], expected);
  assertEquals(receiveSlices(b, into), -EAGAIN);
  out.clear();
  assertEquals(sendSlices(a, out), 0);
  closeDescriptor(a);
  assertEquals(receiveSlices(b, into), 0);
  out.memory = into.memory;
  out.length1 = 10;
  assertEquals(sendSlices(b, out), -EPIPE); // and no SIGPIPE: the test goes on
  closeDescriptor(b);
});

Deno.test("a full socket takes what fits, then nothing; all bytes arrive", () => {
  const [a, b] = socketPair();
  const data = pattern(65536);
  let sent = 0;
  for (let n; (n = sendBytes(a, data, sent % 4096, 4096 - sent % 4096)) >= 0; sent += n);
  assertEquals(sendBytes(a, data, 0, 1), -EAGAIN);
  assert(sent >= 65536);
  const into = new Memory(65536);
  let received = 0;
  for (let n; (n = receiveBytes(b, into, 0, 65536)) > 0; received += n) {
    for (let i = 0; i < n; i += 97) assertEquals(into.bytes[i], data.bytes[(received + i) % 4096]);
  }
  assertEquals(received, sent);
  closeDescriptor(a);
  closeDescriptor(b);
});

Deno.test("a transfer outside the memory is a mistake of the program", () => {
  const [a, b] = socketPair();
  const memory = new Memory(128);
  for (const [offset, length] of [[-1, 5], [0, 129], [128, 1], [5, -1], [NaN, 1]]) {
    assertThrows(() => sendBytes(a, memory, offset, length), RangeError, "128 bytes");
    assertThrows(() => receiveBytes(b, memory, offset, length), RangeError);
  }
  closeDescriptor(a);
  closeDescriptor(b);
});

Deno.test("messages keep their boundaries on SOCK_SEQPACKET, empty ones too; peek and true length", () => {
  const [a, b] = socketPair(SOCK_SEQPACKET);
  const memory = pattern(1024);
  for (const length of [100, 0, 300]) assertEquals(sendBytes(a, memory, 0, length), length);
  const into = new Memory(128);
  assertEquals(receiveBytes(b, into, 0, 128, MSG_PEEK), 100);
  assertEquals(receiveBytes(b, into, 0, 128), 100);
  assertEquals(receiveBytes(b, into, 0, 128), 0);
  assertEquals(receiveBytes(b, into, 0, 128, MSG_TRUNC), 300);
  closeDescriptor(a);
  closeDescriptor(b);
});

Deno.test("each direction ends for itself", () => {
  const [a, b] = socketPair();
  const memory = pattern(128);
  assertEquals(shutdownSocket(a, SHUT_WR), 0);
  assertEquals(receiveBytes(b, memory, 0, 128), 0);
  assertEquals(sendBytes(b, memory, 0, 128), 128);
  assertEquals(sendBytes(a, memory, 0, 1), -EPIPE);
  assertEquals(shutdownSocket(b, SHUT_RD), 0);
  closeDescriptor(a);
  closeDescriptor(b);
});

Deno.test("a connection on a path and on an abstract name, with the peer's credentials", () => {
  const folder = Deno.makeTempDirSync();
  for (const address of [`${folder}/socket`, `@lvl-ip-test-${crypto.randomUUID()}`]) {
    const listener = listenUnix(address);
    assertEquals(acceptUnix(listener.fd), -EAGAIN);
    const client = connectUnix(address);
    const server = acceptUnix(listener.fd);
    assert(server >= 0);
    assert((libc().fcntl(server, F_GETFD, 0) & FD_CLOEXEC) !== 0);
    assert((libc().fcntl(server, F_GETFL, 0) & O_NONBLOCK) !== 0);
    const us = { pid: Deno.pid, uid: Deno.uid() ?? -1, gid: Deno.gid() ?? -1 };
    assertEquals(peerCredentials(server), us);
    assertEquals(isPeerInGroup(server, us.gid), true);
    assertEquals(isPeerInGroup(server, 54_321), false);
    const memory = pattern(128);
    assertEquals(sendBytes(client, memory, 0, 5), 5);
    assertEquals(receiveBytes(server, memory, 64, 64), 5);
    closeDescriptor(client);
    closeDescriptor(server);
    assertEquals(listener.close(), true);
  }
  Deno.removeSync(folder); // only if it is empty
});

Deno.test("nobody there, no such path, no permission: errors with names", () => {
  const refused = assertThrows(() => connectUnix("@lvl-ip-nobody"), SysError, "nobody listens there");
  assertEquals(refused.errno, ECONNREFUSED);
  assertEquals(assertThrows(() => connectUnix("/nonexistent/socket"), SysError).errno, ENOENT);
  assertEquals(assertThrows(() => connectUnix("x".repeat(108)), SysError).errno, ENAMETOOLONG);
  assertEquals(assertThrows(() => connectUnix(""), SysError).name, "EINVAL");
  assertEquals(assertThrows(() => connectUnix("a\0b"), SysError).name, "EINVAL");
  assertEquals(new UnixAddress("x".repeat(107)).length, 2 + 108);
  assertEquals(new UnixAddress("@" + "x".repeat(107)).length, 2 + 108);
  assertEquals(peerCredentials(-1), null);
  assertEquals(shutdownSocket(0x7fff, SHUT_WR), -EBADF);
});

Deno.test("options with an int", () => {
  const [a, b] = socketPair();
  assertEquals(setSocketOption(a, SOL_SOCKET, SO_SNDBUF, 100_000), 0);
  assertEquals(getSocketOption(a, SOL_SOCKET, SO_SNDBUF), 200_000); // the kernel doubles it for its own use
  assertEquals(getSocketOption(a, SOL_SOCKET, SO_ERROR), 0);
  assertEquals(getSocketOption(a, SOL_SOCKET, 9999), -ENOPROTOOPT);
  assertEquals(setSocketOption(-1, SOL_SOCKET, SO_SNDBUF, 1), -EBADF);
  closeDescriptor(a);
  closeDescriptor(b);
});

Deno.test("a tag of 64 bits stays with the socket, over dup and over being sent", () => {
  const [a, b] = socketPair();
  const tag = 0x6c76_6c69_8123_4567n;
  assertEquals(getTag(a), NO_TAG);
  assertEquals(setTag(a, tag), 0);
  assertEquals([getTag(a), getTag(b)], [tag, NO_TAG]);
  const F_DUPFD = 0;
  const copy = libc().fcntl(a, F_DUPFD, 0);
  assertEquals(getTag(copy), tag);
  const [c, d] = socketPair();
  const memory = new Memory(128);
  assertEquals(sendDescriptor(c, a, memory, 0, 1), 1);
  const received = new ReceivedDescriptor();
  assertEquals(receiveDescriptor(d, memory, 0, 128, received), 1);
  assertEquals(getTag(received.fd), tag);
  const wake = new WakeUp();
  assertEquals(getTag(wake.fd), null);
  assertEquals(setTag(wake.fd, tag), -ENOTSOCK);
  wake.close();
  for (const fd of [a, b, c, d, copy, received.fd]) closeDescriptor(fd);
});

for (const type of [SOCK_STREAM, SOCK_SEQPACKET]) {
  Deno.test(`a descriptor travels with its bytes (type ${type}), and the next bytes have none`, () => {
    const [a, b] = socketPair(type);
    const memory = pattern(256);
    const wake = new WakeUp();
    assertEquals(sendDescriptor(a, wake.fd, memory, 10, 40), 40);
    assertEquals(sendBytes(a, memory, 0, 7), 7);
    const into = new Memory(256);
    const received = new ReceivedDescriptor();
    assertEquals(receiveDescriptor(b, into, 100, 40, received), 40);
    assertEquals(into.bytes.subarray(100, 140), memory.bytes.subarray(10, 50));
    assert(received.fd >= 0 && received.fd !== wake.fd);
    assert((libc().fcntl(received.fd, F_GETFD, 0) & FD_CLOEXEC) !== 0);
    wake.signal();
    const same = new WakeUp(received.fd);
    assertEquals([same.clear(), wake.clear()], [true, false]);
    same.close();
    assertEquals(receiveDescriptor(b, into, 0, 256, received), 7);
    assertEquals(received.fd, -1);
    assertEquals(receiveDescriptor(b, into, 0, 256, received), -EAGAIN);
    assertEquals(received.fd, -1);
    wake.close();
    closeDescriptor(a);
    closeDescriptor(b);
  });
}

Deno.test("of several descriptors from a stranger none but the first is installed", async () => {
  const folder = Deno.makeTempDirSync();
  const listener = listenUnix(`${folder}/socket`);
  const script = `import socket,array,os,sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
s.sendmsg([b"hello"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])`;
  try {
    // not .output(): the ends of its pipes would be in flight, and never end
    const args = ["-c", script, `${folder}/socket`];
    await new Deno.Command("python3", { args, stdin: "null", stdout: "null", stderr: "null" }).spawn().status;
    const server = acceptUnix(listener.fd);
    const count = () => [...Deno.readDirSync("/proc/self/fd")].length;
    const before = count();
    const received = new ReceivedDescriptor();
    assertEquals(receiveDescriptor(server, new Memory(128), 0, 128, received), 5);
    assertEquals(count(), before + 1);
    closeDescriptor(received.fd);
    closeDescriptor(server);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error; // no python3 on this machine
  } finally {
    listener.close();
    Deno.removeSync(folder);
  }
});
