import { isLoopback, isMulticast } from "../wire/address.ts";
import { DROP } from "../wire/drop.ts";
import { parseQuoted } from "../wire/icmpv4.ts";
import type { Arrival } from "./arrival.ts";
import type { Core } from "./core.ts";

/** Network, host, and each for a type of service; RFC 1122 3.2.2.2 has all taken as being about the host. */
const LAST_CODE = 3;

/**
 * A router tells of a better one (RFC 1122 3.2.2.2). It is heeded only if that was asked for, if it comes from the router
 * that packets to that destination go to now, and if the better one is on the link.
 */
export function redirectInput(core: Core, arrival: Arrival, now: number): void {
  const { ip, icmp, quoted } = arrival;
  core.counters.icmpErrorsIn++;
  if (!core.acceptsRedirects || arrival.isBroadcast || arrival.isLinkBroadcast) {
    return core.drop(DROP.icmpRedirectIgnored);
  }
  if (icmp.code > LAST_CODE) return core.drop(DROP.icmpCodeUnknown);
  const drop = parseQuoted(arrival.memory!, icmp.payloadOffset, icmp.payloadLength, quoted);
  if (drop !== DROP.none) return core.drop(drop);
  if (!core.local.isOwn(quoted.source)) return core.drop(DROP.icmpQuoteMalformed);
  const gateway = icmp.rest;
  const route = core.routes.lookup(quoted.destination);
  const isFromGateway = route !== null && route.isUsable && route.gateway === ip.source &&
    gateway !== ip.source;
  const isHost = !core.local.has(gateway) && !core.local.isBroadcast(gateway) && !isMulticast(gateway) &&
    !isLoopback(gateway);
  if (!isFromGateway || !isHost || !core.routes.isOnLink(gateway, arrival.link)) {
    return core.drop(DROP.icmpRedirectIgnored);
  }
  core.routes.redirect(quoted.destination, gateway, now);
}
