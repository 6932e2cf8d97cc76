import type { ClientSocket, Role } from "./client_socket.ts";
import { answerWithNames, fillNames } from "./connect_role.ts";
import { encodeRecord, OP, type ProtocolRecord, RECORD_SIZE } from "./protocol.ts";
import type { Service } from "./service.ts";
import { StreamRole } from "./stream_role.ts";

/**
 * Connections that are announced to the program and not yet claimed. The others stay in the stack's accept queue,
 * where the backlog the program asked for holds; the records always fit the socket's buffer (278 of them would).
 */
const MAX_ANNOUNCED = 16;

/** A listener: tells the program of each connection by a record with a token to claim it. */
export class ListenRole implements Role {
  readonly #tokens = new Set<bigint>();

  /** Begins to listen as `request` asks; 0 or an errno to answer with. */
  static begin(client: ClientSocket, service: Service, request: ProtocolRecord, now: number): number {
    const { stack } = service;
    const handle = stack.socket(1);
    if (handle < 0) return -handle;
    let result = stack.bind(handle, request.local.address, request.local.port);
    if (result >= 0) result = stack.listen(handle, request.arg0);
    if (result < 0) {
      stack.close(handle, now);
      return -result;
    }
    service.attach(client, handle);
    service.identify(client, service.newId());
    client.role = new ListenRole();
    answerWithNames(client, service, OP.listen);
    service.wake(client);
    return 0;
  }

  run(client: ClientSocket, service: Service, now: number): boolean {
    if (client.readable && !client.hungUp) {
      // A listener says nothing: bytes are a mistake, and the end of the stream is its end.
      const count = service.receive(client, 1);
      if (count >= 0) client.hungUp = true;
    }
    if (client.hungUp) {
      service.drop(client, now);
      return false;
    }
    while (this.#tokens.size < MAX_ANNOUNCED && client.writable && client.role === this) {
      const handle = service.stack.accept(client.handle);
      if (handle < 0) return false;
      this.#announce(client, service, handle);
    }
    return false;
  }

  end(client: ClientSocket, service: Service, now: number): void {
    for (const token of this.#tokens) {
      const unclaimed = service.unclaimed.get(token);
      service.unclaimed.delete(token);
      if (unclaimed !== undefined) service.stack.abort(unclaimed.handle, now);
    }
    this.#tokens.clear();
    if (client.handle >= 0) service.stack.close(service.detach(client), now);
  }

  #announce(client: ClientSocket, service: Service, handle: number): void {
    const token = service.newId();
    service.unclaimed.set(token, { handle, listener: client, role: this });
    this.#tokens.add(token);
    const record = service.record.reset(OP.accept);
    record.id = token;
    fillNames(service, handle, record);
    encodeRecord(record, service.scratch.view, 0);
    service.sendFrom(client, service.scratch, RECORD_SIZE);
  }

  /** Gives the connection behind `token` to `client`; false when there is none (any more). */
  static claim(client: ClientSocket, service: Service, token: bigint): boolean {
    const unclaimed = service.unclaimed.get(token);
    if (unclaimed === undefined) return false;
    service.unclaimed.delete(token);
    unclaimed.role.#tokens.delete(token);
    service.wake(unclaimed.listener);
    service.attach(client, unclaimed.handle);
    service.identify(client, service.newId());
    client.role = new StreamRole();
    answerWithNames(client, service, OP.accept);
    service.wake(client);
    return true;
  }
}
