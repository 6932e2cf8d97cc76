import { Memory, Slices } from "../buffer/memory.ts";
import { MemoryPool } from "../buffer/memory_pool.ts";
import { DEFAULT_SETTINGS, type TcpSettings } from "../tcp/settings.ts";
import { Tcb } from "../tcp/tcb.ts";
import type { UserOptions } from "../tcp/user_options.ts";
import { ArpHeader } from "../wire/arp.ts";
import { type IpAddress, isLoopback, isMulticast, parseIp } from "../wire/address.ts";
import type { DropCode } from "../wire/drop.ts";
import { EthernetHeader } from "../wire/ethernet.ts";
import { Icmpv4Header } from "../wire/icmpv4.ts";
import { Ipv4Header } from "../wire/ipv4.ts";
import { TcpHeader } from "../wire/tcp.ts";
import { UdpHeader } from "../wire/udp.ts";
import { Arrival } from "./arrival.ts";
import { checkConfig, interfacesOf, type StackConfig } from "./config.ts";
import { PendingList, type TableEntry } from "./connection.ts";
import { ConnectionTable } from "./connection_table.ts";
import { Counters } from "./counters.ts";
import { Expected } from "./expected.ts";
import { Identifications } from "./fragmentation.ts";
import { FastOpenCache } from "./fast_open_client.ts";
import { InitialSequence } from "./isn.ts";
import type { Interface } from "./interface.ts";
import { configureInterfaces, makeInterfaces } from "./interfaces.ts";
import { ListenerTable } from "./listener.ts";
import { Merged } from "./merge.ts";
import { type Packet, PacketPool, PacketQueue } from "./packet.ts";
import { PathMtuCache } from "./path_mtu.ts";
import { PortSpace } from "./port_space.ts";
import { EphemeralPorts } from "./ports.ts";
import { PeerBuckets, TokenBucket } from "./rate_limit.ts";
import { RawTable } from "./raw_table.ts";
import { RedirectRate } from "./redirect_rate.ts";
import { Reassembly } from "./reassembly.ts";
import { LocalAddresses, refusal, RoutingTable } from "./routes.ts";
import { SipHash } from "./siphash.ts";
import { SocketTable } from "./socket_table.ts";
import { type Notice, SocketKind } from "./socket_types.ts";
import { SynCookies } from "./syn_cookies.ts";
import { TimerTable } from "./timer_table.ts";

/** What the segments that are cut from one packet may carry together: an IP packet less two long headers. */
const MAX_GSO_BYTES = 65535 - 120;
/** Packets that wait for their turn; what comes beyond is dropped, as a full queue of a device does. */
const MAX_OUTBOX_PACKETS = 1024;
const MAX_OUTBOX_BYTES = 4 << 20;
const MAX_NOTICES = 64;
/** RFC 791 3.1 */
const MAX_PACKET = 65535;
/** Linux's icmp_msgs_per_sec and icmp_msgs_burst; and icmp_ratelimit, one a second and six at once for one peer. */
const ICMP_ERRORS_PER_SECOND = 1000;
const ICMP_ERRORS_BURST = 50;
const ICMP_ERRORS_PER_PEER_BURST = 6;
const RESETS_PER_SECOND = 5000;
const RESETS_BURST = 1000;

/** 127.0.0.1 */
export const LOCALHOST: IpAddress = parseIp("127.0.0.1")!;

/** All state that the parts of the stack share, and no protocol: what a Tcb is to a connection, this is to the host. */
export class Core {
  /** The time of the last call, microseconds. */
  now = 0;
  readonly random: () => number;
  readonly acceptsRedirects: boolean;
  readonly forwards: boolean;
  /** Addresses are told to their links when they come. */
  readonly announces: boolean;
  readonly counters = new Counters();
  readonly notices: Notice[] = [];

  // Interfaces, addresses and ways
  readonly loopback: Interface;
  /** The interfaces with a device behind them, in the order of the devices. */
  readonly links: readonly Interface[];
  readonly local = new LocalAddresses();
  readonly routes = new RoutingTable(this.local);
  readonly pathMtus = new PathMtuCache();
  /** When an address is to be told to its link next; Infinity: never. */
  announceAtUs = Infinity;

  // Memory
  readonly memory = new MemoryPool();
  readonly packets = new PacketPool(this.memory);
  readonly reassembly: Reassembly;

  // Intents: what is to be sent
  readonly outbox = new PacketQueue();
  readonly pending = new PendingList();
  /** The packet whose bytes are in the frame that was filled last. */
  packetInFrame: Packet | null = null;
  /** Whose turn it is: a packet's or a connection's. */
  isPacketsTurn = false;
  /** `transmit` stopped while there was more to do. */
  isOverdue = false;
  /** An ACK is owed that is not to be joined with that for the next segment. */
  isUrgent = false;
  /** Sockets that found the outbox full. */
  blockedSockets = 0;
  readonly icmpErrorRate = new TokenBucket(ICMP_ERRORS_PER_SECOND, ICMP_ERRORS_BURST);
  readonly icmpPeerRate = new PeerBuckets(1, ICMP_ERRORS_PER_PEER_BURST);
  readonly redirectRate = new RedirectRate();
  readonly resetRate = new TokenBucket(RESETS_PER_SECOND, RESETS_BURST);
  /** IPv4 identification of the next packet that is never fragmented; and those of the others. */
  identification: number;
  readonly identifications: Identifications;

  // Transports
  readonly tcpSettings: TcpSettings;
  readonly connections: ConnectionTable;
  /** How many of the connections are no more than their TIME-WAIT. */
  timeWaits = 0;
  readonly listeners = new ListenerTable();
  readonly timers = new TimerTable<TableEntry>();
  readonly tcpPorts = new PortSpace();
  readonly udpPorts = new PortSpace();
  /** Of ICMP echo the identifiers are the ports. */
  readonly echoPorts = new PortSpace();
  readonly rawSockets = new RawTable();
  readonly ephemeral: EphemeralPorts;
  readonly initialSequence: InitialSequence;
  readonly synCookies: SynCookies;
  readonly fastOpenCache = new FastOpenCache();
  readonly hash: SipHash;
  readonly hashWords = new Int32Array(4);
  readonly sockets = new SocketTable();

  // Reused for every packet
  readonly arrival = new Arrival();
  readonly expected = new Expected();
  readonly merged = new Merged();
  readonly slices = new Slices();
  readonly arpIn = new ArpHeader();
  readonly segmentIn = new TcpHeader();
  readonly segmentOut = new TcpHeader();
  readonly resetOut = new TcpHeader();
  readonly cookieOut = new TcpHeader();
  readonly timeWaitOut = new TcpHeader();
  readonly icmpOut = new Icmpv4Header();
  readonly udpOut = new UdpHeader();
  readonly ipOut = new Ipv4Header();
  readonly ethernetOut = new EthernetHeader();
  /** Where a packet to ourselves lies while it is taken in; made when the first one is sent. */
  private loopbackPacket: Memory | null = null;
  /** Where a datagram that was put together from fragments lies while it is taken in. */
  private assembly: Memory | null = null;

  constructor(config: StackConfig) {
    checkConfig(config);
    const { random, secret } = config;
    this.random = random;
    this.forwards = config.forwarding ?? false;
    // RFC 1812 5.2.7.2: a router does not let itself be redirected.
    this.acceptsRedirects = (config.acceptRedirects ?? false) && !this.forwards;
    this.announces = config.announce ?? true;
    const interfaces = interfacesOf(config);
    [this.loopback, ...this.links] = makeInterfaces(interfaces, random);
    this.identification = random() & 0xffff;
    this.reassembly = new Reassembly(this.memory, secret[0] | 0, config.reassemblyTimeoutUs);
    this.hash = new SipHash(secret);
    this.identifications = new Identifications(this.hash);
    this.initialSequence = new InitialSequence(this.hash);
    this.synCookies = new SynCookies(this.hash);
    this.ephemeral = new EphemeralPorts(this.hash, random);
    this.connections = new ConnectionTable(secret[secret.length - 1] | 0);
    const mtu = Math.max(...this.links.map((link) => link.mtu));
    this.tcpSettings = {
      ...DEFAULT_SETTINGS,
      mss: mtu - 40,
      gsoMaxSegments: gsoSegments(mtu),
      ...config.tcp,
    };
    configureInterfaces(this, interfaces);
  }

  /** `user`: options of another one, to be shared with it. */
  newTcb(user?: UserOptions): Tcb {
    return new Tcb(this.tcpSettings, this.memory, user);
  }

  drop(code: DropCode): void {
    this.counters.drop(code);
  }

  notice(notice: Notice): void {
    if (this.notices.length < MAX_NOTICES) this.notices.push(notice);
  }

  get outboxIsFull(): boolean {
    return this.outbox.count >= MAX_OUTBOX_PACKETS || this.outbox.bytes >= MAX_OUTBOX_BYTES;
  }

  /** RFC 6864 4.1: of packets that are never fragmented any will do; they follow each other, which lets a kernel join them. */
  nextIdentification(): number {
    const { identification } = this;
    this.identification = (identification + 1) & 0xffff;
    return identification;
  }

  /** Our address for packets to `destination`; 0 when there is no way to it. */
  sourceFor(destination: IpAddress): IpAddress {
    if (this.local.isOwn(destination)) return destination;
    if (isLoopback(destination)) return LOCALHOST;
    if (isMulticast(destination) || this.local.isBroadcast(destination)) {
      return this.linkOfGroup(destination)?.sourceFor(destination) ?? 0;
    }
    const route = this.routes.lookup(destination);
    return route === null || !route.isUsable ? 0 : route.source;
  }

  /** Where packets to a broadcast or multicast address leave; null: nowhere. */
  linkOfGroup(destination: IpAddress): Interface | null {
    return this.local.linkOfBroadcast(destination) ?? this.routes.lookup(destination)?.link ?? this.links[0];
  }

  /** Largest packet that the way to `destination` takes, bytes, as far as is known; that of the first hop if not. */
  mtuTo(destination: IpAddress): number {
    if (this.local.has(destination)) return MAX_PACKET;
    const mtu = this.firstHopMtu(destination);
    const known = this.pathMtus.get(destination);
    return known === undefined ? mtu : Math.min(mtu, known.mtu);
  }

  /** Largest packet that the link takes on the way to `destination`, bytes. */
  firstHopMtu(destination: IpAddress): number {
    if (this.local.has(destination)) return MAX_PACKET;
    return this.routes.lookup(destination)?.mtu ?? this.links[0].mtu;
  }

  /** Largest segment that the link takes on the way to `destination`, bytes, of those that the settings allow. */
  segmentSizeTo(destination: IpAddress): number {
    return Math.min(this.tcpSettings.mss, this.firstHopMtu(destination) - 40);
  }

  /** Why nothing can be sent to `destination`: an errno. */
  refusalOf(destination: IpAddress): number {
    return refusal(this.routes.lookup(destination));
  }

  /** ICMP told what the way to `destination` takes (RFC 1191). */
  learnPathMtu(destination: IpAddress, mtu: number, now: number): void {
    if (mtu < this.firstHopMtu(destination)) this.pathMtus.lower(destination, mtu, now);
  }

  /** Forgets what ICMP told of ways too long ago: path MTUs, redirects. */
  advanceBeliefs(now: number): void {
    this.pathMtus.advance(now);
    this.routes.advance(now);
  }

  /** See `Stack.deadline`. */
  get deadline(): number {
    if (this.isOverdue) return 0;
    let neighbors = Infinity;
    for (const link of this.links) neighbors = Math.min(neighbors, link.neighbors.timers.deadline);
    return Math.min(
      this.timers.deadline,
      neighbors,
      this.announceAtUs,
      this.reassembly.deadline,
      this.pathMtus.deadline,
      this.routes.deadline,
    );
  }

  /** There is room in the outbox again: tells the sockets that found it full. */
  tellUnblocked(): void {
    if (this.outbox.count > MAX_OUTBOX_PACKETS / 2 || this.outbox.bytes > MAX_OUTBOX_BYTES / 2) return;
    this.blockedSockets = 0;
    for (const socket of this.sockets) {
      if (socket.kind === SocketKind.stream || !socket.isBlocked) continue;
      socket.isBlocked = false;
      this.sockets.markReady(socket);
    }
  }

  get loopbackMemory(): Memory {
    this.loopbackPacket ??= new Memory(65536 + 256);
    return this.loopbackPacket;
  }

  get assemblyMemory(): Memory {
    this.assembly ??= new Memory(65536 + 256);
    return this.assembly;
  }
}

function gsoSegments(mtu: number): number {
  return Math.max(1, Math.floor(MAX_GSO_BYTES / (mtu - 40)));
}
