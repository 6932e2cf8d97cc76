/** Interfaces, addresses, routes and neighbors with the names that `ip -j` gives them. */
import type { AddressInfo, LinkInfo, NeighbourInfo, RouteInfo } from "../ipc/network_messages.ts";
import type { Interface, InterfaceAddress } from "../stack/interface.ts";
import { neighborStateName } from "../stack/neighbor.ts";
import type { Network } from "../stack/network.ts";
import type { Route } from "../stack/routes.ts";
import { formatIp, formatMac, isLoopback, isMulticast, MAC_BROADCAST, maskOf } from "../wire/address.ts";

const HOST_PREFIX = 32;
/** Networks of fewer addresses have no broadcast (RFC 3021). */
const LAST_BROADCAST_PREFIX = 30;

export function linksOf(network: Network, only?: Interface): LinkInfo[] {
  return chosen(network, only).map(describeLink);
}

export function addressesOf(network: Network, only?: Interface): LinkInfo[] {
  return chosen(network, only).map((link) => ({
    ...describeLink(link),
    addr_info: link.addresses.map(describeAddress),
  }));
}

function chosen(network: Network, only?: Interface): readonly Interface[] {
  return only === undefined ? network.interfaces : [only];
}

function describeLink({ index, name, mac, mtu, isLoopback }: Interface): LinkInfo {
  return {
    ifindex: index,
    ifname: name,
    flags: isLoopback ? ["LOOPBACK", "UP", "LOWER_UP"] : ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"],
    mtu,
    operstate: isLoopback ? "UNKNOWN" : "UP",
    link_type: isLoopback ? "loopback" : "ether",
    address: formatMac(mac),
    broadcast: formatMac(isLoopback ? 0 : MAC_BROADCAST),
  };
}

function describeAddress(own: InterfaceAddress): AddressInfo {
  const { address, prefixLength, link } = own;
  const hasBroadcast = !link.isLoopback && prefixLength <= LAST_BROADCAST_PREFIX;
  return {
    family: "inet",
    local: formatIp(address),
    prefixlen: prefixLength,
    ...(hasBroadcast ? { broadcast: formatIp(address | ~maskOf(prefixLength)) } : {}),
    scope: isLoopback(address) ? "host" : "global",
    ...(own.isSecondary ? { secondary: true } : {}),
    label: link.name,
  };
}

export function routesOf(network: Network, only?: Interface): RouteInfo[] {
  return [...network.routes].filter((route) => only === undefined || route.link === only)
    // As ip(8): the default route first, then by destination.
    .sort((a, b) =>
      (a.network >>> 0) - (b.network >>> 0) || a.prefixLength - b.prefixLength || a.metric - b.metric
    )
    .map(describeRoute);
}

export function describeRoute(route: Route): RouteInfo {
  const { network, prefixLength, gateway, link, protocol, preferredSource, metric, mtu } = route;
  const info: RouteInfo = { dst: describeNetwork(network, prefixLength), flags: [] };
  if (!route.isUsable) info.type = route.type;
  if (gateway !== 0) info.gateway = formatIp(gateway);
  if (route.isUsable) info.dev = link.name;
  if (protocol !== "boot") info.protocol = protocol;
  if (gateway === 0 && route.isUsable) info.scope = "link";
  if (preferredSource !== 0) info.prefsrc = formatIp(preferredSource);
  if (metric !== 0) info.metric = metric;
  if (mtu < link.mtu) info.metrics = [{ mtu }];
  return info;
}

function describeNetwork(network: number, prefixLength: number): string {
  if (prefixLength === 0) return "default";
  return prefixLength === HOST_PREFIX ? formatIp(network) : `${formatIp(network)}/${prefixLength}`;
}

/** As `ip -j route get`: how packets to `destination` leave; null: they do not. */
export function describeWay(network: Network, destination: number): RouteInfo | null {
  const dst = formatIp(destination);
  const prefsrc = formatIp(network.sourceFor(destination));
  if (network.isLocal(destination)) return { type: "local", dst, dev: "lo", prefsrc, flags: [] };
  const route = network.routeTo(destination);
  if (route === null || !route.isUsable) return null;
  const info: RouteInfo = { dst, flags: [] };
  if (isMulticast(destination)) info.type = "multicast";
  if (route.gateway !== 0) info.gateway = formatIp(route.gateway);
  info.dev = route.link.name;
  info.prefsrc = prefsrc;
  const mtu = network.mtuTo(destination);
  if (mtu < route.link.mtu) info.metrics = [{ mtu }];
  return info;
}

export function neighboursOf(network: Network, only?: Interface): NeighbourInfo[] {
  return [...network.neighbors()].filter(({ link }) => only === undefined || link === only)
    .map(({ address, link, mac, state, isUsable }) => ({
      dst: formatIp(address),
      dev: link.name,
      ...(isUsable ? { lladdr: formatMac(mac) } : {}),
      state: [neighborStateName(state)],
    }));
}
