import { OP, ProtocolRecord } from "./protocol.ts";
import { Channel } from "./channel.ts";
import { addressOf, Connection } from "./connection.ts";
import { errnoError } from "./errors.ts";
import { ENETDOWN } from "../errno.ts";

/** A listening socket of the stack, with the interface of `Deno.Listener`. */
export class Listener implements Deno.Listener<Connection, Deno.NetAddr> {
  readonly addr: Deno.NetAddr;
  readonly #channel: Channel;
  /** Accepts are served in order: one record is one connection. */
  #queue: Promise<unknown> = Promise.resolve();
  /** Tokens that are being turned into connections; the daemon resets those that are left when the listener goes. */
  #claiming = 0;
  /** Tokens that could not be claimed when they came, for want of a descriptor: the next accept tries again. */
  readonly #kept: ProtocolRecord[] = [];
  #closed = false;

  /** `answer`: what the daemon answered to listen. */
  constructor(channel: Channel, answer: ProtocolRecord) {
    this.#channel = channel;
    this.addr = addressOf(answer.local);
  }

  /**
   * The next connection. Throws `Deno.errors.BadResource` when the listener is closed. When there is no descriptor left
   * for it (EMFILE), it throws and the connection waits for the next call, as with accept(2).
   */
  async accept(): Promise<Connection> {
    for (;;) {
      const record = this.#takeKept() ?? await this.#next();
      const connection = await this.#claim(record);
      if (connection !== null) return connection;
    }
  }

  close(): void {
    if (this.#closed) throw new Deno.errors.BadResource("The listener is closed already");
    this.#closed = true;
    if (this.#claiming === 0) this.#channel.close();
  }

  [Symbol.dispose](): void {
    if (!this.#closed) this.close();
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<Connection> {
    for (;;) {
      let connection;
      try {
        connection = await this.accept();
      } catch (error) {
        if (this.#closed && error instanceof Deno.errors.BadResource) return;
        throw error;
      }
      yield connection;
    }
  }

  ref(): void {
    this.#channel.socket.ref();
  }

  unref(): void {
    this.#channel.socket.unref();
  }

  #takeKept(): ProtocolRecord | undefined {
    const record = this.#closed ? undefined : this.#kept.shift();
    if (record !== undefined) this.#claiming++;
    return record;
  }

  #next(): Promise<ProtocolRecord> {
    const next = this.#queue.then(() => this.#receive());
    this.#queue = next.catch(() => {});
    return next;
  }

  async #receive(): Promise<ProtocolRecord> {
    const record = new ProtocolRecord();
    let received = false;
    if (!this.#closed) {
      try {
        received = await this.#channel.receive(record);
      } catch (error) {
        if (!this.#closed) throw error;
      }
    }
    if (this.#closed) throw new Deno.errors.BadResource("The listener is closed");
    if (!received) throw errnoError(ENETDOWN, this.#what(), "the daemon has ended");
    this.#claiming++;
    return record;
  }

  /** Turns a token into a connection; null if it was reset in the meantime. */
  async #claim(record: ProtocolRecord): Promise<Connection | null> {
    let channel;
    try {
      channel = await Channel.open(this.#channel.path);
      const request = new ProtocolRecord().reset(OP.accept);
      request.id = record.id;
      await channel.exchange(request, this.#what());
      return new Connection(channel, request);
    } catch (error) {
      channel?.close();
      if (error instanceof Deno.errors.NotFound) return null;
      this.#kept.push(record);
      throw error;
    } finally {
      if (--this.#claiming === 0 && this.#closed) this.#channel.close();
    }
  }

  #what(): string {
    return `Cannot accept on ${this.addr.hostname}:${this.addr.port}`;
  }
}
