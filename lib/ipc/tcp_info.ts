import type { TcpInfo } from "../stack/stack.ts";

/** Bytes of Linux's `struct tcp_info` as of 7.0, in which what is not known here stays 0. */
export const TCP_INFO_SIZE = 280;

type NumericField = { [K in keyof TcpInfo]: TcpInfo[K] extends number ? K : never }[keyof TcpInfo];

/** Offset and bytes of each field. */
const LAYOUT: readonly (readonly [field: NumericField, offset: number, size: 1 | 4 | 8])[] = [
  ["tcpi_state", 0, 1],
  ["tcpi_ca_state", 1, 1],
  ["tcpi_retransmits", 2, 1],
  ["tcpi_probes", 3, 1],
  ["tcpi_backoff", 4, 1],
  ["tcpi_options", 5, 1],
  ["tcpi_rto", 8, 4],
  ["tcpi_ato", 12, 4],
  ["tcpi_snd_mss", 16, 4],
  ["tcpi_rcv_mss", 20, 4],
  ["tcpi_unacked", 24, 4],
  ["tcpi_sacked", 28, 4],
  ["tcpi_lost", 32, 4],
  ["tcpi_retrans", 36, 4],
  ["tcpi_last_data_sent", 44, 4],
  ["tcpi_last_data_recv", 52, 4],
  ["tcpi_last_ack_recv", 56, 4],
  ["tcpi_pmtu", 60, 4],
  ["tcpi_rcv_ssthresh", 64, 4],
  ["tcpi_rtt", 68, 4],
  ["tcpi_rttvar", 72, 4],
  ["tcpi_snd_ssthresh", 76, 4],
  ["tcpi_snd_cwnd", 80, 4],
  ["tcpi_advmss", 84, 4],
  ["tcpi_reordering", 88, 4],
  ["tcpi_rcv_rtt", 92, 4],
  ["tcpi_rcv_space", 96, 4],
  ["tcpi_total_retrans", 100, 4],
  ["tcpi_pacing_rate", 104, 8],
  ["tcpi_max_pacing_rate", 112, 8],
  ["tcpi_bytes_acked", 120, 8],
  ["tcpi_bytes_received", 128, 8],
  ["tcpi_segs_out", 136, 4],
  ["tcpi_segs_in", 140, 4],
  ["tcpi_notsent_bytes", 144, 4],
  ["tcpi_min_rtt", 148, 4],
  ["tcpi_data_segs_in", 152, 4],
  ["tcpi_data_segs_out", 156, 4],
  ["tcpi_busy_time", 168, 8],
  ["tcpi_delivered", 192, 4],
  ["tcpi_delivered_ce", 196, 4],
  ["tcpi_bytes_sent", 200, 8],
  ["tcpi_bytes_retrans", 208, 8],
  ["tcpi_dsack_dups", 216, 4],
  ["tcpi_reord_seen", 220, 4],
  ["tcpi_rcv_ooopack", 224, 4],
  ["tcpi_snd_wnd", 228, 4],
  ["tcpi_rcv_wnd", 232, 4],
  ["tcpi_received_ce", 248, 4],
  ["tcpi_delivered_e1_bytes", 252, 4],
  ["tcpi_delivered_e0_bytes", 256, 4],
  ["tcpi_delivered_ce_bytes", 260, 4],
  ["tcpi_received_e1_bytes", 264, 4],
  ["tcpi_received_e0_bytes", 268, 4],
  ["tcpi_received_ce_bytes", 272, 4],
];

const MAX_UINT32 = 0xffff_ffff;
const MAX_UINT64 = 0xffff_ffff_ffff_ffffn;

/** Writes `info` as the kernel lays it out; `view` holds zeros. */
export function encodeTcpInfo(info: TcpInfo, view: DataView): void {
  for (const [field, offset, size] of LAYOUT) {
    const value = Math.max(0, Math.trunc(info[field]));
    if (size === 1) view.setUint8(offset, Math.min(value, 255));
    else if (size === 4) view.setUint32(offset, Math.min(value, MAX_UINT32), true);
    else view.setBigUint64(offset, value > Number.MAX_SAFE_INTEGER ? MAX_UINT64 : BigInt(value), true);
  }
  view.setUint8(276, info.tcpi_ecn_mode | info.tcpi_accecn_opt_seen << 2 | info.tcpi_accecn_fail_mode << 4);
  view.setUint8(6, (info.tcpi_snd_wscale & 15) | (info.tcpi_rcv_wscale & 15) << 4);
}
