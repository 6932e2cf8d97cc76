/** How long connecting took: what peer/connections.c prints, of a stack that is not in C. */

/** "connections HOST PORT PARALLEL WARM-UP SECONDS", with times on the clock of who reads it, milliseconds. */
export interface ConnectCommand {
  hostname: string;
  port: number;
  parallel: number;
  /** What is done before is not counted. */
  fromMs: number;
  untilMs: number;
}

export function readCommand(text: string, nowMs: number): ConnectCommand {
  const [, hostname, port, parallel, warmUp, seconds] = text.trim().split(" ");
  const fromMs = nowMs + Number(warmUp) * 1000;
  return {
    hostname,
    port: Number(port),
    parallel: Number(parallel),
    fromMs,
    untilMs: fromMs + Number(seconds) * 1000,
  };
}

export class ConnectTimes {
  readonly #us: number[] = [];

  constructor(readonly command: ConnectCommand) {}

  /** A connection that was begun and is over. */
  add(beganMs: number, endedMs: number): void {
    if (endedMs >= this.command.fromMs) this.#us.push((endedMs - beganMs) * 1000);
  }

  /** One line of JSON: connections a second, and percentiles in microseconds. */
  report(): string {
    const us = this.#us.sort((a, b) => a - b);
    const last = us.length - 1;
    const [p50, p90, p99, max] = [0.5, 0.9, 0.99, 1].map((part) => us[Math.floor(last * part)]);
    const rate = us.length / (this.command.untilMs - this.command.fromMs) * 1000;
    return JSON.stringify({ rate, p50, p90, p99, max });
  }
}
