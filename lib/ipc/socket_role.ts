import { EINVAL, EPROTO } from "../errno.ts";
import type { ClientSocket, Role } from "./client_socket.ts";
import { ConnectRole } from "./connect_role.ts";
import { decodeRecord, FAMILY_IPV4, FLAG_QUIET, MAX_FILLER, OP, type ProtocolRecord } from "./protocol.ts";
import { RequestReader } from "./request_reader.ts";
import type { Service } from "./service.ts";
import { applyOption } from "./set_option.ts";

/** Requests of one client before the others have their turn: more than there are options. */
const BUDGET = 64;

/** A program's stream socket that is neither connected nor listens: by its id it can be bound and have options. */
export class SocketRole implements Role {
  readonly keepsSettings = true;
  readonly #reader = new RequestReader();

  /** Makes the client one, with the id that it proposes if it waits for no answer; 0 or an errno to answer with. */
  static begin(client: ClientSocket, service: Service, request: ProtocolRecord): number {
    const handle = service.stack.socket(1);
    if (handle < 0) return -handle;
    const { id } = request;
    service.attach(client, handle);
    service.identify(client, id || service.newSocketId());
    client.role = new SocketRole();
    if (id === 0n) {
      service.record.reset(OP.socket).id = client.id;
      service.answer(client, service.record);
    }
    service.wake(client);
    return 0;
  }

  run(client: ClientSocket, service: Service, now: number): boolean {
    for (let left = BUDGET; left > 0; left--) {
      if (!client.readable) {
        if (client.hungUp) service.drop(client, now);
        return false;
      }
      const length = this.#reader.next(client, service);
      if (length < 0) client.readable = !(client.hungUp = true);
      if (length > 0) this.#request(client, service, length, now);
      if (client.closed) return false;
      if (client.role !== this) return true;
    }
    return true;
  }

  end(client: ClientSocket, service: Service, now: number): void {
    if (client.handle >= 0) service.stack.close(service.detach(client), now);
  }

  /** What comes on the socket itself: options that nobody doubts, then connect with its filler. None is answered. */
  #request(client: ClientSocket, service: Service, length: number, now: number): void {
    const { record } = service;
    let errno: number = EPROTO;
    if (decodeRecord(service.scratch.view, 0, record)) {
      errno = record.op === OP.setOption
        ? checkOption(record) || applyOption(service, client, record, length, now)
        : checkConnect(record) || ConnectRole.beginAttached(client, service, record, now);
    }
    if (errno === 0) return;
    service.bury(client.id, errno, client.settings);
    service.drop(client, now);
  }
}

function checkOption({ flags, errno }: ProtocolRecord): number {
  return flags === FLAG_QUIET && errno === 0 ? 0 : EINVAL;
}

function checkConnect({ op, flags, errno, length, remote }: ProtocolRecord): number {
  if (op !== OP.connect) return EPROTO;
  const valid = flags === FLAG_QUIET && errno === 0 && length <= MAX_FILLER;
  return valid && remote.family === FAMILY_IPV4 && remote.port !== 0 ? 0 : EINVAL;
}
