import { EBADF, EMFILE, EPROTONOSUPPORT } from "../errno.ts";
import type { Core } from "./core.ts";
import { closeDatagram } from "./datagram_socket.ts";
import { openRaw } from "./raw_socket.ts";
import { DatagramSocket, RawSocket, type Socket, StreamSocket } from "./socket.ts";
import { SocketKind } from "./socket_types.ts";
import type { closeStream } from "./stream_socket.ts";

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

/** close(2), of streams by `how`: 0, or -EBADF. The handle is gone. */
export function endSocket(core: Core, handle: number, how: typeof closeStream, now: number): number {
  core.now = now;
  const socket = core.sockets.get(handle);
  if (socket === null) return -EBADF;
  core.sockets.remove(socket);
  if (socket.kind === SocketKind.stream) how(core, socket, now);
  else closeDatagram(core, socket);
  return 0;
}
