import { formatIp, parseIp } from "../wire/address.ts";
import { MAX_DATAGRAM, OP, ProtocolRecord } from "./protocol.ts";
import type { Channel } from "./channel.ts";
import { errnoError } from "./errors.ts";
import { MessageStream } from "./message_stream.ts";
import { EDESTADDRREQ, EINVAL, EMSGSIZE } from "../errno.ts";

/** Linux's UDP_MAX_SEGMENTS, and the largest size. */
const MAX_SEGMENTS = 128;
const MAX_SEGMENT_SIZE = 65535;

/** How a message is sent. */
export interface SendOptions {
  /** Bytes of each of the datagrams that are made of it; 0, if not given: it is one. */
  segment?: number;
}

/**
 * A UDP socket of the stack, with the interface of `Deno.DatagramConn`. What the stack finds wrong with a message after
 * `send` (no route, a peer that refuses) the next `receive` throws.
 */
export class DatagramConn implements AsyncIterable<[Uint8Array<ArrayBuffer>, Deno.NetAddr]>, Disposable {
  readonly addr: Deno.NetAddr;
  /** The only peer; null when it has none. */
  readonly remoteAddr: Deno.NetAddr | null;
  readonly #stream: MessageStream;

  /** `answer`: what the daemon answered to datagram. */
  constructor(channel: Channel, answer: ProtocolRecord) {
    const { local, remote } = answer;
    this.#stream = new MessageStream(channel);
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
    return this.#stream.receive(({ errno, remote }, message) => {
      if (errno !== 0) {
        throw errnoError(errno, `Cannot receive on ${this.addr.hostname}:${this.addr.port}`);
      }
      const hostname = formatIp(remote.address);
      const from: Deno.NetAddr = { transport: "udp", hostname, port: remote.port };
      if (bytes === undefined) return [message.slice(), from];
      const count = Math.min(message.length, bytes.length);
      bytes.set(message.subarray(0, count));
      return [bytes.subarray(0, count), from];
    });
  }

  /**
   * Sends a message of at most 65,507 bytes to `to`, a numeric address, or to the only peer; its length. A longer one is a
   * `RangeError`. With `segment` it is many: datagrams of so many bytes each, the last may be shorter (UDP_SEGMENT, udp(7)); at
   * most 128, each of which must fit the path's MTU.
   */
  async send(bytes: Uint8Array, to?: Deno.Addr, options: SendOptions = {}): Promise<number> {
    const record = this.#recordFor(bytes, to);
    record.arg1 = checkSegment(options.segment ?? 0, bytes.length);
    await this.#stream.send(record, bytes);
    return bytes.length;
  }

  close(): void {
    this.#stream.close();
  }

  [Symbol.dispose](): void {
    this.#stream[Symbol.dispose]();
  }

  /** The messages as they come, until the socket is closed. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<[Uint8Array<ArrayBuffer>, Deno.NetAddr]> {
    for (;;) {
      let message;
      try {
        message = await this.receive();
      } catch (error) {
        if (this.#stream.closed && error instanceof Deno.errors.BadResource) return;
        throw error;
      }
      yield message;
    }
  }

  ref(): void {
    this.#stream.ref();
  }

  unref(): void {
    this.#stream.unref();
  }

  /** The stack joins no groups (IGMP): throws `Deno.errors.NotSupported`. */
  joinMulticastV4(): Promise<never> {
    return Promise.reject(new Deno.errors.NotSupported("The stack joins no multicast groups"));
  }

  /** The same. */
  joinMulticastV6(): Promise<never> {
    return this.joinMulticastV4();
  }

  #recordFor(bytes: Uint8Array, to?: Deno.Addr): ProtocolRecord {
    const what = to === undefined ? "Cannot send" : `Cannot send to ${shown(to)}`;
    if (bytes.length > MAX_DATAGRAM) {
      throw errnoError(
        EMSGSIZE,
        what,
        `a message has at most ${MAX_DATAGRAM} bytes, this one ${bytes.length}`,
      );
    }
    const record = new ProtocolRecord().reset(OP.datagram);
    if (to === undefined) {
      if (this.remoteAddr === null) throw errnoError(EDESTADDRREQ, what);
    } else {
      const address = "hostname" in to ? parseIp(to.hostname) : null;
      if (address === null || !("port" in to) || !(to.port >= 1 && to.port <= 65535)) {
        throw errnoError(EINVAL, what, "it must be a numeric IPv4 address and a port from 1 to 65535");
      }
      record.remote.set(address, to.port);
    }
    return record;
  }
}

function checkSegment(segment: number, length: number): number {
  if (!Number.isInteger(segment) || segment < 0 || segment > MAX_SEGMENT_SIZE) {
    throw new RangeError(
      `Cannot send: segment must be 0 to ${MAX_SEGMENT_SIZE}: current value is ${segment}`,
    );
  }
  if (segment > 0 && length > segment * MAX_SEGMENTS) {
    throw new RangeError(
      `Cannot send: ${length} bytes are more than ${MAX_SEGMENTS} datagrams of ${segment}`,
    );
  }
  return segment;
}

function shown(address: Deno.Addr): string {
  return "hostname" in address ? `${address.hostname}:${address.port}` : address.transport;
}
