/** `lvl-ip tracepath`: the hops and the path MTU, as tracepath(8) of iputils prints them, over the stack. */
import * as client from "../ipc/client.ts";
import type { ProbeAnswer } from "../ipc/client.ts";
import { CommandError, EXIT } from "./errors.ts";
import { HostNames } from "./host_names.ts";
import type { Io } from "./output.ts";
import { formatHost, markOf } from "./trace_format.ts";
import { isFinal } from "./trace_plan.ts";
import { type Probing, systemWorld, type TraceWorld } from "./traceroute.ts";
import { Wakener } from "./wakener.ts";

export interface TracepathOptions {
  numeric?: boolean;
  /** Show names and addresses. */
  both?: boolean;
  /** Bytes of the first packet. */
  length?: number;
  maxHops?: number;
  port?: number;
  json?: boolean;
  socket?: string;
}

/** tracepath(8)'s. */
const PORT = 44444;
const MAX_HOPS = 30;
const TRIES = 3;
const WAIT_MS = 1000;
const MAX_PACKET = 65535;

/** Runs the command. Status 0; 1 if the destination was not reached; 130 after Ctrl-C. */
export async function tracepath(
  host: string,
  options: TracepathOptions,
  io: Io,
  world: TraceWorld = systemWorld,
): Promise<number> {
  const probing = await world.open(host, { kind: "udp", socketPath: options.socket });
  const run = new PathRun(probing, host, options, io, world);
  const forget = io.onSignal("SIGINT", () => run.interrupt());
  try {
    return await run.run();
  } finally {
    forget();
    probing.close();
  }
}

/** What an answer says of a path: the hops that it came back over, if its sender began with 64, 128 or 255. */
export function hopsBack(ttl: number): number {
  if (ttl <= 64) return 65 - ttl;
  return ttl <= 128 ? 129 - ttl : 256 - ttl;
}

class PathRun {
  readonly #names: HostNames;
  readonly #wakener: Wakener;
  readonly #answers = new Map<number, ProbeAnswer>();
  #mtu: number;
  #number = 0;
  #failure: unknown = null;
  #interrupted = false;

  constructor(
    readonly probing: Probing,
    readonly host: string,
    readonly options: TracepathOptions,
    readonly io: Io,
    world: TraceWorld,
  ) {
    this.#mtu = options.length ?? MAX_PACKET;
    this.#names = new HostNames(options.numeric ? null : world.nameOf(options.socket));
    this.#wakener = new Wakener(world);
  }

  interrupt(): void {
    this.#interrupted = true;
    this.#wakener.wake();
  }

  async run(): Promise<number> {
    this.#listen();
    const { maxHops = MAX_HOPS } = this.options;
    for (let ttl = 1; ttl <= maxHops; ttl++) {
      const answer = await this.#askHop(ttl);
      if (this.#interrupted) return EXIT.interrupted;
      if (answer !== null && isFinal(answer)) return this.#finish(ttl, answer);
    }
    if (this.options.json) this.#printJson({ type: "summary", ...this.#summary(), reached: false });
    else this.io.print(`     Too many hops: pmtu ${this.#mtu}\n     Resume: pmtu ${this.#mtu} \n`);
    return EXIT.failure;
  }

  async #listen(): Promise<void> {
    try {
      for await (const answer of this.probing) {
        this.#answers.set(answer.number, answer);
        this.#wakener.wake();
      }
      this.#failure ??= new CommandError("The daemon ended before the trace did");
    } catch (error) {
      this.#failure ??= error;
    }
    this.#wakener.wake();
  }

  /** Asks who is `ttl` hops away, with as large packets as get there; null: nobody says. */
  async #askHop(ttl: number): Promise<ProbeAnswer | null> {
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const answer = await this.#ask(ttl);
      if (this.#interrupted) return null;
      if (answer === null) continue;
      if (answer.mtu > 0 && answer.mtu < this.#mtu) {
        this.#mtu = answer.mtu;
        await this.#print(ttl, answer, ` pmtu ${answer.mtu}`);
        attempt = -1;
        continue;
      }
      if (answer.icmpType < 0 && answer.errno !== 0) {
        throw new CommandError(`Cannot send to ${this.host}: ${client.errnoText(answer.errno)}`);
      }
      await this.#print(ttl, answer, this.#remark(ttl, answer));
      return answer;
    }
    if (this.options.json) this.#printJson({ type: "hop", hop: ttl, address: null });
    else this.io.print(`${String(ttl).padStart(2)}:  no reply\n`);
    return null;
  }

  async #ask(ttl: number): Promise<ProbeAnswer | null> {
    const number = this.#number++;
    const port = 1 + ((this.options.port ?? PORT) - 1 + number) % 65535;
    await this.probing.send({ number, ttl, port, size: this.#mtu, pmtudisc: "probe" });
    const deadline = this.#wakener.nowMs() + WAIT_MS;
    while (!this.#answers.has(number) && !this.#interrupted && this.#wakener.nowMs() < deadline) {
      if (this.#failure !== null) throw this.#failure;
      await this.#wakener.sleepUntil(deadline);
    }
    return this.#answers.get(number) ?? null;
  }

  #remark(ttl: number, answer: ProbeAnswer): string {
    const back = hopsBack(answer.ttl);
    const asymmetric = back !== ttl ? ` asymm ${String(back).padStart(2)}` : "";
    if (!isFinal(answer)) return asymmetric;
    return `${asymmetric} ${markOf(answer) || "reached"}`;
  }

  async #print(ttl: number, answer: ProbeAnswer, remark: string): Promise<void> {
    const { from, rttUs } = answer;
    const isOwn = answer.icmpType < 0 && answer.errno !== 0;
    const name = isOwn ? null : await this.#names.of(from);
    if (this.options.json) {
      const back = isOwn ? {} : { rttMs: rttUs / 1000, back: hopsBack(answer.ttl) };
      const mark = isFinal(answer) && answer.mtu === 0 && markOf(answer) !== ""
        ? { mark: markOf(answer) }
        : {};
      const address = isOwn ? "localhost" : from;
      const more = { ...(name === null ? {} : { name }), ...back, pmtu: this.#mtu, ...mark };
      return this.#printJson({ type: "hop", hop: ttl, address, ...more });
    }
    const number = String(ttl).padStart(2);
    if (isOwn) return this.io.print(`${number}?: ${"[LOCALHOST]".padEnd(32)}${remark}\n`);
    const shown = this.options.both ? formatHost(from, name, false) : name ?? from;
    const time = `${(rttUs / 1000).toFixed(3)}ms`.padStart(9);
    this.io.print(`${number}:  ${shown.padEnd(52)}${time}${remark}\n`);
  }

  #finish(hops: number, answer: ProbeAnswer): number {
    const back = hopsBack(answer.ttl);
    const reached = answer.errno === 0 || markOf(answer) === "";
    if (this.options.json) this.#printJson({ type: "summary", ...this.#summary(), reached, hops, back });
    else this.io.print(`     Resume: pmtu ${this.#mtu} ${reached ? `hops ${hops} back ${back} ` : ""}\n`);
    return reached ? EXIT.success : EXIT.failure;
  }

  #summary(): Record<string, unknown> {
    return { host: this.host, address: this.probing.address, pmtu: this.#mtu };
  }

  #printJson(value: Record<string, unknown>): void {
    this.io.print(`${JSON.stringify(value)}\n`);
  }
}
