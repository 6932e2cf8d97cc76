import { makeStyle } from "../../lib/host/style.ts";
import { type Io, OutputClosedError } from "../../lib/cli/output.ts";

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** A terminal or pipe that a test reads and types into. */
export class FakeIo implements Io {
  out = "";
  err = "";
  /** Bytes written to stdout other than by print(). */
  bytes: number[] = [];
  terminal = false;
  /** The reader of stdout goes away after so many prints. */
  closesAfter = Infinity;
  readonly style = makeStyle(false, false, false);
  readonly errorStyle = this.style;
  readonly #input: (Uint8Array | null)[] = [];
  #wanted: (() => void) | undefined;
  readonly #handlers = new Map<string, () => void>();

  readonly stdin = {
    read: async (bytes: Uint8Array): Promise<number | null> => {
      while (this.#input.length === 0) await new Promise<void>((resolve) => this.#wanted = resolve);
      const chunk = this.#input[0];
      if (chunk === null) return null;
      this.#input.shift();
      bytes.set(chunk);
      return chunk.length;
    },
    isTerminal: () => this.terminal,
  };
  readonly stdout = {
    write: (bytes: Uint8Array): Promise<number> => {
      if (this.closesAfter-- <= 0) return Promise.reject(new Deno.errors.BrokenPipe("Broken pipe"));
      // Writes may be short.
      const count = Math.min(bytes.length, 3);
      for (const byte of bytes.subarray(0, count)) this.bytes.push(byte);
      return Promise.resolve(count);
    },
    isTerminal: () => this.terminal,
  };
  readonly stderr = { isTerminal: () => this.terminal };

  /** What stdin gives next; null: its end. */
  type(input: string | Uint8Array | null): void {
    this.#input.push(typeof input === "string" ? encoder.encode(input) : input);
    this.#wanted?.();
  }

  print(text: string): void {
    if (this.closesAfter-- <= 0) throw new OutputClosedError();
    this.out += text;
  }

  complain(text: string): void {
    this.err += text;
  }

  onSignal(signal: string, handler: () => void): () => void {
    this.#handlers.set(signal, handler);
    return () => this.#handlers.delete(signal);
  }

  /** Whether a signal was waited for; if so it is delivered. */
  signal(name: string): boolean {
    const handler = this.#handlers.get(name);
    handler?.();
    return handler !== undefined;
  }

  get text(): string {
    return decoder.decode(new Uint8Array(this.bytes));
  }
}
