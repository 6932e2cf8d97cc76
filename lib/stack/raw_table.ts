import type { RawSocket } from "./socket.ts";

const NONE: readonly RawSocket[] = [];

/** The raw sockets by the IP protocol that they speak. */
export class RawTable {
  private readonly byProtocol = new Map<number, RawSocket[]>();

  /** Those that speak `protocol`; the oldest first. */
  of(protocol: number): readonly RawSocket[] {
    return this.byProtocol.get(protocol) ?? NONE;
  }

  /** There are none. */
  get isEmpty(): boolean {
    return this.byProtocol.size === 0;
  }

  add(socket: RawSocket): void {
    const sockets = this.byProtocol.get(socket.protocol);
    if (sockets === undefined) this.byProtocol.set(socket.protocol, [socket]);
    else sockets.push(socket);
  }

  remove(socket: RawSocket): void {
    const left = this.of(socket.protocol).filter((other) => other !== socket);
    if (left.length > 0) this.byProtocol.set(socket.protocol, left);
    else this.byProtocol.delete(socket.protocol);
  }
}
