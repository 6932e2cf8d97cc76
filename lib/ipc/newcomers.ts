import type { ClientSocket } from "./client_socket.ts";
import { decodeRecord, type ProtocolRecord } from "./protocol.ts";
import type { Service } from "./service.ts";
import { SocketRole } from "./socket_role.ts";

/** More than there are at a time, unless somebody makes them on purpose. */
const MOST = 256;

/**
 * Clients that have connected and were found silent when they had their turn. A program writes on its socket, without
 * waiting for an answer, and then asks about that socket on another connection: the loop may know of the second before
 * the first.
 */
export class Newcomers {
  readonly #silent = new Set<ClientSocket>();
  #isTaking = false;

  /** Whether the client is one. */
  note(client: ClientSocket, isSilent: boolean): void {
    if (!isSilent) this.#silent.delete(client);
    else if (client.held === 0 && this.#silent.size < MOST) this.#silent.add(client);
  }

  get isEmpty(): boolean {
    return this.#silent.size === 0;
  }

  /** Gives each of them a turn, whatever is known of them. */
  take(service: Service, now: number): void {
    // What they ask does not make them wait for each other in turn.
    if (this.#isTaking) return;
    this.#isTaking = true;
    for (const client of [...this.#silent]) giveTurn(client, service, now);
    this.#isTaking = false;
  }
}

/** Reads what was written about the socket in `record`, a request of `length` bytes in `service.scratch`, before that. */
export function takeEarlier(service: Service, record: ProtocolRecord, length: number, now: number): void {
  const { scratch, newcomers, byId } = service;
  const { id } = record;
  const known = byId.get(id);
  if (known === undefined ? newcomers.isEmpty : !(known.role instanceof SocketRole)) return;
  const request = scratch.bytes.slice(0, length);
  if (known === undefined) newcomers.take(service, now);
  const holder = byId.get(id);
  if (holder?.role instanceof SocketRole) giveTurn(holder, service, now);
  scratch.bytes.set(request);
  decodeRecord(scratch.view, 0, record);
}

function giveTurn(client: ClientSocket, service: Service, now: number): void {
  client.readable = true;
  if (!client.closed && client.role.run(client, service, now)) service.wake(client);
}
