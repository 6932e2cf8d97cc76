/** `lvl-ip status`: the daemon in numbers. */
import * as client from "../ipc/client.ts";
import type { ConnectionStatus, DaemonStatus } from "../ipc/client.ts";
import { type Column, formatTable, type Io } from "./output.ts";

export interface StatusOptions {
  json?: boolean;
  socket?: string;
}

export type ReadStatus = (options: { socketPath?: string }) => Promise<DaemonStatus>;

/** Runs the command. */
export async function status(
  options: StatusOptions,
  io: Io,
  read: ReadStatus = client.status,
): Promise<number> {
  const daemon = await read({ socketPath: options.socket });
  io.print(options.json ? `${JSON.stringify(daemon, null, 2)}\n` : formatStatus(daemon, io));
  return 0;
}

/** The whole report. */
export function formatStatus(daemon: DaemonStatus, { style }: Pick<Io, "style">): string {
  const section = (title: string, body: string) => `\n${style.bold(title)}\n${body}`;
  const parts = [formatHead(daemon, style.bold)];
  parts.push(section(
    "Connections",
    daemon.connections.length === 0
      ? "none\n"
      : formatTable(CONNECTION_COLUMNS, daemon.connections.map(connectionRow), style),
  ));
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
  // Hundreds of counters stay at 0 for ever: --json has them.
  const counters = Object.entries(daemon.counters).filter(([, count]) => count !== 0)
    .map(([name, count]) => [name, String(count)]);
  if (counters.length > 0) parts.push(section("Counters", formatTable(COUNTER_COLUMNS, counters, style)));
  return parts.join("");
}

const CONNECTION_COLUMNS: Column[] = [
  { title: "State" },
  { title: "Local" },
  { title: "Peer" },
  { title: "Recv-Q", right: true },
  { title: "Send-Q", right: true },
  { title: "RTT ms", right: true },
  { title: "RTO ms", right: true },
  { title: "cwnd", right: true },
  { title: "Retrans", right: true },
  { title: "PID", right: true },
];
const NEIGHBOUR_COLUMNS: Column[] = [{ title: "Address" }, { title: "MAC" }, { title: "State" }, {
  title: "Device",
}];
const ROUTE_COLUMNS: Column[] = [{ title: "To" }, { title: "Through" }, { title: "Device" }];
const COUNTER_COLUMNS: Column[] = [{ title: "Name" }, { title: "Count", right: true }];

function formatHead(daemon: DaemonStatus, bold: (text: string) => string): string {
  const { version, pid, uptimeUs, address, prefixLength, gateway, mac, device, mtu, socketPath } = daemon;
  const { clients, nameServers } = daemon;

  return [
    `${bold(`lvl-ip ${version}`)}, process ${pid}, up ${formatUptime(uptimeUs)}`,
    `address ${address}/${prefixLength} (${mac})${gateway === null ? "" : `, gateway ${gateway}`}`,
    `device  ${device}, MTU ${mtu}`,
    ...moreInterfaces(daemon),
    `names   ${nameServers.length === 0 ? "no name server (see --dns)" : `from ${nameServers.join(", ")}`}`,
    `socket  ${socketPath}, ${clients} ${clients === 1 ? "client" : "clients"}`,
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

function connectionRow(connection: ConnectionStatus): string[] {
  const { kind, state, localAddress, localPort, remoteAddress, remotePort, pid } = connection;
  const isStream = kind === "stream";
  const time = (us: number) => isStream && us > 0 ? (us / 1000).toFixed(us < 100_000 ? 2 : 0) : "-";
  const number = (value: number) => isStream ? String(value) : "-";
  return [
    kind === "echo" ? "echo" : state,
    endpoint(localAddress, localPort),
    endpoint(remoteAddress, remotePort),
    String(connection.receiveQueue),
    String(connection.sendQueue),
    time(connection.rttUs),
    time(connection.rtoUs),
    number(connection.congestionWindow),
    number(connection.retransmits),
    pid === 0 ? "-" : String(pid),
  ];
}

/** As ss(8) writes it: * for any address or port. */
function endpoint(address: string, port: number): string {
  return `${address === "0.0.0.0" ? "*" : address}:${port === 0 ? "*" : port}`;
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
