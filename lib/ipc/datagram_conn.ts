import { formatIp, parseIp } from "../wire/address.ts";
import { decodeRecord, encodeRecord, MAX_DATAGRAM, OP, ProtocolRecord, RECORD_SIZE } from "./protocol.ts";
import type { Channel } from "./channel.ts";
import { errnoError } from "./errors.ts";
import { EDESTADDRREQ, EINVAL, EMSGSIZE, ENETDOWN, EPROTO } from "../errno.ts";

/** Room for the largest message and some more. */
const CAPACITY = 128 * 1024;

/**
 * A UDP socket of the stack, with the interface of `Deno.DatagramConn`. What the stack finds wrong with a message after
 * `send` (no route, a peer that refuses) the next `receive` throws.
 */
export class DatagramConn implements AsyncIterable<[Uint8Array<ArrayBuffer>, Deno.NetAddr]>, Disposable {
  readonly addr: Deno.NetAddr;
  /** The only peer; null when it has none. */
  readonly remoteAddr: Deno.NetAddr | null;
  readonly #channel: Channel;
  readonly #record = new ProtocolRecord();
  readonly #bytes = new Uint8Array(CAPACITY);
  readonly #view = new DataView(this.#bytes.buffer);
  /** What has come and was not given out lies from `#start` to `#end`. */
  #start = 0;
  #end = 0;
  #receiving: Promise<unknown> = Promise.resolve();
  #sending: Promise<unknown> = Promise.resolve();
  #closed = false;

  /** `answer`: what the daemon answered to datagram. */
  constructor(channel: Channel, answer: ProtocolRecord) {
    const { local, remote } = answer;
    this.#channel = channel;
    this.addr = { transport: "udp", hostname: formatIp(local.address), port: local.port };
    this.remoteAddr = remote.port === 0
      ? null
      : { transport: "udp", hostname: formatIp(remote.address), port: remote.port };
  }

  /**
   * The next message and who sent it; of a message longer than `bytes` the rest is lost. Throws
   * `Deno.errors.ConnectionRefused` when the only peer said that nobody listens there, `NetworkUnreachable`...,
   * `BadResource` when the socket is closed.
   */
  receive(bytes?: Uint8Array<ArrayBuffer>): Promise<[Uint8Array<ArrayBuffer>, Deno.NetAddr]> {
    const next = this.#receiving.then(() => this.#receive(bytes));
    this.#receiving = next.catch(() => {});
    return next;
  }

  /**
   * Sends a message of at most 65,507 bytes to `to`, a numeric address, or to the only peer; its length. A longer one is a
   * `RangeError`.
   */
  async send(bytes: Uint8Array, to?: Deno.Addr): Promise<number> {
    const message = this.#encode(bytes, to);
    const sent = this.#sending.then(() => this.#send(message));
    this.#sending = sent.catch(() => {});
    await sent;
    return bytes.length;
  }

  close(): void {
    if (this.#closed) throw new Deno.errors.BadResource("The socket is closed already");
    this.#closed = true;
    this.#channel.close();
  }

  [Symbol.dispose](): void {
    if (!this.#closed) this.close();
  }

  /** The messages as they come, until the socket is closed. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<[Uint8Array<ArrayBuffer>, Deno.NetAddr]> {
    for (;;) {
      let message;
      try {
        message = await this.receive();
      } catch (error) {
        if (this.#closed && error instanceof Deno.errors.BadResource) return;
        throw error;
      }
      yield message;
    }
  }

  ref(): void {
    this.#channel.socket.ref();
  }

  unref(): void {
    this.#channel.socket.unref();
  }

  /** The stack joins no groups (IGMP): throws `Deno.errors.NotSupported`. */
  joinMulticastV4(): Promise<never> {
    return Promise.reject(new Deno.errors.NotSupported("The stack joins no multicast groups"));
  }

  /** The same. */
  joinMulticastV6(): Promise<never> {
    return this.joinMulticastV4();
  }

  #encode(bytes: Uint8Array, to?: Deno.Addr): Uint8Array<ArrayBuffer> {
    const what = to === undefined ? "Cannot send" : `Cannot send to ${shown(to)}`;
    if (bytes.length > MAX_DATAGRAM) {
      throw errnoError(
        EMSGSIZE,
        what,
        `a message has at most ${MAX_DATAGRAM} bytes, this one ${bytes.length}`,
      );
    }
    const record = new ProtocolRecord().reset(OP.datagram);
    record.length = bytes.length;
    if (to === undefined) {
      if (this.remoteAddr === null) throw errnoError(EDESTADDRREQ, what);
    } else {
      const address = "hostname" in to ? parseIp(to.hostname) : null;
      if (address === null || !("port" in to) || !(to.port >= 1 && to.port <= 65535)) {
        throw errnoError(EINVAL, what, "it must be a numeric IPv4 address and a port from 1 to 65535");
      }
      record.remote.set(address, to.port);
    }
    const message = new Uint8Array(RECORD_SIZE + bytes.length);
    encodeRecord(record, new DataView(message.buffer), 0);
    message.set(bytes, RECORD_SIZE);
    return message;
  }

  async #send(message: Uint8Array): Promise<void> {
    try {
      for (let sent = 0; sent < message.length;) {
        sent += await this.#channel.socket.write(message.subarray(sent));
      }
    } catch (error) {
      throw this.#whyEnded(error);
    }
  }

  async #receive(bytes?: Uint8Array<ArrayBuffer>): Promise<[Uint8Array<ArrayBuffer>, Deno.NetAddr]> {
    await this.#fill(RECORD_SIZE);
    const record = this.#record;
    if (!decodeRecord(this.#view, this.#start, record) || record.length > MAX_DATAGRAM) {
      throw errnoError(EPROTO, `Cannot talk to ${this.#channel.path}`);
    }
    const { errno, remote, length } = record;
    await this.#fill(RECORD_SIZE + length);
    const start = this.#start + RECORD_SIZE;
    this.#start = start + length;
    if (errno !== 0) throw errnoError(errno, `Cannot receive on ${this.addr.hostname}:${this.addr.port}`);
    const count = Math.min(length, bytes?.length ?? length);
    const message = this.#bytes.subarray(start, start + count);
    const from: Deno.NetAddr = {
      transport: "udp",
      hostname: formatIp(remote.address),
      port: remote.port,
    };
    if (bytes === undefined) return [message.slice(), from];
    bytes.set(message);
    return [bytes.subarray(0, count), from];
  }

  /** Waits until at least `length` bytes are there. */
  async #fill(length: number): Promise<void> {
    if (this.#end - this.#start < length && this.#start > 0) {
      this.#bytes.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    while (this.#end - this.#start < length) {
      let count;
      try {
        count = await this.#channel.socket.read(this.#bytes.subarray(this.#end));
      } catch (error) {
        throw this.#whyEnded(error);
      }
      if (count === null) {
        throw this.#whyEnded(errnoError(ENETDOWN, "Cannot receive", "the daemon has ended"));
      }
      this.#end += count;
    }
  }

  #whyEnded(error: unknown): unknown {
    return this.#closed ? new Deno.errors.BadResource("The socket is closed") : error;
  }
}

function shown(address: Deno.Addr): string {
  return "hostname" in address ? `${address.hostname}:${address.port}` : address.transport;
}
