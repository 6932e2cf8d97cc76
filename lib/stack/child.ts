import type { Arrival } from "./arrival.ts";
import { Connection } from "./connection.ts";
import type { Core } from "./core.ts";
import type { Listener } from "./listener.ts";
import { Binding } from "./port_space.ts";
import { inheritOptions, timestampOffset } from "./tcb_options.ts";

/**
 * The connection to be between the peer that sent `core.segmentIn` and a listener, with the listener's options: it holds
 * the port and counts as half open, but is not in the table of connections yet.
 */
export function newChild(core: Core, listener: Listener, arrival: Arrival): Connection {
  const { ip } = arrival;
  const { sourcePort, destinationPort } = core.segmentIn;
  const { socket } = listener;
  const tcb = core.newTcb(socket.tcb.user);
  inheritOptions(socket.tcb, tcb);
  tcb.linkMss = core.segmentSizeTo(ip.source);
  tcb.timestamps.offset = timestampOffset(core, ip.destination, ip.source);
  const isLocal = core.local.has(ip.source);
  const child = new Connection(tcb, ip.destination, destinationPort, ip.source, sourcePort, isLocal);
  child.listener = listener;
  child.ttl = socket.ttl;
  child.dscp = socket.tos >> 2;
  const binding = new Binding(ip.destination, destinationPort, false);
  binding.reuseAddress = socket.reuseAddress;
  binding.reusePort = socket.reusePort;
  child.binding = binding;
  core.tcpPorts.add(binding);
  listener.begin(child);
  return child;
}
