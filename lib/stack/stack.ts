import type { Frame } from "../buffer/frame.ts";
import type { Slices } from "../buffer/memory.ts";
import { EBADF, EINVAL, ENOTCONN, EOPNOTSUPP } from "../errno.ts";
import type { TcpSettings } from "../tcp/settings.ts";
import * as tcp from "../tcp/user_calls.ts";
import { SendNext, type TcpInfo } from "../tcp/user_calls.ts";
import type { IpAddress } from "../wire/address.ts";
import { advanceAnnouncements } from "./arp.ts";
import { bindSocket, isServed } from "./bind.ts";
import type { StackConfig } from "./config.ts";
import { Connection } from "./connection.ts";
import { abortConnections, advanceConnections, touch } from "./connections.ts";
import { Core } from "./core.ts";
import { createSocket, endSocket } from "./create_socket.ts";
import type { Counters } from "./counters.ts";
import { receiveMessageInto } from "./datagram_receive.ts";
import { connectDatagram, mtuForMessage, sendMessage, shutdownDatagram } from "./datagram_socket.ts";
import { expectNext, expectNothing } from "./expected.ts";
import { frameInput, takeMerged } from "./ip.ts";
import { Network } from "./network.ts";
import { checkWritable, isNeverConnected, readinessOf } from "./readiness.ts";
import { advanceReassembly } from "./reassembly.ts";
import { StreamSocket } from "./socket.ts";
import { nameOf } from "./socket_name.ts";
import { getSocketOption, setSocketOption, takeSocketError } from "./socket_options.ts";
import { reportSockets, type SocketReport } from "./socket_report.ts";
import { type Datagram, type Notice, SHUT_WR, SocketKind, type SocketName } from "./socket_types.ts";
import {
  abortStream,
  acceptStream,
  closeStream,
  connectStream,
  listenStream,
  stopListening,
} from "./stream_socket.ts";
import { TimeWaitEntry } from "./time_wait.ts";
import { setFull, transmit } from "./transmit.ts";

export type { InterfaceConfig, StackConfig } from "./config.ts";
export type { Counters } from "./counters.ts";
export * from "./socket_types.ts";
export { SendNext, type TcpInfo } from "../tcp/user_calls.ts";

/**
 * A TCP/IP host that does no I/O: frames and times go in, frames and a deadline come out.
 *
 * Times are microseconds on a monotonic clock. Socket calls take a handle, answer >= 0 or -errno as Linux would, and
 * never wait. The contract of use: any call, then `transmit` until it is false, then `nextReady` until it is -1, then wait
 * for a frame, a call or the deadline.
 *
 * @example A host that talks to itself; with a device there would be frames to carry
 * ```ts
 * import { Frame, SocketKind, Stack } from "@lvl-ip/lvl-ip";
 *
 * const localhost = 0x7f000001;
 * const stack = new Stack({
 *   mac: 0x02000a000004,
 *   mtu: 1500,
 *   addresses: [{ address: 0x0a000004, prefixLength: 24 }],
 *   secret: crypto.getRandomValues(new Uint32Array(4)),
 *   random: () => crypto.getRandomValues(new Uint32Array(1))[0],
 *   announce: false,
 * });
 * const listener = stack.socket(SocketKind.stream);
 * stack.bind(listener, localhost, 80);
 * stack.listen(listener, 16);
 * const client = stack.socket(SocketKind.stream);
 * stack.connect(client, localhost, 80, 0); // -EINPROGRESS
 *
 * const frame = new Frame();
 * while (stack.transmit(frame, 0)); // a device would send each of them
 * for (let handle = stack.nextReady(); handle >= 0; handle = stack.nextReady()) {
 *   const accepted = handle === listener ? stack.accept(listener) : -1;
 *   if (accepted >= 0) stack.close(accepted, 0);
 * }
 * ```
 */
export class Stack {
  private readonly core: Core;
  /** Interfaces, addresses, routes, neighbors. */
  readonly network: Network;

  /** Throws RangeError for an MTU or prefix length that cannot be. */
  constructor(config: StackConfig) {
    this.core = new Core(config);
    this.network = new Network(this.core);
  }

  /** A frame came in. It is not kept: its memory may be reused afterwards. */
  input(frame: Frame, now: number): void {
    this.core.now = now;
    frameInput(this.core, frame, now);
  }

  /**
   * Before a frame of a device is received into `frame`: says where its payload would best lie (`Frame.headers`), so that it need not
   * be copied by `input`. To be followed by `input`, and the last time by `expectNothing`: what `input` takes may wait
   * until then to be merged with what follows it.
   */
  expect(frame: Frame): void {
    expectNext(this.core, frame);
  }

  /** No frame comes in now, into `frame` or any other; to be called before anything else is. */
  expectNothing(frame: Frame, now: number): void {
    this.core.now = now;
    takeMerged(this.core, now);
    expectNothing(this.core, frame);
  }

  /** Fills `frame` with the next one to be sent, valid until the next call; false when there is none. */
  transmit(frame: Frame, now: number): boolean {
    this.core.now = now;
    return transmit(this.core, frame, now);
  }

  /** Fires the timers that are due. */
  advance(now: number): void {
    const { core } = this;
    core.now = now;
    advanceAnnouncements(core, now);
    for (const link of core.links) link.neighbors.advance(now);
    advanceReassembly(core, now);
    core.advanceBeliefs(now);
    advanceConnections(core, now);
  }

  /** What `input` left to be sent should go out before the next `input`: a duplicate ACK, of which each one counts. */
  get isUrgent(): boolean {
    return this.core.isUrgent;
  }

  /** When `advance` is due next; Infinity: never. In the past when `transmit` left something undone. */
  get deadline(): number {
    return this.core.deadline;
  }

  get counters(): Counters {
    return this.core.counters;
  }

  /** The oldest thing that an operator should know and was not told yet; null when there is none. */
  takeNotice(): Notice | null {
    return this.core.notices.shift() ?? null;
  }

  /** What all connections follow, as sysctls on other hosts; a change counts from then on. */
  get settings(): TcpSettings {
    return this.core.tcpSettings;
  }

  /** A device, by its place, takes no frames now: `transmit` gives none for it until it does again. */
  setDeviceFull(device: number, isFull: boolean): void {
    setFull(this.core, this.core.links[device], isFull);
  }

  /** All connections, those too that no program holds any more; except those of which only TIME-WAIT is left. */
  connections(): Iterable<Connection> {
    return this.core.connections.only(Connection);
  }

  /** The rest: connections in TIME-WAIT that no program holds. */
  timeWaits(): Iterable<TimeWaitEntry> {
    return this.core.connections.only(TimeWaitEntry);
  }

  /** Bytes that buffers of sockets hold. */
  get bufferedBytes(): number {
    return this.core.memory.allocated;
  }

  /** A new socket; `protocol`: of a raw one. -EPROTONOSUPPORT for an unknown kind, -EMFILE when there are too many. */
  socket(kind: SocketKind, protocol = 0): number {
    return createSocket(this.core, kind, protocol);
  }

  /** Port 0: any that is free. -EINVAL if bound already, -EADDRINUSE, -EADDRNOTAVAIL. */
  bind(handle: number, address: IpAddress, port: number): number {
    const socket = this.core.sockets.get(handle);
    return socket === null ? -EBADF : bindSocket(this.core, socket, address, port);
  }

  /** A backlog of n lets n + 1 connections wait, as on Linux. */
  listen(handle: number, backlog: number): number {
    const socket = this.core.sockets.get(handle);
    if (socket === null) return -EBADF;
    return socket.kind === SocketKind.stream ? listenStream(this.core, socket, backlog) : -EOPNOTSUPP;
  }

  /**
   * Streams: -EINPROGRESS, then -EALREADY until it is decided; then once 0, and -EISCONN from then on, or once the error.
   * Other kinds: 0; it sets the only peer.
   */
  connect(handle: number, address: IpAddress, port: number, now: number): number {
    const { core } = this;
    core.now = now;
    const socket = core.sockets.get(handle);
    if (socket === null) return -EBADF;
    if (!Number.isInteger(port) || port < 0 || port > 65535) return -EINVAL;
    if (socket.kind !== SocketKind.stream) return connectDatagram(core, socket, address, port);
    return connectStream(core, socket, address, port, now);
  }

  /** The handle of a new connection, or -EAGAIN. */
  accept(handle: number): number {
    const socket = this.core.sockets.get(handle);
    if (socket === null) return -EBADF;
    return socket.kind === SocketKind.stream ? acceptStream(this.core, socket) : -EOPNOTSUPP;
  }

  /** Copies bytes into the send buffer: how many; -EAGAIN when it is full; -EPIPE, -ECONNRESET, ... */
  send(
    handle: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
    now: number,
    next: SendNext = SendNext.JOINS,
  ): number {
    const socket = this.stream(handle);
    if (typeof socket === "number") return socket;
    const refused = checkWritable(socket);
    return refused !== 0
      ? refused
      : this.after(socket, tcp.send(socket.tcb, bytes, offset, length, now, next), now);
  }

  /** Copies received bytes out: how many, 0 at the end of file; -EAGAIN, -ECONNRESET, -ENOTCONN, ... */
  receive(handle: number, bytes: Uint8Array, offset: number, length: number, now: number): number {
    const socket = this.stream(handle);
    if (typeof socket === "number") return socket;
    if (isNeverConnected(socket)) return -ENOTCONN;
    return this.after(socket, tcp.receive(socket.tcb, bytes, offset, length, now), now);
  }

  /** Sending without a copy: room for up to `max` bytes, to be filled and then given to `commit` before any other call. */
  reserve(handle: number, max: number, slices: Slices): number {
    const socket = this.stream(handle);
    if (typeof socket === "number") return socket;
    const refused = checkWritable(socket);
    return refused !== 0 ? refused : tcp.reserve(socket.tcb, max, slices);
  }

  /** `length` bytes of what was reserved are filled. */
  commit(handle: number, length: number, now: number): number {
    const socket = this.stream(handle);
    if (typeof socket === "number") return socket;
    return this.after(socket, tcp.commit(socket.tcb, length, now), now);
  }

  /** Receiving without a copy: up to `max` bytes where they lie, until the next call; then as `receive`. */
  peek(handle: number, max: number, slices: Slices): number {
    const socket = this.stream(handle);
    if (typeof socket === "number") return socket;
    return isNeverConnected(socket) ? -ENOTCONN : tcp.peek(socket.tcb, max, slices);
  }

  /** The first `length` bytes that `peek` gave were read. */
  consume(handle: number, length: number, now: number): void {
    const socket = this.stream(handle);
    if (typeof socket === "number") return;
    tcp.consume(socket.tcb, length, now);
    this.after(socket, 0, now);
  }

  /** Sends a message of a datagram or icmp socket: its length, or -errno. */
  sendTo(handle: number, message: Datagram, now: number): number {
    const { core } = this;
    core.now = now;
    const socket = core.sockets.get(handle);
    if (socket === null) return -EBADF;
    return socket.kind === SocketKind.stream ? -EOPNOTSUPP : sendMessage(core, socket, message);
  }

  /** Fills `message` with the next one or the next error: its length, or -EAGAIN. */
  receiveFrom(handle: number, message: Datagram): number {
    const socket = this.core.sockets.get(handle);
    if (socket === null) return -EBADF;
    return socket.kind === SocketKind.stream ? -EOPNOTSUPP : receiveMessageInto(this.core, socket, message);
  }

  /** The MTU that a message to `address`, 0 the peer, is measured by; -errno where none could be sent there. */
  mtuTo(handle: number, address: IpAddress): number {
    const socket = this.core.sockets.get(handle);
    if (socket === null) return -EBADF;
    return socket.kind === SocketKind.stream ? -EOPNOTSUPP : mtuForMessage(this.core, socket, address);
  }

  /** `how`: SHUT_RD, SHUT_WR or SHUT_RDWR. */
  shutdown(handle: number, how: 0 | 1 | 2, now: number): number {
    const { core } = this;
    const socket = core.sockets.get(handle);
    if (socket === null) return -EBADF;
    if (socket.kind !== SocketKind.stream) return shutdownDatagram(core, socket, how);
    if (socket.listener !== null) {
      if (how !== SHUT_WR) stopListening(core, socket, now);
      return 0;
    }
    if (socket.connection === null) return -ENOTCONN;
    const result = tcp.shutdown(socket.tcb, how, now);
    if (result === 0) core.sockets.markReady(socket);
    return this.after(socket, result, now);
  }

  /** The handle is gone; the connection lives on as TCP demands. */
  close(handle: number, now: number): number {
    return endSocket(this.core, handle, closeStream, now);
  }

  /** The handle is gone, and the peer gets a reset. */
  abort(handle: number, now: number): number {
    return endSocket(this.core, handle, abortStream, now);
  }

  /** Ends all connections, those too that no program holds any more, each with a reset where TCP has one. */
  abortAll(now: number): void {
    this.core.now = now;
    abortConnections(this.core, now);
  }

  /** Linux's levels, names and values; what has no effect here is -ENOPROTOOPT. */
  setOption(handle: number, level: number, name: number, value: number, now: number): number {
    const socket = this.core.sockets.get(handle);
    return socket === null ? -EBADF : setSocketOption(this.core, socket, level, name, value, now);
  }

  getOption(handle: number, level: number, name: number): number {
    const socket = this.core.sockets.get(handle);
    return socket === null ? -EBADF : getSocketOption(this.core, socket, level, name);
  }

  /** TCP_CONGESTION: "cubic" or "reno". */
  setCongestion(handle: number, algorithm: string): number {
    const socket = this.stream(handle);
    return typeof socket === "number" ? socket : tcp.setCongestion(socket.tcb, algorithm);
  }

  /** Fills in both addresses and ports and the state. */
  name(handle: number, out: SocketName): number {
    const socket = this.core.sockets.get(handle);
    if (socket === null) return -EBADF;
    nameOf(socket, out);
    return 0;
  }

  /** READY_* bits; 0 for a handle that is none. */
  readiness(handle: number): number {
    const socket = this.core.sockets.get(handle);
    return socket === null ? 0 : readinessOf(this.core, socket);
  }

  /** SO_ERROR: an errno (positive), given once; 0: none. */
  takeError(handle: number): number {
    const socket = this.core.sockets.get(handle);
    return socket === null ? EBADF : takeSocketError(socket);
  }

  /** A handle whose readiness may have changed; -1 when there is none. */
  nextReady(): number {
    return this.core.sockets.nextReady();
  }

  /** TCP_INFO. Throws RangeError for a handle that is no stream's. */
  info(handle: number): TcpInfo {
    const socket = this.stream(handle);
    if (typeof socket === "number") {
      throw new RangeError(`Cannot get TCP_INFO: no stream has handle ${handle}`);
    }
    return tcp.info(socket.tcb, this.core.now);
  }

  /** Whether a socket takes what is sent to `address`, one of this host's, and `port`. */
  serves(kind: SocketKind, address: IpAddress, port: number): boolean {
    return isServed(this.core, kind, address, port);
  }

  /** The handles of all sockets. */
  *sockets(): Iterable<number> {
    for (const socket of this.core.sockets) yield socket.handle;
  }

  /** Every socket that is bound and is no connection: these `connections` tells. */
  reports(): Iterable<SocketReport> {
    return reportSockets(this.core);
  }

  private stream(handle: number): StreamSocket | number {
    const socket = this.core.sockets.get(handle);
    if (socket === null) return -EBADF;
    return socket.kind === SocketKind.stream ? socket : -EOPNOTSUPP;
  }

  /** What every call into a connection is followed by. */
  private after(socket: StreamSocket, result: number, now: number): number {
    this.core.now = now;
    const { connection } = socket;
    if (connection !== null && !connection.isForgotten) touch(this.core, connection);
    return result;
  }
}
