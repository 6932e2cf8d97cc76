import {
  addressText,
  decode,
  type DecodedIcmp,
  type DecodedTcp,
  type DecodeOptions,
  type Packet,
  type TcpOption,
} from "./decode.ts";

/** One letter a flag, in tcpdump's order, lowest bit first: FIN SYN RST PSH ACK URG ECE CWR AE. */
const FLAG_LETTERS = "FSRP.UEWe";

export interface FormatOptions extends DecodeOptions {
  /** Subtracted from what each direction's sequence numbers are, by `source.port` text: relative numbers. */
  isn?: Map<string, number>;
}

/**
 * A frame as one line, as `tcpdump -n -t -S` prints it but without the leading `IP`, and with what is wrong at its end:
 * `10.0.0.4.1234 > 10.0.0.5.80: Flags [S.], seq 1, ack 2, win 65535, options [mss 1460], length 0`.
 */
export function formatFrame(bytes: Uint8Array, options: FormatOptions = {}): string {
  const packet = decode(bytes, options);
  const wrong = complaints(packet);
  return describe(packet, options) + (wrong.length > 0 ? ` (${wrong.join(", ")})` : "");
}

/** What is wrong with a packet by itself: lengths and checksums. */
export function complaints(packet: Packet): string[] {
  const wrong: string[] = [];
  if (packet.malformed !== "") wrong.push(packet.malformed);
  else if (packet.ipv4 && !packet.ipv4.checksumOk) wrong.push("bad IP checksum");
  if (packet.tcp && !packet.tcp.checksumOk) wrong.push("bad TCP checksum");
  if (packet.udp && !packet.udp.checksumOk) wrong.push("bad UDP checksum");
  if (packet.icmp && !packet.icmp.checksumOk) wrong.push("bad ICMP checksum");
  return wrong;
}

function describe(packet: Packet, options: FormatOptions): string {
  if (packet.arp) return describeArp(packet);
  const { ipv4 } = packet;
  if (!ipv4) {
    return `ethertype 0x${packet.etherType.toString(16).padStart(4, "0")}, length ${packet.bytes.length}`;
  }
  const source = addressText(ipv4.source);
  const destination = addressText(ipv4.destination);
  const length = ipv4.totalLength - ipv4.headerLength;
  if (packet.tcp) return describeTcp(source, destination, packet.tcp, options.isn);
  if (packet.udp) {
    const { sourcePort, destinationPort, payload } = packet.udp;
    return `${source}.${sourcePort} > ${destination}.${destinationPort}: UDP, length ${payload.length}`;
  }
  if (packet.icmp) return `${source} > ${destination}: ICMP ${icmpText(packet.icmp)}, length ${length}`;
  if (ipv4.fragmentOffset > 0) {
    return `${source} > ${destination}: protocol ${ipv4.protocol}, fragment at ${ipv4.fragmentOffset}, length ${length}`;
  }
  return `${source} > ${destination}: protocol ${ipv4.protocol}, length ${length}`;
}

function describeArp(packet: Packet): string {
  const { operation, senderMac, senderAddress, targetAddress } = packet.arp!;
  const length = packet.bytes.length - 14;
  const target = addressText(targetAddress);
  const sender = addressText(senderAddress);
  if (operation === 1) return `ARP, Request who-has ${target} tell ${sender}, length ${length}`;
  if (operation === 2) return `ARP, Reply ${sender} is-at ${senderMac}, length ${length}`;
  return `ARP, operation ${operation}, length ${length}`;
}

function icmpText({ type, code, id, seq, payload }: DecodedIcmp): string {
  if (type === 8) return `echo request, id ${id}, seq ${seq}`;
  if (type === 0) return `echo reply, id ${id}, seq ${seq}`;
  const quoted = payload.length >= 20
    ? ` of ${addressText(new DataView(payload.buffer, payload.byteOffset).getInt32(16))}`
    : "";
  const names = ["network", "host", "protocol", "port", "need to frag"];
  if (type === 3) {
    return `${names[code] ?? `code ${code}`} unreachable${quoted}${code === 4 ? ` mtu ${seq}` : ""}`;
  }
  if (type === 11) return `${code === 0 ? "time exceeded" : "reassembly time exceeded"}${quoted}`;
  return `type ${type}, code ${code}`;
}

function describeTcp(
  source: string,
  destination: string,
  tcp: DecodedTcp,
  isn?: Map<string, number>,
): string {
  const from = `${source}.${tcp.sourcePort}`;
  const to = `${destination}.${tcp.destinationPort}`;
  const sent = isn?.get(from) ?? 0;
  const acked = isn?.get(to) ?? 0;
  const number = (value: number, base: number) => (value - base) >>> 0;
  const parts = [`Flags [${flagsText(tcp.flags)}]`];
  const { length } = tcp.payload;
  if (length > 0) parts.push(`seq ${number(tcp.seq, sent)}:${number(tcp.seq + length, sent)}`);
  else if ((tcp.flags & 7) !== 0) parts.push(`seq ${number(tcp.seq, sent)}`);
  if ((tcp.flags & 16) !== 0) parts.push(`ack ${number(tcp.ack, acked)}`);
  parts.push(`win ${tcp.window}`);
  if ((tcp.flags & 32) !== 0) parts.push(`urg ${tcp.urgentPointer}`);
  if (tcp.options.length > 0) {
    parts.push(`options [${tcp.options.map((option) => optionText(option, acked)).join(",")}]`);
  }
  parts.push(`length ${length}`);
  return `${from} > ${to}: ${parts.join(", ")}`;
}

/** `S.` for SYN and ACK; `none` for no flag at all. */
export function flagsText(flags: number): string {
  const letters = [...FLAG_LETTERS].filter((_, bit) => (flags & (1 << bit)) !== 0).join("");
  return letters === "" ? "none" : letters;
}

/** The flags of such a text. Throws a RangeError for another letter. */
export function parseFlags(text: string): number {
  if (text === "none") return 0;
  let flags = 0;
  for (const letter of text) {
    const bit = FLAG_LETTERS.indexOf(letter);
    if (bit < 0) throw new RangeError(`Cannot read flags '${text}': they are letters of ${FLAG_LETTERS}`);
    flags |= 1 << bit;
  }
  return flags;
}

function optionText({ kind, data }: TcpOption, acked: number): string {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const u32 = (at: number) => view.getUint32(at);
  if (kind === 0) return "eol";
  if (kind === 1) return "nop";
  if (kind === 2 && data.length === 2) return `mss ${view.getUint16(0)}`;
  if (kind === 3 && data.length === 1) return `wscale ${data[0]}`;
  if (kind === 4 && data.length === 0) return "sackOK";
  if (kind === 5 && data.length > 0 && data.length % 8 === 0) {
    const blocks = Array.from(
      { length: data.length / 8 },
      (_, i) => `{${(u32(8 * i) - acked) >>> 0}:${(u32(8 * i + 4) - acked) >>> 0}}`,
    );
    return `sack ${blocks.length} ${blocks.join("")}`;
  }
  if (kind === 8 && data.length === 8) return `TS val ${u32(0)} ecr ${u32(4)}`;
  if (kind === 34) {
    return data.length === 0
      ? "tfo cookiereq"
      : `tfo cookie ${[...data].map((b) => b.toString(16).padStart(2, "0")).join("")}`;
  }
  return `option ${kind} (${data.length + 2} bytes)`;
}
