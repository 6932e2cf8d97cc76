/**
 * What we use of npm:dns-packet. `@types/dns-packet` brings Node's types along, which displace those that Deno has.
 */
export const RECURSION_DESIRED: number;
export const RECURSION_AVAILABLE: number;

export interface Question {
  type: string;
  name: string;
  class?: string;
}

interface Record<Type extends string, Data> {
  type: Type;
  name: string;
  class?: string;
  /** Seconds, 32 bits. */
  ttl?: number;
  data: Data;
}

export interface SoaData {
  mname: string;
  rname: string;
  serial?: number;
  refresh?: number;
  retry?: number;
  expire?: number;
  minimum?: number;
}

export interface Opt {
  type: "OPT";
  name: string;
  udpPayloadSize: number;
  extendedRcode: number;
  ednsVersion: number;
  flags: number;
  flag_do: boolean;
  options: unknown[];
}

/** There are more; these have a meaning here. */
export type Answer = Record<"A" | "PTR" | "CNAME", string> | Record<"SOA", SoaData> | Opt;

export interface Packet {
  type?: "query" | "response";
  id?: number;
  flags?: number;
  questions?: Question[];
  answers?: Answer[];
  authorities?: Answer[];
  additionals?: Answer[];
}

/** A Buffer. */
export function encode(packet: Packet): Uint8Array;
/** The same with its length in front, for TCP. */
export function streamEncode(packet: Packet): Uint8Array;
/**
 * Takes a Buffer. Throws `Error` or `RangeError` for most bytes that are no message; `bytes` is what the last message
 * took, which is more than there was if it was cut off in an address.
 */
export const decode: ((buffer: Uint8Array) => Packet) & { bytes: number };
