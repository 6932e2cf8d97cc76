import { DROP } from "../wire/drop.ts";
import type { Core } from "./core.ts";
import type { Packet } from "./packet.ts";

/** Puts a packet in the line of those to be sent; a full line drops it, and false says so. */
export function enqueue(core: Core, packet: Packet): boolean {
  if (core.outboxIsFull) {
    core.packets.release(packet);
    core.drop(DROP.ipSendQueueFull);
    return false;
  }
  core.outbox.push(packet);
  return true;
}
