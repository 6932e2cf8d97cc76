import { fold, pseudoSum, sum } from "../wire/checksum.ts";
import { DROP } from "../wire/drop.ts";
import { ICMP_TYPE, ICMP_UNREACHABLE } from "../wire/icmpv4.ts";
import { IP_PROTOCOL } from "../wire/ipv4.ts";
import { parseUdp } from "../wire/udp.ts";
import type { Arrival } from "./arrival.ts";
import type { Core } from "./core.ts";
import { receiveMessage } from "./datagram_input.ts";
import { findDatagramSocket, score } from "./datagram_lookup.ts";
import { sendIcmpError } from "./icmp_send.ts";
import type { DatagramSocket } from "./socket.ts";

/** A UDP datagram came in (RFC 768, RFC 1122 4.1). */
export function udpInput(core: Core, arrival: Arrival, now: number): void {
  const { ip, udp } = arrival;
  core.counters.udpIn++;
  const drop = parseUdp(arrival.memory!, ip.payloadOffset, ip.payloadLength, udp);
  if (drop !== DROP.none) return core.drop(drop);
  if (!isChecksumGood(arrival)) return core.drop(DROP.udpChecksum);
  if (arrival.isBroadcast) return deliverToAll(core, arrival, now);
  const { sourcePort, destinationPort } = udp;
  const socket = findDatagramSocket(core, ip.destination, destinationPort, ip.source, sourcePort);
  if (socket !== null) return deliver(core, socket, arrival, now);
  core.drop(DROP.udpNoSocket);
  // RFC 1122 4.1.3.1
  sendIcmpError(core, arrival, ICMP_TYPE.unreachable, ICMP_UNREACHABLE.port, 0, now);
}

function isChecksumGood(arrival: Arrival): boolean {
  const { ip, udp } = arrival;
  // RFC 768: 0 says that the sender made none.
  if (arrival.isVerified || udp.checksum === 0) return true;
  const pseudo = pseudoSum(ip.source, ip.destination, IP_PROTOCOL.udp, udp.length);
  return fold(sum(arrival.memory!, ip.payloadOffset, udp.length, pseudo)) === 0;
}

function deliver(core: Core, socket: DatagramSocket, arrival: Arrival, now: number): void {
  const { udp } = arrival;
  const { payloadOffset, payloadLength } = udp;
  const size = arrival.gsoSize < payloadLength ? arrival.gsoSize : 0;
  const message = receiveMessage(core, socket, arrival, payloadOffset, payloadLength, now, size);
  if (message === null) return;
  message.sourcePort = udp.sourcePort;
  message.destinationPort = udp.destinationPort;
}

/** A broadcast goes to every socket that would take it. */
function deliverToAll(core: Core, arrival: Arrival, now: number): void {
  const { ip, udp } = arrival;
  let found = false;
  for (let at = core.udpPorts.first(udp.destinationPort); at !== null; at = at.next) {
    if (at.socket === null || score(at, ip.destination, ip.source, udp.sourcePort) < 0) continue;
    found = true;
    deliver(core, at.socket, arrival, now);
  }
  if (!found) core.drop(DROP.udpNoSocket);
}
