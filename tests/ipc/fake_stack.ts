import { Memory, type Slices } from "../../lib/buffer/memory.ts";
import { EADDRINUSE, EAGAIN, EBADF, EINPROGRESS, ENOTCONN } from "../../lib/errno.ts";
import type { SocketLayer } from "../../lib/ipc/host.ts";
import type { TcpInfo } from "../../lib/stack/stack.ts";
import {
  type Datagram,
  READY_ERROR,
  READY_HANGUP,
  READY_READ,
  READY_WRITE,
  type SocketName,
} from "../../lib/stack/socket_types.ts";

const ROOM = 65536;

/** A socket of the fake stack: what the server did to it, and what the test makes of it. */
export class FakeSocket {
  state: "new" | "connecting" | "open" | "listening" | "closed" | "reset" = "new";
  /** Bytes the program sent that the network has not taken. */
  sent: number[] = [];
  /** All bytes the program ever sent. */
  sentTotal = 0;
  /** Bytes for the program. */
  incoming: number[] = [];
  finIn = false;
  finOut = false;
  error = 0;
  /** Error that receiving answers with when all bytes are read. */
  broken = 0;
  window = ROOM;
  accepts: number[] = [];
  options = new Map<string, number>();
  messages: { from: number; seq: number; length: number; error?: number }[] = [];
  echoes: number[] = [];
  backlog = 0;
  localPort = 0;
  remotePort = 0;
  remoteAddress = 0;
  localAddress = 0x0a000004;
  readonly memory = new Memory(ROOM);
  readonly readMemory = new Memory(ROOM);
}

/** A stack that does what the test says: connections open, carry bytes and end by the test's hand. */
export class FakeStack implements SocketLayer {
  readonly network = {
    interfaces: [
      { index: 1, name: "lo", mtu: 65536, mac: 0, addresses: [{ address: 0x7f000001, prefixLength: 8 }] },
      { index: 2, name: "eth0", mtu: 1500, mac: 0x02000a000004, addresses: [] },
    ],
  };
  readonly sockets = new Map<number, FakeSocket>();
  readonly ready: number[] = [];
  /** What `connect` comes to at once: 0 (stays in progress) or -errno. */
  connectResult = -EINPROGRESS;
  #next = 100;

  add(): number {
    const handle = this.#next++;
    this.sockets.set(handle, new FakeSocket());
    return handle;
  }

  get(handle: number): FakeSocket {
    const socket = this.sockets.get(handle);
    if (socket === undefined) throw new Error(`no socket ${handle}`);
    return socket;
  }

  /** The socket made last. */
  get last(): [number, FakeSocket] {
    return [...this.sockets.entries()].at(-1)!;
  }

  notify(handle: number): void {
    this.ready.push(handle);
  }

  /** A connection for a listener. */
  arrive(listener: number, remotePort = 4711): number {
    const handle = this.add();
    const socket = this.get(handle);
    socket.state = "open";
    socket.remotePort = remotePort;
    socket.localPort = this.get(listener).localPort;
    this.get(listener).accepts.push(handle);
    this.notify(listener);
    return handle;
  }

  deliver(handle: number, bytes: Uint8Array): void {
    this.get(handle).incoming.push(...bytes);
    this.notify(handle);
  }

  socket(): number {
    return this.add();
  }

  bind(handle: number, address: number, port: number): number {
    const taken = [...this.sockets.values()].some((each) =>
      each.localPort === port && each.state === "listening"
    );
    if (port !== 0 && taken) return -EADDRINUSE;
    const socket = this.get(handle);
    socket.localPort = port || 40000 + handle;
    if (address !== 0) socket.localAddress = address;
    return 0;
  }

  listen(handle: number, backlog: number): number {
    this.get(handle).state = "listening";
    this.get(handle).backlog = backlog;
    return 0;
  }

  connect(handle: number, address: number, port: number): number {
    const socket = this.get(handle);
    socket.remoteAddress = address;
    socket.remotePort = port;
    socket.localPort ||= 40000 + handle;
    socket.state = "connecting";
    return this.connectResult;
  }

  open(handle: number): void {
    this.get(handle).state = "open";
    this.notify(handle);
  }

  fail(handle: number, errno: number): void {
    const socket = this.get(handle);
    socket.error = errno;
    socket.broken = errno;
    this.notify(handle);
  }

  serves(_kind: number, address: number, port: number): boolean {
    return [...this.sockets.values()].some(({ state, localAddress, localPort }) =>
      state === "listening" && localAddress === address && localPort === port
    );
  }

  accept(handle: number): number {
    return this.get(handle).accepts.shift() ?? -EAGAIN;
  }

  reserve(handle: number, max: number, slices: Slices): number {
    const socket = this.get(handle);
    if (socket.broken !== 0) return -32;
    const room = Math.min(max, ROOM, socket.window - socket.sent.length);
    if (room <= 0) return -EAGAIN;
    slices.memory = socket.memory;
    slices.offset1 = 0;
    slices.length1 = Math.ceil(room / 2);
    slices.offset2 = slices.length1;
    slices.length2 = room - slices.length1;
    return room;
  }

  commit(handle: number, length: number): number {
    const socket = this.get(handle);
    for (const byte of socket.memory.bytes.subarray(0, length)) socket.sent.push(byte);
    socket.sentTotal += length;
    return length;
  }

  /** The network takes what was sent. */
  drain(handle: number): Uint8Array {
    const socket = this.get(handle);
    const bytes = new Uint8Array(socket.sent);
    socket.sent = [];
    this.notify(handle);
    return bytes;
  }

  peek(handle: number, max: number, slices: Slices): number {
    const socket = this.get(handle);
    const length = Math.min(max, ROOM, socket.incoming.length);
    if (length === 0) return socket.broken !== 0 ? -socket.broken : socket.finIn ? 0 : -EAGAIN;
    for (let i = 0; i < length; i++) socket.readMemory.bytes[i] = socket.incoming[i];
    slices.memory = socket.readMemory;
    slices.offset1 = 0;
    slices.length1 = length;
    slices.offset2 = slices.length2 = 0;
    return length;
  }

  consume(handle: number, length: number): void {
    this.get(handle).incoming.splice(0, length);
  }

  sendTo(handle: number, message: Datagram): number {
    const socket = this.get(handle);
    const { bytes, offset } = message;
    const seq = (bytes[offset + 6] << 8) | bytes[offset + 7];
    socket.echoes.push(seq);
    return message.length;
  }

  receiveFrom(handle: number, message: Datagram): number {
    const next = this.get(handle).messages.shift();
    if (next === undefined) return -EAGAIN;
    message.kind = next.error === undefined ? 0 : 1;
    message.length = next.length;
    message.offset = 0;
    message.address = message.sourceAddress = next.from;
    message.ttl = 61;
    message.icmpType = 3;
    message.icmpCode = 1;
    message.errno = next.error ?? 0;
    message.receivedAtUs = 5_000_000;
    message.bytes.fill(0, 0, 8);
    message.bytes[6] = next.seq >> 8;
    message.bytes[7] = next.seq & 0xff;
    return next.length;
  }

  shutdown(handle: number, how: number): number {
    if (how !== 0) this.get(handle).finOut = true;
    return 0;
  }

  close(handle: number): number {
    if (!this.sockets.has(handle)) return -EBADF;
    this.get(handle).state = "closed";
    return 0;
  }

  abort(handle: number): number {
    this.get(handle).state = "reset";
    return 0;
  }

  setOption(handle: number, level: number, name: number, value: number): number {
    this.get(handle).options.set(`${level}/${name}`, value);
    return 0;
  }

  getOption(handle: number, level: number, name: number): number {
    return this.get(handle).options.get(`${level}/${name}`) ?? -92;
  }

  mtuTo(): number {
    return 1500;
  }

  name(handle: number, out: SocketName): number {
    const socket = this.sockets.get(handle);
    if (socket === undefined) return -ENOTCONN;
    out.localAddress = socket.localAddress;
    out.localPort = socket.localPort;
    out.remoteAddress = socket.remoteAddress;
    out.remotePort = socket.remotePort;
    return 0;
  }

  readiness(handle: number): number {
    const socket = this.get(handle);
    let ready = 0;
    if (socket.error !== 0) ready |= READY_ERROR | READY_HANGUP;
    if (socket.state === "open" && socket.broken === 0) ready |= READY_WRITE;
    if (socket.incoming.length > 0 || socket.accepts.length > 0) ready |= READY_READ;
    return ready;
  }

  setCongestion(): number {
    return 0;
  }

  info(): TcpInfo {
    throw new Error("the fake stack has no figures");
  }

  takeError(handle: number): number {
    const { error } = this.get(handle);
    this.get(handle).error = 0;
    return error;
  }
}
