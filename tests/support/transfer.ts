/** Moves pseudo-random bytes between two stacks, both ways at once, and sees that the same bytes come out. */
import { AssertionError } from "@std/assert";
import { EAGAIN, EINPROGRESS } from "../../lib/errno.ts";
import { Random } from "../../lib/impair/random.ts";
import { READY_ERROR, READY_WRITE, SHUT_WR, SocketKind, SocketName } from "../../lib/stack/socket_types.ts";
import type { Host, Link } from "./link.ts";

export interface TransferOptions {
  /** From a, which connects, to b, which listens. */
  bytes: number;
  /** From b to a; none by default. */
  bytesBack?: number;
  port?: number;
  /** Bytes of a read or write; 65536 by default. */
  chunk?: number;
  /** Virtual time that the transfer may take, microseconds; an hour by default. */
  limitUs?: number;
}

export interface TransferResult {
  /** From connect to the moment both ends have read everything and the end of it, microseconds. */
  timeUs: number;
  /** Bits per second of payload, both ways together. */
  goodput: number;
  /** Segments that each end sent again. */
  retransmits: { a: number; b: number };
}

/** A prime, so that a piece that went missing or came twice never fits. */
const PERIOD = 1_048_573;
const pattern = makePattern();

function makePattern(): Uint8Array {
  const random = new Random(20260101);
  const bytes = new Uint8Array(2 * PERIOD);
  for (let i = 0; i < PERIOD; i++) bytes[i] = bytes[i + PERIOD] = random.next();
  return bytes;
}

/** The bytes of the stream from `position` on, at most PERIOD of them. The two directions differ by `offset`. */
function expected(position: number, offset: number, length: number): Uint8Array {
  const start = (position + offset) % PERIOD;
  return pattern.subarray(start, start + length);
}

/** One end's reading and writing of a connection, a chunk at a time. */
export class Talker {
  sent = 0;
  received = 0;
  finished = false;
  readonly #host: Host;
  readonly #handle: number;
  readonly #toSend: number;
  readonly #toReceive: number;
  readonly #sendOffset: number;
  readonly #receiveOffset: number;
  readonly #chunk: number;
  readonly #buffer: Uint8Array;
  #shut = false;

  constructor(
    host: Host,
    handle: number,
    toSend: number,
    toReceive: number,
    chunk = 65536,
    isServer = false,
  ) {
    this.#host = host;
    this.#handle = handle;
    this.#toSend = toSend;
    this.#toReceive = toReceive;
    this.#chunk = chunk;
    this.#buffer = new Uint8Array(chunk);
    this.#sendOffset = isServer ? 7 : 0;
    this.#receiveOffset = isServer ? 0 : 7;
  }

  get handle(): number {
    return this.#handle;
  }

  /** All was sent, and the end of the peer's bytes was read. */
  get done(): boolean {
    return this.#shut && this.finished;
  }

  /** Reads and writes as much as goes now. */
  pump(now: number): void {
    this.write(now);
    this.read(now);
    // An end that has read and written all it wanted would not notice that what it wrote is given up.
    const { stack } = this.#host;
    if (!this.done || (stack.readiness(this.#handle) & READY_ERROR) === 0) return;
    const error = stack.takeError(this.#handle);
    if (error !== 0) throw this.#failed("the connection", -error);
  }

  /** Writes what goes now, `limit` bytes at most; shuts down behind the last byte. */
  write(now: number, limit = Infinity): void {
    const { stack } = this.#host;
    const end = Math.min(this.#toSend, this.sent + limit);
    while (this.sent < end) {
      const length = Math.min(this.#chunk, end - this.sent);
      const bytes = expected(this.sent, this.#sendOffset, length);
      const taken = stack.send(this.#handle, bytes, 0, length, now);
      if (taken === -EAGAIN) return;
      if (taken <= 0) throw this.#failed("send", taken);
      this.sent += taken;
    }
    if (this.#shut || this.sent < this.#toSend) return;
    const result = stack.shutdown(this.#handle, SHUT_WR, now);
    if (result < 0) throw this.#failed("shutdown", result);
    this.#shut = true;
  }

  /** Reads what is there now, `limit` bytes at most. */
  read(now: number, limit = Infinity): void {
    const end = this.received + limit;
    while (!this.finished && this.received < end) {
      const length = Math.min(this.#chunk, end - this.received);
      const got = this.#host.stack.receive(this.#handle, this.#buffer, 0, length, now);
      if (got === -EAGAIN) return;
      if (got < 0) throw this.#failed("receive", got);
      if (got === 0) {
        this.finished = true;
        if (this.received !== this.#toReceive) throw this.#failed("receive: the end came early", 0);
        return;
      }
      this.#check(got);
      this.received += got;
    }
  }

  #check(length: number): void {
    if (this.received + length > this.#toReceive) throw this.#failed("receive: more than was sent", length);
    const wanted = expected(this.received, this.#receiveOffset, length);
    for (let i = 0; i < length; i++) {
      if (this.#buffer[i] !== wanted[i]) {
        throw this.#failed(`receive: wrong byte at ${this.received + i}`, length);
      }
    }
  }

  #failed(what: string, result: number): AssertionError {
    return new AssertionError({
      message:
        `${this.#host.name} ${what} answered ${result} after ${this.sent} of ${this.#toSend} bytes sent ` +
        `and ${this.received} of ${this.#toReceive} received`,
    });
  }
}

/** A network that loses a third of everything may well lose all of a handshake, or of ARP's three requests. */
const ATTEMPTS = 8;
/** Longer than a listener sends its SYN-ACK again. */
const ACCEPT_LIMIT_US = 130e6;

/** a connects to b, trying again as a program would. Answers both handles once both ends know of each other. */
export function connect(link: Link, port = 80): { client: number; server: number } {
  const { a, b } = link;
  const listener = ok(b.stack.socket(SocketKind.stream), "socket");
  ok(b.stack.bind(listener, 0, port), "bind");
  ok(b.stack.listen(listener, 16), "listen");
  let tried = 0;
  for (; tried < ATTEMPTS; tried++) {
    const client = ok(a.stack.socket(SocketKind.stream), "socket");
    const result = a.stack.connect(client, b.address, port, link.now);
    if (result !== -EINPROGRESS) throw link.failure(`connect answered ${result}`);
    const isOver = () => (a.stack.readiness(client) & (READY_WRITE | READY_ERROR)) !== 0;
    link.runUntil(isOver, 600e6, "connect's outcome");
    if (a.stack.takeError(client) === 0) {
      const server = acceptFrom(link, listener, client);
      if (server >= 0) {
        ok(b.stack.close(listener, link.now), "close of the listener");
        return { client, server };
      }
    }
    ok(a.stack.abort(client, link.now), "abort");
  }
  throw link.failure(`connect failed ${tried} times`);
}

/** The server's end of the client's connection; -1 when the listener gave it up. */
function acceptFrom(link: Link, listener: number, client: number): number {
  const { a, b } = link;
  const ours = new SocketName();
  const theirs = new SocketName();
  ok(a.stack.name(client, ours), "name");
  let server = -1;
  link.tryUntil(() => {
    server = b.stack.accept(listener);
    if (server < 0) return false;
    ok(b.stack.name(server, theirs), "name");
    if (theirs.remotePort === ours.localPort) return true;
    // An earlier attempt, whose client has gone.
    ok(b.stack.abort(server, link.now), "abort");
    server = -1;
    return false;
  }, ACCEPT_LIMIT_US);
  return server;
}

/** A whole transfer: connect, both directions at once, both ends shut down and read to the end, both closed. */
export function transfer(link: Link, options: TransferOptions): TransferResult {
  const { bytes, bytesBack = 0, chunk, limitUs = 3600e6 } = options;
  const start = link.now;
  const { client, server } = connect(link, options.port);
  const a = new Talker(link.a, client, bytes, bytesBack, chunk);
  const b = new Talker(link.b, server, bytesBack, bytes, chunk, true);
  const pump = () => {
    try {
      a.pump(link.now);
      b.pump(link.now);
    } catch (error) {
      throw error instanceof AssertionError ? link.failure(error.message) : error;
    }
    return a.done && b.done;
  };
  link.runUntil(pump, limitUs, `a transfer of ${bytes} and ${bytesBack} bytes`);
  const timeUs = link.now - start;
  const retransmits = { a: retransmitsOf(link.a, client), b: retransmitsOf(link.b, server) };
  ok(link.a.stack.close(client, link.now), "close");
  ok(link.b.stack.close(server, link.now), "close");
  link.settle();
  return { timeUs, goodput: (bytes + bytesBack) * 8e6 / timeUs, retransmits };
}

function retransmitsOf(host: Host, handle: number): number {
  return host.stack.info(handle).tcpi_total_retrans;
}

/** Throws unless a call went well. */
export function ok(result: number, what: string): number {
  if (result < 0) throw new AssertionError({ message: `${what} answered ${result}` });
  return result;
}
