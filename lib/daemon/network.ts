/** Serves `lvl-ip addr`, `route`, `neigh` and `link`: requests are JSON, answers what `ip -j` would print. */
import { EADDRNOTAVAIL, EINVAL, ENODEV, EPERM } from "../errno.ts";
import type {
  AddressRequest,
  FlushRequest,
  NeighbourRequest,
  NetworkRequest,
  RouteRequest,
} from "../ipc/network_messages.ts";
import type { Interface } from "../stack/interface.ts";
import type { Network, RouteSpec } from "../stack/network.ts";
import { refusal } from "../stack/routes.ts";
import { isMulticastMac, parseCidr, parseIp, parseMac } from "../wire/address.ts";
import { addressesOf, describeWay, linksOf, neighboursOf, routesOf } from "./network_show.ts";

const MAX_PREFIX = 32;

/** Does what `text` asks; the answer as JSON, or an errno (positive). `mayChange`: the asker is root or the owner. */
export function answerNetwork(
  network: Network,
  text: string,
  mayChange: boolean,
  now: number,
): string | number {
  const request = parse(text);
  if (request === null) return EINVAL;
  const { dev } = request as { dev?: unknown };
  const link = dev === undefined ? undefined : network.find(String(dev));
  if (link === null) return ENODEV;
  if (request.verb === "show") {
    const shown = show(network, request.object, link);
    return shown === null ? EINVAL : JSON.stringify(shown);
  }
  if (request.verb === "get") return way(network, request.to);
  if (!mayChange) return EPERM;
  const result = change(network, request, link, now);
  return result < 0 ? -result : "[]";
}

/** What a program sent may be anything: each field is checked where it is used. */
function parse(text: string): NetworkRequest | null {
  try {
    const request = JSON.parse(text);
    return typeof request === "object" && request !== null ? request : null;
  } catch {
    return null;
  }
}

function show(network: Network, object: unknown, link: Interface | undefined): unknown[] | null {
  switch (object) {
    case "link":
      return linksOf(network, link);
    case "address":
      return addressesOf(network, link);
    case "route":
      return routesOf(network, link);
    case "neighbour":
      return neighboursOf(network, link);
    default:
      return null;
  }
}

function way(network: Network, to: unknown): string | number {
  const destination = parseIp(String(to));
  if (destination === null) return EINVAL;
  const described = describeWay(network, destination);
  return described === null ? refusal(network.routeTo(destination)) : JSON.stringify([described]);
}

function change(
  network: Network,
  request: Exclude<NetworkRequest, { verb: "show" | "get" }>,
  link: Interface | undefined,
  now: number,
): number {
  if (request.verb === "flush") return flush(network, request, link, now);
  if (!CHANGES.has(request.verb)) return -EINVAL;
  switch (request.object) {
    case "address":
      return changeAddress(network, request, link, now);
    case "route":
      return changeRoute(network, request, link);
    case "neighbour":
      return changeNeighbour(network, request, link, now);
    default:
      return -EINVAL;
  }
}

const CHANGES: ReadonlySet<unknown> = new Set(["add", "replace", "change", "del"]);

function flush(
  network: Network,
  { object }: FlushRequest,
  link: Interface | undefined,
  now: number,
): number {
  if (object === "route") return network.flushRoutes(link);
  if (object === "neighbour") return network.flushNeighbors(link, now);
  if (link === undefined) return -EINVAL;
  for (const { address, prefixLength } of [...link.addresses]) {
    network.removeAddress(link, address, prefixLength);
  }
  return 0;
}

function changeAddress(
  network: Network,
  { verb, local }: AddressRequest,
  link: Interface | undefined,
  now: number,
): number {
  const own = parsePrefix(local);
  if (own === null) return -EINVAL;
  if (link === undefined) return -ENODEV;
  const { address, prefixLength } = own;
  if (verb === "del") return network.removeAddress(link, address, prefixLength);
  const isThere = link.addresses.some((each) =>
    each.address === address && each.prefixLength === prefixLength
  );
  if (verb === "change" && !isThere) return -EADDRNOTAVAIL;
  return verb !== "add" && isThere ? 0 : network.addAddress(link, address, prefixLength, now);
}

function changeRoute(network: Network, request: RouteRequest, link: Interface | undefined): number {
  const to = request.dst === "default" ? { address: 0, prefixLength: 0 } : parsePrefix(request.dst);
  const gateway = optionalAddress(request.gateway);
  const preferredSource = optionalAddress(request.prefsrc);
  if (to === null || gateway === null || preferredSource === null) return -EINVAL;
  const { verb, metric, mtu, type } = request;
  const spec: RouteSpec = { network: to.address, prefixLength: to.prefixLength };
  if (gateway !== undefined) spec.gateway = gateway;
  if (preferredSource !== undefined) spec.preferredSource = preferredSource;
  if (link !== undefined) spec.link = link;
  if (metric !== undefined) spec.metric = metric;
  if (mtu !== undefined) spec.mtu = mtu;
  if (type !== undefined) {
    if (!ROUTE_TYPES.has(type)) return -EINVAL;
    spec.type = type;
  }
  if (verb === "del") return network.removeRoute(spec);
  return network.setRoute(spec, verb);
}

const ROUTE_TYPES: ReadonlySet<unknown> = new Set(["unicast", "unreachable", "prohibit", "blackhole"]);

function changeNeighbour(
  network: Network,
  { verb, dst, lladdr, state = "permanent" }: NeighbourRequest,
  link: Interface | undefined,
  now: number,
): number {
  const address = parseIp(String(dst));
  if (address === null) return -EINVAL;
  if (link === undefined) return -ENODEV;
  if (verb === "del") return network.removeNeighbor(link, address, now);
  const mac = parseMac(String(lladdr));
  if (mac === null || mac === 0 || isMulticastMac(mac) || !NEIGHBOUR_STATES.has(state)) return -EINVAL;
  return network.setNeighbor(link, address, mac, state, verb, now);
}

const NEIGHBOUR_STATES: ReadonlySet<unknown> = new Set(["permanent", "reachable", "stale"]);

/** "10.0.0.9/24"; without a prefix length one address alone. */
function parsePrefix(text: unknown): { address: number; prefixLength: number } | null {
  const address = parseIp(String(text));
  return address === null ? parseCidr(String(text)) : { address, prefixLength: MAX_PREFIX };
}

/** null: there is one, and it is none. */
function optionalAddress(text: unknown): number | null | undefined {
  return text === undefined ? undefined : parseIp(String(text));
}
