import manifest from "../../deno.json" with { type: "json" };
import type { ConnectOptions, ListenDatagramOptions, ListenOptions, StatusOptions } from "../ipc/client.ts";
import * as client from "../ipc/client.ts";
import { type DaemonOptions, readConfig } from "./config.ts";
import type { LogLevel } from "./config.ts";
import { openCaptureFile } from "./capture_file.ts";
import { openTaps } from "./resources.ts";
import { bindSocket, type DaemonSocket } from "./socket.ts";
import { StackWorker } from "./stack_worker.ts";

/** What a host may be told: what the daemon may, but for what has to do with other programs. */
export interface HostOptions extends Omit<DaemonOptions, "socket" | "group" | "json" | "logLevel"> {
  /** Told what an operator should see, e.g. that another machine uses our address. */
  onLog?: (level: LogLevel, message: string) => void;
}

type Own<T> = Omit<T, "socketPath">;

/**
 * A TCP/IP host inside this program, without a daemon: opens a TAP and runs the stack on it in a Worker. Needs the
 * permissions ffi, read, write, env, sys, net and run, and of the system the right to the TAP (a persistent one of this
 * user's, else CAP_NET_ADMIN). Other programs of this user can use it too: `LVLIP_SOCKET` is `socketPath` for them.
 *
 * @example An HTTP request to the kernel, whose side of the TAP is 10.0.0.5
 * ```ts
 * import { Host } from "@lvl-ip/lvl-ip";
 *
 * await using host = await Host.open({ tap: "tap7", addr: "10.0.7.4/24", gateway: "10.0.7.5" });
 * using listener = await host.listen({ port: 80 });
 * const asked = listener.accept();
 * using connection = await host.connect({ hostname: host.address, port: 80 });
 * await connection.write(new TextEncoder().encode("hello"));
 * using accepted = await asked;
 * const bytes = new Uint8Array(5);
 * console.assert(await accepted.read(bytes) === 5);
 * ```
 */
export class Host implements AsyncDisposable {
  #closing: Promise<void> | null = null;

  private constructor(
    /** The stack's address on its first interface, e.g. "10.0.0.4". */
    readonly address: string,
    readonly worker: StackWorker,
    readonly socket: DaemonSocket,
    readonly folder: string,
  ) {}

  /**
   * Opens the TAP and starts the stack. Throws `CommandError` (one sentence, and what mends it) when the options are wrong or
   * the TAP cannot be had, with nothing left behind.
   */
  static async open(options: HostOptions = {}): Promise<Host> {
    const { onLog = () => {}, ...rest } = options;
    const folder = await Deno.makeTempDir({ prefix: "lvl-ip-" });
    try {
      const config = readConfig({ ...rest, socket: `${folder}/lvl-ip.sock` });
      const taps = openTaps(config);
      let socket: DaemonSocket | null = null;
      try {
        const captureFd = config.pcap === undefined ? -1 : openCaptureFile(config.pcap);
        socket = bindSocket(config.socket);
        const worker = new StackWorker();
        const ready = Promise.withResolvers<void>();
        worker.onMessage = (message) => {
          if (message.kind === "ready") ready.resolve();
          else if (message.kind === "log") onLog(message.level, message.message);
        };
        void worker.ended.then((error) => ready.reject(new Error(`The stack ended: ${error}`)));
        worker.start({
          config,
          tapFds: taps.map(({ fd }) => fd),
          captureFd,
          listenerFds: socket.descriptors,
          socketPath: socket.path,
          version: manifest.version,
        });
        await ready.promise;
        const { address } = await client.status({ socketPath: socket.path });
        return new Host(address, worker, socket, folder);
      } catch (error) {
        socket?.close();
        for (const tap of taps) tap.close();
        throw error;
      }
    } catch (error) {
      await Deno.remove(folder, { recursive: true });
      throw error;
    }
  }

  /** Where programs find it. */
  get socketPath(): string {
    return this.socket.path;
  }

  /** As the function of that name, through this host; so are the others. */
  connect(options: Own<ConnectOptions>): Promise<client.Connection> {
    return client.connect({ ...options, socketPath: this.socketPath });
  }

  listen(options: Own<ListenOptions>): Promise<client.Listener> {
    return client.listen({ ...options, socketPath: this.socketPath });
  }

  listenDatagram(options: Own<ListenDatagramOptions> = {}): Promise<client.DatagramConn> {
    return client.listenDatagram({ ...options, socketPath: this.socketPath });
  }

  ping(host: string, options: Own<client.PingOptions> = {}): Promise<client.Ping> {
    return client.ping(host, { ...options, socketPath: this.socketPath });
  }

  resolve(name: string): Promise<string[]> {
    return client.resolve(name, { socketPath: this.socketPath });
  }

  status(options: Own<StatusOptions> = {}): Promise<client.DaemonStatus> {
    return client.status({ ...options, socketPath: this.socketPath });
  }

  /**
   * Resets all connections, ends the stack and gives the TAP back. Of each Worker that has ended Deno (2.7) keeps two
   * descriptors: a program should open one host and keep it.
   */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    this.worker.stop();
    await this.worker.ended;
    this.worker.terminate();
    this.socket.close();
    await Deno.remove(this.folder, { recursive: true });
  }
}
