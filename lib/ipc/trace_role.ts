import { EAGAIN, EINVAL, EMSGSIZE } from "../errno.ts";
import { DATAGRAM_ERROR, IP_MTU_DISCOVER, IPPROTO_IP } from "../stack/socket_types.ts";
import type { ClientSocket, Role } from "./client_socket.ts";
import { answerWithNames } from "./connect_role.ts";
import { openProber, type Prober } from "./prober.ts";
import { decodeRecord, MAX_PACKET, OP, type ProtocolRecord } from "./protocol.ts";
import { RequestReader } from "./request_reader.ts";
import type { Service } from "./service.ts";

/** Answers to one client before the others have their turn. */
const BUDGET = 64;
/** Probes that are waited for. */
const MAX_OUTSTANDING = 1024;

interface Sent {
  number: number;
  atUs: number;
}

/** Probes a path (traceroute, tracepath): sends what the program asks for, and tells who answered to which of them. */
export class TraceRole implements Role {
  readonly #reader = new RequestReader();
  readonly #prober: Prober;
  readonly #destination: number;
  /** The probes by their key, the oldest first. */
  readonly #sent = new Map<number, Sent>();
  #discoverPlusOne = 0;

  private constructor(prober: Prober, destination: number) {
    this.#prober = prober;
    this.#destination = destination;
  }

  /** Opens what the probes are sent with; 0 or an errno to answer with. */
  static begin(client: ClientSocket, service: Service, request: ProtocolRecord, now: number): number {
    const { address } = request.remote;
    const prober = openProber(service.stack, request, now);
    if (typeof prober === "number") return prober;
    service.attach(client, prober.handle);
    client.role = new TraceRole(prober, address);
    answerWithNames(client, service, OP.trace);
    service.wake(client);
    return 0;
  }

  run(client: ClientSocket, service: Service, now: number): boolean {
    // One probe a turn: they do not wait for each other's turn on the wire, which would count as their round trip. With no
    // room to answer, no more is asked.
    let isMore = client.readable && client.writable && client.role === this;
    if (isMore) {
      const length = this.#reader.next(client, service);
      if (length < 0 || length > 0 && !this.#request(client, service, now)) {
        service.drop(client, now);
        return false;
      }
      isMore = client.readable;
    }
    if (client.hungUp) {
      service.drop(client, now);
      return false;
    }
    return this.#collect(client, service, now) || isMore;
  }

  end(client: ClientSocket, service: Service, now: number): void {
    for (const key of this.#sent.keys()) this.#prober.release(key, now);
    this.#sent.clear();
    if (client.handle >= 0) service.stack.close(service.detach(client), now);
  }

  /** Sends the probe that the record in `scratch` asks for; false if it is none. */
  #request(client: ClientSocket, service: Service, now: number): boolean {
    const { record, datagram, stack } = service;
    if (!decodeRecord(service.scratch.view, 0, record) || record.op !== OP.probe || record.length !== 0) {
      service.counters.requestsMalformed++;
      return false;
    }
    const { arg0: number, arg1: size, arg2: discover, arg3: ttl } = record;
    datagram.address = this.#destination;
    datagram.ttl = ttl;
    datagram.tos = -1;
    datagram.fromAddress = datagram.offset = 0;
    const isPossible = size >= 0 && size <= MAX_PACKET && ttl >= 1 && ttl <= 255 &&
      this.#setDiscover(client, service, discover, now);
    const key = isPossible ? this.#prober.build(record, datagram) : -EINVAL;
    if (key < 0) {
      this.#fail(client, service, number, -key);
      return true;
    }
    const result = stack.sendTo(client.handle, datagram, now);
    if (result < 0) {
      this.#prober.release(key, now);
      this.#fail(client, service, number, -result, result === -EMSGSIZE ? datagram.mtu : 0);
      return true;
    }
    this.#remember(key, { number, atUs: now }, now);
    return true;
  }

  #remember(key: number, sent: Sent, now: number): void {
    this.#sent.delete(key);
    this.#sent.set(key, sent);
    if (this.#sent.size <= MAX_OUTSTANDING) return;
    const [oldest] = this.#sent.keys();
    this.#sent.delete(oldest);
    this.#prober.release(oldest, now);
  }

  /** `plusOne`: 1 + a value of IP_MTU_DISCOVER; 0 changes nothing. False if there is no such value. */
  #setDiscover(client: ClientSocket, service: Service, plusOne: number, now: number): boolean {
    if (plusOne === 0 || plusOne === this.#discoverPlusOne) return true;
    if (service.stack.setOption(client.handle, IPPROTO_IP, IP_MTU_DISCOVER, plusOne - 1, now) < 0) {
      return false;
    }
    this.#discoverPlusOne = plusOne;
    return true;
  }

  /** The probe did not go out. */
  #fail(client: ClientSocket, service: Service, number: number, errno: number, mtu = 0): void {
    const record = service.record.reset(OP.probe);
    record.errno = errno;
    record.arg0 = number;
    record.arg1 = mtu;
    record.arg4 = -1;
    service.answer(client, record);
  }

  /** Hands on what came back; true when the budget was used up. */
  #collect(client: ClientSocket, service: Service, now: number): boolean {
    const { datagram, stack } = service;
    for (let left = BUDGET; left > 0; left--) {
      // What does not fit stays in the stack's queue, and is dropped there when that is full.
      if (!client.writable || client.role !== this) return false;
      const result = stack.receiveFrom(client.handle, datagram);
      if (result === -EAGAIN) return false;
      if (result < 0) continue;
      const key = this.#prober.keyOf(datagram);
      const sent = this.#sent.get(key);
      // Somebody else's, or the second answer to one.
      if (sent === undefined) continue;
      this.#sent.delete(key);
      this.#prober.release(key, now);
      service.answer(client, this.#answerFor(service, sent));
    }
    return true;
  }

  #answerFor({ record, datagram }: Service, sent: Sent): ProtocolRecord {
    const failed = datagram.kind === DATAGRAM_ERROR;
    record.reset(OP.probe);
    record.remote.set(failed ? datagram.sourceAddress : datagram.address, 0);
    record.errno = failed ? datagram.errno : 0;
    record.arg0 = sent.number;
    record.arg1 = failed ? datagram.mtu : 0;
    record.arg2 = datagram.receivedAtUs - sent.atUs;
    record.arg3 = datagram.ttl;
    record.arg4 = failed ? (datagram.icmpType << 8) | datagram.icmpCode : -1;
    return record;
  }
}
