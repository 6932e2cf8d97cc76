/** `lvl-ip status`: the daemon in numbers, and its sockets as ss(8) shows them. */
import * as client from "../ipc/client.ts";
import type { ConnectionStatus, DaemonStatus } from "../ipc/client.ts";
import { CommandError, EXIT } from "./errors.ts";
import { type Column, formatTable, type Io } from "./output.ts";
import { parseFilter, type SocketTest } from "./status_filter.ts";
import { formatSockets, shortNumber } from "./status_sockets.ts";
import { type Rates, watch, type WatchedStatus } from "./status_watch.ts";

export interface StatusOptions {
  json?: boolean;
  /** Only these kinds; all if none is given. */
  tcp?: boolean;
  udp?: boolean;
  raw?: boolean;
  /** Only sockets that wait for somebody. */
  listening?: boolean;
  info?: boolean;
  /** Milliseconds between two looks; 0: only one. */
  watch?: number;
  socket?: string;
}

export type ReadStatus = (options: { socketPath?: string; info?: boolean }) => Promise<DaemonStatus>;

/** Runs the command. `words`: a filter, see status_filter.ts. */
export async function status(
  words: readonly string[],
  options: StatusOptions,
  io: Io,
  read: ReadStatus = client.status,
): Promise<number> {
  const isShown = selectionOf(words, options);
  const info = Boolean(options.info || options.json || options.watch);
  const look = async () => {
    const daemon = await read({ socketPath: options.socket, info });
    return { ...daemon, connections: daemon.connections.filter(isShown) };
  };
  const isNarrow = words.length > 0 || options.tcp || options.udp || options.raw || options.listening;
  const page = (daemon: WatchedStatus) =>
    isNarrow
      ? formatSockets(daemon.connections, tableOptions(daemon, options), io)
      : formatStatus(daemon, io, options);
  if (options.watch) return await watch(look, page, options.watch, Boolean(options.json), io);
  const daemon = await look();
  io.print(options.json ? `${JSON.stringify(daemon, null, 2)}\n` : page(daemon));
  return EXIT.success;
}

/** Throws `CommandError` with the status of a usage error. */
function selectionOf(words: readonly string[], options: StatusOptions): SocketTest {
  let filter: SocketTest;
  try {
    filter = parseFilter(words);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new CommandError(`The filter is wrong: ${error.message}`, "see lvl-ip status --help", EXIT.usage);
  }
  const { tcp, udp, raw, listening } = options;
  const isKind = ({ kind }: ConnectionStatus) => {
    if (!tcp && !udp && !raw) return true;
    if (kind === "stream" || kind === "listener") return Boolean(tcp);
    return Boolean(kind === "datagram" ? udp : raw);
  };
  const waits = ({ state }: ConnectionStatus) => !listening || state === "LISTEN" || state === "UNCONN";
  return (socket) => isKind(socket) && waits(socket) && filter(socket);
}

function tableOptions(daemon: WatchedStatus, { info }: StatusOptions) {
  return { info, rates: daemon.rates !== undefined };
}

/** The whole report. */
export function formatStatus(
  daemon: WatchedStatus,
  io: Pick<Io, "style">,
  options: StatusOptions = {},
): string {
  const { style } = io;
  const section = (title: string, body: string) => `\n${style.bold(title)}\n${body}`;
  const parts = [formatHead(daemon, style.bold)];
  parts.push(section("Sockets", formatSockets(daemon.connections, tableOptions(daemon, options), io)));
  if (daemon.neighbours.length > 0) {
    const rows = daemon.neighbours.map((
      { address, mac, state, device },
    ) => [address, mac ?? "-", state, device]);
    parts.push(section("Neighbours", formatTable(NEIGHBOUR_COLUMNS, rows, style)));
  }
  const routes = daemon.routes.map(({ destination, prefixLength, gateway, device }) => [
    prefixLength === 0 ? "default" : `${destination}/${prefixLength}`,
    gateway ?? "on link",
    device,
  ]);
  if (routes.length > 0) parts.push(section("Routes", formatTable(ROUTE_COLUMNS, routes, style)));
  const counters = counterRows(daemon);
  const columns = daemon.rates === undefined ? COUNTER_COLUMNS : [...COUNTER_COLUMNS, RATE_COLUMN];
  if (counters.length > 0) parts.push(section("Counters", formatTable(columns, counters, style)));
  return parts.join("");
}

/** Hundreds of counters stay at 0 for ever: --json has them. */
function counterRows({ counters, rates }: WatchedStatus): string[][] {
  return Object.entries(counters).filter(([, count]) => count !== 0).map(([name, count]) => {
    const row = [name, String(count)];
    const rate = rates?.counters[name] ?? 0;
    return rates === undefined ? row : [...row, rate === 0 ? "-" : shortNumber(rate)];
  });
}

const NEIGHBOUR_COLUMNS: Column[] = [{ title: "Address" }, { title: "MAC" }, { title: "State" }, {
  title: "Device",
}];
const ROUTE_COLUMNS: Column[] = [{ title: "To" }, { title: "Through" }, { title: "Device" }];
const COUNTER_COLUMNS: Column[] = [{ title: "Name" }, { title: "Count", right: true }];
const RATE_COLUMN: Column = { title: "Per second", right: true };

function formatHead(daemon: WatchedStatus, bold: (text: string) => string): string {
  const { version, pid, uptimeUs, address, prefixLength, gateway, mac, device, mtu, socketPath } = daemon;
  const { clients, nameServers } = daemon;

  return [
    `${bold(`lvl-ip ${version}`)}, process ${pid}, up ${formatUptime(uptimeUs)}`,
    `address ${address}/${prefixLength} (${mac})${gateway === null ? "" : `, gateway ${gateway}`}`,
    `device  ${device}, MTU ${mtu}`,
    ...moreInterfaces(daemon),
    `names   ${nameServers.length === 0 ? "no name server (see --dns)" : `from ${nameServers.join(", ")}`}`,
    `socket  ${socketPath}, ${clients} ${clients === 1 ? "client" : "clients"}`,
    ...(daemon.rates === undefined ? [] : [`traffic ${formatTraffic(daemon.rates)}`]),
  ].join("\n") + "\n";
}

/** A line for each interface beside the loopback and the first. */
function moreInterfaces({ interfaces, device, forwarding }: DaemonStatus): string[] {
  const others = interfaces.filter(({ ifname, link_type }) => ifname !== device && link_type !== "loopback");
  const lines = others.map(({ ifname, mtu, addr_info = [] }) => {
    const addresses = addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`);
    return `and     ${ifname}, MTU ${mtu}${
      addresses.length === 0 ? "" : `, address ${addresses.join(", ")}`
    }`;
  });
  return forwarding ? [...lines, "router  packets are passed on between the interfaces"] : lines;
}

function formatTraffic({ counters }: Rates): string {
  const way = (name: "In" | "Out") =>
    `${shortNumber(8 * (counters[`bytes${name}`] ?? 0))}bit/s, ${
      shortNumber(counters[`frames${name}`] ?? 0)
    } frames/s`;
  return `in ${way("In")}; out ${way("Out")}`;
}

/** The two largest units: "3 min 12 s". */
export function formatUptime(us: number): string {
  const total = Math.floor(us / 1e6);
  const parts: [number, string][] = [
    [Math.floor(total / 86400), "d"],
    [Math.floor(total / 3600) % 24, "h"],
    [Math.floor(total / 60) % 60, "min"],
    [total % 60, "s"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  if (first === -1) return "0 s";
  return parts.slice(first, first + 2).filter(([count]) => count > 0).map(([count, unit]) =>
    `${count} ${unit}`
  )
    .join(" ");
}
