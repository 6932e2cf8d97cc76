import { EINVAL, EPROTO } from "../errno.ts";
import type { ClientSocket, Role } from "./client_socket.ts";
import { ConnectRole } from "./connect_role.ts";
import { decodeRecord, FAMILY_IPV4, FLAG_QUIET, MAX_FILLER, OP, type ProtocolRecord } from "./protocol.ts";
import { RequestReader } from "./request_reader.ts";
import type { Service } from "./service.ts";

/** A program's stream socket that is neither connected nor listens: by its id it can be bound and have options. */
export class SocketRole implements Role {
  readonly #reader = new RequestReader();

  /** Makes the client one; 0 or an errno to answer with. */
  static begin(client: ClientSocket, service: Service): number {
    const handle = service.stack.socket(1);
    if (handle < 0) return -handle;
    service.attach(client, handle);
    service.identify(client, service.newSocketId());
    client.role = new SocketRole();
    service.record.reset(OP.socket).id = client.id;
    service.answer(client, service.record);
    service.wake(client);
    return 0;
  }

  run(client: ClientSocket, service: Service, now: number): boolean {
    if (client.readable) {
      const length = this.#reader.next(client, service);
      if (length > 0) return this.#request(client, service, now);
      if (length < 0) client.hungUp = true;
    }
    if (client.hungUp) service.drop(client, now);
    return false;
  }

  end(client: ClientSocket, service: Service, now: number): void {
    if (client.handle >= 0) service.stack.close(service.detach(client), now);
  }

  /** The one request that comes on the socket itself: connect, with its filler. */
  #request(client: ClientSocket, service: Service, now: number): boolean {
    const { record } = service;
    const errno = decodeRecord(service.scratch.view, 0, record)
      ? checkConnect(record) || ConnectRole.beginAttached(client, service, record, now)
      : EPROTO;
    if (errno === 0) return true;
    service.bury(client.id, errno, client.settings);
    service.drop(client, now);
    return false;
  }
}

function checkConnect({ op, flags, errno, length, remote }: ProtocolRecord): number {
  if (op !== OP.connect) return EPROTO;
  const valid = flags === FLAG_QUIET && errno === 0 && length <= MAX_FILLER;
  return valid && remote.family === FAMILY_IPV4 && remote.port !== 0 ? 0 : EINVAL;
}
