import { EAGAIN, EINTR } from "../errno.ts";
import { EACCES, ECONNABORTED } from "../errno.ts";
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
import { RequestRole } from "./request_role.ts";
import { Service } from "./service.ts";

/** New connections taken before the others have their turn. */
const ACCEPT_BUDGET = 64;

/** When to try again after an accept that failed for want of a descriptor or memory. */
const ACCEPT_RETRY_US = 100_000;

export interface ServerOptions {
  /** The listening Unix socket, non-blocking. */
  listener: number;
  stack: SocketLayer;
  host: UnixHost;
  /** What `status` answers with: a `DaemonStatus` as JSON. */
  describe: (now: number) => string;
  /** Who may use the daemon besides root. */
  uid: number;
  /** A group whose members may too; -1: none. */
  gid: number;
}

/**
 * Serves programs over Unix sockets. It does not wait for anything: `event` is told what epoll reported, `ready` which
 * handles of the stack may have changed, and `work` then does all that can be done.
 */
export class Server {
  readonly #options: ServerOptions;
  readonly #service: Service;
  readonly #requests = new RequestRole();
  #acceptable = true;
  #retryAcceptAtUs = Infinity;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#service = new Service(options.stack, options.host, options.describe);
    options.host.watch(options.listener);
  }

  /** When `work` is due although nothing was reported; Infinity: never. */
  get deadline(): number {
    return this.#retryAcceptAtUs;
  }

  get counters(): Readonly<Service["counters"]> {
    return this.#service.counters;
  }

  /** Connections to programs. */
  get clientCount(): number {
    return this.#service.clients.size;
  }

  /** The program that holds a handle of the stack; null if none does. */
  ownerOf(handle: number): PeerCredentials | null {
    return this.#service.byHandle.get(handle)?.peer ?? null;
  }

  /** Notes what epoll reported of a descriptor. Nothing is closed here, so a whole batch can be noted first. */
  event(fd: number, events: number): void {
    if (fd === this.#options.listener) {
      this.#acceptable = true;
      return;
    }
    const client = this.#service.clients.get(fd);
    if (client === undefined) return;
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
  }

  /** Gives every client that waits one turn; true when some want another at once. */
  work(now: number): boolean {
    const service = this.#service;
    if (this.#acceptable || now >= this.#retryAcceptAtUs || service.descriptorFreed) this.#accept(now);
    for (const client of service.takeRunnable()) {
      if (!client.closed && client.role.run(client, service, now)) service.wake(client);
    }
    return !service.idle || this.#acceptable;
  }

  /** Ends every connection, with a reset where TCP has one, and stops listening. */
  close(now: number): void {
    for (const client of [...this.#service.clients.values()]) this.#service.drop(client, now);
    this.#options.host.close(this.#options.listener);
  }

  #accept(now: number): void {
    const service = this.#service;
    const retry = this.#retryAcceptAtUs !== Infinity;
    service.descriptorFreed = false;
    if (!this.#acceptable && !retry) return;
    this.#retryAcceptAtUs = Infinity;
    for (let left = ACCEPT_BUDGET; left > 0; left--) {
      const fd = service.host.accept(this.#options.listener);
      if (fd >= 0) {
        this.#welcome(fd);
        continue;
      }
      if (fd === -EINTR || fd === -ECONNABORTED) continue;
      this.#acceptable = false;
      if (fd === -EAGAIN) return;
      // EMFILE, ENFILE, ENOMEM: programs wait in the socket's queue until a descriptor is given back.
      service.counters.acceptFailures++;
      this.#retryAcceptAtUs = now + ACCEPT_RETRY_US;
      return;
    }
    this.#acceptable = true;
  }

  #welcome(fd: number): void {
    const service = this.#service;
    const peer = service.host.credentials(fd);
    if (peer === null) return service.host.close(fd);
    const client = new ClientSocket(fd, peer, this.#requests);
    if (!this.#mayUse(fd, peer)) {
      service.counters.clientsRefused++;
      service.record.reset(OP.none).errno = EACCES;
      service.answer(client, service.record);
      return service.host.close(fd);
    }
    service.clients.set(fd, client);
    service.counters.clientsAccepted++;
    if (service.host.watch(fd) < 0) {
      service.clients.delete(fd);
      return service.host.close(fd);
    }
    service.wake(client);
  }

  #mayUse(fd: number, peer: PeerCredentials): boolean {
    const { uid, gid, host } = this.#options;
    if (peer.uid === 0 || peer.uid === uid) return true;
    return gid >= 0 && (peer.gid === gid || host.isMember(fd, gid));
  }
}
