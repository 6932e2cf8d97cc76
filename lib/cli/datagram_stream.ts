/** Datagrams as `connect -u` and `listen -u` see them: every read and every write is one message. */
import type { DatagramConn } from "../ipc/client.ts";
import type { Stream } from "./conversation.ts";

/** The largest piece of stdin that goes out as one message, as with nc: it fits any path, in fragments at worst. */
const MAX_MESSAGE = 16384;

/** What is used of a datagram socket. */
export type Messages = Pick<DatagramConn, "receive" | "send" | "close" | "addr">;

/** A datagram socket with one peer: the one it was made for, else who sends first; with `follows` who sent last. */
export class DatagramStream implements Stream {
  #peer: Deno.NetAddr | null = null;
  readonly #found = Promise.withResolvers<void>();

  /** `onPeer` is told of the peer that a socket without one has found. */
  constructor(
    readonly socket: Messages,
    readonly isConnected: boolean,
    readonly follows = false,
    readonly onPeer: (peer: Deno.NetAddr) => void = () => {},
  ) {
    if (isConnected) this.#found.resolve();
  }

  async read(bytes: Uint8Array): Promise<number | null> {
    for (;;) {
      const [message, from] = await this.socket.receive();
      if (!this.isConnected && !this.#isFromPeer(from)) continue;
      bytes.set(message.subarray(0, bytes.length));
      return Math.min(message.length, bytes.length);
    }
  }

  /** Waits until there is somebody to send to. */
  async write(bytes: Uint8Array): Promise<number> {
    await this.#found.promise;
    return await this.socket.send(bytes.subarray(0, MAX_MESSAGE), this.#peer ?? undefined);
  }

  /** Messages have no end. */
  closeWrite(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {
    this.socket.close();
  }

  #isFromPeer(from: Deno.NetAddr): boolean {
    const isSame = this.#peer?.hostname === from.hostname && this.#peer.port === from.port;
    if (isSame) return true;
    if (this.#peer !== null && !this.follows) return false;
    this.#peer = from;
    this.#found.resolve();
    this.onPeer(from);
    return true;
  }
}
