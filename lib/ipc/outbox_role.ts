import { Memory } from "../buffer/memory.ts";
import type { ClientSocket, Role } from "./client_socket.ts";
import type { Service } from "./service.ts";

/** An answer that did not fit the socket at once: the rest goes out first, then the client is what it is to become. */
export class OutboxRole implements Role {
  #sent = 0;

  private constructor(readonly memory: Memory, readonly length: number, readonly next: Role) {}

  /** Keeps a copy of `memory` from `start` to `end`. */
  static of(memory: Memory, start: number, end: number, next: Role): OutboxRole {
    const copy = new Memory(Math.max(128, (end - start + 3) & ~3));
    copy.bytes.set(memory.bytes.subarray(start, end));
    return new OutboxRole(copy, end - start, next);
  }

  run(client: ClientSocket, service: Service, now: number): boolean {
    if (client.hungUp) {
      service.drop(client, now);
      return false;
    }
    if (!client.writable) return false;
    this.#sent += service.send(client, this.memory, this.#sent, this.length - this.#sent);
    if (this.#sent < this.length) return false;
    client.role = this.next;
    return true;
  }

  end(client: ClientSocket, service: Service, now: number): void {
    this.next.end(client, service, now);
  }
}
