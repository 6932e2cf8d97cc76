import type { Tcb } from "../tcp/tcb.ts";
import { ANY, type IpAddress } from "../wire/address.ts";
import { IP_PROTOCOL } from "../wire/ipv4.ts";
import { type Connection, DEFAULT_TTL } from "./connection.ts";
import type { Listener } from "./listener.ts";
import { PacketQueue } from "./packet.ts";
import { Binding } from "./port_space.ts";
import { IP_PMTUDISC, SocketKind } from "./socket_types.ts";

/** Linux's default `net.core.rmem_default`, for datagrams. */
const DATAGRAM_RECEIVE_BUFFER = 212_992;

/** What every kind of socket has. */
abstract class BaseSocket {
  /** -1: closed. */
  handle = -1;
  /** The local port it holds, if any. */
  binding: Binding | null = null;
  /** The port was asked for with bind(2): it stays the socket's when a connection ends. */
  isBound = false;
  reuseAddress = false;
  reusePort = false;
  ttl = DEFAULT_TTL;
  /** IP_TOS: DSCP and ECN. */
  tos = 0;
  /** SO_BINDTOIFINDEX; 0: any. */
  deviceIndex = 0;
  /** See inert_options.ts. */
  inertOptions: Map<number, number> | null = null;
  // In the list of those whose readiness may have changed
  isReadyQueued = false;
  nextReady: Socket | null = null;
}

/** How far a stream socket is; Linux's `sock->state`, and whether it listens. */
export const Phase = { UNCONNECTED: 0, CONNECTING: 1, CONNECTED: 2, LISTENING: 3 } as const;
export type Phase = typeof Phase[keyof typeof Phase];

/** A TCP socket: a connection, a listener, or neither yet. */
export class StreamSocket extends BaseSocket {
  readonly kind = SocketKind.stream;
  phase: Phase = Phase.UNCONNECTED;
  /** Stays when the connection is over and forgotten, for what is left to read and for its error. */
  connection: Connection | null = null;
  listener: Listener | null = null;

  /** `tcb`: of the connection to be; until then, and for a listener for ever, it holds the options. */
  constructor(public tcb: Tcb) {
    super();
  }
}

/** A socket for messages: UDP, ICMP echo, or raw. */
export class DatagramSocket extends BaseSocket {
  /** Where connect(2) pointed it; ANY: nowhere. */
  remoteAddress: IpAddress = ANY;
  remotePort = 0;
  broadcast = false;
  /** UDP_SEGMENT: what is sent is cut into datagrams of so many bytes; 0: not at all. */
  segmentSize = 0;
  /** UDP_GRO: datagrams of one flow and size are read as one. */
  mergesDatagrams = false;
  /** IP_MTU_DISCOVER. */
  mtuDiscover: number = IP_PMTUDISC.want;
  /** What came in and was not read. */
  readonly queue = new PacketQueue();
  /** Bytes of messages that may wait. */
  receiveBuffer = DATAGRAM_RECEIVE_BUFFER;
  /** SO_RCVBUF. */
  toldReceiveBuffer = DATAGRAM_RECEIVE_BUFFER;
  /** errno for the next call (RFC 1122 4.1.3.3). */
  error = 0;
  /** ICMP errors are queued as messages (IP_RECVERR); always so for echo sockets. */
  receivesErrors: boolean;
  isReadShut = false;
  isWriteShut = false;
  /** It found the send queue full, and is told when there is room. */
  isBlocked = false;

  constructor(readonly kind: Exclude<SocketKind, typeof SocketKind.stream>) {
    super();
    this.receivesErrors = kind === SocketKind.icmp;
  }
}

/** A raw socket. Its "port" is the protocol, as Linux has it, and it always holds that. */
export class RawSocket extends DatagramSocket {
  override binding: Binding;
  /** IP_HDRINCL: what is sent brings its IP header. */
  includesHeader: boolean;
  /** ICMP_FILTER: the ICMP types it does not want, a bit each. */
  icmpFilter = 0;

  /** `protocol`: as IP numbers them, 1 to 255. Of 255 nothing is ever received, so it is for who writes the header. */
  constructor(readonly protocol: number) {
    super(SocketKind.raw);
    this.binding = new Binding(ANY, protocol, false);
    this.includesHeader = protocol === IP_PROTOCOL.raw;
  }
}

export type Socket = StreamSocket | DatagramSocket;
