/** What the whole stack agrees on for its TCP connections; Linux's defaults. Sizes in bytes, times in microseconds. */
export interface TcpSettings {
  /** The largest segment we announce: the MTU less 40 (RFC 9293 3.7.1). */
  mss: number;
  /** Selective acknowledgments (RFC 2018); `net.ipv4.tcp_sack`. */
  sack: boolean;
  /** D-SACK (RFC 2883); `net.ipv4.tcp_dsack`. */
  dsack: boolean;
  /** Timestamps and PAWS (RFC 7323); `net.ipv4.tcp_timestamps`. */
  timestamps: boolean;
  /** Window scaling (RFC 7323); `net.ipv4.tcp_window_scaling`. */
  windowScaling: boolean;
  /**
   * ECN (RFC 3168): 0 never, 1 ask for it and accept it, 2 accept it when asked. Accurate ECN (RFC 9768) is accepted from
   * 3 on: 3 ask for it, 4 ask for RFC 3168's, 5 ask for none; `net.ipv4.tcp_ecn`.
   */
  ecn: number;
  /** How many retransmissions of our SYN still ask for ECN (RFC 3168 6.1.1.1); Linux has none, FreeBSD one. */
  ecnSynRetries: number;
  /** When Accurate ECN's option is sent: 0 never, 1 when needed, 2 always, 3 even if it gets lost; `tcp_ecn_option`. */
  ecnOption: number;
  /** With 1: at least so many times a round trip; `tcp_ecn_option_beacon`. */
  ecnOptionBeacon: number;
  /** "cubic" (RFC 9438) or "reno" (RFC 5681). */
  congestion: string;
  /**
   * How CUBIC's slow start ends before a loss: "rfc9406" (HyStart++) or "linux" (the HyStart of 2011, as Linux has it, with
   * the coarser steps that Linux's CUBIC takes afterwards).
   */
  hystart: "rfc9406" | "linux";
  /** Initial congestion window, segments (RFC 6928). */
  initialWindow: number;
  /** Segments of reordering that are not taken for loss; `net.ipv4.tcp_reordering`. */
  reordering: number;
  /** RACK loss detection (RFC 8985); `net.ipv4.tcp_recovery`. */
  rack: boolean;
  /** Tail loss probes (RFC 8985 7); `net.ipv4.tcp_early_retrans`. */
  tailLossProbe: boolean;
  /** F-RTO (RFC 5682); `net.ipv4.tcp_frto`. */
  frto: boolean;
  /** Receive buffer to begin with and its largest size when it tunes itself. */
  receiveBuffer: number;
  receiveBufferMax: number;
  /**
   * What fills the receive buffer: "bytes" of text, of which it holds as many as it says; or "linux", the memory of
   * Linux's socket buffers, twice as much, in windows that follow from it (receive_memory.ts). There a segment that goes
   * beyond the window is taken or refused whole: taken when nothing is unread (tcp_sequence).
   */
  receiveMemory: "bytes" | "linux";
  /** A scaled window may be taken back when memory gets short (RFC 7323 2.4 allows it); `net.ipv4.tcp_shrink_window`. */
  shrinkWindow: boolean;
  /** Send buffer to begin with and its largest size when it tunes itself. */
  sendBuffer: number;
  sendBufferMax: number;
  /** TCP_NOTSENT_LOWAT of sockets that do not set it, bytes; 0: none; `net.ipv4.tcp_notsent_lowat`. */
  notSentLowWater: number;
  rtoInitialUs: number;
  rtoMinUs: number;
  rtoMaxUs: number;
  delayedAckMinUs: number;
  delayedAckMaxUs: number;
  /** How many ACKs go out without delay at the start and after trouble; Linux has 16, other systems none. */
  quickAcks: number;
  /** A reset does not end TIME-WAIT (RFC 1337 3, fix F1); `net.ipv4.tcp_rfc1337`. */
  rfc1337: boolean;
  /** Segments with both SYN and FIN are dropped, as fingerprinting tools send them (FreeBSD's drop_synfin). */
  dropSynFin: boolean;
  /**
   * FreeBSD's choices instead of Linux's where RFC 9293 leaves one: every second segment is acknowledged at once however
   * small, and a FIN; our FIN is repeated with such an ACK until it is acknowledged; what the receive buffer has room for
   * is taken although an unscaled window cannot say so much, but no reset or SYN at its very end; in TIME-WAIT nothing without ACK is answered; the FIN of
   * a SYN that opens a connection is not taken, the SYN is; a reset is
   * ECONNRESET in CLOSE-WAIT too, and announces no window; and SO_ERROR tells nothing that has not ended the connection.
   */
  bsd: boolean;
  /**
   * Which ICMP errors end an attempt to connect: "any" (RFC 5461 4.1, as Linux); "hard", those by which the peer, a
   * router or its administrator refuses, as FreeBSD has it (RFC 1122 4.2.3.9); or "none".
   */
  icmpEndsConnect: "any" | "hard" | "none";
  /** RFC 5961: challenge ACKs against blind resets and SYNs; without it RFC 793's behaviour, as BSD's insecure_rst. */
  rfc5961: boolean;
  /** RFC 4821: 0 never, 1 after timeouts that suggest a black hole, 2 always; `net.ipv4.tcp_mtu_probing`. */
  mtuProbing: number;
  /** The segment size a search begins with, and the least it goes down to, bytes; `tcp_base_mss`, `tcp_mtu_probe_floor`. */
  mtuProbeBase: number;
  mtuProbeFloor: number;
  synRetries: number;
  /** So many retransmissions of our SYN go without backing off, as Linux's 4 do; RFC 6298 5.5 has none; `tcp_syn_linear_timeouts`. */
  synLinearTimeouts: number;
  synAckRetries: number;
  /** Retransmissions of one segment before the connection is given up; `net.ipv4.tcp_retries2`. */
  retries: number;
  /** The same for a connection nobody holds any more; `net.ipv4.tcp_orphan_retries`. */
  orphanRetries: number;
  keepaliveTimeUs: number;
  keepaliveIntervalUs: number;
  keepaliveProbes: number;
  finTimeoutUs: number;
  timeWaitUs: number;
  /** Linux's tcp_max_tw_buckets: connections in TIME-WAIT beyond it end at once. */
  maxTimeWaits: number;
  /** Back to the initial window after an idle RTO (RFC 5681 4.1). */
  slowStartAfterIdle: boolean;
  /** Least time between two ACKs for out-of-window segments (RFC 5961 7). */
  invalidRateLimitUs: number;
  /** Segments that are handed down in one piece, to be cut by the device or before it; 1: one by one. */
  gsoMaxSegments: number;
  /** The fewest that such a transmission is made for, however slow the flow; `net.ipv4.tcp_min_tso_segs`. */
  gsoMinSegments: number;
  /** Answer a full accept queue with a reset instead of silence; `net.ipv4.tcp_abort_on_overflow`. */
  abortOnOverflow: boolean;
  /**
   * TCP Fast Open (RFC 7413): 1 as client, 2 as server for listeners with TCP_FASTOPEN, 0x200 there without a cookie;
   * `net.ipv4.tcp_fastopen`. (Linux has 1; since a listener must ask for it, servers need no second switch here.)
   */
  fastOpen: number;
  /** Spread a window over its round trip, as Linux does where the queueing discipline is fq. */
  pacing: boolean;
  /** SYN cookies (RFC 4987 3.6): 0 never, 1 when too many connections are half open, 2 always; `net.ipv4.tcp_syncookies`. */
  synCookies: number;
}

export const DEFAULT_SETTINGS: Readonly<TcpSettings> = {
  mss: 1460,
  sack: true,
  dsack: true,
  timestamps: true,
  windowScaling: true,
  ecn: 2,
  ecnSynRetries: 0,
  ecnOption: 2,
  ecnOptionBeacon: 3,
  congestion: "cubic",
  hystart: "rfc9406",
  initialWindow: 10,
  reordering: 3,
  rack: true,
  tailLossProbe: true,
  frto: true,
  receiveBuffer: 65536,
  receiveBufferMax: 6 << 20,
  receiveMemory: "bytes",
  shrinkWindow: false,
  sendBuffer: 256 << 10,
  sendBufferMax: 4 << 20,
  notSentLowWater: 0,
  rtoInitialUs: 1_000_000,
  rtoMinUs: 200_000,
  rtoMaxUs: 120_000_000,
  delayedAckMinUs: 40_000,
  delayedAckMaxUs: 200_000,
  quickAcks: 16,
  rfc1337: false,
  dropSynFin: false,
  bsd: false,
  icmpEndsConnect: "any",
  rfc5961: true,
  mtuProbing: 1,
  mtuProbeBase: 1024,
  mtuProbeFloor: 48,
  synRetries: 6,
  synLinearTimeouts: 0,
  synAckRetries: 5,
  retries: 15,
  orphanRetries: 8,
  keepaliveTimeUs: 7200_000_000,
  keepaliveIntervalUs: 75_000_000,
  keepaliveProbes: 9,
  finTimeoutUs: 60_000_000,
  timeWaitUs: 60_000_000,
  maxTimeWaits: 65_536,
  slowStartAfterIdle: true,
  invalidRateLimitUs: 500_000,
  gsoMaxSegments: 1,
  gsoMinSegments: 2,
  abortOnOverflow: false,
  fastOpen: 3,
  pacing: false,
  synCookies: 1,
};
