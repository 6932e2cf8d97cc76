import type { Flow } from "./flow.ts";
import type { Machine } from "./machine.ts";
import {
  EPOLLET,
  EPOLLONESHOT,
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLRDHUP,
  POLLRDNORM,
  POLLWRNORM,
} from "./symbols.ts";
import {
  READY_ERROR,
  READY_HANGUP,
  READY_READ,
  READY_READ_CLOSED,
  READY_WRITE,
} from "../../lib/stack/socket_types.ts";

/** A socket of the script. */
export interface SocketDescriptor {
  kind: "socket";
  handle: number;
  stream: boolean;
  nonblocking: boolean;
  /** Bytes written and read so far: where in the streams the next ones are. */
  written: number;
  read: number;
  /** The segments of this connection. */
  flow: Flow;
  /** A call to connect() has been made. */
  connecting: boolean;
  /** Options without effect on what is sent, by level and name. */
  kept: Map<string, number>;
  /** TCP_INQ: recvmsg says how much is left. */
  reportsQueue: boolean;
}

/** One descriptor that an epoll instance watches. */
export interface Watch {
  fd: number;
  events: number;
  /** What the caller gave to be given back; the name of the union's member and its value. */
  data: { name: string; value: number };
  /** Something changed since the last report. */
  edge: boolean;
  /** EPOLLONESHOT has fired. */
  disabled: boolean;
}

export interface EpollDescriptor {
  kind: "epoll";
  watches: Map<number, Watch>;
}

/** A pipe's end or a file: bytes without content. */
export interface BytesDescriptor {
  kind: "bytes";
  /** Bytes that can be read. */
  available: number;
  /** Where bytes written to it come out. */
  peer: BytesDescriptor | null;
}

export type Descriptor = SocketDescriptor | EpollDescriptor | BytesDescriptor;

/** The script's descriptors by the numbers it gives them. */
export class Descriptors {
  readonly #machine: Machine;
  readonly #open = new Map<number, Descriptor>();

  constructor(machine: Machine) {
    this.#machine = machine;
    machine.onReady = (handle) => this.#noteReady(handle);
  }

  get(fd: number): Descriptor | undefined {
    return this.#open.get(fd);
  }

  set(fd: number, descriptor: Descriptor): void {
    this.#open.set(fd, descriptor);
  }

  delete(fd: number): void {
    this.#open.delete(fd);
    for (const descriptor of this.#open.values()) {
      if (descriptor.kind === "epoll") descriptor.watches.delete(fd);
    }
  }

  /** The poll events that hold for a descriptor now. */
  events(descriptor: Descriptor): number {
    if (descriptor.kind === "bytes") return POLLIN | POLLOUT;
    if (descriptor.kind === "epoll") return this.report(descriptor, 1, false).length > 0 ? POLLIN : 0;
    return pollEvents(this.#machine.stack.readiness(descriptor.handle));
  }

  /** What epoll_wait would tell: descriptors with their events. `consume`: it does tell. */
  report(epoll: EpollDescriptor, max: number, consume = true): { watch: Watch; events: number }[] {
    const found: { watch: Watch; events: number }[] = [];
    for (const watch of epoll.watches.values()) {
      if (found.length >= max) break;
      const descriptor = this.#open.get(watch.fd);
      if (descriptor === undefined || watch.disabled) continue;
      const edgeTriggered = (watch.events & EPOLLET) !== 0;
      if (edgeTriggered && !watch.edge) continue;
      const events = this.events(descriptor) & (watch.events | POLLERR | POLLHUP);
      if (events === 0) {
        if (consume) watch.edge = false;
        continue;
      }
      found.push({ watch, events });
      if (!consume) continue;
      watch.edge = false;
      if ((watch.events & EPOLLONESHOT) !== 0) watch.disabled = true;
    }
    return found;
  }

  #noteReady(handle: number): void {
    for (const descriptor of this.#open.values()) {
      if (descriptor.kind !== "epoll") continue;
      for (const watch of descriptor.watches.values()) {
        const watched = this.#open.get(watch.fd);
        if (watched?.kind === "socket" && watched.handle === handle) watch.edge = true;
      }
    }
  }
}

function pollEvents(readiness: number): number {
  let events = 0;
  if ((readiness & READY_READ) !== 0) events |= POLLIN | POLLRDNORM;
  if ((readiness & READY_WRITE) !== 0) events |= POLLOUT | POLLWRNORM;
  if ((readiness & READY_READ_CLOSED) !== 0) events |= POLLIN | POLLRDNORM | POLLRDHUP;
  if ((readiness & READY_HANGUP) !== 0) events |= POLLHUP;
  if ((readiness & READY_ERROR) !== 0) events |= POLLERR;
  return events;
}
