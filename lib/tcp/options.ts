import { EINVAL, ENOENT, ENOPROTOOPT } from "../errno.ts";
import { createCongestionControl } from "./congestion/algorithms.ts";
import { deferralOf, secondsOfDeferral } from "./defer_accept.ts";
import { limitPacingRate } from "./pacing.ts";
import { isSynchronized, State } from "./state.ts";
import { type Tcb, updateDeadline } from "./tcb.ts";
import { startKeepalive } from "./timers.ts";
import { updateSendMss } from "./window.ts";

export const SOL_SOCKET = 1;
export const IPPROTO_TCP = 6;

/** SOL_SOCKET options that a connection acts on; Linux's numbers. */
export const SocketOption = {
  SNDBUF: 7,
  RCVBUF: 8,
  KEEPALIVE: 9,
  LINGER: 13,
  RCVLOWAT: 18,
  MAX_PACING_RATE: 47,
} as const;

/** IPPROTO_TCP options; Linux's numbers. */
export const TcpOption = {
  NODELAY: 1,
  MAXSEG: 2,
  CORK: 3,
  KEEPIDLE: 4,
  KEEPINTVL: 5,
  KEEPCNT: 6,
  SYNCNT: 7,
  LINGER2: 8,
  DEFER_ACCEPT: 9,
  WINDOW_CLAMP: 10,
  QUICKACK: 12,
  USER_TIMEOUT: 18,
  FASTOPEN: 23,
  FASTOPEN_CONNECT: 30,
  NOTSENT_LOWAT: 25,
} as const;

const SECOND_US = 1e6;
const MAX_INT32 = 0x7fff_ffff;
/** Linux's default `net.core.somaxconn`. */
const MAX_BACKLOG = 4096;
const MAX_UINT32 = 0xffff_ffff;
const MIN_BUFFER = 2304;
const MAX_BUFFER = 64 << 20;
const MAX_KEEPALIVE_SEC = 32767;

/**
 * setsockopt for a connection. `value`: the integer of the call; for SO_LINGER the seconds, or -1 to switch it off.
 * 0, or -EINVAL for a value Linux would refuse, or -ENOPROTOOPT.
 */
export function setOption(tcb: Tcb, level: number, name: number, value: number, now: number): number {
  if (tcb.user.isShared) tcb.user = tcb.user.clone(tcb.settings);
  const result = level === SOL_SOCKET
    ? setSocketOption(tcb, name, value, now)
    : level === IPPROTO_TCP
    ? setTcpOption(tcb, name, value, now)
    : -ENOPROTOOPT;
  updateDeadline(tcb);
  return result;
}

function setSocketOption(tcb: Tcb, name: number, value: number, now: number): number {
  const { user, rcv } = tcb;
  switch (name) {
    case SocketOption.SNDBUF:
      // As Linux does, twice what is asked for, as unsigned: programs that look find what they know.
      tcb.sendLimit = Math.min(Math.max(2 * (value >>> 0), 2 * MIN_BUFFER), MAX_BUFFER);
      user.sendBufferFixed = true;
      return 0;
    case SocketOption.RCVBUF:
      // Linux doubles it too, and offers half of that as window.
      rcv.limit = Math.min(Math.max(value >>> 0, MIN_BUFFER / 2), MAX_BUFFER);
      rcv.limitFixed = true;
      return 0;
    case SocketOption.KEEPALIVE:
      user.keepalive = value !== 0;
      if (isSynchronized(tcb.state)) startKeepalive(tcb, now);
      return 0;
    case SocketOption.LINGER:
      user.linger = value < 0 ? -1 : value;
      return 0;
    case SocketOption.RCVLOWAT:
      user.lowWater = value < 0 ? MAX_INT32 : Math.max(1, value);
      return 0;
    case SocketOption.MAX_PACING_RATE:
      // ~0 is no limit, and so Linux reads a 32-bit one.
      limitPacingRate(tcb, value < 0 || value === MAX_UINT32 ? Infinity : value);
      return 0;
    default:
      return -ENOPROTOOPT;
  }
}

function setTcpOption(tcb: Tcb, name: number, value: number, now: number): number {
  const { user, snd, ack, settings } = tcb;
  switch (name) {
    case TcpOption.NODELAY:
      user.noDelay = value !== 0;
      snd.pushOnce = user.noDelay;
      return 0;
    case TcpOption.CORK:
      user.cork = value !== 0;
      if (!user.cork && user.noDelay) snd.pushOnce = true;
      return 0;
    case TcpOption.MAXSEG:
      if (value !== 0 && (value < 88 || value > 32767)) return -EINVAL;
      user.maxSegment = value;
      updateSendMss(tcb);
      return 0;
    case TcpOption.QUICKACK:
      ack.quickAckMode = value !== 0;
      if (value === 0) ack.pingpong = 1;
      else {
        ack.pingpong = 0;
        // Whatever is owed goes out at once.
        if (ack.scheduled) ack.now = true;
      }
      return 0;
    case TcpOption.DEFER_ACCEPT:
      user.deferAccept = deferralOf(value, settings.rtoInitialUs, settings.rtoMaxUs);
      return 0;
    case TcpOption.FASTOPEN:
      if (value < 0 || tcb.state !== State.CLOSED) return -EINVAL;
      user.fastOpenBacklog = Math.min(value, MAX_BACKLOG);
      return 0;
    case TcpOption.FASTOPEN_CONNECT:
      if (value < 0 || value > 1 || tcb.state !== State.CLOSED) return -EINVAL;
      user.fastOpenConnect = value !== 0;
      return 0;
    case TcpOption.NOTSENT_LOWAT:
      // As unsigned: what is negative is no limit.
      user.notSentLowWater = value < 0 ? MAX_INT32 : value;
      return 0;
    case TcpOption.WINDOW_CLAMP:
      if (value === 0 && tcb.state !== State.CLOSED) return -EINVAL;
      user.windowClamp = value === 0 ? 0 : Math.max(value, 1152);
      return 0;
    default:
      return setTimeOption(tcb, name, value, now);
  }
}

/** The options that are times or counts of repetitions. */
function setTimeOption(tcb: Tcb, name: number, value: number, now: number): number {
  const { user, settings } = tcb;
  switch (name) {
    case TcpOption.KEEPIDLE:
      if (value < 1 || value > MAX_KEEPALIVE_SEC) return -EINVAL;
      user.keepaliveTimeUs = value * SECOND_US;
      if (isSynchronized(tcb.state)) startKeepalive(tcb, now);
      return 0;
    case TcpOption.KEEPINTVL:
      if (value < 1 || value > MAX_KEEPALIVE_SEC) return -EINVAL;
      user.keepaliveIntervalUs = value * SECOND_US;
      return 0;
    case TcpOption.KEEPCNT:
      if (value < 1 || value > 127) return -EINVAL;
      user.keepaliveProbes = value;
      return 0;
    case TcpOption.SYNCNT:
      if (value < 1 || value > 127) return -EINVAL;
      user.synRetries = value;
      return 0;
    case TcpOption.LINGER2:
      user.finTimeoutUs = value <= 0 ? settings.finTimeoutUs : Math.min(value * SECOND_US, 120 * SECOND_US);
      return 0;
    case TcpOption.USER_TIMEOUT:
      if (value < 0) return -EINVAL;
      user.userTimeoutUs = value * 1000;
      return 0;
    default:
      return -ENOPROTOOPT;
  }
}

/** getsockopt for a connection: the integer, or -ENOPROTOOPT. */
export function getOption(tcb: Tcb, level: number, name: number): number {
  if (level === SOL_SOCKET) return getSocketOption(tcb, name);
  if (level === IPPROTO_TCP) return getTcpOption(tcb, name);
  return -ENOPROTOOPT;
}

function getSocketOption(tcb: Tcb, name: number): number {
  switch (name) {
    case SocketOption.SNDBUF:
      return tcb.sendLimit;
    case SocketOption.RCVBUF:
      return 2 * tcb.rcv.limit;
    case SocketOption.KEEPALIVE:
      return tcb.user.keepalive ? 1 : 0;
    case SocketOption.LINGER:
      return tcb.user.linger;
    case SocketOption.RCVLOWAT:
      return tcb.user.lowWater;
    case SocketOption.MAX_PACING_RATE:
      return Math.min(tcb.user.maxPacingRate, MAX_UINT32);
    default:
      return -ENOPROTOOPT;
  }
}

function getTcpOption(tcb: Tcb, name: number): number {
  const { user, settings } = tcb;
  switch (name) {
    case TcpOption.NODELAY:
      return user.noDelay ? 1 : 0;
    case TcpOption.CORK:
      return user.cork ? 1 : 0;
    case TcpOption.MAXSEG:
      return isSynchronized(tcb.state) ? tcb.snd.mss : user.maxSegment > 0 ? user.maxSegment : 536;
    case TcpOption.QUICKACK:
      return tcb.ack.pingpong === 0 ? 1 : 0;
    case TcpOption.DEFER_ACCEPT:
      return secondsOfDeferral(user.deferAccept, settings.rtoInitialUs, settings.rtoMaxUs);
    case TcpOption.FASTOPEN:
      return user.fastOpenBacklog;
    case TcpOption.FASTOPEN_CONNECT:
      return user.fastOpenConnect ? 1 : 0;
    case TcpOption.NOTSENT_LOWAT:
      return user.notSentLowWater;
    case TcpOption.WINDOW_CLAMP:
      return user.windowClamp;
    case TcpOption.KEEPIDLE:
      return user.keepaliveTimeUs / SECOND_US;
    case TcpOption.KEEPINTVL:
      return user.keepaliveIntervalUs / SECOND_US;
    case TcpOption.KEEPCNT:
      return user.keepaliveProbes;
    case TcpOption.SYNCNT:
      return user.synRetries > 0 ? user.synRetries : settings.synRetries;
    case TcpOption.LINGER2:
      return user.finTimeoutUs / SECOND_US;
    case TcpOption.USER_TIMEOUT:
      return user.userTimeoutUs / 1000;
    default:
      return -ENOPROTOOPT;
  }
}

/** TCP_CONGESTION: 0, or -ENOENT for a name that is not known. */
export function setCongestion(tcb: Tcb, name: string): number {
  const algorithm = createCongestionControl(name, tcb.settings);
  if (algorithm === null) return -ENOENT;
  tcb.congestion = algorithm;
  return 0;
}
