/**
 * The client API: what a Deno program (and the command line) uses to talk to a running daemon. No FFI; needs
 * permission to read and write the daemon's socket.
 *
 * @example
 * ```ts
 * import { connect } from "@lvl-ip/lvl-ip";
 *
 * using connection = await connect({ hostname: "10.0.0.5", port: 2048 });
 * await connection.write(new TextEncoder().encode("hello"));
 * console.assert(await new Response(connection.readable).text() === "hello");
 * ```
 *
 * @module
 */
import { type DaemonStatus, OP, ProtocolRecord } from "./protocol.ts";
import { ask, Channel } from "./channel.ts";
import { Connection } from "./connection.ts";
import { DatagramConn } from "./datagram_conn.ts";
import { Listener } from "./listener.ts";
import { resolveOne } from "./resolve.ts";
import { errnoError } from "./errors.ts";
import { ETIMEDOUT } from "../errno.ts";

export { DaemonUnreachableError, errnoText } from "./errors.ts";
export type { CodedError } from "./errors.ts";
export { ping, pingErrorText } from "./ping.ts";
export type { Ping, PingDamage, PingEvent, PingFailure, PingOptions, PingReply } from "./ping.ts";
export { network } from "./network.ts";
export type { AddressInfo, LinkInfo, NeighbourInfo, NetworkRequest, RouteInfo } from "./network_messages.ts";
export { lookUp, NameError, resolve } from "./resolve.ts";
export type { LookUp, LookUpOptions, ResolveOptions } from "./resolve.ts";
export type { ConnectionStatus, DaemonStatus, NeighbourStatus, RouteStatus } from "./protocol.ts";
export { Connection } from "./connection.ts";
export { DatagramConn } from "./datagram_conn.ts";
export type { SendOptions } from "./datagram_conn.ts";
export { Listener } from "./listener.ts";
export { openIcmp, openRaw, PacketConn } from "./packet_conn.ts";
export type { OpenIcmpOptions, OpenRawOptions, PacketError, ReceivedPacket } from "./packet_conn.ts";
export { openTrace, Trace } from "./trace.ts";
export type { Probe, ProbeAnswer, TraceOptions } from "./trace.ts";

export interface ConnectOptions {
  /** A numeric address or a name; 127.0.0.1 if not given. */
  hostname?: string;
  port: number;
  /** Gives up, and lets the promise reject with the signal's reason. */
  signal?: AbortSignal;
  /** Gives up after so many milliseconds with `Deno.errors.TimedOut`; the stack's own limit if not given. */
  timeoutMs?: number;
  /** The daemon's socket, if it is not at one of the usual places. */
  socketPath?: string;
}

export interface ListenOptions {
  /** 0: the stack chooses one; see `addr`. */
  port: number;
  /** An address of the stack; all of them if not given. */
  hostname?: string;
  /** Connections that may wait to be accepted; 128 if not given. */
  backlog?: number;
  /** Closes the listener: `accept` then throws `Deno.errors.BadResource`, and an iteration ends. */
  signal?: AbortSignal;
  socketPath?: string;
}

export interface ListenDatagramOptions {
  /** 0, or not given: the stack chooses one; see `addr`. */
  port?: number;
  /** An address of the stack; all of them if not given. */
  hostname?: string;
  /** The only peer: `send` needs no address, others are not heard, and its refusals are told. */
  remote?: { hostname: string; port: number };
  /** Closes the socket: `receive` then throws `Deno.errors.BadResource`, and an iteration ends. */
  signal?: AbortSignal;
  socketPath?: string;
}

export interface StatusOptions {
  info?: boolean;
  socketPath?: string;
}

/**
 * Opens a TCP connection through the stack. Throws `DaemonUnreachableError`, `Deno.errors.ConnectionRefused`,
 * `TimedOut`, `NetworkUnreachable`...; each has errno's name in `code`.
 */
export async function connect(options: ConnectOptions): Promise<Connection> {
  const { hostname = "127.0.0.1", port, signal, timeoutMs, socketPath } = options;
  const what = `Cannot connect to ${hostname}:${port}`;
  checkPort(port, 1, what);
  signal?.throwIfAborted();
  /** Ends what is under way, be it the name's look-up or the handshake. */
  const end = new AbortController();
  const interrupt = () => end.abort(signal!.reason);
  const timer = timeoutMs === undefined ? undefined : setTimeout(
    () => end.abort(errnoError(ETIMEDOUT, what, `no answer within ${timeoutMs} ms`)),
    timeoutMs,
  );
  signal?.addEventListener("abort", interrupt);
  try {
    const address = await resolveOne(hostname, { socketPath, signal: end.signal });
    return await connectTo(address, port, what, socketPath, end.signal);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", interrupt);
  }
}

/** Connects to an address; rejects with the signal's reason when that comes first. */
async function connectTo(
  address: number,
  port: number,
  what: string,
  socketPath: string | undefined,
  signal: AbortSignal,
): Promise<Connection> {
  const record = new ProtocolRecord().reset(OP.connect);
  record.remote.set(address, port);
  const channel = await Channel.open(socketPath);
  const giveUp = () => channel.close();
  signal.addEventListener("abort", giveUp);
  try {
    signal.throwIfAborted();
    await channel.exchange(record, what);
    // The answer may have been read in the same turn as the signal came or the time was up.
    signal.throwIfAborted();
    return new Connection(channel, record);
  } catch (error) {
    channel.close();
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}

/** Listens for TCP connections to the stack. Throws `Deno.errors.AddrInUse`, `AddrNotAvailable`... */
export async function listen(options: ListenOptions): Promise<Listener> {
  const { port, hostname = "0.0.0.0", backlog = 128, signal, socketPath } = options;
  const what = `Cannot listen on ${hostname}:${port}`;
  checkPort(port, 0, what);
  signal?.throwIfAborted();
  const address = await resolveOne(hostname, { socketPath, signal });
  const record = new ProtocolRecord().reset(OP.listen);
  record.local.set(address, port);
  record.arg0 = backlog;
  const channel = await Channel.open(socketPath);
  try {
    await channel.exchange(record, what);
    signal?.throwIfAborted();
    return closeOn(signal, new Listener(channel, record));
  } catch (error) {
    channel.close();
    throw error;
  }
}

/**
 * Opens a UDP socket of the stack. Throws `Deno.errors.AddrInUse`, `AddrNotAvailable`, `NetworkUnreachable`...
 *
 * @example
 * ```ts
 * import { listenDatagram } from "@lvl-ip/lvl-ip";
 *
 * using server = await listenDatagram({ port: 7 });
 * using client = await listenDatagram({ remote: { hostname: "127.0.0.1", port: 7 } });
 * await client.send(new TextEncoder().encode("hello"));
 * for await (const [message, from] of server) {
 *   await server.send(message, from);
 *   break;
 * }
 * const [answer] = await client.receive();
 * console.assert(new TextDecoder().decode(answer) === "hello");
 * ```
 */
export async function listenDatagram(options: ListenDatagramOptions = {}): Promise<DatagramConn> {
  const { port = 0, hostname = "0.0.0.0", remote, signal, socketPath } = options;
  const what = remote === undefined
    ? `Cannot receive on ${hostname}:${port}`
    : `Cannot send to ${remote.hostname}:${remote.port}`;
  checkPort(port, 0, what);
  if (remote !== undefined) checkPort(remote.port, 1, what);
  signal?.throwIfAborted();
  const record = new ProtocolRecord().reset(OP.datagram);
  const address = await resolveOne(hostname, { socketPath, signal });
  if (address !== 0 || port !== 0 || remote === undefined) record.local.set(address, port);
  if (remote !== undefined) {
    record.remote.set(await resolveOne(remote.hostname, { socketPath, signal }), remote.port);
  }
  const channel = await Channel.open(socketPath);
  try {
    await channel.exchange(record, what);
    signal?.throwIfAborted();
    return closeOn(signal, new DatagramConn(channel, record));
  } catch (error) {
    channel.close();
    throw error;
  }
}

/** The socket, which closes when the signal comes. */
function closeOn<T extends Disposable>(signal: AbortSignal | undefined, socket: T): T {
  signal?.addEventListener("abort", () => socket[Symbol.dispose](), { once: true });
  return socket;
}

/**
 * What the daemon is doing: its address, connections, counters, neighbours and routes. `info`: with each connection's
 * TCP_INFO.
 */
export async function status(options: StatusOptions = {}): Promise<DaemonStatus> {
  const record = new ProtocolRecord().reset(OP.status);
  record.arg0 = options.info ? 1 : 0;
  const bytes = await ask(record, "Cannot read the daemon's status", options);
  return JSON.parse(new TextDecoder().decode(bytes));
}

function checkPort(port: number, least: number, what: string): void {
  if (!Number.isInteger(port) || port < least || port > 65535) {
    throw new RangeError(`${what}: port must be ${least} to 65535: current value is ${port}`);
  }
}
