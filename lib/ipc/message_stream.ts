import { ENETDOWN, EPROTO } from "../errno.ts";
import { decodeRecord, encodeRecord, MAX_PACKET, ProtocolRecord, RECORD_SIZE } from "./protocol.ts";
import type { Channel } from "./channel.ts";
import { errnoError } from "./errors.ts";

/** Room for the largest message and some more. */
const CAPACITY = 128 * 1024;

/** Records with bytes behind them, both ways on one channel: the messages of a socket. One reader and one writer at a time. */
export class MessageStream implements Disposable {
  readonly #channel: Channel;
  readonly #bytes = new Uint8Array(CAPACITY);
  readonly #view = new DataView(this.#bytes.buffer);
  /** What has come and was not given out lies from `#start` to `#end`. */
  #start = 0;
  #end = 0;
  #receiving: Promise<unknown> = Promise.resolve();
  #sending: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Calls `take` with the next record and its bytes, which are valid in that call only; what it answers. In turn. */
  receive<T>(take: (record: ProtocolRecord, bytes: Uint8Array<ArrayBuffer>) => T): Promise<T> {
    const next = this.#receiving.then(async () => {
      const record = new ProtocolRecord();
      return take(record, await this.#receive(record));
    });
    this.#receiving = next.catch(() => {});
    return next;
  }

  /** Sends `record` and `bytes`, after what was sent before. */
  send(record: ProtocolRecord, bytes: Uint8Array): Promise<void> {
    record.length = bytes.length;
    const message = new Uint8Array(RECORD_SIZE + bytes.length);
    encodeRecord(record, new DataView(message.buffer), 0);
    message.set(bytes, RECORD_SIZE);
    const sent = this.#sending.then(() => this.#send(message));
    this.#sending = sent.catch(() => {});
    return sent;
  }

  /** Throws `Deno.errors.BadResource` when it is closed already. */
  close(): void {
    if (this.#closed) throw new Deno.errors.BadResource("The socket is closed already");
    this.#closed = true;
    this.#channel.close();
  }

  [Symbol.dispose](): void {
    if (!this.#closed) this.close();
  }

  ref(): void {
    this.#channel.socket.ref();
  }

  unref(): void {
    this.#channel.socket.unref();
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

  async #receive(record: ProtocolRecord): Promise<Uint8Array<ArrayBuffer>> {
    await this.#fill(RECORD_SIZE);
    if (!decodeRecord(this.#view, this.#start, record) || record.length > MAX_PACKET) {
      throw errnoError(EPROTO, `Cannot talk to ${this.#channel.path}`);
    }
    await this.#fill(RECORD_SIZE + record.length);
    const start = this.#start + RECORD_SIZE;
    this.#start = start + record.length;
    return this.#bytes.subarray(start, this.#start);
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
