import type { IcmpSpec, TcpOption, TcpSpec } from "./ast.ts";
import type { RunConfig } from "./config.ts";
import type { Packet } from "./segment.ts";
import { OPTION_SACK, OPTION_TIMESTAMP } from "./tcp_options.ts";

/** How far a connection has come, as far as the script shows it. */
export type FlowState =
  | "new"
  | "listening"
  | "packet-received"
  | "synack-sent"
  | "synack-acked"
  | "connecting"
  | "syn-sent"
  | "syn-acked";

const SYN = 2;
const ACK = 16;

/** A script that cannot go on: it names a value that cannot be translated. */
export class FlowError extends Error {
  override readonly name = "FlowError";
}

/**
 * One connection and how the script's numbers for it translate to those on the wire: as in packetdrill, sequence
 * numbers in segments with SYN are absolute, in all others relative to the initial ones; timestamps of ours are
 * learned from the segments that carry them.
 */
export class Flow {
  state: FlowState = "new";
  protocol: "tcp" | "udp" | "icmp" = "tcp";
  /** The script's number of the socket; -1: not accepted yet. */
  fd = -1;
  localPort = 0;
  remotePort = 0;
  liveLocalIsn = 0;
  scriptLocalIsn = 0;
  liveRemoteIsn = 0;
  /** An inbound segment had the URG flag: what is read is not all that was sent. */
  urgentSeen = false;
  /** The sequence number of our first payload byte, from the last SYN of ours; -1: none was seen. */
  localDataStart = -1;
  readonly #tsLive = new Map<number, number>();
  #firstTs: { script: number; live: number } | null = null;

  /** Script to live, for sequence numbers that we send (and acks of the remote side). */
  localOffset(bits: number): number {
    return (bits & SYN) !== 0 ? this.liveLocalIsn - this.scriptLocalIsn : this.liveLocalIsn;
  }

  /** Script to live, for sequence numbers that the remote side sends (and our acks). */
  remoteOffset(bits: number): number {
    return (bits & SYN) !== 0 ? 0 : this.liveRemoteIsn;
  }

  /** The script's inbound segment with live numbers. */
  mapInbound(spec: TcpSpec, config: RunConfig): { seq: number; ack: number; options: TcpOption[] } {
    const ackOffset = this.localOffset(spec.bits);
    const hasAck = (spec.bits & ACK) !== 0;
    const options = (spec.options ?? []).map((option) => {
      if (option.kind === OPTION_SACK) {
        return { ...option, blocks: option.blocks?.map((edge) => (edge + ackOffset) >>> 0) };
      }
      if (option.kind === OPTION_TIMESTAMP && hasAck) {
        return { ...option, echo: this.#liveTs(option.echo ?? 0, config) };
      }
      return option;
    });
    return {
      seq: (spec.seq + this.remoteOffset(spec.bits)) >>> 0,
      ack: hasAck ? (spec.ack + ackOffset) >>> 0 : spec.ack,
      options,
    };
  }

  /** The sequence number quoted by an ICMP error, live. */
  mapEchoed(spec: IcmpSpec): number {
    return (spec.echoed.seq + this.liveLocalIsn) >>> 0;
  }

  #liveTs(script: number, config: RunConfig): number {
    const exact = this.#tsLive.get(script);
    if (exact !== undefined) return exact;
    if (script === 0) return 0;
    if (config.tsEcrScaled && this.#firstTs !== null) {
      return (script - this.#firstTs.script + this.#firstTs.live) >>> 0;
    }
    throw new FlowError(`no outbound segment so far has the TS val ${script} that this one echoes`);
  }

  /** A segment of ours, with its sequence numbers in the script's terms; timestamps stay live. */
  mapOutbound(packet: Packet): Packet {
    const ackOffset = this.remoteOffset(packet.bits);
    return {
      ...packet,
      seq: (packet.seq - this.localOffset(packet.bits)) >>> 0,
      ack: (packet.bits & ACK) !== 0 ? (packet.ack - ackOffset) >>> 0 : packet.ack,
      options: packet.options.map((option) =>
        option.kind === OPTION_SACK
          ? { ...option, blocks: option.blocks?.map((edge) => (edge - ackOffset) >>> 0) }
          : option
      ),
    };
  }

  /** Learns how our TS val relates to the script's, and puts the segment's on the script's scale. */
  mapTimestamps(packet: Packet, spec: TcpSpec): Packet {
    const expected = spec.options?.find(({ kind }) => kind === OPTION_TIMESTAMP);
    const actual = packet.options.find(({ kind }) => kind === OPTION_TIMESTAMP);
    if (expected === undefined || actual === undefined) return packet;
    const script = expected.value ?? 0;
    const live = actual.value ?? 0;
    this.#tsLive.set(script, live);
    this.#firstTs ??= { script, live };
    const value = (this.#firstTs.script + live - this.#firstTs.live) >>> 0;
    const options = packet.options.map((option) => option === actual ? { ...option, value } : option);
    return { ...packet, options };
  }
}
