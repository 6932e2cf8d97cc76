import { Memory, Slices } from "../buffer/memory.ts";
import { EAGAIN, EINVAL, EPERM } from "../errno.ts";
import {
  Datagram,
  DATAGRAM_DATA,
  IP_HDRINCL,
  IP_RECVERR,
  IPPROTO_IP,
  READY_READ_CLOSED,
  SocketKind,
} from "../stack/socket_types.ts";
import type { ClientSocket, Role } from "./client_socket.ts";
import { answerWithNames } from "./connect_role.ts";
import {
  decodeRecord,
  encodeRecord,
  FAMILY_IPV4,
  MAX_DATAGRAM,
  MAX_PACKET,
  OP,
  type ProtocolRecord,
  RECORD_SIZE,
} from "./protocol.ts";
import type { Service } from "./service.ts";

/** Messages in each direction before the others have their turn. */
const BUDGET = 64;

/** Where messages of the client whose turn it is lie: of the program as many as came at once, of the network one. */
const input = new Memory(128 * 1024);
const output = new Memory(128 * 1024);
const slices = new Slices();
const datagram = new Datagram();

/**
 * A datagram socket whose messages are records on the program's byte stream: for programs that cannot receive
 * descriptors, as Deno's. What `DatagramRole` is to the others.
 */
export class MessageRole implements Role {
  /** Of the program: what did not come whole, or what the stack had no room for. */
  #incoming: Uint8Array<ArrayBuffer> | null = null;
  /** For the program: the rest of a message. */
  #outgoing: Uint8Array<ArrayBuffer> | null = null;
  #stackFull = false;
  readonly #kind: SocketKind;
  /** Bytes of the largest message. */
  readonly #most: number;

  private constructor(kind: SocketKind) {
    this.#kind = kind;
    this.#most = kind === SocketKind.datagram ? MAX_DATAGRAM : MAX_PACKET;
  }

  /** Opens the socket as `request` asks; 0 or an errno to answer with. */
  static begin(client: ClientSocket, service: Service, request: ProtocolRecord, now: number): number {
    const { stack } = service;
    const { local, remote, arg0, arg1: protocol, arg2: includesHeader } = request;
    const kind = arg0 === 0 ? SocketKind.datagram : arg0 as SocketKind;
    if (kind === SocketKind.raw && !service.mayOpenRaw(client.peer)) return EPERM;
    const handle = stack.socket(kind, protocol);
    if (handle < 0) return -handle;
    let result = 0;
    if (kind !== SocketKind.datagram) result = stack.setOption(handle, IPPROTO_IP, IP_RECVERR, 1, now);
    if (includesHeader !== 0) result = stack.setOption(handle, IPPROTO_IP, IP_HDRINCL, 1, now);
    if (result >= 0 && local.family === FAMILY_IPV4) result = stack.bind(handle, local.address, local.port);
    if (result >= 0 && remote.family === FAMILY_IPV4) {
      result = stack.connect(handle, remote.address, remote.port, now);
    }
    if (result < 0) {
      stack.close(handle, now);
      return -result;
    }
    service.attach(client, handle);
    service.identify(client, service.newId());
    client.role = new MessageRole(kind);
    answerWithNames(client, service, OP.datagram);
    service.wake(client);
    return 0;
  }

  run(client: ClientSocket, service: Service, now: number): boolean {
    this.#stackFull = false;
    const moreOut = this.#fromProgram(client, service, now);
    if (client.closed) return false;
    if (client.hungUp) {
      // What the program sent before it closed is sent still.
      if (moreOut) return true;
      service.drop(client, now);
      return false;
    }
    return this.#toProgram(client, service) || moreOut;
  }

  end(client: ClientSocket, service: Service, now: number): void {
    if (client.handle >= 0) service.stack.close(service.detach(client), now);
  }

  /** Sends what the program wrote; true when there may be more. */
  #fromProgram(client: ClientSocket, service: Service, now: number): boolean {
    let held = 0;
    if (this.#incoming !== null) {
      input.bytes.set(this.#incoming);
      held = this.#incoming.length;
      this.#incoming = null;
    }
    // A whole message that waits goes first.
    const hasRoom = held < RECORD_SIZE + MAX_PACKET;
    if (client.readable && hasRoom) held += Math.max(0, this.#receive(client, service, held));
    let at = 0;
    for (let left = BUDGET; left > 0 && !this.#stackFull; left--) {
      const taken = this.#send(client, service, at, held, now);
      if (taken === 0) break;
      at += taken;
      if (client.closed) return false;
    }
    if (at < held) this.#incoming = input.bytes.slice(at, held);
    return !this.#stackFull && (client.readable || at > 0 && at < held);
  }

  #receive(client: ClientSocket, service: Service, held: number): number {
    slices.memory = input;
    slices.offset1 = held;
    slices.length1 = input.size - held;
    slices.offset2 = slices.length2 = 0;
    const count = service.host.receive(client.fd, slices);
    if (count <= 0 || (count < input.size - held && !client.ended)) client.readable = false;
    return count;
  }

  /** Sends the message at `at`; the bytes that it took, 0 when it is not there whole or has to wait. */
  #send(client: ClientSocket, service: Service, at: number, end: number, now: number): number {
    if (end - at < RECORD_SIZE) return 0;
    const { record } = service;
    if (!decodeRecord(input.view, at, record) || record.op !== OP.datagram || record.length > this.#most) {
      service.counters.requestsMalformed++;
      service.drop(client, now);
      return 0;
    }
    const { remote, length } = record;
    const start = at + RECORD_SIZE;
    if (end - start < length) return 0;
    const isNamed = remote.family === FAMILY_IPV4;
    datagram.address = isNamed ? remote.address : 0;
    datagram.port = isNamed ? remote.port : 0;
    datagram.ttl = record.arg0 & 0xff;
    datagram.segment = record.arg1 & 0xffff;
    datagram.offset = 0;
    datagram.tos = -1;
    datagram.length = length;
    datagram.bytes.set(input.bytes.subarray(start, start + length));
    const lacksPort = isNamed && remote.port === 0 && this.#kind === SocketKind.datagram;
    const sent = lacksPort ? -EINVAL : service.stack.sendTo(client.handle, datagram, now);
    if (sent === -EAGAIN) {
      this.#stackFull = true;
      return 0;
    }
    if (sent < 0) this.#giveError(client, service, -sent);
    return RECORD_SIZE + length;
  }

  /** Hands on what came in; true when the budget was used up. */
  #toProgram(client: ClientSocket, service: Service): boolean {
    if (this.#outgoing !== null) {
      output.bytes.set(this.#outgoing);
      const { length } = this.#outgoing;
      this.#outgoing = null;
      this.#give(client, service, length);
    }
    const { stack, record } = service;
    for (let left = BUDGET; left > 0; left--) {
      if (!client.writable || this.#outgoing !== null) return false;
      datagram.kind = DATAGRAM_DATA;
      const length = stack.receiveFrom(client.handle, datagram);
      if (length === -EAGAIN) return false;
      if (length < 0) {
        this.#giveError(client, service, -length);
        continue;
      }
      if (length === 0 && (stack.readiness(client.handle) & READY_READ_CLOSED) !== 0) return false;
      record.reset(OP.datagram).remote.set(datagram.address, datagram.port);
      record.arg0 = datagram.ttl;
      record.length = length;
      if (datagram.kind !== DATAGRAM_DATA) fillIcmpError(record);
      encodeRecord(record, output.view, 0);
      output.bytes.set(datagram.bytes.subarray(0, length), RECORD_SIZE);
      this.#give(client, service, RECORD_SIZE + length);
    }
    return true;
  }

  /** An error that comes while another message waits to be read is lost, as SO_ERROR holds only one. */
  #giveError(client: ClientSocket, service: Service, errno: number): void {
    if (this.#outgoing !== null) return;
    service.record.reset(OP.datagram).errno = errno;
    service.record.arg4 = -1;
    encodeRecord(service.record, output.view, 0);
    this.#give(client, service, RECORD_SIZE);
  }

  #give(client: ClientSocket, service: Service, length: number): void {
    const sent = client.writable ? service.send(client, output, 0, length) : 0;
    if (sent < length) this.#outgoing = output.bytes.slice(sent, length);
  }
}

/** What `datagram` knows of an ICMP error. */
function fillIcmpError(record: ProtocolRecord): void {
  record.errno = datagram.errno;
  record.local.set(datagram.sourceAddress, 0);
  record.arg1 = datagram.mtu;
  record.arg4 = (datagram.icmpType << 8) | datagram.icmpCode;
}
