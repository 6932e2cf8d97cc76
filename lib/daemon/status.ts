import type { TapDevice } from "../../ffi/tap_device.ts";
import type { ImpairedDevice } from "../impair.ts";
import type { ConnectionStatus, DaemonStatus, NeighbourStatus, RouteStatus } from "../ipc/protocol.ts";
import type { Server } from "../ipc/server.ts";
import type { Connection } from "../stack/connection.ts";
import { neighborStateName } from "../stack/neighbor.ts";
import { SocketName } from "../stack/socket_types.ts";
import type { Stack } from "../stack/stack.ts";
import type { TimeWaitEntry } from "../stack/time_wait.ts";
import { info } from "../tcp/info.ts";
import { State } from "../tcp/state.ts";
import { formatIp, formatMac } from "../wire/address.ts";
import type { StartMessage } from "./messages.ts";
import { serverNames } from "./name_files.ts";
import { addressesOf } from "./network_show.ts";

/** The states as ss(8) spells them, by number. */
const STATE_NAMES: Record<number, string> = {
  [State.CLOSED]: "UNCONN",
  [State.LISTEN]: "LISTEN",
  [State.SYN_SENT]: "SYN-SENT",
  [State.SYN_RECEIVED]: "SYN-RECV",
  [State.ESTABLISHED]: "ESTAB",
  [State.FIN_WAIT_1]: "FIN-WAIT-1",
  [State.FIN_WAIT_2]: "FIN-WAIT-2",
  [State.CLOSE_WAIT]: "CLOSE-WAIT",
  [State.CLOSING]: "CLOSING",
  [State.LAST_ACK]: "LAST-ACK",
  [State.TIME_WAIT]: "TIME-WAIT",
};

/** Of what has no connection, or none any more. */
const NO_FIGURES = {
  receiveQueue: 0,
  sendQueue: 0,
  congestionWindow: 0,
  rttUs: 0,
  rttVarianceUs: 0,
  rtoUs: 0,
  retransmits: 0,
  pid: 0,
  uid: 0,
};

/** Tells programs what the daemon is doing, as JSON. */
export class StatusReport {
  readonly #startedAtUs: number;
  readonly #name = new SocketName();

  constructor(
    readonly start: StartMessage,
    readonly stack: Stack,
    readonly taps: readonly TapDevice[],
    readonly impaired: readonly ImpairedDevice[],
    now: number,
  ) {
    this.#startedAtUs = now;
  }

  /** A `DaemonStatus` as JSON. */
  describe(server: Server, now: number): string {
    const { config, version, socketPath } = this.start;
    const [first] = config.interfaces;
    const { network } = this.stack;
    const status: DaemonStatus = {
      version,
      pid: Deno.pid,
      uptimeUs: now - this.#startedAtUs,
      address: formatIp(first.address),
      prefixLength: first.prefixLength,
      gateway: first.gateway === 0 ? null : formatIp(first.gateway),
      mac: formatMac(first.mac),
      device: this.taps[0].name,
      mtu: this.taps[0].mtu,
      forwarding: config.forwarding,
      interfaces: addressesOf(network),
      socketPath,
      clients: server.clientCount,
      connections: [...this.#sockets(server), ...this.#connections(server, now)],
      counters: this.#counters(server),
      neighbours: this.#neighbours(),
      routes: this.#routes(),
      nameServers: serverNames(server.names.config(now)),
    };
    return JSON.stringify(status);
  }

  /** Listeners and echo sockets; streams are told as connections, which outlive their sockets. */
  *#sockets(server: Server): Iterable<ConnectionStatus> {
    const name = this.#name;
    for (const handle of this.stack.sockets()) {
      this.stack.name(handle, name);
      const isListener = name.state === State.LISTEN;
      // A stream that is listening has LISTEN, any other has a connection or is not connected yet.
      if (!isListener && (name.state !== State.CLOSED || name.localPort === 0 || name.remotePort !== 0)) {
        continue;
      }
      const owner = server.ownerOf(handle);
      yield {
        ...NO_FIGURES,
        kind: isListener ? "listener" : "echo",
        state: STATE_NAMES[name.state],
        localAddress: formatIp(name.localAddress),
        localPort: name.localPort,
        remoteAddress: formatIp(name.remoteAddress),
        remotePort: name.remotePort,
        pid: owner?.pid ?? 0,
        uid: owner?.uid ?? 0,
      };
    }
  }

  *#connections(server: Server, now: number): Iterable<ConnectionStatus> {
    for (const connection of this.stack.connections()) yield connectionStatus(connection, server, now);
    for (const entry of this.stack.timeWaits()) yield timeWaitStatus(entry);
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

function connectionStatus(connection: Connection, server: Server, now: number): ConnectionStatus {
  const { tcb, socket } = connection;
  const figures = info(tcb, now);
  const owner = socket === null ? null : server.ownerOf(socket.handle);
  return {
    kind: "stream",
    state: STATE_NAMES[tcb.state],
    localAddress: formatIp(connection.localAddress),
    localPort: connection.localPort,
    remoteAddress: formatIp(connection.remoteAddress),
    remotePort: connection.remotePort,
    receiveQueue: figures.receiveQueue,
    sendQueue: figures.sendQueue,
    congestionWindow: figures.tcpi_snd_cwnd * figures.tcpi_snd_mss,
    rttUs: figures.tcpi_rtt,
    rttVarianceUs: figures.tcpi_rttvar,
    rtoUs: figures.tcpi_rto,
    retransmits: figures.tcpi_total_retrans,
    pid: owner?.pid ?? 0,
    uid: owner?.uid ?? 0,
  };
}

function timeWaitStatus(entry: TimeWaitEntry): ConnectionStatus {
  return {
    ...NO_FIGURES,
    kind: "stream",
    state: STATE_NAMES[State.TIME_WAIT],
    localAddress: formatIp(entry.localAddress),
    localPort: entry.localPort,
    remoteAddress: formatIp(entry.remoteAddress),
    remotePort: entry.remotePort,
  };
}
