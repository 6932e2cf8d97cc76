/** `lvl-ip connect`: a TCP connection of the stack as a two-way pipe, or one question and its answer. */
import * as client from "../ipc/client.ts";
import type { ConnectOptions } from "../ipc/client.ts";
import type { Target } from "./arguments.ts";
import { codeOf, CommandError, EXIT, networkWords } from "./errors.ts";
import { type Io, OutputClosedError } from "./output.ts";
import { unescapeText } from "./unescape.ts";

export interface ConnectCommandOptions {
  send?: string;
  /** Milliseconds: for connecting, and for the silence after which it ends. */
  timeout?: number;
  /** False: our side stays open when there is nothing more to send. */
  shutdown?: boolean;
  socket?: string;
}

/** The part of a connection that is used here. */
export type Stream = Pick<
  client.Connection,
  "read" | "write" | "closeWrite" | "close" | "localAddr" | "remoteAddr"
>;

export type Open = (options: ConnectOptions) => Promise<Stream>;

/** Silence after which `--send` ends. */
const ANSWER_TIMEOUT_MS = 5000;
/** How long stdin may pause once the peer has closed its side: it may be one that only listens. */
const LAST_INPUT_MS = 1000;
const CHUNK = 65536;

/** Runs the command. Status 0: the connection ended well, 1: it did not, 130: Ctrl-C. */
export async function connect(
  target: Target,
  options: ConnectCommandOptions,
  io: Io,
  open: Open = client.connect,
): Promise<number> {
  const interrupt = new AbortController();
  let status: number | undefined;
  const onSignal = (value: number) => () => {
    status ??= value;
    interrupt.abort();
  };
  const interrupted = onSignal(EXIT.interrupted);
  const signals = [
    io.onSignal("SIGINT", () => {
      // The terminal has printed ^C: the shell's prompt goes below.
      if (io.stderr.isTerminal()) io.complain("\n");
      interrupted();
    }),
    io.onSignal("SIGTERM", onSignal(EXIT.terminated)),
  ];
  try {
    const stream = await openStream(target, options, interrupt.signal, open);
    try {
      const result = await new Conversation(stream, target, options, io).run(interrupt.signal);
      return status ?? result;
    } finally {
      stream.close();
    }
  } catch (error) {
    if (status !== undefined) return status;
    throw error;
  } finally {
    for (const forget of signals) forget();
  }
}

async function openStream(
  { host, port }: Target,
  { timeout, socket }: ConnectCommandOptions,
  signal: AbortSignal,
  open: Open,
): Promise<Stream> {
  try {
    // 0 would mean no time at all.
    return await open({ hostname: host, port, timeoutMs: timeout || undefined, signal, socketPath: socket });
  } catch (error) {
    const words = networkWords(error);
    if (words === undefined || !(error instanceof Error) || error.name === "DaemonUnreachableError") {
      throw error;
    }
    const timedOut = codeOf(error) === "ETIMEDOUT" && timeout;
    const why = timedOut ? `Connection timed out (no answer within ${timeout / 1000} s)` : words;
    throw new CommandError(`Cannot connect to ${host}:${port}: ${why}`);
  }
}

/** Both directions of an open connection, until both have ended or one went wrong. */
class Conversation {
  #received = 0;
  #lastByte = 10;
  /** Where the bytes for the peer are: still to come, on their way, or all gone out. */
  #input: "awaited" | "sending" | "ended" = "sending";
  #peerClosed = false;
  /** How the conversation ends early, if it does. */
  readonly #end = Promise.withResolvers<number>();
  #silence: ReturnType<typeof setTimeout> | undefined;
  readonly #silenceMs: number;

  constructor(
    readonly stream: Stream,
    readonly target: Target,
    readonly options: ConnectCommandOptions,
    readonly io: Io,
  ) {
    const { send, timeout } = options;
    this.#silenceMs = timeout ?? (send === undefined ? 0 : ANSWER_TIMEOUT_MS);
  }

  /** The exit status. */
  async run(signal: AbortSignal): Promise<number> {
    const interrupted = () => this.#end.resolve(EXIT.interrupted);
    signal.addEventListener("abort", interrupted);
    try {
      this.#greet();
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
      signal.removeEventListener("abort", interrupted);
    }
  }

  /** For a person at a keyboard, who else could not tell connected from connecting. */
  #greet(): void {
    const { io, stream, options } = this;
    if (options.send !== undefined || !io.stdin.isTerminal() || !io.stderr.isTerminal()) return;
    const { hostname, port } = stream.localAddr;
    io.complain(
      io.errorStyle.dim(
        `Connected to ${this.#peer()} from ${hostname}:${port}. Ctrl-D ends our side, Ctrl-C the connection.`,
      ) + "\n",
    );
  }

  #peer(): string {
    return `${this.target.host}:${this.target.port}`;
  }

  /** From the peer to stdout, until its FIN. */
  async #receive(): Promise<void> {
    const bytes = new Uint8Array(CHUNK);
    for (;;) {
      const count = await this.#guard(this.stream.read(bytes));
      if (count === null) break;
      this.#received += count;
      if (count > 0) this.#lastByte = bytes[count - 1];
      this.#restartSilence();
      await this.#print(bytes.subarray(0, count));
    }
    this.#peerClosed = true;
    if (this.#input === "ended") return;
    // Nobody would answer what a person goes on to type; a pipe may still be giving.
    if (this.options.send === undefined && this.io.stdin.isTerminal()) this.#end.resolve(EXIT.success);
    else this.#restartSilence();
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

  /** From the text or stdin to the peer, then our FIN unless told otherwise. */
  async #send(): Promise<void> {
    const { send } = this.options;
    if (send !== undefined) await this.#write(unescapeText(send));
    else {
      const bytes = new Uint8Array(CHUNK);
      for (;;) {
        this.#setInput("awaited");
        const count = await this.io.stdin.read(bytes);
        this.#setInput("sending");
        if (count === null) break;
        await this.#write(bytes.subarray(0, count));
      }
    }
    this.#setInput("ended");
    if (this.options.shutdown !== false) await this.#guard(this.stream.closeWrite());
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      done += await this.#guard(this.stream.write(bytes.subarray(done)));
      this.#restartSilence();
    }
  }

  /** Names what the connection died of. */
  async #guard<T>(step: Promise<T>): Promise<T> {
    try {
      return await step;
    } catch (error) {
      throw new CommandError(
        `The connection to ${this.#peer()} broke: ${networkWords(error) ?? messageOf(error)}`,
      );
    }
  }

  #setInput(input: "awaited" | "sending" | "ended"): void {
    this.#input = input;
    this.#restartSilence();
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
    const fail = (what: string) => this.#end.reject(new CommandError(`${what} within ${seconds} s`));
    if (this.#input === "sending") return fail(`${this.#peer()} took no more of what is sent`);
    if (this.#received === 0 && !this.#peerClosed) return fail(`No answer from ${this.#peer()}`);
    if (!this.#peerClosed && this.io.stderr.isTerminal()) {
      this.#endLine();
      const note = `Nothing more came from ${this.#peer()} for ${seconds} s, so this ends; see --timeout.`;
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

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
