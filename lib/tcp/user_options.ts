import type { TcpSettings } from "./settings.ts";

/**
 * What the application asked for (socket options). The children of a listener have its own until one side changes any: most
 * never do, and these are 240 bytes.
 */
export class UserOptions {
  /** Several connections have it: it is not to be changed. */
  isShared = false;
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
  sendBufferFixed = false;

  constructor(settings: TcpSettings) {
    this.keepaliveTimeUs = settings.keepaliveTimeUs;
    this.keepaliveIntervalUs = settings.keepaliveIntervalUs;
    this.keepaliveProbes = settings.keepaliveProbes;
    this.finTimeoutUs = settings.finTimeoutUs;
  }

  /** The same options for one connection alone. */
  clone(settings: TcpSettings): UserOptions {
    return Object.assign(new UserOptions(settings), this, { isShared: false });
  }
}
