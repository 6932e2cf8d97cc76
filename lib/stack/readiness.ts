import { EAGAIN, EPIPE } from "../errno.ts";
import { isEarly } from "../tcp/fast_open.ts";
import { State } from "../tcp/state.ts";
import type { Tcb } from "../tcp/tcb.ts";
import { isWritable } from "../tcp/send_buffer.ts";
import type { Core } from "./core.ts";
import { type DatagramSocket, Phase, type Socket, type StreamSocket } from "./socket.ts";
import {
  READY_ERROR,
  READY_HANGUP,
  READY_READ,
  READY_READ_CLOSED,
  READY_WRITE,
  SocketKind,
} from "./socket_types.ts";

/** The READY_* bits of a socket, as Linux's poll(2) would give them. */
export function readinessOf(core: Core, socket: Socket): number {
  return socket.kind === SocketKind.stream ? ofStream(socket) : ofDatagram(core, socket);
}

function ofStream(socket: StreamSocket): number {
  const { tcb, listener } = socket;
  if (listener !== null) return listener.length > 0 ? READY_READ : 0;
  const error = tcb.error !== 0 ? READY_ERROR : 0;
  if (socket.phase === Phase.UNCONNECTED) return READY_WRITE | READY_HANGUP | error;
  if (tcb.state === State.CLOSED) {
    return READY_READ | READY_WRITE | READY_READ_CLOSED | READY_HANGUP | error;
  }
  if (tcb.state < State.ESTABLISHED && !isEarly(tcb)) return 0;
  return ofConnection(tcb) | error;
}

function ofConnection(tcb: Tcb): number {
  const isReadClosed = tcb.finReceived || tcb.readShut;
  let ready = 0;
  if (isReadClosed) ready |= READY_READ | READY_READ_CLOSED;
  else if (tcb.receiveBuffer.length >= tcb.user.lowWater) ready |= READY_READ;
  // After a shutdown writing does not wait either: it fails at once.
  if (tcb.finQueued || isWritable(tcb)) ready |= READY_WRITE;
  // Who asked and heard no is told when it changes.
  else tcb.sendBlocked = true;
  if (isReadClosed && tcb.finQueued) ready |= READY_HANGUP;
  return ready;
}

function ofDatagram(core: Core, socket: DatagramSocket): number {
  let ready = 0;
  if (socket.queue.count > 0 || socket.isReadShut) ready |= READY_READ;
  if (!core.outboxIsFull || socket.isWriteShut) ready |= READY_WRITE;
  if (socket.error !== 0) ready |= READY_ERROR | READY_READ;
  if (socket.isReadShut) ready |= READY_READ_CLOSED;
  if (socket.isReadShut && socket.isWriteShut) ready |= READY_HANGUP;
  return ready;
}

/** As Linux: nothing can be queued before the connection is established. */
export function checkWritable(socket: StreamSocket): number {
  if (socket.phase === Phase.UNCONNECTED || socket.listener !== null) return -EPIPE;
  const { state } = socket.tcb;
  if (isEarly(socket.tcb)) return 0;
  return state === State.SYN_SENT || state === State.SYN_RECEIVED ? -EAGAIN : 0;
}

/** No connection was ever asked for, so there is nothing to receive (what a failed one left is told). */
export function isNeverConnected(socket: StreamSocket): boolean {
  return socket.listener !== null || (socket.phase === Phase.UNCONNECTED && socket.connection === null);
}
