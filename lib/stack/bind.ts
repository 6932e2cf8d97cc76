import { EADDRINUSE, EADDRNOTAVAIL, EINVAL } from "../errno.ts";
import { ANY, type IpAddress, isMulticast } from "../wire/address.ts";
import type { Core } from "./core.ts";
import { Binding, type PortSpace } from "./port_space.ts";
import { bindRaw } from "./raw_socket.ts";
import { Phase, RawSocket, type Socket } from "./socket.ts";
import { SocketKind } from "./socket_types.ts";

const MAX_PORT = 65535;

/** The ports that sockets of this kind share. */
export function portSpaceOf(core: Core, socket: Socket): PortSpace {
  if (socket.kind === SocketKind.stream) return core.tcpPorts;
  return socket.kind === SocketKind.datagram ? core.udpPorts : core.echoPorts;
}

/** bind(2). Port 0: any that is free. */
export function bindSocket(core: Core, socket: Socket, address: IpAddress, port: number): number {
  if (socket instanceof RawSocket) return bindRaw(core, socket, address);
  if (socket.binding !== null) return -EINVAL;
  if (socket.kind === SocketKind.stream && socket.phase !== Phase.UNCONNECTED) return -EINVAL;
  if (!Number.isInteger(port) || port < 0 || port > MAX_PORT) return -EINVAL;
  if (!isBindable(core, socket, address)) return -EADDRNOTAVAIL;
  const space = portSpaceOf(core, socket);
  if (port === 0) {
    const any = chooseAnyPort(core, space);
    if (any === 0) return -EADDRINUSE;
    hold(space, socket, address, any);
    socket.isBound = true;
    return 0;
  }
  if (!space.isFree(address, port, socket.reuseAddress, socket.reusePort)) return -EADDRINUSE;
  hold(space, socket, address, port);
  socket.isBound = true;
  return 0;
}

function isBindable(core: Core, socket: Socket, address: IpAddress): boolean {
  if (address === ANY || core.local.has(address)) return true;
  return socket.kind === SocketKind.datagram && (isMulticast(address) || core.local.isBroadcast(address));
}

/** Whether a socket of this kind takes what is sent to `address`, one of this host's, and `port`. */
export function isServed(core: Core, kind: SocketKind, address: IpAddress, port: number): boolean {
  if (kind === SocketKind.stream) return core.listeners.find(address, port, 0) !== null;
  if (kind !== SocketKind.datagram) return true;
  for (let at = core.udpPorts.first(port); at !== null; at = at.next) {
    if (at.address === ANY || at.address === address) return true;
  }
  return false;
}

/** A port that nobody holds at all. */
export function chooseAnyPort(core: Core, space: PortSpace): number {
  // The counter of its own destination (0) tells what was bound last; a random start does not.
  return core.ephemeral.choose(core.random() | 0, ANY, 0, (port) => space.first(port) === null);
}

/** Makes `socket` the holder of `port`. */
export function hold(space: PortSpace, socket: Socket, address: IpAddress, port: number): Binding {
  const binding = new Binding(address, port, false);
  binding.reuseAddress = socket.reuseAddress;
  binding.reusePort = socket.reusePort;
  if (socket.kind !== SocketKind.stream) binding.socket = socket;
  space.add(binding);
  socket.binding = binding;
  return binding;
}
