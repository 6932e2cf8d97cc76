import { EACCES, EAGAIN, ECONNABORTED, EINTR, EMFILE, EOPNOTSUPP } from "../errno.ts";
import { ClientSocket } from "./client_socket.ts";
import {
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  type PeerCredentials,
  type SocketLayer,
  type UnixHost,
} from "./host.ts";
import { OP } from "./protocol.ts";
import type { NameService, NameSource } from "./name_service.ts";
import { RequestRole } from "./request_role.ts";
import { type Configure, Service } from "./service.ts";

/** New connections taken before the others have their turn. */
const ACCEPT_BUDGET = 64;

/** Bytes that all clients together move before the device has its turn: about a millisecond, so that it need not wait. */
const TURN_BUDGET = 2 * 1024 * 1024;

/** What a client's turn counts for in that beside its bytes: it takes as long as moving so many. */
const TURN_COST = 16 * 1024;

/** Connections of one user's programs, as the kernel limits open files. */
const MAX_CLIENTS = 65536;
/** Of a user who may not open sockets, and only asks about those of others. */
const MAX_STRANGERS = 256;

/** When to try again after an accept that failed for want of a descriptor or memory. */
const ACCEPT_RETRY_US = 100_000;

/** Least time between two warnings, so that a stranger cannot fill the log. */
const WARN_INTERVAL_US = 1_000_000;

export interface ServerOptions {
  /** The listening Unix sockets, non-blocking. */
  listeners: number[];
  stack: SocketLayer;
  host: UnixHost;
  /** Where it is written which name servers to ask; none are known without it. */
  names?: NameSource;
  /** What `status` answers with: a `DaemonStatus` as JSON, with each connection's TCP_INFO if that is asked for. */
  describe: (now: number, withInfo: boolean) => string;
  /** What serves `network`; none: those requests are refused. */
  configure?: Configure;
  /** Who may use the daemon besides root. */
  uid: number;
  /** A group whose members may too; -1: none. */
  gid: number;
  /** Told what an operator should see; not more than once a second. */
  warn?: (message: string) => void;
}

/**
 * Serves programs over Unix sockets. It does not wait for anything: `event` is told what epoll reported, `ready` which
 * handles of the stack may have changed, and `work` then does all that can be done.
 */
export class Server {
  readonly #options: ServerOptions;
  readonly #service: Service;
  readonly #requests = new RequestRole();
  /** Of strangers: they may hold a socket that another user's process made, and control that one, or have a pass. */
  readonly #strangersRequests = new RequestRole({
    refuse: (client) => this.#refuse(client),
    admitted: this.#requests,
  });
  #now = 0;
  /** Listeners that may have more connections. */
  readonly #acceptable: Set<number>;
  #retryAcceptAtUs = Infinity;
  #warnAgainAtUs = -Infinity;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#service = new Service(
      options.stack,
      options.host,
      options.describe,
      options.uid,
      options.configure ?? (() => EOPNOTSUPP),
      options.names ?? null,
    );
    this.#acceptable = new Set(options.listeners);
    for (const listener of options.listeners) options.host.watch(listener);
  }

  /** When `work` is due although nothing was reported; Infinity: never. */
  get deadline(): number {
    return Math.min(this.#retryAcceptAtUs, this.#service.names.deadline);
  }

  get counters(): Readonly<Service["counters"]> {
    return this.#service.counters;
  }

  /** Connections to programs. */
  get clientCount(): number {
    return this.#service.clients.size;
  }

  /** The resolver that programs ask. */
  get names(): NameService {
    return this.#service.names;
  }

  /** The program that holds a handle of the stack; null if none does. */
  ownerOf(handle: number): PeerCredentials | null {
    return this.#service.byHandle.get(handle)?.peer ?? null;
  }

  /** Notes what epoll reported of a descriptor. Nothing is closed here, so a whole batch can be noted first. */
  event(fd: number, events: number): void {
    const client = this.#service.clients.get(fd);
    if (client === undefined) {
      if (this.#options.listeners.includes(fd)) this.#acceptable.add(fd);
      return;
    }
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) !== 0) client.readable = true;
    if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) !== 0) client.writable = true;
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) !== 0) client.ended = true;
    if ((events & EPOLLHUP) !== 0) client.hungUp = true;
    if ((events & EPOLLERR) !== 0) client.failed = true;
    this.#service.wake(client);
  }

  /** Notes that a handle's readiness may have changed. */
  ready(handle: number): void {
    const client = this.#service.byHandle.get(handle);
    if (client !== undefined) this.#service.wake(client);
    else this.#service.names.ready(handle);
  }

  /** Gives clients that wait one turn each; true when some want another at once, or did not get theirs. */
  work(now: number): boolean {
    const service = this.#service;
    this.#accept(now);
    const moreNames = service.names.work(now);
    service.moved = 0;
    const runnable = service.takeRunnable();
    for (let i = 0; i < runnable.length; i++) {
      if (service.moved >= TURN_BUDGET) {
        service.putBack(runnable, i);
        break;
      }
      const client = runnable[i];
      client.queued = false;
      service.moved += TURN_COST;
      if (!client.closed && client.role.run(client, service, now)) service.wake(client);
    }
    return moreNames || !service.idle || (this.#acceptable.size > 0 && this.#retryAcceptAtUs === Infinity);
  }

  /** Ends every connection, with a reset where TCP has one. The listening sockets belong to whoever opened them. */
  close(now: number): void {
    for (const client of [...this.#service.clients.values()]) this.#service.drop(client, now);
  }

  #accept(now: number): void {
    const service = this.#service;
    // After a failure for want of a descriptor, only when one was given back or the time has come.
    if (now < this.#retryAcceptAtUs && this.#retryAcceptAtUs !== Infinity && !service.descriptorFreed) return;
    this.#retryAcceptAtUs = Infinity;
    service.descriptorFreed = false;
    for (const listener of this.#acceptable) {
      if (!this.#acceptFrom(listener, now)) return;
    }
  }

  /** False when there is no descriptor to be had. */
  #acceptFrom(listener: number, now: number): boolean {
    const { host, counters } = this.#service;
    for (let left = ACCEPT_BUDGET; left > 0; left--) {
      const fd = host.accept(listener);
      if (fd >= 0) {
        this.#welcome(fd, now);
      } else if (fd === -EAGAIN) {
        this.#acceptable.delete(listener);
        return true;
      } else if (fd !== -EINTR && fd !== -ECONNABORTED) {
        // EMFILE, ENFILE, ENOMEM: programs wait in the socket's queue until a descriptor is given back.
        counters.acceptFailures++;
        this.#warn(
          `Programs have to wait: no descriptor to be had (error ${-fd}); raise it with ulimit -n`,
          now,
        );
        this.#retryAcceptAtUs = now + ACCEPT_RETRY_US;
        return false;
      }
    }
    return true;
  }

  #welcome(fd: number, now: number): void {
    const service = this.#service;
    const peer = service.host.credentials(fd);
    if (peer === null) return service.host.close(fd);
    this.#now = now;
    const isStranger = !this.#mayUse(fd, peer);
    const isFull = service.countOf(peer.uid, isStranger) >= (isStranger ? MAX_STRANGERS : MAX_CLIENTS);
    const errno = !isFull ? 0 : isStranger ? EACCES : EMFILE;
    if (errno !== 0) {
      service.record.reset(OP.none).errno = errno;
      service.answer(new ClientSocket(fd, peer, this.#requests), service.record);
      return service.host.close(fd);
    }
    const role = isStranger ? this.#strangersRequests : this.#requests;
    if (service.adopt(fd, peer, role, isStranger) !== null) service.counters.clientsAccepted++;
  }

  #refuse({ peer }: ClientSocket): void {
    this.#service.counters.clientsRefused++;
    this.#warn(
      `Refused process ${peer.pid} of user ${peer.uid}; --group lets a group's members in`,
      this.#now,
    );
  }

  #warn(message: string, now: number): void {
    if (now < this.#warnAgainAtUs) return;
    this.#warnAgainAtUs = now + WARN_INTERVAL_US;
    this.#options.warn?.(message);
  }

  #mayUse(fd: number, peer: PeerCredentials): boolean {
    const { uid, gid, host } = this.#options;
    if (peer.uid === 0 || peer.uid === uid) return true;
    return gid >= 0 && (peer.gid === gid || host.isMember(fd, gid));
  }
}
