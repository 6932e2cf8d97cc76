import { Memory } from "../buffer/memory.ts";
import { EAGAIN, EINVAL, EMFILE, EMSGSIZE, ENOPROTOOPT, EPERM } from "../errno.ts";
import {
  Datagram,
  DATAGRAM_CAPACITY,
  DATAGRAM_DATA,
  DATAGRAM_ERROR,
  IP_PKTINFO,
  IP_RECVERR,
  IP_RECVOPTS,
  IP_RECVTTL,
  IP_RETOPTS,
  IPPROTO_IP,
  READY_READ_CLOSED,
  SocketKind,
  SOL_SOCKET,
  SOL_UDP,
  UDP_GRO,
} from "../stack/socket_types.ts";
import type { ClientSocket, Role } from "./client_socket.ts";
import {
  DATAGRAM_ECHOED_OPTIONS,
  DATAGRAM_HEADER,
  DATAGRAM_OPTIONS,
  DATAGRAM_PKTINFO,
  DATAGRAM_QUEUED,
  DATAGRAM_SEGMENTS,
  DATAGRAM_TIMESTAMP,
  DATAGRAM_TOS,
  DATAGRAM_TTL,
  decodeDatagram,
  encodeDatagram,
  encodeFailure,
  MAX_DATAGRAM_OPTIONS,
} from "./datagram_header.ts";
import { SOCK_SEQPACKET } from "./host.ts";
import { encodeRecord, OP, RECORD_SIZE } from "./protocol.ts";
import type { Service } from "./service.ts";
import { makeTag, TAG_STATE } from "./tag.ts";

/** Messages in each direction before the others have their turn. */
const BUDGET = 64;

/** More messages than a Unix socket holds. */
const MAX_WRITTEN = 1024;

const IP_RECVTOS = 13;
const SO_TIMESTAMP = 29;

/** The kinds of sockets that carry messages, and what the program's end says that it is. */
type MessageKind = Exclude<SocketKind, typeof SocketKind.stream>;
const STATE_OF = { 2: TAG_STATE.datagram, 3: TAG_STATE.icmp, 4: TAG_STATE.raw } as const;

/**
 * Where a message lies on its way: header, then payload, so that it is not copied. One message at a time; what the stack
 * gives begins behind a header without options.
 */
const buffer = new Memory(DATAGRAM_HEADER + MAX_DATAGRAM_OPTIONS + DATAGRAM_CAPACITY);
const sending = new Datagram(buffer.bytes);
const received = new Datagram(buffer.bytes.subarray(DATAGRAM_HEADER, DATAGRAM_HEADER + DATAGRAM_CAPACITY));

/** A datagram or echo socket of a program: moves messages between its SOCK_SEQPACKET socket and the stack. */
export class DatagramRole implements Role {
  readonly keepsSettings = true;
  readonly #kind: MessageKind;
  readonly goesFirst: boolean;
  /** What the program wants to be told of each message: DATAGRAM_* bits. */
  #wants = 0;
  #queuesErrors = false;
  #connected = false;
  /** A message that the stack had no room for. */
  #outgoing: Uint8Array<ArrayBuffer> | null = null;
  /** A message that the program's socket had no room for. */
  #incoming: Uint8Array<ArrayBuffer> | null = null;

  private constructor(kind: MessageKind) {
    this.#kind = kind;
    // As on Linux a raw socket has its copy of a packet before anybody can tell what came of it.
    this.goesFirst = kind === SocketKind.raw;
  }

  /** Makes a socket and sends the program's end as the answer to `client`; 0 or an errno to answer with. */
  static begin(
    client: ClientSocket,
    service: Service,
    kind: MessageKind,
    protocol: number,
    now: number,
  ): number {
    const { host, stack, record } = service;
    if (kind === SocketKind.raw && !service.mayOpenRaw(client.peer)) return EPERM;
    const handle = stack.socket(kind, protocol);
    if (handle < 0) return -handle;
    const pair = host.socketPair(SOCK_SEQPACKET);
    const socket = typeof pair === "number"
      ? null
      : service.adopt(pair[0], client.peer, new DatagramRole(kind));
    if (typeof pair === "number" || socket === null) {
      if (typeof pair !== "number") host.close(pair[1]);
      stack.close(handle, now);
      return EMFILE;
    }
    service.attach(socket, handle);
    service.identify(socket, service.newSocketId());
    host.setTag(pair[1], makeTag(STATE_OF[kind], socket.id));
    record.reset(OP.socket).id = socket.id;
    encodeRecord(record, service.scratch.view, 0);
    const sent = host.sendDescriptor(client.fd, pair[1], service.scratch, 0, RECORD_SIZE);
    host.close(pair[1]);
    // A program that has gone takes its socket with it, whose hang-up tells.
    return sent === RECORD_SIZE ? 0 : EMFILE;
  }

  /**
   * Sends what the program has written already, before a call changes how or where to: calls come on another connection,
   * and could overtake it.
   */
  sendWritten(client: ClientSocket, service: Service, now: number): void {
    client.readable = true;
    for (let left = MAX_WRITTEN; left > 0 && this.#outgoing === null; left--) {
      const length = receive(client, service);
      // Nothing: there are no more, or the program has gone, which `run` finds out.
      if (length <= 0 || !this.#send(client, service, length, now)) return;
    }
  }

  /** connect(2): address 0 dissolves it. 0 or an errno. */
  associate(client: ClientSocket, service: Service, address: number, port: number, now: number): number {
    if (address === 0 && port === 0) {
      this.#connected = false;
      return -Math.min(0, service.stack.connect(client.handle, 0, 0, now));
    }
    const result = service.stack.connect(client.handle, address, port, now);
    if (result < 0) return -result;
    this.#connected = true;
    return 0;
  }

  /** The options that only this side knows of; -ENOPROTOOPT: it is none of them, or the stack is to know of it too. */
  setOption(level: number, name: number, value: number): number {
    const bit = bitOf(level, name);
    if (level === IPPROTO_IP && name === IP_RECVERR) this.#queuesErrors = value !== 0;
    if (level === SOL_UDP && name === UDP_GRO) this.#want(DATAGRAM_SEGMENTS, value !== 0);
    if (bit === 0) return -ENOPROTOOPT;
    this.#want(bit, value !== 0);
    return 0;
  }

  #want(bit: number, wanted: boolean): void {
    this.#wants = wanted ? this.#wants | bit : this.#wants & ~bit;
  }

  getOption(level: number, name: number): number {
    const bit = bitOf(level, name);
    return bit === 0 ? -ENOPROTOOPT : (this.#wants & bit) === 0 ? 0 : 1;
  }

  run(client: ClientSocket, service: Service, now: number): boolean {
    if (client.hungUp) {
      // What the program sent before it closed is sent still.
      while (this.#outgoing === null && this.#fromProgram(client, service, now));
      service.drop(client, now);
      return false;
    }
    const moreOut = this.#fromProgram(client, service, now);
    return this.#toProgram(client, service, now) || moreOut;
  }

  end(client: ClientSocket, service: Service, now: number): void {
    if (client.handle >= 0) service.stack.close(service.detach(client), now);
  }

  /** True when the budget is used up. */
  #fromProgram(client: ClientSocket, service: Service, now: number): boolean {
    if (this.#outgoing !== null) {
      const message = this.#outgoing;
      this.#outgoing = null;
      buffer.bytes.set(message);
      if (!this.#send(client, service, message.length, now)) return false;
    }
    for (let left = BUDGET; left > 0; left--) {
      if (!client.readable) return false;
      const length = receive(client, service);
      if (length < 0) return false;
      if (length === 0 && client.ended) return false;
      if (!this.#send(client, service, length, now)) return false;
    }
    return true;
  }

  /** Sends what lies in the buffer; false when the stack has no room, and it is kept. */
  #send(client: ClientSocket, service: Service, length: number, now: number): boolean {
    sending.offset = decodeDatagram(buffer.view, length, client.id, sending);
    sending.length = length - sending.offset;
    const sent = sending.length > DATAGRAM_CAPACITY
      ? -EINVAL
      : service.stack.sendTo(client.handle, sending, now);
    if (sent === -EAGAIN) {
      this.#outgoing = buffer.bytes.slice(0, length);
      return false;
    }
    if (sent === -EMSGSIZE && this.#queuesErrors && sending.mtu > 0) {
      this.#deliverTooBig(client, service, now);
    } else if (sent < 0) this.#deliverError(client, service, -sent);
    return true;
  }

  /** True when the budget is used up. */
  #toProgram(client: ClientSocket, service: Service, now: number): boolean {
    if (!this.#flush(client, service)) return false;
    for (let left = BUDGET; left > 0; left--) {
      if (!client.writable) return false;
      received.kind = DATAGRAM_DATA;
      const length = service.stack.receiveFrom(client.handle, received);
      if (length === -EAGAIN) return false;
      if (length < 0) this.#deliverError(client, service, -length);
      else if (length === 0 && (service.stack.readiness(client.handle) & READY_READ_CLOSED) !== 0) {
        return false;
      } else this.#deliver(client, service, length, now);
    }
    return true;
  }

  #deliver(client: ClientSocket, service: Service, length: number, now: number): void {
    const failed = received.kind === DATAGRAM_ERROR;
    // An echo socket of the stack always queues them; the program may not want that.
    if (failed && !this.#queuesErrors) return;
    if (this.#connected && this.#wants === 0 && !failed) {
      return this.#give(client, service, length, DATAGRAM_HEADER);
    }
    const flags = this.#wants | (failed ? DATAGRAM_QUEUED : 0);
    const isTimed = failed || (flags & DATAGRAM_TIMESTAMP) !== 0;
    const timestampUs = isTimed ? service.host.wallClockUs() - (now - received.receivedAtUs) : 0;
    const hasOptions = received.ipOptions !== null;
    // They come between: the payload makes room for them.
    if (hasOptions) move(DATAGRAM_HEADER, DATAGRAM_HEADER + MAX_DATAGRAM_OPTIONS, length);
    const header = encodeDatagram(buffer.view, client.id, flags, received, timestampUs);
    if (hasOptions) move(DATAGRAM_HEADER + MAX_DATAGRAM_OPTIONS, header, length);
    this.#give(client, service, header + length);
  }

  /** As Linux: with IP_RECVERR the queue of errors tells the MTU that the message in `sending` does not fit. */
  #deliverTooBig(client: ClientSocket, service: Service, now: number): void {
    received.address = sending.address;
    received.port = sending.port;
    received.mtu = sending.mtu;
    if (received.address === 0) {
      service.stack.name(client.handle, service.name);
      received.address = service.name.remoteAddress;
      received.port = service.name.remotePort;
    }
    received.ipOptions = null;
    received.kind = DATAGRAM_ERROR;
    received.errno = EMSGSIZE;
    received.icmpType =
      received.icmpCode =
      received.sourceAddress =
      received.localAddress =
        0;
    received.receivedAtUs = now;
    this.#deliver(client, service, 0, now);
  }

  #deliverError(client: ClientSocket, service: Service, errno: number): void {
    encodeFailure(buffer.view, client.id, errno);
    this.#give(client, service, DATAGRAM_HEADER);
  }

  #give(client: ClientSocket, service: Service, length: number, start = 0): void {
    if (!client.writable || service.send(client, buffer, start, length) === 0 && !client.writable) {
      this.#incoming = buffer.bytes.slice(start, start + length);
    }
  }

  /** True when nothing waits for the program to read. */
  #flush(client: ClientSocket, service: Service): boolean {
    if (this.#incoming === null) return true;
    if (!client.writable) return false;
    buffer.bytes.set(this.#incoming);
    const { length } = this.#incoming;
    this.#incoming = null;
    this.#give(client, service, length);
    return this.#incoming === null;
  }
}

function move(from: number, to: number, length: number): void {
  buffer.bytes.copyWithin(to, from, from + length);
}

function receive(client: ClientSocket, service: Service): number {
  const { slices } = service;
  slices.memory = buffer;
  slices.offset1 = 0;
  slices.length1 = buffer.size;
  slices.offset2 = slices.length2 = 0;
  const count = service.host.receive(client.fd, slices);
  // An empty datagram, of write(2), or the end, which may have come after the event that is being dealt with.
  if (count === 0 && !client.ended) client.ended = service.host.hasEnded(client.fd);
  if (count < 0 || (count === 0 && client.ended)) client.readable = false;
  return count;
}

/** The options at IPPROTO_IP that ask to be told something of each message. */
const IP_BITS = new Map([
  [IP_RECVTOS, DATAGRAM_TOS],
  [IP_RECVTTL, DATAGRAM_TTL],
  [IP_PKTINFO, DATAGRAM_PKTINFO],
  [IP_RECVOPTS, DATAGRAM_OPTIONS],
  [IP_RETOPTS, DATAGRAM_ECHOED_OPTIONS],
]);

function bitOf(level: number, name: number): number {
  if (level === SOL_SOCKET) return name === SO_TIMESTAMP ? DATAGRAM_TIMESTAMP : 0;
  if (level !== IPPROTO_IP) return 0;
  return IP_BITS.get(name) ?? 0;
}
