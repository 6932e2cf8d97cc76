import { Epoll, EPOLLIN } from "../../ffi/epoll.ts";
import { libc } from "../../ffi/libc.ts";
import { listenUnix } from "../../ffi/unix_listener.ts";
import { LinuxUnixHost } from "../../lib/daemon/unix_host.ts";
import type { UnixHost } from "../../lib/ipc/host.ts";
import { Server } from "../../lib/ipc/server.ts";
import type { Configure } from "../../lib/ipc/service.ts";
import { FakeStack } from "./fake_stack.ts";

// Opened here, so that no test is said to leak it.
libc();

export interface FixtureOptions {
  host?: Partial<UnixHost>;
  uid?: number;
  gid?: number;
  describe?: () => string;
  configure?: Configure;
  backlog?: number;
}

/** A real server on a real Unix socket over a fake stack, turned by a timer in the test's own thread. */
export class Fixture implements Disposable {
  readonly stack = new FakeStack();
  readonly folder = Deno.makeTempDirSync({ prefix: "lvlip-test-" });
  readonly socketPath = `${this.folder}/s.sock`;
  readonly server: Server;
  readonly epoll = new Epoll();
  now = 1_000_000;
  /** The server does not get its turn. */
  paused = false;
  readonly warnings: string[] = [];
  readonly #listener;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(options: FixtureOptions = {}) {
    this.#listener = listenUnix(this.socketPath, { mode: 0o666, backlog: options.backlog });
    const linux = new LinuxUnixHost(this.epoll);
    const host: UnixHost = {
      accept: linux.accept,
      credentials: linux.credentials,
      isMember: linux.isMember,
      close: linux.close,
      receive: linux.receive,
      send: linux.send,
      hasEnded: linux.hasEnded,
      shutdownWrite: (fd) => linux.shutdownWrite(fd),
      watch: (fd) => linux.watch(fd),
      wasKilled: linux.wasKilled,
      randomId: () => linux.randomId(),
      socketPair: (type) => linux.socketPair(type),
      sendDescriptor: linux.sendDescriptor,
      setTag: linux.setTag,
      wallClockUs: linux.wallClockUs,
      setSendBuffer: (fd, bytes) => linux.setSendBuffer(fd, bytes),
      ...options.host,
    };
    this.server = new Server({
      listeners: [this.#listener.fd],
      stack: this.stack,
      host,
      describe: options.describe ?? (() => "{}"),
      configure: options.configure,
      uid: options.uid ?? Deno.uid()!,
      gid: options.gid ?? -1,
      warn: (message) => this.warnings.push(message),
    });
    this.#timer = setInterval(() => this.paused || this.turn(), 1);
  }

  /** What the loop does, without a device. */
  turn(): void {
    const { epoll, server, stack } = this;
    for (let more = true; more;) {
      const count = epoll.wait(0);
      for (let i = 0; i < count; i++) server.event(epoll.eventFd(i), epoll.eventMask(i));
      for (const handle of stack.ready.splice(0)) server.ready(handle);
      more = server.work(this.now);
    }
  }

  /** A turn in which epoll has told of new connections only. */
  turnForNewcomers(): void {
    this.server.event(this.#listener.fd, EPOLLIN);
    this.server.work(this.now);
  }

  /** Waits until `condition` holds. */
  async until(condition: () => boolean, what = "the condition"): Promise<void> {
    for (let tries = 0; !condition(); tries++) {
      if (tries > 1000) throw new Error(`${what} did not come true`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.server.close(this.now);
    this.#listener.close();
    this.epoll.close();
    Deno.removeSync(this.folder, { recursive: true });
  }
}
