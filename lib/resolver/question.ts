import { Exchange, type ExchangeHost } from "./exchange.ts";
import { follow } from "./follow.ts";
import type { Question } from "./message.ts";
import { type NameAnswer, Outcome, Reason, Source } from "./types.ts";

/** A question that is being asked, and all look-ups that wait for its answer. */
export class OpenQuestion {
  exchange: Exchange;
  answer: NameAnswer | null = null;
  keepSeconds = 0;
  /** Tickets of look-ups. */
  readonly waiting = new Set<number>();
  /** The chain of aliases so far. */
  readonly #names: string[];
  /** The shortest time that any alias of the chain is true. */
  #chainTtl = Infinity;

  constructor(readonly key: string, readonly host: ExchangeHost, readonly question: Question, now: number) {
    this.#names = [question.name];
    this.exchange = new Exchange(host, question, now);
    this.settle(now);
  }

  /** Draws the conclusion when the present exchange has ended; it may begin another one, for an alias. */
  settle(now: number): void {
    for (let ending = this.exchange.ending; ending !== null; ending = this.exchange.ending) {
      if (this.answer !== null) return;
      if ("reason" in ending) {
        this.answer = unanswered(ending.reason, this.#names, ending.server);
        return;
      }
      const finding = follow(ending.response, this.exchange.question, this.#names, ending.server);
      if ("answer" in finding) {
        this.#conclude(finding.answer, finding.keepSeconds);
        return;
      }
      for (const { ttl } of ending.response.records) this.#chainTtl = Math.min(this.#chainTtl, ttl);
      this.exchange = new Exchange(this.host, { name: finding.next, type: this.question.type }, now);
    }
  }

  #conclude(answer: NameAnswer, keepSeconds: number): void {
    this.answer = { ...answer, ttl: Math.min(answer.ttl, this.#chainTtl) };
    this.keepSeconds = Math.min(keepSeconds, this.#chainTtl);
  }
}

/** What is said when no server gave an answer. */
export function unanswered(reason: number, names: readonly string[], server: number): NameAnswer {
  const isFinal = reason === Reason.refused || reason === Reason.notImplemented ||
    reason === Reason.formatError;
  return {
    outcome: isFinal ? Outcome.fail : reason === Reason.badName ? Outcome.noName : Outcome.tryAgain,
    reason,
    source: server === 0 ? Source.itself : Source.server,
    addresses: [],
    names: [...names],
    ttl: 0,
    server,
  };
}
