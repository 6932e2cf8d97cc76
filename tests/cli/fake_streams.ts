/** Two ends of a stream in memory, and a datagram socket that a test feeds. */
import type { Datagrams, TcpStream } from "../../lib/cli/sides.ts";

const encoder = new TextEncoder();

/** One end of a stream. What is written to it comes out of the other end. */
export class FakeStream implements TcpStream {
  readonly localAddr: Deno.NetAddr = { transport: "tcp", hostname: "10.0.0.4", port: 2048 };
  readonly remoteAddr: Deno.NetAddr = { transport: "tcp", hostname: "10.0.0.5", port: 4711 };
  other!: FakeStream;
  closed = false;
  writeClosed = false;
  /** What reading or writing throws from now on. */
  error: Error | undefined;
  /** Writes wait while it is set. */
  full: Promise<void> | undefined;
  readonly #arrived: (Uint8Array | null)[] = [];
  #wanted: (() => void) | undefined;

  static pair(): [FakeStream, FakeStream] {
    const [a, b] = [new FakeStream(), new FakeStream()];
    a.other = b;
    b.other = a;
    return [a, b];
  }

  async read(bytes: Uint8Array): Promise<number | null> {
    while (this.#arrived.length === 0) {
      if (this.error) throw this.error;
      if (this.closed) throw new Deno.errors.BadResource("closed");
      await new Promise<void>((resolve) => this.#wanted = resolve);
    }
    const first = this.#arrived[0];
    if (first === null) return null;
    const count = Math.min(bytes.length, first.length);
    bytes.set(first.subarray(0, count));
    if (count === first.length) this.#arrived.shift();
    else this.#arrived[0] = first.subarray(count);
    return count;
  }

  async write(bytes: Uint8Array): Promise<number> {
    await this.full;
    if (this.error) throw this.error;
    // Writes may be short.
    const part = bytes.slice(0, 1000);
    this.other.#take(part);
    return part.length;
  }

  closeWrite(): Promise<void> {
    this.writeClosed = true;
    this.other.#take(null);
    return Promise.resolve();
  }

  close(): void {
    this.closed = true;
    this.#wanted?.();
    if (!this.writeClosed) this.other.#take(null);
    this.writeClosed = true;
  }

  fail(error: Error): void {
    this.error = error;
    this.#wanted?.();
  }

  /** Writes all of it. */
  async say(what: string | Uint8Array): Promise<void> {
    const bytes = typeof what === "string" ? encoder.encode(what) : what;
    for (let done = 0; done < bytes.length;) done += await this.write(bytes.subarray(done));
  }

  /** So many bytes, or all until the end. */
  async hear(length = Infinity): Promise<Uint8Array<ArrayBuffer>> {
    const all: number[] = [];
    const bytes = new Uint8Array(Math.min(length, 4096));
    while (all.length < length) {
      const count = await this.read(bytes.subarray(0, Math.min(bytes.length, length - all.length)));
      if (count === null) break;
      all.push(...bytes.subarray(0, count));
    }
    return new Uint8Array(all);
  }

  #take(bytes: Uint8Array | null): void {
    this.#arrived.push(bytes);
    this.#wanted?.();
  }
}

type Message = [Uint8Array<ArrayBuffer>, Deno.NetAddr];

export function udp(hostname: string, port: number): Deno.NetAddr {
  return { transport: "udp", hostname, port };
}

/** A datagram socket: `arrive` is what it receives, `sent` what was sent on it. */
export class FakeDatagrams implements Datagrams {
  readonly addr = udp("127.0.0.1", 1080);
  readonly sent: [text: string, to: string][] = [];
  closed = false;
  readonly #waiting: (Message | Error)[] = [];
  #wanted: (() => void) | undefined;

  arrive(what: string | Uint8Array<ArrayBuffer> | Error, from = udp("10.0.0.5", 53)): void {
    const bytes = typeof what === "string" ? encoder.encode(what) : what;
    this.#waiting.push(bytes instanceof Error ? bytes : [bytes, from]);
    this.#wanted?.();
  }

  async receive(): Promise<Message> {
    while (this.#waiting.length === 0) {
      if (this.closed) throw new Deno.errors.BadResource("closed");
      await new Promise<void>((resolve) => this.#wanted = resolve);
    }
    const next = this.#waiting.shift()!;
    if (next instanceof Error) throw next;
    return next;
  }

  send(bytes: Uint8Array, to?: Deno.Addr): Promise<number> {
    const name = to !== undefined && "hostname" in to ? `${to.hostname}:${to.port}` : "peer";
    this.sent.push([new TextDecoder().decode(bytes), name]);
    return Promise.resolve(bytes.length);
  }

  close(): void {
    this.closed = true;
    this.#wanted?.();
  }
}

/** Waits until `condition` holds. */
export async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    if (tries > 1000) throw new Error("the condition did not come true");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
