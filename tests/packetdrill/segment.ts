import type { TcpOption } from "./ast.ts";
import { icmpName } from "./icmp_names.ts";
import { formatOption } from "./tcp_options.ts";

/** A packet that was sent or is about to be fed in, decoded; sequence numbers are unsigned. */
export interface Packet {
  /** When it left or arrives, on the virtual clock. */
  atUs: number;
  type: "tcp" | "udp" | "icmp";
  source: string;
  destination: string;
  sourcePort: number;
  destinationPort: number;
  tos: number;
  ttl: number;
  seq: number;
  ack: number;
  bits: number;
  window: number;
  urgent: number;
  options: TcpOption[];
  payload: Uint8Array;
  icmpType: number;
  icmpCode: number;
}

const FLAG_LETTERS: [number, string][] = [
  [2, "S"],
  [1, "F"],
  [4, "R"],
  [8, "P"],
  [32, "U"],
  [64, "E"],
  [128, "W"],
  [256, "A"],
  [16, "."],
];

const ECN_MARKS = ["noecn", "ect1", "ect0", "ce"];

/** The letters of a segment's flags, "-" for none. */
export function formatFlags(bits: number): string {
  const letters = FLAG_LETTERS.filter(([bit]) => (bits & bit) !== 0).map(([, letter]) => letter).join("");
  return letters === "" ? "-" : letters;
}

export interface SegmentText {
  bits: number;
  seq: number;
  length: number;
  ack: number;
  /** -1: leave out. */
  window: number;
  urgent: number;
  /** null: `<...>`. */
  options: TcpOption[] | null;
}

/** `S. 0:0(0) ack 1 win 65535 <mss 1460>`. */
export function formatTcp(segment: SegmentText): string {
  const { bits, seq, length, ack, window, urgent, options } = segment;
  const parts = [formatFlags(bits), `${seq}:${(seq + length) >>> 0}(${length})`];
  if ((bits & 16) !== 0) parts.push(`ack ${ack}`);
  if (window >= 0) parts.push(`win ${window}`);
  if (urgent > 0) parts.push(`urg ${urgent}`);
  if (options === null) parts.push("<...>");
  else if (options.length > 0) parts.push(`<${options.map(formatOption).join(",")}>`);
  return parts.join(" ");
}

/** `[ect0] ` or nothing. */
export function formatEcn(ecn: number | "ect01" | undefined): string {
  if (ecn === undefined) return "";
  return `[${ecn === "ect01" ? ecn : ECN_MARKS[ecn]}] `;
}

/** A packet as a script would spell it, without direction and time. */
export function formatPacket(packet: Packet, withEcn = false): string {
  const ecn = withEcn ? formatEcn(packet.tos & 3) : "";
  if (packet.type === "udp") return `${ecn}udp (${packet.payload.length})`;
  if (packet.type === "icmp") return `${ecn}icmp ${icmpName(packet.icmpType, packet.icmpCode)}`;
  return ecn + formatTcp({ ...packet, length: packet.payload.length });
}

/** `+0.200000`-style seconds with six places, without needless zeros. */
export function formatSeconds(us: number): string {
  return (us / 1e6).toFixed(6).replace(/0+$/, "").replace(/\.$/, "");
}
