import { EINVAL, ENODEV, ENOPROTOOPT, ENOTCONN } from "../errno.ts";
import { State } from "../tcp/state.ts";
import { getOption, setOption } from "../tcp/user_calls.ts";
import { IP_PROTOCOL } from "../wire/ipv4.ts";
import { DEFAULT_TTL } from "./connection.ts";
import { touch } from "./connections.ts";
import type { Core } from "./core.ts";
import { getInertOption, setInertOption } from "./inert_options.ts";
import { LOOPBACK_INDEX } from "./interface.ts";
import { getRawOption, setRawOption } from "./raw_socket.ts";
import { type DatagramSocket, RawSocket, type Socket, type StreamSocket } from "./socket.ts";
import {
  IP_MTU,
  IP_MTU_DISCOVER,
  IP_PMTUDISC,
  IP_RECVERR,
  IP_TOS,
  IP_TTL,
  IPPROTO_IP,
  SO_ACCEPTCONN,
  SO_BINDTOIFINDEX,
  SO_BROADCAST,
  SO_DOMAIN,
  SO_ERROR,
  SO_PROTOCOL,
  SO_RCVBUF,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SO_TYPE,
  SocketKind,
  SOL_SOCKET,
  SOL_UDP,
  UDP_GRO,
  UDP_SEGMENT,
} from "./socket_types.ts";

const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
/** The two bits of the TOS octet that belong to ECN (RFC 3168), which TCP sets itself. */
const ECN_MASK = 3;
const MIN_RECEIVE_BUFFER = 2304;
const MAX_RECEIVE_BUFFER = 64 << 20;

/** setsockopt(2): 0, or -EINVAL, or -ENOPROTOOPT for what has no effect here. */
export function setSocketOption(
  core: Core,
  socket: Socket,
  level: number,
  name: number,
  value: number,
  now: number,
): number {
  if (level === SOL_SOCKET && setReuse(socket, name, value)) return 0;
  if (socket instanceof RawSocket) {
    const result = setRawOption(socket, level, name, value);
    if (result !== -ENOPROTOOPT) return result;
  }
  if (level === SOL_SOCKET && name === SO_BINDTOIFINDEX) return setDevice(core, socket, value);
  if (setInertOption(socket, level, name, value)) return 0;
  if (level === IPPROTO_IP) return setIpOption(socket, name, value);
  if (socket.kind !== SocketKind.stream) return setDatagramOption(socket, level, name, value);
  const result = setOption(socket.tcb, level, name, value, now);
  // TCP_NODELAY, TCP_CORK and TCP_QUICKACK may let something go.
  if (socket.connection !== null && !socket.connection.isForgotten) touch(core, socket.connection);
  return result;
}

function setReuse(socket: Socket, name: number, value: number): boolean {
  if (name === SO_REUSEADDR) socket.reuseAddress = value !== 0;
  else if (name === SO_REUSEPORT) socket.reusePort = value !== 0;
  else return false;
  const { binding } = socket;
  if (binding !== null) {
    binding.reuseAddress = socket.reuseAddress;
    binding.reusePort = socket.reusePort;
  }
  return true;
}

/** SO_BINDTOIFINDEX: with one device only, all that is not for the host itself goes through it anyway. */
function setDevice(core: Core, socket: Socket, index: number): number {
  if (index !== 0 && !core.links.some((link) => link.index === index)) {
    return index === LOOPBACK_INDEX ? -ENOPROTOOPT : -ENODEV;
  }
  if (index !== 0 && core.links.length > 1) return -ENOPROTOOPT;
  socket.deviceIndex = index;
  return 0;
}

function setIpOption(socket: Socket, name: number, value: number): number {
  const connection = socket.kind === SocketKind.stream ? socket.connection : null;
  switch (name) {
    case IP_TTL:
      if (value !== -1 && (value < 1 || value > 255)) return -EINVAL;
      socket.ttl = value === -1 ? DEFAULT_TTL : value;
      if (connection !== null) connection.ttl = socket.ttl;
      return 0;
    case IP_TOS:
      socket.tos = socket.kind === SocketKind.stream ? value & 0xff & ~ECN_MASK : value & 0xff;
      if (connection !== null) connection.dscp = socket.tos >> 2;
      return 0;
    case IP_MTU_DISCOVER:
      return setMtuDiscover(socket, value);
    case IP_RECVERR:
      if (socket.kind === SocketKind.stream) return -ENOPROTOOPT;
      socket.receivesErrors = value !== 0 || socket.kind === SocketKind.icmp;
      return 0;
    default:
      return -ENOPROTOOPT;
  }
}

/** TCP always finds out the path MTU: the values that say so are taken. */
function setMtuDiscover(socket: Socket, value: number): number {
  if (value < IP_PMTUDISC.dont || value > IP_PMTUDISC.omit) return -EINVAL;
  if (socket.kind === SocketKind.stream) {
    return value === IP_PMTUDISC.want || value === IP_PMTUDISC.do ? 0 : -ENOPROTOOPT;
  }
  socket.mtuDiscover = value;
  return 0;
}

function setDatagramOption(socket: DatagramSocket, level: number, name: number, value: number): number {
  if (level === SOL_UDP) return setUdpOption(socket, name, value);
  if (level !== SOL_SOCKET) return -ENOPROTOOPT;
  switch (name) {
    case SO_BROADCAST:
      socket.broadcast = value !== 0;
      return 0;
    case SO_RCVBUF:
      // Linux takes it as unsigned, doubles it, and counts the overhead of each message against that: so half is data.
      socket.receiveBuffer = Math.min(Math.max(value >>> 0, MIN_RECEIVE_BUFFER / 2), MAX_RECEIVE_BUFFER);
      socket.toldReceiveBuffer = 2 * socket.receiveBuffer;
      return 0;
    default:
      return -ENOPROTOOPT;
  }
}

function setUdpOption(socket: DatagramSocket, name: number, value: number): number {
  if (socket.kind !== SocketKind.datagram) return -ENOPROTOOPT;
  switch (name) {
    case UDP_SEGMENT:
      if (value < 0 || value > 65535) return -EINVAL;
      socket.segmentSize = value;
      return 0;
    case UDP_GRO:
      socket.mergesDatagrams = value !== 0;
      return 0;
    default:
      return -ENOPROTOOPT;
  }
}

function getUdpOption(socket: DatagramSocket, name: number): number {
  if (socket.kind !== SocketKind.datagram) return -ENOPROTOOPT;
  if (name === UDP_SEGMENT) return socket.segmentSize;
  return name === UDP_GRO ? Number(socket.mergesDatagrams) : -ENOPROTOOPT;
}

/** getsockopt(2): the integer, or -errno. SO_ERROR is `Stack.takeError`. */
export function getSocketOption(core: Core, socket: Socket, level: number, name: number): number {
  if (level === SOL_SOCKET) {
    const common = getCommonOption(socket, name);
    if (common !== -ENOPROTOOPT) return common;
  }
  if (socket instanceof RawSocket) {
    const value = getRawOption(socket, level, name);
    if (value !== -ENOPROTOOPT) return value;
  }
  const inert = getInertOption(socket, level, name);
  if (inert !== null) return inert;
  if (level === IPPROTO_IP) return getIpOption(core, socket, name);
  if (socket.kind === SocketKind.stream) return getOption(socket.tcb, level, name);
  if (level === SOL_UDP) return getUdpOption(socket, name);
  return level === SOL_SOCKET ? getDatagramOption(socket, name) : -ENOPROTOOPT;
}

function getCommonOption(socket: Socket, name: number): number {
  const isStream = socket.kind === SocketKind.stream;
  switch (name) {
    case SO_REUSEADDR:
      return socket.reuseAddress ? 1 : 0;
    case SO_REUSEPORT:
      return socket.reusePort ? 1 : 0;
    case SO_TYPE:
      return isStream ? SOCK_STREAM : socket.kind === SocketKind.raw ? SOCK_RAW : SOCK_DGRAM;
    case SO_DOMAIN:
      return AF_INET;
    case SO_PROTOCOL:
      if (isStream) return IP_PROTOCOL.tcp;
      if (socket instanceof RawSocket) return socket.protocol;
      return socket.kind === SocketKind.datagram ? IP_PROTOCOL.udp : IP_PROTOCOL.icmp;
    case SO_ACCEPTCONN:
      return isStream && socket.listener !== null ? 1 : 0;
    case SO_BINDTOIFINDEX:
      return socket.deviceIndex;
    case SO_ERROR:
      return takeSocketError(socket);
    default:
      return -ENOPROTOOPT;
  }
}

function getDatagramOption(socket: DatagramSocket, name: number): number {
  if (name === SO_BROADCAST) return socket.broadcast ? 1 : 0;
  return name === SO_RCVBUF ? socket.toldReceiveBuffer : -ENOPROTOOPT;
}

function getIpOption(core: Core, socket: Socket, name: number): number {
  switch (name) {
    case IP_TTL:
      return socket.ttl;
    case IP_TOS:
      return socket.tos;
    case IP_MTU:
      return mtuOf(core, socket);
    case IP_MTU_DISCOVER:
      return socket.kind === SocketKind.stream ? IP_PMTUDISC.want : socket.mtuDiscover;
    case IP_RECVERR:
      return socket.kind !== SocketKind.stream && socket.receivesErrors ? 1 : 0;
    default:
      return -ENOPROTOOPT;
  }
}

/** IP_MTU: of the way to the peer, which there must be one. */
function mtuOf(core: Core, socket: Socket): number {
  if (socket.kind !== SocketKind.stream) {
    return socket.remoteAddress === 0 ? -ENOTCONN : core.mtuTo(socket.remoteAddress);
  }
  const { tcb } = socket;
  if (tcb.state < State.SYN_SENT) return -ENOTCONN;
  return tcb.snd.pathMtu > 0 ? tcb.snd.pathMtu : core.mtuTo(socket.connection!.remoteAddress);
}

/** SO_ERROR: the errno, given once; of a connection also the soft one (RFC 1122 4.2.3.9). */
export function takeSocketError(socket: Socket): number {
  if (socket.kind !== SocketKind.stream) {
    const { error } = socket;
    socket.error = 0;
    return error;
  }
  return takeStreamError(socket);
}

function takeStreamError(socket: StreamSocket): number {
  const { tcb } = socket;
  const soft = tcb.settings.bsd ? 0 : tcb.softError;
  const error = tcb.error !== 0 ? tcb.error : soft;
  if (tcb.error !== 0) tcb.error = 0;
  else tcb.softError = 0;
  return error;
}
