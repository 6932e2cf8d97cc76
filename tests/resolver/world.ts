/** A resolver on virtual time with servers made of functions. */
import { Buffer } from "node:buffer";
// @ts-types="../../lib/resolver/dns_packet.d.ts"
import * as codec from "dns-packet";
import { defaultConfig, type ResolverConfig } from "../../lib/resolver/config.ts";
import { Hosts } from "../../lib/resolver/hosts.ts";
import { Resolver } from "../../lib/resolver/resolver.ts";
import { type Action, type NameAnswer, RecordType } from "../../lib/resolver/types.ts";
import { parseIp } from "../../lib/wire/address.ts";

export const SERVER_1 = parseIp("10.0.0.1")!;
export const SERVER_2 = parseIp("10.0.0.2")!;
export const SECOND = 1_000_000;

/** A query as a server sees it. */
export interface Query {
  action: Extract<Action, { kind: "udp" | "tcp" }>;
  packet: codec.Packet;
  name: string;
  edns: boolean;
}

/** What a server says: nothing, one answer, or several. */
export type Server = (query: Query) => Partial<codec.Packet> | Uint8Array | null;

/** An A record. */
export function a(name: string, data: string, ttl = 60): codec.Answer {
  return { type: "A", name, data, ttl, class: "IN" };
}

export function cname(name: string, data: string, ttl = 60): codec.Answer {
  return { type: "CNAME", name, data, ttl, class: "IN" };
}

/** The record that says how long a denial holds. */
export function soa(minimum: number, ttl = minimum): codec.Answer {
  const data = {
    mname: "ns.example",
    rname: "root.example",
    minimum,
    serial: 1,
    refresh: 1,
    retry: 1,
    expire: 1,
  };
  return { type: "SOA", name: "example", ttl, data };
}

export const NXDOMAIN = 3;

/** The bytes of a response to `query`. */
export function respond({ packet }: Query, answer: Partial<codec.Packet>): Uint8Array {
  const { flags = 0, ...rest } = answer;
  return codec.encode({
    type: "response",
    id: packet.id,
    questions: packet.questions,
    flags: flags | codec.RECURSION_DESIRED | codec.RECURSION_AVAILABLE,
    ...rest,
  });
}

export class ResolverWorld {
  now = 0;
  readonly resolver: Resolver;
  readonly queries: Query[] = [];
  readonly closed: number[] = [];
  /** By address. */
  readonly servers = new Map<number, Server>();
  #seed = 1;

  constructor(config: Partial<ResolverConfig> = {}, hosts = "") {
    // Mulberry32: any numbers will do here.
    this.resolver = new Resolver(() => {
      this.#seed = (this.#seed + 0x6d2b79f5) | 0;
      const mixed = Math.imul(this.#seed ^ (this.#seed >>> 15), 1 | this.#seed);
      return (mixed ^ (mixed >>> 14)) >>> 0;
    });
    const servers = [{ address: SERVER_1, port: 53 }];
    this.resolver.configure({ ...defaultConfig(), servers, ...config }, new Hosts(hosts));
  }

  /** Carries queries and answers until nothing more is to be done at this time. */
  settle(): void {
    for (let action = this.resolver.nextAction(); action !== null; action = this.resolver.nextAction()) {
      if (action.kind === "close") this.closed.push(action.channel);
      else this.#deliver(action);
    }
  }

  /** Looks `name` up to the end, letting time pass as far as needed; the answer. */
  lookUp(name: string, type: RecordType = RecordType.A): NameAnswer {
    return this.finish(this.resolver.lookUp(name, type, this.now));
  }

  /** Lets time pass until there is an answer for `ticket`. */
  finish(ticket: number): NameAnswer {
    for (;;) {
      this.settle();
      for (let each = this.resolver.takeAnswer(); each !== null; each = this.resolver.takeAnswer()) {
        if (each.ticket === ticket) return each.answer;
      }
      if (this.resolver.deadline === Infinity) throw new Error("the resolver waits for nothing");
      this.now = Math.max(this.now, this.resolver.deadline);
      this.resolver.advance(this.now);
    }
  }

  #deliver(action: Extract<Action, { kind: "udp" | "tcp" }>): void {
    const bytes = action.kind === "tcp" ? action.bytes.subarray(2) : action.bytes;
    const packet = codec.decode(Buffer.from(bytes));
    const edns = packet.additionals?.some(({ type }) => type === "OPT") ?? false;
    const query: Query = { action, packet, name: packet.questions![0].name, edns };
    this.queries.push(query);
    const said = this.servers.get(action.address)?.(query) ?? null;
    if (said === null) return;
    const message = said instanceof Uint8Array ? said : respond(query, said);
    if (action.kind === "udp") {
      this.resolver.datagram(action.channel, action.address, action.port, message, this.now);
      return;
    }
    // In single bytes: the length, too, comes in pieces.
    const framed = new Uint8Array([message.length >> 8, message.length & 255, ...message]);
    for (const byte of framed) this.resolver.stream(action.channel, Uint8Array.of(byte), this.now);
  }
}
