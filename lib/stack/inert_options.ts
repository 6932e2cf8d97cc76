import type { Socket } from "./socket.ts";
import {
  IP_PKTINFO,
  IP_RECVOPTS,
  IP_RECVTTL,
  IP_RETOPTS,
  IPPROTO_IP,
  SO_BROADCAST,
  SO_KEEPALIVE,
  SO_LINGER,
  SO_RCVLOWAT,
  SocketKind,
  SOL_SOCKET,
} from "./socket_types.ts";

/*
 * Options that Linux takes on every socket although they mean nothing to its kind: TCP knows no broadcasts, UDP nothing
 * to keep alive. They are kept to be read again, which is all the effect they have there too.
 */

/** Each kind's, with their defaults: flags are 0 or 1. */
const STREAM_OPTIONS = new Map([
  [keyOf(SOL_SOCKET, SO_BROADCAST), 0],
  [keyOf(IPPROTO_IP, IP_RECVOPTS), 0],
  [keyOf(IPPROTO_IP, IP_RETOPTS), 0],
  [keyOf(IPPROTO_IP, IP_PKTINFO), 0],
  [keyOf(IPPROTO_IP, IP_RECVTTL), 0],
]);
const LINGER_OFF = -1;
const DATAGRAM_OPTIONS = new Map([
  [keyOf(SOL_SOCKET, SO_KEEPALIVE), 0],
  [keyOf(SOL_SOCKET, SO_LINGER), LINGER_OFF],
  [keyOf(SOL_SOCKET, SO_RCVLOWAT), 1],
]);

function keyOf(level: number, name: number): number {
  return level * 0x10000 + name;
}

function optionsOf(socket: Socket): ReadonlyMap<number, number> {
  return socket.kind === SocketKind.stream ? STREAM_OPTIONS : DATAGRAM_OPTIONS;
}

/** Whether it is one of those, and is kept now. */
export function setInertOption(socket: Socket, level: number, name: number, value: number): boolean {
  const key = keyOf(level, name);
  const byDefault = optionsOf(socket).get(key);
  if (byDefault === undefined) return false;
  socket.inertOptions ??= new Map();
  const isFlag = byDefault === 0;
  // Of SO_RCVLOWAT 0 means 1.
  const least = byDefault === 1 ? value || byDefault : value;
  socket.inertOptions.set(key, isFlag ? Math.min(1, Math.abs(value)) : least);
  return true;
}

/** Its value, or null if it is none of those. */
export function getInertOption(socket: Socket, level: number, name: number): number | null {
  const key = keyOf(level, name);
  return socket.inertOptions?.get(key) ?? optionsOf(socket).get(key) ?? null;
}
