/** `lvl-ip ping`: what ping(8) of iputils prints, over the stack. */
import * as client from "../ipc/client.ts";
import type { PingDamage, PingFailure, PingOptions, PingReply } from "../ipc/client.ts";
import { EHOSTUNREACH, EMSGSIZE } from "../errno.ts";
import { CommandError, EXIT, explain } from "./errors.ts";
import { type Io, OutputClosedError } from "./output.ts";
import {
  formatRtt,
  formatShortStatus,
  formatSummary,
  type PingRun,
  PingStatistics,
  summaryJson,
} from "./ping_statistics.ts";

export interface PingCommandOptions {
  count?: number;
  /** Milliseconds, as all times here; 1000 if not given. */
  interval?: number;
  /** 0: for ever; 10000 if not given. */
  wait?: number;
  deadline?: number;
  size?: number;
  ttl?: number;
  pmtudisc?: PingOptions["pmtudisc"];
  quiet?: boolean;
  flood?: boolean;
  /** The interval is the round trip. */
  adaptive?: boolean;
  timestamps?: boolean;
  json?: boolean;
  socket?: string;
}

/** A run of the client. */
export interface Ping extends AsyncIterable<PingReply | PingFailure> {
  readonly address: string;
  readonly transmitted: number;
}

export interface LocalHost {
  address: string;
  /** Bytes; -1 if not known. */
  mtu: number;
}

/** What the command needs of the client, and the clock. */
export interface PingWorld {
  ping(host: string, options: PingOptions): Promise<Ping>;
  /** The stack's own address and MTU, for errors that it reports itself. */
  localHost(socketPath?: string): Promise<LocalHost>;
  /** Microseconds, monotonic. */
  nowUs(): number;
  /** Seconds since 1970. */
  unixTime(): number;
}

const systemWorld: PingWorld = {
  ping: client.ping,
  localHost: (socketPath) => client.status({ socketPath }),
  nowUs: () => Math.round(performance.now() * 1000),
  unixTime: () => Date.now() / 1000,
};

const DEFAULT_SIZE = 56;
/** What the client calls it when nobody answers ARP. */
const HOST_UNREACHABLE = client.pingErrorText(-1, 0, EHOSTUNREACH);
const TOO_LONG = client.pingErrorText(-1, 0, EMSGSIZE);
/** iputils' MAXWAIT. */
const DEFAULT_WAIT_MS = 10_000;
/** The longest setTimeout. */
const FOR_EVER_MS = 2 ** 31 - 1;
/** How often it is looked whether the last request has gone out, once it should have. */
const LOOK_MS = 5;

/** Runs the command. Status 0: something answered, 1: nothing did (or, with a deadline, not enough), 2: an error. */
export async function ping(
  host: string,
  options: PingCommandOptions,
  io: Io,
  world: PingWorld = systemWorld,
): Promise<number> {
  const command = new PingCommand(host, options, io, world);
  try {
    return await command.run();
  } catch (error) {
    if (command.isStoppedEarly) return EXIT.interrupted;
    // ping(8)'s statuses: 1 is kept for silence.
    if (error instanceof OutputClosedError) throw error;
    throw new CommandError(explain(error), undefined, EXIT.usage);
  }
}

function describeDamage({ offset, expected, actual }: PingDamage): string {
  return `\nwrong data byte #${offset} should be 0x${expected.toString(16)} but was 0x${actual.toString(16)}`;
}

class PingCommand {
  readonly #statistics = new PingStatistics();
  readonly #stop = new AbortController();
  readonly #intervalMs: number;
  readonly #count: number;
  #run: Ping | undefined;
  #startUs = 0;
  /** Requests for which a dot was printed. */
  #dots = 0;
  /** When the last answer came. */
  #lastUs = 0;
  #timers: ReturnType<typeof setTimeout>[] = [];
  #local: LocalHost | undefined;

  constructor(
    readonly host: string,
    readonly options: PingCommandOptions,
    readonly io: Io,
    readonly world: PingWorld,
  ) {
    this.#intervalMs = options.interval ?? (options.flood || options.adaptive ? 0 : 1000);
    this.#count = options.count ?? Infinity;
  }

  /** Ctrl-C came before the name was an address. */
  get isStoppedEarly(): boolean {
    return this.#run === undefined && this.#stop.signal.aborted;
  }

  async run(): Promise<number> {
    const { options, io } = this;
    const stop = () => this.#stop.abort();
    const signals = [
      io.onSignal("SIGINT", stop),
      io.onSignal("SIGTERM", stop),
      io.onSignal("SIGQUIT", () => this.#shortStatus()),
    ];
    try {
      // With a deadline, requests go on beyond the count until so many were answered, as with ping(8).
      this.#run = await this.world.ping(this.host, {
        count: options.deadline === undefined ? options.count : undefined,
        intervalMs: this.#intervalMs,
        waitMs: FOR_EVER_MS,
        size: options.size,
        ttl: options.ttl,
        pmtudisc: options.pmtudisc,
        signal: this.#stop.signal,
        socketPath: options.socket,
      });
      if (!options.json) this.#printHeader(this.#run.address);
      this.#startUs = this.#lastUs = this.world.nowUs();
      this.#setTimers();
      const isComplete = await this.#listen(this.#run);
      const status = this.#finish(this.#run.transmitted);
      if (!isComplete) throw new CommandError("The daemon ended before the run did", undefined, EXIT.usage);
      return status;
    } finally {
      for (const timer of this.#timers) clearTimeout(timer);
      for (const forget of signals) forget();
    }
  }

  #printHeader(address: string): void {
    const size = this.options.size ?? DEFAULT_SIZE;
    this.io.print(`PING ${this.host} (${address}) ${size}(${size + 28}) bytes of data.\n`);
  }

  /** Takes what comes until the run is over; false if the daemon ended first. */
  async #listen(run: Ping): Promise<boolean> {
    for await (const event of run) {
      this.#lastUs = this.world.nowUs();
      await this.#take(event, run);
      if (this.#isDone()) return true;
    }
    return this.#stop.signal.aborted;
  }

  #isDone(): boolean {
    const { received, errors } = this.#statistics;
    if (received + errors >= this.#count) return true;
    return this.options.deadline !== undefined && errors > 0;
  }

  async #take(event: PingReply | PingFailure, run: Ping): Promise<void> {
    const outstanding = (run.transmitted - event.seq) & 0xffff;
    if (event.kind === "reply") {
      this.#statistics.addReply(event.rttUs, event.duplicate, outstanding);
      if (event.damage && !event.duplicate) this.#statistics.corrupted++;
    } else {
      this.#statistics.addError(outstanding);
    }
    if (this.options.quiet) return;
    if (this.options.flood && !this.options.json) return this.#printFlood(event, run.transmitted);
    if (event.kind === "reply") this.#printReply(event);
    else await this.#printFailure(event);
  }

  /** ping(8)'s -f: a dot for each request, which its reply takes back: what is left is what was lost. */
  #printFlood(event: PingReply | PingFailure, transmitted: number): void {
    const dots = ".".repeat(transmitted - this.#dots);
    this.#dots = transmitted;
    this.io.print(dots + (event.kind === "error" ? "E" : event.duplicate ? "" : "\b \b"));
  }

  #printReply(reply: PingReply): void {
    if (this.options.json) {
      const { seq, bytes, from, ttl, rttUs, duplicate, damage } = reply;
      return this.#printJson({
        type: "reply",
        seq,
        bytes,
        from,
        ttl,
        rttMs: rttUs / 1000,
        duplicate,
        damage,
      });
    }
    const { bytes, from, seq, ttl } = reply;
    let line = `${bytes} bytes from ${from}: icmp_seq=${seq} ttl=${ttl}`;
    if (bytes < (this.options.size ?? DEFAULT_SIZE) + 8) line += " (truncated)";
    else line += ` time=${formatRtt(reply.rttUs)} ms`;
    if (reply.duplicate) line += " (DUP!)";
    if (reply.damage) line += describeDamage(reply.damage);
    this.#printLine(line);
  }

  async #printFailure(failure: PingFailure): Promise<void> {
    const { seq, error, icmpType, icmpCode, mtu } = failure;
    const from = failure.from === "0.0.0.0" ? (await this.#localHost()).address : failure.from;
    if (this.options.json) {
      const named = mtu > 0 ? { mtu } : {};
      return this.#printJson({ type: "error", seq, from, error, icmpType, icmpCode, ...named });
    }
    if (icmpType >= 0 || error === HOST_UNREACHABLE) {
      const named = mtu > 0 ? ` (mtu = ${mtu})` : "";
      return this.#printLine(`From ${from} icmp_seq=${seq} ${error}${named}`);
    }
    // Nothing went out: ping(8) speaks of these on stderr.
    const limit = error === TOO_LONG ? `, mtu=${mtu || (await this.#localHost()).mtu}` : "";
    this.io.complain(`${this.io.errorStyle.red("lvl-ip:")} local error: ${error}${limit}\n`);
  }

  async #localHost(): Promise<LocalHost> {
    return this.#local ??= await this.world.localHost(this.options.socket)
      .catch(() => ({ address: "this host", mtu: -1 }));
  }

  #printLine(line: string): void {
    this.io.print(`${this.options.timestamps ? `[${this.world.unixTime().toFixed(6)}] ` : ""}${line}\n`);
  }

  #printJson(value: Record<string, unknown>): void {
    const time = this.options.timestamps ? { time: this.world.unixTime() } : {};
    this.io.print(`${JSON.stringify({ ...value, ...time })}\n`);
  }

  #setTimers(): void {
    const { deadline } = this.options;
    if (deadline !== undefined) this.#after(deadline, () => this.#stop.abort());
    else if (this.#count < Infinity) this.#after((this.#count - 1) * this.#intervalMs, () => this.#linger());
  }

  /** ping(8)'s end: once the last request is out, twice the longest round trip if there was any, else `-W`. */
  #linger(): void {
    if (this.#run!.transmitted < this.#count) return this.#after(LOOK_MS, () => this.#linger());
    const { received, maxUs } = this.#statistics;
    const wait = this.options.wait ?? DEFAULT_WAIT_MS;
    const patienceMs = received > 0 ? Math.max(2 * maxUs / 1000, this.#intervalMs) : wait || FOR_EVER_MS;
    this.#after(patienceMs, () => this.#stop.abort());
  }

  #after(ms: number, action: () => void): void {
    // Beyond setTimeout's limit: some weeks from now is as good.
    this.#timers = [setTimeout(action, Math.min(ms, FOR_EVER_MS))];
  }

  #shortStatus(): void {
    if (!this.#run) return;
    this.io.complain(`\r${formatShortStatus(this.#statistics, this.#run.transmitted)}\n`);
  }

  #finish(transmitted: number): number {
    const { options } = this;
    // Requests that nobody answered count too: the last one went out on its beat.
    const lastSentUs = this.#startUs + Math.max(0, transmitted - 1) * this.#intervalMs * 1000;
    const run: PingRun = {
      host: this.host,
      transmitted,
      elapsedUs: Math.max(this.#lastUs, lastSentUs) - this.#startUs,
      intervalMs: this.#intervalMs,
    };
    if (options.json) this.#printJson(summaryJson(this.#statistics, run));
    else this.io.print(formatSummary(this.#statistics, run));
    const { received } = this.#statistics;
    const tooFew = options.deadline !== undefined && options.count !== undefined && received < options.count;
    return received === 0 || tooFew ? EXIT.failure : EXIT.success;
  }
}
