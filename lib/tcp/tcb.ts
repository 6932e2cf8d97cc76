import type { MemoryPool } from "../buffer/memory_pool.ts";
import { NO_RANGES, type RangeSet } from "../buffer/range_set.ts";
import { RingBuffer } from "../buffer/ring_buffer.ts";
import {
  type CongestionControl,
  type CongestionView,
  SSTHRESH_INFINITE,
} from "./congestion/congestion_control.ts";
import { createCongestionControl } from "./congestion/algorithms.ts";
import type { AccurateEcn } from "./accurate_ecn.ts";
import { NewReno } from "./congestion/newreno.ts";
import { Chronograph } from "./chronograph.ts";
import { MtuProbe } from "./mtu_probe.ts";
import type { FastOpen } from "./fast_open.ts";
import { PacingState } from "./pacing.ts";
import { DEFAULT_RATIO } from "./receive_memory.ts";
import { RetransmitQueue } from "./retransmit_queue.ts";
import { RttEstimator } from "./rtt.ts";
import type { TcpSettings } from "./settings.ts";
import { CaState, State } from "./state.ts";
import type { TimeWait } from "./time_wait.ts";
import { UserOptions } from "./user_options.ts";

/** RFC 9293 3.3.1, send sequence variables. */
export class SendVariables {
  /** Initial send sequence number. */
  iss = 0;
  /** Oldest unacknowledged. */
  una = 0;
  /** Next to be sent. */
  nxt = 0;
  /** The peer's window, bytes from UNA on, scaled. */
  wnd = 0;
  /** SEG.SEQ and SEG.ACK of the last window update. */
  wl1 = 0;
  wl2 = 0;
  /** The largest window the peer ever offered. */
  maxWnd = 0;
  /** The shift of the windows that the peer sends (RFC 7323). */
  scale = 0;
  /** The largest segment the peer takes, as it announced (or 536, RFC 9293 3.7.1). */
  peerMss = 536;
  /** Payload bytes of a full segment now: peer's MSS, path MTU and options considered. */
  mss = 536;
  /** Sequence number of the first byte in the send buffer. */
  dataSeq = 0;
  /** End of the last segment smaller than the MSS (Nagle, Minshall's form). */
  smallEnd = 0;
  /** Ends of records (MSG_EOR) that are not sent yet, in order: no segment goes beyond one. null: there never was one. */
  recordEnds: number[] | null = null;
  /** Up to where what was written is pushed, and where PSH stands in what is not sent yet (`notePush`). */
  pushedEnd = 0;
  pushMarks: number[] | null = null;
  /** Largest path MTU known; 0: not limited by one. */
  pathMtu = 0;
  /** What was written before now goes out in spite of Nagle and CORK (TCP_NODELAY was just set). */
  pushOnce = false;
  /** The last write said that more follows (MSG_MORE): no PSH; and until the next ACK no small segment either. */
  more = false;
  holdForMore = false;
}

/** RFC 9293 3.3.1, receive sequence variables. */
export class ReceiveVariables {
  /** Initial receive sequence number. */
  irs = 0;
  /** Next expected. */
  nxt = 0;
  /** The window as we last announced it, bytes from `wup` on. */
  wnd = 0;
  /** RCV.NXT when we last announced the window. */
  wup = 0;
  /** The farthest right edge that was ever announced (RFC 7323 2.4). */
  edge = 0;
  /** The shift of the windows that we send (RFC 7323). */
  scale = 0;
  /** Sequence number of the first byte the application has not read. */
  readSeq = 0;
  /** Bytes the application may leave unread before the window closes; tunes itself. */
  limit = 0;
  /** With Linux's accounting: memory in use, and how much of it is text, in 256ths. */
  memory = 0;
  ratio = DEFAULT_RATIO;
  /** The last segment found no memory: the window is closed, even if that takes back what was announced. */
  noMemory = false;
  /** The application fixed `limit` (SO_RCVBUF). */
  limitFixed = false;
  /** The window opens no further than this, growing as data shows to be well packed (Linux's rcv_ssthresh). */
  ssthresh = 0;
  /** A FIN was seen beyond a gap: its sequence number, valid while `finSeen`. */
  finSeq = 0;
  finSeen = false;
  /** End of urgent data (RFC 9293 3.8.5); valid while `urgent`. */
  up = 0;
  urgent = false;
  /** What the peer's full segments seem to carry. */
  mss = 0;
  /** Receive-side round-trip measurement for tuning the buffer. */
  rttUs = 0;
  rttSeq = 0;
  rttAtUs = 0;
  measuredEcho = 0;
  /** RCV.NXT of the application when the current round trip began, when that was, and what it read in the last one. */
  copiedSeq = 0;
  copiedAtUs = 0;
  space = 0;
}

/** When and how an acknowledgment is owed (RFC 1122 4.2.3.2, RFC 5681 4.2). */
export class AckPolicy {
  /** Send one as soon as possible. */
  now = false;
  /** One is owed, at the latest when the delayed-ACK timer fires. */
  scheduled = false;
  delayedAtUs = Infinity;
  /** Delay of the next one; 0: nothing was received yet. */
  atoUs = 0;
  /** How many more are sent without delay (a sender in slow start needs them). */
  quick = 0;
  /** The application answers what it gets: data will carry the acknowledgment. */
  pingpong = 0;
  /** A PSH was seen since the last acknowledgment; twice. */
  pushed = 0;
  lastReceivedUs = 0;
  /** TCP_QUICKACK was set and has not worn off. */
  quickAckMode = false;
  /** When the last ACK for an invalid segment was sent (RFC 5961 7). */
  lastInvalidUs = -Infinity;
}

/** Options agreed on in the handshake. */
export class Negotiated {
  sack = false;
  timestamps = false;
  windowScaling = false;
  ecn = false;
}

/** RFC 7323 timestamps. Times in milliseconds of the timestamp clock, as int32. */
export class TimestampState {
  /** TS.Recent */
  recent = 0;
  /** When TS.Recent was taken (it is too old to reject by after 24 days). */
  recentAtUs = -1;
  /** Added to the clock, so that timestamps of different connections tell nothing about uptime. */
  offset = 0;
  /** What the last segment with new data or ACK echoed; 0: none. */
  lastEcho = 0;
}

/** One transmit timer at a time, as RFC 8985 8 and Linux have it. */
export const TransmitTimer = {
  NONE: 0,
  RETRANSMIT: 1,
  LOSS_PROBE: 2,
  REORDERING: 3,
  WINDOW_PROBE: 4,
} as const;

export class Timers {
  kind: number = TransmitTimer.NONE;
  transmitAtUs = Infinity;
  keepaliveAtUs = Infinity;
  /** TIME-WAIT, FIN-WAIT-2 of an orphan, or the wait of a half-open passive connection. */
  lifeAtUs = Infinity;
}

/** Loss recovery (RFC 5681, 6675, 6937, 8985, 5682, 3522). Counts in segments. */
export class RecoveryState {
  caState: number = CaState.OPEN;
  /** SND.NXT when the current episode began. */
  highSeq = 0;
  reordering = 3;
  reorderingSeen = 0;
  /** End of the highest SACKed segment. */
  highestSacked = 0;
  delivered = 0;
  /** Of these, how many arrived with CE, as the peer tells (RFC 9768: s.cep); by RFC 3168 all that an ECN-Echo acknowledged. */
  deliveredCe = 0;
  lost = 0;
  retransmits = 0;
  probesOut = 0;
  // Proportional rate reduction (RFC 6937)
  prrDelivered = 0;
  prrOut = 0;
  priorCwnd = 0;
  priorSsthresh = 0;
  // Undo of what was no loss (RFC 3522, 3708, 4015)
  undoMarker = 0;
  undoActive = false;
  undoRetrans = 0;
  retransStampUs = 0;
  /** F-RTO (RFC 5682) is deciding. */
  frto = false;
  /** F-RTO 2b: new data goes before retransmissions. */
  preferNew = false;
  // RACK (RFC 8985)
  rackOrder = 0;
  rackEnd = 0;
  rackRttUs = 0;
  rackAdvanced = false;
  rackDsackSeen = false;
  rackLastDelivered = 0;
  rackSteps = 1;
  rackPersist = 0;
  // Tail loss probe
  tlpActive = false;
  tlpHighSeq = 0;
  tlpRetransmitted = false;
  dupacks = 0;
  isReneging = false;
  // Congestion window use (RFC 7661, RFC 2861)
  maxPacketsOut = 0;
  cwndUsageSeq = 0;
  cwndUsed = 0;
  cwndStampUs = 0;
}

/** What is to be sent that neither window nor buffer tells (left by the way in, honoured by `nextSegment`). */
export class Intents {
  /** A SYN or SYN-ACK, first time or again. */
  syn = false;
  /** A RST at SND.NXT; then the connection is gone. */
  reset = false;
  /** A RST in answer to a segment that is not of this connection; it goes on. */
  strayReset = false;
  resetSeq = 0;
  /** A tail loss probe (RFC 8985 7.3). */
  lossProbe = false;
  /** One window's worth below the MSS, or an empty probe (RFC 9293 3.8.6.1). */
  windowProbe = false;
  keepaliveProbe = false;
  /** The next ACK carries our FIN, which is not acknowledged, once more. */
  finAgain = false;
}

/** Totals that TCP_INFO reports. */
export class Totals {
  bytesAcked = 0;
  bytesReceived = 0;
  bytesSent = 0;
  bytesRetransmitted = 0;
  segmentsIn = 0;
  segmentsOut = 0;
  dataSegmentsIn = 0;
  dataSegmentsOut = 0;
  retransmitted = 0;
  dsackDups = 0;
  outOfOrder = 0;
  lastDataSentUs = 0;
  lastAckSentUs = 0;
  lastAckReceivedUs = 0;
}

const NO_SACKS = new Int32Array(0);

/**
 * The transmission control block: all variables of one connection and no behaviour (RFC 9293 3.3.1). Addresses and
 * ports are not in it: a connection knows neither IP nor sockets.
 */
export class Tcb implements CongestionView {
  state: State = State.CLOSED;
  /** EVENT_* bits since the owner last cleared them. */
  events = 0;
  /** errno that ended the connection; 0: none. */
  error = 0;
  /** errno of an ICMP message that may pass (RFC 1122 4.2.3.9); reported if the connection then times out. */
  softError = 0;
  /** When `advanceTimers` is due next. */
  deadline = Infinity;
  /** What TIME-WAIT needs, from its beginning on. */
  timeWait: TimeWait | null = null;
  /** A SYN may take the place of this TIME-WAIT connection (RFC 6191). */
  reopen = false;
  /** Opened by a listener. */
  passive = false;
  /** The peer has acknowledged our SYN-ACK, but TCP_DEFER_ACCEPT waits for data. */
  handshakeAcked = false;
  /** A program has it: it opened or accepted the connection. */
  isHeld = false;
  /** No program holds it any more: it ends when TCP's duties are done. */
  orphan = false;
  /** The application closed its sending side: a FIN follows the last byte. */
  finQueued = false;
  finSent = false;
  /** The peer's FIN was taken in. */
  finReceived = false;
  /** The application will not read any more. */
  readShut = false;
  /** The application ran out of send buffer and waits for room. */
  sendBlocked = false;
  openedAtUs = 0;

  readonly snd = new SendVariables();
  readonly rcv = new ReceiveVariables();
  readonly ack = new AckPolicy();
  readonly options = new Negotiated();
  readonly timestamps = new TimestampState();
  readonly timers = new Timers();
  readonly recovery = new RecoveryState();
  readonly intents = new Intents();
  readonly totals = new Totals();
  user: UserOptions;
  readonly rtt: RttEstimator;
  readonly queue = new RetransmitQueue();
  readonly sendBuffer: RingBuffer;
  readonly receiveBuffer: RingBuffer;
  /** Out-of-order ranges that lie in the receive buffer behind RCV.NXT. */
  outOfOrder: RangeSet = NO_RANGES;
  /**
   * Where out-of-order data arrived, the latest first: the order of the SACK option's blocks (RFC 2018 4). Made with the
   * first such data: most connections never see any, and a typed array takes 280 bytes of memory.
   */
  recentSacks: Int32Array = NO_SACKS;
  recentSackCount = 0;
  /** A D-SACK to report with the next ACK (RFC 2883). */
  dsackPending = false;
  dsackLeft = 0;
  dsackRight = 0;
  /** RFC 3168: we saw CE and echo it until CWR; we reduced and say so. */
  ecnEcho = false;
  ecnCwr = false;
  ecnSeen = false;
  /** RFC 9768; null: it was not agreed on. */
  accurateEcn: AccurateEcn | null = null;

  /** Of the segment that `nextSegment` gave last: how the device is to cut it, bytes; 0: not at all. */
  gsoSize = 0;
  /** The peer's window is what holds data back. */
  isWindowLimited = false;
  readonly chronograph = new Chronograph();
  readonly mtuProbe = new MtuProbe();
  sendLimit: number;
  congestion: CongestionControl;
  cwnd: number;
  ssthresh = SSTHRESH_INFINITE;
  cwndCount = 0;
  /** The last flight filled the congestion window. */
  cwndLimited = false;
  /** Bytes a second that pacing would allow; Infinity: no round-trip time is known yet. */
  pacingRate = Infinity;
  readonly pacing = new PacingState();
  /** Largest segment of the link towards the peer, bytes: the settings' one, or less where that link takes less. */
  linkMss: number;
  /** RFC 7413; null: the connection has nothing to do with it. */
  fastOpen: FastOpen | null = null;

  /** `user`: of another connection, to be shared with it. */
  constructor(readonly settings: TcpSettings, pool: MemoryPool, user?: UserOptions) {
    this.linkMss = settings.mss;
    this.user = user ?? new UserOptions(settings);
    this.rtt = new RttEstimator(settings.rtoInitialUs, settings.rtoMinUs, settings.rtoMaxUs);
    this.recovery.reordering = settings.reordering;
    this.sendBuffer = new RingBuffer(pool);
    this.receiveBuffer = new RingBuffer(pool);
    this.sendLimit = settings.sendBuffer;
    this.rcv.limit = settings.receiveBuffer;
    this.congestion = createCongestionControl(settings.congestion, settings) ?? new NewReno();
    this.cwnd = settings.initialWindow;
  }

  // CongestionView
  /** RFC 7661: in slow start half of the window in use is enough to let it grow. */
  get isCwndLimited(): boolean {
    if (this.cwnd < this.ssthresh) return this.cwnd < 2 * this.recovery.maxPacketsOut;
    return this.cwndLimited;
  }
  get srttUs(): number {
    return this.rtt.srttUs;
  }
  get minRttUs(): number {
    return this.rtt.minRttUs;
  }
  get latestRttUs(): number {
    return this.rtt.latestUs;
  }
  get inFlight(): number {
    return this.queue.inFlight;
  }
  get una(): number {
    return this.snd.una;
  }
  get nxt(): number {
    return this.snd.nxt;
  }

  /** Sequence number after the last byte the application gave us (the FIN, if any, stands there). */
  get dataEnd(): number {
    return (this.snd.dataSeq + this.sendBuffer.length) | 0;
  }
}

/** Sets `deadline` from the timers; the last thing that every entry into the connection does. */
export function updateDeadline(tcb: Tcb): void {
  const { transmitAtUs, keepaliveAtUs, lifeAtUs } = tcb.timers;
  tcb.deadline = Math.min(transmitAtUs, keepaliveAtUs, lifeAtUs, tcb.ack.delayedAtUs, tcb.pacing.dueUs);
}
