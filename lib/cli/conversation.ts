/** Both directions of a connection, with stdin and stdout at our end: what `connect` and `listen` do. */
import type { Connection } from "../ipc/client.ts";
import { CommandError, EXIT, networkWords } from "./errors.ts";
import { type Io, OutputClosedError } from "./output.ts";
import { unescapeText } from "./unescape.ts";

export interface ConversationOptions {
  /** What to send in place of stdin. */
  send?: string;
  /** Milliseconds of silence after which it ends. */
  timeout?: number;
  /**
   * When our side ends (FIN) after the last byte: true: at once, false: never, not given: when the peer was quiet, since
   * there are servers that hang up on a client whose side has ended before they have answered.
   */
  shutdown?: boolean;
  /** A side of ours that has sent nothing ends after the peer's: who only takes what comes must not cut it off. */
  patient?: boolean;
  /** Messages, not a stream: there is no end of it but silence. */
  datagrams?: boolean;
}

/** The part of a connection that is used here. */
export type Stream = Pick<Connection, "read" | "write" | "closeWrite" | "close">;

/** Silence after which `--send` ends. */
const ANSWER_TIMEOUT_MS = 5000;
/** How long stdin may pause once the peer has closed its side: it may be one that only listens. */
const LAST_INPUT_MS = 1000;
/** How long the peer must be quiet before our side ends: after some answer, and before. */
const QUIET_MS = 200;
const UNANSWERED_MS = 1000;
const CHUNK = 65536;

/** Stdin, for one conversation after the other: what was read when one ended is the next one's. */
export class Input {
  #pending: Promise<Uint8Array | null> | null = null;

  constructor(readonly stdin: Io["stdin"]) {}

  /** The bytes that come next, null at the end; the same ones again until `take`. */
  peek(): Promise<Uint8Array | null> {
    return this.#pending ??= this.#read();
  }

  take(): void {
    this.#pending = null;
  }

  async #read(): Promise<Uint8Array | null> {
    const bytes = new Uint8Array(CHUNK);
    const count = await this.stdin.read(bytes);
    return count === null ? null : bytes.subarray(0, count);
  }
}

/** Both directions of an open connection, until both have ended or one went wrong. */
export class Conversation {
  #received = 0;
  #sent = 0;
  #lastByte = 10;
  /** Where the bytes for the peer are: still to come, on their way, or all gone out. */
  #input: "awaited" | "sending" | "ended" = "sending";
  #peerClosed = false;
  /** Something came since we sent last. */
  #answered = false;
  /** How the conversation ends early, if it does. */
  readonly #end = Promise.withResolvers<number>();
  #silence: ReturnType<typeof setTimeout> | undefined;
  #quiet: ReturnType<typeof setTimeout> | undefined;
  #onQuiet: (() => void) | undefined;

  /** `peer`: who it is with, for messages. */
  constructor(
    readonly stream: Stream,
    readonly peer: string,
    readonly options: ConversationOptions,
    readonly io: Io,
    readonly input = new Input(io.stdin),
  ) {}

  /** The exit status. Throws `CommandError` when the connection broke or nothing came. */
  async run(signal: AbortSignal): Promise<number> {
    const interrupted = () => this.#end.resolve(EXIT.interrupted);
    signal.addEventListener("abort", interrupted);
    try {
      this.#restartSilence();
      const receiving = this.#receive();
      const both = Promise.all([receiving, this.#sendWith(receiving)]);
      const status = await Promise.race([both.then(() => EXIT.success), this.#end.promise]);
      // What is still under way ends with the connection; how, is of no interest any more.
      both.catch(() => {});
      this.#endLine();
      return status;
    } finally {
      clearTimeout(this.#silence);
      clearTimeout(this.#quiet);
      signal.removeEventListener("abort", interrupted);
    }
  }

  /** From the peer to stdout, until its FIN. */
  async #receive(): Promise<void> {
    const bytes = new Uint8Array(CHUNK);
    for (;;) {
      const count = await this.#guard(this.stream.read(bytes));
      if (count === null) break;
      this.#received += count;
      this.#answered = true;
      if (count > 0) this.#lastByte = bytes[count - 1];
      this.#restartSilence();
      this.#restartQuiet();
      await this.#print(bytes.subarray(0, count));
    }
    this.#peerClosed = true;
    this.#restartQuiet();
    if (this.#input === "ended") return;
    // Nobody would answer what a person goes on to type; a pipe may still be giving.
    if (this.#isTyped) this.#end.resolve(EXIT.success);
    else this.#restartSilence();
  }

  get #isTyped(): boolean {
    return this.options.send === undefined && this.io.stdin.isTerminal();
  }

  async #print(bytes: Uint8Array): Promise<void> {
    try {
      for (let done = 0; done < bytes.length;) done += await this.io.stdout.write(bytes.subarray(done));
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe) throw new OutputClosedError();
      throw error;
    }
  }

  /** A peer that answers and closes while we still send resets the connection: its answer comes first, then that. */
  async #sendWith(receiving: Promise<void>): Promise<void> {
    try {
      await this.#send();
    } catch (error) {
      await receiving;
      throw error;
    }
  }

  /** From the text or stdin to the peer, then our FIN. */
  async #send(): Promise<void> {
    const { send, shutdown } = this.options;
    if (send !== undefined) await this.#write(unescapeText(send));
    else {
      for (;;) {
        this.#setInput("awaited");
        const bytes = await this.input.peek();
        this.#setInput("sending");
        if (bytes === null) break;
        this.input.take();
        await this.#write(bytes);
      }
    }
    this.#setInput("ended");
    if (shutdown === false) return;
    // Who presses Ctrl-D means it.
    if (shutdown === undefined && !this.#isTyped) await this.#untilQuiet();
    await this.#guard(this.stream.closeWrite());
  }

  async #write(bytes: Uint8Array): Promise<void> {
    this.#answered = false;
    for (let done = 0; done < bytes.length;) {
      done += await this.#guard(this.stream.write(bytes.subarray(done)));
      this.#restartSilence();
    }
    this.#sent += bytes.length;
  }

  /** Resolves when nothing has come for a while, or nothing will. */
  #untilQuiet(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onQuiet = resolve;
    this.#restartQuiet();
    return promise;
  }

  #restartQuiet(): void {
    if (this.#onQuiet === undefined) return;
    clearTimeout(this.#quiet);
    if (this.#peerClosed) return this.#onQuiet();
    if (this.options.patient && this.#sent === 0) return;
    const limit = Math.min(this.#answered ? QUIET_MS : UNANSWERED_MS, (this.#silenceMs || Infinity) / 2);
    this.#quiet = setTimeout(this.#onQuiet, limit);
  }

  /** Names what the connection died of. */
  async #guard<T>(step: Promise<T>): Promise<T> {
    try {
      return await step;
    } catch (error) {
      const words = networkWords(error) ?? (error instanceof Error ? error.message : String(error));
      const what = this.options.datagrams
        ? `Cannot exchange messages with ${this.peer}`
        : `The connection to ${this.peer} broke`;
      throw new CommandError(`${what}: ${words}`);
    }
  }

  #setInput(input: "awaited" | "sending" | "ended"): void {
    this.#input = input;
    this.#restartSilence();
  }

  get #silenceMs(): number {
    const { send, timeout, datagrams } = this.options;
    // Messages that were answered, or ask for no answer, have no other end.
    const isOver = datagrams && this.#input === "ended" && (send === undefined || this.#received > 0);
    return timeout ?? (isOver ? LAST_INPUT_MS : send === undefined ? 0 : ANSWER_TIMEOUT_MS);
  }

  #restartSilence(): void {
    clearTimeout(this.#silence);
    const isLastInput = this.#peerClosed && this.#input === "awaited";
    const limit = isLastInput ? this.options.timeout || LAST_INPUT_MS : this.#silenceMs;
    if (limit > 0) this.#silence = setTimeout(() => this.#silent(limit), limit);
  }

  /** Nothing came or went for so long. */
  #silent(limitMs: number): void {
    const seconds = limitMs / 1000;
    const { send, datagrams } = this.options;
    const fail = (what: string) => this.#end.reject(new CommandError(`${what} within ${seconds} s`));
    if (this.#input === "sending") return fail(`${this.peer} took no more of what is sent`);
    const wantsAnswer = !datagrams || send !== undefined;
    if (this.#received === 0 && !this.#peerClosed && wantsAnswer) return fail(`No answer from ${this.peer}`);
    if (!this.#peerClosed && !datagrams && this.io.stderr.isTerminal()) {
      this.#endLine();
      const note = `Nothing more came from ${this.peer} for ${seconds} s, so this ends; see --timeout.`;
      this.io.complain(`${this.io.errorStyle.dim(note)}\n`);
    }
    this.#end.resolve(EXIT.success);
  }

  /** Keeps the shell's prompt off the peer's last line; a pipe gets the peer's bytes and nothing else. */
  #endLine(): void {
    if (this.#lastByte === 10 || !this.io.stdout.isTerminal()) return;
    this.#lastByte = 10;
    this.io.print("\n");
  }
}
