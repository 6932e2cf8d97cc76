/** The name server on the lab's 8.8.8.8: a small zone, over UDP and TCP of the kernel. */
import { Buffer } from "node:buffer";
import { createSocket } from "node:dgram";
import { once } from "node:events";
// @ts-types="../resolver/dns_packet.d.ts"
import * as codec from "dns-packet";
import { MessageStream } from "../resolver/message.ts";
import { LAB_DOMAIN, NAMES } from "./lab_world.ts";

const TTL = 60;
/** RFC 1035 4.1.1; AA: this is the server that knows. */
const AUTHORITATIVE = 0x0400;
const NXDOMAIN = 3;
const HEADER_SIZE = 12;

/** RFC 2308 5: how long a denial holds is the SOA's minimum. */
const DENIAL: codec.Answer = {
  type: "SOA",
  name: LAB_DOMAIN,
  ttl: TTL,
  data: { mname: `dns.${LAB_DOMAIN}`, rname: `root.${LAB_DOMAIN}`, serial: 1, minimum: TTL },
};

/** The name that asks who has an address (RFC 1035 3.5). */
function reverseName(address: string): string {
  return `${address.split(".").reverse().join(".")}.in-addr.arpa`;
}

/**
 * The answer to a query, with its bytes; null for bytes that are none.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { decodeResponse, encodeQuery } from "../resolver/message.ts";
 * import { RecordType } from "../resolver/types.ts";
 * const question = { name: "server.lab", type: RecordType.A } as const;
 * const response = decodeResponse(answerQuery(encodeQuery(7, question, true, false))!, 7, question);
 * assertEquals(typeof response !== "string" && response.records[0].data, "192.168.99.1");
 * ```
 */
export function answerQuery(bytes: Uint8Array): Uint8Array | null {
  if (bytes.length < HEADER_SIZE) return null;
  let query: codec.Packet;
  try {
    query = codec.decode(Buffer.from(bytes));
  } catch {
    return null;
  }
  const [question] = query.questions ?? [];
  if (query.type !== "query" || question === undefined) return null;
  const { exists, answers } = lookUp(question);
  return codec.encode({
    type: "response",
    id: query.id,
    flags: AUTHORITATIVE | (query.flags! & codec.RECURSION_DESIRED) | codec.RECURSION_AVAILABLE |
      (exists ? 0 : NXDOMAIN),
    questions: [question],
    answers,
    authorities: answers.length === 0 ? [DENIAL] : [],
  });
}

/** What the zone says; a name that exists may have no record of the type that is asked for. */
function lookUp({ name, type }: codec.Question): { exists: boolean; answers: codec.Answer[] } {
  const owner = name.toLowerCase();
  const answers: codec.Answer[] = [];
  let exists = owner === LAB_DOMAIN;
  for (const [host, addresses] of Object.entries(NAMES)) {
    // A name leads to the address that others reach the host at; each of its addresses leads to its name.
    if (owner === host) {
      exists = true;
      if (type === "A") answers.push({ type, name, ttl: TTL, data: addresses[0] });
    } else if (addresses.some((address) => reverseName(address) === owner)) {
      exists = true;
      if (type === "PTR") answers.push({ type, name, ttl: TTL, data: host });
    }
  }
  return { exists, answers };
}

/** Answers on UDP and TCP until `signal`; resolves with the port, once both listen. */
export async function startNameServer(
  hostname: string,
  wishedPort: number,
  signal: AbortSignal,
): Promise<number> {
  const socket = createSocket("udp4", (message, from) => {
    const answer = answerQuery(message);
    // What gets lost is asked for again.
    if (answer !== null) socket.send(answer, from.port, from.address, () => {});
  });
  const bound = once(socket, "listening");
  socket.bind(wishedPort, hostname);
  await bound;
  const { port } = socket.address();
  const listener = Deno.listen({ hostname, port });
  signal.addEventListener("abort", () => {
    socket.close();
    listener.close();
  });
  void serveStreams(listener);
  return port;
}

async function serveStreams(listener: Deno.TcpListener): Promise<void> {
  for await (const connection of listener) {
    // A client that goes away is the client's affair; the next one is served.
    serveStream(connection).catch(() => {});
  }
}

/** RFC 7766: any number of queries, each with its length in front. */
async function serveStream(connection: Deno.TcpConn): Promise<void> {
  using stream = connection;
  const messages = new MessageStream();
  const buffer = new Uint8Array(4096);
  while (true) {
    const count = await stream.read(buffer);
    if (count === null) return;
    for (const message of messages.push(buffer.subarray(0, count))) {
      const answer = answerQuery(message);
      if (answer !== null) await writeMessage(stream, answer);
    }
  }
}

async function writeMessage(stream: Deno.TcpConn, message: Uint8Array): Promise<void> {
  const framed = new Uint8Array(2 + message.length);
  new DataView(framed.buffer).setUint16(0, message.length);
  framed.set(message, 2);
  for (let done = 0; done < framed.length;) done += await stream.write(framed.subarray(done));
}
