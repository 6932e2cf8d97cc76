import type { IpSpec, PacketSpec, TcpOption, TcpSpec } from "./ast.ts";
import type { RunConfig } from "./config.ts";
import { icmpName } from "./icmp_names.ts";
import { formatEcn, formatPacket, formatTcp, type Packet } from "./segment.ts";
import { OPTION_EOL, OPTION_NOP, OPTION_SACK, OPTION_TIMESTAMP, optionLength } from "./tcp_options.ts";

const PSH = 8;
const CWR = 128;

/** What a segment of ours is compared with. */
export interface Expectation {
  config: RunConfig;
  spec: PacketSpec;
  /** How many segments were put together to one, as a device that cuts them would have been given it. */
  pieces: number;
}

/** The fields that differ, each as "name: expected a, got b"; empty when the packet is what the script says. */
export function differences(expectation: Expectation, actual: Packet): string[] {
  const { spec } = expectation;
  if (spec.type !== actual.type) return [`protocol: expected ${spec.type}, got ${actual.type}`];
  const found = ipDifferences(spec.ip, actual);
  const check = (name: string, expected: number, got: number) => {
    if (expected !== got) found.push(`${name}: expected ${expected}, got ${got}`);
  };
  if (spec.type === "udp") check("payload length", spec.length, actual.payload.length);
  else if (spec.type === "icmp") {
    const [expected, got] = [
      icmpName(spec.icmpType, spec.icmpCode),
      icmpName(actual.icmpType, actual.icmpCode),
    ];
    if (expected !== got) found.push(`expected icmp ${expected}, got icmp ${got}`);
  } else found.push(...tcpDifferences(expectation, spec, actual));
  return found;
}

function ipDifferences(spec: IpSpec, actual: Packet): string[] {
  const found: string[] = [];
  const ecn = actual.tos & 3;
  if (spec.ecn === "ect01" ? ecn !== 1 && ecn !== 2 : spec.ecn !== undefined && spec.ecn !== ecn) {
    found.push(`IP ECN: expected ${formatEcn(spec.ecn)}got ${formatEcn(ecn).trim()}`);
  }
  if (spec.tos !== undefined && spec.tos !== actual.tos) {
    found.push(`IP TOS: expected ${spec.tos}, got ${actual.tos}`);
  }
  if (spec.ttl !== undefined && spec.ttl !== actual.ttl) {
    found.push(`IP TTL: expected ${spec.ttl}, got ${actual.ttl}`);
  }
  return found;
}

function tcpDifferences({ config, pieces }: Expectation, spec: TcpSpec, actual: Packet): string[] {
  const found: string[] = [];
  const check = (name: string, expected: number, got: number) => {
    if (expected !== got) found.push(`${name}: expected ${expected}, got ${got}`);
  };
  // Whoever cuts a long segment for the stack sets PSH as it likes: Linux sets it on every one it hands over uncut.
  const ignored = pieces > 1 ? PSH : 0;
  const mask = 0x1ff & ~ignored;
  if ((spec.bits & mask) !== (actual.bits & mask)) found.push("flags differ");
  check("payload length", spec.length, actual.payload.length);
  if (!spec.anySeq) check("seq", spec.seq, actual.seq);
  check("ack", spec.ack, actual.ack);
  check("urgent pointer", spec.urgent, actual.urgent);
  if (spec.window >= 0 && (!config.loose || spec.window === 0)) check("window", spec.window, actual.window);
  if (spec.options !== null) found.push(...optionDifferences(config, spec.options, actual.options));
  return found;
}

function optionDifferences(config: RunConfig, expected: TcpOption[], actual: TcpOption[]): string[] {
  const isReal = ({ kind }: TcpOption) => kind !== OPTION_NOP && kind !== OPTION_EOL;
  const inOrder = (options: TcpOption[]) =>
    config.loose ? options.filter(isReal).sort((a, b) => a.kind - b.kind) : options;
  const left = inOrder(expected);
  const right = inOrder(actual);
  if (left.length !== right.length) return ["options differ"];
  return left.flatMap((option, i) => optionDifference(config, option, right[i]));
}

function optionDifference(config: RunConfig, expected: TcpOption, actual: TcpOption): string[] {
  if (expected.kind !== actual.kind || optionLength(expected) !== optionLength(actual)) {
    return ["options differ"];
  }
  if (expected.kind === OPTION_TIMESTAMP) return timestampDifference(config, expected, actual);
  if (expected.kind === OPTION_SACK) {
    return expected.blocks?.join() === actual.blocks?.join() ? [] : ["SACK blocks differ"];
  }
  const same = expected.mss === actual.mss && expected.scale === actual.scale &&
    expected.data.join() === actual.data.join();
  return same ? [] : [`option ${expected.name} differs`];
}

function timestampDifference(config: RunConfig, expected: TcpOption, actual: TcpOption): string[] {
  const found: string[] = [];
  const offUs = Math.abs(((actual.value ?? 0) - (expected.value ?? 0)) | 0) * config.tsTickUs;
  if (offUs > config.toleranceUs) found.push(`TS val: expected ${expected.value}, got ${actual.value}`);
  if (config.checkTsEcr && expected.echo !== actual.echo) {
    found.push(`TS ecr: expected ${expected.echo}, got ${actual.echo}`);
  }
  return found;
}

/** Whether `next` continues `previous` as a device would have cut them from one long segment. */
export function continues(previous: Packet, next: Packet): boolean {
  return previous.type === "tcp" && next.type === "tcp" &&
    ((previous.seq + previous.payload.length) >>> 0) === next.seq && next.payload.length > 0 &&
    previous.ack === next.ack && previous.window === next.window &&
    ((previous.bits ^ next.bits) & ~(PSH | CWR | 1)) === 0;
}

/** One packet from pieces in order: the first one's sequence number and CWR, the last one's FIN and options. */
export function aggregate(pieces: Packet[]): Packet {
  if (pieces.length === 1) return pieces[0];
  const first = pieces[0];
  const last = pieces[pieces.length - 1];
  const payload = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.payload.length, 0));
  let at = 0;
  for (const piece of pieces) {
    payload.set(piece.payload, at);
    at += piece.payload.length;
  }
  const bits = (last.bits & ~CWR) | (first.bits & CWR);
  return { ...last, seq: first.seq, bits, payload };
}

/** The script's packet as text, beside which the actual one is shown. */
export function formatSpec(spec: PacketSpec): string {
  const mark = formatEcn(spec.ip.ecn);
  if (spec.type === "udp") return `${mark}udp (${spec.length})`;
  if (spec.type === "icmp") return `${mark}icmp ${icmpName(spec.icmpType, spec.icmpCode)}`;
  return mark + formatTcp(spec);
}

/** The actual packet as text, with only what the script's says something about. */
export function formatActual(spec: PacketSpec, actual: Packet): string {
  const withEcn = spec.ip.ecn !== undefined;
  if (spec.type !== "tcp" || actual.type !== "tcp") return formatPacket(actual, withEcn);
  const shown: Packet = { ...actual, window: spec.window < 0 ? -1 : actual.window };
  if (spec.options === null) shown.options = [];
  return formatPacket(shown, withEcn);
}
