import { formatIp } from "../wire/address.ts";
import { OP, ProtocolRecord, TRACE_KIND } from "./protocol.ts";
import { Channel } from "./channel.ts";
import { resolveOne } from "./resolve.ts";

export interface TraceOptions {
  /** What is sent: UDP to ports where nobody listens, ICMP echo requests, or TCP SYNs; "udp" if not given. */
  kind?: keyof typeof TRACE_KIND;
  /** One of the stack's addresses to send from; the one that is right for the way if not given. */
  source?: string;
  socketPath?: string;
}

/** One packet that may come to nothing on its way. */
export interface Probe {
  /** To know the answer by: one of no other probe that is under way; of ICMP 0 to 65535. */
  number: number;
  ttl: number;
  /** Destination port of UDP, where it tells the probes apart, and of TCP. */
  port?: number;
  /** Bytes of the whole IP packet, 28 to 65535; of TCP it is what a SYN has. */
  size: number;
  /** Values of IP_MTU_DISCOVER: "probe" is never fragmented, nor refused for a known path MTU. */
  pmtudisc?: keyof typeof PMTUDISC;
}

/** What came of a probe. */
export interface ProbeAnswer {
  number: number;
  /** Who answered; "0.0.0.0": this host, without an ICMP message. */
  from: string;
  /** Linux's errno of the ICMP error; 0: the destination itself answered. */
  errno: number;
  /** -1: no ICMP error. */
  icmpType: number;
  icmpCode: number;
  rttUs: number;
  /** Time to live with which the answer came; 0: none came. */
  ttl: number;
  /** What the probe was too large for, bytes; 0 otherwise. */
  mtu: number;
}

const PMTUDISC = { dont: 0, want: 1, do: 2, probe: 3 } as const;

/** Probes of the path to one destination: iterate over it for what comes back. */
export class Trace implements AsyncIterable<ProbeAnswer>, Disposable {
  readonly address: string;
  /** Our own end, "0.0.0.0" as long as it is not bound to one. */
  readonly localAddress: string;
  readonly #channel: Channel;
  readonly #request = new ProtocolRecord();
  #sending: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(channel: Channel, address: number, localAddress: number) {
    this.#channel = channel;
    this.address = formatIp(address);
    this.localAddress = formatIp(localAddress);
  }

  /** Sends one; that it could not be sent is told as its answer. */
  send(probe: Probe): Promise<void> {
    this.#sending = this.#sending.then(() => {
      const request = this.#request.reset(OP.probe);
      request.remote.set(0, probe.port ?? 0);
      request.arg0 = probe.number;
      request.arg1 = probe.size;
      request.arg2 = probe.pmtudisc === undefined ? 0 : 1 + PMTUDISC[probe.pmtudisc];
      request.arg3 = probe.ttl;
      return this.#channel.send(request);
    });
    return this.#sending;
  }

  /** The answers as they come, until it is closed or the daemon ends. */
  async *[Symbol.asyncIterator](): AsyncGenerator<ProbeAnswer> {
    const record = new ProtocolRecord();
    while (await this.#receive(record)) yield answerOf(record);
  }

  async #receive(record: ProtocolRecord): Promise<boolean> {
    try {
      return await this.#channel.receive(record);
    } catch (error) {
      // close() ends the read that is under way.
      if (this.#closed) return false;
      throw error;
    }
  }

  close(): void {
    this.#closed = true;
    this.#channel.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Prepares for probes of the path to `host`. Any user of the daemon may: what is sent is the daemon's work. */
export async function openTrace(host: string, options: TraceOptions = {}): Promise<Trace> {
  const { kind = "udp", source, socketPath } = options;
  const record = new ProtocolRecord().reset(OP.trace);
  const address = await resolveOne(host, { socketPath });
  record.remote.set(address, 0);
  record.arg0 = TRACE_KIND[kind];
  if (source !== undefined) record.local.set(await resolveOne(source, { socketPath }), 0);
  const channel = await Channel.open(socketPath);
  try {
    await channel.exchange(record, `Cannot trace the path to ${host}`);
    return new Trace(channel, address, record.local.address);
  } catch (error) {
    channel.close();
    throw error;
  }
}

function answerOf(record: ProtocolRecord): ProbeAnswer {
  const { arg0, arg1, arg2, arg3, arg4, errno, remote } = record;
  return {
    number: arg0,
    from: formatIp(remote.address),
    errno,
    icmpType: arg4 < 0 ? -1 : arg4 >> 8,
    icmpCode: arg4 < 0 ? 0 : arg4 & 0xff,
    rttUs: arg2,
    ttl: arg3,
    mtu: arg1,
  };
}
