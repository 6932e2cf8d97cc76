/** The table of sockets, as ss(8) has it. */
import type { ConnectionStatus } from "../ipc/client.ts";
import { type Column, formatTable, type Io } from "./output.ts";

/** A socket, in a watch with what it carried a second since the last look, bytes. */
export interface WatchedSocket extends ConnectionStatus {
  receivedPerSecond?: number;
  ackedPerSecond?: number;
}

export interface SocketTableOptions {
  /** With a line of TCP_INFO below each connection. */
  info?: boolean;
  /** With what each carries a second. */
  rates?: boolean;
}

const COLUMNS: readonly Column[] = [
  { title: "Proto" },
  { title: "State" },
  { title: "Recv-Q", right: true },
  { title: "Send-Q", right: true },
  { title: "Local" },
  { title: "Peer" },
  { title: "RTT ms", right: true },
  { title: "cwnd", right: true },
  { title: "Retrans", right: true },
];
const RATES: readonly Column[] = [{ title: "In/s", right: true }, { title: "Out/s", right: true }];
const PROCESS: Column = { title: "Process" };

export function formatSockets(
  sockets: readonly WatchedSocket[],
  options: SocketTableOptions,
  { style }: Pick<Io, "style">,
): string {
  if (sockets.length === 0) return "none\n";
  const columns = [...COLUMNS, ...(options.rates ? RATES : []), PROCESS];
  const table = formatTable(columns, sockets.map((socket) => rowOf(socket, options)), style);
  if (!options.info) return table;
  const [title, ...rows] = table.trimEnd().split("\n");
  const lines = rows.flatMap((row, i) => {
    const { info } = sockets[i];
    return info === undefined ? [row] : [row, ...wrap(infoWords(info)).map((line) => style.dim(line))];
  });
  return [title, ...lines].join("\n") + "\n";
}

function rowOf(socket: WatchedSocket, options: SocketTableOptions): string[] {
  const { kind, state, localAddress, localPort, remoteAddress, remotePort } = socket;
  const isConnection = kind === "stream" && state !== "UNCONN";
  const time = (us: number) => isConnection && us > 0 ? (us / 1000).toFixed(us < 100_000 ? 2 : 0) : "-";
  const number = (value: number) => isConnection ? String(value) : "-";
  const rate = (value: number | undefined) => value === undefined ? "-" : shortNumber(value);
  return [
    protocolOf(socket),
    state,
    String(socket.receiveQueue),
    String(socket.sendQueue),
    endpoint(localAddress, localPort),
    endpoint(remoteAddress, remotePort),
    time(socket.rttUs),
    number(socket.congestionWindow),
    number(socket.retransmits),
    ...(options.rates ? [rate(socket.receivedPerSecond), rate(socket.ackedPerSecond)] : []),
    processOf(socket),
  ];
}

/** As ss(8) names the kinds, more or less. */
export function protocolOf({ kind, protocol }: ConnectionStatus): string {
  if (kind === "stream" || kind === "listener") return "tcp";
  if (kind === "datagram") return "udp";
  return kind === "echo" ? "icmp" : `raw:${protocol}`;
}

function processOf({ pid, program }: ConnectionStatus): string {
  return pid === 0 ? "-" : program === "" ? String(pid) : `${program}/${pid}`;
}

/** As ss(8) writes it: * for any address or port. */
function endpoint(address: string, port: number): string {
  return `${address === "0.0.0.0" ? "*" : address}:${port === 0 ? "*" : port}`;
}

/** "1.2M" of 1,234,567: three digits that matter. */
export function shortNumber(value: number): string {
  const units = ["", "k", "M", "G", "T"];
  let unit = 0;
  let rest = value;
  while (rest >= 999.5 && unit < units.length - 1) {
    rest /= 1000;
    unit++;
  }
  const digits = unit === 0 || rest >= 99.95 ? 0 : rest >= 9.995 ? 1 : 2;
  return rest.toFixed(digits) + units[unit];
}

/** Bits of tcpi_options, as `ss -i` names them. */
const OPTIONS = [[1, "ts"], [2, "sack"], [8, "ecn"], [16, "ecnseen"], [32, "fastopen"]] as const;
const WSCALE = 4;

/** What `ss -i` writes, in its words. */
function infoWords(info: NonNullable<ConnectionStatus["info"]>): string[] {
  const ms = (us: number) => String(Math.round(us) / 1000);
  const wholeMs = (us: number) => us >= 500 ? `${Math.round(us / 1000)}ms` : 0;
  const hasScale = (info.tcpi_options & WSCALE) !== 0;
  /** What is 0 or null is not worth a word. */
  const figures: [name: string, value: string | number | null][] = [
    ["wscale", hasScale ? `${info.tcpi_snd_wscale},${info.tcpi_rcv_wscale}` : null],
    ["rto", ms(info.tcpi_rto)],
    ["backoff", info.tcpi_backoff],
    ["rtt", `${ms(info.tcpi_rtt)}/${ms(info.tcpi_rttvar)}`],
    ["minrtt", info.tcpi_min_rtt < UNKNOWN_RTT ? ms(info.tcpi_min_rtt) : null],
    ["ato", info.tcpi_ato && ms(info.tcpi_ato)],
    ["mss", info.tcpi_snd_mss],
    ["pmtu", info.tcpi_pmtu],
    ["rcvmss", info.tcpi_rcv_mss],
    ["advmss", info.tcpi_advmss],
    ["cwnd", info.tcpi_snd_cwnd],
    ["ssthresh", info.tcpi_snd_ssthresh < NO_THRESHOLD ? info.tcpi_snd_ssthresh : null],
    ["bytes_sent", info.tcpi_bytes_sent],
    ["bytes_retrans", info.tcpi_bytes_retrans],
    ["bytes_acked", info.tcpi_bytes_acked],
    ["bytes_received", info.tcpi_bytes_received],
    ["segs_out", info.tcpi_segs_out],
    ["segs_in", info.tcpi_segs_in],
    ["data_segs_out", info.tcpi_data_segs_out],
    ["data_segs_in", info.tcpi_data_segs_in],
    ["pacing_rate", bitRate(info.tcpi_pacing_rate)],
    ["max_pacing_rate", bitRate(info.tcpi_max_pacing_rate)],
    ["unacked", info.tcpi_unacked],
    ["retrans", info.tcpi_total_retrans && `${info.tcpi_retrans}/${info.tcpi_total_retrans}`],
    ["lost", info.tcpi_lost],
    ["sacked", info.tcpi_sacked],
    ["dsack_dups", info.tcpi_dsack_dups],
    ["reordering", info.tcpi_reordering === 3 ? null : info.tcpi_reordering],
    ["reord_seen", info.tcpi_reord_seen],
    ["rcv_ooopack", info.tcpi_rcv_ooopack],
    ["busy", wholeMs(info.tcpi_busy_time)],
    ["rwnd_limited", wholeMs(info.tcpi_rwnd_limited)],
    ["sndbuf_limited", wholeMs(info.tcpi_sndbuf_limited)],
    ["rcv_rtt", info.tcpi_rcv_rtt && ms(info.tcpi_rcv_rtt)],
    ["rcv_space", info.tcpi_rcv_space],
    ["notsent", info.tcpi_notsent_bytes],
    ["snd_wnd", info.tcpi_snd_wnd],
    ["rcv_wnd", info.tcpi_rcv_wnd],
  ];
  return [
    ...OPTIONS.filter(([bit]) => (info.tcpi_options & bit) !== 0).map(([, word]) => word),
    info.congestion,
    ...figures.filter(([, value]) => value !== 0 && value !== null).map(([name, value]) =>
      `${name}:${value}`
    ),
  ];
}

const UNKNOWN_RTT = 0xffff_ffff;
const NO_THRESHOLD = 0x7fff_ffff;
const UNLIMITED = 2 ** 63;

/** Null: no limit, or not known. */
function bitRate(bytes: number): string | null {
  return bytes >= UNLIMITED ? null : `${shortNumber(bytes * 8)}bps`;
}

/** Indented lines of at most 100 columns. */
function wrap(words: readonly string[]): string[] {
  const lines: string[] = [];
  let line = "      ";
  for (const word of words) {
    if (line.length + 1 + word.length > 100) {
      lines.push(line);
      line = "      ";
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}
