/** `lvl-ip status --watch`: looks again and again, and tells what happened a second in between. */
import type { DaemonStatus } from "../ipc/client.ts";
import { EXIT } from "./errors.ts";
import { untilInterrupted } from "./interrupt.ts";
import type { Io } from "./output.ts";
import type { WatchedSocket } from "./status_sockets.ts";

/** What happened between two looks. */
export interface Rates {
  /** The time between them. */
  seconds: number;
  /** Counts a second. */
  counters: Record<string, number>;
}

export interface WatchedStatus extends DaemonStatus {
  connections: WatchedSocket[];
  /** Of every look but the first. */
  rates?: Rates;
}

/** Lines that a terminal has room for; Infinity if it is none. */
export type Rows = () => number;

/** A screen of its own, without cursor and wrapped lines; and back. */
const ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const CLEAR_LINE = "\x1b[K";
const CLEAR_BELOW = "\x1b[J";

/**
 * Shows `page` of what `look` gives every `intervalMs` until Ctrl-C: in place on a terminal, one after the other elsewhere,
 * as JSON lines with `json`. The terminal is as it was afterwards, whatever happens.
 */
export function watch(
  look: () => Promise<DaemonStatus>,
  page: (status: WatchedStatus) => string,
  intervalMs: number,
  json: boolean,
  io: Io,
  rows: Rows = terminalRows,
): Promise<number> {
  const inPlace = !json && io.stdout.isTerminal();
  return untilInterrupted(io, async (signal) => {
    let before: DaemonStatus | null = null;
    let isEntered = false;
    try {
      while (!signal.aborted) {
        const now = await look();
        const watched = before === null ? now : withRates(before, now);
        before = now;
        if (inPlace && !isEntered) io.print(ENTER);
        isEntered = inPlace;
        if (json) io.print(`${JSON.stringify(watched)}\n`);
        else io.print(inPlace ? frame(page(watched), rows()) : `${page(watched)}\n`);
        await pause(intervalMs, signal);
      }
      return EXIT.success;
    } finally {
      if (isEntered) io.print(LEAVE);
    }
  }, EXIT.success);
}

/** The page over what is on the screen. */
function frame(page: string, rows: number): string {
  const lines = page.trimEnd().split("\n").slice(0, rows);
  return HOME + lines.map((line) => line + CLEAR_LINE).join("\n") + CLEAR_BELOW;
}

function terminalRows(): number {
  try {
    return Deno.consoleSize().rows;
  } catch {
    return Infinity;
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const wake = () => {
    clearTimeout(timer);
    resolve();
  };
  signal.addEventListener("abort", wake, { once: true });
  if (signal.aborted) wake();
  return promise.finally(() => signal.removeEventListener("abort", wake));
}

/** `now` with what happened since `before`, by the daemon's own clock. */
export function withRates(before: DaemonStatus, now: DaemonStatus): WatchedStatus {
  const seconds = (now.uptimeUs - before.uptimeUs) / 1e6;
  // Another daemon has taken its place.
  if (before.pid !== now.pid || seconds <= 0) return now;
  const per = (later: number, earlier = 0) => Math.max(0, later - earlier) / seconds;
  const counters: Record<string, number> = {};
  for (const [name, count] of Object.entries(now.counters)) {
    counters[name] = per(count, before.counters[name]);
  }
  const known = new Map(before.connections.map((socket) => [keyOf(socket), socket.info]));
  const connections = now.connections.map((socket): WatchedSocket => {
    if (socket.info === undefined) return socket;
    const earlier = known.get(keyOf(socket));
    return {
      ...socket,
      receivedPerSecond: per(socket.info.tcpi_bytes_received, earlier?.tcpi_bytes_received),
      ackedPerSecond: per(socket.info.tcpi_bytes_acked, earlier?.tcpi_bytes_acked),
    };
  });
  return { ...now, connections, rates: { seconds, counters } };
}

function keyOf({ kind, localAddress, localPort, remoteAddress, remotePort }: WatchedSocket): string {
  return `${kind} ${localAddress}:${localPort} ${remoteAddress}:${remotePort}`;
}
