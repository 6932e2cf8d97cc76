import { EACCES, EHOSTUNREACH, EINVAL, ENETUNREACH } from "../errno.ts";
import { AgeingMap } from "./ageing_map.ts";
import { ANY, type IpAddress, isBroadcastOf, isLoopback, maskOf } from "../wire/address.ts";
import type { Interface, InterfaceAddress } from "./interface.ts";

/** An address of this host and the network it lies in. */
export interface LocalAddress {
  readonly address: IpAddress;
  readonly prefixLength: number;
}

/**
 * What becomes of packets: they are sent; or refused with "host unreachable", with "administratively prohibited", or
 * without a word. The words of ip-route(8).
 */
export type RouteType = "unicast" | "unreachable" | "prohibit" | "blackhole";
/** Who made a route: an address, the configuration, a person, a router. The words of ip-route(8). */
export type RouteProtocol = "kernel" | "static" | "boot" | "redirect";

/** What a route is made from. */
export interface RouteParts {
  /** The destination network, without host bits. */
  network: IpAddress;
  prefixLength: number;
  /** The router to send to; ANY (the default): the destination itself is on the link. */
  gateway?: IpAddress;
  /** Of two routes that are equally specific the one with the lower metric is taken; 0 by default. */
  metric?: number;
  /** Where packets leave; of routes that refuse, the loopback. */
  link: Interface;
  /** The address to send from when the socket has none; ANY (the default): the link's best for the next hop. */
  preferredSource?: IpAddress;
  /** Largest packet, bytes, where it is less than the link's. */
  mtu?: number;
  type?: RouteType;
  protocol?: RouteProtocol;
}

/** One line of the routing table. */
export class Route {
  readonly network: IpAddress;
  readonly prefixLength: number;
  readonly gateway: IpAddress;
  readonly metric: number;
  readonly link: Interface;
  readonly preferredSource: IpAddress;
  /** Largest packet, bytes. */
  readonly mtu: number;
  readonly type: RouteType;
  readonly protocol: RouteProtocol;
  /** The address to send from when the socket has none; ANY: the host has none. Changes with the host's addresses. */
  source: IpAddress = ANY;

  constructor(parts: RouteParts) {
    const { link, mtu = link.mtu } = parts;
    this.network = parts.network;
    this.prefixLength = parts.prefixLength;
    this.gateway = parts.gateway ?? ANY;
    this.metric = parts.metric ?? 0;
    this.link = link;
    this.preferredSource = parts.preferredSource ?? ANY;
    this.mtu = Math.min(mtu, link.mtu);
    this.type = parts.type ?? "unicast";
    this.protocol = parts.protocol ?? "static";
  }

  /** Packets are sent, and not refused. */
  get isUsable(): boolean {
    return this.type === "unicast";
  }

  /** Whom to ask for by ARP on the way to `destination`. */
  nextHop(destination: IpAddress): IpAddress {
    return this.gateway === ANY ? destination : this.gateway;
  }

  matches(destination: IpAddress): boolean {
    return (destination & maskOf(this.prefixLength)) === this.network;
  }
}

/** Linux's ip_rt_gc_timeout. */
const REDIRECT_LIFETIME_US = 300_000_000;
const MAX_REDIRECTS = 256;

/** Where packets go (RFC 1122 3.3.1): the longest prefix that matches, then the lowest metric. */
export class RoutingTable {
  /** Grows with every change: who remembers a route, remembers this too and looks again when it differs. */
  generation = 1;
  /** In the order in which they are tried. */
  private readonly routes: Route[] = [];
  /** Better ways to single hosts, that routers told of. */
  private readonly redirects = new AgeingMap<Route>(REDIRECT_LIFETIME_US, MAX_REDIRECTS);

  constructor(private readonly local: LocalAddresses) {}

  /** When `advance` is due; Infinity: never. */
  get deadline(): number {
    return this.redirects.deadline;
  }

  /** Forgets redirects that are too old. */
  advance(now: number): void {
    if (this.redirects.advance(now)) this.generation++;
  }

  /** RFC 1122 3.2.2.2: packets to this host, for which there must be a route, go to another router from now on. */
  redirect(destination: IpAddress, gateway: IpAddress, now: number): void {
    const { metric, link, preferredSource, mtu } = this.lookup(destination)!;
    const route = new Route({
      network: destination,
      prefixLength: 32,
      gateway,
      metric,
      link,
      preferredSource,
      mtu,
      protocol: "redirect",
    });
    route.source = this.local.sourceOf(route);
    this.redirects.set(destination, route, now);
    this.generation++;
  }

  /** RFC 1122 3.3.1.4: this router does not answer: nobody is redirected to it any more. */
  forgetGateway(gateway: IpAddress): void {
    if (this.redirects.size === 0) return;
    if (this.redirects.removeIf((route) => route.gateway === gateway)) this.generation++;
  }

  /** Routes or the host's addresses changed: what follows from them is worked out anew. */
  changed(): void {
    this.redirects.removeIf(() => true);
    for (const route of this.routes) route.source = this.local.sourceOf(route);
    this.generation++;
  }

  add(route: Route): void {
    let at = 0;
    while (at < this.routes.length && !comesBefore(route, this.routes[at])) at++;
    this.routes.splice(at, 0, route);
    this.changed();
  }

  /** False when there is no such route. */
  remove(route: Route): boolean {
    const at = this.routes.indexOf(route);
    if (at < 0) return false;
    this.routes.splice(at, 1);
    this.changed();
    return true;
  }

  /** The route to `destination`, which may be one that refuses; null: the network is unreachable. */
  lookup(destination: IpAddress): Route | null {
    if (this.redirects.size > 0) {
      const redirected = this.redirects.get(destination);
      if (redirected !== undefined) return redirected;
    }
    for (const route of this.routes) {
      if ((destination & maskOf(route.prefixLength)) === route.network) return route;
    }
    return null;
  }

  /** Whether `address` is a neighbor's: reached without a router, on `link` if that is given. */
  isOnLink(address: IpAddress, link?: Interface): boolean {
    const route = this.lookup(address);
    return route !== null && route.isUsable && route.gateway === ANY &&
      (link === undefined || route.link === link);
  }

  *[Symbol.iterator](): Iterator<Route> {
    yield* this.redirects.values();
    yield* this.routes;
  }
}

/** What Linux answers a program whose packets have no way: there is no route, or one that refuses. */
export function refusal(route: Route | null): number {
  switch (route?.type) {
    case "unreachable":
      return EHOSTUNREACH;
    case "prohibit":
      return EACCES;
    case "blackhole":
      return EINVAL;
    default:
      return ENETUNREACH;
  }
}

function comesBefore(a: Route, b: Route): boolean {
  return a.prefixLength !== b.prefixLength ? a.prefixLength > b.prefixLength : a.metric < b.metric;
}

/**
 * The addresses of this host, whatever interface they are on: as Linux's, and RFC 1122's weak model (3.3.4.2), it takes
 * packets for each of them from any link.
 */
export class LocalAddresses {
  readonly list: InterfaceAddress[] = [];

  /** Whether packets to `address` stay here: an address of ours or 127.0.0.0/8. */
  has(address: IpAddress): boolean {
    return this.isOwn(address) || isLoopback(address);
  }

  /** Whether it is one of the addresses that links know us by. */
  isOwn(address: IpAddress): boolean {
    for (const own of this.list) if (own.address === address) return true;
    return false;
  }

  find(address: IpAddress): InterfaceAddress | null {
    for (const own of this.list) if (own.address === address) return own;
    return null;
  }

  /** 255.255.255.255 or the directed broadcast of one of our networks. */
  isBroadcast(address: IpAddress): boolean {
    if (address === -1) return true;
    for (const own of this.list) if (isBroadcastOf(address, own.address, own.prefixLength)) return true;
    return false;
  }

  /** The interface of the network that `address` is the directed broadcast of; null: of none. */
  linkOfBroadcast(address: IpAddress): Interface | null {
    for (const { address: own, prefixLength, link } of this.list) {
      if (address !== -1 && isBroadcastOf(address, own, prefixLength)) return link;
    }
    return null;
  }

  /**
   * RFC 1122 3.3.4.3, as Linux has it: the route's preferred source, else the address on its link that lies in the next
   * hop's network, else the link's first, else the first on any link.
   */
  sourceOf(route: Route): IpAddress {
    if (route.preferredSource !== ANY) return route.preferredSource;
    const own = route.link.sourceFor(route.gateway);
    return own !== ANY || this.list.length === 0 ? own : this.list[0].address;
  }
}
