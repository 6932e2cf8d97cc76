import type { IpAddress } from "../wire/address.ts";

/** How a look-up ended, in the numbers of getaddrinfo(3)'s EAI_* on Linux. */
export const Outcome = {
  found: 0,
  /** There is no such name (NXDOMAIN), or it cannot be one. EAI_NONAME. */
  noName: -2,
  /** No server could tell now: none answered, or SERVFAIL. EAI_AGAIN. */
  tryAgain: -3,
  /** Asking again would not help: an endless chain of aliases, a refusal. EAI_FAIL. */
  fail: -4,
  /** The name is there, but has no record of this type. EAI_NODATA. */
  noData: -5,
} as const;
export type Outcome = typeof Outcome[keyof typeof Outcome];

/** Why, beside the RCODEs of RFC 1035 4.1.1 and RFC 6895 2.3, which are their own numbers. */
export const Reason = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  nxDomain: 3,
  notImplemented: 4,
  refused: 5,
  /** No server answered within its time. */
  timeout: 0x1_0000,
  /** No server is known. */
  noServer: 0x1_0001,
  /** Too long, or with characters that no host's name has (RFC 1035 2.3.4, RFC 1123 2.1). */
  badName: 0x1_0002,
  /** Aliases without end. */
  aliasLoop: 0x1_0003,
  /** More questions are under way than are worth keeping. */
  busy: 0x1_0004,
} as const;

/** Types of records that can be asked for (RFC 1035 3.2.2, RFC 3596). */
export const RecordType = { A: 1, PTR: 12, AAAA: 28 } as const;
export type RecordType = typeof RecordType[keyof typeof RecordType];

/** Where an answer is from. */
export const Source = {
  /** The name is an address or one that has a fixed meaning. */
  itself: 1,
  /** /etc/hosts. */
  hosts: 2,
  server: 3,
  cache: 4,
} as const;
export type Source = typeof Source[keyof typeof Source];

/** What came of a look-up. */
export interface NameAnswer {
  outcome: Outcome;
  /** An RCODE or one of `Reason`. */
  reason: number;
  source: Source;
  /** Of A. */
  addresses: readonly IpAddress[];
  /** Of A: the name that was asked for, every alias on the way and, last, the canonical one. Of PTR: the host's names. */
  names: readonly string[];
  /** Seconds that it stays true. */
  ttl: number;
  /** The server that said so; 0 when none did. */
  server: IpAddress;
}

/** What the world is to do for the resolver; see `Resolver.nextAction`. */
export type Action =
  /** Open a socket with an unpredictable source port and send `bytes`: a datagram, or what a TCP stream begins with. */
  | {
    kind: "udp" | "tcp";
    channel: number;
    address: IpAddress;
    port: number;
    bytes: Uint8Array;
  }
  | { kind: "close"; channel: number };

/** Things that happened, each counted by name. */
export class ResolverCounters {
  lookups = 0;
  cacheHits = 0;
  /** Look-ups that waited for the answer to another's question. */
  merged = 0;
  queries = 0;
  queriesOverTcp = 0;
  answers = 0;
  timeouts = 0;
  /** Answers that were not to what was asked: RFC 5452 4. */
  wrongSource = 0;
  wrongId = 0;
  wrongQuestion = 0;
  malformed = 0;
  truncated = 0;
  ednsRefused = 0;
  /** Servers that could not be reached, or could or would not answer. */
  serverFailures = 0;
}
