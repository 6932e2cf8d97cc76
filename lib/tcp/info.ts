import { Codepoint } from "./accurate_ecn.ts";
import { SSTHRESH_INFINITE } from "./congestion/congestion_control.ts";
import { Limit } from "./chronograph.ts";
import { distance } from "./seq.ts";
import { State, stateName } from "./state.ts";
import type { Tcb } from "./tcb.ts";
import { announcedMss } from "./window.ts";

/** What `struct tcp_info` of Linux has, under its names; times in microseconds unless the name says otherwise. */
export interface TcpInfo {
  /** Linux's number of the state (TCP_ESTABLISHED is 1). */
  tcpi_state: number;
  /** The state by its RFC 9293 name. */
  stateName: string;
  tcpi_ca_state: number;
  tcpi_retransmits: number;
  tcpi_probes: number;
  tcpi_backoff: number;
  tcpi_options: number;
  tcpi_snd_wscale: number;
  tcpi_rcv_wscale: number;
  tcpi_rto: number;
  tcpi_ato: number;
  tcpi_snd_mss: number;
  tcpi_rcv_mss: number;
  tcpi_unacked: number;
  tcpi_sacked: number;
  tcpi_lost: number;
  tcpi_retrans: number;
  /** Milliseconds since. */
  tcpi_last_data_sent: number;
  tcpi_last_data_recv: number;
  tcpi_last_ack_recv: number;
  tcpi_pmtu: number;
  tcpi_rcv_ssthresh: number;
  tcpi_rtt: number;
  tcpi_rttvar: number;
  tcpi_snd_ssthresh: number;
  tcpi_snd_cwnd: number;
  tcpi_advmss: number;
  tcpi_reordering: number;
  tcpi_rcv_rtt: number;
  tcpi_rcv_space: number;
  tcpi_total_retrans: number;
  /** Bytes a second; 2^64 - 1, as near as a number gets, is no limit. */
  tcpi_pacing_rate: number;
  tcpi_max_pacing_rate: number;
  tcpi_bytes_acked: number;
  tcpi_bytes_received: number;
  tcpi_segs_out: number;
  tcpi_segs_in: number;
  tcpi_notsent_bytes: number;
  tcpi_min_rtt: number;
  tcpi_data_segs_in: number;
  tcpi_data_segs_out: number;
  tcpi_delivered: number;
  tcpi_delivered_ce: number;
  tcpi_bytes_sent: number;
  tcpi_bytes_retrans: number;
  tcpi_dsack_dups: number;
  tcpi_reord_seen: number;
  tcpi_rcv_ooopack: number;
  tcpi_snd_wnd: number;
  tcpi_rcv_wnd: number;
  /** How long there was something to send, and what of it the peer's window or our buffer held it up. */
  tcpi_busy_time: number;
  tcpi_rwnd_limited: number;
  tcpi_sndbuf_limited: number;
  /** Accurate ECN: segments received with CE, and bytes by codepoint, delivered and received. */
  tcpi_received_ce: number;
  tcpi_delivered_e1_bytes: number;
  tcpi_delivered_e0_bytes: number;
  tcpi_delivered_ce_bytes: number;
  tcpi_received_e1_bytes: number;
  tcpi_received_e0_bytes: number;
  tcpi_received_ce_bytes: number;
  /** 0: no ECN, 1: RFC 3168's, 2: accurate, 3: asked for, not answered yet. */
  tcpi_ecn_mode: number;
  tcpi_accecn_opt_seen: number;
  tcpi_accecn_fail_mode: number;
  /** Bytes the application has not read, and bytes not yet acknowledged or sent. */
  receiveQueue: number;
  sendQueue: number;
  congestion: string;
}

/** Linux's numbers of the states (include/net/tcp_states.h), by ours. */
const LINUX_STATE = [7, 10, 2, 3, 1, 4, 5, 8, 11, 9, 6];
const TIMESTAMPS = 1;
const SACK = 2;
const WSCALE = 4;
const ECN = 8;
const ECN_SEEN = 16;
const SYN_DATA = 32;
/** What Linux shows for a threshold that no loss has set yet. */
const NO_THRESHOLD = 2147483647;
const UNLIMITED = 2 ** 64 - 1;

const sinceMs = (now: number, at: number) => Math.max(0, Math.floor((now - at) / 1000));

/** The connection's state in figures (TCP_INFO). */
export function info(tcb: Tcb, now: number): TcpInfo {
  const { snd, rcv, rtt, queue, recovery, totals, options, ack } = tcb;
  return {
    tcpi_state: LINUX_STATE[tcb.state],
    stateName: stateName(tcb.state),
    tcpi_ca_state: recovery.caState,
    tcpi_retransmits: recovery.retransmits,
    tcpi_probes: recovery.probesOut,
    tcpi_backoff: rtt.backoff,
    tcpi_options: (options.timestamps ? TIMESTAMPS : 0) | (options.sack ? SACK : 0) |
      (options.windowScaling ? WSCALE : 0) | (options.ecn || tcb.accurateEcn !== null ? ECN : 0) |
      (tcb.ecnSeen ? ECN_SEEN : 0) |
      (tcb.fastOpen?.tookSynData ? SYN_DATA : 0),
    tcpi_snd_wscale: snd.scale,
    tcpi_rcv_wscale: rcv.scale,
    tcpi_rto: Math.round(rtt.backedOffUs),
    tcpi_ato: Math.round(ack.atoUs),
    tcpi_snd_mss: snd.mss,
    tcpi_rcv_mss: rcv.mss,
    tcpi_unacked: queue.packetsOut,
    tcpi_sacked: queue.sackedOut,
    tcpi_lost: queue.lostOut,
    tcpi_retrans: queue.retransOut,
    tcpi_last_data_sent: sinceMs(now, totals.lastDataSentUs),
    tcpi_last_data_recv: sinceMs(now, ack.lastReceivedUs),
    tcpi_last_ack_recv: sinceMs(now, totals.lastAckReceivedUs),
    tcpi_pmtu: snd.pathMtu > 0 ? snd.pathMtu : tcb.linkMss + 40,
    tcpi_rcv_ssthresh: rcv.ssthresh,
    tcpi_rtt: Math.round(rtt.srttUs),
    // As Linux tells it: the deviation itself, not what the RTO makes of it.
    tcpi_rttvar: Math.round(rtt.mdevUs),
    tcpi_snd_ssthresh: tcb.ssthresh >= SSTHRESH_INFINITE ? NO_THRESHOLD : tcb.ssthresh,
    tcpi_snd_cwnd: tcb.cwnd,
    tcpi_advmss: announcedMss(tcb),
    tcpi_reordering: recovery.reordering,
    tcpi_rcv_rtt: Math.round(rcv.rttUs),
    tcpi_rcv_space: rcv.space,
    tcpi_total_retrans: totals.retransmitted,
    tcpi_pacing_rate: Math.min(Math.floor(tcb.pacingRate), UNLIMITED),
    tcpi_max_pacing_rate: Math.min(tcb.user.maxPacingRate, UNLIMITED),
    tcpi_bytes_acked: totals.bytesAcked,
    tcpi_bytes_received: totals.bytesReceived,
    tcpi_segs_out: totals.segmentsOut,
    tcpi_segs_in: totals.segmentsIn,
    tcpi_notsent_bytes: tcb.state >= State.ESTABLISHED ? Math.max(0, distance(tcb.dataEnd, snd.nxt)) : 0,
    tcpi_min_rtt: rtt.minRttUs === Infinity ? 0xffffffff : Math.round(rtt.minRttUs),
    tcpi_data_segs_in: totals.dataSegmentsIn,
    tcpi_data_segs_out: totals.dataSegmentsOut,
    tcpi_delivered: recovery.delivered,
    tcpi_delivered_ce: recovery.deliveredCe,
    tcpi_bytes_sent: totals.bytesSent,
    tcpi_bytes_retrans: totals.bytesRetransmitted,
    tcpi_dsack_dups: totals.dsackDups,
    tcpi_reord_seen: recovery.reorderingSeen,
    tcpi_rcv_ooopack: totals.outOfOrder,
    tcpi_snd_wnd: snd.wnd,
    tcpi_rcv_wnd: rcv.wnd,
    tcpi_busy_time: tcb.chronograph.spent(Limit.NONE, now),
    tcpi_rwnd_limited: tcb.chronograph.spent(Limit.WINDOW, now),
    tcpi_sndbuf_limited: tcb.chronograph.spent(Limit.BUFFER, now),
    ...accurateEcnInfo(tcb),
    receiveQueue: tcb.receiveBuffer.length,
    sendQueue: tcb.sendBuffer.length,
    congestion: tcb.congestion.name,
  };
}

const NOTHING_COUNTED = [0, 0, 0, 0];
const EcnMode = { NONE: 0, RFC3168: 1, ACCURATE: 2, PENDING: 3 } as const;

function accurateEcnInfo(tcb: Tcb) {
  const { accurateEcn } = tcb;
  const delivered = accurateEcn?.deliveredBytes ?? NOTHING_COUNTED;
  const received = accurateEcn?.receivedBytes ?? NOTHING_COUNTED;
  return {
    tcpi_received_ce: accurateEcn?.receivedCe ?? 0,
    tcpi_delivered_e1_bytes: delivered[Codepoint.ECT1],
    tcpi_delivered_e0_bytes: delivered[Codepoint.ECT0],
    tcpi_delivered_ce_bytes: delivered[Codepoint.CE],
    tcpi_received_e1_bytes: received[Codepoint.ECT1],
    tcpi_received_e0_bytes: received[Codepoint.ECT0],
    tcpi_received_ce_bytes: received[Codepoint.CE],
    tcpi_ecn_mode: ecnMode(tcb),
    tcpi_accecn_opt_seen: accurateEcn?.optionSeen ?? 0,
    tcpi_accecn_fail_mode: accurateEcn?.failures ?? 0,
  };
}

function ecnMode(tcb: Tcb): number {
  if (tcb.accurateEcn !== null) return EcnMode.ACCURATE;
  if (tcb.options.ecn) return EcnMode.RFC3168;
  return tcb.state === State.SYN_SENT && tcb.settings.ecn === 3 ? EcnMode.PENDING : EcnMode.NONE;
}
