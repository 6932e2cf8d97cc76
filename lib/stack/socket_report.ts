import { State } from "../tcp/state.ts";
import { ANY, type IpAddress } from "../wire/address.ts";
import type { Core } from "./core.ts";
import { RawSocket } from "./socket.ts";
import { SocketKind } from "./socket_types.ts";

/** What there is to tell of a socket that is no connection. */
export interface SocketReport {
  handle: number;
  kind: SocketKind;
  /** A stream socket that listens; the others are not connected. */
  isListener: boolean;
  /** Of a raw socket: the IP protocol; else 0. */
  protocol: number;
  localAddress: IpAddress;
  localPort: number;
  remoteAddress: IpAddress;
  remotePort: number;
  /** Bytes that were not read; of a listener the connections that wait to be accepted, as ss(8) shows them. */
  receiveQueue: number;
  /** Of a listener: the backlog; else 0. */
  sendQueue: number;
}

/** Every socket that is bound or has a peer, and is no connection. */
export function* reportSockets(core: Core): Iterable<SocketReport> {
  for (const socket of core.sockets) {
    const report: SocketReport = {
      handle: socket.handle,
      kind: socket.kind,
      isListener: false,
      protocol: 0,
      localAddress: socket.binding?.address ?? ANY,
      localPort: socket.binding?.port ?? 0,
      remoteAddress: ANY,
      remotePort: 0,
      receiveQueue: 0,
      sendQueue: 0,
    };
    if (socket.kind === SocketKind.stream) {
      const { listener, connection } = socket;
      // A connection that is over is none any more, but its socket may still be open.
      const isConnection = connection !== null && socket.tcb.state !== State.CLOSED;
      if (isConnection || (listener === null && socket.binding === null)) continue;
      report.isListener = listener !== null;
      report.receiveQueue = listener?.length ?? 0;
      report.sendQueue = listener?.limit ?? 0;
    } else {
      if (socket.binding === null) continue;
      report.receiveQueue = socket.queue.bytes;
      report.remoteAddress = socket.remoteAddress;
      report.remotePort = socket.remotePort;
      if (socket instanceof RawSocket) {
        report.protocol = socket.protocol;
        report.localPort = 0;
      }
    }
    yield report;
  }
}
