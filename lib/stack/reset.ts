import { DROP } from "../wire/drop.ts";
import { ACK, FIN, RST, SYN, type TcpHeader } from "../wire/tcp.ts";
import type { Arrival } from "./arrival.ts";
import { enqueueSegment } from "./bare_segment.ts";
import { DEFAULT_TTL } from "./connection.ts";
import type { Core } from "./core.ts";

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
  const isQueued = enqueueSegment(core, reset, ip.destination, ip.source, DEFAULT_TTL, 0);
  if (isQueued) core.counters.tcpResetsOut++;
}
