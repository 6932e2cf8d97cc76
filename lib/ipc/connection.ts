import { formatIp } from "../wire/address.ts";
import { type Endpoint, OP, ProtocolRecord } from "./protocol.ts";
import { ask, type Channel } from "./channel.ts";
import { type CodedError, DaemonUnreachableError, errnoError } from "./errors.ts";
import { ECONNRESET, EINPROGRESS, EPIPE } from "../errno.ts";

const SOL_SOCKET = 1;
const SO_KEEPALIVE = 9;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;

/** Bytes read at once for `readable`. */
const CHUNK = 65536;

/** A protocol endpoint as a Deno address. */
export function addressOf(endpoint: Endpoint): Deno.NetAddr {
  return { transport: "tcp", hostname: formatIp(endpoint.address), port: endpoint.port };
}

/**
 * A TCP connection of the stack, with the interface of `Deno.TcpConn`. The bytes go over a Unix connection to the
 * daemon; what that cannot say (was the end of the stream a FIN, a reset, a timeout?) is asked of the daemon.
 */
export class Connection implements Deno.TcpConn {
  readonly localAddr: Deno.NetAddr;
  readonly remoteAddr: Deno.NetAddr;
  readonly #channel: Channel;
  readonly #id: bigint;
  #readable?: ReadableStream<Uint8Array<ArrayBuffer>>;
  #writable?: WritableStream<Uint8Array<ArrayBufferLike>>;
  #ended = false;
  /** Writes that are under way. */
  #writing = 0;
  /** The last write was taken as a whole: the next one need not wait for room. */
  #hasRoom = true;

  /** `answer`: what the daemon answered to connect or accept. */
  constructor(channel: Channel, answer: ProtocolRecord) {
    this.#channel = channel;
    this.#id = answer.id;
    this.localAddr = addressOf(answer.local);
    this.remoteAddr = addressOf(answer.remote);
  }

  /**
   * Reads into `bytes`; the number of bytes, or null when the peer has closed its side (FIN). Throws
   * `Deno.errors.ConnectionReset` or `TimedOut` when the connection ended otherwise.
   */
  async read(bytes: Uint8Array): Promise<number | null> {
    let count: number | null = null;
    try {
      count = await this.#channel.socket.read(bytes);
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
      throw await this.#whyEnded("read from", ECONNRESET);
    }
    if (count !== null || this.#ended || bytes.length === 0) return count;
    const reason = await this.#isOpen() ? 0 : await this.#outcome(ECONNRESET);
    if (reason !== 0) throw errnoError(reason, this.#what("read from"));
    this.#ended = true;
    return null;
  }

  /** Writes some of `bytes`; how many. Throws `ConnectionReset`, `TimedOut` or `BrokenPipe`. */
  async write(bytes: Uint8Array): Promise<number> {
    this.#writing++;
    this.#hasRoom = false;
    try {
      const count = await this.#channel.socket.write(bytes);
      this.#hasRoom = count === bytes.length;
      return count;
    } catch (error) {
      if (isBroken(error)) throw await this.#whyEnded("write to", EPIPE);
      throw error;
    } finally {
      this.#writing--;
    }
  }

  /** Sends a FIN once everything written is sent; reading goes on. */
  async closeWrite(): Promise<void> {
    try {
      await this.#channel.socket.closeWrite();
    } catch (error) {
      if (error instanceof Deno.errors.NotConnected) throw await this.#whyEnded("close", EPIPE);
      throw error;
    }
  }

  /** Closes both sides. Bytes that came and were not read make it a reset, as on every TCP (RFC 2525 2.17). */
  close(): void {
    this.#channel.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  ref(): void {
    this.#channel.socket.ref();
  }

  unref(): void {
    this.#channel.socket.unref();
  }

  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#readable ??= new ReadableStream({
      type: "bytes",
      autoAllocateChunkSize: CHUNK,
      pull: async (controller) => {
        const request = controller.byobRequest!;
        const view = request.view!;
        const count = await this.read(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
        if (count !== null) return request.respond(count);
        controller.close();
        request.respond(0);
      },
      cancel: () => this.close(),
    });
  }

  get writable(): WritableStream<Uint8Array<ArrayBufferLike>> {
    return this.#writable ??= new WritableStream({
      write: async (chunk) => {
        for (let sent = 0; sent < chunk.length;) sent += await this.write(chunk.subarray(sent));
      },
      close: () => this.closeWrite(),
      abort: () => this.close(),
    });
  }

  /** Turns Nagle's algorithm off (RFC 9293 3.7.4). Takes effect soon: errors of the daemon are not reported. */
  setNoDelay(noDelay = true): void {
    this.#setSoon(IPPROTO_TCP, TCP_NODELAY, noDelay ? 1 : 0);
  }

  /** Turns keep-alive probes on (RFC 9293 3.8.4). Takes effect soon: errors of the daemon are not reported. */
  setKeepAlive(keepAlive = true): void {
    this.#setSoon(SOL_SOCKET, SO_KEEPALIVE, keepAlive ? 1 : 0);
  }

  /** setsockopt(2) with Linux's numbers and an int value. */
  async setOption(level: number, name: number, value: number): Promise<void> {
    const record = this.#request(OP.setOption);
    record.arg0 = level;
    record.arg1 = name;
    record.arg2 = value;
    await ask(record, this.#what(`set option ${level}/${name} of`), { socketPath: this.#channel.path });
  }

  /** getsockopt(2) with Linux's numbers, of an int value. */
  async getOption(level: number, name: number): Promise<number> {
    const record = this.#request(OP.getOption);
    record.arg0 = level;
    record.arg1 = name;
    await ask(record, this.#what(`read option ${level}/${name} of`), { socketPath: this.#channel.path });
    return record.arg2;
  }

  #setSoon(level: number, name: number, value: number): void {
    this.setOption(level, name, value).catch(() => {});
  }

  #request(op: number): ProtocolRecord {
    const record = new ProtocolRecord().reset(op);
    record.id = this.#id;
    return record;
  }

  #what(verb: string): string {
    return `Cannot ${verb} ${this.remoteAddr.hostname}:${this.remoteAddr.port}`;
  }

  /**
   * Whether the end of what comes is the peer's FIN for sure: the daemon closes its end after anything else, and then not
   * even nothing at all can be written. Asking it would take another connection. A write that waits for room would make
   * this one wait too.
   */
  async #isOpen(): Promise<boolean> {
    if (this.#writing > 0 || !this.#hasRoom) return false;
    try {
      await this.#channel.socket.write(new Uint8Array(0));
      return true;
    } catch (error) {
      if (isBroken(error)) return false;
      // The program has closed it meanwhile: nobody is left to tell how it ended.
      if (error instanceof Deno.errors.BadResource) return true;
      throw error;
    }
  }

  /** How the connection ended: 0 for a FIN, else errno; `fallback` when the daemon does not know any more. */
  async #outcome(fallback: number): Promise<number> {
    const record = this.#request(OP.outcome);
    try {
      await ask(record, this.#what("ask about"), { socketPath: this.#channel.path });
    } catch (error) {
      // A daemon that has gone took the connection with it.
      if (error instanceof DaemonUnreachableError || error instanceof Deno.errors.NotFound) return fallback;
      throw error;
    }
    return record.arg1 === 1 ? EINPROGRESS : record.arg0;
  }

  async #whyEnded(verb: string, fallback: number): Promise<CodedError> {
    return errnoError(await this.#outcome(fallback) || fallback, this.#what(verb));
  }
}

/** The daemon has closed its end, or the program has ended its own writing. */
function isBroken(error: unknown): boolean {
  return error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset;
}
