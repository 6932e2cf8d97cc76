/** `lvl-ip traceroute`: what traceroute(8) prints, over the stack. */
import * as client from "../ipc/client.ts";
import type { Probe, ProbeAnswer, TraceOptions } from "../ipc/client.ts";
import { EAGAIN } from "../errno.ts";
import { CommandError, EXIT } from "./errors.ts";
import { type AskName, HostNames } from "./host_names.ts";
import type { Io } from "./output.ts";
import { formatHost, HopPrinter, probeJson } from "./trace_format.ts";
import { isFinal, type PlannedProbe, TracePlan } from "./trace_plan.ts";
import { type Timer, Wakener } from "./wakener.ts";

export interface TracerouteOptions {
  icmp?: boolean;
  tcp?: boolean;
  port?: number;
  first?: number;
  maxHops?: number;
  queries?: number;
  simQueries?: number;
  wait?: WaitTimes;
  source?: string;
  dontFragment?: boolean;
  numeric?: boolean;
  json?: boolean;
  socket?: string;
}

/** How long to wait for an answer: at most, and as a multiple of what others took in the same hop and in later ones. */
export interface WaitTimes {
  maxMs: number;
  here: number;
  near: number;
}

/** The client's `Trace`. */
export interface Probing extends AsyncIterable<ProbeAnswer> {
  readonly address: string;
  send(probe: Probe): Promise<void>;
  close(): void;
}

/** What the command needs of the client, and the clock. */
export interface TraceWorld extends Timer {
  open(host: string, options: TraceOptions): Promise<Probing>;
  nameOf(socketPath: string | undefined): AskName;
}

export const systemWorld: TraceWorld = {
  open: client.openTrace,
  nameOf: (socketPath) => async (address) =>
    (await client.lookUp(address, { type: "PTR", socketPath })).names[0] ?? null,
  nowMs: () => performance.now(),
  after(ms, action) {
    const timer = setTimeout(action, ms);
    return () => clearTimeout(timer);
  },
};

/** traceroute(8)'s. */
const DEFAULT_WAIT: WaitTimes = { maxMs: 5000, here: 3, near: 10 };
const UDP_PORT = 33434;
const TCP_PORT = 80;
const DEFAULT_SIZE = 60;
/** IP and TCP header, and the MSS option. */
const SYN_SIZE = 44;

/** Runs the command. Status 0, also if the destination was not reached; 1 if nothing could be sent; 130 after Ctrl-C. */
export async function traceroute(
  host: string,
  size: number | undefined,
  options: TracerouteOptions,
  io: Io,
  world: TraceWorld = systemWorld,
): Promise<number> {
  const kind = options.tcp ? "tcp" : options.icmp ? "icmp" : "udp";
  const { source, socket } = options;
  const probing = await world.open(host, { kind, source, socketPath: socket });
  const run = new TraceRun(probing, host, kind, size, options, io, world);
  const forget = io.onSignal("SIGINT", () => run.interrupt());
  try {
    return await run.run();
  } finally {
    forget();
    probing.close();
  }
}

class TraceRun {
  readonly #plan: TracePlan;
  readonly #names: HostNames;
  readonly #printer = new HopPrinter();
  readonly #wakener: Wakener;
  readonly #size: number;
  readonly #maxHops: number;
  #failure: unknown = null;
  #interrupted = false;
  #reached = false;
  #hop: unknown[] = [];

  constructor(
    readonly probing: Probing,
    readonly host: string,
    readonly kind: "udp" | "icmp" | "tcp",
    size: number | undefined,
    readonly options: TracerouteOptions,
    readonly io: Io,
    world: TraceWorld,
  ) {
    const { first = 1, maxHops = 30, queries = 3, simQueries = 16, wait = DEFAULT_WAIT } = options;
    if (first > maxHops) {
      throw new CommandError(
        `The first hop (${first}) is behind the last (${maxHops})`,
        undefined,
        EXIT.usage,
      );
    }
    this.#maxHops = maxHops;
    this.#size = kind === "tcp" ? SYN_SIZE : size ?? DEFAULT_SIZE;
    this.#plan = new TracePlan({
      ...{ first, max: maxHops, queries, parallel: simQueries },
      ...{ waitMs: wait.maxMs, here: wait.here, near: wait.near },
    });
    this.#names = new HostNames(options.numeric ? null : world.nameOf(options.socket));
    this.#wakener = new Wakener(world);
  }

  interrupt(): void {
    this.#interrupted = true;
    this.#wakener.wake();
  }

  async run(): Promise<number> {
    const { probing, io, options } = this;
    if (!options.json) {
      const target = `${this.host} (${probing.address})`;
      io.print(`traceroute to ${target}, ${this.#maxHops} hops max, ${this.#size} byte packets`);
    }
    this.#listen();
    while (!this.#plan.isOver && !this.#interrupted && this.#failure === null) {
      await this.#send();
      await this.#printSettled();
      if (this.#plan.isOver) break;
      await this.#wakener.sleepUntil(this.#plan.deadlineMs);
      this.#plan.expire(this.#wakener.nowMs());
    }
    if (!options.json) io.print("\n");
    if (this.#failure !== null) throw this.#failure;
    if (options.json) this.#printSummary();
    return this.#interrupted ? EXIT.interrupted : EXIT.success;
  }

  /** Takes answers as they come, beside the run. */
  async #listen(): Promise<void> {
    try {
      for await (const answer of this.probing) this.#take(answer);
      if (!this.#plan.isOver) this.#failure ??= new CommandError("The daemon ended before the trace did");
    } catch (error) {
      this.#failure ??= error;
    }
    this.#wakener.wake();
  }

  #take(answer: ProbeAnswer): void {
    const { errno, icmpType, mtu, from } = answer;
    // Nothing went out, and no other probe will: but a full queue empties, and a large packet is an answer.
    if (errno !== 0 && icmpType < 0 && errno !== EAGAIN && mtu === 0) {
      this.#failure = new CommandError(`Cannot send to ${this.host}: ${client.errnoText(errno)}`);
    } else if (errno !== EAGAIN) {
      this.#plan.answered(answer);
      this.#names.expect(from);
    }
    this.#wakener.wake();
  }

  async #send(): Promise<void> {
    for (;;) {
      const probe = this.#plan.next(this.#wakener.nowMs());
      if (probe === null) return;
      await this.probing.send({
        number: probe.index,
        ttl: probe.ttl,
        port: this.#portOf(probe),
        size: this.#size,
        pmtudisc: this.options.dontFragment ? "probe" : "dont",
      }).catch((error) => this.#failure ??= error);
    }
  }

  /** Of UDP each probe has its own, so that an answer, however late, is known by it. */
  #portOf({ index }: PlannedProbe): number {
    const { port } = this.options;
    if (this.kind !== "udp") return port ?? TCP_PORT;
    return 1 + ((port ?? UDP_PORT) - 1 + index) % 65535;
  }

  async #printSettled(): Promise<void> {
    for (let probe = this.#plan.takeSettled(); probe !== null; probe = this.#plan.takeSettled()) {
      const { answer } = probe;
      const name = answer === null ? null : await this.#names.of(answer.from);
      if (answer !== null && isFinal(answer)) this.#reached ||= answer.from === this.probing.address;
      if (this.options.json) this.#addJson(probe, name);
      else {
        const host = answer === null ? "" : formatHost(answer.from, name, this.options.numeric ?? false);
        this.io.print(this.#printer.text(probe, host));
      }
    }
  }

  /** A hop is printed when it is whole. */
  #addJson({ ttl, try: attempt, answer }: PlannedProbe, name: string | null): void {
    this.#hop.push(probeJson(answer, name));
    if (attempt + 1 < (this.options.queries ?? 3)) return;
    this.io.print(`${JSON.stringify({ type: "hop", hop: ttl, probes: this.#hop })}\n`);
    this.#hop = [];
  }

  #printSummary(): void {
    const { host, kind, probing: { address } } = this;
    this.io.print(`${JSON.stringify({ type: "summary", host, address, kind, reached: this.#reached })}\n`);
  }
}
