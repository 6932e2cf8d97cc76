import { Memory } from "../buffer/memory.ts";
import { EAFNOSUPPORT, EEXIST, EINVAL, ENOENT, EPROTO } from "../errno.ts";
import { parseIp } from "../wire/address.ts";
import type { ClientSocket, Role } from "./client_socket.ts";
import { ConnectRole } from "./connect_role.ts";
import { EchoRole } from "./echo_role.ts";
import { ListenRole } from "./listen_role.ts";
import {
  decodeRecord,
  encodeRecord,
  FAMILY_IPV4,
  FLAG_QUIET,
  MAX_FILLER,
  OP,
  type ProtocolRecord,
  RECORD_SIZE,
} from "./protocol.ts";
import { RequestReader } from "./request_reader.ts";
import type { Service } from "./service.ts";

/** Requests of one client before the others have their turn. */
const BUDGET = 16;

/** The mouth for requests: what every connection is at first, and what those for control calls stay. */
export class RequestRole implements Role {
  readonly #reader = new RequestReader();

  run(client: ClientSocket, service: Service, now: number): boolean {
    for (let left = BUDGET; left > 0; left--) {
      if (!client.readable) {
        if (client.hungUp) service.drop(client, now);
        return false;
      }
      const length = this.#reader.next(client, service);
      if (length === 0) continue;
      if (length < 0) {
        service.drop(client, now);
        return false;
      }
      this.#handle(client, service, length, now);
      if (client.closed) return false;
      if (client.role !== this) return true;
    }
    return true;
  }

  end(): void {}

  #handle(client: ClientSocket, service: Service, length: number, now: number): void {
    const { record } = service;
    let errno: number = EPROTO;
    if (decodeRecord(service.scratch.view, 0, record)) {
      errno = checkFields(record) || serve(client, service, record, length, now);
    } else {
      record.reset(OP.none);
    }
    if (errno === 0) return;
    const { op } = record;
    service.answerError(client, record, errno);
    if (op !== OP.outcome && op !== OP.resolve && op !== OP.setOption && op !== OP.getOption) {
      service.drop(client, now);
    }
    if (errno === EPROTO || errno === EINVAL) {
      service.counters.requestsMalformed++;
      service.drop(client, now);
    }
  }
}

/** 0, or the errno to refuse the record with: fields that an op does not have must be zero, so that they can come. */
function checkFields(record: ProtocolRecord): number {
  const { op, flags, length, id, remote, local } = record;
  if (op < OP.connect || op > OP.getOption || op === OP.echo) return EPROTO;
  if ((flags & (op === OP.connect ? ~FLAG_QUIET : ~0)) !== 0) return EINVAL;
  if (record.errno !== 0) return EINVAL;
  if (length > (op === OP.connect ? MAX_FILLER : op === OP.resolve ? 255 : 0)) return EINVAL;
  if (op === OP.connect) {
    if (remote.family !== FAMILY_IPV4) return EAFNOSUPPORT;
    if (remote.port === 0) return EINVAL;
  }
  if (op === OP.listen && (local.family !== FAMILY_IPV4 || record.arg0 < 0)) return EINVAL;
  const named = op === OP.accept || op === OP.outcome || op === OP.setOption || op === OP.getOption;
  return named === (id !== 0n) || op === OP.connect ? 0 : EINVAL;
}

/** Does what the record asks for, and answers; 0, or an errno that is still to be answered. */
function serve(
  client: ClientSocket,
  service: Service,
  record: ProtocolRecord,
  length: number,
  now: number,
): number {
  switch (record.op) {
    case OP.connect:
      if (record.id !== 0n && !service.isFree(record.id)) return EEXIST;
      return ConnectRole.begin(client, service, record, now);
    case OP.listen:
      return ListenRole.begin(client, service, record, now);
    case OP.accept:
      return ListenRole.claim(client, service, record.id) ? 0 : ENOENT;
    case OP.ping:
      return EchoRole.begin(client, service);
    case OP.resolve:
      return resolve(client, service, record, length);
    case OP.status:
      return status(client, service, record, now);
    case OP.outcome:
      return outcome(client, service, record);
    default:
      return option(client, service, record, now);
  }
}

function resolve(client: ClientSocket, service: Service, record: ProtocolRecord, length: number): number {
  const name = new TextDecoder().decode(service.scratch.bytes.subarray(RECORD_SIZE, length));
  const address = parseIp(name);
  if (address === null) return ENOENT;
  record.reset(OP.resolve).remote.set(address, 0);
  service.answer(client, record);
  return 0;
}

function status(client: ClientSocket, service: Service, record: ProtocolRecord, now: number): number {
  const text = new TextEncoder().encode(service.describe(now));
  const memory = new Memory(Math.max(128, (RECORD_SIZE + text.length + 3) & ~3));
  record.reset(OP.status).length = text.length;
  encodeRecord(record, memory.view, 0);
  memory.bytes.set(text, RECORD_SIZE);
  service.sendFrom(client, memory, RECORD_SIZE + text.length);
  return 0;
}

function outcome(client: ClientSocket, service: Service, record: ProtocolRecord): number {
  const { id } = record;
  const holder = service.byId.get(id);
  const ended = holder === undefined ? service.epitaph(id) : 0;
  if (ended < 0) return -ended;
  record.reset(OP.outcome).id = id;
  record.arg0 = ended;
  record.arg1 = holder?.role instanceof ConnectRole ? 1 : 0;
  service.answer(client, record);
  return 0;
}

function option(client: ClientSocket, service: Service, record: ProtocolRecord, now: number): number {
  const { op, id, arg0: level, arg1: name, arg2: value } = record;
  const holder = service.byId.get(id);
  if (holder === undefined) return ENOENT;
  const result = op === OP.setOption
    ? service.stack.setOption(holder.handle, level, name, value, now)
    : service.stack.getOption(holder.handle, level, name);
  if (result < 0) return -result;
  record.reset(op).id = id;
  if (op === OP.getOption) record.arg2 = result;
  service.answer(client, record);
  return 0;
}
