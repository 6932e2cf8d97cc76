import type { Direction, EchoedSpec, IcmpSpec, IpSpec, PacketSpec, TcpSpec, UdpSpec } from "./ast.ts";
import type { Cursor } from "./cursor.ts";
import { icmpCode, icmpType, icmpv4Names } from "./icmp_names.ts";
import { ScriptError } from "./lexer.ts";
import { parseTcpOptions } from "./tcp_options.ts";

const ECN_NAMES: Record<string, number | "ect01"> = { noecn: 0, ect1: 1, ect0: 2, ce: 3, ect01: "ect01" };

const FLAG_BITS: Record<string, number> = {
  F: 1,
  S: 2,
  R: 4,
  P: 8,
  ".": 16,
  U: 32,
  E: 64,
  W: 128,
  A: 256,
};

/** What precedes an inbound or outbound packet: `<` or `>`. */
export function startsPacket(cursor: Cursor): boolean {
  return cursor.isPunctuation("<") || cursor.isPunctuation(">");
}

/** `< [ect0] S. 0:0(0) ack 1 win 65535 <mss 1460>` and its UDP and ICMP relatives. */
export function parsePacket(cursor: Cursor): PacketSpec {
  const { line } = cursor.peek();
  const direction: Direction = cursor.next().text === "<" ? "inbound" : "outbound";
  if (cursor.is("word", "ipv4") || cursor.is("word", "ipv6") || cursor.is("word", "gre")) {
    cursor.fail("encapsulated packets are not supported");
  }
  const ip = isEchoed(cursor) ? {} : parseIpSpec(cursor);
  if (isEchoed(cursor) || cursor.is("word", "icmp")) return parseIcmp(cursor, direction, ip);
  if (cursor.is("word", "udp")) return parseUdp(cursor, direction, ip);
  const packet = parseTcp(cursor, direction, ip);
  if (packet.type === "tcp" && direction === "inbound") checkInbound(packet, line);
  return packet;
}

function checkInbound(packet: TcpSpec, line: number): void {
  if (packet.options === null) throw new ScriptError("<...> is for outbound packets only", line);
  if (packet.ip.ecn === "ect01") throw new ScriptError("[ect01] is for outbound packets only", line);
  if (packet.window < 0) throw new ScriptError("an inbound packet needs a window", line);
}

/** `[1:1001(1000)]`, `[udp (N)]` or `[raw (N)]`: what an ICMP error quotes. */
function isEchoed(cursor: Cursor): boolean {
  return cursor.isPunctuation("[") &&
    (cursor.is("integer", undefined, 1) || cursor.is("word", "udp", 1) || cursor.is("word", "raw", 1));
}

/** `[ect0]`, `(ce)`, `[tos 0x10]`, `[ttl 64]`, `[ect0, flowlabel 0x12]` or nothing. */
function parseIpSpec(cursor: Cursor): IpSpec {
  const spec: IpSpec = {};
  const open = cursor.peek();
  if (open.kind !== "punctuation" || (open.text !== "[" && open.text !== "(")) return spec;
  cursor.next();
  const close = open.text === "[" ? "]" : ")";
  do {
    parseIpField(cursor, spec);
  } while (cursor.accept("punctuation", ","));
  cursor.punctuation(close);
  return spec;
}

function parseIpField(cursor: Cursor, spec: IpSpec): void {
  const { text } = cursor.expect("word");
  if (text in ECN_NAMES) spec.ecn = ECN_NAMES[text];
  else if (text === "tos") spec.tos = cursor.integer("tos", 0, 255);
  else if (text === "ttl") spec.ttl = cursor.integer("ttl", 0, 255);
  else if (text === "flowlabel") cursor.integer("flow label", 0, 0xfffff);
  else cursor.fail(`unknown IP field '${text}'`);
}

/** `8080 > 40000` or nothing. */
function parsePorts(cursor: Cursor): { sourcePort: number; destinationPort: number } {
  if (!(cursor.is("integer") && cursor.isPunctuation(">", 1))) return { sourcePort: 0, destinationPort: 0 };
  const sourcePort = cursor.integer("source port", 0, 0xffff);
  cursor.punctuation(">");
  return { sourcePort, destinationPort: cursor.integer("destination port", 0, 0xffff) };
}

function parseTcp(cursor: Cursor, direction: Direction, ip: IpSpec): TcpSpec {
  const ports = parsePorts(cursor);
  const flags = parseFlags(cursor);
  const anySeq = direction === "outbound" && cursor.accept("ellipsis");
  const { seq, length } = anySeq ? { seq: 0, length: parseLength(cursor) } : parseSequence(cursor);
  const ack = cursor.accept("word", "ack") ? cursor.integer("ack") : 0;
  const window = cursor.accept("word", "win") ? cursor.integer("window", 0, 0xffff) : -1;
  const urgent = cursor.accept("word", "urg") ? cursor.integer("urgent pointer", 0, 0xffff) : 0;
  const options = parseTcpOptions(cursor);
  if (cursor.isPunctuation("{")) cursor.fail("fuzzed packets are not supported");
  return {
    type: "tcp",
    direction,
    ip,
    ...ports,
    ...flags,
    seq,
    anySeq,
    length,
    ack,
    window,
    urgent,
    options,
  };
}

/** `S`, `S.`, `SEW`, `P.`, `.`, `-` (none), or with an ACE count as in `S.5`. */
function parseFlags(cursor: Cursor): { flags: string; bits: number; ace: boolean } {
  if (cursor.accept("punctuation", "-")) return { flags: "", bits: 0, ace: false };
  let flags = "";
  if (cursor.is("word") || cursor.is("integer")) flags += cursor.next().text;
  if (cursor.is("float") && cursor.peek().text.startsWith(".")) flags += cursor.next().text;
  else if (cursor.accept("punctuation", ".")) flags += ".";
  if (flags === "") cursor.fail("expected TCP flags");
  let bits = 0;
  let ace = false;
  for (const letter of flags) {
    if (letter >= "0" && letter <= "7") {
      ace = true;
      const count = Number(letter);
      bits |= (count & 1 ? FLAG_BITS.E : 0) | (count & 2 ? FLAG_BITS.W : 0) | (count & 4 ? FLAG_BITS.A : 0);
    } else if (letter in FLAG_BITS) bits |= FLAG_BITS[letter];
    else cursor.fail(`unknown TCP flag '${letter}'`);
  }
  return { flags, bits, ace };
}

/** `1:1001(1000)`. */
function parseSequence(cursor: Cursor): { seq: number; length: number } {
  const seq = cursor.integer("sequence number");
  cursor.punctuation(":");
  const end = cursor.integer("end sequence number");
  const length = parseLength(cursor);
  if (((seq + length) >>> 0) !== end) {
    cursor.fail(`sequence numbers ${seq}:${end} do not fit a payload of ${length} bytes`);
  }
  return { seq, length };
}

function parseLength(cursor: Cursor): number {
  cursor.punctuation("(");
  const length = cursor.integer("payload length", 0, 0xffff);
  cursor.punctuation(")");
  return length;
}

function parseUdp(cursor: Cursor, direction: Direction, ip: IpSpec): UdpSpec {
  cursor.expect("word", "udp");
  const ports = parsePorts(cursor);
  const length = parseLength(cursor);
  return { type: "udp", direction, ip, ...ports, length };
}

function parseIcmp(cursor: Cursor, direction: Direction, ip: IpSpec): IcmpSpec {
  // The FreeBSD variant names the quoted packet first, Google's last.
  let echoed = isEchoed(cursor) ? parseEchoed(cursor) : null;
  cursor.expect("word", "icmp");
  if (cursor.isPunctuation("[") && !isEchoed(cursor)) Object.assign(ip, parseIpSpec(cursor));
  const { type, code } = parseIcmpType(cursor);
  const mtu = cursor.accept("word", "mtu") ? cursor.integer("mtu") : -1;
  const echoId = cursor.accept("word", "id") ? cursor.integer("id", 0, 0xffff) : 0;
  if (echoed === null && isEchoed(cursor)) echoed = parseEchoed(cursor);
  echoed ??= { protocol: "tcp", seq: 0, length: 0 };
  return { type: "icmp", direction, ip, icmpType: type, icmpCode: code, mtu, echoId, echoed };
}

/** `unreachable frag_needed`, or a type alone. */
function parseIcmpType(cursor: Cursor): { type: number; code: number } {
  const first = cursor.expect("word").text;
  const hasCode = cursor.is("word") && !cursor.is("word", "mtu") && !cursor.is("word", "id");
  const [typeName, codeName] = icmpv4Names(first, hasCode ? cursor.next().text : "");
  const type = icmpType(typeName) ?? cursor.fail(`unknown ICMP type '${typeName}'`);
  if (codeName === "") return { type, code: 0 };
  return { type, code: icmpCode(typeName, codeName) ?? cursor.fail(`unknown ICMP code '${codeName}'`) };
}

function parseEchoed(cursor: Cursor): EchoedSpec {
  cursor.punctuation("[");
  let echoed: EchoedSpec;
  if (cursor.is("word")) {
    const protocol = cursor.next().text === "udp" ? "udp" : "raw";
    echoed = { protocol, seq: 0, length: parseLength(cursor) };
  } else {
    echoed = { protocol: "tcp", ...parseSequence(cursor) };
  }
  cursor.punctuation("]");
  return echoed;
}
