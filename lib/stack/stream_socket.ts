import {
  EADDRINUSE,
  EADDRNOTAVAIL,
  EAGAIN,
  EALREADY,
  ECONNABORTED,
  EINPROGRESS,
  EINVAL,
  EISCONN,
  EMFILE,
  ENETUNREACH,
} from "../errno.ts";
import { isSynHeld } from "../tcp/fast_open.ts";
import { State } from "../tcp/state.ts";
import { abort, close, openActive } from "../tcp/user_calls.ts";
import { ANY, type IpAddress, isLoopback, isMulticast } from "../wire/address.ts";
import { Connection } from "./connection.ts";
import { addConnection, forget, giveWay, mayTakeOver, successorSequence, touch } from "./connections.ts";
import { type Core, LOCALHOST } from "./core.ts";
import { prepareFastOpen } from "./fast_open_client.ts";
import { Listener } from "./listener.ts";
import { Binding } from "./port_space.ts";
import { Phase, StreamSocket } from "./socket.ts";
import { inheritOptions, timestampOffset } from "./tcb_options.ts";

/** listen(2) */
export function listenStream(core: Core, socket: StreamSocket, backlog: number): number {
  if (socket.phase === Phase.LISTENING) {
    socket.listener!.setBacklog(backlog);
    return 0;
  }
  if (socket.phase !== Phase.UNCONNECTED) return -EINVAL;
  const binding = socket.binding ?? bindAnywhere(core, socket);
  if (binding === null) return -EADDRINUSE;
  binding.isListening = true;
  const { address, port } = binding;
  // Two may hold the port by SO_REUSEADDR, but only one of them may listen (two by SO_REUSEPORT).
  if (!core.tcpPorts.isFree(address, port, socket.reuseAddress, socket.reusePort, binding)) {
    binding.isListening = false;
    return -EADDRINUSE;
  }
  socket.phase = Phase.LISTENING;
  socket.listener = new Listener(socket, address, port, backlog);
  core.listeners.add(socket.listener);
  return 0;
}

/** listen(2) without bind(2) before it takes any free port. */
function bindAnywhere(core: Core, socket: StreamSocket): Binding | null {
  const port = core.ephemeral.choose(ANY, ANY, 0, (port) => core.tcpPorts.first(port) === null);
  if (port === 0) return null;
  const binding = new Binding(ANY, port, false);
  binding.reuseAddress = socket.reuseAddress;
  binding.reusePort = socket.reusePort;
  core.tcpPorts.add(binding);
  socket.binding = binding;
  socket.isBound = true;
  return binding;
}

/** accept(2): a new handle, or -EAGAIN. */
export function acceptStream(core: Core, socket: StreamSocket): number {
  const { listener } = socket;
  if (listener === null) return -EINVAL;
  if (listener.length === 0) return -EAGAIN;
  const connection = listener.shift()!;
  const accepted = new StreamSocket(connection.tcb);
  if (!core.sockets.add(accepted)) {
    abort(connection.tcb, core.now);
    touch(core, connection);
    return -EMFILE;
  }
  accepted.phase = Phase.CONNECTED;
  accepted.connection = connection;
  accepted.binding = connection.binding;
  accepted.reuseAddress = socket.reuseAddress;
  accepted.reusePort = socket.reusePort;
  accepted.ttl = socket.ttl;
  accepted.tos = socket.tos;
  connection.socket = accepted;
  connection.tcb.isHeld = true;
  // What arrived before it was accepted is there to be read.
  core.sockets.markReady(accepted);
  return accepted.handle;
}

/** connect(2), never blocking: -EINPROGRESS, then -EALREADY, 0 once it succeeded and -EISCONN after that. */
export function connectStream(
  core: Core,
  socket: StreamSocket,
  address: IpAddress,
  port: number,
  now: number,
): number {
  switch (socket.phase) {
    case Phase.CONNECTED:
    case Phase.LISTENING:
      return -EISCONN;
    case Phase.CONNECTING:
      return outcomeOfConnect(core, socket);
    default:
      return beginConnect(core, socket, address, port, now);
  }
}

/** A connect was begun: how does it stand? */
function outcomeOfConnect(core: Core, socket: StreamSocket): number {
  const { tcb } = socket;
  if (isSynHeld(tcb)) return -EISCONN;
  if (tcb.state === State.SYN_SENT || tcb.state === State.SYN_RECEIVED) return -EALREADY;
  if (tcb.state !== State.CLOSED) {
    socket.phase = Phase.CONNECTED;
    return 0;
  }
  // It failed, and this call is told why. The socket may try again, with the options it has.
  const error = tcb.error === 0 ? ECONNABORTED : tcb.error;
  disconnect(core, socket);
  return -error;
}

/** Makes the socket as good as new; what was bound stays bound. */
function disconnect(core: Core, socket: StreamSocket): void {
  const { tcb } = socket;
  // What came in before the end is lost with the connection.
  tcb.receiveBuffer.release();
  socket.phase = Phase.UNCONNECTED;
  socket.connection = null;
  socket.tcb = core.newTcb();
  inheritOptions(tcb, socket.tcb);
}

function beginConnect(
  core: Core,
  socket: StreamSocket,
  address: IpAddress,
  port: number,
  now: number,
): number {
  const bound = socket.binding;
  // As Linux: the host itself is meant.
  const remote = address !== ANY
    ? address
    : bound !== null && bound.address !== ANY
    ? bound.address
    : LOCALHOST;
  if (isMulticast(remote) || core.local.isBroadcast(remote)) return -ENETUNREACH;
  const isLocal = core.local.has(remote);
  const local = bound !== null && bound.address !== ANY ? bound.address : core.sourceFor(remote);
  if (local === ANY) return -core.refusalOf(remote);
  if (isLoopback(local) && !isLocal) return -EINVAL;
  const localPort = bound !== null ? bound.port : choosePort(core, local, remote, port, now);
  if (localPort === 0) return -EADDRNOTAVAIL;
  const old = core.connections.get(local, localPort, remote, port);
  if (old !== null && !mayTakeOver(old, now)) return -EADDRNOTAVAIL;
  const replaced = old === null ? null : giveWay(core, old);
  const iss = replaced !== null
    ? successorSequence(replaced)
    : core.initialSequence.next(local, localPort, remote, port, now);
  const connection = new Connection(socket.tcb, local, localPort, remote, port, isLocal);
  connection.socket = socket;
  connection.ttl = socket.ttl;
  connection.dscp = socket.tos >> 2;
  connection.binding = bound ?? bindAutomatically(core, socket, local, localPort);
  socket.connection = connection;
  socket.phase = Phase.CONNECTING;
  socket.tcb.linkMss = core.segmentSizeTo(remote);
  socket.tcb.timestamps.offset = timestampOffset(core, local, remote);
  openActive(socket.tcb, iss, now);
  if (socket.tcb.user.fastOpenConnect) prepareFastOpen(core, connection);
  addConnection(core, connection);
  return isSynHeld(socket.tcb) ? 0 : -EINPROGRESS;
}

/** RFC 6056: a port with which no connection to the same peer exists. */
function choosePort(
  core: Core,
  local: IpAddress,
  remote: IpAddress,
  remotePort: number,
  now: number,
): number {
  return core.ephemeral.choose(local, remote, remotePort, (port) => {
    const old = core.connections.get(local, port, remote, remotePort);
    return (old === null || mayTakeOver(old, now)) && core.tcpPorts.isShareable(port);
  });
}

function bindAutomatically(core: Core, socket: StreamSocket, local: IpAddress, port: number): Binding {
  const binding = new Binding(local, port, true);
  binding.reuseAddress = socket.reuseAddress;
  core.tcpPorts.add(binding);
  socket.binding = binding;
  return binding;
}

/** close(2): the socket is gone, its connection lives on as long as TCP has something to do. */
export function closeStream(core: Core, socket: StreamSocket, now: number): void {
  endStream(core, socket, close, now);
}

/** The same with a reset for whatever there is. */
export function abortStream(core: Core, socket: StreamSocket, now: number): void {
  endStream(core, socket, abort, now);
}

function endStream(core: Core, socket: StreamSocket, end: typeof close, now: number): void {
  const { connection, listener, binding } = socket;
  if (listener !== null) closeListener(core, listener, now);
  // A connection that still lives keeps the port.
  const isHeld = connection !== null && !connection.isForgotten;
  if (binding !== null && !isHeld) core.tcpPorts.remove(binding);
  socket.binding = null;
  if (connection === null) return;
  connection.socket = null;
  end(connection.tcb, now);
  if (isHeld) touch(core, connection);
  else connection.tcb.receiveBuffer.release();
}

/** shutdown(2) of a listener ends the listening; the port stays bound. */
export function stopListening(core: Core, socket: StreamSocket, now: number): void {
  closeListener(core, socket.listener!, now);
  socket.listener = null;
  socket.phase = Phase.UNCONNECTED;
  socket.binding!.isListening = false;
  core.sockets.markReady(socket);
}

/**
 * As Linux: connections that nobody will accept any more are reset; those half open are forgotten, and what the peer
 * sends of them next finds nobody.
 */
function closeListener(core: Core, listener: Listener, now: number): void {
  core.listeners.remove(listener);
  for (const child of [...core.connections.only(Connection)]) {
    if (child.listener !== listener || !child.isHalfOpen) continue;
    listener.end(child);
    child.listener = null;
    forget(core, child);
  }
  for (let child = listener.shift(); child !== null; child = listener.shift()) {
    abort(child.tcb, now);
    touch(core, child);
  }
}
