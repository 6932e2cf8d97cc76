import type { IpAddress } from "../wire/address.ts";
import type { ResolverConfig, ServerAddress } from "./config.ts";
import { decodeResponse, encodeQuery, MessageStream, type Question, type Response } from "./message.ts";
import { type Action, Reason, type ResolverCounters } from "./types.ts";

/** One second: less is not waited for any server, as in the C library. */
const MIN_WAIT_US = 1_000_000;

/** What an exchange needs of the resolver it belongs to. */
export interface ExchangeHost {
  readonly config: ResolverConfig;
  readonly counters: ResolverCounters;
  /** A uint32 that cannot be guessed. */
  readonly random: () => number;
  /** Servers that do not know RFC 6891. */
  readonly withoutEdns: Set<IpAddress>;
  act(action: Action): void;
  openChannel(exchange: Exchange): number;
  closeChannel(channel: number): void;
}

/** One query on its way. */
interface Try {
  id: number;
  server: ServerAddress;
  edns: boolean;
  /** Over TCP: what has come of the stream. */
  stream: MessageStream | null;
}

/** How it ended: with a response, or without one, for a reason and by a server (0: none said anything). */
export type Ending = { response: Response; server: IpAddress } | { reason: number; server: IpAddress };

/**
 * One question to the servers of the configuration, in turn and anew, until one answers (resolv.conf(5)). Queries that
 * were given up for the next server stay open: a late answer is an answer. Every query has an id and a source port of
 * its own (RFC 5452 9.2).
 */
export class Exchange {
  deadline = Infinity;
  ending: Ending | null = null;
  readonly #tries = new Map<number, Try>();
  /** Queries sent by the configuration's schedule. */
  #step = -1;
  #reason: number = Reason.timeout;
  #server: IpAddress = 0;
  readonly #first: number;

  constructor(readonly host: ExchangeHost, readonly question: Question, now: number) {
    const { servers, rotate } = host.config;
    this.#first = rotate && servers.length > 0 ? host.random() % servers.length : 0;
    if (servers.length === 0) this.#reason = Reason.noServer;
    this.#next(now);
  }

  /** The time for the present query is over. */
  expire(now: number): void {
    if (now < this.deadline || this.ending !== null) return;
    this.host.counters.timeouts++;
    this.#next(now);
  }

  /** A datagram came on `channel`. */
  datagram(channel: number, address: IpAddress, port: number, bytes: Uint8Array, now: number): void {
    const sent = this.#tries.get(channel);
    if (sent === undefined) return;
    if (address !== sent.server.address || port !== sent.server.port) {
      this.host.counters.wrongSource++;
      return;
    }
    this.#message(channel, sent, bytes, now);
  }

  /** Bytes of the TCP stream came on `channel`. */
  stream(channel: number, bytes: Uint8Array, now: number): void {
    for (const message of this.#tries.get(channel)?.stream?.push(bytes) ?? []) {
      const sent = this.#tries.get(channel);
      if (sent !== undefined && this.ending === null) this.#message(channel, sent, message, now);
    }
  }

  /** The channel is dead: the server refuses, or the stream has ended. */
  failed(channel: number, now: number): void {
    const sent = this.#tries.get(channel);
    if (sent === undefined) return;
    this.host.counters.serverFailures++;
    this.#giveUp(channel, now);
  }

  /** Closes what is open. */
  end(): void {
    this.deadline = Infinity;
    for (const channel of this.#tries.keys()) this.host.closeChannel(channel);
    this.#tries.clear();
  }

  #message(channel: number, sent: Try, bytes: Uint8Array, now: number): void {
    const { counters } = this.host;
    const response = decodeResponse(bytes, sent.id, this.question);
    if (typeof response === "string") {
      // RFC 5452 9.1: as if it had not come; the right one may be on its way.
      counters[response]++;
      return;
    }
    counters.answers++;
    const { rcode } = response;
    if (sent.edns && (rcode === Reason.formatError || rcode === Reason.notImplemented)) {
      // RFC 6891 7: the server does not know OPT.
      counters.ednsRefused++;
      this.host.withoutEdns.add(sent.server.address);
      this.#drop(channel);
      return this.#send(sent.server, sent.stream !== null, now);
    }
    if (response.isTruncated && sent.stream === null) {
      // RFC 7766 5.
      counters.truncated++;
      this.#drop(channel);
      return this.#send(sent.server, true, now);
    }
    if (isUseless(response)) {
      counters.serverFailures++;
      this.#reason = rcode === Reason.noError ? Reason.serverFailure : rcode;
      this.#server = sent.server.address;
      return this.#giveUp(channel, now);
    }
    this.#finish({ response, server: sent.server.address });
  }

  /** This query comes to nothing. If it is the latest one the next server's turn comes at once. */
  #giveUp(channel: number, now: number): void {
    const isLatest = [...this.#tries.keys()].at(-1) === channel;
    this.#drop(channel);
    if (isLatest) this.#next(now);
  }

  #drop(channel: number): void {
    this.#tries.delete(channel);
    this.host.closeChannel(channel);
  }

  /** The next server, or the end. */
  #next(now: number): void {
    const { servers, attempts, useTcp } = this.host.config;
    this.#step++;
    if (this.#step >= servers.length * attempts) {
      return this.#finish({ reason: this.#reason, server: this.#server });
    }
    this.#send(servers[(this.#first + this.#step) % servers.length], useTcp, now);
  }

  #send(server: ServerAddress, tcp: boolean, now: number): void {
    const { host } = this;
    const edns = host.config.edns && !host.withoutEdns.has(server.address);
    const id = host.random() & 0xffff;
    const channel = host.openChannel(this);
    this.#tries.set(channel, { id, server, edns, stream: tcp ? new MessageStream() : null });
    this.deadline = now + this.#waitUs();
    host.counters.queries++;
    if (tcp) host.counters.queriesOverTcp++;
    const bytes = encodeQuery(id, this.question, edns, tcp);
    host.act({ kind: tcp ? "tcp" : "udp", channel, ...server, bytes });
  }

  /** As the C library: twice as long in every round, shared among the servers from the second one on. */
  #waitUs(): number {
    const { timeoutUs, servers } = this.host.config;
    const round = Math.floor(this.#step / servers.length);
    if (round === 0) return timeoutUs;
    return Math.max(MIN_WAIT_US, Math.floor((timeoutUs * 2 ** round) / servers.length));
  }

  #finish(ending: Ending): void {
    this.ending = ending;
    this.end();
  }
}

/**
 * Answers that make the C library try the next server: it failed, refused, or refers to others without asking them. Or
 * it cut off what came over TCP, where there is room for all.
 */
function isUseless(response: Response): boolean {
  const { rcode, records, isTruncated, isAuthoritative, offersRecursion, negativeTtl } = response;
  if (isTruncated) return true;
  if (rcode !== Reason.noError) return rcode !== Reason.nxDomain;
  return records.length === 0 && negativeTtl < 0 && !isAuthoritative && !offersRecursion;
}
