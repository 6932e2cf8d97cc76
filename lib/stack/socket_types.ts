import type { IpAddress, MacAddress } from "../wire/address.ts";

/** What a socket carries. */
export const SocketKind = {
  /** TCP. */
  stream: 1,
  /** UDP. */
  datagram: 2,
  /** ICMP echo, as Linux's `socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP)`: messages begin with the ICMP header. */
  icmp: 3,
  /** Packets of one IP protocol, raw(7): what is received begins with the IP header, and so does what is sent with IP_HDRINCL. */
  raw: 4,
} as const;
export type SocketKind = typeof SocketKind[keyof typeof SocketKind];

/** `Stack.readiness`: bytes, a datagram, an error or a connection to accept can be read without waiting. */
export const READY_READ = 1;
/** `Stack.readiness`: there is room to send. */
export const READY_WRITE = 2;
/** `Stack.readiness`: the peer sent its FIN, or reading was shut down here (POLLRDHUP). */
export const READY_READ_CLOSED = 4;
/** `Stack.readiness`: both directions are over, or there never was a connection (POLLHUP). */
export const READY_HANGUP = 8;
/** `Stack.readiness`: `Stack.takeError` has something to say (POLLERR). */
export const READY_ERROR = 16;

/** `Stack.shutdown`: which direction; Linux's SHUT_RD, SHUT_WR, SHUT_RDWR. */
export const SHUT_RD = 0;
export const SHUT_WR = 1;
export const SHUT_RDWR = 2;

/** Option levels of `Stack.setOption` and `Stack.getOption`, in Linux's numbers. */
export const IPPROTO_IP = 0;
export const SOL_SOCKET = 1;
export const IPPROTO_TCP = 6;
export const SOL_RAW = 255;

/** Level of options of UDP sockets, and the one there is. */
export const SOL_UDP = 17;
export const UDP_SEGMENT = 103;
export const UDP_GRO = 104;

/** Options at SOL_SOCKET. */
export const SO_REUSEADDR = 2;
export const SO_TYPE = 3;
export const SO_ERROR = 4;
export const SO_BROADCAST = 6;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_KEEPALIVE = 9;
export const SO_LINGER = 13;
export const SO_RCVLOWAT = 18;
export const SO_REUSEPORT = 15;
export const SO_ACCEPTCONN = 30;
export const SO_PROTOCOL = 38;
export const SO_DOMAIN = 39;
/** The index of the one interface that the socket uses; 0: any. By name it is SO_BINDTODEVICE. */
export const SO_BINDTOIFINDEX = 62;

/** Options at IPPROTO_IP. */
export const IP_TOS = 1;
export const IP_TTL = 2;
export const IP_HDRINCL = 3;
export const IP_RECVOPTS = 6;
export const IP_RETOPTS = 7;
export const IP_PKTINFO = 8;
export const IP_MTU_DISCOVER = 10;
export const IP_RECVERR = 11;
export const IP_RECVTTL = 12;
export const IP_MTU = 14;

/** Option at SOL_RAW: the ICMP types that a raw ICMP socket does not want, a bit each. */
export const ICMP_FILTER = 1;

/**
 * Values of IP_MTU_DISCOVER: DF never; as long as the message fits the path MTU (the default); always, and what does not
 * fit is EMSGSIZE; the same by the device's MTU; never, and what does not fit the device's MTU is EMSGSIZE; never, and
 * by the device's MTU.
 */
export const IP_PMTUDISC = { dont: 0, want: 1, do: 2, probe: 3, interface: 4, omit: 5 } as const;

/** Who talks to whom; filled by `Stack.name`. Reused, never allocated per call. */
export class SocketName {
  localAddress: IpAddress = 0;
  localPort = 0;
  remoteAddress: IpAddress = 0;
  remotePort = 0;
  /** Of a stream: the connection's state, a value of lib/tcp/tcb.ts's `State`; 0 (closed) for the other kinds. */
  state = 0;
}

/** `Datagram.kind`: a message. */
export const DATAGRAM_DATA = 0;
/** `Datagram.kind`: an ICMP error about a message that this socket sent. */
export const DATAGRAM_ERROR = 1;

/** Largest message that a datagram can carry, with its own header: what an IPv4 packet holds, rounded up. */
export const DATAGRAM_CAPACITY = 65536;

/**
 * One message on its way through `Stack.sendTo` or `Stack.receiveFrom`; the caller keeps one and reuses it.
 *
 * On icmp sockets `bytes` hold the whole ICMP message. Sending, the stack puts in the identifier (the socket's port)
 * and the checksum. An error (`kind` DATAGRAM_ERROR) carries what the router quoted of our message, from its ICMP or
 * UDP payload on as Linux's error queue does: for an echo socket the ICMP header with its sequence number.
 */
export class Datagram {
  /** Receiving: who sent it (of an error: whom we had sent to). Sending: to whom; 0: the connected peer. */
  address: IpAddress = 0;
  port = 0;
  /** Receiving: our own address and port that it was sent to. */
  localAddress: IpAddress = 0;
  localPort = 0;
  /** Receiving: the IP header's time to live. Sending: the one to use; 0: the socket's. */
  ttl = 0;
  /** Receiving: the IP header's TOS octet, DSCP and ECN. Sending: the one to use; -1: the socket's. */
  tos = -1;
  /** Sending: our address to send from (IP_PKTINFO); 0: the socket's. Receiving leaves it alone. */
  fromAddress: IpAddress = 0;
  /** Sending by UDP: datagrams of so many bytes are made of it (UDP_SEGMENT); 0: one is; -1: as the socket has it. */
  segment = -1;
  /** Receiving with UDP_GRO: bytes of each of the datagrams that were put together, but for the last; 0: it is one. */
  groSize = 0;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where the message begins in `bytes`; receiving sets it to 0. */
  offset = 0;
  length = 0;
  kind: typeof DATAGRAM_DATA | typeof DATAGRAM_ERROR = DATAGRAM_DATA;
  /** Of an error: the ICMP type and code that came, the errno Linux gives for it, and who reported it. */
  icmpType = 0;
  icmpCode = 0;
  errno = 0;
  sourceAddress: IpAddress = 0;
  /**
   * Of an error "fragmentation needed": the MTU that was named; otherwise 0. After a send that was -EMSGSIZE: the MTU; 0
   * where UDP_SEGMENT was what did not fit.
   */
  mtu = 0;
  /** When it came in, on the stack's clock, microseconds. */
  receivedAtUs = 0;
  /** Receiving: the options that the IP header had, see `echoOptions`; null: none. */
  ipOptions: Uint8Array | null = null;

  /** `bytes`: where its message is to lie, or for how many there is to be room. */
  constructor(bytes: Uint8Array<ArrayBuffer> | number = DATAGRAM_CAPACITY) {
    this.bytes = typeof bytes === "number" ? new Uint8Array(bytes) : bytes;
  }
}

/** Something an operator should see in the log; drained with `Stack.takeNotice`. */
export interface Notice {
  kind: "address-conflict";
  /** Our address that another machine uses too. */
  address: IpAddress;
  /** The other machine. */
  mac: MacAddress;
  atUs: number;
}

/** What the device can do for the stack; the shape of `DeviceFeatures`. */
export interface StackFeatures {
  checksum: boolean;
  segmentation: boolean;
  /** UDP datagrams of one size that were given at once may be left to the device to cut; false if left out. */
  udpSegmentation?: boolean;
}
