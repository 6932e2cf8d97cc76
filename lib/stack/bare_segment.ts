import type { IpAddress } from "../wire/address.ts";
import { fold, pseudoSum, sum } from "../wire/checksum.ts";
import { IP_PROTOCOL } from "../wire/ipv4.ts";
import { emitTcp, TCP_CHECKSUM_OFFSET, type TcpHeader, tcpHeaderLength } from "../wire/tcp.ts";
import type { Core } from "./core.ts";
import { enqueue } from "./outbox.ts";

/**
 * Puts a segment that belongs to no connection in the line: a reset, or an answer that keeps no state. It has no payload.
 * `tos`: DSCP and ECN. False if the line is full.
 */
export function enqueueSegment(
  core: Core,
  header: TcpHeader,
  source: IpAddress,
  destination: IpAddress,
  ttl: number,
  tos: number,
): boolean {
  const packet = core.packets.acquire(tcpHeaderLength(header));
  const memory = packet.memory!;
  const length = emitTcp(memory, 0, header);
  const pseudo = pseudoSum(source, destination, IP_PROTOCOL.tcp, length);
  memory.view.setUint16(TCP_CHECKSUM_OFFSET, fold(sum(memory, 0, length, pseudo)));
  packet.protocol = IP_PROTOCOL.tcp;
  packet.source = source;
  packet.destination = destination;
  packet.ttl = ttl;
  packet.tos = tos;
  packet.dontFragment = true;
  return enqueue(core, packet);
}
