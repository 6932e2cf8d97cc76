import { EINVAL, ENOENT, ENOPROTOOPT } from "../errno.ts";
import { SO_BINDTOIFINDEX, SOL_SOCKET } from "../stack/socket_types.ts";
import type { ClientSocket } from "./client_socket.ts";
import { DatagramRole } from "./datagram_role.ts";
import { indexOfDevice } from "./interfaces.ts";
import { type ProtocolRecord, RECORD_SIZE } from "./protocol.ts";
import type { Service } from "./service.ts";
import { Settings } from "./settings.ts";

/* The op `setOption`, be it asked on a connection of its own or written on the socket itself. */

const IPPROTO_TCP = 6;
const TCP_CONGESTION = 13;
const SO_BINDTODEVICE = 25;

/** Sets the option in `record`, whose text, if it has one, lies behind it in `service.scratch`; 0 or an errno. */
export function applyOption(
  service: Service,
  holder: ClientSocket,
  { arg0: level, arg1: name, arg2: value }: ProtocolRecord,
  length: number,
  now: number,
): number {
  if (level === IPPROTO_TCP && name === TCP_CONGESTION) {
    return setCongestion(service, holder, textOf(service, length));
  }
  if (level === SOL_SOCKET && name === SO_BINDTODEVICE) {
    const index = indexOfDevice(service, textOf(service, length));
    return index < 0 ? -index : setNumber(service, holder, level, SO_BINDTOIFINDEX, index, now);
  }
  return setNumber(service, holder, level, name, value, now);
}

/** What the program has set of a socket, to be added to. */
export function settingsOf(holder: ClientSocket): Settings {
  return holder.settings ??= new Settings();
}

function textOf({ scratch }: Service, length: number): string {
  return new TextDecoder().decode(scratch.bytes.subarray(RECORD_SIZE, length));
}

function setCongestion(service: Service, holder: ClientSocket, algorithm: string): number {
  const result = service.stack.setCongestion(holder.handle, algorithm);
  if (result < 0) return result === -EINVAL ? ENOENT : -result;
  if (holder.role.keepsSettings) settingsOf(holder).congestion = algorithm;
  return 0;
}

function setNumber(
  service: Service,
  holder: ClientSocket,
  level: number,
  name: number,
  value: number,
  now: number,
): number {
  const { role, handle } = holder;
  let result = role instanceof DatagramRole ? role.setOption(level, name, value) : -ENOPROTOOPT;
  if (result === -ENOPROTOOPT) result = service.stack.setOption(handle, level, name, value, now);
  if (result < 0) return -result;
  if (role.keepsSettings) settingsOf(holder).setOption(level, name, value);
  return 0;
}
