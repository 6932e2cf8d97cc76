import { type NameAnswer, Outcome, Source } from "./types.ts";

/** Answers that are kept. */
export const MAX_ENTRIES = 2048;
/** The longest that they are kept, seconds: a day, and for denials three hours (RFC 2308 5). */
export const MAX_TTL = 86_400;
export const MAX_NEGATIVE_TTL = 10_800;

interface Entry {
  answer: NameAnswer;
  expiresAtUs: number;
}

/** Answers by question for as long as they are true; the one that was not asked for the longest time goes first. */
export class AnswerCache {
  readonly #entries = new Map<string, Entry>();

  get size(): number {
    return this.#entries.size;
  }

  /** Keeps `answer` for `seconds`, 0: not at all. */
  put(key: string, answer: NameAnswer, seconds: number, now: number): void {
    const most = answer.outcome === Outcome.found ? MAX_TTL : MAX_NEGATIVE_TTL;
    const keepSeconds = Math.min(seconds, most);
    this.#entries.delete(key);
    if (keepSeconds <= 0) return;
    this.#entries.set(key, { answer, expiresAtUs: now + keepSeconds * 1_000_000 });
    if (this.#entries.size <= MAX_ENTRIES) return;
    const [oldest] = this.#entries.keys();
    this.#entries.delete(oldest);
  }

  /** The answer with what is left of its time; null when there is none (any more). */
  get(key: string, now: number): NameAnswer | null {
    const entry = this.#entries.get(key);
    if (entry === undefined) return null;
    this.#entries.delete(key);
    if (entry.expiresAtUs <= now) return null;
    // To the end of the line: used last.
    this.#entries.set(key, entry);
    const ttl = Math.ceil((entry.expiresAtUs - now) / 1_000_000);
    return { ...entry.answer, source: Source.cache, ttl };
  }

  clear(): void {
    this.#entries.clear();
  }
}
