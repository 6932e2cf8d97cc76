/**
 * The messages between a program and the daemon, over a Unix stream socket. This file is the one place where their
 * layout is written.
 *
 * Every message is one record of `RECORD_SIZE` bytes, little-endian, in both directions, sometimes followed by
 * `length` more bytes. Addresses are in network order, in the first 4 of 16 bytes (room for IPv6).
 *
 * | offset | type | field |
 * |--------|------|-------|
 * | 0  | u32 | magic, `MAGIC` |
 * | 4  | u16 | version, `VERSION` |
 * | 6  | u16 | op, one of `OP`; an answer repeats the request's |
 * | 8  | u32 | flags, `FLAG_*` |
 * | 12 | i32 | errno: 0 in requests; in answers 0 or what went wrong, as Linux numbers it |
 * | 16 | u64 | id of a socket, or a token for `accept` |
 * | 24 | i32 x 5 | arg0 to arg4: see each op |
 * | 44 | u32 | length: bytes that follow the record |
 * | 48 | u16, u16, 16 bytes | local family, port, address |
 * | 68 | u16, u16, 16 bytes | remote family, port, address |
 *
 * The ops:
 * - `connect`: remote = where to; local = where from, or zeros; id = 0, or a random id the program proposes. The
 *   answer has the id and both names; after a successful one the connection *is* the TCP byte stream. With `length`,
 *   that many bytes of filler follow the request: they are drained when the connection is made and not before, so
 *   that the program's socket is not writable until then. With `FLAG_QUIET` no answer is written (the program asks
 *   for the `outcome`): a failure is then the closed connection alone.
 * - `listen`: local = address and port (0: any), arg0 = backlog. The answer has the id and the local name. Then one
 *   record of op `accept` comes for every connection made, with a token in `id` and both names. With the `id` of a
 *   socket (see there) that one becomes the listener, and every record has the program's end of the new connection
 *   attached (SCM_RIGHTS), a socket that is the byte stream already and carries its tag.
 * - `accept`, on a connection of its own: id = the token. After the answer this connection is the byte stream.
 * - `ping`: opens an echo socket. Then every record of op `echo` that comes sends one echo request: remote = where to,
 *   arg0 = sequence number (16 bits), arg1 = payload bytes, arg2 = 1 + a value of IP_MTU_DISCOVER (0: as before), arg3 =
 *   TTL (0: the default). Every answer is a record of op
 *   `echo`: errno 0 and remote = who answered, arg0 = sequence number, arg1 = ICMP bytes received, arg2 = round trip in
 *   microseconds, arg3 = TTL, arg4 = 0 or, where the payload is not what was sent, (offset + 1) * 256 + what came; or errno not 0, remote = who reported it (zeros: this host), arg0 = sequence number,
 *   arg4 = ICMP type * 256 + code, -1 if there was no ICMP message, arg1 = the MTU that the request was too large for or 0.
 * - `resolve`: `length` bytes of a name follow, or remote = an address whose name is asked for. arg0 = type of record: 0 or
 *   1 (A), 12 (PTR), 28 (AAAA); arg1 = 1: the cache is emptied first. The answer's arg0 is 0 or why there is none, as
 *   getaddrinfo(3) numbers it on Linux (EAI_NONAME, EAI_AGAIN, EAI_FAIL, EAI_NODATA); arg1 = RCODE or another of
 *   `Reason` in lib/resolver/types.ts; arg2 = seconds that it stays true; flags = where it is from; remote = the server
 *   that said so. `length` bytes follow: arg3 bytes of names, each ended by a zero byte (the name asked for, its aliases
 *   and the canonical one last; of PTR the host's names), then arg4 addresses of 4 bytes.
 * - `socket`: arg0 = kind (1 stream, 2 datagram, 3 ICMP echo, 4 raw: for root and the daemon's owner, others get EPERM; arg1 =
 *   protocol). The answer has an id. A stream: this connection is now a
 *   socket that can be bound and have options, by its id; `connect` then follows on it, or `listen` with its id. Other
 *   kinds: the answer has a SOCK_SEQPACKET socket attached, each message of which is a datagram, see `DATAGRAM_HEADER`.
 *   A stream with `FLAG_QUIET` and a random id that the program proposes gets no answer. On a socket that is not connected
 *   `setOption` with `FLAG_QUIET` may come too, of which nobody hears: for values that cannot be refused. If either is, the
 *   connection is closed, and the `outcome` says why.
 * - `bind`: id, local. `names`: id; the answer has both names, arg0 = state as RFC 9293 numbers it here, arg1 and arg2 =
 *   bytes received that the program has not got and bytes sent that the peer has not acknowledged.
 * - `associate`, of a datagram socket: id, remote = its only peer from now on; family none: it has none.
 * - `datagram`: a datagram socket for programs that cannot receive descriptors. local = address and port (0: any) or family
 *   none, remote = its only peer or family none: it has none. The answer has the id and both names. Then every record of op
 *   `datagram` is a message, with `length` bytes of payload: to the daemon remote = where to (family none: the only peer), arg0
 *   = TTL (0: the default), arg1 = the size of the datagrams that it is to be cut into (0: it is one); from it remote = where from, arg0 = TTL; or errno not 0, what the next call is to fail with,
 *   arg4 = -1. In the request arg0 = kind (0 datagram; 3 ICMP echo, 4 raw, see `socket`), arg1 = protocol, arg2 = 1:
 *   IP_HDRINCL. These kinds are told ICMP errors: errno not 0, remote = where the message was sent to, local = who reported
 *   it, arg1 = the MTU that was named or 0, arg4 = type * 256 + code, the payload is what was quoted of the message.
 * - `network`: `length` bytes of JSON follow, a `NetworkRequest` (network_messages.ts); so they do in the answer: what
 *   `ip -j` would print. Changes are for root and the daemon's owner, others get EPERM. Errors are those of ip(8).
 * - `trace`: prepares for probes of the path to remote, from local or, family none, the address that is right for it. arg0 = a
 *   value of `TRACE_KIND`. The answer has local. Then every record of op `probe` sends one: arg0 = a number to know it by (of
 *   ICMP the low 16 bits tell them apart), remote = port of UDP and TCP (of UDP it tells them apart), arg1 = bytes of the IP
 *   packet (TCP: ignored, it is a SYN), arg2 = 1 + a value of IP_MTU_DISCOVER (0: as before), arg3 = TTL. Every answer is a
 *   record of op `probe`: arg0 = the number; errno 0 and remote = who answered, or errno not 0, remote = who reported it
 *   (zeros: this host); arg1 = the MTU that was named or 0, arg2 = round trip in microseconds, arg3 = TTL with which it came,
 *   arg4 = ICMP type * 256 + code, -1 if there was no ICMP error.
 * - `status`: arg0 = 1: with each connection's TCP_INFO. The answer is followed by `length` bytes of JSON, a `DaemonStatus`.
 * - `outcome`: id = a stream's id, of now or of a while ago. The answer's arg0 is 0 (open, or ended by FIN) or the
 *   errno the stream ended with, arg1 is 1 while a connect is under way; errno ENOENT if the id is not known. With arg0 = 1 in the
 *   request the errno is given once, as SO_ERROR is.
 * - `serves`: remote = an address of this host and a port, arg0 = kind as in `socket`. The answer's arg0 is 1 if a socket
 *   of the stack takes what is sent there. Where none does, 127.0.0.0/8 is the kernel's business.
 * - `settings`: id = a socket's id, also that of a stream whose connect failed. The answer tells what the program has set,
 *   for the socket that is to take its place: local = what it was bound to (family none: nothing), arg1 = 1 if it named
 *   the port; `length` bytes follow, arg0 options of 12 bytes (level, name, value), and the name of the congestion control
 *   if one was chosen.
 * - `pass`: the answer's arg3 and arg4 are the pass. In arg3 and arg4 of any request it proves that a program was started
 *   by somebody who may open sockets, whatever user it has become since.
 * - `interfaces`: `length` bytes follow the answer, for every address of the host `INTERFACE_SIZE`: 16 of the interface's
 *   name, its index (u32), its MTU (u32), the address, its prefix length (u32), the MAC address (6 bytes), 2 of nothing.
 * - `setOption`: id, arg0 = level, arg1 = name, arg2 = value, Linux numbers; of options that are text (TCP_CONGESTION)
 *   `length` bytes of it follow. `getOption` likewise; the value comes in the answer's arg2, or as `length` bytes. IP_MTU of a
 *   datagram socket may be asked with remote = where a message would go (address 0: its peer): what it is measured by.
 *
 * `resolve`, `status`, `outcome`, `bind`, `names`, `associate`, `serves`, `settings`, `pass`, `interfaces`, `listen` with an id,
 * `setOption` and `getOption` may follow one another on one connection. A request that is not understood gets an answer with EPROTO
 * (op, magic, version) or EINVAL (a field) and the connection is closed.
 */
import type { LinkInfo } from "./network_messages.ts";

import type { TcpInfo } from "../tcp/info.ts";

/** The payload of an echo request: byte `offset` of it. */
export function echoByte(offset: number): number {
  return offset & 255;
}

export const MAGIC = 0x50494c4c; // "LLIP"
export const VERSION = 1;
export const RECORD_SIZE = 88;
/** Bytes of one row of what `interfaces` answers. */
export const INTERFACE_SIZE = 40;

export const OP = {
  none: 0,
  connect: 1,
  listen: 2,
  accept: 3,
  ping: 4,
  echo: 5,
  resolve: 6,
  status: 7,
  outcome: 8,
  setOption: 9,
  getOption: 10,
  socket: 11,
  bind: 12,
  names: 13,
  associate: 14,
  datagram: 15,
  serves: 16,
  settings: 17,
  pass: 18,
  network: 19,
  interfaces: 20,
  trace: 21,
  probe: 22,
} as const;

/** What `trace` probes with. */
export const TRACE_KIND = { udp: 1, icmp: 2, tcp: 3 } as const;

/** connect, socket, setOption on the socket itself: no answer record is written into the stream. */
export const FLAG_QUIET = 1;
/** An echo answer to a sequence number that was answered already. */
export const FLAG_DUPLICATE = 2;
/** resolve: the answer was kept from another look-up. */
export const FLAG_FROM_CACHE = 4;
/** resolve: no server was needed, the name is an address, localhost or in /etc/hosts. */
export const FLAG_FROM_HOST = 8;

export const FAMILY_NONE = 0;
export const FAMILY_IPV4 = 2;

/** Ids of sockets that a program holds: 48 bits, since a tag holds no more. */
export const ID_MASK = 0xffff_ffff_ffffn;

/** The longest name `resolve` takes, bytes (RFC 1035 2.3.4). */
export const MAX_NAME = 255;
/** The most addresses of one name that `resolve` answers with. */
export const MAX_ADDRESSES = 128;
/** The most filler `connect` takes, bytes. */
export const MAX_FILLER = 1 << 22;
/** The largest payload of an echo request, bytes: what fits an IPv4 packet. */
export const MAX_ECHO = 65535 - 20 - 8;
/** The largest payload of a datagram, bytes: the same. */
export const MAX_DATAGRAM = MAX_ECHO;

/** The largest IP packet, bytes. */
export const MAX_PACKET = 65535;
/** The longest request of `network`, bytes of JSON. */
export const MAX_NETWORK_REQUEST = 1024;

/** How many bytes may follow a request. */
export function mostBytes(op: number): number {
  switch (op) {
    case OP.connect:
      return MAX_FILLER;
    case OP.resolve:
    case OP.setOption:
      return MAX_NAME;
    case OP.network:
      return MAX_NETWORK_REQUEST;
    default:
      return 0;
  }
}

/** One end of a connection as a record carries it. */
export class Endpoint {
  family = FAMILY_NONE;
  port = 0;
  /** IPv4: the address as int32. */
  address = 0;

  /** Sets an IPv4 name. */
  set(address: number, port: number): this {
    this.family = FAMILY_IPV4;
    this.address = address | 0;
    this.port = port;
    return this;
  }

  clear(): void {
    this.family = FAMILY_NONE;
    this.port = this.address = 0;
  }
}

/** One message, request or answer, as a struct that is reused. */
export class ProtocolRecord {
  op: number = OP.none;
  flags = 0;
  errno = 0;
  id = 0n;
  arg0 = 0;
  arg1 = 0;
  arg2 = 0;
  arg3 = 0;
  arg4 = 0;
  length = 0;
  readonly local = new Endpoint();
  readonly remote = new Endpoint();

  /** Empties the record and makes it one of `op`. */
  reset(op: number): this {
    this.op = op;
    this.flags = this.errno = this.length = 0;
    this.arg0 =
      this.arg1 =
      this.arg2 =
      this.arg3 =
      this.arg4 =
        0;
    this.id = 0n;
    this.local.clear();
    this.remote.clear();
    return this;
  }
}

/** The pass that a request shows; 0n: none. */
export function passOf({ arg3, arg4 }: ProtocolRecord): bigint {
  return BigInt.asUintN(32, BigInt(arg3)) | BigInt.asUintN(32, BigInt(arg4)) << 32n;
}

/** Puts `pass`, 64 bits, into a record. */
export function setPass(record: ProtocolRecord, pass: bigint): void {
  record.arg3 = Number(BigInt.asIntN(32, pass));
  record.arg4 = Number(BigInt.asIntN(32, pass >> 32n));
}

/** Writes `record` as `RECORD_SIZE` bytes from `offset` on. */
export function encodeRecord(record: ProtocolRecord, view: DataView, offset: number): void {
  view.setUint32(offset, MAGIC, true);
  view.setUint16(offset + 4, VERSION, true);
  view.setUint16(offset + 6, record.op, true);
  view.setUint32(offset + 8, record.flags, true);
  view.setInt32(offset + 12, record.errno, true);
  view.setBigUint64(offset + 16, record.id, true);
  view.setInt32(offset + 24, record.arg0, true);
  view.setInt32(offset + 28, record.arg1, true);
  view.setInt32(offset + 32, record.arg2, true);
  view.setInt32(offset + 36, record.arg3, true);
  view.setInt32(offset + 40, record.arg4, true);
  view.setUint32(offset + 44, record.length, true);
  encodeEndpoint(record.local, view, offset + 48);
  encodeEndpoint(record.remote, view, offset + 68);
}

/** Reads a record; false when magic or version are not ours, or a family is unknown. */
export function decodeRecord(view: DataView, offset: number, record: ProtocolRecord): boolean {
  if (view.getUint32(offset, true) !== MAGIC || view.getUint16(offset + 4, true) !== VERSION) return false;
  record.op = view.getUint16(offset + 6, true);
  record.flags = view.getUint32(offset + 8, true);
  record.errno = view.getInt32(offset + 12, true);
  record.id = view.getBigUint64(offset + 16, true);
  record.arg0 = view.getInt32(offset + 24, true);
  record.arg1 = view.getInt32(offset + 28, true);
  record.arg2 = view.getInt32(offset + 32, true);
  record.arg3 = view.getInt32(offset + 36, true);
  record.arg4 = view.getInt32(offset + 40, true);
  record.length = view.getUint32(offset + 44, true);
  return decodeEndpoint(record.local, view, offset + 48) && decodeEndpoint(record.remote, view, offset + 68);
}

function encodeEndpoint(endpoint: Endpoint, view: DataView, offset: number): void {
  view.setUint16(offset, endpoint.family, true);
  view.setUint16(offset + 2, endpoint.port, true);
  // The address is a row of bytes, not a number: network order.
  view.setInt32(offset + 4, endpoint.address, false);
  view.setInt32(offset + 8, 0);
  view.setInt32(offset + 12, 0);
  view.setInt32(offset + 16, 0);
}

function decodeEndpoint(endpoint: Endpoint, view: DataView, offset: number): boolean {
  endpoint.family = view.getUint16(offset, true);
  endpoint.port = view.getUint16(offset + 2, true);
  endpoint.address = view.getInt32(offset + 4, false);
  return endpoint.family === FAMILY_IPV4 || endpoint.family === FAMILY_NONE;
}

/** What `status` answers. Numbers are bytes, packets or microseconds, as the names say. */
export interface DaemonStatus {
  version: string;
  pid: number;
  uptimeUs: number;
  /** The stack's own address, e.g. "10.0.0.4": the first of the first device; "0.0.0.0" if it has none. */
  address: string;
  prefixLength: number;
  gateway: string | null;
  mac: string;
  device: string;
  mtu: number;
  /** Packets are passed on between the interfaces. */
  forwarding: boolean;
  /** All interfaces with their addresses, as `ip -j addr` shows them. */
  interfaces: LinkInfo[];
  socketPath: string;
  /** Unix connections now held by the daemon. */
  clients: number;
  connections: ConnectionStatus[];
  /** Packets by kind and drops by reason. */
  counters: Record<string, number>;
  neighbours: NeighbourStatus[];
  routes: RouteStatus[];
  /** Whom the daemon asks for names, e.g. "10.0.0.1". */
  nameServers: string[];
}

export interface ConnectionStatus {
  /** TCP connection and listener, UDP, ICMP echo, raw. A "stream" without a peer is a socket that is bound only. */
  kind: "stream" | "listener" | "datagram" | "echo" | "raw";
  /** Of a raw socket: the IP protocol. */
  protocol?: number;
  /** RFC 9293 3.3.2, as ss(8) spells it: "ESTAB", "LISTEN", ...; of datagrams "ESTAB" with one peer, else "UNCONN". */
  state: string;
  localAddress: string;
  localPort: number;
  remoteAddress: string;
  remotePort: number;
  /** Bytes received that the program has not taken yet; of a listener: connections that wait to be accepted. */
  receiveQueue: number;
  /** Bytes that the peer has not acknowledged yet; of a listener: its backlog. */
  sendQueue: number;
  /** Congestion window, bytes. */
  congestionWindow: number;
  rttUs: number;
  rttVarianceUs: number;
  rtoUs: number;
  retransmits: number;
  /** The program that holds it; 0 if none does (it is closing). */
  pid: number;
  uid: number;
  /** The program's name, as /proc/PID/comm has it; "" if it is not known. */
  program: string;
  /** Of a connection, if it was asked for: TCP_INFO by Linux's names. */
  info?: TcpInfo;
}

export interface NeighbourStatus {
  address: string;
  device: string;
  mac: string | null;
  state: string;
}

export interface RouteStatus {
  destination: string;
  prefixLength: number;
  gateway: string | null;
  device: string;
}
