import { AgeingMap } from "./ageing_map.ts";
import { ANY, type IpAddress, isBroadcastOf, isLoopback, maskOf } from "../wire/address.ts";

/** An address of this host and the network it lies in. */
export interface LocalAddress {
  address: IpAddress;
  prefixLength: number;
}

/** One line of the routing table. */
export class Route {
  constructor(
    /** The destination network, without host bits. */
    readonly network: IpAddress,
    readonly prefixLength: number,
    /** The router to send to; ANY: the destination itself is on the link. */
    readonly gateway: IpAddress,
    /** Of two routes that are equally specific the one with the lower metric is taken. */
    readonly metric: number,
    /** The address to send from when the socket has none. */
    readonly source: IpAddress,
    /** Largest packet, bytes. */
    readonly mtu: number,
  ) {}

  /** Whom to ask for by ARP on the way to `destination`. */
  nextHop(destination: IpAddress): IpAddress {
    return this.gateway === ANY ? destination : this.gateway;
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
    const { metric, source, mtu } = this.lookup(destination)!;
    this.redirects.set(destination, new Route(destination, 32, gateway, metric, source, mtu), now);
    this.generation++;
  }

  /** RFC 1122 3.3.1.4: this router does not answer: nobody is redirected to it any more. */
  forgetGateway(gateway: IpAddress): void {
    if (this.redirects.size === 0) return;
    if (this.redirects.removeIf((route) => route.gateway === gateway)) this.generation++;
  }

  private changed(): void {
    this.redirects.removeIf(() => true);
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

  /** The route to `destination`; null: the network is unreachable. */
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

  /** Whether `address` is a neighbor's: reached without a router. */
  isOnLink(address: IpAddress): boolean {
    const route = this.lookup(address);
    return route !== null && route.gateway === ANY;
  }

  *[Symbol.iterator](): Iterator<Route> {
    yield* this.redirects.values();
    yield* this.routes;
  }
}

function comesBefore(a: Route, b: Route): boolean {
  return a.prefixLength !== b.prefixLength ? a.prefixLength > b.prefixLength : a.metric < b.metric;
}

/** The addresses of this host, and what they make of other addresses. */
export class LocalAddresses {
  constructor(readonly list: readonly LocalAddress[]) {}

  /** Whether packets to `address` stay here: an address of ours or 127.0.0.0/8. */
  has(address: IpAddress): boolean {
    return this.isOwn(address) || isLoopback(address);
  }

  /** Whether it is one of the addresses that the link knows us by. */
  isOwn(address: IpAddress): boolean {
    for (const own of this.list) if (own.address === address) return true;
    return false;
  }

  /** 255.255.255.255 or the directed broadcast of one of our networks. */
  isBroadcast(address: IpAddress): boolean {
    if (address === -1) return true;
    for (const own of this.list) if (isBroadcastOf(address, own.address, own.prefixLength)) return true;
    return false;
  }

  /** The address to use towards `nextHop`: the one in its network, else the first (RFC 1122 3.3.4.3). */
  sourceFor(nextHop: IpAddress): IpAddress {
    for (const own of this.list) {
      const mask = maskOf(own.prefixLength);
      if ((nextHop & mask) === (own.address & mask)) return own.address;
    }
    return this.list.length > 0 ? this.list[0].address : ANY;
  }
}
