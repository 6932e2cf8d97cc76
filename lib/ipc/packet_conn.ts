import { formatIp, parseIp } from "../wire/address.ts";
import { MAX_PACKET, OP, ProtocolRecord } from "./protocol.ts";
import { Channel } from "./channel.ts";
import { errnoError, errnoText } from "./errors.ts";
import { MessageStream } from "./message_stream.ts";
import { resolveOne } from "./resolve.ts";
import { EDESTADDRREQ, EINVAL, EMSGSIZE, EPERM } from "../errno.ts";

const KIND_ICMP = 3;
const KIND_RAW = 4;
const MAX_PROTOCOL = 255;

export interface OpenIcmpOptions {
  /** One of the stack's addresses: only what is sent to it is heard, and it is sent from. */
  hostname?: string;
  /** The only peer: `send` needs no address, and others are not heard. */
  remote?: string;
  /** Closes the socket: `receive` then throws `Deno.errors.BadResource`, and an iteration ends. */
  signal?: AbortSignal;
  socketPath?: string;
}

export interface OpenRawOptions extends OpenIcmpOptions {
  /** The IP protocol, 1 to 255; packets of 255 are only sent, and bring their header. */
  protocol: number;
  /** What is sent brings its IP header (IP_HDRINCL); only for protocol 255 if not given. */
  includesHeader?: boolean;
}

/** A packet, or an ICMP message, that came in. */
export interface ReceivedPacket {
  kind: "packet";
  /** Of a raw socket with the IP header; of an ICMP socket from the ICMP header on. */
  bytes: Uint8Array<ArrayBuffer>;
  from: string;
  ttl: number;
}

/** An ICMP error about a packet that was sent (RFC 792). */
export interface PacketError {
  kind: "error";
  /** What was quoted of the packet: from behind its IP header on, with it if it was our own. */
  bytes: Uint8Array<ArrayBuffer>;
  /** Whom it was sent to, and who reported the error. */
  to: string;
  from: string;
  /** In words. */
  error: string;
  icmpType: number;
  icmpCode: number;
  /** What the packet was too large for, bytes; 0 otherwise. */
  mtu: number;
  /** Time to live with which the error came. */
  ttl: number;
}

/** A raw or an ICMP echo socket of the stack. */
export class PacketConn implements AsyncIterable<ReceivedPacket | PacketError>, Disposable {
  /** Our own address; "0.0.0.0" if it is not bound to one. */
  readonly hostname: string;
  /** The only peer; null when it has none. */
  readonly remote: string | null;
  readonly #stream: MessageStream;

  /** `answer`: what the daemon answered to datagram. */
  constructor(channel: Channel, answer: ProtocolRecord) {
    const { local, remote } = answer;
    this.#stream = new MessageStream(channel);
    this.hostname = formatIp(local.address);
    this.remote = remote.address === 0 ? null : formatIp(remote.address);
  }

  /**
   * The next packet, or ICMP error. Throws what the stack found wrong with a packet that was sent (no route: `NetworkUnreachable`;
   * too large: `RangeError`...), and `Deno.errors.BadResource` when the socket is closed.
   */
  receive(): Promise<ReceivedPacket | PacketError> {
    return this.#stream.receive((record, bytes) => {
      const { errno, remote, local, arg0: ttl, arg1: mtu, arg4 } = record;
      const address = formatIp(remote.address);
      if (errno === 0) return { kind: "packet", bytes: bytes.slice(), from: address, ttl };
      if (arg4 < 0) throw errnoError(errno, "Cannot send");
      return {
        kind: "error",
        bytes: bytes.slice(),
        to: address,
        from: formatIp(local.address),
        error: errnoText(errno),
        icmpType: arg4 >> 8,
        icmpCode: arg4 & 0xff,
        mtu,
        ttl,
      };
    });
  }

  /**
   * Sends `bytes` to `to`, a numeric address, or to the only peer, with a time to live of `ttl`, 64 if not given; how many. Of an
   * ICMP socket they are an echo request, whose identifier and checksum are the stack's. What is longer than an IP packet is a
   * `RangeError`.
   */
  async send(bytes: Uint8Array, to?: string, options: { ttl?: number } = {}): Promise<number> {
    const what = to === undefined ? "Cannot send" : `Cannot send to ${to}`;
    const { ttl = 0 } = options;
    if (bytes.length > MAX_PACKET) throw errnoError(EMSGSIZE, what);
    if (!Number.isInteger(ttl) || ttl < 0 || ttl > 255) {
      throw new RangeError(`${what}: ttl must be 1 to 255: current value is ${ttl}`);
    }
    const record = new ProtocolRecord().reset(OP.datagram);
    record.arg0 = ttl;
    if (to === undefined) {
      if (this.remote === null) throw errnoError(EDESTADDRREQ, what);
    } else {
      const address = parseIp(to);
      if (address === null) throw errnoError(EINVAL, what, "it must be a numeric IPv4 address");
      record.remote.set(address, 0);
    }
    await this.#stream.send(record, bytes);
    return bytes.length;
  }

  /** The packets and errors as they come, until the socket is closed. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<ReceivedPacket | PacketError> {
    for (;;) {
      let packet;
      try {
        packet = await this.receive();
      } catch (error) {
        if (this.#stream.closed && error instanceof Deno.errors.BadResource) return;
        throw error;
      }
      yield packet;
    }
  }

  close(): void {
    this.#stream.close();
  }

  [Symbol.dispose](): void {
    this.#stream[Symbol.dispose]();
  }
}

/**
 * Opens a raw socket of the stack, raw(7), which only root and the daemon's owner may: others get
 * `Deno.errors.PermissionDenied`.
 *
 * @example Answers what a peer sends by a protocol of one's own
 * ```ts ignore
 * using socket = await openRaw({ protocol: 253 });
 * for await (const packet of socket) {
 *   if (packet.kind === "packet") await socket.send(packet.bytes.subarray(20), packet.from);
 * }
 * ```
 */
export async function openRaw(options: OpenRawOptions): Promise<PacketConn> {
  const { protocol, includesHeader = false } = options;
  const what = `Cannot open a raw socket for protocol ${protocol}`;
  if (!Number.isInteger(protocol) || protocol < 1 || protocol > MAX_PROTOCOL) {
    throw new RangeError(`${what}: it must be 1 to ${MAX_PROTOCOL}`);
  }
  const record = new ProtocolRecord().reset(OP.datagram);
  record.arg0 = KIND_RAW;
  record.arg1 = protocol;
  record.arg2 = includesHeader ? 1 : 0;
  return await open(record, what, options);
}

/** Opens an ICMP echo socket of the stack: echo requests go out, the replies and ICMP errors come in. No privilege is needed. */
export async function openIcmp(options: OpenIcmpOptions = {}): Promise<PacketConn> {
  const record = new ProtocolRecord().reset(OP.datagram);
  record.arg0 = KIND_ICMP;
  return await open(record, "Cannot open an ICMP socket", options);
}

async function open(record: ProtocolRecord, what: string, options: OpenIcmpOptions): Promise<PacketConn> {
  const { hostname, remote, signal, socketPath } = options;
  signal?.throwIfAborted();
  if (hostname !== undefined) record.local.set(await resolveOne(hostname, { socketPath, signal }), 0);
  if (remote !== undefined) record.remote.set(await resolveOne(remote, { socketPath, signal }), 0);
  const channel = await Channel.open(socketPath);
  try {
    await channel.exchange(record, what);
    signal?.throwIfAborted();
    const socket = new PacketConn(channel, record);
    signal?.addEventListener("abort", () => socket[Symbol.dispose](), { once: true });
    return socket;
  } catch (error) {
    channel.close();
    if (!(error instanceof Error && "code" in error && error.code === "EPERM")) throw error;
    throw errnoError(EPERM, what, "only root and the user who runs the daemon may");
  }
}
