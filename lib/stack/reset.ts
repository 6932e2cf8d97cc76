import { fold, pseudoSum, sum } from "../wire/checksum.ts";
import { DROP } from "../wire/drop.ts";
import { IP_PROTOCOL } from "../wire/ipv4.ts";
import { ACK, emitTcp, FIN, RST, SYN, TCP_CHECKSUM_OFFSET, TCP_HEADER, type TcpHeader } from "../wire/tcp.ts";
import type { Arrival } from "./arrival.ts";
import { DEFAULT_TTL } from "./connection.ts";
import type { Core } from "./core.ts";
import { enqueue } from "./outbox.ts";

/** Leaves the reset for a segment that belongs to no connection (RFC 9293 3.10.7.1), unless too many were sent. */
export function sendReset(core: Core, arrival: Arrival, segment: TcpHeader, now: number): void {
  // "An incoming segment containing a RST is discarded."
  if ((segment.flags & RST) !== 0) return;
  if (!core.resetRate.take(now)) return core.drop(DROP.tcpResetRateLimited);
  const { ip } = arrival;
  const reset = core.resetOut;
  reset.sourcePort = segment.destinationPort;
  reset.destinationPort = segment.sourcePort;
  if ((segment.flags & ACK) !== 0) {
    reset.seq = segment.ack;
    reset.ack = 0;
    reset.flags = RST;
  } else {
    const syn = (segment.flags & SYN) !== 0 ? 1 : 0;
    const fin = (segment.flags & FIN) !== 0 ? 1 : 0;
    reset.seq = 0;
    reset.ack = (segment.seq + segment.payloadLength + syn + fin) | 0;
    reset.flags = RST | ACK;
  }
  const packet = core.packets.acquire(TCP_HEADER);
  const memory = packet.memory!;
  emitTcp(memory, 0, reset);
  const pseudo = pseudoSum(ip.destination, ip.source, IP_PROTOCOL.tcp, TCP_HEADER);
  memory.view.setUint16(TCP_CHECKSUM_OFFSET, fold(sum(memory, 0, TCP_HEADER, pseudo)));
  packet.protocol = IP_PROTOCOL.tcp;
  packet.source = ip.destination;
  packet.destination = ip.source;
  packet.ttl = DEFAULT_TTL;
  packet.dontFragment = true;
  if (enqueue(core, packet)) core.counters.tcpResetsOut++;
}
