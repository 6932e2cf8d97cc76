/** Which probe of a traceroute is sent when, how long each is waited for, and when the end of the path is found. */
import type { ProbeAnswer } from "../ipc/client.ts";

export interface TracePlanOptions {
  /** The first hop to ask, and the last: values of the TTL. */
  first: number;
  max: number;
  /** Probes of each hop. */
  queries: number;
  /** Probes under way at once. */
  parallel: number;
  /** How long a probe is waited for at most, milliseconds. */
  waitMs: number;
  /**
   * And no longer than so many times as long as another probe of the same hop took, or one of a later hop; 0: that does
   * not count.
   */
  here: number;
  near: number;
}

/** One probe: the `try`-th of its hop. */
export interface PlannedProbe {
  readonly index: number;
  readonly ttl: number;
  readonly try: number;
  sentAtMs: number;
  /** Decided: answered, or given up when there is no answer. */
  done: boolean;
  answer: ProbeAnswer | null;
}

/** What is added to a time measured before it is multiplied: this process may be late, too. */
const SLACK_MS = 20;

/** ICMP destination unreachable (RFC 792): whoever says so, the path ends there. */
const UNREACHABLE = 3;

/** Whether the path ends where this answer is from. */
export function isFinal({ errno, icmpType }: ProbeAnswer): boolean {
  return errno === 0 || icmpType === UNREACHABLE;
}

/** Times are milliseconds on one clock; nothing happens by itself. */
export class TracePlan {
  readonly #options: TracePlanOptions;
  readonly #probes: PlannedProbe[] = [];
  #outstanding = 0;
  /** Probes handed out as settled. */
  #settled = 0;
  /** The end of the hop where the path ends, as far as is known. */
  #end: number;

  constructor(options: TracePlanOptions) {
    this.#options = options;
    this.#end = (options.max - options.first + 1) * options.queries;
  }

  /** The next probe to send, which counts as sent now; null when it is not time for one. */
  next(nowMs: number): PlannedProbe | null {
    const { first, queries, parallel } = this.#options;
    const index = this.#probes.length;
    if (index >= this.#end || this.#outstanding >= parallel) return null;
    const ttl = first + Math.floor(index / queries);
    const probe = { index, ttl, try: index % queries, sentAtMs: nowMs, done: false, answer: null };
    this.#probes.push(probe);
    this.#outstanding++;
    return probe;
  }

  /** An answer came; one to a probe that was given up does not count any more. */
  answered(answer: ProbeAnswer): void {
    const probe = this.#probes[answer.number];
    if (probe === undefined || probe.done) return;
    probe.answer = answer;
    this.#decide(probe);
    const { queries } = this.#options;
    const end = (Math.floor(probe.index / queries) + 1) * queries;
    if (isFinal(answer) && end < this.#end) this.#end = end;
  }

  /** Gives up what was waited for long enough. */
  expire(nowMs: number): void {
    for (const probe of this.#waiting()) {
      if (this.#deadlineOf(probe) <= nowMs) this.#decide(probe);
    }
  }

  /** When `expire` has something to do, if no answer comes before; Infinity: never. */
  get deadlineMs(): number {
    return Math.min(...this.#waiting().map((probe) => this.#deadlineOf(probe)));
  }

  /** The next probe, in their order, that is decided; null when that takes longer. */
  takeSettled(): PlannedProbe | null {
    const probe = this.#probes[this.#settled];
    if (probe === undefined || !probe.done || this.#settled >= this.#end) return null;
    this.#settled++;
    return probe;
  }

  /** All probes up to the end of the path were handed out. */
  get isOver(): boolean {
    return this.#settled >= this.#end;
  }

  #decide(probe: PlannedProbe): void {
    probe.done = true;
    this.#outstanding--;
  }

  /** The probes that something may come of, before the end of the path. */
  #waiting(): PlannedProbe[] {
    return this.#probes.slice(this.#settled, this.#end).filter((probe) => !probe.done);
  }

  #deadlineOf(probe: PlannedProbe): number {
    const { waitMs, here, near, queries } = this.#options;
    const hop = probe.index - probe.try;
    const sameHop = here > 0 ? firstRttMs(this.#probes.slice(hop, hop + queries)) : -1;
    if (sameHop >= 0) return probe.sentAtMs + Math.min(waitMs, (sameHop + SLACK_MS) * here);
    const later = near > 0 ? firstRttMs(this.#probes.slice(probe.index + 1)) : -1;
    if (later >= 0) return probe.sentAtMs + Math.min(waitMs, (later + SLACK_MS) * near);
    return probe.sentAtMs + waitMs;
  }
}

/** The round trip of the first that was answered; -1: none was. */
function firstRttMs(probes: PlannedProbe[]): number {
  const answered = probes.find((probe) => probe.answer !== null);
  return answered === undefined ? -1 : answered.answer!.rttUs / 1000;
}
