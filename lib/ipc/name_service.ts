import { Slices } from "../buffer/memory.ts";
import { EADDRINUSE, EAGAIN, EINPROGRESS } from "../errno.ts";
import type { ResolverConfig } from "../resolver/config.ts";
import type { Hosts } from "../resolver/hosts.ts";
import { Resolver } from "../resolver/resolver.ts";
import { type Action, type NameAnswer, Reason, type RecordType } from "../resolver/types.ts";
import { Datagram, READY_ERROR, READY_HANGUP, READY_READ, READY_WRITE } from "../stack/socket_types.ts";
import type { SocketLayer } from "./host.ts";

/** RFC 5452 4.5: any port but the privileged ones. */
const FIRST_PORT = 1024;
const PORT_COUNT = 65536 - FIRST_PORT;
/** Ports tried before a query is given up: they are all but free. */
const PORT_TRIES = 16;
/** What a server may answer, with room for one that does not keep to RFC 6891's limit. */
const MESSAGE_CAPACITY = 8192;
/** Messages of one socket before the others have their turn. */
const BUDGET = 16;

/** Where it is written whom to ask. */
export interface NameSource {
  /** What is to hold from now on; null: as before. */
  refresh(now: number): { config: ResolverConfig; hosts: Hosts } | null;
  /** A look-up failed because no server is known: somebody may want to know why. */
  noServer(): void;
}

/** A socket of the stack that carries one query. */
interface QuerySocket {
  handle: number;
  channel: number;
  kind: "udp" | "tcp";
  address: number;
  port: number;
  /** What is still to be sent over TCP. */
  unsent: Uint8Array;
}

/** The resolver on the stack's sockets. It never waits: `ready` says which may have something, `work` sees to them. */
export class NameService {
  readonly resolver: Resolver;
  readonly #stack: SocketLayer;
  readonly #random: () => number;
  readonly #source: NameSource | null;
  readonly #byHandle = new Map<number, QuerySocket>();
  readonly #byChannel = new Map<number, QuerySocket>();
  readonly #ready = new Set<QuerySocket>();
  readonly #waiting = new Map<number, (answer: NameAnswer) => void>();
  readonly #datagram = new Datagram(MESSAGE_CAPACITY);
  readonly #slices = new Slices();

  /** `random`: a uint32 that cannot be guessed. Without a source no server is known. */
  constructor(stack: SocketLayer, random: () => number, source: NameSource | null) {
    this.#stack = stack;
    this.#random = random;
    this.#source = source;
    this.resolver = new Resolver(random);
  }

  get deadline(): number {
    return this.resolver.deadline;
  }

  /** What holds at this time. */
  config(now: number): ResolverConfig {
    const change = this.#source?.refresh(now);
    if (change) this.resolver.configure(change.config, change.hosts);
    return this.resolver.config;
  }

  /** Looks a name up and calls `done` with what came of it, perhaps before this returns; a ticket for `forget`. */
  lookUp(name: string, type: RecordType, now: number, done: (answer: NameAnswer) => void): number {
    this.config(now);
    const ticket = this.resolver.lookUp(name, type, now);
    this.#waiting.set(ticket, done);
    this.#settle(now);
    return ticket;
  }

  /** Nobody waits for that look-up any more. */
  forget(ticket: number): void {
    this.#waiting.delete(ticket);
    this.resolver.forget(ticket);
  }

  /** Notes that a handle's readiness may have changed; false if it is none of ours. */
  ready(handle: number): boolean {
    const socket = this.#byHandle.get(handle);
    if (socket !== undefined) this.#ready.add(socket);
    return socket !== undefined;
  }

  /** Does what can be done now; true when there is more to do at once. */
  work(now: number): boolean {
    for (const socket of this.#ready) {
      this.#ready.delete(socket);
      const isUnfinished = socket.kind === "udp" ? this.#receive(socket, now) : this.#converse(socket, now);
      if (isUnfinished) this.#ready.add(socket);
      this.#settle(now);
      if (isUnfinished) break;
    }
    if (this.resolver.deadline <= now) this.resolver.advance(now);
    this.#settle(now);
    return this.#ready.size > 0;
  }

  #settle(now: number): void {
    for (let action = this.resolver.nextAction(); action !== null; action = this.resolver.nextAction()) {
      if (action.kind === "close") this.#close(action.channel, now);
      else if (!this.#open(action, now)) this.resolver.failed(action.channel, now);
    }
    for (let each = this.resolver.takeAnswer(); each !== null; each = this.resolver.takeAnswer()) {
      const done = this.#waiting.get(each.ticket);
      this.#waiting.delete(each.ticket);
      if (each.answer.reason === Reason.noServer) this.#source?.noServer();
      done?.(each.answer);
    }
  }

  /** False when there is no socket to be had, or no route. */
  #open(action: Extract<Action, { kind: "udp" | "tcp" }>, now: number): boolean {
    const { kind, channel, address, port, bytes } = action;
    const stack = this.#stack;
    const handle = stack.socket(kind === "udp" ? 2 : 1);
    if (handle < 0) return false;
    const socket: QuerySocket = { handle, channel, kind, address, port, unsent: bytes };
    this.#byHandle.set(handle, socket);
    this.#byChannel.set(channel, socket);
    if (kind === "udp" && !this.#bind(handle)) return false;
    const result = stack.connect(handle, address, port, now);
    if (result < 0 && result !== -EINPROGRESS) return false;
    this.#ready.add(socket);
    return kind === "tcp" || this.#send(handle, bytes, now);
  }

  /** The stack's own choice of ports is meant for connections: to one server they follow each other. */
  #bind(handle: number): boolean {
    for (let tries = 0; tries < PORT_TRIES; tries++) {
      const result = this.#stack.bind(handle, 0, FIRST_PORT + this.#random() % PORT_COUNT);
      if (result !== -EADDRINUSE) return result >= 0;
    }
    return false;
  }

  #send(handle: number, bytes: Uint8Array, now: number): boolean {
    const datagram = this.#datagram;
    datagram.address =
      datagram.port =
      datagram.ttl =
      datagram.offset =
        0;
    datagram.bytes.set(bytes);
    datagram.length = bytes.length;
    return this.#stack.sendTo(handle, datagram, now) >= 0;
  }

  #close(channel: number, now: number): void {
    const socket = this.#byChannel.get(channel);
    if (socket === undefined) return;
    this.#byChannel.delete(channel);
    this.#byHandle.delete(socket.handle);
    this.#ready.delete(socket);
    this.#stack.close(socket.handle, now);
  }

  /** Takes datagrams off a socket; true when there may be more. */
  #receive(socket: QuerySocket, now: number): boolean {
    const datagram = this.#datagram;
    for (let left = BUDGET; left > 0; left--) {
      const result = this.#stack.receiveFrom(socket.handle, datagram);
      if (result === -EAGAIN) return false;
      if (result < 0) {
        this.resolver.failed(socket.channel, now);
        return false;
      }
      const { bytes, offset, length, address, port } = datagram;
      const message = bytes.subarray(offset, offset + length);
      this.resolver.datagram(socket.channel, address, port, message, now);
      if (this.resolver.isSettled(socket.channel)) return false;
    }
    return true;
  }

  /** Sends the rest of a query and takes what has come of the stream; true when there may be more. */
  #converse(socket: QuerySocket, now: number): boolean {
    const { handle, channel } = socket;
    const stack = this.#stack;
    const readiness = stack.readiness(handle);
    if ((readiness & READY_ERROR) !== 0) {
      this.resolver.failed(channel, now);
      return false;
    }
    if ((readiness & READY_WRITE) !== 0) this.#write(socket, now);
    if ((readiness & (READY_READ | READY_HANGUP)) === 0) return false;
    const slices = this.#slices;
    const count = stack.peek(handle, MESSAGE_CAPACITY, slices);
    if (count === -EAGAIN) return false;
    if (count <= 0) {
      this.resolver.failed(channel, now);
      return false;
    }
    const bytes = new Uint8Array(count);
    const { memory, offset1, length1, offset2, length2 } = slices;
    bytes.set(memory!.bytes.subarray(offset1, offset1 + length1));
    bytes.set(memory!.bytes.subarray(offset2, offset2 + length2), length1);
    stack.consume(handle, count, now);
    this.resolver.stream(channel, bytes, now);
    return !this.resolver.isSettled(channel);
  }

  #write(socket: QuerySocket, now: number): void {
    const { unsent, handle } = socket;
    if (unsent.length === 0) return;
    const slices = this.#slices;
    const room = this.#stack.reserve(handle, unsent.length, slices);
    if (room <= 0) return;
    const { memory, offset1, length1, offset2 } = slices;
    const count = Math.min(room, unsent.length);
    memory!.bytes.set(unsent.subarray(0, Math.min(length1, count)), offset1);
    if (count > length1) memory!.bytes.set(unsent.subarray(length1, count), offset2);
    this.#stack.commit(handle, count, now);
    socket.unsent = unsent.subarray(count);
  }
}
