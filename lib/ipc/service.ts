import { Memory, Slices } from "../buffer/memory.ts";
import { Datagram, SocketName } from "../stack/socket_types.ts";
import { EAGAIN, ENOENT } from "../errno.ts";
import { ClientSocket, type Role } from "./client_socket.ts";
import type { PeerCredentials, SocketLayer, UnixHost } from "./host.ts";
import type { ListenRole } from "./listen_role.ts";
import { NameService, type NameSource } from "./name_service.ts";
import { Newcomers } from "./newcomers.ts";
import { OutboxRole } from "./outbox_role.ts";
import type { Settings } from "./settings.ts";
import { encodeRecord, ID_MASK, ProtocolRecord, RECORD_SIZE } from "./protocol.ts";

/** How many ended streams are remembered, so that a program can still ask how one ended. */
const MAX_TOMBSTONES = 32768;

/** A connection that was accepted from the stack and waits for the program to claim it with its token. */
export interface Unclaimed {
  handle: number;
  listener: ClientSocket;
  role: ListenRole;
}

/** Events of the server that an operator may want counted. */
export interface ServerCounters {
  clientsAccepted: number;
  clientsRefused: number;
  acceptFailures: number;
  requestsMalformed: number;
}

/** Answers a `NetworkRequest` with JSON, or an errno; `mayChange`: it comes from one who may. */
export type Configure = (request: string, mayChange: boolean, now: number) => string | number;

/** What the roles share: the stack, the system, who is who, and buffers that are reused. */
export class Service {
  readonly clients = new Map<number, ClientSocket>();
  readonly byHandle = new Map<number, ClientSocket>();
  readonly byId = new Map<bigint, ClientSocket>();
  readonly unclaimed = new Map<bigint, Unclaimed>();
  readonly counters: ServerCounters = {
    clientsAccepted: 0,
    clientsRefused: 0,
    acceptFailures: 0,
    requestsMalformed: 0,
  };
  /** Reused for every request, answer and message. */
  readonly record = new ProtocolRecord();
  readonly scratch = new Memory(65536);
  readonly slices = new Slices();
  readonly name = new SocketName();
  readonly datagram = new Datagram();
  /** Bytes of streams moved in this turn of all clients; counted by those who move them. */
  moved = 0;
  /** Set when a descriptor was given back: an accept that failed for want of one may be tried again. */
  descriptorFreed = false;
  /** Proof that a program was started by somebody who may open sockets. */
  readonly pass: bigint;
  /** The resolver on the stack's sockets. */
  readonly names: NameService;
  /** Clients that have said nothing yet. */
  readonly newcomers = new Newcomers();
  readonly #tombstones = new Map<bigint, number>();
  /** What was set of streams whose connect failed: the program may try again. */
  readonly #heirlooms = new Map<bigint, Settings>();
  readonly #waiting = new Set<ClientSocket>();
  readonly #perUser = new Map<number, number>();
  readonly #strangersPerUser = new Map<number, number>();
  #runnable: ClientSocket[] = [];

  /** `describe`: the text that `status` answers with, JSON; `ownerUid`: whose daemon it is; `configure`: what serves `network`. */
  constructor(
    readonly stack: SocketLayer,
    readonly host: UnixHost,
    readonly describe: (now: number, withInfo: boolean) => string,
    readonly ownerUid: number,
    readonly configure: Configure,
    nameSource: NameSource | null,
  ) {
    this.pass = host.randomId();
    this.names = new NameService(stack, () => Number(host.randomId() & 0xffff_ffffn), nameSource);
  }

  /** Gives the client a turn. */
  wake(client: ClientSocket): void {
    if (client.queued || client.closed) return;
    client.queued = true;
    if (client.role.goesFirst) this.#runnable.unshift(client);
    else this.#runnable.push(client);
  }

  get idle(): boolean {
    return this.#runnable.length === 0;
  }

  /** Those who wait for a turn. They count as waiting until they get it, see `putBack`. */
  takeRunnable(): ClientSocket[] {
    const runnable = this.#runnable;
    this.#runnable = [];
    return runnable;
  }

  /** Those from `first` on did not get their turn: they go before whoever has come to wait since. */
  putBack(runnable: ClientSocket[], first: number): void {
    this.#runnable = runnable.slice(first).concat(this.#runnable);
  }

  /** An id that nobody has. */
  newId(): bigint {
    for (;;) {
      const id = this.host.randomId();
      if (id !== 0n && this.isFree(id)) return id;
    }
  }

  /** The same for a socket that a program holds, whose tag has no room for more. */
  newSocketId(): bigint {
    for (;;) {
      const id = this.host.randomId() & ID_MASK;
      if (id !== 0n && this.isFree(id)) return id;
    }
  }

  isFree(id: bigint): boolean {
    return !this.byId.has(id) && !this.#tombstones.has(id) && !this.unclaimed.has(id);
  }

  /** Ties a client to a handle of the stack; both ways are needed. */
  attach(client: ClientSocket, handle: number): void {
    client.handle = handle;
    this.byHandle.set(handle, client);
  }

  /** Makes the client known by `id`. */
  identify(client: ClientSocket, id: bigint): void {
    client.id = id;
    this.byId.set(id, client);
  }

  /** Remembers how the stream with `id` ended: 0 or an errno. */
  bury(id: bigint, errno: number, settings: Settings | null = null): void {
    if (id === 0n) return;
    this.#tombstones.set(id, errno);
    if (settings !== null) this.#heirlooms.set(id, settings);
    if (this.#tombstones.size <= MAX_TOMBSTONES) return;
    const [oldest] = this.#tombstones.keys();
    this.#tombstones.delete(oldest);
    this.#heirlooms.delete(oldest);
  }

  /** What was set of the socket with `id`, of now or of a while ago; undefined when it is not known. */
  settingsOf(id: bigint): Settings | null | undefined {
    const client = this.byId.get(id);
    if (client !== undefined) return client.settings;
    return this.#tombstones.has(id) ? this.#heirlooms.get(id) ?? null : undefined;
  }

  /** How a stream ended: 0, an errno, or -ENOENT when it is not known (any more). */
  epitaph(id: bigint): number {
    return this.#tombstones.get(id) ?? -ENOENT;
  }

  /** Ends a connection to a program, and what the stack holds for it. */
  drop(client: ClientSocket, now: number): void {
    if (client.closed) return;
    client.closed = true;
    client.role.end(client, this, now);
    if (client.handle >= 0) this.byHandle.delete(client.handle);
    if (client.id !== 0n) this.byId.delete(client.id);
    this.clients.delete(client.fd);
    this.newcomers.note(client, false);
    count(this.#countsFor(client), client.peer.uid, -1);
    this.host.close(client.fd);
    this.descriptorFreed = true;
    for (const waiting of this.#waiting) this.wake(waiting);
    this.#waiting.clear();
  }

  /** A descriptor of ours that serves `peer` from now on as `role`; null when it cannot be watched, and is closed. */
  adopt(fd: number, peer: PeerCredentials, role: Role, isStranger = false): ClientSocket | null {
    if (this.host.watch(fd) < 0) {
      this.host.close(fd);
      return null;
    }
    const client = new ClientSocket(fd, peer, role);
    client.isStranger = isStranger;
    this.clients.set(fd, client);
    count(this.#countsFor(client), peer.uid, 1);
    this.wake(client);
    return client;
  }

  /** Connections that a user's programs have, of strangers or of others. */
  countOf(uid: number, isStranger: boolean): number {
    return (isStranger ? this.#strangersPerUser : this.#perUser).get(uid) ?? 0;
  }

  /** The client has shown the pass: it is no stranger any more. */
  admit(client: ClientSocket): void {
    count(this.#countsFor(client), client.peer.uid, -1);
    client.isStranger = false;
    count(this.#countsFor(client), client.peer.uid, 1);
  }

  #countsFor(client: ClientSocket): Map<number, number> {
    return client.isStranger ? this.#strangersPerUser : this.#perUser;
  }

  /** Raw sockets are for root and for who runs the daemon: CAP_NET_RAW's place. */
  mayOpenRaw(peer: PeerCredentials): boolean {
    return this.isOwner(peer);
  }

  /** Root, or who runs the daemon: they may change what all its programs share. */
  isOwner({ uid }: PeerCredentials): boolean {
    return uid === 0 || uid === this.ownerUid;
  }

  /** The client gets a turn when a descriptor was given back. */
  awaitDescriptor(client: ClientSocket): void {
    this.#waiting.add(client);
  }

  /** The stack's handle goes on without the client (closed, reset); to be called before it is given back. */
  detach(client: ClientSocket): number {
    const handle = client.handle;
    this.byHandle.delete(handle);
    client.handle = -1;
    return handle;
  }

  /** Sends `record`; the client goes on as its present role when all of it is out. */
  answer(client: ClientSocket, record: ProtocolRecord): void {
    encodeRecord(record, this.scratch.view, 0);
    this.sendFrom(client, this.scratch, RECORD_SIZE);
  }

  /** Sends `errno` as the answer to what is in `record`. */
  answerError(client: ClientSocket, record: ProtocolRecord, errno: number): void {
    const { op, id } = record;
    record.reset(op);
    record.id = id;
    record.errno = errno;
    this.answer(client, record);
  }

  /** Sends the first `length` bytes of `memory`, which may be reused afterwards. */
  sendFrom(client: ClientSocket, memory: Memory, length: number): void {
    const sent = this.send(client, memory, 0, length);
    if (sent < length) client.role = OutboxRole.of(memory, sent, length, client.role);
  }

  /** Sends from `memory`; bytes. A program that has gone is noticed by its hang-up: its bytes count as sent. */
  send(client: ClientSocket, memory: Memory, offset: number, length: number): number {
    const { slices } = this;
    slices.memory = memory;
    slices.offset1 = offset;
    slices.length1 = length;
    slices.offset2 = slices.length2 = 0;
    const sent = this.host.send(client.fd, slices);
    if (sent < length) client.writable = false;
    if (sent >= 0) return sent;
    return sent === -EAGAIN ? 0 : length;
  }

  /** Receives into `scratch`; bytes, 0 at the end, -errno. */
  receive(client: ClientSocket, length: number): number {
    const { slices } = this;
    slices.memory = this.scratch;
    slices.offset1 = 0;
    slices.length1 = length;
    slices.offset2 = slices.length2 = 0;
    const count = this.host.receive(client.fd, slices);
    if (count === -EAGAIN || count === 0) client.readable = false;
    return count;
  }
}

function count(counts: Map<number, number>, uid: number, change: number): void {
  const now = (counts.get(uid) ?? 0) + change;
  if (now > 0) counts.set(uid, now);
  else counts.delete(uid);
}
