/** A UDP socket of the kernel with the interface of the stack's: node's, since Deno's own is not stable. */
import { createSocket, type Socket } from "node:dgram";
import type { Datagrams } from "./sides.ts";

/** Messages that wait for their reader; more are dropped, as the kernel does when a socket's buffer is full. */
const MAX_WAITING = 1024;

type Message = [Uint8Array<ArrayBuffer>, Deno.NetAddr];

export class HostDatagrams implements Datagrams {
  readonly addr: Deno.NetAddr;
  readonly #waiting: (Message | Error)[] = [];
  readonly #readers: PromiseWithResolvers<Message>[] = [];
  #closed = false;

  private constructor(readonly socket: Socket, readonly isConnected: boolean) {
    const { address, port } = socket.address();
    this.addr = { transport: "udp", hostname: address, port };
    socket.on("message", (bytes, from) => {
      const sender: Deno.NetAddr = { transport: "udp", hostname: from.address, port: from.port };
      this.#take([new Uint8Array(bytes), sender]);
    });
    socket.on("error", (error) => this.#take(error));
  }

  /** Hears everybody. */
  static bind(host: string, port: number): Promise<HostDatagrams> {
    return HostDatagrams.#open((socket, done) => socket.bind(port, host, done), false);
  }

  /** Hears one peer only. */
  static connect(host: string, port: number): Promise<HostDatagrams> {
    return HostDatagrams.#open((socket, done) => socket.connect(port, host, done), true);
  }

  static #open(
    open: (socket: Socket, done: () => void) => void,
    isConnected: boolean,
  ): Promise<HostDatagrams> {
    const { promise, resolve, reject } = Promise.withResolvers<HostDatagrams>();
    const socket = createSocket("udp4");
    const failed = (error: Error) => {
      socket.close();
      reject(error);
    };
    socket.once("error", failed);
    open(socket, () => {
      socket.off("error", failed);
      resolve(new HostDatagrams(socket, isConnected));
    });
    return promise;
  }

  /** Throws what node gives for ECONNREFUSED..., or `Deno.errors.BadResource` when the socket is closed. */
  receive(): Promise<Message> {
    const next = this.#waiting.shift();
    if (next instanceof Error) return Promise.reject(next);
    if (next !== undefined) return Promise.resolve(next);
    if (this.#closed) return Promise.reject(new Deno.errors.BadResource("The socket is closed"));
    const reader = Promise.withResolvers<Message>();
    this.#readers.push(reader);
    return reader.promise;
  }

  send(bytes: Uint8Array, to?: Deno.Addr): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const done = (error: Error | null, count: number) => error ? reject(error) : resolve(count);
    if (this.isConnected || to === undefined || !("hostname" in to)) this.socket.send(bytes, done);
    else this.socket.send(bytes, to.port, to.hostname, done);
    return promise;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.socket.close();
    for (const reader of this.#readers.splice(0)) {
      reader.reject(new Deno.errors.BadResource("The socket is closed"));
    }
  }

  #take(item: Message | Error): void {
    const reader = this.#readers.shift();
    if (reader === undefined) {
      if (this.#waiting.length < MAX_WAITING) this.#waiting.push(item);
    } else if (item instanceof Error) reader.reject(item);
    else reader.resolve(item);
  }
}
