import { ECONNREFUSED, EINVAL } from "../lib/errno.ts";
import { ENAMETOOLONG, ERANGE, errnoText, SysError } from "./errno.ts";
import { check, closeDescriptor, errno, libc, O_CLOEXEC, O_NONBLOCK, resultOf } from "./libc.ts";
import { Block } from "./memory.ts";

export { closeDescriptor } from "./libc.ts";

const AF_UNIX = 1;
export const SOCK_STREAM = 1;
export const SOCK_SEQPACKET = 5;
/** What every socket made here is: non-blocking and close-on-exec. */
const SOCK_FLAGS = O_NONBLOCK | O_CLOEXEC;

export const SHUT_RD = 0;
export const SHUT_WR = 1;
export const SHUT_RDWR = 2;

export const SOL_SOCKET = 1;
export const SO_ERROR = 4;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
const SO_PEERCRED = 17;
const SO_MAX_PACING_RATE = 47;
const SO_PEERGROUPS = 59;

/** sockaddr_un.sun_path, with the zero that ends a path. */
const PATH_SIZE = 108;
/** Room for supplementary groups at first, bytes; the kernel tells when there are more. */
const GROUPS_SIZE = 256;

/** `struct sockaddr_un` for a path, or for an abstract name, which is spelled with a leading "@". */
export class UnixAddress extends Block {
  /** Of the structure, in bytes, as the calls take it. */
  readonly length: number;

  /** Throws `SysError` (ENAMETOOLONG, EINVAL for an empty one). */
  constructor(text: string) {
    super(2 + PATH_SIZE);
    const abstract = isAbstract(text);
    const name = new TextEncoder().encode(abstract ? text.slice(1) : text);
    if (name.length === 0 || name.includes(0)) {
      throw new SysError(
        "bind",
        EINVAL,
        `Cannot use ${JSON.stringify(text)} as a socket's address: ${errnoText(EINVAL)}`,
      );
    }
    if (name.length + 1 > PATH_SIZE) {
      throw new SysError(
        "bind",
        ENAMETOOLONG,
        `Cannot use ${text} as a socket's address: it must be shorter than ${PATH_SIZE} bytes`,
      );
    }
    this.view.setUint16(0, AF_UNIX, true);
    // An abstract name begins with the zero that the "@" stands for and ends with the structure; a path ends with a zero.
    this.bytes.set(name, abstract ? 3 : 2);
    this.length = 2 + name.length + 1;
  }
}

/** Whether an address is an abstract name, "@name": in no folder, gone with its last socket, one a network namespace. */
export function isAbstract(address: string): boolean {
  return address.startsWith("@");
}

/** A new socket; throws `SysError` (EMFILE, ENFILE). */
export function openUnixSocket(type: number = SOCK_STREAM): number {
  return check("socket", libc().socket(AF_UNIX, type | SOCK_FLAGS, 0));
}

/**
 * Connects to a listening socket at once; the descriptor is non-blocking. Throws `SysError` (ENOENT, ECONNREFUSED,
 * EACCES; EAGAIN when the listener's queue is full).
 */
export function connectUnix(address: string, type: number = SOCK_STREAM): number {
  const to = new UnixAddress(address);
  const fd = openUnixSocket(type);
  if (libc().connect(fd, to.bytes, to.length) < 0) {
    const error = errno();
    closeDescriptor(fd);
    const why = error === ECONNREFUSED ? "nobody listens there" : errnoText(error);
    throw new SysError("connect", error, `Cannot connect to ${address}: ${why}`);
  }
  return fd;
}

/** The next connection of a listening socket, non-blocking and close-on-exec, or -errno (EAGAIN, EMFILE). */
export function acceptUnix(listener: number): number {
  return resultOf(libc().accept4(listener, null, null, SOCK_FLAGS));
}

/**
 * Two sockets connected to each other; unless `flags` say otherwise non-blocking and close-on-exec. Throws `SysError`
 * (EMFILE, ENFILE).
 */
export function socketPair(type: number = SOCK_STREAM, flags: number = SOCK_FLAGS): [number, number] {
  const pair = new Block(8);
  check("socketpair", libc().socketpair(AF_UNIX, type | flags, 0, pair.bytes));
  return [pair.words[0], pair.words[1]];
}

/** Ends one direction or both (SHUT_WR...). 0 or -errno (ENOTCONN). */
export function shutdownSocket(fd: number, how: number): number {
  return resultOf(libc().shutdown(fd, how));
}

const POLLRDHUP = 0x2000;

/** Whether the other end will write no more: it shut down its writing, or closed. */
export function hasPeerEnded(fd: number): boolean {
  // struct pollfd { int fd; short events, revents }
  const entry = optionBlock();
  entry.view.setInt32(0, fd, true);
  entry.view.setInt32(4, POLLRDHUP, true);
  return libc().poll(entry.bytes, 1, 0) > 0;
}

/** Who made the connection at the other end, as of then. */
export interface PeerCredentials {
  pid: number;
  uid: number;
  gid: number;
}

/** SO_PEERCRED; null if `fd` is no connected Unix socket. Ids that this user namespace does not know are 65534. */
export function peerCredentials(fd: number): PeerCredentials | null {
  const value = optionBlock();
  if (readOption(fd, SOL_SOCKET, SO_PEERCRED, value, 12) < 0) return null;
  return { pid: value.view.getInt32(0, true), uid: value.words[1], gid: value.words[2] };
}

/** Whether the peer was of the group `gid` when it connected, by its own gid or a supplementary one. */
export function isPeerInGroup(fd: number, gid: number): boolean {
  if (peerCredentials(fd)?.gid === gid) return true;
  let list = new Block(GROUPS_SIZE);
  let length = readOption(fd, SOL_SOCKET, SO_PEERGROUPS, list, GROUPS_SIZE);
  if (length === -ERANGE) {
    const size = lengthBlock().words[0];
    list = new Block(size);
    length = readOption(fd, SOL_SOCKET, SO_PEERGROUPS, list, size);
  }
  return length > 0 && list.words.subarray(0, length >> 2).includes(gid);
}

/** An option with an int as its value; -errno if it cannot be had (no option asked for here is negative). */
export function getSocketOption(fd: number, level: number, name: number): number {
  const value = optionBlock();
  const result = readOption(fd, level, name, value, 4);
  return result < 0 ? result : value.view.getInt32(0, true);
}

/** 0 or -errno. */
export function setSocketOption(fd: number, level: number, name: number, int: number): number {
  const value = optionBlock();
  value.view.setInt32(0, int, true);
  return resultOf(libc().setsockopt(fd, level, name, value.bytes, 4));
}

/** What `getTag` answers for a socket that was never tagged. */
export const NO_TAG = 0xffff_ffff_ffff_ffffn;

/**
 * The 64 bits that a Unix socket keeps for us in SO_MAX_PACING_RATE, which means nothing there: they survive dup, exec
 * and being sent to another process. null if `fd` is no socket.
 */
export function getTag(fd: number): bigint | null {
  const value = optionBlock();
  const length = readOption(fd, SOL_SOCKET, SO_MAX_PACING_RATE, value, 8);
  return length === 8 ? value.view.getBigUint64(0, true) : null;
}

/** 0 or -errno (ENOTSOCK). */
export function setTag(fd: number, tag: bigint): number {
  const value = optionBlock();
  value.view.setBigUint64(0, tag, true);
  return resultOf(libc().setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, value.bytes, 8));
}

let sharedOption: Block | null = null;
let sharedLength: Block | null = null;

function optionBlock(): Block {
  return sharedOption ??= new Block(16);
}

function lengthBlock(): Block {
  return sharedLength ??= new Block(4);
}

/** Returns the length of the value, or -errno. */
function readOption(fd: number, level: number, name: number, value: Block, size: number): number {
  const length = lengthBlock();
  length.words[0] = size;
  const result = libc().getsockopt(fd, level, name, value.bytes, length.bytes);
  return result < 0 ? resultOf(result) : length.words[0];
}
