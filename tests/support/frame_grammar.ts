/**
 * Makes well-formed frames of every kind that the stack knows, with values that mean something to it: its addresses,
 * its ports, the sequence numbers of connections that are alive. What is wrong with them is `mutate`'s business.
 */
import type { Random } from "../../lib/impair/random.ts";
import { formatIp } from "../../lib/wire/address.ts";
import { arpFrame, icmpFrame, type IpFields, MAC_A, MAC_B, tcpFrame, udpFrame } from "./build.ts";

/** A connection as the host under test sees it; sequence numbers as int32. */
export interface LiveConnection {
  remoteAddress: number;
  remotePort: number;
  localPort: number;
  /** What it expects next, and what it may be acknowledged up to. */
  rcvNxt: number;
  sndUna: number;
  sndNxt: number;
  /** RFC 7323's TS.Recent and a timestamp of its own; null without timestamps. */
  timestamps: [recent: number, own: number] | null;
}

/** What the frames are aimed at. */
export interface Aim {
  address: string;
  peer: string;
  tcpPorts: readonly number[];
  udpPorts: readonly number[];
  echoIds: readonly number[];
  connections: readonly LiveConnection[];
}

const MULTICAST = "224.0.0.1";
const BROADCASTS = ["255.255.255.255", "10.0.0.255", "10.0.0.0"];
const STRANGE = ["0.0.0.0", "127.0.0.1", "255.255.255.255", "240.0.0.1", MULTICAST];
const FLAGS = ["S", "S.", ".", "P.", "F.", "R", "R.", "F", "SF", "SE", "SEW", "S.E", "P.U", "FP.U", ""];
const ICMP_TYPES = [0, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15, 17, 30, 42, 255];

/** One frame, as an Ethernet device would give it. */
export function randomFrame(random: Random, aim: Aim): Uint8Array<ArrayBuffer> {
  const kind = random.below(100);
  if (kind < 8) return arp(random, aim);
  if (kind < 22) return udp(random, aim);
  if (kind < 32) return icmpQuery(random, aim);
  if (kind < 47) return icmpError(random, aim);
  if (kind < 57) return fragment(random, aim);
  if (kind < 67) return syn(random, aim);
  if (kind < 90 && aim.connections.length > 0) return inConnection(random, aim);
  return anySegment(random, aim);
}

function oneOf<T>(random: Random, list: readonly T[]): T {
  return list[random.below(list.length)];
}

/** The peer mostly, else a neighbour, a stranger, or an address that nobody can have. */
function sender(random: Random, aim: Aim): string {
  const kind = random.below(20);
  if (kind < 12) return aim.peer;
  if (kind < 16) return `10.0.0.${random.below(256)}`;
  return kind < 19 ? formatIp(random.next() | 0) : oneOf(random, STRANGE);
}

function link(random: Random, aim: Aim): Pick<IpFields, "source" | "destination" | "ttl" | "ecn"> & {
  sourceMac: string;
  destinationMac: string;
} {
  const destination = random.chance(0.9) ? aim.address : oneOf(random, [...BROADCASTS, MULTICAST, aim.peer]);
  return {
    source: sender(random, aim),
    destination,
    ttl: oneOf(random, [64, 64, 64, 255, 1, 0]),
    ecn: random.below(4),
    sourceMac: random.chance(0.95) ? MAC_A : "02:00:00:00:00:99",
    destinationMac: destination === aim.address || random.chance(0.3) ? MAC_B : "ff:ff:ff:ff:ff:ff",
  };
}

function bytes(random: Random, most: number): Uint8Array {
  return Uint8Array.from({ length: random.below(most + 1) }, () => random.next());
}

function port(random: Random, ports: readonly number[]): number {
  if (ports.length > 0 && random.chance(0.8)) return oneOf(random, ports);
  return oneOf(random, [0, 1, 53, 65535, random.below(65536)]);
}

function arp(random: Random, aim: Aim): Uint8Array<ArrayBuffer> {
  return arpFrame({
    operation: oneOf(random, [1, 1, 2, 2, 3, 0]),
    senderIp: oneOf(random, [aim.peer, aim.address, `10.0.0.${random.below(256)}`, oneOf(random, STRANGE)]),
    targetIp: random.chance(0.8) ? aim.address : sender(random, aim),
    sourceMac: random.chance(0.8) ? MAC_A : "02:00:00:00:00:77",
    destinationMac: random.chance(0.5) ? MAC_B : "ff:ff:ff:ff:ff:ff",
    targetMac: random.chance(0.5) ? MAC_B : "00:00:00:00:00:00",
  });
}

function udp(random: Random, aim: Aim): Uint8Array<ArrayBuffer> {
  return udpFrame({
    ...link(random, aim),
    sourcePort: random.below(65536),
    destinationPort: port(random, aim.udpPorts),
    payload: bytes(random, random.chance(0.1) ? 1400 : 40),
  });
}

function icmpQuery(random: Random, aim: Aim): Uint8Array<ArrayBuffer> {
  const id = port(random, aim.echoIds);
  return icmpFrame({
    ...link(random, aim),
    type: random.chance(0.7) ? oneOf(random, [0, 8]) : oneOf(random, ICMP_TYPES),
    code: random.chance(0.9) ? 0 : random.below(256),
    rest: (id << 16) | random.below(4),
    payload: bytes(random, 60),
  });
}

/** An error about something that the host under test sent, or may have sent. */
function icmpError(random: Random, aim: Aim): Uint8Array<ArrayBuffer> {
  const quoted = mirror(random, aim);
  const [type, code] = oneOf(random, [[3, random.below(16)], [3, 4], [11, 0], [11, 1], [4, 0], [5, 1], [
    12,
    0,
  ]]);
  return icmpFrame({
    ...link(random, aim),
    type,
    code,
    rest: oneOf(random, [0, 68, 296, 552, 576, 1000, 1500, 65535, random.next()]),
    payload: quoted.subarray(14, 14 + 20 + 8 + random.below(48)),
  });
}

/** A frame that goes the other way: from the host under test. */
function mirror(random: Random, aim: Aim): Uint8Array {
  const connection = aim.connections.length > 0 ? oneOf(random, aim.connections) : null;
  if (connection === null || random.chance(0.3)) {
    return udpFrame({
      source: aim.address,
      destination: aim.peer,
      sourcePort: port(random, aim.udpPorts),
      destinationPort: random.below(65536),
      payload: bytes(random, 20),
    });
  }
  const flight = (connection.sndNxt - connection.sndUna) | 0;
  return tcpFrame({
    source: aim.address,
    destination: formatIp(connection.remoteAddress),
    sourcePort: connection.localPort,
    destinationPort: connection.remotePort,
    flags: ".",
    seq: connection.sndUna + random.below(Math.max(1, flight)),
    payload: bytes(random, 20),
  });
}

/** Pieces of few datagrams, so that they meet: in order, overlapping, contradicting, never whole. */
function fragment(random: Random, aim: Aim): Uint8Array<ArrayBuffer> {
  return udpFrame({
    ...link(random, aim),
    sourcePort: 9,
    destinationPort: port(random, aim.udpPorts),
    identification: random.below(random.chance(0.5) ? 8 : 65536),
    moreFragments: random.chance(0.7),
    fragmentOffset: 8 * (random.chance(0.8) ? random.below(16) : random.below(8192)),
    payload: bytes(random, 64),
  });
}

function syn(random: Random, aim: Aim): Uint8Array<ArrayBuffer> {
  return tcpFrame({
    ...link(random, aim),
    sourcePort: random.chance(0.3) ? 1000 + random.below(4) : random.below(65536),
    destinationPort: port(random, aim.tcpPorts),
    flags: random.chance(0.8) ? "S" : oneOf(random, FLAGS),
    seq: random.next(),
    ack: random.chance(0.9) ? 0 : random.next(),
    mss: oneOf(random, [0, 1, 64, 536, 1460, 65535]),
    windowScale: random.chance(0.7) ? random.below(16) : undefined,
    sackPermitted: random.chance(0.7),
    timestamps: random.chance(0.7) ? [random.next(), 0] : undefined,
    fastOpen: random.chance(0.1) ? bytes(random, 8).slice() : undefined,
    payload: random.chance(0.1) ? bytes(random, 40) : undefined,
  });
}

/** A segment that the connection's peer may have sent: near its windows, with options that it agreed on. */
function inConnection(random: Random, aim: Aim): Uint8Array<ArrayBuffer> {
  const live = oneOf(random, aim.connections);
  const flight = Math.max(0, (live.sndNxt - live.sndUna) | 0);
  const seq = live.rcvNxt + oneOf(random, [0, 0, 0, 1, -1, 100, 1460, -1460, random.below(200_000) - 1000]);
  const ack = oneOf(random, [
    live.sndUna,
    live.sndNxt,
    live.sndUna + random.below(flight + 1),
    live.sndNxt + 1,
  ]);
  const left = live.sndUna + random.below(flight + 1);
  return tcpFrame({
    ...link(random, aim),
    source: formatIp(live.remoteAddress),
    destination: aim.address,
    sourcePort: live.remotePort,
    destinationPort: live.localPort,
    flags: random.chance(0.8) ? oneOf(random, [".", ".", ".", "P."]) : oneOf(random, FLAGS),
    seq,
    ack,
    window: oneOf(random, [0, 1, 100, 1000, 65535, random.below(65536)]),
    urgentPointer: random.chance(0.05) ? random.below(65536) : 0,
    timestamps: live.timestamps === null || random.chance(0.1)
      ? undefined
      : [live.timestamps[0] + random.below(100) - 5, live.timestamps[1]],
    sack: random.chance(0.2) ? [[left, left + 1 + random.below(3000)]] : undefined,
    payload: random.chance(0.6) ? bytes(random, random.chance(0.2) ? 1400 : 60) : undefined,
  });
}

function anySegment(random: Random, aim: Aim): Uint8Array<ArrayBuffer> {
  return tcpFrame({
    ...link(random, aim),
    sourcePort: random.below(65536),
    destinationPort: port(random, aim.tcpPorts),
    flags: oneOf(random, FLAGS),
    seq: random.next(),
    ack: random.next(),
    window: random.below(65536),
    urgentPointer: random.chance(0.1) ? random.below(65536) : 0,
    timestamps: random.chance(0.5) ? [random.next(), random.next()] : undefined,
    sack: random.chance(0.2) ? [[random.next(), random.next()]] : undefined,
    payload: bytes(random, 40),
  });
}
