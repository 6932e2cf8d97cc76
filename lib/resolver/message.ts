import { Buffer } from "node:buffer";
// @ts-types="./dns_packet.d.ts"
import * as codec from "dns-packet";
import { Reason, RecordType } from "./types.ts";

/** What is asked. */
export interface Question {
  /** In lower case, without the dot at its end. */
  name: string;
  /** AAAA is never asked: the stack has no IPv6. */
  type: typeof RecordType.A | typeof RecordType.PTR;
}

/** RFC 6891 6.2.5, and the size that DNS Flag Day 2020 agreed on: no fragments on any path that carries IPv6. */
export const EDNS_PAYLOAD = 1232;

/** RFC 1035 4.1.1. */
const HEADER_SIZE = 12;
/** Where the numbers of records begin that follow the question. */
const RECORD_COUNTS = 6;
const FLAG_RESPONSE = 0x8000;
const OPCODE_MASK = 0x7800;
const FLAG_AUTHORITATIVE = 0x0400;
const FLAG_TRUNCATED = 0x0200;
const FLAG_RECURSION_AVAILABLE = 0x0080;
const RCODE_MASK = 0xf;

/** The two bytes in front of a message over TCP (RFC 1035 4.2.2). */
const LENGTH_PREFIX = 2;

const TYPE_NAMES = { [RecordType.A]: "A", [RecordType.PTR]: "PTR" } as const;

/** A record of the answer section that has to do with the question. */
export interface ResourceRecord {
  /** In lower case. */
  owner: string;
  kind: "A" | "PTR" | "CNAME";
  /** Seconds. */
  ttl: number;
  /** The address as text, or the name in lower case. */
  data: string;
}

/** A response to the question, checked. */
export interface Response {
  rcode: number;
  isTruncated: boolean;
  isAuthoritative: boolean;
  offersRecursion: boolean;
  records: ResourceRecord[];
  /** How long a denial holds, seconds (RFC 2308 5); -1: it names no SOA and is not to be kept. */
  negativeTtl: number;
}

/** Why bytes are no answer to the question (RFC 5452 9.1). */
export type Mismatch = "malformed" | "wrongId" | "wrongQuestion";

/** The bytes of a query; for TCP with its length in front. */
export function encodeQuery(id: number, question: Question, edns: boolean, tcp: boolean): Uint8Array {
  const packet: codec.Packet = {
    type: "query",
    id,
    flags: codec.RECURSION_DESIRED,
    questions: [{ name: question.name, type: TYPE_NAMES[question.type], class: "IN" }],
  };
  if (edns) {
    packet.additionals = [
      {
        type: "OPT",
        name: ".",
        udpPayloadSize: EDNS_PAYLOAD,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: 0,
        flag_do: false,
        options: [],
      },
    ];
  }
  return new Uint8Array(tcp ? codec.streamEncode(packet) : codec.encode(packet));
}

/** Reads what came for a query of ours. Never throws, whatever the bytes are. */
export function decodeResponse(bytes: Uint8Array, id: number, question: Question): Response | Mismatch {
  if (bytes.length < HEADER_SIZE) return "malformed";
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const flags = view.getUint16(2);
  if (view.getUint16(0) !== id) return "wrongId";
  if ((flags & FLAG_RESPONSE) === 0 || (flags & OPCODE_MASK) !== 0) return "malformed";
  const rcode = flags & RCODE_MASK;
  const isTruncated = (flags & FLAG_TRUNCATED) !== 0;
  const response: Response = {
    rcode,
    isTruncated,
    isAuthoritative: (flags & FLAG_AUTHORITATIVE) !== 0,
    offersRecursion: (flags & FLAG_RECURSION_AVAILABLE) !== 0,
    records: [],
    negativeTtl: -1,
  };
  try {
    const buffer = Buffer.from(bytes);
    // What is cut off is asked for again as a whole; where it was cut does not matter.
    if (isTruncated) buffer.fill(0, RECORD_COUNTS, HEADER_SIZE);
    const packet = codec.decode(buffer);
    if (codec.decode.bytes > buffer.length) return "malformed";
    if (!repeats(packet.questions ?? [], rcode, question)) return "wrongQuestion";
    readSections(response, packet, question);
    return response;
  } catch {
    return "malformed";
  }
}

function repeats(questions: codec.Question[], rcode: number, { name, type }: Question): boolean {
  // Servers that cannot read the query, for its OPT record, may be unable to repeat it.
  if (questions.length === 0) return rcode === Reason.formatError || rcode === Reason.notImplemented;
  const [asked] = questions;
  return questions.length === 1 && asked.name.toLowerCase() === name && asked.type === TYPE_NAMES[type] &&
    asked.class === "IN";
}

function readSections(response: Response, packet: codec.Packet, { type }: Question): void {
  const wanted = TYPE_NAMES[type];
  for (const answer of packet.answers ?? []) {
    if (answer.type !== "A" && answer.type !== "PTR" && answer.type !== "CNAME") continue;
    if (answer.class !== "IN" || (answer.type !== "CNAME" && answer.type !== wanted)) continue;
    response.records.push({
      owner: answer.name.toLowerCase(),
      kind: answer.type,
      ttl: readTtl(answer.ttl ?? 0),
      data: answer.data.toLowerCase(),
    });
  }
  for (const record of packet.authorities ?? []) {
    if (record.type === "SOA") {
      response.negativeTtl = Math.min(readTtl(record.ttl ?? 0), readTtl(record.data.minimum ?? 0));
    }
  }
  const opt = packet.additionals?.find((record) => record.type === "OPT");
  if (opt?.type === "OPT") response.rcode |= opt.extendedRcode << 4;
}

/** RFC 2181 8: 31 bits; a value with the highest bit set means 0. */
function readTtl(seconds: number): number {
  return seconds > 0x7fff_ffff ? 0 : seconds;
}

/** Puts a TCP stream together again: messages with their length in front, in whatever pieces they come. */
export class MessageStream {
  #held = new Uint8Array(0);

  /** Takes a piece; the messages that are complete now. */
  push(bytes: Uint8Array): Uint8Array[] {
    const all = new Uint8Array(this.#held.length + bytes.length);
    all.set(this.#held);
    all.set(bytes, this.#held.length);
    const messages: Uint8Array[] = [];
    let at = 0;
    while (all.length - at >= LENGTH_PREFIX) {
      const end = at + LENGTH_PREFIX + ((all[at] << 8) | all[at + 1]);
      if (end > all.length) break;
      messages.push(all.subarray(at + LENGTH_PREFIX, end));
      at = end;
    }
    this.#held = all.slice(at);
    return messages;
  }
}
