import type { TapDevice } from "../../ffi/tap_device.ts";
import type { ImpairedDevice } from "../impair.ts";
import type { DaemonStatus, NeighbourStatus, RouteStatus } from "../ipc/protocol.ts";
import type { Server } from "../ipc/server.ts";
import { neighborStateName } from "../stack/neighbor.ts";
import type { Stack } from "../stack/stack.ts";
import { formatIp, formatMac } from "../wire/address.ts";
import type { StartMessage } from "./messages.ts";
import { serverNames } from "./name_files.ts";
import { addressesOf } from "./network_show.ts";
import { socketStatus } from "./status_sockets.ts";

/** Tells programs what the daemon is doing, as JSON. */
export class StatusReport {
  readonly #startedAtUs: number;

  constructor(
    readonly start: StartMessage,
    readonly stack: Stack,
    readonly taps: readonly TapDevice[],
    readonly impaired: readonly ImpairedDevice[],
    now: number,
  ) {
    this.#startedAtUs = now;
  }

  /** A `DaemonStatus` as JSON. `withInfo`: with each connection's TCP_INFO. */
  describe(server: Server, now: number, withInfo: boolean): string {
    const { config, version, socketPath } = this.start;
    const { network } = this.stack;
    const [, first] = network.interfaces;
    // What was changed at run time counts, not what the daemon was started with.
    const own = first.addresses.at(0);
    const byDefault = [...network.routes].find((route) => route.prefixLength === 0 && route.gateway !== 0);
    const status: DaemonStatus = {
      version,
      pid: Deno.pid,
      uptimeUs: now - this.#startedAtUs,
      address: formatIp(own?.address ?? 0),
      prefixLength: own?.prefixLength ?? 0,
      gateway: byDefault === undefined ? null : formatIp(byDefault.gateway),
      mac: formatMac(first.mac),
      device: first.name,
      mtu: first.mtu,
      forwarding: config.forwarding,
      interfaces: addressesOf(network),
      socketPath,
      clients: server.clientCount,
      connections: socketStatus(this.stack, server, now, withInfo),
      counters: this.#counters(server),
      neighbours: this.#neighbours(),
      routes: this.#routes(),
      nameServers: serverNames(server.names.config(now)),
    };
    return JSON.stringify(status);
  }

  #counters(server: Server): Record<string, number> {
    const { counters } = this.stack;
    const all: Record<string, number> = {};
    for (const [name, value] of Object.entries(counters)) {
      if (typeof value === "number") all[name] = value;
    }
    for (const [name, value] of Object.entries(counters.namedDrops())) all[`drop.${name}`] = value;
    for (const tap of this.taps) addCounters(all, "tap", tap.counters);
    for (const [name, value] of Object.entries(server.counters)) all[`ipc.${name}`] = value;
    const { resolver } = server.names;
    for (const [name, value] of Object.entries(resolver.counters)) all[`dns.${name}`] = value;
    all["dns.cached"] = resolver.cacheSize;
    for (const { counters } of this.impaired) {
      addCounters(all, "impair.in", counters.in);
      addCounters(all, "impair.out", counters.out);
    }
    all.bufferedBytes = this.stack.bufferedBytes;
    return all;
  }

  #neighbours(): NeighbourStatus[] {
    return [...this.stack.network.neighbors()].map(({ address, mac, state, isUsable, link }) => ({
      address: formatIp(address),
      device: link.name,
      mac: isUsable ? formatMac(mac) : null,
      state: neighborStateName(state),
    }));
  }

  #routes(): RouteStatus[] {
    return [...this.stack.network.routes].map(({ network, prefixLength, gateway, link }) => ({
      destination: formatIp(network),
      prefixLength,
      gateway: gateway === 0 ? null : formatIp(gateway),
      device: link.name,
    }));
  }
}

/** Adds figures of one device to those of the others. */
function addCounters(all: Record<string, number>, prefix: string, figures: object): void {
  for (const [name, value] of Object.entries(figures)) {
    all[`${prefix}.${name}`] = (all[`${prefix}.${name}`] ?? 0) + value;
  }
}
