import { formatIp } from "../wire/address.ts";
import { echoByte, FLAG_DUPLICATE, MAX_ECHO, OP, ProtocolRecord } from "./protocol.ts";
import { Channel } from "./channel.ts";
import { errnoText } from "./errors.ts";
import { resolveOne } from "./resolve.ts";
import { EHOSTDOWN, EHOSTUNREACH, ENETUNREACH } from "../errno.ts";

export interface PingOptions {
  /** Echo requests to send; Infinity if not given. */
  count?: number;
  /** Time between requests, milliseconds; 1000 if not given. 0: each reply calls forth the next, 10 ms at most later. */
  intervalMs?: number;
  /** How long the last request is waited for, milliseconds; 1000 if not given. */
  waitMs?: number;
  /** Payload bytes of a request, 0 to 65507; 56 if not given. */
  size?: number;
  /** Time to live of the requests, 1 to 255; the stack's default if not given. */
  ttl?: number;
  /**
   * ping(8)'s -M: "do" never lets a request be fragmented, "want" has it fragmented by us where the path MTU is known to
   * be smaller, "dont" lets routers do it too, "probe" is "do" by the device's MTU; "want" if not given.
   */
  pmtudisc?: keyof typeof PMTUDISC;
  /** Ends the run: the iteration stops, without an error. */
  signal?: AbortSignal;
  socketPath?: string;
}

/** An answer to one of our requests. */
export interface PingReply {
  kind: "reply";
  seq: number;
  /** Bytes of the ICMP message, its 8-byte header included, as ping(8) prints them. */
  bytes: number;
  ttl: number;
  rttUs: number;
  from: string;
  /** The sequence number was answered before. */
  duplicate: boolean;
  /** The first payload byte that is not what was sent, if there is one. */
  damage?: PingDamage;
}

export interface PingDamage {
  /** In the payload, bytes. */
  offset: number;
  expected: number;
  actual: number;
}

/** A request came to nothing, and somebody said so. */
export interface PingFailure {
  kind: "error";
  seq: number;
  /** As ping(8) says it, e.g. "Destination Host Unreachable". */
  error: string;
  from: string;
  /** -1 when the stack itself gave up, without an ICMP message. */
  icmpType: number;
  icmpCode: number;
  /** What the request was too large for, bytes; 0 otherwise, or if it was not said. */
  mtu: number;
}

export type PingEvent = PingReply | PingFailure;

/** A run of echo requests: iterate over it for what comes back. */
export interface Ping extends AsyncIterable<PingEvent> {
  /** The address that is pinged. */
  readonly address: string;
  /** Requests sent so far. */
  readonly transmitted: number;
}

/** Values of IP_MTU_DISCOVER. */
const PMTUDISC = { dont: 0, want: 1, do: 2, probe: 3 } as const;

/** The pace of a flood that nobody answers: 100 a second. */
const FLOOD_MS = 10;

const UNREACHABLE = [
  "Destination Net Unreachable",
  "Destination Host Unreachable",
  "Destination Protocol Unreachable",
  "Destination Port Unreachable",
  "Frag needed and DF set",
  "Source Route Failed",
  "Destination Net Unknown",
  "Destination Host Unknown",
  "Source Host Isolated",
  "Destination Net Prohibited",
  "Destination Host Prohibited",
  "Destination Net Unreachable for Type of Service",
  "Destination Host Unreachable for Type of Service",
  "Packet filtered",
  "Precedence Violation",
  "Precedence Cutoff",
];

/** An ICMP error (RFC 792), or errno without one (type -1), in ping(8)'s words. */
export function pingErrorText(icmpType: number, icmpCode: number, errno: number): string {
  if (icmpType === 3) return UNREACHABLE[icmpCode] ?? `Dest Unreachable, Bad Code: ${icmpCode}`;
  if (icmpType === 11) return icmpCode === 0 ? "Time to live exceeded" : "Frag reassembly time exceeded";
  if (icmpType === 12) return "Parameter problem";
  if (icmpType >= 0) return `Bad ICMP type: ${icmpType}`;
  if (errno === EHOSTUNREACH || errno === EHOSTDOWN) return "Destination Host Unreachable";
  if (errno === ENETUNREACH) return "Network is unreachable";
  return errnoText(errno);
}

/** Starts a run of echo requests (RFC 792, RFC 1122 3.2.2.6) to `host`. */
export async function ping(host: string, options: PingOptions = {}): Promise<Ping> {
  const { size = 56, ttl = 0 } = options;
  if (!Number.isInteger(size) || size < 0 || size > MAX_ECHO) {
    throw new RangeError(`Cannot ping: size must be 0 to ${MAX_ECHO}: current value is ${size}`);
  }
  if (!Number.isInteger(ttl) || ttl < 0 || ttl > 255) {
    throw new RangeError(`Cannot ping: ttl must be 1 to 255: current value is ${ttl}`);
  }
  const address = await resolveOne(host, { socketPath: options.socketPath, signal: options.signal });
  const channel = await Channel.open(options.socketPath);
  try {
    await channel.exchange(new ProtocolRecord().reset(OP.ping), `Cannot ping ${host}`);
  } catch (error) {
    channel.close();
    throw error;
  }
  return new Run(channel, address, options);
}

class Run implements Ping {
  readonly address: string;
  transmitted = 0;
  readonly #request = new ProtocolRecord();
  readonly #count: number;
  readonly #intervalMs: number;
  readonly #waitMs: number;
  /** Sequence numbers that something came back for. */
  readonly #answered = new Set<number>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  constructor(readonly channel: Channel, address: number, readonly options: PingOptions) {
    this.address = formatIp(address);
    this.#count = options.count ?? Infinity;
    this.#intervalMs = options.intervalMs ?? 1000;
    this.#waitMs = options.waitMs ?? 1000;
    this.#request.reset(OP.echo).remote.set(address, 0);
    this.#request.arg1 = options.size ?? 56;
    this.#request.arg2 = options.pmtudisc === undefined ? 0 : 1 + PMTUDISC[options.pmtudisc];
    this.#request.arg3 = options.ttl ?? 0;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<PingEvent> {
    const stop = () => this.#stop();
    const { signal } = this.options;
    signal?.addEventListener("abort", stop);
    try {
      if (signal?.aborted) return;
      if (this.#count <= 0) return;
      await this.#send();
      const record = new ProtocolRecord();
      while (!this.#stopped && await this.#receive(record)) {
        this.#answered.add(record.arg0);
        if (this.#intervalMs === 0 && (record.flags & FLAG_DUPLICATE) === 0) await this.#sendNow();
        yield eventOf(record);
        if (this.transmitted >= this.#count && this.#answered.size >= this.#count) return;
      }
    } finally {
      signal?.removeEventListener("abort", stop);
      this.#stop();
    }
  }

  /** Sends the next request and sets the timer for the one after it, or for the end. */
  async #send(): Promise<void> {
    this.#request.arg0 = (this.transmitted + 1) & 0xffff;
    this.transmitted++;
    // Reckoned from before the send, so that the requests keep their beat.
    const more = this.transmitted < this.#count;
    this.#timer = setTimeout(() => {
      if (!more) return this.#stop();
      this.#send().catch(() => this.#stop());
    }, more ? this.#intervalMs || FLOOD_MS : this.#waitMs);
    await this.channel.send(this.#request);
  }

  /** As ping(8)'s flood: it goes on as fast as replies come. */
  async #sendNow(): Promise<void> {
    if (this.#stopped || this.transmitted >= this.#count) return;
    clearTimeout(this.#timer);
    await this.#send();
  }

  async #receive(record: ProtocolRecord): Promise<boolean> {
    try {
      return await this.channel.receive(record);
    } catch (error) {
      // stop() closes the socket under the read that is under way.
      if (this.#stopped) return false;
      throw error;
    }
  }

  #stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.channel.close();
  }
}

function eventOf(record: ProtocolRecord): PingEvent {
  const seq = record.arg0;
  const from = formatIp(record.remote.address);
  if (record.errno === 0) {
    const duplicate = (record.flags & FLAG_DUPLICATE) !== 0;
    const { arg1: bytes, arg2: rttUs, arg3: ttl, arg4: damaged } = record;
    const reply: PingReply = { kind: "reply", seq, bytes, ttl, rttUs, from, duplicate };
    if (damaged === 0) return reply;
    const offset = (damaged >>> 8) - 1;
    return { ...reply, damage: { offset, expected: echoByte(offset), actual: damaged & 255 } };
  }
  const icmpType = record.arg4 < 0 ? -1 : record.arg4 >> 8;
  const icmpCode = record.arg4 < 0 ? 0 : record.arg4 & 0xff;
  return {
    kind: "error",
    seq,
    error: pingErrorText(icmpType, icmpCode, record.errno),
    from,
    icmpType,
    icmpCode,
    mtu: record.arg1,
  };
}
