import type { TcpInfo } from "../../lib/tcp/info.ts";

/** Names for values of tcpi_state, tcpi_ca_state and tcpi_options, as packetdrill gives them to the code in scripts. */
const SYMBOLS: [string, number][] = [
  ["TCP_ESTABLISHED", 1],
  ["TCP_SYN_SENT", 2],
  ["TCP_SYN_RECV", 3],
  ["TCP_FIN_WAIT1", 4],
  ["TCP_FIN_WAIT2", 5],
  ["TCP_TIME_WAIT", 6],
  ["TCP_CLOSE", 7],
  ["TCP_CLOSE_WAIT", 8],
  ["TCP_LAST_ACK", 9],
  ["TCP_LISTEN", 10],
  ["TCP_CLOSING", 11],
  ["TCP_CA_Open", 0],
  ["TCP_CA_Disorder", 1],
  ["TCP_CA_CWR", 2],
  ["TCP_CA_Recovery", 3],
  ["TCP_CA_Loss", 4],
  ["TCPI_OPT_TIMESTAMPS", 1],
  ["TCPI_OPT_SACK", 2],
  ["TCPI_OPT_WSCALE", 4],
  ["TCPI_OPT_ECN", 8],
  ["TCPI_OPT_ECN_SEEN", 16],
  ["TCPI_OPT_SYN_DATA", 32],
  ["TCPI_ECN_MODE_DISABLED", 0],
  ["TCPI_ECN_MODE_RFC3168", 1],
  ["TCPI_ECN_MODE_ACCECN", 2],
  ["TCPI_ECN_MODE_PENDING", 3],
];

/** FreeBSD's names of states, for the same values of tcpi_state. */
const FREEBSD_STATES: Record<string, number> = {
  CLOSED: 7,
  LISTEN: 10,
  SYN_SENT: 2,
  SYN_RECEIVED: 3,
  ESTABLISHED: 1,
  CLOSE_WAIT: 8,
  FIN_WAIT_1: 4,
  CLOSING: 11,
  LAST_ACK: 9,
  FIN_WAIT_2: 5,
  TIME_WAIT: 6,
};
for (const [name, value] of Object.entries(FREEBSD_STATES)) {
  SYMBOLS.push([`TCPI_${name}`, value], [`TCPS_${name}`, value]);
}

export function infoSymbols(): [string, number][] {
  return SYMBOLS;
}

/** The members of tcp_info by name. */
export function tcpInfoNames(info: TcpInfo): Map<string, number> {
  const names = new Map<string, number>();
  for (const [name, value] of Object.entries(info)) {
    if (name.startsWith("tcpi_") && typeof value === "number") names.set(name, value);
  }
  return names;
}
