import { formatIp, type IpAddress, isLoopback, parseIp } from "../wire/address.ts";
import { AnswerCache } from "./cache.ts";
import { candidates, defaultConfig, type ResolverConfig } from "./config.ts";
import type { Exchange, ExchangeHost } from "./exchange.ts";
import { Hosts } from "./hosts.ts";
import type { Question } from "./message.ts";
import { addressOfReverse, reverseName, toHostName } from "./name.ts";
import { OpenQuestion, unanswered } from "./question.ts";
import {
  type Action,
  type NameAnswer,
  Outcome,
  Reason,
  RecordType,
  ResolverCounters,
  Source,
} from "./types.ts";

/** Questions under way at once; each has a socket. */
const MAX_QUESTIONS = 2048;

const LOCALHOST = 0x7f000001;
/** Names that no server is to be asked for, since there are none such (RFC 6761 6.4, RFC 7686 2). */
const NOWHERE = /(?:^|\.)(?:invalid|onion)$/;
/** Of what does not come from a server: it may change with the next edit of a file. */
const OWN_TTL = 0;

/** One look-up: the names to try in turn, and what was said of those before. */
interface LookUp {
  names: string[];
  type: RecordType;
  /** The best failure so far: "no data" says more than "no such name", and "try again" than both. */
  failure: NameAnswer | null;
  question: OpenQuestion | null;
}

/**
 * A stub resolver (RFC 1034 5.3.1) that does no I/O: names in, answers out, and in between it says which sockets to open
 * and is told what came on them. Time is in microseconds.
 *
 * The contract: any call, then `nextAction` until null, then `takeAnswer` until null, then wait for a message or the
 * deadline.
 */
export class Resolver {
  readonly counters = new ResolverCounters();
  readonly #cache = new AnswerCache();
  readonly #lookUps = new Map<number, LookUp>();
  readonly #questions = new Map<string, OpenQuestion>();
  readonly #channels = new Map<number, Exchange>();
  readonly #actions: Action[] = [];
  readonly #answers: { ticket: number; answer: NameAnswer }[] = [];
  readonly #host: ExchangeHost & { config: ResolverConfig };
  #hosts = new Hosts();
  #tickets = 0;
  #channelNumbers = 0;

  /** `random`: a uint32 that cannot be guessed; ids come from it (RFC 5452 9.2). */
  constructor(random: () => number) {
    const channels = this.#channels;
    this.#host = {
      config: defaultConfig(),
      counters: this.counters,
      random,
      withoutEdns: new Set(),
      act: (action) => this.#actions.push(action),
      openChannel: (exchange) => {
        channels.set(++this.#channelNumbers, exchange);
        return this.#channelNumbers;
      },
      closeChannel: (channel) => {
        if (channels.delete(channel)) this.#actions.push({ kind: "close", channel });
      },
    };
  }

  get config(): ResolverConfig {
    return this.#host.config;
  }

  /** Whom to ask from now on, and what /etc/hosts says. What other servers said is forgotten. */
  configure(config: ResolverConfig, hosts: Hosts): void {
    const isChanged = JSON.stringify(config) !== JSON.stringify(this.config);
    this.#hosts = hosts;
    this.#host.config = config;
    if (!isChanged) return;
    this.#host.withoutEdns.clear();
    this.flush();
  }

  /** Forgets all answers. */
  flush(): void {
    this.#cache.clear();
  }

  get cacheSize(): number {
    return this.#cache.size;
  }

  /** When `advance` is due; Infinity: never. */
  get deadline(): number {
    let due = Infinity;
    for (const { exchange } of this.#questions.values()) due = Math.min(due, exchange.deadline);
    return due;
  }

  /** Looks a name up; the ticket that `takeAnswer` will name. A dot at the end of the name: no search list. */
  lookUp(name: string, type: RecordType, now: number): number {
    const ticket = ++this.#tickets;
    this.counters.lookups++;
    const address = parseIp(name);
    const asked = address !== null && type === RecordType.PTR ? reverseName(address) : toHostName(name);
    if (address !== null && type !== RecordType.PTR) this.#answer(ticket, ofAddress(address, type));
    else if (asked === null) this.#answer(ticket, unanswered(Reason.badName, [], 0));
    else if (!this.#answerHere(ticket, asked, type)) {
      const isAbsolute = name.endsWith(".") || type === RecordType.PTR;
      const names = candidates(asked, isAbsolute, this.config).filter((each) => toHostName(each) !== null);
      const lookUp: LookUp = { names, type, failure: null, question: null };
      this.#lookUps.set(ticket, lookUp);
      this.#proceed(ticket, lookUp, now);
    }
    return ticket;
  }

  /** Nobody waits for this look-up any more. Its question goes on: the answer is worth keeping. */
  forget(ticket: number): void {
    this.#lookUps.get(ticket)?.question?.waiting.delete(ticket);
    this.#lookUps.delete(ticket);
  }

  /** The next answer; null when there is none. */
  takeAnswer(): { ticket: number; answer: NameAnswer } | null {
    return this.#answers.shift() ?? null;
  }

  /** What is to be done next; null when there is nothing. */
  nextAction(): Action | null {
    return this.#actions.shift() ?? null;
  }

  /** A datagram came. */
  datagram(channel: number, address: IpAddress, port: number, bytes: Uint8Array, now: number): void {
    this.#channels.get(channel)?.datagram(channel, address, port, bytes, now);
    this.#settle(now);
  }

  /** Bytes of a stream came. */
  stream(channel: number, bytes: Uint8Array, now: number): void {
    this.#channels.get(channel)?.stream(channel, bytes, now);
    this.#settle(now);
  }

  /** A socket could not be opened, got an error, or its stream has ended. */
  failed(channel: number, now: number): void {
    this.#channels.get(channel)?.failed(channel, now);
    this.#settle(now);
  }

  /** Whether nothing is waited for on this channel any more. */
  isSettled(channel: number): boolean {
    return !this.#channels.has(channel);
  }

  /** Does what is due. */
  advance(now: number): void {
    for (const { exchange } of this.#questions.values()) exchange.expire(now);
    this.#settle(now);
  }

  /** Literal addresses, localhost and /etc/hosts: true if one of them knows. */
  #answerHere(ticket: number, name: string, type: RecordType): boolean {
    if (type === RecordType.PTR) {
      const address = addressOfReverse(name);
      if (address === null) return false;
      const names = this.#hosts.namesOf(address);
      if (names.length > 0) this.#answer(ticket, own(Source.hosts, [], names));
      // RFC 6303 4.2: of no interest to any server.
      else if (isLoopback(address)) this.#answer(ticket, own(Source.itself, [], ["localhost"]));
      return names.length > 0 || isLoopback(address);
    }
    if (NOWHERE.test(name)) {
      this.#answer(ticket, { ...unanswered(Reason.nxDomain, [name], 0), outcome: Outcome.noName });
      return true;
    }
    // RFC 6761 6.3: never asked of a server, always the loopback.
    const isLocal = name === "localhost" || name.endsWith(".localhost");
    const entry = isLocal ? { addresses: [LOCALHOST], canonicalName: name } : this.#hosts.find(name);
    if (entry === undefined) return false;
    const names = [...new Set([name, entry.canonicalName])];
    const source = isLocal ? Source.itself : Source.hosts;
    this.#answer(ticket, narrow(own(source, entry.addresses, names), type));
    return true;
  }

  /** Asks for the next name of the search, or draws the conclusion. */
  #proceed(ticket: number, lookUp: LookUp, now: number): void {
    for (let name = lookUp.names.shift(); name !== undefined; name = lookUp.names.shift()) {
      const answer = this.#ask(ticket, lookUp, name, now);
      if (answer === null) return;
      if (this.#judge(ticket, lookUp, answer)) return;
    }
    this.#conclude(ticket, lookUp.failure ?? unanswered(Reason.badName, [], 0));
  }

  /** The answer if it is there; null: it will come. */
  #ask(ticket: number, lookUp: LookUp, name: string, now: number): NameAnswer | null {
    const question: Question = { name, type: lookUp.type === RecordType.PTR ? RecordType.PTR : RecordType.A };
    const key = `${question.type} ${name}`;
    const kept = this.#cache.get(key, now);
    if (kept !== null) {
      this.counters.cacheHits++;
      return kept;
    }
    let open = this.#questions.get(key);
    if (open !== undefined) this.counters.merged++;
    else if (this.#questions.size >= MAX_QUESTIONS) return unanswered(Reason.busy, [name], 0);
    else {
      open = new OpenQuestion(key, this.#host, question, now);
      if (open.answer !== null) return open.answer;
      this.#questions.set(key, open);
    }
    open.waiting.add(ticket);
    lookUp.question = open;
    return null;
  }

  /** Takes an answer for one name of the search: true if the look-up is over with it. */
  #judge(ticket: number, lookUp: LookUp, answer: NameAnswer): boolean {
    lookUp.question = null;
    const { outcome, reason } = answer;
    // As res_search(3): a server that failed may know another name; servers that do not answer will not for that one.
    const goesOn = outcome === Outcome.noName || outcome === Outcome.noData ||
      reason === Reason.serverFailure;
    if (!goesOn) {
      this.#conclude(ticket, outcome === Outcome.found ? narrow(answer, lookUp.type) : answer);
      return true;
    }
    if (lookUp.failure === null || weight(outcome) > weight(lookUp.failure.outcome)) lookUp.failure = answer;
    return false;
  }

  #settle(now: number): void {
    for (const open of this.#questions.values()) {
      open.settle(now);
      const { answer } = open;
      if (answer === null) continue;
      this.#questions.delete(open.key);
      this.#cache.put(open.key, answer, open.keepSeconds, now);
      for (const ticket of open.waiting) {
        const lookUp = this.#lookUps.get(ticket);
        if (lookUp !== undefined && !this.#judge(ticket, lookUp, answer)) this.#proceed(ticket, lookUp, now);
      }
    }
  }

  #conclude(ticket: number, answer: NameAnswer): void {
    this.#lookUps.delete(ticket);
    this.#answer(ticket, answer);
  }

  #answer(ticket: number, answer: NameAnswer): void {
    this.#answers.push({ ticket, answer });
  }
}

/** As res_search(3): a failure that may pass outweighs a name without data, and that an unknown name. */
function weight(outcome: Outcome): number {
  return outcome === Outcome.tryAgain ? 2 : outcome === Outcome.noData ? 1 : 0;
}

/** What is known without a server. */
function own(source: Source, addresses: readonly IpAddress[], names: readonly string[]): NameAnswer {
  const reason = Reason.noError;
  return { outcome: Outcome.found, reason, source, addresses, names, ttl: OWN_TTL, server: 0 };
}

function ofAddress(address: IpAddress, type: RecordType): NameAnswer {
  return narrow(own(Source.itself, [address], [formatIp(address)]), type);
}

/** The stack has no IPv6: a name that is there has no address of that kind. */
function narrow(answer: NameAnswer, type: RecordType): NameAnswer {
  if (type !== RecordType.AAAA) return answer;
  return { ...answer, outcome: Outcome.noData, addresses: [] };
}
