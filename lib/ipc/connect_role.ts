import { EHOSTUNREACH, EINPROGRESS } from "../errno.ts";
import { READY_ERROR, READY_HANGUP, READY_WRITE } from "../stack/socket_types.ts";
import type { ClientSocket, Role } from "./client_socket.ts";
import { FLAG_QUIET, OP, ProtocolRecord } from "./protocol.ts";
import type { Service } from "./service.ts";
import { STREAM_SEND_BUFFER, StreamRole } from "./stream_role.ts";

/** A connect that is under way: answers when the stack knows how it went. */
export class ConnectRole implements Role {
  readonly #filler: number;
  readonly #quiet: boolean;

  private constructor(request: ProtocolRecord) {
    this.#filler = request.length;
    this.#quiet = (request.flags & FLAG_QUIET) !== 0;
  }

  /** Begins the connect that `request` asks for; 0 or an errno to answer with. */
  static begin(client: ClientSocket, service: Service, request: ProtocolRecord, now: number): number {
    const { stack } = service;
    const handle = stack.socket(1);
    if (handle < 0) return -handle;
    let result = 0;
    if (request.local.port !== 0 || request.local.address !== 0) {
      result = stack.bind(handle, request.local.address, request.local.port);
    }
    if (result >= 0) result = stack.connect(handle, request.remote.address, request.remote.port, now);
    if (result < 0 && result !== -EINPROGRESS) {
      stack.close(handle, now);
      return -result;
    }
    service.attach(client, handle);
    service.identify(client, request.id || service.newId());
    client.role = new ConnectRole(request);
    service.wake(client);
    return 0;
  }

  /** The same for a client that has a socket already. */
  static beginAttached(client: ClientSocket, service: Service, request: ProtocolRecord, now: number): number {
    const { address, port } = request.remote;
    const result = service.stack.connect(client.handle, address, port, now);
    if (result < 0 && result !== -EINPROGRESS) return -result;
    client.role = new ConnectRole(request);
    service.wake(client);
    return 0;
  }

  run(client: ClientSocket, service: Service, now: number): boolean {
    if (client.hungUp) {
      service.drop(client, now);
      return false;
    }
    const ready = service.stack.readiness(client.handle);
    if ((ready & (READY_ERROR | READY_HANGUP)) !== 0) {
      const errno = service.stack.takeError(client.handle);
      // A handshake that the peer completed and reset at once has both; there is a stream only without an error.
      if (errno !== 0 || (ready & READY_WRITE) === 0) {
        this.#failed(client, service, errno || EHOSTUNREACH, now);
        return false;
      }
    }
    if ((ready & READY_WRITE) === 0) return false;
    client.role = new StreamRole(this.#filler, this.#quiet);
    service.host.setSendBuffer(client.fd, STREAM_SEND_BUFFER);
    if (!this.#quiet) answerWithNames(client, service, OP.connect);
    return true;
  }

  end(client: ClientSocket, service: Service, now: number): void {
    if (client.handle >= 0) service.stack.abort(service.detach(client), now);
  }

  #failed(client: ClientSocket, service: Service, errno: number, now: number): void {
    service.stack.close(service.detach(client), now);
    service.bury(client.id, errno, client.settings);
    if (!this.#quiet) {
      const record = service.record.reset(OP.connect);
      record.id = client.id;
      record.errno = errno;
      service.answer(client, record);
    }
    service.drop(client, now);
  }
}

/** Answers `op` with the id of the client's socket and both its names. */
export function answerWithNames(client: ClientSocket, service: Service, op: number): void {
  const record = service.record.reset(op);
  record.id = client.id;
  fillNames(service, client.handle, record);
  service.answer(client, record);
}

/** Puts the names of a handle into a record. */
export function fillNames(service: Service, handle: number, record: ProtocolRecord): void {
  const { name } = service;
  service.stack.name(handle, name);
  record.local.set(name.localAddress, name.localPort);
  record.remote.set(name.remoteAddress, name.remotePort);
}
