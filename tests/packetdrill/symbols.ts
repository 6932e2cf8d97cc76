/** Names that scripts use for numbers, with Linux's values (x86_64). */

export const ERRNOS: Record<string, number> = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  EBADF: 9,
  EAGAIN: 11,
  EWOULDBLOCK: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  EPIPE: 32,
  EDOM: 33,
  EPROTO: 71,
  ENOTSOCK: 88,
  EDESTADDRREQ: 89,
  EMSGSIZE: 90,
  EPROTOTYPE: 91,
  ENOPROTOOPT: 92,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  ENOTSUP: 95,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  EISCONN: 106,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTDOWN: 112,
  EHOSTUNREACH: 113,
  EALREADY: 114,
  EINPROGRESS: 115,
};

export const SOCK_NONBLOCK = 0x800;
export const SOCK_TYPE_MASK = 0xf;
export const O_NONBLOCK = 0x800;

export const MSG_PEEK = 0x2;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_EOR = 0x80;
export const MSG_WAITALL = 0x100;
export const MSG_MORE = 0x8000;
export const MSG_OOB = 0x1;
export const MSG_ERRQUEUE = 0x2000;
export const MSG_FASTOPEN = 0x20000000;
export const MSG_ZEROCOPY = 0x4000000;

export const POLLIN = 1;
export const POLLPRI = 2;
export const POLLOUT = 4;
export const POLLERR = 8;
export const POLLHUP = 16;
export const POLLRDNORM = 0x40;
export const POLLWRNORM = 0x100;
export const POLLRDHUP = 0x2000;
export const EPOLLONESHOT = 0x40000000;
export const EPOLLET = 0x80000000;
export const EPOLLEXCLUSIVE = 0x10000000;

export const SOL_SOCKET = 1;
export const IPPROTO_IPV6 = 41;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
export const IPPROTO_IP = 0;

export const FIONREAD = 0x541b;
export const FIONBIO = 0x5421;
export const SIOCOUTQ = 0x5411;
export const SIOCOUTQNSD = 0x894b;
export const SIOCATMARK = 0x8905;

const SOCKET_OPTIONS: Record<string, number> = {
  SO_DEBUG: 1,
  SO_REUSEADDR: 2,
  SO_TYPE: 3,
  SO_ERROR: 4,
  SO_DONTROUTE: 5,
  SO_BROADCAST: 6,
  SO_SNDBUF: 7,
  SO_RCVBUF: 8,
  SO_KEEPALIVE: 9,
  SO_OOBINLINE: 10,
  SO_NO_CHECK: 11,
  SO_PRIORITY: 12,
  SO_LINGER: 13,
  SO_REUSEPORT: 15,
  SO_RCVLOWAT: 18,
  SO_SNDLOWAT: 19,
  SO_RCVTIMEO: 20,
  SO_SNDTIMEO: 21,
  SO_TIMESTAMP: 29,
  SO_ACCEPTCONN: 30,
  SO_SNDBUFFORCE: 32,
  SO_RCVBUFFORCE: 33,
  SO_MARK: 36,
  SO_TIMESTAMPING: 37,
  SO_PROTOCOL: 38,
  SO_DOMAIN: 39,
  SO_BUSY_POLL: 46,
  SO_MAX_PACING_RATE: 47,
  SO_MEMINFO: 55,
  SO_ZEROCOPY: 60,
};

const IP_OPTIONS: Record<string, number> = {
  IP_TOS: 1,
  IP_TTL: 2,
  IP_MTU_DISCOVER: 10,
  IP_RECVERR: 11,
  IP_MTU: 14,
  IP_FREEBIND: 15,
  IP_BIND_ADDRESS_NO_PORT: 24,
  IP_LOCAL_PORT_RANGE: 51,
  IP_PMTUDISC_DONT: 0,
  IP_PMTUDISC_WANT: 1,
  IP_PMTUDISC_DO: 2,
  IP_PMTUDISC_PROBE: 3,
};

const TCP_OPTIONS: Record<string, number> = {
  TCP_NODELAY: 1,
  TCP_MAXSEG: 2,
  TCP_CORK: 3,
  TCP_KEEPIDLE: 4,
  TCP_KEEPINTVL: 5,
  TCP_KEEPCNT: 6,
  TCP_SYNCNT: 7,
  TCP_LINGER2: 8,
  TCP_DEFER_ACCEPT: 9,
  TCP_WINDOW_CLAMP: 10,
  TCP_INFO: 11,
  TCP_QUICKACK: 12,
  TCP_CONGESTION: 13,
  TCP_MD5SIG: 14,
  TCP_THIN_LINEAR_TIMEOUTS: 16,
  TCP_THIN_DUPACK: 17,
  TCP_USER_TIMEOUT: 18,
  TCP_FASTOPEN: 23,
  TCP_TIMESTAMP: 24,
  TCP_NOTSENT_LOWAT: 25,
  TCP_CC_INFO: 26,
  TCP_SAVE_SYN: 27,
  TCP_SAVED_SYN: 28,
  TCP_FASTOPEN_CONNECT: 30,
  TCP_FASTOPEN_KEY: 33,
  TCP_FASTOPEN_NO_COOKIE: 34,
  TCP_INQ: 36,
  TCP_CM_INQ: 36,
  TCP_TX_DELAY: 37,
  TCP_RTO_MAX_MS: 44,
  TCP_RTO_MIN_US: 45,
  TCP_DELACK_MAX_US: 46,
};

/** FreeBSD's names for options that Linux has under another, and numbers of our own for those it has not. */
export const FREEBSD_KEEPINIT = 10001;
export const FREEBSD_NOOPT = 10002;
export const FREEBSD_NOPUSH = TCP_OPTIONS.TCP_CORK;
export const FREEBSD_FUNCTION_BLK = 10003;

const FREEBSD_OPTIONS: Record<string, number> = {
  TCP_KEEPINIT: FREEBSD_KEEPINIT,
  TCP_NOOPT: FREEBSD_NOOPT,
  TCP_NOPUSH: FREEBSD_NOPUSH,
  TCP_FUNCTION_BLK: FREEBSD_FUNCTION_BLK,
};

const OTHERS: Record<string, number> = {
  NULL: 0,
  AF_UNSPEC: 0,
  AF_INET: 2,
  AF_INET6: 10,
  PF_INET: 2,
  SOCK_STREAM: 1,
  SOCK_DGRAM: 2,
  SOCK_RAW: 3,
  SOCK_NONBLOCK,
  SOCK_CLOEXEC: 0x80000,
  IPPROTO_IP,
  IPPROTO_ICMP: 1,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPPROTO_IPV6,
  SOL_IP: IPPROTO_IP,
  SOL_SOCKET,
  SOL_TCP: IPPROTO_TCP,
  SOL_IPV6: IPPROTO_IPV6,
  IPV6_RECVERR: 25,
  IPV6_V6ONLY: 26,
  IPV6_TCLASS: 67,
  SHUT_RD: 0,
  SHUT_WR: 1,
  SHUT_RDWR: 2,
  O_RDONLY: 0,
  O_WRONLY: 1,
  O_RDWR: 2,
  O_CREAT: 0x40,
  O_NONBLOCK,
  F_DUPFD: 0,
  F_GETFD: 1,
  F_SETFD: 2,
  F_GETFL: 3,
  F_SETFL: 4,
  FD_CLOEXEC: 1,
  MSG_OOB,
  MSG_PEEK,
  MSG_DONTROUTE: 4,
  MSG_CTRUNC: 8,
  MSG_TRUNC,
  MSG_DONTWAIT,
  MSG_EOR,
  MSG_WAITALL,
  MSG_ERRQUEUE,
  MSG_NOSIGNAL: 0x4000,
  MSG_MORE,
  MSG_FASTOPEN,
  MSG_ZEROCOPY,
  POLLIN,
  POLLPRI,
  POLLOUT,
  POLLERR,
  POLLHUP,
  POLLNVAL: 32,
  POLLRDNORM,
  POLLRDBAND: 0x80,
  POLLWRNORM,
  POLLWRBAND: 0x200,
  POLLRDHUP,
  EPOLLIN: POLLIN,
  EPOLLPRI: POLLPRI,
  EPOLLOUT: POLLOUT,
  EPOLLERR: POLLERR,
  EPOLLHUP: POLLHUP,
  EPOLLRDHUP: POLLRDHUP,
  EPOLLRDNORM: POLLRDNORM,
  EPOLLWRNORM: POLLWRNORM,
  EPOLLONESHOT,
  EPOLLET,
  EPOLLEXCLUSIVE,
  EPOLL_CTL_ADD: 1,
  EPOLL_CTL_DEL: 2,
  EPOLL_CTL_MOD: 3,
  FIONREAD,
  FIONBIO,
  SIOCINQ: FIONREAD,
  SIOCOUTQ,
  SIOCOUTQNSD,
  SIOCATMARK,
  TIOCOUTQ: SIOCOUTQ,
  SPLICE_F_MOVE: 1,
  SPLICE_F_NONBLOCK: 2,
  SPLICE_F_MORE: 4,
};

const SYMBOLS = new Map(Object.entries({
  ...ERRNOS,
  ...SOCKET_OPTIONS,
  ...IP_OPTIONS,
  ...TCP_OPTIONS,
  ...FREEBSD_OPTIONS,
  ...OTHERS,
}));

/** The number behind a name; undefined for a name that is not known. */
export function symbolValue(name: string): number | undefined {
  return SYMBOLS.get(name);
}

const ERRNO_NAMES = new Map(Object.entries(ERRNOS).reverse().map(([name, value]) => [value, name]));
ERRNO_NAMES.set(ERRNOS.EAGAIN, "EAGAIN");
ERRNO_NAMES.set(ERRNOS.EOPNOTSUPP, "EOPNOTSUPP");

/** "ECONNRESET"; "errno 200" for one without a name. */
export function errnoName(errno: number): string {
  return ERRNO_NAMES.get(errno) ?? `errno ${errno}`;
}

const POLL_NAMES: [number, string][] = [
  [POLLIN, "POLLIN"],
  [POLLPRI, "POLLPRI"],
  [POLLOUT, "POLLOUT"],
  [POLLERR, "POLLERR"],
  [POLLHUP, "POLLHUP"],
  [POLLRDNORM, "POLLRDNORM"],
  [POLLWRNORM, "POLLWRNORM"],
  [POLLRDHUP, "POLLRDHUP"],
];

/** "POLLIN|POLLOUT", "0". */
export function pollNames(events: number): string {
  const names = POLL_NAMES.filter(([bit]) => (events & bit) !== 0).map(([, name]) => name);
  return names.length === 0 ? "0" : names.join("|");
}
