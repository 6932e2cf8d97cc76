import { Memory } from "../buffer/memory.ts";
import { EAGAIN } from "../errno.ts";
import { READY_READ } from "../stack/socket_types.ts";
import type { ClientSocket, Role } from "./client_socket.ts";
import { fillNames } from "./connect_role.ts";
import { SOCK_STREAM } from "./host.ts";
import { encodeRecord, OP, RECORD_SIZE } from "./protocol.ts";
import type { Service } from "./service.ts";
import { STREAM_SEND_BUFFER, StreamRole } from "./stream_role.ts";
import { makeTag, TAG_STATE } from "./tag.ts";

/**
 * Room for records of connections that the program has not accepted: some forty. The others stay in the stack's accept
 * queue, where the backlog that the program asked for holds.
 */
const SEND_BUFFER = 16384;
/** More than what the buffer holds. */
const MAX_RECENT = 64;

/** A connection that is to be announced: the socket was full. */
interface Pending {
  programEnd: number;
  record: Memory;
}

/**
 * A listener of a program that can receive descriptors: it gets a record for each connection with its end of that
 * attached, so that readable means acceptable, for several processes that share the listener too.
 */
export class AcceptRole implements Role {
  #pending: Pending | null = null;
  /** The connections announced last, which may not have been accepted. */
  readonly #recent: StreamRole[] = [];

  /** Begins to listen, or changes the backlog; 0 or an errno. */
  static begin(client: ClientSocket, service: Service, backlog: number): number {
    const result = service.stack.listen(client.handle, backlog);
    if (result < 0) return -result;
    if (client.role instanceof AcceptRole) return 0;
    client.role = new AcceptRole();
    service.host.setSendBuffer(client.fd, SEND_BUFFER);
    service.wake(client);
    return 0;
  }

  /** What the program writes to a listener is never read: it is there to keep the listener from being writable. */
  run(client: ClientSocket, service: Service, now: number): boolean {
    if (client.hungUp) {
      service.drop(client, now);
      return false;
    }
    while (client.writable) {
      const { stack } = service;
      if (this.#pending === null && (stack.readiness(client.handle) & READY_READ) === 0) return false;
      if (!(this.#pending !== null ? this.#retry(client, service) : this.#next(client, service, now))) {
        return false;
      }
    }
    return false;
  }

  end(client: ClientSocket, service: Service, now: number): void {
    if (this.#pending !== null) service.host.close(this.#pending.programEnd);
    this.#pending = null;
    // Records that lay unread in the program's socket took their connections with them.
    if (client.failed) { for (const role of this.#recent) role.abandon(); }
    if (client.handle >= 0) service.stack.close(service.detach(client), now);
  }

  /** Takes a connection off the stack and announces it; false when that must wait. */
  #next(client: ClientSocket, service: Service, now: number): boolean {
    const { host, stack } = service;
    const pair = host.socketPair(SOCK_STREAM);
    if (typeof pair === "number") {
      service.awaitDescriptor(client);
      return false;
    }
    const [ours, programEnd] = pair;
    const handle = stack.accept(client.handle);
    const role = new StreamRole(0, true);
    const stream = handle < 0 ? null : service.adopt(ours, client.peer, role);
    if (stream === null) {
      if (handle < 0) host.close(ours);
      else stack.abort(handle, now);
      host.close(programEnd);
      return false;
    }
    for (const end of pair) host.setSendBuffer(end, STREAM_SEND_BUFFER);
    service.attach(stream, handle);
    service.identify(stream, service.newSocketId());
    host.setTag(programEnd, makeTag(TAG_STATE.stream, stream.id));
    this.#recent.push(role);
    if (this.#recent.length > MAX_RECENT) this.#recent.shift();
    const record = service.record.reset(OP.accept);
    record.id = stream.id;
    fillNames(service, handle, record);
    encodeRecord(record, service.scratch.view, 0);
    return this.#announce(client, service, service.scratch, programEnd);
  }

  #retry(client: ClientSocket, service: Service): boolean {
    const { record, programEnd } = this.#pending!;
    this.#pending = null;
    return this.#announce(client, service, record, programEnd);
  }

  #announce(client: ClientSocket, service: Service, record: Memory, programEnd: number): boolean {
    const { host } = service;
    const sent = host.sendDescriptor(client.fd, programEnd, record, 0, RECORD_SIZE);
    if (sent === RECORD_SIZE) {
      host.close(programEnd);
      return true;
    }
    const copy = new Memory(128);
    copy.bytes.set(record.bytes.subarray(0, RECORD_SIZE));
    this.#pending = { programEnd, record: copy };
    if (sent === -EAGAIN) client.writable = false;
    // Too many descriptors are on their way to programs, or the program has gone, which its hang-up tells.
    else service.awaitDescriptor(client);
    return false;
  }
}
