import type { TcpSettings } from "./settings.ts";

/** What the application asked for (socket options). */
export class UserOptions {
  noDelay = false;
  cork = false;
  keepalive = false;
  keepaliveTimeUs: number;
  keepaliveIntervalUs: number;
  keepaliveProbes: number;
  userTimeoutUs = 0;
  /** TCP_SYNCNT; 0: as the settings say. */
  synRetries = 0;
  /** -1: off; else seconds (SO_LINGER). */
  linger = -1;
  finTimeoutUs: number;
  maxSegment = 0;
  notSentLowWater = 0;
  /** TCP_DEFER_ACCEPT, in SYN-ACKs that time out; 0: off. */
  deferAccept = 0;
  windowClamp = 0;
  /** TCP_FASTOPEN of a listener: how many children may have data before their handshake is complete; 0: none. */
  fastOpenBacklog = 0;
  /** TCP_FASTOPEN_CONNECT: the SYN asks for a cookie, or waits for data and takes it along. */
  fastOpenConnect = false;
  /** SO_MAX_PACING_RATE, bytes a second. */
  maxPacingRate = Infinity;
  /** Data is paced, since a rate was set once. */
  paced = false;
  lowWater = 1;
  /** What was written before now goes out in spite of Nagle and CORK (TCP_NODELAY was just set). */
  pushOnce = false;
  sendBufferFixed = false;
  /** The last write said that more follows (MSG_MORE): no PSH; and until the next ACK no small segment either. */
  more = false;
  holdForMore = false;

  constructor(settings: TcpSettings) {
    this.keepaliveTimeUs = settings.keepaliveTimeUs;
    this.keepaliveIntervalUs = settings.keepaliveIntervalUs;
    this.keepaliveProbes = settings.keepaliveProbes;
    this.finTimeoutUs = settings.finTimeoutUs;
  }

  /** Takes over all of another connection's, field by field: 0.3 us less than Object.assign. */
  copy(from: UserOptions): void {
    this.noDelay = from.noDelay;
    this.cork = from.cork;
    this.keepalive = from.keepalive;
    this.keepaliveTimeUs = from.keepaliveTimeUs;
    this.keepaliveIntervalUs = from.keepaliveIntervalUs;
    this.keepaliveProbes = from.keepaliveProbes;
    this.userTimeoutUs = from.userTimeoutUs;
    this.synRetries = from.synRetries;
    this.linger = from.linger;
    this.finTimeoutUs = from.finTimeoutUs;
    this.maxSegment = from.maxSegment;
    this.notSentLowWater = from.notSentLowWater;
    this.deferAccept = from.deferAccept;
    this.windowClamp = from.windowClamp;
    this.fastOpenBacklog = from.fastOpenBacklog;
    this.fastOpenConnect = from.fastOpenConnect;
    this.maxPacingRate = from.maxPacingRate;
    this.paced = from.paced;
    this.lowWater = from.lowWater;
    this.pushOnce = from.pushOnce;
    this.sendBufferFixed = from.sendBufferFixed;
    this.more = from.more;
    this.holdForMore = from.holdForMore;
  }
}
