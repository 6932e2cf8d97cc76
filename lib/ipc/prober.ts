import { EINVAL } from "../errno.ts";
import {
  type Datagram,
  DATAGRAM_ERROR,
  IP_RECVERR,
  IPPROTO_IP,
  SocketKind,
  SocketName,
} from "../stack/socket_types.ts";
import { Memory } from "../buffer/memory.ts";
import { fold, pseudoSum, sum } from "../wire/checksum.ts";
import { IP_PROTOCOL, IPV4_HEADER } from "../wire/ipv4.ts";
import { ACK, emitTcp, parseTcp, RST, SYN, TCP_CHECKSUM_OFFSET, TcpHeader } from "../wire/tcp.ts";
import type { SocketLayer } from "./host.ts";
import { echoByte, type ProtocolRecord, TRACE_KIND } from "./protocol.ts";

const ICMP_HEADER = 8;
const UDP_HEADER = 8;
const ICMP_ECHO = 8;
const ICMP_ECHO_REPLY = 0;
/** What a host on Ethernet says. */
const MSS = 1460;
const WINDOW = 5840;

/**
 * A way to send packets that come to nothing on their way, and to tell by what comes back which of them did: each has a
 * key that ICMP errors (RFC 792: 8 bytes behind the IP header) and answers repeat.
 */
export interface Prober {
  readonly handle: number;
  /** Makes `datagram` the probe that `record` asks for; its key, or -errno. */
  build(record: ProtocolRecord, datagram: Datagram): number;
  /** The key of the probe that what came is about; -1: it is about none. */
  keyOf(datagram: Datagram): number;
  /** An answer came, or nobody waits for one any more. */
  release(key: number, now: number): void;
}

/** Opens a prober for the destination and from the address that `request` names; or an errno. */
export function openProber(stack: SocketLayer, request: ProtocolRecord, now: number): Prober | number {
  const { arg0: kind, local, remote } = request;
  const handle = kind === TRACE_KIND.udp
    ? stack.socket(SocketKind.datagram)
    : kind === TRACE_KIND.icmp
    ? stack.socket(SocketKind.icmp)
    : stack.socket(SocketKind.raw, IP_PROTOCOL.tcp);
  if (handle < 0) return -handle;
  let result = stack.bind(handle, local.address, 0);
  if (result >= 0) result = stack.setOption(handle, IPPROTO_IP, IP_RECVERR, 1, now);
  // The copies of other peers' segments are none of ours.
  if (result >= 0 && kind === TRACE_KIND.tcp) result = stack.connect(handle, remote.address, 0, now);
  if (result < 0) {
    stack.close(handle, now);
    return -result;
  }
  if (kind === TRACE_KIND.udp) return new UdpProber(handle);
  return kind === TRACE_KIND.icmp ? new EchoProber(handle) : new SynProber(handle, stack, remote.address);
}

/** Bytes of a probe's payload: what is left of an IP packet of arg1 bytes; negative: it is too small. */
function payloadOf(record: ProtocolRecord, header: number): number {
  return record.arg1 - IPV4_HEADER - header;
}

function fill(bytes: Uint8Array, start: number, length: number): void {
  for (let i = 0; i < length; i++) bytes[start + i] = echoByte(i);
}

/** UDP to ports where nobody listens: the port is the key. */
class UdpProber implements Prober {
  constructor(readonly handle: number) {}

  build(record: ProtocolRecord, datagram: Datagram): number {
    const length = payloadOf(record, UDP_HEADER);
    const { port } = record.remote;
    if (length < 0 || port === 0) return -EINVAL;
    fill(datagram.bytes, 0, length);
    datagram.port = port;
    datagram.length = length;
    return port;
  }

  keyOf(datagram: Datagram): number {
    return datagram.port;
  }

  release(): void {}
}

/** Echo requests: the sequence number is the key. */
class EchoProber implements Prober {
  constructor(readonly handle: number) {}

  build(record: ProtocolRecord, datagram: Datagram): number {
    const length = payloadOf(record, ICMP_HEADER);
    if (length < 0) return -EINVAL;
    const { bytes } = datagram;
    const key = record.arg0 & 0xffff;
    bytes.fill(0, 0, ICMP_HEADER);
    bytes[0] = ICMP_ECHO;
    bytes[6] = key >> 8;
    bytes[7] = key & 0xff;
    fill(bytes, ICMP_HEADER, length);
    datagram.port = 0;
    datagram.length = ICMP_HEADER + length;
    return key;
  }

  keyOf({ bytes, length, kind }: Datagram): number {
    if (length < ICMP_HEADER || (kind !== DATAGRAM_ERROR && bytes[0] !== ICMP_ECHO_REPLY)) return -1;
    return (bytes[6] << 8) | bytes[7];
  }

  release(): void {}
}

/**
 * SYNs, each from a port of its own, which is the key: half-open as scanners do it, so that no program notices. The port is
 * held by a socket without a connection, wherefore the stack answers a SYN-ACK with a reset.
 */
class SynProber implements Prober {
  readonly #memory = new Memory(128);
  readonly #header = new TcpHeader();
  readonly #name = new SocketName();
  readonly #local: number;
  /** The sockets that hold the ports, and the sequence numbers that were sent. */
  readonly #held = new Map<number, { holder: number; seq: number }>();

  constructor(readonly handle: number, readonly stack: SocketLayer, readonly destination: number) {
    stack.name(handle, this.#name);
    this.#local = this.#name.localAddress;
  }

  build(record: ProtocolRecord, datagram: Datagram): number {
    const { port } = record.remote;
    if (port === 0) return -EINVAL;
    const holder = this.stack.socket(SocketKind.stream);
    if (holder < 0) return holder;
    const bound = this.stack.bind(holder, this.#local, 0);
    if (bound < 0) {
      this.stack.close(holder, 0);
      return bound;
    }
    this.stack.name(holder, this.#name);
    const key = this.#name.localPort;
    // Any number that differs from probe to probe: the port tells them apart, this tells a stranger's answer.
    const seq = Math.imul(record.arg0 + 1, 0x9e3779b1) ^ (key << 13);
    this.#held.set(key, { holder, seq });
    datagram.port = 0;
    datagram.length = this.#emitSyn(key, port, seq, datagram.bytes);
    return key;
  }

  #emitSyn(sourcePort: number, destinationPort: number, seq: number, bytes: Uint8Array): number {
    const header = this.#header;
    header.clearOptions();
    header.sourcePort = sourcePort;
    header.destinationPort = destinationPort;
    header.seq = seq;
    header.ack = header.urgentPointer = 0;
    header.flags = SYN;
    header.window = WINDOW;
    header.mss = MSS;
    const length = emitTcp(this.#memory, 0, header);
    const pseudo = pseudoSum(this.#local, this.destination, IP_PROTOCOL.tcp, length);
    this.#memory.view.setUint16(TCP_CHECKSUM_OFFSET, fold(sum(this.#memory, 0, length, pseudo)));
    bytes.set(this.#memory.bytes.subarray(0, length));
    return length;
  }

  keyOf({ bytes, length, kind }: Datagram): number {
    // What a router quotes begins with the TCP header, an answer with the IP header.
    if (kind === DATAGRAM_ERROR) {
      return length < 8 || !this.#held.has(portAt(bytes, 0)) ? -1 : portAt(bytes, 0);
    }
    const start = (bytes[0] & 0xf) << 2;
    const taken = Math.min(length - start, this.#memory.size);
    this.#memory.bytes.set(bytes.subarray(start, start + taken));
    const header = this.#header;
    if (parseTcp(this.#memory, 0, taken, header) !== 0) return -1;
    const held = this.#held.get(header.destinationPort);
    const isAnswer = held !== undefined && (header.flags & ACK) !== 0 &&
      header.ack === ((held.seq + 1) | 0) &&
      (header.flags & (SYN | RST)) !== 0;
    return isAnswer ? header.destinationPort : -1;
  }

  release(key: number, now: number): void {
    const held = this.#held.get(key);
    if (held === undefined) return;
    this.#held.delete(key);
    this.stack.close(held.holder, now);
  }
}

function portAt(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] << 8) | bytes[offset + 1];
}
