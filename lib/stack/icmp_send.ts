import { copyAgain } from "../buffer/copy.ts";
import type { Memory } from "../buffer/memory.ts";
import { ANY } from "../wire/address.ts";
import { DROP } from "../wire/drop.ts";
import { emitIcmpv4, ICMP_HEADER, ICMP_TYPE, ICMP_UNREACHABLE } from "../wire/icmpv4.ts";
import { IP_PROTOCOL, IPV4_HEADER } from "../wire/ipv4.ts";
import type { Arrival } from "./arrival.ts";
import { DEFAULT_TTL } from "./connection.ts";
import type { Core } from "./core.ts";
import { enqueue } from "./outbox.ts";

/** RFC 1812 4.3.2.3: as much of the packet as fits into an ICMP packet of 576 bytes. */
const MAX_QUOTE = 576 - IPV4_HEADER - ICMP_HEADER;
/** RFC 1812 4.3.2.5: errors have precedence 6 (internetwork control), which is what Linux sends. */
const ERROR_TOS = 0xc0;
/** The first four bits of addresses that no host has (RFC 1122 3.2.1.3). */
const CLASS_E = 15;

/** Copies between blocks of memory; they do not overlap. */
function copy(from: Memory, offset: number, length: number, to: Memory, at: number): void {
  copyAgain(from.bytes, offset, to.bytes, at, length);
}

/**
 * Leaves an ICMP error about the packet that came in, unless RFC 1122 3.2.2 forbids it or too many were sent. `rest`: the
 * bytes 4 to 7 of the message.
 */
export function sendIcmpError(
  core: Core,
  arrival: Arrival,
  type: number,
  code: number,
  rest: number,
  now: number,
): void {
  const { ip } = arrival;
  if (!mayBeReported(core, arrival)) return;
  // RFC 1812 4.3.2.4: about a packet that was passing, from the address that its source knows us by.
  const source = core.local.has(ip.destination) ? ip.destination : core.sourceFor(ip.source);
  if (source === ANY) return core.drop(DROP.ipNoRoute);
  // As Linux: without "fragmentation needed" nothing would get through, and redirects have a limit of their own.
  const isFree = type === ICMP_TYPE.redirect ||
    (type === ICMP_TYPE.unreachable && code === ICMP_UNREACHABLE.fragmentationNeeded);
  if (!isFree && !isWithinRate(core, arrival, now)) return core.drop(DROP.icmpRateLimited);
  const quote = Math.min(ip.totalLength, MAX_QUOTE);
  const packet = core.packets.acquire(ICMP_HEADER + quote);
  const memory = packet.memory!;
  copy(arrival.memory!, arrival.offset, quote, memory, ICMP_HEADER);
  const header = core.icmpOut;
  header.type = type;
  header.code = code;
  header.rest = rest;
  emitIcmpv4(memory, 0, header, quote);
  packet.protocol = IP_PROTOCOL.icmp;
  packet.source = source;
  packet.destination = ip.source;
  packet.ttl = DEFAULT_TTL;
  packet.tos = ERROR_TOS;
  if (enqueue(core, packet)) core.counters.icmpErrorsOut++;
}

/** RFC 1812 4.3.2.8: a limit for each peer and one for all, as Linux has them; what stays in the host is free. */
function isWithinRate(core: Core, arrival: Arrival, now: number): boolean {
  if (arrival.isLoopback) return true;
  if (!core.icmpPeerRate.take(arrival.ip.source, now)) return false;
  // As Linux: one token on average, so that nobody can count what others caused ("SAD DNS", CVE-2020-25705).
  return core.icmpErrorRate.take(now, core.random() % 3);
}

/** RFC 1122 3.2.2: never about an ICMP error, a broadcast, a later fragment or a source that is not one host. */
function mayBeReported(core: Core, arrival: Arrival): boolean {
  const { ip } = arrival;
  if (arrival.isLinkBroadcast || arrival.isBroadcast || ip.fragmentOffset !== 0) return false;
  if (ip.source === ANY || core.local.isBroadcast(ip.source) || ip.source >>> 28 === CLASS_E) return false;
  if (ip.protocol !== IP_PROTOCOL.icmp) return true;
  return ip.payloadLength > 0 && isIcmpQuery(arrival.memory!.bytes[ip.payloadOffset]);
}

function isIcmpQuery(type: number): boolean {
  return type === ICMP_TYPE.echoRequest || type === ICMP_TYPE.echoReply ||
    type === ICMP_TYPE.timestampRequest || type === ICMP_TYPE.timestampReply;
}

/** Leaves the answer to the echo request that came in (RFC 1122 3.2.2.6): its data unchanged, the addresses exchanged. */
export function sendEchoReply(core: Core, arrival: Arrival): void {
  const { ip, icmp } = arrival;
  const packet = core.packets.acquire(ip.payloadLength);
  const memory = packet.memory!;
  copy(arrival.memory!, icmp.payloadOffset, icmp.payloadLength, memory, ICMP_HEADER);
  const header = core.icmpOut;
  header.type = ICMP_TYPE.echoReply;
  header.code = 0;
  header.rest = icmp.rest;
  emitIcmpv4(memory, 0, header, icmp.payloadLength);
  packet.protocol = IP_PROTOCOL.icmp;
  packet.source = ip.destination;
  packet.destination = ip.source;
  packet.ttl = DEFAULT_TTL;
  packet.tos = ip.dscp << 2;
  enqueue(core, packet);
}
