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

/** Where packets go (RFC 1122 3.3.1): the longest prefix that matches, then the lowest metric. */
export class RoutingTable {
  /** Grows with every change: who remembers a route, remembers this too and looks again when it differs. */
  generation = 1;
  /** In the order in which they are tried. */
  private readonly routes: Route[] = [];

  add(route: Route): void {
    let at = 0;
    while (at < this.routes.length && !comesBefore(route, this.routes[at])) at++;
    this.routes.splice(at, 0, route);
    this.generation++;
  }

  /** False when there is no such route. */
  remove(route: Route): boolean {
    const at = this.routes.indexOf(route);
    if (at < 0) return false;
    this.routes.splice(at, 1);
    this.generation++;
    return true;
  }

  /** The route to `destination`; null: the network is unreachable. */
  lookup(destination: IpAddress): Route | null {
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

  [Symbol.iterator](): Iterator<Route> {
    return this.routes[Symbol.iterator]();
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
