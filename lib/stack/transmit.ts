import { type Frame, FRAME_START } from "../buffer/frame.ts";
import { EHOSTUNREACH, ENETUNREACH } from "../errno.ts";
import { hostUnreachable, setPathMtu } from "../tcp/errors.ts";
import { nextSegment } from "../tcp/transmit.ts";
import { type IpAddress, isMulticast, MAC_BROADCAST, type MacAddress } from "../wire/address.ts";
import { DROP } from "../wire/drop.ts";
import type { Connection } from "./connection.ts";
import { settle, touch } from "./connections.ts";
import type { Core } from "./core.ts";
import { reportTooBig, reportUnreachable } from "./datagram_input.ts";
import { emitPacket, emitSegment, loopPacket, loopSegment } from "./emit.ts";
import { fits } from "./fragmentation.ts";
import { MAX_PARKED_PACKETS, type Neighbor, NeighborState } from "./neighbor.ts";
import type { Packet } from "./packet.ts";

/** Packets to ourselves, and into the void, in one call: then others have their turn. */
const BUDGET = 256;

const NOTHING = 0;
/** The frame is filled. */
const FILLED = 1;
/** Something was done, but there is no frame yet. */
const AGAIN = 2;
type Outcome = typeof NOTHING | typeof FILLED | typeof AGAIN;

/**
 * Fills `frame` with the next frame to be sent: ARP first, then packets and the connections' segments by turns. False
 * when there is none, or when so much was sent to ourselves that the caller should look at the rest of the world first
 * (the deadline is then at once).
 */
export function transmit(core: Core, frame: Frame, now: number): boolean {
  frame.clear();
  releasePacket(core);
  core.isOverdue = core.isUrgent = false;
  for (let left = BUDGET; left > 0; left--) {
    settleNeighbors(core, now);
    const arp = core.arp.queue.emit(frame.memory, FRAME_START);
    if (arp > 0) {
      frame.length = arp;
      core.counters.arpOut++;
      return sent(core, frame);
    }
    core.isPacketsTurn = !core.isPacketsTurn;
    let outcome = core.isPacketsTurn
      ? transmitPacket(core, frame, now)
      : transmitConnection(core, frame, now);
    if (outcome === NOTHING) {
      outcome = core.isPacketsTurn ? transmitConnection(core, frame, now) : transmitPacket(core, frame, now);
    }
    if (outcome === FILLED) return sent(core, frame);
    if (outcome === NOTHING && core.arp.queue.length === 0) return false;
  }
  core.isOverdue = true;
  return false;
}

function sent(core: Core, frame: Frame): boolean {
  core.counters.framesOut++;
  core.counters.bytesOut += frame.totalLength;
  return true;
}

/** The bytes of the last frame are no longer needed: their packet may be used again. */
function releasePacket(core: Core): void {
  if (core.packetInFrame === null) return;
  core.packets.release(core.packetInFrame);
  core.packetInFrame = null;
}

/** Lets those go on who waited for a neighbor that answered, or did not. */
function settleNeighbors(core: Core, now: number): void {
  const { settled } = core.neighbors;
  if (settled.length === 0) return;
  for (const neighbor of settled) {
    if (neighbor.state === NeighborState.INCOMPLETE) continue;
    const failed = neighbor.state === NeighborState.FAILED;
    if (failed) core.routes.forgetGateway(neighbor.address);
    for (let waiting = neighbor.unpark(); waiting !== null; waiting = neighbor.unpark()) {
      if (waiting.isForgotten) continue;
      if (failed) noWay(core, waiting, EHOSTUNREACH, now);
      else core.pending.add(waiting);
    }
    const packets = neighbor.parkedPackets;
    for (let packet = packets.shift(); packet !== null; packet = packets.shift()) {
      if (failed) dropUnreachable(core, packet, now);
      else core.outbox.push(packet);
    }
  }
  settled.length = 0;
}

/**
 * There is no way to the peer now. A connection that is being opened fails; another keeps the error in case it dies of it
 * (RFC 1122 4.2.3.9: unreachable is a hint, no proof).
 */
function noWay(core: Core, connection: Connection, errno: number, now: number): void {
  hostUnreachable(connection.tcb, errno, now);
  touch(core, connection);
}

function dropUnreachable(core: Core, packet: Packet, now: number): void {
  core.drop(DROP.neighborUnreachable);
  reportUnreachable(core, packet, now);
  core.packets.release(packet);
}

/** The next of the packets that wait. */
function transmitPacket(core: Core, frame: Frame, now: number): Outcome {
  const packet = core.outbox.shift();
  if (packet === null) return NOTHING;
  if (core.blockedSockets > 0) core.tellUnblocked();
  const { destination } = packet;
  if (core.local.has(destination)) {
    loopPacket(core, packet, now);
    core.packets.release(packet);
    return AGAIN;
  }
  const mac = groupMac(core, destination);
  if (mac !== 0) return fillPacket(core, frame, packet, mac, core.mtu);
  const route = core.routes.lookup(destination);
  if (route === null) return discard(core, packet, DROP.ipNoRoute);
  const mtu = packet.ignoresPathMtu ? route.mtu : core.mtuTo(destination);
  if (packet.dontFragment && !fits(packet, mtu)) return dropTooBig(core, packet, mtu, now);
  const neighbor = core.neighbors.resolve(route.nextHop(destination), route.source, now);
  if (neighbor === null) return discard(core, packet, DROP.neighborQueueFull);
  if (neighbor.isUsable) return fillPacket(core, frame, packet, neighbor.mac, mtu);
  if (neighbor.state === NeighborState.FAILED) dropUnreachable(core, packet, now);
  else parkPacket(core, neighbor, packet);
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

function fillPacket(core: Core, frame: Frame, packet: Packet, mac: MacAddress, mtu: number): Outcome {
  if (emitPacket(core, frame, packet, mac, mtu)) core.packetInFrame = packet;
  // The rest of its fragments are next.
  else core.outbox.unshift(packet);
  return FILLED;
}

/** The path MTU shrank while it waited. */
function dropTooBig(core: Core, packet: Packet, mtu: number, now: number): Outcome {
  reportTooBig(core, packet, mtu, now);
  return discard(core, packet, DROP.ipTooBig);
}

function discard(core: Core, packet: Packet, reason: typeof DROP[keyof typeof DROP]): Outcome {
  core.drop(reason);
  core.packets.release(packet);
  return AGAIN;
}

/** The Ethernet address of a broadcast or multicast address (RFC 894, RFC 1112 6.4); 0: it is one host's. */
function groupMac(core: Core, destination: IpAddress): MacAddress {
  if (isMulticast(destination)) return 0x01005e000000 + (destination & 0x7fffff);
  return core.local.isBroadcast(destination) ? MAC_BROADCAST : 0;
}

/** The next segment of the next connection in line. */
function transmitConnection(core: Core, frame: Frame, now: number): Outcome {
  const connection = core.pending.shift();
  if (connection === null) return NOTHING;
  if (connection.isForgotten) return AGAIN;
  const { tcb } = connection;
  let mac = 0;
  if (!connection.isLocal) {
    // Before the segment is made: no state may record a segment that was not sent.
    const neighbor = findNeighbor(core, connection, now);
    if (neighbor !== null && neighbor.state === NeighborState.INCOMPLETE) {
      neighbor.park(connection);
      return AGAIN;
    }
    // Nobody is there: the segment is lost as on a broken wire, and TCP's own timers see to the rest.
    if (neighbor !== null && neighbor.isUsable) mac = neighbor.mac;
  }
  if (connection.pathMtuGeneration !== core.pathMtus.generation) {
    connection.pathMtuGeneration = core.pathMtus.generation;
    setPathMtu(tcb, core.pathMtus.get(connection.remoteAddress)?.mtu ?? 0, now);
  }
  const filled = nextSegment(tcb, core.segmentOut, frame.payload, now);
  if (!filled) {
    frame.payload.clear();
    // It has nothing to say, and stays out of the line until something happens to it.
    settle(core, connection);
    return AGAIN;
  }
  touch(core, connection);
  core.counters.tcpOut++;
  if (connection.isLocal) {
    loopSegment(core, connection, frame.payload, now);
  } else if (mac !== 0) {
    emitSegment(core, frame, connection, mac);
    return FILLED;
  } else {
    core.drop(DROP.neighborUnreachable);
  }
  frame.payload.clear();
  return AGAIN;
}

/** The neighbor to send through, remembered as long as the routes stay as they are; null: there is none. */
function findNeighbor(core: Core, connection: Connection, now: number): Neighbor | null {
  const { routes, neighbors } = core;
  if (connection.routeGeneration !== routes.generation) {
    connection.routeGeneration = routes.generation;
    connection.route = routes.lookup(connection.remoteAddress);
    connection.neighbor = null;
  }
  const { route } = connection;
  if (route === null) {
    noWay(core, connection, ENETUNREACH, now);
    return null;
  }
  const known = connection.neighbor;
  if (known !== null && known.valid) {
    neighbors.use(known, connection.localAddress, now);
    return known;
  }
  connection.neighbor = neighbors.resolve(
    route.nextHop(connection.remoteAddress),
    connection.localAddress,
    now,
  );
  return connection.neighbor;
}
