import { EINVAL, ENOENT, ENOPROTOOPT, EOPNOTSUPP } from "../errno.ts";
import { IP_MTU, IPPROTO_IP, SOL_SOCKET } from "../stack/socket_types.ts";
import { AcceptRole } from "./accept_role.ts";
import type { ClientSocket } from "./client_socket.ts";
import { ConnectRole, fillNames } from "./connect_role.ts";
import { DatagramRole } from "./datagram_role.ts";
import { boundDevice } from "./interfaces.ts";
import { encodeRecord, FAMILY_IPV4, FAMILY_NONE, OP, type ProtocolRecord, RECORD_SIZE } from "./protocol.ts";
import type { Service } from "./service.ts";
import { applyOption, settingsOf } from "./set_option.ts";
import { SocketRole } from "./socket_role.ts";
import { encodeTcpInfo, TCP_INFO_SIZE } from "./tcp_info.ts";

/*
 * Calls about a socket by its id, on a connection of their own. Each answers, or returns an errno to answer with. Who
 * knows the id holds the descriptor.
 */

const IPPROTO_TCP = 6;
const TCP_INFO = 11;
const TCP_CONGESTION = 13;
/** What TCP_CONGESTION's value fills, with zeros. */
const CONGESTION_SIZE = 16;
const SO_LINGER = 13;
const SO_BINDTODEVICE = 25;

/** Ops that name a socket which must be there. */
export function control(
  client: ClientSocket,
  service: Service,
  record: ProtocolRecord,
  length: number,
  now: number,
): number {
  const holder = service.byId.get(record.id);
  if (holder === undefined) return ENOENT;
  const { role } = holder;
  if (role instanceof DatagramRole) role.sendWritten(holder, service, now);
  switch (record.op) {
    case OP.bind:
      return bind(client, service, holder, record);
    case OP.listen:
      return listen(client, service, holder, record);
    case OP.names:
      return names(client, service, holder, record);
    case OP.associate:
      return associate(client, service, holder, record, now);
    case OP.setOption:
      return setOption(client, service, holder, record, length, now);
    default:
      return getOption(client, service, holder, record);
  }
}

function bind(client: ClientSocket, service: Service, holder: ClientSocket, record: ProtocolRecord): number {
  const { address, port } = record.local;
  const result = service.stack.bind(holder.handle, address, port);
  if (result < 0) return -result;
  const { name } = service;
  service.stack.name(holder.handle, name);
  settingsOf(holder).bind(address, name.localPort, port !== 0);
  return answerNames(client, service, holder, record);
}

function listen(
  client: ClientSocket,
  service: Service,
  holder: ClientSocket,
  record: ProtocolRecord,
): number {
  if (!(holder.role instanceof SocketRole) && !(holder.role instanceof AcceptRole)) return EINVAL;
  const errno = AcceptRole.begin(holder, service, record.arg0);
  return errno !== 0 ? errno : answerNames(client, service, holder, record);
}

function names(client: ClientSocket, service: Service, holder: ClientSocket, record: ProtocolRecord): number {
  return answerNames(client, service, holder, record);
}

function answerNames(
  client: ClientSocket,
  service: Service,
  holder: ClientSocket,
  record: ProtocolRecord,
): number {
  const { op, id } = record;
  record.reset(op).id = id;
  fillNames(service, holder.handle, record);
  record.arg0 = service.name.state;
  if (op === OP.names && !(holder.role instanceof DatagramRole)) {
    const info = service.stack.info(holder.handle);
    record.arg1 = info.receiveQueue;
    record.arg2 = info.sendQueue;
  }
  service.answer(client, record);
  return 0;
}

function associate(
  client: ClientSocket,
  service: Service,
  holder: ClientSocket,
  record: ProtocolRecord,
  now: number,
): number {
  if (!(holder.role instanceof DatagramRole)) return EOPNOTSUPP;
  const { family, address, port } = record.remote;
  const dissolve = family === FAMILY_NONE;
  // As Linux: address 0 means this host.
  const to = dissolve ? 0 : address === 0 ? 0x7f000001 : address;
  const errno = holder.role.associate(holder, service, to, dissolve ? 0 : port, now);
  return errno !== 0 ? errno : answerNames(client, service, holder, record);
}

function setOption(
  client: ClientSocket,
  service: Service,
  holder: ClientSocket,
  record: ProtocolRecord,
  length: number,
  now: number,
): number {
  const { op, id } = record;
  const errno = applyOption(service, holder, record, length, now);
  if (errno !== 0) return errno;
  record.reset(op).id = id;
  service.answer(client, record);
  return 0;
}

function getOption(
  client: ClientSocket,
  service: Service,
  holder: ClientSocket,
  record: ProtocolRecord,
): number {
  const { op, id, arg0: level, arg1: name } = record;
  const { stack, scratch } = service;
  const bytes = getBytes(service, holder, level, name);
  if (bytes !== null) {
    record.reset(op).id = id;
    record.length = bytes.length;
    encodeRecord(record, scratch.view, 0);
    scratch.bytes.set(bytes, RECORD_SIZE);
    service.sendFrom(client, scratch, RECORD_SIZE + record.length);
    return 0;
  }
  let result = -ENOPROTOOPT;
  const isWay = level === IPPROTO_IP && name === IP_MTU && record.remote.family === FAMILY_IPV4;
  if (isWay) result = stack.mtuTo(holder.handle, record.remote.address);
  else if (holder.role instanceof DatagramRole) result = holder.role.getOption(level, name);
  if (result === -ENOPROTOOPT) result = stack.getOption(holder.handle, level, name);
  // SO_LINGER's -1 is a value: off.
  if (result < 0 && !(level === SOL_SOCKET && name === SO_LINGER && result === -1)) return -result;
  record.reset(op).id = id;
  record.arg2 = result;
  service.answer(client, record);
  return 0;
}

/** The value of an option that is no number; null: it is one. */
function getBytes(service: Service, holder: ClientSocket, level: number, name: number): Uint8Array | null {
  if (level === SOL_SOCKET && name === SO_BINDTODEVICE) {
    const device = boundDevice(holder, service);
    return new TextEncoder().encode(device === "" ? "" : `${device}\0`);
  }
  if (level !== IPPROTO_TCP || holder.role instanceof DatagramRole) return null;
  if (name !== TCP_INFO && name !== TCP_CONGESTION) return null;
  const info = service.stack.info(holder.handle);
  const bytes = new Uint8Array(name === TCP_INFO ? TCP_INFO_SIZE : CONGESTION_SIZE);
  if (name === TCP_INFO) encodeTcpInfo(info, new DataView(bytes.buffer));
  else new TextEncoder().encodeInto(info.congestion, bytes);
  return bytes;
}

/** How a stream ended, or that it has not. */
export function outcome(client: ClientSocket, service: Service, record: ProtocolRecord): number {
  const { id, arg0 } = record;
  const holder = service.byId.get(id);
  const ended = holder === undefined ? service.epitaph(id) : 0;
  if (ended < 0) return -ended;
  if (arg0 === 1 && ended > 0) service.bury(id, 0);
  record.reset(OP.outcome).id = id;
  record.arg0 = ended;
  record.arg1 = holder?.role instanceof ConnectRole ? 1 : 0;
  service.answer(client, record);
  return 0;
}
