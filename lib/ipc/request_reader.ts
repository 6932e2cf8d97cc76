import { EAGAIN, EPIPE } from "../errno.ts";
import type { ClientSocket } from "./client_socket.ts";
import { MAX_NETWORK_REQUEST, mostBytes, OP, RECORD_SIZE } from "./protocol.ts";
import type { Service } from "./service.ts";

/** Where op and length stand in a record, see protocol.ts. */
const OP_OFFSET = 6;
const LENGTH_OFFSET = 44;

/**
 * Takes one request at a time off a client's connection, and not a byte more: what stands behind a connect request
 * belongs to the stream. Almost always a request comes whole; only the others are kept in the client meanwhile.
 */
export class RequestReader {
  /** Puts the next request into `service.scratch`: its length, 0 when it is not there yet, or -errno. */
  next(client: ClientSocket, service: Service): number {
    const { scratch } = service;
    const held = client.held;
    const wanted = held < RECORD_SIZE ? RECORD_SIZE : RECORD_SIZE + nameLength(client.inbox!);
    const count = service.receive(client, wanted - held);
    if (count === -EAGAIN) return 0;
    if (count === 0) return -EPIPE;
    if (count < 0) return count;
    if (held === 0 && count === RECORD_SIZE && nameLength(scratch.bytes) === 0) return RECORD_SIZE;
    const inbox = client.inbox ??= new Uint8Array(RECORD_SIZE + MAX_NETWORK_REQUEST);
    inbox.set(scratch.bytes.subarray(0, count), held);
    client.held += count;
    if (client.held < RECORD_SIZE || client.held < RECORD_SIZE + nameLength(inbox)) {
      return client.readable ? this.next(client, service) : 0;
    }
    const length = client.held;
    scratch.bytes.set(inbox.subarray(0, length));
    client.inbox = null;
    client.held = 0;
    return length;
  }
}

/** Bytes of the name that belongs to the request; a length that is not allowed is refused later, without a name. */
function nameLength(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, RECORD_SIZE);
  const op = view.getUint16(OP_OFFSET, true);
  if (op === OP.connect) return 0;
  const length = view.getUint32(LENGTH_OFFSET, true);
  return length <= mostBytes(op) ? length : 0;
}
