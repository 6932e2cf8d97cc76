import type { ConnectionStatus } from "../ipc/protocol.ts";
import type { Server } from "../ipc/server.ts";
import type { Connection } from "../stack/connection.ts";
import type { SocketReport } from "../stack/socket_report.ts";
import { SocketKind } from "../stack/socket_types.ts";
import type { Stack } from "../stack/stack.ts";
import type { TimeWaitEntry } from "../stack/time_wait.ts";
import { info } from "../tcp/info.ts";
import { State } from "../tcp/state.ts";
import { formatIp } from "../wire/address.ts";

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

/** Programs whose names are looked up for one report: each takes some 20 us of the loop's time. */
const MAX_NAMES = 1000;

/** Sockets and connections. `withInfo`: with the connections' TCP_INFO. */
export function socketStatus(
  stack: Stack,
  server: Server,
  now: number,
  withInfo: boolean,
): ConnectionStatus[] {
  const programs = new Programs();
  return [
    ...[...stack.reports()].map((report) => ofSocket(report, server, programs)),
    ...[...stack.connections()].map((connection) =>
      ofConnection(connection, server, programs, now, withInfo)
    ),
    ...[...stack.timeWaits()].map(ofTimeWait),
  ];
}

/** The names of processes (comm), for one report: a number may be another process's the next time. */
class Programs {
  readonly #names = new Map<number, string>();

  nameOf(pid: number): string {
    let name = this.#names.get(pid);
    if (name !== undefined) return name;
    name = pid > 0 && this.#names.size < MAX_NAMES ? readName(pid) : "";
    this.#names.set(pid, name);
    return name;
  }
}

function readName(pid: number): string {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/comm`).trimEnd();
  } catch {
    // It has ended, or belongs to somebody else where /proc is mounted with hidepid.
    return "";
  }
}

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
  program: "",
};

const KINDS = {
  [SocketKind.stream]: "stream",
  [SocketKind.datagram]: "datagram",
  [SocketKind.icmp]: "echo",
  [SocketKind.raw]: "raw",
} as const;

function ofSocket(report: SocketReport, server: Server, programs: Programs): ConnectionStatus {
  const { isListener, remotePort, remoteAddress, kind, protocol } = report;
  const hasPeer = remotePort !== 0 || remoteAddress !== 0;
  const { pid = 0, uid = 0 } = server.ownerOf(report.handle) ?? {};
  return {
    kind: isListener ? "listener" : KINDS[kind],
    ...(kind === SocketKind.raw ? { protocol } : {}),
    state: isListener ? "LISTEN" : hasPeer ? "ESTAB" : "UNCONN",
    localAddress: formatIp(report.localAddress),
    localPort: report.localPort,
    remoteAddress: formatIp(remoteAddress),
    remotePort,
    ...NO_FIGURES,
    receiveQueue: report.receiveQueue,
    sendQueue: report.sendQueue,
    pid,
    uid,
    program: programs.nameOf(pid),
  };
}

function ofConnection(
  connection: Connection,
  server: Server,
  programs: Programs,
  now: number,
  withInfo: boolean,
): ConnectionStatus {
  const { tcb, socket } = connection;
  const figures = info(tcb, now);
  const { pid = 0, uid = 0 } = (socket === null ? null : server.ownerOf(socket.handle)) ?? {};
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
    pid,
    uid,
    program: programs.nameOf(pid),
    ...(withInfo ? { info: figures } : {}),
  };
}

function ofTimeWait(entry: TimeWaitEntry): ConnectionStatus {
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
