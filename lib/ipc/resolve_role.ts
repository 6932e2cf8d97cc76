import { EINVAL } from "../errno.ts";
import { type NameAnswer, RecordType, Source } from "../resolver/types.ts";
import { formatIp } from "../wire/address.ts";
import type { ClientSocket, Role } from "./client_socket.ts";
import {
  encodeRecord,
  FAMILY_IPV4,
  FLAG_FROM_CACHE,
  FLAG_FROM_HOST,
  MAX_ADDRESSES,
  OP,
  type ProtocolRecord,
  RECORD_SIZE,
} from "./protocol.ts";
import type { Service } from "./service.ts";

/** A request for a name that is being looked up: the client's next one has to wait for the answer. */
export class ResolveRole implements Role {
  /** What the client was before, and is to be again. */
  readonly #next: Role;
  #ticket = 0;
  #isAnswered = false;

  private constructor(next: Role) {
    this.#next = next;
  }

  /** Begins the look-up that `record` asks for; 0 or an errno to answer with. */
  static begin(
    client: ClientSocket,
    service: Service,
    record: ProtocolRecord,
    length: number,
    now: number,
  ): number {
    const type = readType(record.arg0);
    if (type === null || (record.arg1 !== 0 && record.arg1 !== 1)) return EINVAL;
    const isReverse = record.remote.family === FAMILY_IPV4;
    if (isReverse !== (length === RECORD_SIZE) || (isReverse && type !== RecordType.PTR)) return EINVAL;
    const text = isReverse
      ? formatIp(record.remote.address)
      : new TextDecoder().decode(service.scratch.bytes.subarray(RECORD_SIZE, length));
    if (record.arg1 === 1) service.names.resolver.flush();
    const role = new ResolveRole(client.role);
    client.role = role;
    role.#ticket = service.names.lookUp(text, type, now, (answer) => {
      role.#isAnswered = true;
      client.role = role.#next;
      sendAnswer(client, service, answer);
      service.wake(client);
    });
    return 0;
  }

  run(client: ClientSocket, service: Service, now: number): boolean {
    if (client.hungUp) service.drop(client, now);
    return false;
  }

  end(_client: ClientSocket, service: Service): void {
    if (!this.#isAnswered) service.names.forget(this.#ticket);
  }
}

function readType(value: number): RecordType | null {
  if (value === 0) return RecordType.A;
  return Object.values(RecordType).find((type) => type === value) ?? null;
}

/** Names, each ended by a zero, then addresses; see protocol.ts. */
function sendAnswer(client: ClientSocket, service: Service, answer: NameAnswer): void {
  const { scratch } = service;
  const names = new TextEncoder().encode(answer.names.map((name) => `${name}\0`).join(""));
  const addresses = answer.addresses.slice(0, MAX_ADDRESSES);
  const record = service.record.reset(OP.resolve);
  record.arg0 = answer.outcome;
  record.arg1 = answer.reason;
  record.arg2 = answer.ttl;
  record.arg3 = names.length;
  record.arg4 = addresses.length;
  if (answer.source === Source.cache) record.flags = FLAG_FROM_CACHE;
  else if (answer.source !== Source.server) record.flags = FLAG_FROM_HOST;
  if (answer.server !== 0) record.remote.set(answer.server, 0);
  record.length = names.length + 4 * addresses.length;
  encodeRecord(record, scratch.view, 0);
  scratch.bytes.set(names, RECORD_SIZE);
  addresses.forEach((address, i) => scratch.view.setInt32(RECORD_SIZE + names.length + 4 * i, address));
  service.sendFrom(client, scratch, RECORD_SIZE + record.length);
}
