import type { Socket } from "./socket.ts";

/** The low bits of a handle are its place, the rest counts the place's uses: an old handle never means a new socket. */
const SLOT_BITS = 20;
const MAX_SOCKETS = 1 << SLOT_BITS;
const MAX_GENERATION = (1 << (31 - SLOT_BITS)) - 1;

/** Sockets by handle, and those whose readiness may have changed. */
export class SocketTable {
  private readonly slots: (Socket | null)[] = [];
  private readonly generations: number[] = [];
  private readonly free: number[] = [];
  /** The list of those whose readiness may have changed. */
  private firstReady: Socket | null = null;
  private lastReady: Socket | null = null;

  get size(): number {
    return this.slots.length - this.free.length;
  }

  /** Gives `socket` a handle; false when there are no more. */
  add(socket: Socket): boolean {
    let slot = this.free.pop();
    if (slot === undefined) {
      if (this.slots.length === MAX_SOCKETS) return false;
      slot = this.slots.length;
      this.slots.push(null);
      this.generations.push(0);
    }
    this.slots[slot] = socket;
    socket.handle = (this.generations[slot] << SLOT_BITS) | slot;
    return true;
  }

  get(handle: number): Socket | null {
    const socket = this.slots[handle & (MAX_SOCKETS - 1)];
    return socket != null && socket.handle === handle ? socket : null;
  }

  remove(socket: Socket): void {
    const slot = socket.handle & (MAX_SOCKETS - 1);
    this.slots[slot] = null;
    this.generations[slot] = (this.generations[slot] + 1) & MAX_GENERATION;
    this.free.push(slot);
    socket.handle = -1;
  }

  /** Its readiness may have changed. */
  markReady(socket: Socket): void {
    if (socket.isReadyQueued || socket.handle < 0) return;
    socket.isReadyQueued = true;
    if (this.lastReady === null) this.firstReady = socket;
    else this.lastReady.nextReady = socket;
    this.lastReady = socket;
  }

  /** A handle whose readiness may have changed; -1 when there is none. */
  nextReady(): number {
    for (let socket = this.firstReady; socket !== null; socket = this.firstReady) {
      this.firstReady = socket.nextReady;
      if (this.firstReady === null) this.lastReady = null;
      socket.nextReady = null;
      socket.isReadyQueued = false;
      if (socket.handle >= 0) return socket.handle;
    }
    return -1;
  }

  *[Symbol.iterator](): Iterator<Socket> {
    for (const socket of this.slots) if (socket !== null) yield socket;
  }
}
