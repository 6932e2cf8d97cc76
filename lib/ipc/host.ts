import type { Memory, Slices } from "../buffer/memory.ts";
import type { Datagram, SocketName } from "../stack/socket_types.ts";
import type { TcpInfo } from "../stack/stack.ts";
import type { IpAddress, MacAddress } from "../wire/address.ts";

/** Who is at the other end of a Unix connection. */
export interface PeerCredentials {
  pid: number;
  uid: number;
  gid: number;
}

/** What the server needs of the operating system. Calls do not block; they answer >= 0 or -errno. */
export interface UnixHost {
  /** The next connection to a listening socket, non-blocking and close-on-exec; -EAGAIN when there is none. */
  accept(listener: number): number;
  credentials(fd: number): PeerCredentials | null;
  /** Whether a user or its groups belong to group `gid`: the one of the credentials, or a supplementary one. */
  isMember(fd: number, gid: number): boolean;
  /** Fills the slices in order; bytes, 0 at the end of the stream. */
  receive(fd: number, slices: Slices): number;
  /** Sends from the slices in order, without SIGPIPE; bytes. */
  send(fd: number, slices: Slices): number;
  shutdownWrite(fd: number): number;
  /** Whether the other end will write no more, as of now: `Server.event` may not have been told yet. */
  hasEnded(fd: number): boolean;
  close(fd: number): void;
  /** Has the loop report what happens to a descriptor, edge-triggered, to `Server.event`. */
  watch(fd: number): number;
  /** Whether the process `pid` at the other end of `fd` was ended by SIGKILL, and could not close its sockets itself. */
  wasKilled(fd: number, pid: number): boolean;
  /** An unpredictable 64-bit number. */
  randomId(): bigint;
  /** Two connected sockets, close-on-exec, the second one for a program; or -errno (EMFILE). */
  socketPair(type: number): readonly [number, number] | number;
  /** Sends bytes with a descriptor attached, a copy of ours; bytes. -EAGAIN, -ETOOMANYREFS. */
  sendDescriptor(fd: number, descriptor: number, memory: Memory, offset: number, length: number): number;
  /** Marks a program's end as what it is, see tag.ts. */
  setTag(fd: number, tag: bigint): number;
  /** Microseconds since 1970. */
  wallClockUs(): number;
  /** How many bytes may lie unread in a socket that we write to; about. */
  setSendBuffer(fd: number, bytes: number): number;
}

/** Kinds of Unix sockets, for `UnixHost.socketPair`. */
export const SOCK_STREAM = 1;
export const SOCK_SEQPACKET = 5;

/** Epoll's bits, as `Server.event` takes them. */
export const EPOLLIN = 1;
export const EPOLLOUT = 4;
export const EPOLLERR = 8;
export const EPOLLHUP = 16;
export const EPOLLRDHUP = 0x2000;

/** An interface of the host that the stack is. */
export interface HostInterface {
  index: number;
  name: string;
  mtu: number;
  mac: MacAddress;
  addresses: readonly { address: IpAddress; prefixLength: number }[];
}

/** What the server needs of the stack: the shape of `Stack`, so that tests can put another one in its place. */
export interface SocketLayer {
  readonly network: { readonly interfaces: readonly HostInterface[] };
  socket(kind: 1 | 2 | 3 | 4, protocol?: number): number;
  bind(handle: number, address: IpAddress, port: number): number;
  listen(handle: number, backlog: number): number;
  connect(handle: number, address: IpAddress, port: number, now: number): number;
  accept(handle: number): number;
  reserve(handle: number, max: number, slices: Slices): number;
  commit(handle: number, length: number, now: number): number;
  peek(handle: number, max: number, slices: Slices): number;
  consume(handle: number, length: number, now: number): void;
  sendTo(handle: number, message: Datagram, now: number): number;
  receiveFrom(handle: number, message: Datagram): number;
  mtuTo(handle: number, address: IpAddress): number;
  shutdown(handle: number, how: 0 | 1 | 2, now: number): number;
  close(handle: number, now: number): number;
  abort(handle: number, now: number): number;
  setOption(handle: number, level: number, name: number, value: number, now: number): number;
  getOption(handle: number, level: number, name: number): number;
  name(handle: number, out: SocketName): number;
  readiness(handle: number): number;
  takeError(handle: number): number;
  setCongestion(handle: number, algorithm: string): number;
  info(handle: number): TcpInfo;
  serves(kind: 1 | 2 | 3 | 4, address: IpAddress, port: number): boolean;
}
