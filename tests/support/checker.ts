/**
 * Composable packet checks, in the manner of gVisor's `checker`:
 *
 * ```ts
 * assertFrame(bytes, from("10.0.0.4", 1234), to("10.0.0.5", 80), flags("S."), ack(iss + 1), mss(1460), payload(""));
 * ```
 *
 * Lengths and checksums are always checked. A failure names every check that failed and shows the packet as one line.
 */
import { AssertionError } from "@std/assert";
import { addressText, decode, type DecodedTcp, type DecodeOptions, type Packet } from "./decode.ts";
import { complaints, flagsText, formatFrame, parseFlags } from "./format.ts";

export { addressText, decode, type Packet } from "./decode.ts";
export { complaints, flagsText, formatFrame, parseFlags } from "./format.ts";

/** What is wrong with the packet; null when nothing is. */
export type Check = (packet: Packet) => string | null;

export interface AssertFrameOptions extends DecodeOptions {
  /** What the packet is, for the failure message. */
  what?: string;
}

/** Decodes the frame, throws an AssertionError unless it is sound and passes every check, and returns it. */
export function assertFrame(bytes: Uint8Array | null | undefined, ...checks: Check[]): Packet {
  return assertFrameWith({}, bytes, ...checks);
}

export function assertFrameWith(
  options: AssertFrameOptions,
  bytes: Uint8Array | null | undefined,
  ...checks: Check[]
): Packet {
  const what = options.what ?? "frame";
  if (!bytes) throw new AssertionError({ message: `Expected a ${what}, got none` });
  const packet = decode(bytes, options);
  const failures = complaints(packet);
  if (failures.length === 0) {
    for (const check of checks) {
      const failure = check(packet);
      if (failure !== null) failures.push(failure);
    }
  }
  if (failures.length > 0) {
    throw new AssertionError({
      message: `${what}: ${failures.join("; ")}\n  ${formatFrame(bytes, options)}`,
    });
  }
  return packet;
}

function expected<T>(
  name: string,
  actual: T,
  wanted: T,
  show: (value: T) => unknown = String,
): string | null {
  return actual === wanted ? null : `expected ${name} ${show(wanted)}, got ${show(actual)}`;
}

function ofTcp(check: (tcp: DecodedTcp, packet: Packet) => string | null): Check {
  return (packet) => packet.tcp ? check(packet.tcp, packet) : "expected TCP";
}

function toAddress(address: string | number): number {
  if (typeof address === "number") return address;
  return address.split(".").reduce((sum, part) => (sum << 8) | Number(part), 0);
}

function endpoint(side: "source" | "destination", address: string | number, port?: number): Check {
  return (packet) => {
    if (!packet.ipv4) return "expected IPv4";
    const wrong = expected(side, packet.ipv4[side], toAddress(address), addressText);
    if (wrong !== null || port === undefined) return wrong;
    const transport = packet.tcp ?? packet.udp;
    return transport ? expected(`${side} port`, transport[`${side}Port`], port) : "expected TCP or UDP";
  };
}

export const from = (address: string | number, port?: number): Check => endpoint("source", address, port);
export const to = (address: string | number, port?: number): Check => endpoint("destination", address, port);

export const sourceMac = (mac: string): Check => (packet) => expected("source MAC", packet.sourceMac, mac);
export const destinationMac = (mac: string): Check => (packet) =>
  expected("destination MAC", packet.destinationMac, mac);

export const ttl = (value: number): Check => (packet) => expected("TTL", packet.ipv4?.ttl, value);
export const dscp = (value: number): Check => (packet) => expected("DSCP", packet.ipv4?.dscp, value);
export const ecn = (value: number): Check => (packet) => expected("ECN", packet.ipv4?.ecn, value);
export const dontFragment = (value = true): Check => (packet) =>
  expected("DF", packet.ipv4?.dontFragment, value);

export function arpRequest(target: string | number, sender?: string | number): Check {
  return (packet) => checkArp(packet, 1, "target", target, sender);
}

export function arpReply(sender: string | number, target?: string | number): Check {
  return (packet) => checkArp(packet, 2, "sender", sender, target);
}

function checkArp(
  packet: Packet,
  operation: number,
  side: "sender" | "target",
  address: string | number,
  other?: string | number,
): string | null {
  const { arp } = packet;
  if (!arp) return "expected ARP";
  const opposite = side === "sender" ? arp.targetAddress : arp.senderAddress;
  return expected("ARP operation", arp.operation, operation) ??
    expected(`ARP ${side}`, arp[`${side}Address`], toAddress(address), addressText) ??
    (other === undefined ? null : expected("the other ARP address", opposite, toAddress(other), addressText));
}

export function icmp(type: number, code = 0): Check {
  return (packet) =>
    packet.icmp
      ? expected("ICMP type", packet.icmp.type, type) ?? expected("ICMP code", packet.icmp.code, code)
      : "expected ICMP";
}

export function echo(id: number, seq: number): Check {
  return (packet) =>
    packet.icmp
      ? expected("echo id", packet.icmp.id, id) ?? expected("echo seq", packet.icmp.seq, seq)
      : "expected ICMP";
}

/** Exactly these flags, as tcpdump writes them: `S`, `S.`, `P.`, `R`. */
export function flags(text: string): Check {
  const wanted = parseFlags(text);
  return ofTcp((tcp) => expected("flags", tcp.flags, wanted, (value) => `[${flagsText(value)}]`));
}

/** PSH is a hint, not a part of the protocol's answer: these flags, with or without it. */
export function flagsButPush(text: string): Check {
  const wanted = parseFlags(text);
  return ofTcp((tcp) => expected("flags", tcp.flags & ~8, wanted, (value) => `[${flagsText(value)}]`));
}

const asUint32 = (value: number) => String(value >>> 0);

export const seq = (value: number): Check => ofTcp((tcp) => expected("seq", tcp.seq, value | 0, asUint32));
export const ack = (value: number): Check => ofTcp((tcp) => expected("ack", tcp.ack, value | 0, asUint32));
export const win = (value: number): Check => ofTcp((tcp) => expected("win", tcp.window, value));
export const urgent = (value: number): Check => ofTcp((tcp) => expected("urg", tcp.urgentPointer, value));

/** The payload of TCP, UDP or ICMP: its bytes, its text, or its length alone. */
export function payload(wanted: Uint8Array | string | number): Check {
  return (packet) => {
    const actual = (packet.tcp ?? packet.udp ?? packet.icmp)?.payload;
    if (!actual) return "expected TCP, UDP or ICMP";
    if (typeof wanted === "number") return expected("payload length", actual.length, wanted);
    const bytes = typeof wanted === "string" ? new TextEncoder().encode(wanted) : wanted;
    const differs = bytes.findIndex((byte, i) => byte !== actual[i]);
    return expected("payload length", actual.length, bytes.length) ??
      (differs >= 0 ? `payload differs from byte ${differs} on` : null);
  };
}

function option(kind: number, name: string, check: (data: DataView) => string | null): Check {
  return ofTcp((tcp) => {
    const found = tcp.options.find((candidate) => candidate.kind === kind);
    if (!found) return `expected option ${name}`;
    return check(new DataView(found.data.buffer, found.data.byteOffset, found.data.byteLength));
  });
}

export const mss = (value: number): Check =>
  option(2, "mss", (data) => expected("mss", data.getUint16(0), value));
export const wscale = (value: number): Check =>
  option(3, "wscale", (data) => expected("wscale", data.getUint8(0), value));
export const sackOk: Check = option(4, "sackOK", () => null);

export function timestamp(value?: number, echoed?: number): Check {
  return option(
    8,
    "TS",
    (data) =>
      (value === undefined ? null : expected("TS val", data.getInt32(0), value | 0, asUint32)) ??
        (echoed === undefined ? null : expected("TS ecr", data.getInt32(4), echoed | 0, asUint32)),
  );
}

/** Exactly these SACK blocks, in this order. */
export function sack(...blocks: [left: number, right: number][]): Check {
  const show = (list: number[]) => list.map(asUint32).join(" ");
  return option(5, "sack", (data) => {
    const actual = Array.from({ length: data.byteLength / 4 }, (_, i) => data.getInt32(4 * i));
    return expected("sack blocks", show(actual), show(blocks.flat().map((edge) => edge | 0)));
  });
}

/** None of these kinds of option; with no argument: no option at all. */
export function withoutOptions(...kinds: number[]): Check {
  return ofTcp((tcp) => {
    const found = tcp.options.filter(({ kind }) => kinds.length === 0 || kinds.includes(kind));
    return found.length === 0 ? null : `expected no option ${found.map(({ kind }) => kind).join(", ")}`;
  });
}

/** The order and padding of all options, as kinds: `[2, 4, 8, 1, 3]` is a Linux SYN's. */
export function optionKinds(...kinds: number[]): Check {
  return ofTcp((tcp) =>
    expected("option kinds", tcp.options.map(({ kind }) => kind).join(","), kinds.join(","))
  );
}
