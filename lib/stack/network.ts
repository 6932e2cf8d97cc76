/** What ip(8) does to a host while it runs: addresses, routes, neighbors. Answers are 0 or -errno, as the kernel's. */
import { EEXIST, EINVAL, ENETUNREACH, ENODEV, ENOENT, ESRCH } from "../errno.ts";
import { ANY, type IpAddress, isMulticast, type MacAddress, maskOf } from "../wire/address.ts";
import type { Core } from "./core.ts";
import type { Interface } from "./interface.ts";
import { addAddress, removeAddress } from "./interfaces.ts";
import { type Neighbor, NeighborState } from "./neighbor.ts";
import { Route, type RouteProtocol, type RouteType } from "./routes.ts";

/** What becomes of a thing that is there, or is not: ip(8)'s add, replace and change. */
export type Change = "add" | "replace" | "change";

/** A route as a person writes it: what is left out is found out, or when one is removed, means any. */
export interface RouteSpec {
  network: IpAddress;
  prefixLength: number;
  gateway?: IpAddress;
  link?: Interface;
  metric?: number;
  preferredSource?: IpAddress;
  mtu?: number;
  type?: RouteType;
  protocol?: RouteProtocol;
}

/** States that a person may give a neighbor; the words of ip-neighbour(8). */
export type GivenState = "permanent" | "reachable" | "stale";

const MAX_METRIC = 0xffff_ffff;
const MIN_MTU = 68;

/** The network side of a running stack. */
export class Network {
  constructor(private readonly core: Core) {}

  /** The loopback, then the interfaces in the order of their devices. */
  get interfaces(): readonly Interface[] {
    return [this.core.loopback, ...this.core.links];
  }

  find(name: string): Interface | null {
    return this.interfaces.find((link) => link.name === name) ?? null;
  }

  get routes(): Iterable<Route> {
    return this.core.routes;
  }

  *neighbors(): Iterable<Neighbor> {
    for (const link of this.core.links) yield* link.neighbors;
  }

  /** Whether it stays in the host: one of its addresses or the loopback network. */
  isLocal(address: IpAddress): boolean {
    return this.core.local.has(address);
  }

  /** See `Core.sourceFor`. */
  sourceFor(destination: IpAddress): IpAddress {
    return this.core.sourceFor(destination);
  }

  /** Largest packet that is known to get to `destination`, bytes. */
  mtuTo(destination: IpAddress): number {
    return this.core.mtuTo(destination);
  }

  /** The way to `destination`, which may be one that refuses; null: there is none. */
  routeTo(destination: IpAddress): Route | null {
    return this.core.routes.lookup(destination);
  }

  /** -EEXIST: it is there already; -EINVAL: no host has such an address. */
  addAddress(link: Interface, address: IpAddress, prefixLength: number, now: number): number {
    if (address === ANY || isMulticast(address) || address === -1) return -EINVAL;
    return addAddress(this.core, link, address, prefixLength, now);
  }

  /** -EADDRNOTAVAIL: the interface has no such address. */
  removeAddress(link: Interface, address: IpAddress, prefixLength: number): number {
    return removeAddress(this.core, link, address, prefixLength);
  }

  /**
   * -EINVAL: host bits, or values that cannot be; -ENETUNREACH: the gateway is on no link of ours; -ENODEV: it leads
   * nowhere; -EEXIST, -ENOENT: there is a route, or none, to that network with that metric.
   */
  setRoute(spec: RouteSpec, how: Change): number {
    const refused = this.checkRoute(spec);
    if (refused !== 0) return refused;
    const { routes } = this.core;
    const link = this.linkOf(spec);
    if (typeof link === "number") return link;
    const { metric = 0 } = spec;
    const old = this.match({ network: spec.network, prefixLength: spec.prefixLength, metric });
    if (old !== null && how === "add") return -EEXIST;
    if (old === null && how === "change") return -ENOENT;
    if (old !== null) routes.remove(old);
    routes.add(new Route({ protocol: "boot", ...spec, link }));
    return 0;
  }

  /** -ESRCH: there is no such route. What `spec` leaves out may be anything. */
  removeRoute(spec: RouteSpec): number {
    const old = this.match(spec);
    if (old === null) return -ESRCH;
    this.core.routes.remove(old);
    return 0;
  }

  /** Removes all routes that an address did not make, those through `link` if it is given; how many. */
  flushRoutes(link?: Interface): number {
    let count = 0;
    for (const route of [...this.core.routes]) {
      if (route.protocol === "kernel" || (link !== undefined && route.link !== link)) continue;
      if (this.core.routes.remove(route)) count++;
    }
    this.core.routes.changed();
    return count;
  }

  /** -EEXIST, -ENOENT: it is known, or not; -EINVAL: the loopback has no neighbors. */
  setNeighbor(
    link: Interface,
    address: IpAddress,
    mac: MacAddress,
    state: GivenState,
    how: Change,
    now: number,
  ): number {
    if (link.isLoopback || address === ANY || this.core.local.has(address)) return -EINVAL;
    const { neighbors } = link;
    const known = neighbors.get(address) !== undefined;
    if (known && how === "add") return -EEXIST;
    if (!known && how === "change") return -ENOENT;
    neighbors.set(address, mac, STATES[state], now);
    return 0;
  }

  /** -ENOENT: it is not known. */
  removeNeighbor(link: Interface, address: IpAddress, now: number): number {
    return link.neighbors.forget(address, now) ? 0 : -ENOENT;
  }

  /** Forgets all neighbors but the permanent ones, those on `link` if it is given; how many. */
  flushNeighbors(link: Interface | undefined, now: number): number {
    let count = 0;
    for (const neighbor of [...this.neighbors()]) {
      if (neighbor.state === NeighborState.PERMANENT || (link !== undefined && neighbor.link !== link)) {
        continue;
      }
      if (neighbor.link.neighbors.forget(neighbor.address, now)) count++;
    }
    return count;
  }

  private checkRoute(spec: RouteSpec): number {
    const { network, prefixLength, metric = 0, mtu, preferredSource = ANY } = spec;
    if ((network & ~maskOf(prefixLength)) !== 0 || (isMulticast(network) && prefixLength >= 4)) {
      return -EINVAL;
    }
    if (!Number.isInteger(metric) || metric < 0 || metric > MAX_METRIC) return -EINVAL;
    if (mtu !== undefined && !(Number.isInteger(mtu) && mtu >= MIN_MTU)) return -EINVAL;
    return preferredSource !== ANY && !this.core.local.isOwn(preferredSource) ? -EINVAL : 0;
  }

  /** Where packets of the route leave; or -errno. */
  private linkOf({ gateway = ANY, link, type = "unicast" }: RouteSpec): Interface | number {
    if (type !== "unicast") return gateway === ANY ? this.core.loopback : -EINVAL;
    if (gateway === ANY) return link ?? -ENODEV;
    if (this.core.local.has(gateway)) return -EINVAL;
    const { routes } = this.core;
    if (!routes.isOnLink(gateway, link)) return -ENETUNREACH;
    return routes.lookup(gateway)!.link;
  }

  private match(spec: RouteSpec): Route | null {
    const { gateway, link, metric, preferredSource, type } = spec;
    for (const route of this.core.routes) {
      if (route.network !== spec.network || route.prefixLength !== spec.prefixLength) continue;
      if (gateway !== undefined && route.gateway !== gateway) continue;
      if (link !== undefined && route.link !== link) continue;
      if (metric !== undefined && route.metric !== metric) continue;
      if (preferredSource !== undefined && route.preferredSource !== preferredSource) continue;
      if (type !== undefined && route.type !== type) continue;
      if (route.protocol !== "redirect") return route;
    }
    return null;
  }
}

const STATES = {
  permanent: NeighborState.PERMANENT,
  reachable: NeighborState.REACHABLE,
  stale: NeighborState.STALE,
} as const;
