import { Memory } from "../buffer/memory.ts";
import { EACCES, EAFNOSUPPORT, EEXIST, EINVAL, ENOENT, EPROTO } from "../errno.ts";
import type { SocketKind } from "../stack/socket_types.ts";
import type { ClientSocket, Role } from "./client_socket.ts";
import { ConnectRole } from "./connect_role.ts";
import { control, outcome } from "./control.ts";
import { DatagramRole } from "./datagram_role.ts";
import { EchoRole } from "./echo_role.ts";
import { answerInterfaces } from "./interfaces.ts";
import { ListenRole } from "./listen_role.ts";
import { MessageRole } from "./message_role.ts";
import { takeEarlier } from "./newcomers.ts";
import {
  decodeRecord,
  encodeRecord,
  FAMILY_IPV4,
  FLAG_QUIET,
  ID_MASK,
  mostBytes,
  OP,
  passOf,
  type ProtocolRecord,
  RECORD_SIZE,
  setPass,
} from "./protocol.ts";
import { RequestReader } from "./request_reader.ts";
import { ResolveRole } from "./resolve_role.ts";
import type { Service } from "./service.ts";
import { answerSettings } from "./settings.ts";
import { SocketRole } from "./socket_role.ts";
import { TraceRole } from "./trace_role.ts";

/** Requests of one client before the others have their turn. */
const BUDGET = 16;

/** What becomes of strangers that ask for more than they may. */
interface Gate {
  /** Told of one that is turned away. */
  refuse: (client: ClientSocket) => void;
  /** Serves those who have shown the pass from then on. */
  admitted: RequestRole;
}

/** The mouth for requests: what every connection is at first, and what those for control calls stay. */
export class RequestRole implements Role {
  readonly #reader = new RequestReader();
  readonly #gate: Gate | null;

  /** `gate`: for clients that may only ask about sockets whose id they know, unless they have the pass. */
  constructor(gate: Gate | null = null) {
    this.#gate = gate;
  }

  run(client: ClientSocket, service: Service, now: number): boolean {
    for (let left = BUDGET; left > 0; left--) {
      if (!client.readable) {
        if (client.hungUp) service.drop(client, now);
        return false;
      }
      const length = this.#reader.next(client, service);
      service.newcomers.note(client, length === 0);
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

  /** The request in `service.scratch` is none for strangers. */
  #atGate(gate: Gate, client: ClientSocket, service: Service, length: number, now: number): void {
    const { scratch, record } = service;
    if (length >= RECORD_SIZE && decodeRecord(scratch.view, 0, record) && passOf(record) === service.pass) {
      service.admit(client);
      client.role = gate.admitted;
      return gate.admitted.#handle(client, service, length, now);
    }
    gate.refuse(client);
    record.reset(OP.none).errno = EACCES;
    service.answer(client, record);
    service.drop(client, now);
  }

  #mayAsk({ scratch, record }: Service, length: number): boolean {
    if (length < RECORD_SIZE || !decodeRecord(scratch.view, 0, record)) return false;
    const { op, id } = record;
    return id !== 0n && op !== OP.accept && (NAMED.has(op) || op === OP.listen);
  }

  #handle(client: ClientSocket, service: Service, length: number, now: number): void {
    const { record } = service;
    let errno: number = EPROTO;
    if (this.#gate !== null && !this.#mayAsk(service, length)) {
      return this.#atGate(this.#gate, client, service, length, now);
    }
    if (decodeRecord(service.scratch.view, 0, record)) {
      errno = checkFields(record);
      if (errno === 0) {
        if (NAMED.has(record.op) || record.op === OP.listen) takeEarlier(service, record, length, now);
        errno = serve(client, service, record, length, now);
      }
    } else {
      record.reset(OP.none);
    }
    if (errno === 0) return;
    const { op } = record;
    const isQuiet = (record.flags & FLAG_QUIET) !== 0;
    if (isQuiet && errno !== EEXIST) {
      // The program reads the stream: it must not find an answer in it. It asks for the outcome.
      service.bury(record.id, errno);
      return service.drop(client, now);
    }
    service.answerError(client, record, errno);
    if (isQuiet || op < OP.resolve || op === OP.status || op === OP.datagram || op === OP.trace) {
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
  if (op < OP.connect || op > OP.trace || op === OP.echo) return EPROTO;
  if ((flags & (op === OP.connect || op === OP.socket ? ~FLAG_QUIET : ~0)) !== 0) return EINVAL;
  if (record.errno !== 0) return EINVAL;
  if (length > mostBytes(op)) return EINVAL;
  if (op === OP.connect) {
    if (remote.family !== FAMILY_IPV4) return EAFNOSUPPORT;
    if (remote.port === 0) return EINVAL;
  }
  if ((op === OP.listen || op === OP.bind) && local.family !== FAMILY_IPV4) return EINVAL;
  if (op === OP.listen && record.arg0 < 0) return EINVAL;
  if (op === OP.status && record.arg0 >>> 1 !== 0) return EINVAL;
  if (op === OP.socket) return checkSocket(record);
  if (op === OP.datagram && record.arg0 !== 0 && record.arg0 !== 3 && record.arg0 !== 4) return EINVAL;
  if (op === OP.trace && (record.arg0 < 1 || record.arg0 > 3 || remote.family !== FAMILY_IPV4)) return EINVAL;
  if (op === OP.serves && (record.arg0 < 1 || record.arg0 > 3)) return EINVAL;
  return NAMED.has(op) === (id !== 0n) || op === OP.connect || op === OP.listen ? 0 : EINVAL;
}

/** A stream may come with an id, and then gets no answer. */
function checkSocket({ flags, arg0: kind, id }: ProtocolRecord): number {
  if (kind < 1 || kind > 4) return EINVAL;
  const isQuiet = (flags & FLAG_QUIET) !== 0;
  return isQuiet === (id !== 0n) && (!isQuiet || (kind === 1 && (id & ~ID_MASK) === 0n)) ? 0 : EINVAL;
}

/** Ops about a socket that is there already. */
const NAMED: ReadonlySet<number> = new Set([
  ...[OP.accept, OP.outcome, OP.setOption, OP.getOption, OP.bind, OP.names, OP.associate, OP.settings],
]);

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
      if (record.id !== 0n) return control(client, service, record, length, now);
      return ListenRole.begin(client, service, record, now);
    case OP.accept:
      return ListenRole.claim(client, service, record.id) ? 0 : ENOENT;
    case OP.ping:
      return EchoRole.begin(client, service);
    case OP.resolve:
      return ResolveRole.begin(client, service, record, length, now);
    case OP.status:
      return status(client, service, record, now);
    case OP.outcome:
      return outcome(client, service, record);
    case OP.datagram:
      return MessageRole.begin(client, service, record, now);
    case OP.trace:
      return TraceRole.begin(client, service, record, now);
    case OP.serves:
      return serves(client, service, record);
    case OP.interfaces:
      answerInterfaces(client, service);
      return 0;
    case OP.pass:
      return pass(client, service);
    case OP.network:
      return network(client, service, length, now);
    case OP.settings:
      return settings(client, service, record.id);
    case OP.socket:
      return socket(client, service, record, now);
    default:
      return control(client, service, record, length, now);
  }
}

function socket(client: ClientSocket, service: Service, record: ProtocolRecord, now: number): number {
  const { arg0, arg1: protocol } = record;
  const kind = arg0 as SocketKind;
  if (record.id !== 0n && !service.isFree(record.id)) return EEXIST;
  return kind === 1
    ? SocketRole.begin(client, service, record)
    : DatagramRole.begin(client, service, kind, protocol, now);
}

function serves(client: ClientSocket, service: Service, record: ProtocolRecord): number {
  const { arg0: kind, remote: { address, port } } = record;
  record.reset(OP.serves).arg0 = service.stack.serves(kind as SocketKind, address, port) ? 1 : 0;
  service.answer(client, record);
  return 0;
}

function settings(client: ClientSocket, service: Service, id: bigint): number {
  const held = service.settingsOf(id);
  if (held === undefined) return ENOENT;
  answerSettings(client, service, id, held);
  return 0;
}

function pass(client: ClientSocket, service: Service): number {
  const record = service.record.reset(OP.pass);
  setPass(record, service.pass);
  service.answer(client, record);
  return 0;
}

function status(client: ClientSocket, service: Service, record: ProtocolRecord, now: number): number {
  const text = service.describe(now, record.arg0 === 1);
  answerText(client, service, record.reset(OP.status), text);
  return 0;
}

function network(client: ClientSocket, service: Service, length: number, now: number): number {
  const request = new TextDecoder().decode(service.scratch.bytes.subarray(RECORD_SIZE, length));
  const answer = service.configure(request, service.isOwner(client.peer), now);
  if (typeof answer === "number") {
    service.answerError(client, service.record, answer);
  } else {
    answerText(client, service, service.record.reset(OP.network), answer);
  }
  return 0;
}

/** Answers with `record` and text behind it. */
function answerText(client: ClientSocket, service: Service, record: ProtocolRecord, answer: string): void {
  const text = new TextEncoder().encode(answer);
  const memory = new Memory(Math.max(128, (RECORD_SIZE + text.length + 3) & ~3));
  record.length = text.length;
  encodeRecord(record, memory.view, 0);
  memory.bytes.set(text, RECORD_SIZE);
  service.sendFrom(client, memory, RECORD_SIZE + text.length);
}
