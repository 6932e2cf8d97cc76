import { EMFILE, EPROTONOSUPPORT } from "../errno.ts";
import type { Core } from "./core.ts";
import { openRaw } from "./raw_socket.ts";
import { DatagramSocket, RawSocket, type Socket, StreamSocket } from "./socket.ts";
import { SocketKind } from "./socket_types.ts";

/** socket(2): a handle, or -errno. */
export function createSocket(core: Core, kind: SocketKind, protocol: number): number {
  const socket = newSocket(core, kind, protocol);
  if (typeof socket === "number") return socket;
  if (core.sockets.add(socket)) return socket.handle;
  if (socket instanceof RawSocket) core.rawSockets.remove(socket);
  return -EMFILE;
}

function newSocket(core: Core, kind: SocketKind, protocol: number): Socket | number {
  switch (kind) {
    case SocketKind.stream:
      return new StreamSocket(core.newTcb());
    case SocketKind.datagram:
    case SocketKind.icmp:
      return new DatagramSocket(kind);
    case SocketKind.raw:
      return openRaw(core, protocol);
    default:
      return -EPROTONOSUPPORT;
  }
}
