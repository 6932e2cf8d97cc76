import { Memory } from "../buffer/memory.ts";
import { ENODEV } from "../errno.ts";
import { SO_BINDTOIFINDEX, SOL_SOCKET } from "../stack/socket_types.ts";
import type { ClientSocket } from "./client_socket.ts";
import { encodeRecord, INTERFACE_SIZE, OP, RECORD_SIZE } from "./protocol.ts";
import type { Service } from "./service.ts";

/** The longest name of an interface, with the zero behind it (IFNAMSIZ). */
const NAME_SIZE = 16;

/** Answers the op `interfaces`. */
export function answerInterfaces(client: ClientSocket, service: Service): void {
  const rows = service.stack.network.interfaces.flatMap((each) => {
    const addresses = each.addresses.length > 0 ? each.addresses : [{ address: 0, prefixLength: 0 }];
    return addresses.map((own) => ({ ...own, each }));
  });
  const record = service.record.reset(OP.interfaces);
  record.length = rows.length * INTERFACE_SIZE;
  const memory = new Memory(RECORD_SIZE + record.length);
  encodeRecord(record, memory.view, 0);
  rows.forEach(({ each, address, prefixLength }, index) => {
    const at = RECORD_SIZE + index * INTERFACE_SIZE;
    new TextEncoder().encodeInto(each.name, memory.bytes.subarray(at, at + NAME_SIZE - 1));
    memory.view.setUint32(at + 16, each.index, true);
    memory.view.setUint32(at + 20, each.mtu, true);
    memory.view.setInt32(at + 24, address);
    memory.view.setUint32(at + 28, prefixLength, true);
    memory.view.setUint16(at + 32, Math.floor(each.mac / 2 ** 32));
    memory.view.setUint32(at + 34, each.mac % 2 ** 32);
  });
  service.sendFrom(client, memory, RECORD_SIZE + record.length);
}

/** SO_BINDTODEVICE, which names what SO_BINDTOIFINDEX numbers: the number, 0 for no device, or -ENODEV. */
export function indexOfDevice(service: Service, name: string): number {
  if (name === "") return 0;
  return service.stack.network.interfaces.find((each) => each.name === name)?.index ?? -ENODEV;
}

/** The name of the interface that the socket is bound to; "": none. */
export function boundDevice(holder: ClientSocket, service: Service): string {
  const index = service.stack.getOption(holder.handle, SOL_SOCKET, SO_BINDTOIFINDEX);
  return service.stack.network.interfaces.find((each) => each.index === index)?.name ?? "";
}
