import { EAGAIN, EINVAL, EMSGSIZE } from "../errno.ts";
import { DATAGRAM_ERROR, IP_MTU_DISCOVER, IPPROTO_IP } from "../stack/socket_types.ts";
import type { ClientSocket, Role } from "./client_socket.ts";
import { decodeRecord, echoByte, FLAG_DUPLICATE, MAX_ECHO, OP, type ProtocolRecord } from "./protocol.ts";
import { RequestReader } from "./request_reader.ts";
import type { Service } from "./service.ts";

const ICMP_ECHO_REPLY = 0;
const ICMP_ECHO = 8;
const ICMP_HEADER = 8;

/** Requests, and answers, of one client before the others have their turn. */
const BUDGET = 64;
/** Requests whose times are kept. */
const MAX_OUTSTANDING = 1024;

/**
 * Where the payload of a reply is not what was sent: (offset + 1) * 256 + the byte that came; 0: nowhere. A checksum does
 * not see everything, and a host may answer with something of its own.
 */
export function damageIn(bytes: Uint8Array, length: number): number {
  for (let i = 0; i < length - ICMP_HEADER; i++) {
    const actual = bytes[ICMP_HEADER + i];
    if (actual !== echoByte(i)) return ((i + 1) << 8) | actual;
  }
  return 0;
}

/** An echo socket (RFC 792): sends the echo requests the program asks for and tells it what comes back. */
export class EchoRole implements Role {
  readonly #reader = new RequestReader();
  /** When each sequence number was sent, microseconds; negative once it was answered. */
  readonly #sentAtUs = new Map<number, number>();
  #mtuDiscoverPlusOne = 0;

  /** Opens the socket; 0 or an errno to answer with. */
  static begin(client: ClientSocket, service: Service): number {
    const handle = service.stack.socket(3);
    if (handle < 0) return -handle;
    const result = service.stack.bind(handle, 0, 0);
    if (result < 0) {
      service.stack.close(handle, 0);
      return -result;
    }
    service.attach(client, handle);
    client.role = new EchoRole();
    service.answer(client, service.record.reset(OP.ping));
    service.wake(client);
    return 0;
  }

  run(client: ClientSocket, service: Service, now: number): boolean {
    let left = BUDGET;
    for (; left > 0 && client.readable && client.writable && client.role === this; left--) {
      const length = this.#reader.next(client, service);
      if (length === 0) break;
      if (length < 0 || !this.#request(client, service, now)) {
        service.drop(client, now);
        return false;
      }
    }
    if (client.hungUp) {
      service.drop(client, now);
      return false;
    }
    return this.#collect(client, service) || left === 0;
  }

  end(client: ClientSocket, service: Service, now: number): void {
    if (client.handle >= 0) service.stack.close(service.detach(client), now);
  }

  /** Sends the echo request that the record in `scratch` asks for; false if it is none. */
  #request(client: ClientSocket, service: Service, now: number): boolean {
    const { record, datagram } = service;
    if (!decodeRecord(service.scratch.view, 0, record) || record.op !== OP.echo || record.length !== 0) {
      service.counters.requestsMalformed++;
      return false;
    }
    const { arg0: seq, arg1: size, arg2: discover, arg3: ttl } = record;
    const isPossible = seq >= 0 && seq <= 65535 && size >= 0 && size <= MAX_ECHO && ttl >= 0 && ttl <= 255;
    if (!isPossible || !this.#setMtuDiscover(client, service, discover, now)) {
      this.#answerError(client, service, seq, EINVAL);
      return true;
    }
    const { bytes } = datagram;
    const header = new DataView(bytes.buffer, bytes.byteOffset, ICMP_HEADER);
    header.setUint32(0, ICMP_ECHO << 24);
    header.setUint32(4, seq);
    for (let i = 0; i < size; i++) bytes[ICMP_HEADER + i] = echoByte(i);
    datagram.address = record.remote.address;
    datagram.port = 0;
    datagram.ttl = ttl;
    datagram.tos = -1;
    datagram.offset = 0;
    datagram.length = ICMP_HEADER + size;
    const result = service.stack.sendTo(client.handle, datagram, now);
    if (result < 0) {
      this.#answerError(client, service, seq, -result, result === -EMSGSIZE ? datagram.mtu : 0);
      return true;
    }
    this.#sentAtUs.delete(seq);
    this.#sentAtUs.set(seq, now);
    if (this.#sentAtUs.size > MAX_OUTSTANDING) {
      const [oldest] = this.#sentAtUs.keys();
      this.#sentAtUs.delete(oldest);
    }
    return true;
  }

  /** `plusOne`: 1 + a value of IP_MTU_DISCOVER; 0 changes nothing. False if there is no such value. */
  #setMtuDiscover(client: ClientSocket, service: Service, plusOne: number, now: number): boolean {
    if (plusOne === 0 || plusOne === this.#mtuDiscoverPlusOne) return true;
    if (service.stack.setOption(client.handle, IPPROTO_IP, IP_MTU_DISCOVER, plusOne - 1, now) < 0) {
      return false;
    }
    this.#mtuDiscoverPlusOne = plusOne;
    return true;
  }

  #answerError(client: ClientSocket, service: Service, seq: number, errno: number, mtu = 0): void {
    const record = service.record.reset(OP.echo);
    record.arg0 = seq;
    record.arg1 = mtu;
    record.arg4 = -1;
    record.errno = errno;
    service.answer(client, record);
  }

  /** Hands on what came back; true when the budget was used up. */
  #collect(client: ClientSocket, service: Service): boolean {
    const { datagram, stack } = service;
    for (let left = BUDGET; left > 0; left--) {
      // What does not fit stays in the stack's queue, and is dropped there when that is full.
      if (!client.writable || client.role !== this) return false;
      const result = stack.receiveFrom(client.handle, datagram);
      if (result === -EAGAIN) return false;
      const { bytes, length } = datagram;
      if (result < 0 && datagram.kind !== DATAGRAM_ERROR) return false;
      if (length < ICMP_HEADER) continue;
      const record = service.record.reset(OP.echo);
      record.arg0 = (bytes[6] << 8) | bytes[7];
      if (datagram.kind === DATAGRAM_ERROR) this.#fillError(service, record);
      else if (bytes[0] !== ICMP_ECHO_REPLY || !this.#fillReply(service, record)) continue;
      service.answer(client, record);
    }
    return true;
  }

  #fillError(service: Service, record: ProtocolRecord): void {
    const { datagram } = service;
    record.errno = datagram.errno;
    record.arg1 = datagram.mtu;
    record.arg4 = (datagram.icmpType << 8) | datagram.icmpCode;
    record.remote.set(datagram.sourceAddress, 0);
  }

  /** False if nothing was sent that this could be the reply to. */
  #fillReply(service: Service, record: ProtocolRecord): boolean {
    const { datagram } = service;
    const sentAtUs = this.#sentAtUs.get(record.arg0);
    if (sentAtUs === undefined) return false;
    record.remote.set(datagram.address, 0);
    record.arg1 = datagram.length;
    record.arg2 = datagram.receivedAtUs - Math.abs(sentAtUs);
    record.arg3 = datagram.ttl;
    record.arg4 = damageIn(datagram.bytes, datagram.length);
    if (sentAtUs < 0) record.flags |= FLAG_DUPLICATE;
    else this.#sentAtUs.set(record.arg0, -sentAtUs);
    return true;
  }
}
