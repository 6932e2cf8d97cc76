import { FRAME_START } from "../buffer/frame.ts";
import type { Frame } from "../buffer/frame.ts";
import { ANY, isLoopback, isMulticast, isMulticastMac, parseIp } from "../wire/address.ts";
import { DROP, type DropCode } from "../wire/drop.ts";
import { ETHER_TYPE, ETHERNET_HEADER, parseEthernet } from "../wire/ethernet.ts";
import { ICMP_TYPE, ICMP_UNREACHABLE } from "../wire/icmpv4.ts";
import { IP_PROTOCOL, parseIpv4 } from "../wire/ipv4.ts";
import { arpInput } from "./arp.ts";
import type { Arrival } from "./arrival.ts";
import type { Core } from "./core.ts";
import { takePrediction } from "./expected.ts";
import { forward } from "./forward.ts";
import { icmpInput } from "./icmp.ts";
import { sendIcmpError } from "./icmp_send.ts";
import { merge } from "./merge.ts";
import { rawInput } from "./raw_socket.ts";
import { fragmentInput } from "./reassembly.ts";
import { tcpInput } from "./tcp_input.ts";
import { udpInput } from "./udp.ts";

/** The one multicast group that every host is in (RFC 1112 4), and its Ethernet address. */
const ALL_HOSTS = parseIp("224.0.0.1")!;
const ALL_HOSTS_MAC = 0x01005e000001;

/** A frame came in from the device. */
export function frameInput(core: Core, frame: Frame, now: number): void {
  const { counters } = core;
  counters.framesIn++;
  counters.bytesIn += frame.totalLength;
  const { merged } = core;
  let waits = merge(core, frame);
  if (!waits && merged.count > 0) {
    takeMerged(core, now);
    waits = merge(core, frame);
  }
  if (!waits) takeFrame(core, frame, takePrediction(core, frame), now);
  else if (merged.isComplete) takeMerged(core, now);
}

/** Takes in what waits to be merged with more. */
export function takeMerged(core: Core, now: number): void {
  if (core.merged.count > 0) takeFrame(core, core.merged.take(), true, now);
}

function takeFrame(core: Core, frame: Frame, isPlaced: boolean, now: number): void {
  const { arrival } = core;
  const { memory } = frame;
  const length = frame.totalLength;
  // A frame that the kernel put together from many (GSO) may be longer than the device's own would be.
  const link = core.links[frame.device];
  const longest = frame.gsoSize > 0 ? Infinity : link.mtu + ETHERNET_HEADER;
  if (length > longest || FRAME_START + length > memory.size) return core.drop(DROP.frameOversized);
  const { ethernet } = arrival;
  const drop = parseEthernet(memory, FRAME_START, length, ethernet);
  if (drop !== DROP.none) return core.drop(drop);
  const isGroup = isMulticastMac(ethernet.destination);
  if (!isGroup && ethernet.destination !== link.mac) return core.drop(DROP.ethernetNotForUs);
  const offset = FRAME_START + ETHERNET_HEADER;
  if (ethernet.etherType === ETHER_TYPE.ipv4) {
    arrival.memory = memory;
    arrival.frame = frame;
    arrival.link = link;
    arrival.offset = offset;
    arrival.length = length - ETHERNET_HEADER;
    arrival.isLinkBroadcast = isGroup;
    arrival.isVerified = frame.checksumVerified;
    arrival.gsoSize = frame.gsoSize;
    arrival.isPlaced = isPlaced;
    arrival.isLoopback = false;
    ipInput(core, arrival, now);
  } else if (ethernet.etherType === ETHER_TYPE.arp) {
    arpInput(core, link, memory, offset, length - ETHERNET_HEADER, now);
  } else {
    core.drop(DROP.etherTypeUnknown);
  }
}

/** An IP packet came in, from the device or from ourselves; `arrival` says where it lies. */
export function ipInput(core: Core, arrival: Arrival, now: number): void {
  const { ip } = arrival;
  core.counters.ipIn++;
  const drop = parseIpv4(arrival.memory!, arrival.offset, arrival.length, ip);
  if (drop !== DROP.none && drop !== DROP.ipOptionMalformed) return core.drop(drop);
  const refused = checkAddresses(core, arrival);
  // What was placed already is a connection's, of an address that was taken away meanwhile.
  const isPassing = refused === DROP.ipNotForUs && core.forwards && !arrival.isPlaced;
  if (refused !== DROP.none && !isPassing) return core.drop(refused);
  if (drop !== DROP.none) {
    core.drop(drop);
    // RFC 1122 3.2.2.5: the pointer says where the fault lies.
    return sendIcmpError(core, arrival, ICMP_TYPE.parameterProblem, 0, ip.badOption << 24, now);
  }
  if (ip.sourceRoute) return core.drop(DROP.ipSourceRoute);
  if (isPassing) return forward(core, arrival, now);
  const isFragment = ip.moreFragments || ip.fragmentOffset !== 0;
  if (isFragment && !fragmentInput(core, arrival, now)) return;
  const isHeard = rawInput(core, arrival, now);
  switch (ip.protocol) {
    case IP_PROTOCOL.tcp:
      return tcpInput(core, arrival, now);
    case IP_PROTOCOL.udp:
      return udpInput(core, arrival, now);
    case IP_PROTOCOL.icmp:
      return icmpInput(core, arrival, now);
  }
  if (isHeard) return;
  core.drop(DROP.ipProtocolUnknown);
  sendIcmpError(core, arrival, ICMP_TYPE.unreachable, ICMP_UNREACHABLE.protocol, 0, now);
}

/** RFC 1122 3.2.1.3: whether the addresses are such as a packet to us may have. Sets `isBroadcast`. */
function checkAddresses(core: Core, arrival: Arrival): DropCode {
  const { ip } = arrival;
  const { local } = core;
  const { source, destination } = ip;
  arrival.isBroadcast = false;
  if (arrival.isLoopback) return DROP.none;
  if (source === ANY || isMulticast(source) || local.has(source) || local.isBroadcast(source)) {
    return DROP.ipSourceInvalid;
  }
  if (local.isOwn(destination)) {
    // RFC 1122 3.3.6: a packet for one host that was sent to all is a mistake or an attack.
    return arrival.isLinkBroadcast ? DROP.ipLinkBroadcast : DROP.none;
  }
  arrival.isBroadcast = destination === ALL_HOSTS ? isAllHostsFrame(arrival) : local.isBroadcast(destination);
  // Packets from the link to 127.0.0.0/8 are not for us either: that network is inside the host.
  return arrival.isBroadcast && !isLoopback(destination) ? DROP.none : DROP.ipNotForUs;
}

function isAllHostsFrame(arrival: Arrival): boolean {
  const { destination } = arrival.ethernet;
  return destination === ALL_HOSTS_MAC || destination === arrival.link.mac;
}
