import { ANY, type IpAddress } from "../wire/address.ts";
import type { Core } from "./core.ts";
import type { Binding } from "./port_space.ts";
import type { DatagramSocket } from "./socket.ts";

/** The socket that fits best: the one connected to the sender, then the one bound to the address, then any. */
export function findDatagramSocket(
  core: Core,
  localAddress: IpAddress,
  localPort: number,
  remoteAddress: IpAddress,
  remotePort: number,
): DatagramSocket | null {
  let best: DatagramSocket | null = null;
  let bestScore = -1;
  for (let at = core.udpPorts.first(localPort); at !== null; at = at.next) {
    const points = score(at, localAddress, remoteAddress, remotePort);
    if (points <= bestScore) continue;
    bestScore = points;
    best = at.socket;
  }
  return best;
}

/** How well a socket fits; -1: it does not. */
export function score(binding: Binding, local: IpAddress, remote: IpAddress, remotePort: number): number {
  const { socket, address } = binding;
  if (socket === null) return -1;
  if (address !== ANY && address !== local) return -1;
  let points = address === ANY ? 0 : 1;
  if (socket.remoteAddress !== ANY) {
    if (socket.remoteAddress !== remote || socket.remotePort !== remotePort) return -1;
    points += 2;
  }
  return points;
}

/** The echo socket with `identifier` that may hear from `remote`. */
export function findEchoSocket(
  core: Core,
  local: IpAddress,
  identifier: number,
  remote: IpAddress,
): DatagramSocket | null {
  for (let binding = core.echoPorts.first(identifier); binding !== null; binding = binding.next) {
    const { socket } = binding;
    if (socket === null) continue;
    if (binding.address !== ANY && binding.address !== local) continue;
    if (socket.remoteAddress !== ANY && socket.remoteAddress !== remote) continue;
    return socket;
  }
  return null;
}
