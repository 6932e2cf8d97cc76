import type { Frame } from "../buffer/frame.ts";
import { type IpAddress, isMulticast, MAC_BROADCAST, type MacAddress } from "../wire/address.ts";
import { DROP, type DropCode } from "../wire/drop.ts";
import type { Core } from "./core.ts";
import { reportTooBig, reportUnreachable } from "./datagram_input.ts";
import { emitPacket, loopPacket } from "./emit.ts";
import { fits } from "./fragmentation.ts";
import { reportForwardedUnreachable } from "./forward.ts";
import type { Interface } from "./interface.ts";
import { MAX_PARKED_PACKETS, type Neighbor, NeighborState } from "./neighbor.ts";
import type { Packet, PacketQueue } from "./packet.ts";
import { cutPacket, mustBeCut } from "./segmentation.ts";
import { cutDatagrams, mustCutDatagrams } from "./udp_segmentation.ts";

export const NOTHING = 0;
/** The frame is filled. */
export const FILLED = 1;
/** Something was done, but there is no frame yet. */
export const AGAIN = 2;
export type Outcome = typeof NOTHING | typeof FILLED | typeof AGAIN;

/** Packets that wait for a device that is full; as Linux's txqueuelen. */
const MAX_WAITING_PACKETS = 1000;

/** The next of the packets that wait. */
export function transmitPacket(core: Core, frame: Frame, now: number): Outcome {
  const packet = core.outbox.shift();
  if (packet === null) return NOTHING;
  if (core.blockedSockets > 0) core.tellUnblocked();
  const { destination } = packet;
  const isDatagrams = packet.gsoSize > 0 && !packet.hasHeader;
  const isLocal = core.local.has(destination);
  const mac = groupMac(core, destination);
  if (isDatagrams && mac !== 0) return cut(core, cutDatagrams(core, packet));
  if (isLocal) {
    loopPacket(core, packet, now);
    core.packets.release(packet);
    return AGAIN;
  }
  if (mac !== 0) return sendToGroup(core, frame, packet, mac);
  const route = core.routes.lookup(destination);
  if (route === null || !route.isUsable) return discard(core, packet, DROP.ipNoRoute);
  if (route.link.isFull) return waitForDevice(core, route.link, packet);
  const mtu = packet.ignoresPathMtu ? route.mtu : core.mtuTo(destination);
  const { features } = route.link;
  if (packet.gsoSize > 0) {
    const mustCut = !isDatagrams && mustBeCut(packet, features, mtu);
    if (mustCut) return cut(core, cutPacket(core, packet));
  } else if (packet.dontFragment && !fits(packet, mtu)) {
    return dropTooBig(core, packet, mtu, now);
  }
  const neighbor = route.link.neighbors.resolve(route.nextHop(destination), now);
  if (neighbor === null) return discard(core, packet, DROP.neighborQueueFull);
  if (neighbor.isUsable) {
    // Not before: one packet may wait for the neighbor, but not 128.
    const mustCut = isDatagrams && mustCutDatagrams(packet, features.udpSegmentation === true, mtu);
    if (mustCut) return cut(core, cutDatagrams(core, packet));
    return fillPacket(core, frame, packet, route.link, neighbor.mac, mtu);
  }
  if (neighbor.state === NeighborState.FAILED) dropUnreachable(core, packet, now);
  else parkPacket(core, neighbor, packet);
  return AGAIN;
}

/** The pieces of a packet go in its place. */
function cut(core: Core, pieces: PacketQueue): Outcome {
  core.outbox.prepend(pieces);
  return AGAIN;
}

/** RFC 1122 2.3.2.2: it waits for the neighbor's address, in the place of the oldest if there are too many. */
function parkPacket(core: Core, neighbor: Neighbor, packet: Packet): void {
  const { parkedPackets } = neighbor;
  parkedPackets.push(packet);
  if (parkedPackets.count <= MAX_PARKED_PACKETS) return;
  core.drop(DROP.neighborQueueFull);
  core.packets.release(parkedPackets.shift()!);
}

/** To all on a link, or to a group there. */
function sendToGroup(core: Core, frame: Frame, packet: Packet, mac: MacAddress): Outcome {
  const link = core.local.find(packet.source)?.link ?? core.linkOfGroup(packet.destination);
  if (link === null || link.device < 0) return discard(core, packet, DROP.ipNoRoute);
  if (link.isFull) return waitForDevice(core, link, packet);
  return fillPacket(core, frame, packet, link, mac, link.mtu);
}

/** As a queueing discipline does: what finds too many waiting before it is lost. */
function waitForDevice(core: Core, link: Interface, packet: Packet): Outcome {
  if (link.waitingPackets.count >= MAX_WAITING_PACKETS) return discard(core, packet, DROP.deviceQueueFull);
  link.waitingPackets.push(packet);
  return AGAIN;
}

function fillPacket(
  core: Core,
  frame: Frame,
  packet: Packet,
  link: Interface,
  mac: MacAddress,
  mtu: number,
): Outcome {
  if (emitPacket(core, frame, packet, link, mac, mtu)) core.packetInFrame = packet;
  // The rest of its fragments are next.
  else core.outbox.unshift(packet);
  return FILLED;
}

/** The path MTU shrank while it waited. */
function dropTooBig(core: Core, packet: Packet, mtu: number, now: number): Outcome {
  reportTooBig(core, packet, mtu, now);
  return discard(core, packet, DROP.ipTooBig);
}

function discard(core: Core, packet: Packet, reason: DropCode): Outcome {
  core.drop(reason);
  core.packets.release(packet);
  return AGAIN;
}

/** The Ethernet address of a broadcast or multicast address (RFC 894, RFC 1112 6.4); 0: it is one host's. */
function groupMac(core: Core, destination: IpAddress): MacAddress {
  if (isMulticast(destination)) return 0x01005e000000 + (destination & 0x7fffff);
  return core.local.isBroadcast(destination) ? MAC_BROADCAST : 0;
}

/** Nobody answers for the next hop. */
export function dropUnreachable(core: Core, packet: Packet, now: number): void {
  core.drop(DROP.neighborUnreachable);
  if (packet.hasHeader && packet.socket < 0) reportForwardedUnreachable(core, packet, now);
  else reportUnreachable(core, packet, now);
  core.packets.release(packet);
}
