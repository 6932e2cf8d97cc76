/** `lvl-ip connect`: a TCP connection of the stack as a two-way pipe, or one question and its answer; datagrams too. */
import * as client from "../ipc/client.ts";
import type { ConnectOptions } from "../ipc/client.ts";
import type { Target } from "./arguments.ts";
import { Conversation, type ConversationOptions, type Stream } from "./conversation.ts";
import { DatagramStream } from "./datagram_stream.ts";
import { codeOf, CommandError, networkWords } from "./errors.ts";
import { untilInterrupted } from "./interrupt.ts";
import type { Io } from "./output.ts";

export interface ConnectCommandOptions extends Omit<ConversationOptions, "datagrams"> {
  /** Also the milliseconds for connecting. */
  timeout?: number;
  /** Datagrams instead of a stream. */
  udp?: boolean;
  verbose?: boolean;
  socket?: string;
}

/** A stream that knows its own address. */
export type OpenedStream = Stream & { readonly localAddr: Deno.NetAddr };

export type Open = (options: ConnectOptions) => Promise<OpenedStream>;

/** Runs the command. Status 0: the connection ended well, 1: it did not, 130: Ctrl-C. */
export function connect(
  target: Target,
  options: ConnectCommandOptions,
  io: Io,
  open: Open = options.udp ? openDatagrams : client.connect,
): Promise<number> {
  return untilInterrupted(io, async (signal) => {
    const stream = await openStream(target, options, signal, open);
    try {
      greet(stream.localAddr, target, options, io);
      const { udp: datagrams, ...rest } = options;
      return await new Conversation(stream, nameOf(target), { ...rest, datagrams }, io).run(signal);
    } finally {
      stream.close();
    }
  });
}

async function openDatagrams({ hostname = "", port, signal, socketPath }: ConnectOptions) {
  const remote = { hostname, port };
  const socket = await client.listenDatagram({ remote, socketPath });
  signal?.throwIfAborted();
  return Object.assign(new DatagramStream(socket, true), { localAddr: socket.addr });
}

async function openStream(
  target: Target,
  { timeout, socket }: ConnectCommandOptions,
  signal: AbortSignal,
  open: Open,
): Promise<OpenedStream> {
  const { host, port } = target;
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
    throw new CommandError(`Cannot connect to ${nameOf(target)}: ${why}`);
  }
}

/** For a person at a keyboard, who else could not tell connected from connecting. */
function greet(local: Deno.NetAddr, target: Target, options: ConnectCommandOptions, io: Io): void {
  const isTyped = options.send === undefined && io.stdin.isTerminal() && io.stderr.isTerminal();
  if (!options.verbose && !isTyped) return;
  const from = `${local.hostname}:${local.port}`;
  const what = options.udp
    ? `Messages go to ${nameOf(target)} from ${from}.`
    : `Connected to ${nameOf(target)} from ${from}.`;
  const keys = options.udp ? "Ctrl-C ends it." : "Ctrl-D ends our side, Ctrl-C the connection.";
  io.complain(io.errorStyle.dim(isTyped ? `${what} ${keys}` : what) + "\n");
}

function nameOf({ host, port }: Target): string {
  return `${host}:${port}`;
}
