/** Packets that are passed on from one link to another (RFC 1812 5). */
import { type IpAddress, isLoopback, isMulticast } from "../wire/address.ts";
import { add } from "../wire/checksum.ts";
import { DROP } from "../wire/drop.ts";
import { ETHERNET_HEADER } from "../wire/ethernet.ts";
import { ICMP_TIME_EXCEEDED, ICMP_TYPE, ICMP_UNREACHABLE } from "../wire/icmpv4.ts";
import { IPV4_CHECKSUM_OFFSET, parseIpv4 } from "../wire/ipv4.ts";
import type { Arrival } from "./arrival.ts";
import type { Core } from "./core.ts";
import { sendIcmpError } from "./icmp_send.ts";
import { recordRoute } from "./ip_options.ts";
import { enqueue } from "./outbox.ts";
import type { Packet } from "./packet.ts";
import type { Route } from "./routes.ts";
import { leaveToDevice, segmentSize } from "./segmentation.ts";

const TTL_OFFSET = 8;
/** RFC 1812 5.2.7.2: codes 0 and 2, for networks, are not sent. */
const REDIRECT_HOST = 1;

/** A packet that is not for us came in: on to its next hop, or an error back to its source. */
export function forward(core: Core, arrival: Arrival, now: number): void {
  const { ip } = arrival;
  if (arrival.isLinkBroadcast) return core.drop(DROP.ipLinkBroadcast);
  if (!isForwardable(ip.source) || !isForwardable(ip.destination)) return core.drop(DROP.ipNotForwardable);
  const route = core.routes.lookup(ip.destination);
  if (route === null || !route.isUsable || route.link.isLoopback) return refuse(core, arrival, route, now);
  if (ip.ttl <= 1) {
    core.drop(DROP.ipTtlExceeded);
    return sendIcmpError(core, arrival, ICMP_TYPE.timeExceeded, ICMP_TIME_EXCEEDED.transit, 0, now);
  }
  if (ip.dontFragment && sizeOf(arrival) > route.mtu) {
    core.drop(DROP.ipTooBig);
    const { unreachable } = ICMP_TYPE;
    return sendIcmpError(core, arrival, unreachable, ICMP_UNREACHABLE.fragmentationNeeded, route.mtu, now);
  }
  if (route.link === arrival.link) redirect(core, arrival, route, now);
  const packet = copyOf(core, arrival);
  if (packet === null) return;
  const { link } = route;
  const ours = link.sourceFor(route.nextHop(ip.destination));
  recordRoute(packet.memory!, ip.headerLength, ours, now);
  if (enqueue(core, packet)) core.counters.ipForwarded++;
}

/** RFC 1812 5.3.7, RFC 3927 2.7: addresses that no router may see, or that mean something on their own link only. */
function isForwardable(address: IpAddress): boolean {
  const first = address >>> 24;
  if (first === 0 || first >= 240 || isLoopback(address) || isMulticast(address)) return false;
  return address >>> 16 !== 0xa9fe;
}

/** RFC 1812 4.3.3.1, 5.2.7.1: there is no route, or one that says no. */
function refuse(core: Core, arrival: Arrival, route: Route | null, now: number): void {
  core.drop(DROP.ipNoRoute);
  if (route?.type === "blackhole") return;
  const code = route === null
    ? ICMP_UNREACHABLE.net
    : route.type === "prohibit"
    ? ICMP_UNREACHABLE.prohibited
    : ICMP_UNREACHABLE.host;
  sendIcmpError(core, arrival, ICMP_TYPE.unreachable, code, 0, now);
}

/** The largest packet that comes of it on a link: of what a device put together from many, one of these. */
function sizeOf({ ip, frame }: Arrival): number {
  const gsoSize = frame === null ? 0 : frame.gsoSize;
  return gsoSize === 0 ? ip.totalLength : Math.min(ip.totalLength, segmentSize(frame!.memory, ip, gsoSize));
}

/** RFC 1812 5.2.7.2: who sends by us what leaves by the same link could have sent it to the next hop itself. */
function redirect(core: Core, arrival: Arrival, route: Route, now: number): void {
  const { ip, link } = arrival;
  const nextHop = route.nextHop(ip.destination);
  const isNeighbor = link.addresses.some((own) => own.contains(ip.source) && own.contains(nextHop));
  if (!isNeighbor || !core.redirectRate.take(ip.source, now)) return;
  sendIcmpError(core, arrival, ICMP_TYPE.redirect, REDIRECT_HOST, nextHop, now);
}

/** The packet as it goes out: header and all, one hop older; null: what its device said of it contradicts it. */
function copyOf(core: Core, arrival: Arrival): Packet | null {
  const { ip, offset, frame } = arrival;
  const packet = core.packets.acquire(ip.totalLength);
  const memory = packet.memory!;
  memory.bytes.set(arrival.memory!.bytes.subarray(offset, offset + ip.totalLength), 0);
  packet.hasHeader = packet.ignoresPathMtu = true;
  packet.protocol = ip.protocol;
  packet.source = ip.source;
  packet.destination = ip.destination;
  packet.dontFragment = ip.dontFragment;
  if (frame !== null) {
    packet.gsoSize = frame.gsoSize;
    packet.checksumStart = frame.checksumStart < 0 ? -1 : frame.checksumStart - ETHERNET_HEADER;
    packet.checksumOffset = frame.checksumOffset;
  }
  if (!leaveToDevice(packet, ip)) {
    core.packets.release(packet);
    core.drop(DROP.frameOffloadInvalid);
    return null;
  }
  const { view } = memory;
  view.setUint8(TTL_OFFSET, ip.ttl - 1);
  // RFC 1624: what is less by 0x0100 in the sum is more by it in its complement.
  view.setUint16(IPV4_CHECKSUM_OFFSET, add(view.getUint16(IPV4_CHECKSUM_OFFSET), 0x0100));
  return packet;
}

/** Nobody answered for the next hop of a packet that was to be passed on (RFC 1812 5.2.7.1). */
export function reportForwardedUnreachable(core: Core, packet: Packet, now: number): void {
  const { arrival } = core;
  arrival.memory = packet.memory;
  arrival.frame = null;
  arrival.offset = packet.offset;
  arrival.length = packet.length;
  arrival.isBroadcast =
    arrival.isLinkBroadcast =
    arrival.isPlaced =
    arrival.isLoopback =
      false;
  if (parseIpv4(packet.memory!, packet.offset, packet.length, arrival.ip) !== DROP.none) return;
  if (core.local.has(arrival.ip.source)) return;
  sendIcmpError(core, arrival, ICMP_TYPE.unreachable, ICMP_UNREACHABLE.host, 0, now);
}
