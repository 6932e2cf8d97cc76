/** `lvl-ip listen`: connections to the stack as a two-way pipe, or as stdin and stdout of a program. */
import * as client from "../ipc/client.ts";
import type { ListenOptions } from "../ipc/client.ts";
import type { Target } from "./arguments.ts";
import { Conversation, type ConversationOptions, Input, type Stream } from "./conversation.ts";
import { DatagramStream, type Messages } from "./datagram_stream.ts";
import { CommandError, EXIT, explain } from "./errors.ts";
import { runFor } from "./exec.ts";
import { untilInterrupted } from "./interrupt.ts";
import type { Io } from "./output.ts";

export interface ListenCommandOptions extends Pick<ConversationOptions, "timeout" | "shutdown"> {
  keepOpen?: boolean;
  /** A command for /bin/sh. */
  exec?: string;
  udp?: boolean;
  verbose?: boolean;
  socket?: string;
}

/** A connection that came in. */
export type Accepted = Stream & { readonly localAddr: Deno.NetAddr; readonly remoteAddr: Deno.NetAddr };

/** The part of a listener that is used here. */
export interface Accepting {
  readonly addr: Deno.NetAddr;
  accept(): Promise<Accepted>;
  close(): void;
}

/** How sockets are opened: the seam for tests. */
export interface Opener {
  listen(options: ListenOptions): Promise<Accepting>;
  listenDatagram(options: ListenOptions): Promise<Messages>;
}

/** Runs the command. Status 0: the connection ended well, 1: it did not, 130: Ctrl-C. */
export function listen(
  where: Target,
  options: ListenCommandOptions,
  io: Io,
  opener: Opener = client,
): Promise<number> {
  if (options.udp && options.exec !== undefined) {
    throw new CommandError("Cannot run a program for datagrams: --exec is for TCP", undefined, EXIT.usage);
  }
  return untilInterrupted(io, async (signal) => {
    const { host: hostname, port } = where;
    const address = { hostname, port, socketPath: options.socket };
    if (options.udp) return await exchange(await opener.listenDatagram(address), options, io, signal);
    const listener = await opener.listen(address);
    return await new Service(listener, options, io).run(signal);
  });
}

/** Datagrams, with one peer. */
async function exchange(
  socket: Messages,
  options: ListenCommandOptions,
  io: Io,
  signal: AbortSignal,
): Promise<number> {
  tellListening(socket.addr, options, io);
  const { keepOpen, timeout } = options;
  const note = (peer: Deno.NetAddr) => tell(`Messages from ${nameOf(peer)}`, options, io);
  const stream = new DatagramStream(socket, false, keepOpen, note);
  try {
    // Until a signal or silence: the end of stdin does not say that nothing comes any more.
    const settings = { timeout: timeout ?? 0, datagrams: true };
    return await new Conversation(stream, nameOf(socket.addr), settings, io).run(signal);
  } finally {
    stream.close();
  }
}

/** Takes connections, and deals with each. */
class Service {
  readonly #input: Input;
  #isClosed = false;

  constructor(
    readonly listener: Accepting,
    readonly options: ListenCommandOptions,
    readonly io: Io,
  ) {
    this.#input = new Input(io.stdin);
  }

  async run(signal: AbortSignal): Promise<number> {
    const { options, io } = this;
    const close = () => this.#close();
    signal.addEventListener("abort", close);
    const running = new Set<Promise<number>>();
    try {
      tellListening(this.listener.addr, options, io);
      if (!options.keepOpen) return await this.#serve(await this.#acceptLast(), signal);
      for (;;) {
        const served: Promise<number> = this.#serveAndTell(await this.listener.accept(), signal);
        running.add(served);
        served.then(() => running.delete(served));
        // Programs run side by side; the terminal is one connection's at a time.
        if (options.exec === undefined) await served;
      }
    } finally {
      signal.removeEventListener("abort", close);
      this.#close();
      await Promise.all(running);
    }
  }

  #close(): void {
    if (!this.#isClosed) this.listener.close();
    this.#isClosed = true;
  }

  /** Others are refused from then on. */
  async #acceptLast(): Promise<Accepted> {
    const connection = await this.listener.accept();
    this.#close();
    return connection;
  }

  /** What goes wrong with one connection is no reason not to take the next. */
  async #serveAndTell(connection: Accepted, signal: AbortSignal): Promise<number> {
    try {
      return await this.#serve(connection, signal);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      this.io.complain(`${this.io.errorStyle.red("lvl-ip:")} ${explain(error)}\n`);
      return EXIT.failure;
    }
  }

  async #serve(connection: Accepted, signal: AbortSignal): Promise<number> {
    const { options, io } = this;
    const peer = nameOf(connection.remoteAddr);
    try {
      tell(`Connection from ${peer}`, options, io);
      if (options.exec !== undefined) return await runFor(connection, options.exec, signal);
      const { timeout, shutdown } = options;
      const settings = { timeout, shutdown, patient: true };
      return await new Conversation(connection, peer, settings, io, this.#input).run(signal);
    } finally {
      connection.close();
    }
  }
}

function tellListening(address: Deno.NetAddr, options: ListenCommandOptions, io: Io): void {
  tell(`Listening on ${nameOf(address)}`, options, io);
}

/** For a person at a keyboard, and who asks for it. */
function tell(text: string, { verbose }: ListenCommandOptions, io: Io): void {
  if (!verbose && !(io.stdin.isTerminal() && io.stderr.isTerminal())) return;
  io.complain(`${io.errorStyle.dim(text)}\n`);
}

function nameOf({ hostname, port }: Deno.NetAddr): string {
  return `${hostname === "0.0.0.0" ? "*" : hostname}:${port}`;
}
