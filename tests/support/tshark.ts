/** What tshark makes of a capture, and what lib/wire makes of the same frames, in the same words: to be compared. */
import { assertEquals } from "@std/assert";
import { Memory } from "../../lib/buffer/memory.ts";
import { formatIp, formatMac } from "../../lib/wire/address.ts";
import { ArpHeader, parseArp } from "../../lib/wire/arp.ts";
import { fold, pseudoSum, sum } from "../../lib/wire/checksum.ts";
import { DROP, dropName } from "../../lib/wire/drop.ts";
import { ETHER_TYPE, EthernetHeader, parseEthernet } from "../../lib/wire/ethernet.ts";
import {
  ICMP_TYPE,
  ICMP_UNREACHABLE,
  Icmpv4Header,
  parseIcmpv4,
  parseQuoted,
  QuotedPacket,
} from "../../lib/wire/icmpv4.ts";
import { IP_PROTOCOL, Ipv4Header, parseIpv4 } from "../../lib/wire/ipv4.ts";
import { parseTcp, TcpHeader } from "../../lib/wire/tcp.ts";
import { parseUdp, UdpHeader } from "../../lib/wire/udp.ts";

/** A frame's fields by tshark's names; those of the packet that an ICMP error quotes begin with "quoted.". */
export type Fields = Record<string, string>;

/** Sequence numbers as they are, every checksum verified, every fragment by itself. */
const PREFERENCES = [
  ...["tcp.relative_sequence_numbers:FALSE", "tcp.analyze_sequence_numbers:FALSE"],
  ...["tcp.desegment_tcp_streams:FALSE", "ip.defragment:FALSE"],
  ...["ip.check_checksum:TRUE", "tcp.check_checksum:TRUE", "udp.check_checksum:TRUE"],
].flatMap((preference) => ["-o", preference]);

/** The outermost of these: a port or bytes of chance can look like a tunnel, with headers of its own in it. */
const LAYERS = ["eth", "arp", "ip", "icmp", "tcp", "udp"];

/** The fields that both know; tshark's name for each. */
const SHARED = new Set([
  ...["eth.dst", "eth.src", "eth.type"],
  ...["arp.opcode", "arp.src.hw_mac", "arp.src.proto_ipv4", "arp.dst.hw_mac", "arp.dst.proto_ipv4"],
  ...["ip.hdr_len", "ip.dsfield.dscp", "ip.dsfield.ecn", "ip.len", "ip.id", "ip.flags.df", "ip.flags.mf"],
  ...["ip.frag_offset", "ip.ttl", "ip.proto", "ip.src", "ip.dst", "ip.checksum.status"],
  ...["icmp.type", "icmp.code", "icmp.checksum", "icmp.checksum.status", "icmp.ident", "icmp.seq"],
  ...["icmp.mtu", "icmp.redir_gw"],
  ...["udp.srcport", "udp.dstport", "udp.length", "udp.checksum", "udp.checksum.status"],
  ...["tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.hdr_len", "tcp.flags"],
  ...["tcp.window_size_value", "tcp.urgent_pointer", "tcp.len", "tcp.checksum", "tcp.checksum.status"],
  ...["tcp.options.mss_val", "tcp.options.wscale.shift", "tcp.option_kind.4"],
  ...["tcp.options.timestamp.tsval", "tcp.options.timestamp.tsecr"],
  ...["tcp.options.sack_le", "tcp.options.sack_re"],
]);

/** Of the packet that an ICMP error quotes, all that the stack reads. */
const QUOTED = new Set([
  ...["ip.proto", "ip.src", "ip.dst", "ip.len", "icmp.type", "icmp.ident", "icmp.seq"],
  ...["udp.srcport", "udp.dstport", "tcp.srcport", "tcp.dstport", "tcp.seq"],
]);

type Json = { [key: string]: Json | Json[] | string | string[] };

/** Every frame of a capture file as tshark decodes it. */
export async function tsharkFields(path: string): Promise<Fields[]> {
  const { success, stdout, stderr } = await new Deno.Command("tshark", {
    args: [
      "-r",
      path,
      "-n",
      "-T",
      "json",
      "--no-duplicate-keys",
      ...PREFERENCES,
    ],
    stdout: "piped",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`tshark: ${new TextDecoder().decode(stderr)}`);
  const frames: { _source: { layers: Json } }[] = JSON.parse(new TextDecoder().decode(stdout));
  return frames.map(({ _source: { layers } }) => {
    const fields: Fields = {};
    for (const name of LAYERS) {
      const layer = [layers[name]].flat()[0];
      if (layer !== undefined) collect(fields, "", name, layer, SHARED);
    }
    return fields;
  });
}

/** Takes the shared fields out of a layer. Layers inside one of ICMP are those of the quoted packet. */
function collect(fields: Fields, prefix: string, key: string, value: Json[string], known: Set<string>): void {
  if (Array.isArray(value) && value.some((item) => typeof item === "object")) {
    for (const item of value) collect(fields, prefix, key, item, known);
  } else if (typeof value === "object" && !Array.isArray(value)) {
    const isQuote = prefix === "" && key === "icmp";
    for (const [name, inner] of Object.entries(value)) {
      const isLayer = isQuote && typeof inner === "object" && !name.includes(".");
      collect(fields, isLayer ? "quoted." : prefix, name, inner, isLayer ? QUOTED : known);
    }
  } else {
    const text = [value].flat().join(",");
    const name = key === "tcp.option_kind" ? `${key}.${text}` : key;
    if (known.has(name)) fields[prefix + name] = name === key ? text : "";
    if (known === SHARED && name === "tcp.option_kind.4") fields[name] = "";
  }
}

const memory = new Memory(65536 + 256);
const START = 2;
const ethernet = new EthernetHeader();
const arp = new ArpHeader();
const ip = new Ipv4Header();
const icmp = new Icmpv4Header();
const quoted = new QuotedPacket();
const udp = new UdpHeader();
const tcp = new TcpHeader();

/** One frame as lib/wire decodes it; throws when it finds anything wrong. */
export function wireFields(bytes: Uint8Array): Fields {
  memory.bytes.set(bytes, START);
  sound(parseEthernet(memory, START, bytes.length, ethernet));
  const fields: Fields = {
    "eth.dst": formatMac(ethernet.destination),
    "eth.src": formatMac(ethernet.source),
    "eth.type": hex(ethernet.etherType, 4),
  };
  if (ethernet.etherType === ETHER_TYPE.arp) arpFields(fields, bytes.length - 14);
  if (ethernet.etherType === ETHER_TYPE.ipv4) ipFields(fields, bytes.length - 14);
  return fields;
}

function sound(drop: number): void {
  if (drop !== DROP.none) throw new Error(`lib/wire drops it: ${dropName(drop)}`);
}

function hex(value: number, digits: number): string {
  return `0x${value.toString(16).padStart(digits, "0")}`;
}

const flag = (value: boolean) => value ? "1" : "0";
const unsigned = (value: number) => `${value >>> 0}`;

function arpFields(fields: Fields, length: number): void {
  sound(parseArp(memory, START + 14, length, arp));
  Object.assign(fields, {
    "arp.opcode": `${arp.operation}`,
    "arp.src.hw_mac": formatMac(arp.senderMac),
    "arp.src.proto_ipv4": formatIp(arp.senderIp),
    "arp.dst.hw_mac": formatMac(arp.targetMac),
    "arp.dst.proto_ipv4": formatIp(arp.targetIp),
  });
}

function ipFields(fields: Fields, length: number): void {
  sound(parseIpv4(memory, START + 14, length, ip));
  Object.assign(fields, {
    "ip.hdr_len": `${ip.headerLength}`,
    "ip.dsfield.dscp": `${ip.dscp}`,
    "ip.dsfield.ecn": `${ip.ecn}`,
    "ip.len": `${ip.totalLength}`,
    "ip.id": hex(ip.identification, 4),
    "ip.flags.df": flag(ip.dontFragment),
    "ip.flags.mf": flag(ip.moreFragments),
    // As it is in the header.
    "ip.frag_offset": `${ip.fragmentOffset / 8}`,
    "ip.ttl": `${ip.ttl}`,
    "ip.proto": `${ip.protocol}`,
    "ip.src": formatIp(ip.source),
    "ip.dst": formatIp(ip.destination),
    // Else it would have been dropped.
    "ip.checksum.status": "1",
  });
  if (ip.moreFragments || ip.fragmentOffset > 0) return;
  if (ip.protocol === IP_PROTOCOL.icmp) icmpFields(fields);
  if (ip.protocol === IP_PROTOCOL.udp) udpFields(fields);
  if (ip.protocol === IP_PROTOCOL.tcp) tcpFields(fields);
}

function icmpFields(fields: Fields): void {
  sound(parseIcmpv4(memory, ip.payloadOffset, ip.payloadLength, icmp));
  Object.assign(fields, {
    "icmp.type": `${icmp.type}`,
    "icmp.code": `${icmp.code}`,
    "icmp.checksum": hex(icmp.checksum, 4),
    "icmp.checksum.status": "1",
  });
  if (icmp.type === ICMP_TYPE.echoReply || icmp.type === ICMP_TYPE.echoRequest) {
    fields["icmp.ident"] = `${icmp.identifier}`;
    fields["icmp.seq"] = `${icmp.sequence}`;
    return;
  }
  if (icmp.type === ICMP_TYPE.redirect) fields["icmp.redir_gw"] = formatIp(icmp.rest);
  if (icmp.type === ICMP_TYPE.unreachable && icmp.code === ICMP_UNREACHABLE.fragmentationNeeded) {
    fields["icmp.mtu"] = `${icmp.mtu}`;
  }
  if (parseQuoted(memory, icmp.payloadOffset, icmp.payloadLength, quoted) === DROP.none) quotedFields(fields);
}

function quotedFields(fields: Fields): void {
  Object.assign(fields, {
    "quoted.ip.proto": `${quoted.protocol}`,
    "quoted.ip.src": formatIp(quoted.source),
    "quoted.ip.dst": formatIp(quoted.destination),
    "quoted.ip.len": `${quoted.totalLength}`,
  });
  if (quoted.protocol === IP_PROTOCOL.icmp) {
    fields["quoted.icmp.type"] = `${quoted.icmpType}`;
    fields["quoted.icmp.ident"] = `${quoted.identifier}`;
    fields["quoted.icmp.seq"] = `${quoted.sequence}`;
    return;
  }
  const layer = quoted.protocol === IP_PROTOCOL.tcp ? "quoted.tcp" : "quoted.udp";
  fields[`${layer}.srcport`] = `${quoted.sourcePort}`;
  fields[`${layer}.dstport`] = `${quoted.destinationPort}`;
  if (layer === "quoted.tcp") fields[`${layer}.seq`] = unsigned(quoted.seq);
}

/** tshark's word for a checksum over the pseudo header: "1" right, "0" wrong. */
function checksumStatus(length: number): string {
  const pseudo = pseudoSum(ip.source, ip.destination, ip.protocol, length);
  return flag(fold(sum(memory, ip.payloadOffset, length, pseudo)) === 0);
}

function udpFields(fields: Fields): void {
  sound(parseUdp(memory, ip.payloadOffset, ip.payloadLength, udp));
  Object.assign(fields, {
    "udp.srcport": `${udp.sourcePort}`,
    "udp.dstport": `${udp.destinationPort}`,
    "udp.length": `${udp.length}`,
    "udp.checksum": hex(udp.checksum, 4),
    // "3": there is none.
    "udp.checksum.status": udp.checksum === 0 ? "3" : checksumStatus(udp.length),
  });
}

function tcpFields(fields: Fields): void {
  sound(parseTcp(memory, ip.payloadOffset, ip.payloadLength, tcp));
  Object.assign(fields, {
    "tcp.srcport": `${tcp.sourcePort}`,
    "tcp.dstport": `${tcp.destinationPort}`,
    "tcp.seq_raw": unsigned(tcp.seq),
    "tcp.ack_raw": unsigned(tcp.ack),
    "tcp.hdr_len": `${tcp.headerLength}`,
    "tcp.flags": hex(tcp.flags, 4),
    "tcp.window_size_value": `${tcp.window}`,
    "tcp.urgent_pointer": `${tcp.urgentPointer}`,
    "tcp.len": `${tcp.payloadLength}`,
    "tcp.checksum": hex(tcp.checksum, 4),
    // Of 0xffff, which adds up, tshark says that it should have been 0 (RFC 1624); hosts take it (RFC 1071).
    "tcp.checksum.status": tcp.checksum === 0xffff ? "0" : checksumStatus(ip.payloadLength),
  });
  if (tcp.mss > 0) fields["tcp.options.mss_val"] = `${tcp.mss}`;
  if (tcp.windowScale >= 0) fields["tcp.options.wscale.shift"] = `${tcp.windowScale}`;
  if (tcp.sackPermitted) fields["tcp.option_kind.4"] = "";
  if (tcp.timestamps) {
    fields["tcp.options.timestamp.tsval"] = unsigned(tcp.timestampValue);
    fields["tcp.options.timestamp.tsecr"] = unsigned(tcp.timestampEcho);
  }
  if (tcp.sackCount > 0) {
    const edges = (list: Int32Array) => [...list.subarray(0, tcp.sackCount)].map(unsigned).join(",");
    fields["tcp.options.sack_le"] = edges(tcp.sackLeft);
    fields["tcp.options.sack_re"] = edges(tcp.sackRight);
  }
}

/** Throws unless all fields that both know are equal, and both found the same TCP options. */
export function compareFields(ours: Fields, theirs: Fields, where: string): void {
  const known = Object.entries(theirs).filter(([name]) =>
    name in ours || ("tcp.len" in ours && name.startsWith("tcp.option"))
  );
  // Of a quote that ends within the TCP header tshark shows the ports, and what follows them not always.
  const told = Object.entries(ours).filter(([name]) => name in theirs || name !== "quoted.tcp.seq");
  assertEquals(inOrder(told), inOrder(known), where);
}

/** Without what a host reads differently than it is written: RFC 7323 2.3 on the shift, an MSS of 0 is none. */
function inOrder(fields: [string, string][]): [string, string][] {
  return fields
    .filter(([name, value]) => name !== "tcp.options.mss_val" || value !== "0")
    .map(([name, value]): [string, string] =>
      name === "tcp.options.wscale.shift" ? [name, `${Math.min(14, Number(value))}`] : [name, value]
    )
    .sort(([a], [b]) => (a < b ? -1 : 1));
}
