import { State } from "../tcp/state.ts";
import type { Socket } from "./socket.ts";
import { SocketKind, type SocketName } from "./socket_types.ts";

/** getsockname(2), getpeername(2) and the state. */
export function nameOf(socket: Socket, out: SocketName): void {
  const connection = socket.kind === SocketKind.stream ? socket.connection : null;
  out.localAddress = connection?.localAddress ?? socket.binding?.address ?? 0;
  out.localPort = connection?.localPort ?? socket.binding?.port ?? 0;
  if (socket.kind !== SocketKind.stream) {
    out.remoteAddress = socket.remoteAddress;
    out.remotePort = socket.remotePort;
    out.state = State.CLOSED;
  } else {
    out.remoteAddress = connection?.remoteAddress ?? 0;
    out.remotePort = connection?.remotePort ?? 0;
    out.state = socket.listener !== null ? State.LISTEN : socket.tcb.state;
  }
}
