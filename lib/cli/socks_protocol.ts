/**
 * The server's half of SOCKS: version 5 (RFC 1928) with names and passwords (RFC 1929), and 4 with its extension 4a (by Ying-Da
 * Lee). Bytes to structs and back; what is done about them is in socks.ts.
 */
import { formatIp, parseIp } from "../wire/address.ts";
import type { Target } from "./arguments.ts";
import type { TcpStream } from "./sides.ts";

/** RFC 1928 6. */
export const REPLY = {
  succeeded: 0,
  generalFailure: 1,
  notAllowed: 2,
  networkUnreachable: 3,
  hostUnreachable: 4,
  connectionRefused: 5,
  ttlExpired: 6,
  commandNotSupported: 7,
  addressTypeNotSupported: 8,
} as const;
export type Reply = typeof REPLY[keyof typeof REPLY];

export const COMMAND = { connect: 1, bind: 2, udpAssociate: 3 } as const;

/** The names of errno, and of getaddrinfo(3)'s errors, of what a connect or a name may come to. */
const REPLY_OF: Record<string, Reply> = {
  ECONNREFUSED: REPLY.connectionRefused,
  ECONNRESET: REPLY.connectionRefused,
  ENETUNREACH: REPLY.networkUnreachable,
  ENETDOWN: REPLY.networkUnreachable,
  EHOSTUNREACH: REPLY.hostUnreachable,
  EHOSTDOWN: REPLY.hostUnreachable,
  EAI_NONAME: REPLY.hostUnreachable,
  EAI_NODATA: REPLY.hostUnreachable,
  EAI_AGAIN: REPLY.hostUnreachable,
  EAI_FAIL: REPLY.hostUnreachable,
  ETIMEDOUT: REPLY.ttlExpired,
  EACCES: REPLY.notAllowed,
};

/** What a client is told when errno `code` ("ECONNREFUSED") came. */
export function replyOf(code: string | undefined): Reply {
  return REPLY_OF[code ?? ""] ?? REPLY.generalFailure;
}

/** What a client asks for. */
export interface Request {
  version: 4 | 5;
  command: number;
  /** A numeric IPv4 address or a name; null if it is of a kind that the stack does not have. */
  target: Target | null;
}

/** A client that says what is not SOCKS, or may not use this proxy: the connection is closed. */
export class SocksError extends Error {
  override readonly name = "SocksError";
}

const NO_AUTHENTICATION = 0;
const NAME_AND_PASSWORD = 2;
const NO_ACCEPTABLE_METHOD = 0xff;
const IPV4 = 1;
const NAME = 3;
const IPV6 = 4;
const SOCKS4_GRANTED = 90;
const SOCKS4_REJECTED = 91;
/** The longest user name or host name of SOCKS 4, bytes. */
const MAX_STRING = 255;

const decoder = new TextDecoder();

/** Whether a name and its password are known; null: nobody is asked for them. */
export type Authenticate = ((name: string, password: string) => boolean) | null;

/** Greets the client and reads its request, and not a byte behind it. Throws `SocksError`. */
export async function readRequest(stream: TcpStream, authenticate: Authenticate): Promise<Request> {
  const [version] = await take(stream, 1);
  if (version === 4) {
    const request = await readRequest4(stream);
    if (authenticate === null) return request;
    await writeAll(stream, encodeReply(request.version, REPLY.notAllowed));
    throw new SocksError("SOCKS 4 has no passwords, and one is asked for");
  }
  if (version !== 5) throw new SocksError(`it does not speak SOCKS (version ${version})`);
  await agree(stream, authenticate);
  const [requestVersion, command, , type] = await take(stream, 4);
  if (requestVersion !== 5) throw new SocksError(`its request has version ${requestVersion}`);
  const host = await readAddress(stream, type);
  const [high, low] = await take(stream, 2);
  const target = host === null ? null : { host, port: (high << 8) | low };
  return { version: 5, command, target };
}

/** RFC 1928 3, RFC 1929 2. */
async function agree(stream: TcpStream, authenticate: Authenticate): Promise<void> {
  const [count] = await take(stream, 1);
  const methods = await take(stream, count);
  const wanted = authenticate === null ? NO_AUTHENTICATION : NAME_AND_PASSWORD;
  const isOffered = methods.includes(wanted);
  await writeAll(stream, new Uint8Array([5, isOffered ? wanted : NO_ACCEPTABLE_METHOD]));
  if (!isOffered) {
    throw new SocksError(authenticate === null ? "it wants an authentication method" : "it gave no password");
  }
  if (authenticate === null) return;
  const [version, nameLength] = await take(stream, 2);
  if (version !== 1) throw new SocksError(`its password has version ${version}`);
  const name = decoder.decode(await take(stream, nameLength));
  const [passwordLength] = await take(stream, 1);
  const password = decoder.decode(await take(stream, passwordLength));
  const isKnown = authenticate(name, password);
  await writeAll(stream, new Uint8Array([1, isKnown ? 0 : 1]));
  if (!isKnown) throw new SocksError("its name or password is wrong");
}

async function readRequest4(stream: TcpStream): Promise<Request> {
  const head = await take(stream, 7);
  const view = new DataView(head.buffer);
  const [command] = head;
  const port = view.getUint16(1);
  const address = view.getInt32(3);
  await takeString(stream);
  // 4a: 0.0.0.x announces a name.
  const host = address > 0 && address < 256 ? decoder.decode(await takeString(stream)) : formatIp(address);
  return { version: 4, command, target: { host, port } };
}

/** Null for an IPv6 address. */
async function readAddress(stream: TcpStream, type: number): Promise<string | null> {
  if (type === IPV4) return formatIp(new DataView((await take(stream, 4)).buffer).getInt32(0));
  if (type === NAME) {
    const [length] = await take(stream, 1);
    return decoder.decode(await take(stream, length));
  }
  if (type !== IPV6) throw new SocksError(`its request has address type ${type}`);
  await take(stream, 16);
  return null;
}

/** The answer to a request; `bound`: our address and port, where there are any. */
export function encodeReply(version: 4 | 5, reply: Reply, bound?: Deno.NetAddr): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(version === 4 ? 8 : 10);
  const view = new DataView(bytes.buffer);
  const address = parseIp(bound?.hostname ?? "") ?? 0;
  const port = bound?.port ?? 0;
  if (version === 4) {
    bytes[1] = reply === REPLY.succeeded ? SOCKS4_GRANTED : SOCKS4_REJECTED;
    view.setUint16(2, port);
    view.setInt32(4, address);
  } else {
    bytes.set([5, reply, 0, IPV4]);
    view.setInt32(4, address);
    view.setUint16(8, port);
  }
  return bytes;
}

/** A datagram for somebody, or from somebody (RFC 1928 7). */
export interface WrappedDatagram {
  target: Target;
  payload: Uint8Array;
}

const DATAGRAM_HEADER = 10;

/** Null for fragments, which are an option, for IPv6, and for what is too short. */
export function unwrapDatagram(bytes: Uint8Array): WrappedDatagram | null {
  if (bytes.length < DATAGRAM_HEADER || bytes[2] !== 0) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const type = bytes[3];
  if (type !== IPV4 && type !== NAME) return null;
  const [start, end] = type === IPV4 ? [4, 8] : [5, 5 + bytes[4]];
  if (bytes.length < end + 2) return null;
  const host = type === IPV4 ? formatIp(view.getInt32(4)) : decoder.decode(bytes.subarray(start, end));
  return { target: { host, port: view.getUint16(end) }, payload: bytes.subarray(end + 2) };
}

export function wrapDatagram(from: Deno.NetAddr, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(DATAGRAM_HEADER + payload.length);
  const view = new DataView(bytes.buffer);
  bytes[3] = IPV4;
  view.setInt32(4, parseIp(from.hostname) ?? 0);
  view.setUint16(8, from.port);
  bytes.set(payload, DATAGRAM_HEADER);
  return bytes;
}

/** Exactly so many bytes. */
async function take(stream: TcpStream, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  for (let held = 0; held < length;) {
    const count = await stream.read(bytes.subarray(held));
    if (count === null) throw new SocksError("it closed the connection in the middle of its request");
    held += count;
  }
  return bytes;
}

/** Up to a zero byte, without it. */
async function takeString(stream: TcpStream): Promise<Uint8Array> {
  const bytes: number[] = [];
  for (;;) {
    const [byte] = await take(stream, 1);
    if (byte === 0) return new Uint8Array(bytes);
    if (bytes.push(byte) > MAX_STRING) throw new SocksError("a name in its request is too long");
  }
}

export async function writeAll(stream: Pick<TcpStream, "write">, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await stream.write(bytes.subarray(done));
}
