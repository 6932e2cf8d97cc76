import type { IcmpSpec, PacketSpec, TcpSpec, UdpSpec } from "./ast.ts";
import { aggregate, continues, differences, formatActual } from "./compare.ts";
import { ipv4Mtu, Unsupported } from "./config.ts";
import { checkTime, describe, Mismatch, scriptTime, type TimedEvent, toleranceOf } from "./events.ts";
import { Flow, FlowError } from "./flow.ts";
import { OUR_MAC, ROUTER_MAC, START_US } from "./machine.ts";
import type { Kernel } from "./operation.ts";
import { fillPattern, findMismatch } from "./payload.ts";
import { formatSeconds, type Packet } from "./segment.ts";
import { emptyPacket, encodeIcmp, encodeQuoted, encodeTcp, encodeUdp } from "./wire.ts";

const SYN = 2;
const ACK = 16;
const URG = 32;
const PROTOCOL = { tcp: 6, udp: 17, raw: 255 };
/** How long to look on for a packet that is late, to be able to say when it came. */
const PATIENCE_US = 5_000_000;
/** How long `*` waits. */
const ANY_TIME_US = 3600_000_000;
const FIRST_PEER_PORT = 40_000;

/** Plays the remote side: feeds the script's packets in and compares what the stack sends with those it expects. */
export class PacketEvents {
  readonly #kernel: Kernel;
  #nextPeerPort = FIRST_PEER_PORT;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  inbound(timed: TimedEvent, spec: PacketSpec): void {
    const flow = this.#flowFor(timed, spec);
    try {
      if (spec.type === "tcp") this.#inboundTcp(flow, spec);
      else if (spec.type === "udp") this.#inboundUdp(flow, spec);
      else this.#inboundIcmp(flow, spec);
    } catch (error) {
      if (error instanceof FlowError) throw new Mismatch(error.message, timed.event.line);
      throw error;
    }
  }

  /** The connection a script packet belongs to; made by the first packet that reaches a listener. */
  #flowFor(timed: TimedEvent, spec: PacketSpec): Flow {
    const { underTest } = this.#kernel;
    if (spec.type === "tcp" && (spec.sourcePort !== 0 || spec.destinationPort !== 0)) {
      const named = this.#namedFlow(spec);
      if (named !== null) return named;
    }
    if (spec.type === "tcp" && spec.direction === "inbound") {
      if (underTest === null || underTest.state === "listening") return this.#newPeer(spec);
      // A socket that neither listens nor connects: somebody sends to its port all the same.
      if (underTest.state === "new" && underTest.remotePort === 0) {
        underTest.remotePort = this.#nextPeerPort++;
      }
    }
    if (underTest === null) {
      throw new Mismatch("no socket that this packet could belong to", timed.event.line);
    }
    if (spec.type === "tcp" && spec.direction === "outbound" && underTest.state === "connecting") {
      if ((spec.bits & (SYN | ACK)) === SYN) {
        underTest.state = "syn-sent";
        underTest.scriptLocalIsn = spec.seq;
      }
    }
    return underTest;
  }

  /**
   * The connection of a segment that names its ports: the one that has them, or a new one if it is a SYN. (packetdrill
   * itself has one connection at a time, and takes the ports without their meaning.)
   */
  #namedFlow(spec: TcpSpec): Flow | null {
    const inbound = spec.direction === "inbound";
    const localPort = inbound ? spec.destinationPort : spec.sourcePort;
    const remotePort = inbound ? spec.sourcePort : spec.destinationPort;
    const known = this.#kernel.flows.find((flow) =>
      flow.localPort === localPort && flow.remotePort === remotePort
    );
    if (known !== undefined) return known;
    return inbound && (spec.bits & (SYN | ACK)) === SYN ? this.#newPeer(spec) : null;
  }

  #newPeer(spec: TcpSpec): Flow {
    const flow = new Flow();
    flow.state = "packet-received";
    flow.liveRemoteIsn = spec.seq;
    flow.localPort = spec.destinationPort || this.#kernel.config.bindPort;
    flow.remotePort = spec.sourcePort || this.#nextPeerPort++;
    this.#kernel.flows.unshift(flow);
    this.#kernel.underTest = flow;
    return flow;
  }

  #addressed(flow: Flow, spec: PacketSpec): Packet {
    const { config, machine } = this.#kernel;
    const ports = spec.type === "icmp" ? { sourcePort: 0, destinationPort: 0 } : spec;
    return {
      ...emptyPacket(machine.now),
      source: config.remoteIp,
      destination: config.localIp,
      sourcePort: ports.sourcePort || flow.remotePort || config.connectPort,
      destinationPort: ports.destinationPort || flow.localPort || config.bindPort,
      tos: spec.ip.tos ?? (typeof spec.ip.ecn === "number" ? spec.ip.ecn : 0),
      ttl: spec.ip.ttl ?? 255,
    };
  }

  #inboundTcp(flow: Flow, spec: TcpSpec): void {
    const { config, machine } = this.#kernel;
    if (flow.state === "synack-sent" && (spec.bits & ACK) !== 0) flow.state = "synack-acked";
    else if (flow.state === "syn-sent" && (spec.bits & (SYN | ACK)) === (SYN | ACK)) {
      flow.state = "syn-acked";
      flow.liveRemoteIsn = spec.seq;
    }
    if ((spec.bits & URG) !== 0) flow.urgentSeen = true;
    const payload = new Uint8Array(spec.length);
    fillPattern(payload, spec.length, (spec.bits & SYN) !== 0 ? 0 : spec.seq - 1);
    const packet: Packet = {
      ...this.#addressed(flow, spec),
      ...flow.mapInbound(spec, config),
      bits: spec.bits,
      window: spec.window,
      urgent: spec.urgent,
      payload,
    };
    machine.input(encodeTcp(packet, OUR_MAC, ROUTER_MAC), { ...packet, ...scriptNumbers(spec) });
  }

  #inboundUdp(flow: Flow, spec: UdpSpec): void {
    const payload = new Uint8Array(spec.length);
    fillPattern(payload, spec.length, 0);
    const packet: Packet = { ...this.#addressed(flow, spec), type: "udp", payload };
    this.#kernel.machine.input(encodeUdp(packet, OUR_MAC, ROUTER_MAC), packet);
  }

  #inboundIcmp(flow: Flow, spec: IcmpSpec): void {
    const { config, machine, pathMtuIsFixed } = this.#kernel;
    if (pathMtuIsFixed && spec.mtu >= 0) throw new Unsupported("path MTU discovery turned off");
    const packet: Packet = { ...this.#addressed(flow, spec), type: "icmp" };
    const quoted: Packet = {
      ...emptyPacket(machine.now),
      source: config.localIp,
      destination: config.remoteIp,
      sourcePort: flow.localPort,
      destinationPort: flow.remotePort,
      ttl: 64,
      seq: flow.mapEchoed(spec),
    };
    const { protocol, length } = spec.echoed;
    const bytes = protocol === "raw"
      ? new Uint8Array(length)
      : encodeQuoted(quoted, PROTOCOL[protocol], length);
    const rest = spec.mtu >= 0 ? ipv4Mtu(config, spec.mtu) : spec.echoId * 0x10000;
    const body = { type: spec.icmpType, code: spec.icmpCode, rest, bytes };
    const shown = { ...packet, icmpType: spec.icmpType, icmpCode: spec.icmpCode };
    machine.input(encodeIcmp(packet, body, OUR_MAC, ROUTER_MAC), shown);
  }

  outbound(timed: TimedEvent, spec: PacketSpec): void {
    const { config } = this.#kernel;
    const flow = this.#flowFor(timed, spec);
    if (
      spec.type === "tcp" && flow.state === "packet-received" && (spec.bits & (SYN | ACK)) === (SYN | ACK)
    ) {
      flow.scriptLocalIsn = spec.seq;
    }
    const pieces = this.#collect(timed, flow, spec);
    const whole = aggregate(pieces);
    const actual = spec.type === "tcp" ? flow.mapTimestamps(whole, spec) : whole;
    const found = differences({ config, spec, pieces: pieces.length }, actual);
    if (found.length > 0) {
      throw new Mismatch(
        `expected ${describe(spec)}, got > ${formatActual(spec, actual)} (${found.join("; ")})`,
        timed.event.line,
      );
    }
    const what = describe(spec);
    checkTime(config, timed, scriptTime(pieces[0].atUs), what);
    checkTime(config, timed, scriptTime(pieces[pieces.length - 1].atUs), what);
  }

  /** Takes the packet, or the several that are as long as the script's one, from what the stack sent. */
  #collect(timed: TimedEvent, flow: Flow, spec: PacketSpec): Packet[] {
    const pieces = [this.#sniff(timed, flow, spec)];
    if (spec.type !== "tcp" || this.#kernel.config.strictSegments) return pieces;
    for (let length = pieces[0].payload.length; length > 0 && length < spec.length;) {
      const next = this.#sniff(timed, flow, spec, pieces);
      const previous = pieces[pieces.length - 1];
      if (!continues(previous, next)) {
        throw new Mismatch(
          `expected ${describe(spec)}, got > ${formatActual(spec, aggregate(pieces))} and then > ${
            formatActual(spec, next)
          }`,
          timed.event.line,
        );
      }
      pieces.push(next);
      length += next.payload.length;
    }
    return pieces;
  }

  /** The next packet of the flow, waiting for it in virtual time. */
  #sniff(timed: TimedEvent, flow: Flow, spec: PacketSpec, before: Packet[] = []): Packet {
    const { config, machine } = this.#kernel;
    const wait = timed.event.time.kind === "any"
      ? ANY_TIME_US
      : Math.max(0, timed.endUs + START_US - machine.now) + toleranceOf(config, timed) + PATIENCE_US;
    const limit = machine.now + wait;
    for (;;) {
      if (machine.sent.length === 0 && !machine.advanceUntilSent(limit)) break;
      const packet = machine.sent.shift()!;
      if (!this.#belongs(flow, spec, packet)) continue;
      return packet.type === "tcp" ? this.#convert(timed, flow, spec, packet) : packet;
    }
    const got = before.length === 0 ? "no packet" : `only > ${formatActual(spec, aggregate(before))}`;
    throw new Mismatch(
      `expected ${describe(spec)}, got ${got} until ${formatSeconds(scriptTime(machine.now))} s`,
      timed.event.line,
    );
  }

  #belongs(flow: Flow, spec: PacketSpec, packet: Packet): boolean {
    if (packet.type === "icmp") return spec.type === "icmp" || flow.protocol === "icmp";
    const isOurs = packet.sourcePort === flow.localPort && packet.destinationPort === flow.remotePort;
    if (isOurs) return true;
    if (spec.type !== "icmp" && (spec.sourcePort !== 0 || spec.destinationPort !== 0)) {
      return packet.sourcePort === (spec.sourcePort || flow.localPort) &&
        packet.destinationPort === (spec.destinationPort || flow.remotePort);
    }
    const isConnect = packet.type === "tcp"
      ? flow.state === "syn-sent" && (packet.bits & (SYN | ACK)) === SYN
      : flow.protocol === "udp";
    if (!isConnect || packet.destinationPort !== flow.remotePort) return false;
    flow.localPort = packet.sourcePort;
    flow.liveLocalIsn = packet.seq;
    return true;
  }

  /** The segment in the script's numbers; its bytes are compared with the connection's pattern here. */
  #convert(timed: TimedEvent, flow: Flow, spec: PacketSpec, packet: Packet): Packet {
    const isSyn = (packet.bits & SYN) !== 0;
    if (
      spec.type === "tcp" && flow.state === "packet-received" && (spec.bits & (SYN | ACK)) === (SYN | ACK)
    ) {
      flow.state = "synack-sent";
      flow.liveLocalIsn = packet.seq;
    }
    // A connection that takes the place of an old one numbers from its own start.
    if (isSyn && spec.type === "tcp" && spec.anySeq) flow.liveLocalIsn = packet.seq;
    if (isSyn) flow.localDataStart = (packet.seq + 1) >>> 0;
    else if (flow.localDataStart >= 0 && packet.payload.length > 0) {
      const position = (packet.seq - flow.localDataStart) | 0;
      const wrong = findMismatch(packet.payload, packet.payload.length, position);
      if (wrong >= 0) {
        throw new Mismatch(
          `byte ${position + wrong} of the stream sent is not the one written`,
          timed.event.line,
        );
      }
    }
    return flow.mapOutbound(packet);
  }
}

/** For the trace: an inbound segment in the script's own numbers. */
function scriptNumbers(spec: TcpSpec): Pick<Packet, "seq" | "ack" | "options"> {
  return { seq: spec.seq, ack: spec.ack, options: spec.options ?? [] };
}
