import { type Frame, FRAME_START } from "../buffer/frame.ts";
import { EHOSTUNREACH } from "../errno.ts";
import { hostUnreachable, setPathMtu } from "../tcp/errors.ts";
import { nextSegment } from "../tcp/transmit.ts";
import { DROP } from "../wire/drop.ts";
import type { Connection } from "./connection.ts";
import { settle, touch } from "./connections.ts";
import type { Core } from "./core.ts";
import { emitHeaders, emitSegment, loopSegment } from "./emit.ts";
import type { Interface } from "./interface.ts";
import { takeMerged } from "./ip.ts";
import { type Neighbor, NeighborState } from "./neighbor.ts";
import { refusal } from "./routes.ts";
import { AGAIN, dropUnreachable, FILLED, NOTHING, type Outcome, transmitPacket } from "./transmit_packet.ts";

/** Packets to ourselves, and into the void, in one call: then others have their turn. */
const BUDGET = 256;
/** IPv4 and TCP without options. */
const HEADERS = 40;

/**
 * Fills `frame` with the next frame to be sent: the rest of a burst and ARP first, then packets and the connections'
 * segments by turns. False when there is none, or when so much was sent to ourselves that the caller should look at the rest of the world first
 * (the deadline is then at once).
 */
export function transmit(core: Core, frame: Frame, now: number): boolean {
  frame.clear();
  takeMerged(core, now);
  releasePacket(core);
  core.isOverdue = core.isUrgent = false;
  for (let left = BUDGET; left > 0; left--) {
    if (transmitBurst(core, frame) || transmitArp(core, frame, now)) return sent(core, frame);
    core.isPacketsTurn = !core.isPacketsTurn;
    let outcome = core.isPacketsTurn
      ? transmitPacket(core, frame, now)
      : transmitConnection(core, frame, now);
    if (outcome === NOTHING) {
      outcome = core.isPacketsTurn ? transmitConnection(core, frame, now) : transmitPacket(core, frame, now);
    }
    if (outcome === FILLED) return sent(core, frame);
    if (outcome === NOTHING && !hasArp(core)) return false;
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

/** What ARP has to say on a link; and lets those go on who waited for it there. */
function transmitArp(core: Core, frame: Frame, now: number): boolean {
  for (const link of core.links) {
    if (link.neighbors.settled.length > 0) settleNeighbors(core, link, now);
    if (link.arp.length === 0 || link.isFull) continue;
    frame.length = link.arp.emit(frame.memory, FRAME_START);
    frame.device = link.device;
    core.counters.arpOut++;
    return true;
  }
  return false;
}

function hasArp(core: Core): boolean {
  for (const link of core.links) if (link.arp.length > 0 && !link.isFull) return true;
  return false;
}

/** Lets those go on who waited for a neighbor that answered, or did not. */
function settleNeighbors(core: Core, link: Interface, now: number): void {
  const { settled } = link.neighbors;
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

/** The next segment of the next connection in line. */
function transmitConnection(core: Core, frame: Frame, now: number): Outcome {
  const connection = core.pending.shift();
  if (connection === null) return NOTHING;
  if (connection.isForgotten) return AGAIN;
  const { tcb } = connection;
  let neighbor: Neighbor | null = null;
  if (!connection.isLocal) {
    // Before the segment is made: no state may record a segment that was not sent.
    neighbor = findNeighbor(core, connection, now);
    if (neighbor !== null && neighbor.state === NeighborState.INCOMPLETE) {
      neighbor.park(connection);
      return AGAIN;
    }
    if (neighbor !== null && neighbor.link.isFull) {
      neighbor.link.waitingConnections.push(connection);
      connection.isParked = true;
      return AGAIN;
    }
  }
  if (connection.pathMtuGeneration !== core.pathMtus.generation) {
    connection.pathMtuGeneration = core.pathMtus.generation;
    setPathMtu(tcb, knownMtu(core, connection), now);
  }
  const filled = nextSegment(tcb, core.segmentOut, frame.payload, now);
  if (!filled) {
    frame.payload.clear();
    // It has nothing to say, and stays out of the line until something happens to it.
    settle(core, connection);
    return AGAIN;
  }
  touch(core, connection);
  if (connection.isLocal) {
    loopSegment(core, connection, frame.payload, now);
  } else if (neighbor !== null && neighbor.isUsable) {
    if (tcb.gsoSize > 0 && !neighbor.link.features.segmentation) {
      beginBurst(core, frame, connection, neighbor);
    } else emitSegment(core, frame, connection, neighbor);
    return FILLED;
  } else {
    // Nobody is there: the segment is lost as on a broken wire, and TCP's own timers see to the rest.
    core.drop(DROP.neighborUnreachable);
  }
  frame.payload.clear();
  return AGAIN;
}

/** The same where the device does not cut what is longer than a segment: the first of several. */
function beginBurst(core: Core, frame: Frame, connection: Connection, neighbor: Neighbor): void {
  const { burst } = neighbor.link;
  const bytes = frame.payload.length;
  emitHeaders(core, frame, connection, neighbor, 0);
  burst.begin(frame, connection, bytes);
  burst.fill(core, frame);
}

/** The next segment of a burst, on any link that takes it. */
function transmitBurst(core: Core, frame: Frame): boolean {
  for (const { burst, isFull } of core.links) {
    if (!burst.isOver && !isFull && burst.fill(core, frame)) return true;
  }
  return false;
}

/** What of the way to the peer is known to be less than a full segment of ours takes; 0: nothing. */
function knownMtu(core: Core, { route, remoteAddress, tcb }: Connection): number {
  const firstHop = route === null || route.mtu >= tcb.linkMss + HEADERS ? Infinity : route.mtu;
  const mtu = Math.min(firstHop, core.pathMtus.get(remoteAddress)?.mtu ?? Infinity);
  return mtu === Infinity ? 0 : mtu;
}

/** The neighbor to send through, remembered as long as the routes stay as they are; null: there is none. */
function findNeighbor(core: Core, connection: Connection, now: number): Neighbor | null {
  const { routes } = core;
  if (connection.routeGeneration !== routes.generation) {
    connection.routeGeneration = routes.generation;
    connection.route = routes.lookup(connection.remoteAddress);
    connection.neighbor = null;
    // The first hop may take less now, or more.
    connection.pathMtuGeneration = 0;
  }
  const { route } = connection;
  if (route === null || !route.isUsable) {
    noWay(core, connection, refusal(route), now);
    return null;
  }
  const known = connection.neighbor;
  if (known !== null && known.valid) {
    route.link.neighbors.use(known, now);
    return known;
  }
  connection.neighbor = route.link.neighbors.resolve(route.nextHop(connection.remoteAddress), now);
  return connection.neighbor;
}

/** The device of `link` takes no frames now, or takes them again: those go on who waited for it. */
export function setFull(core: Core, link: Interface, isFull: boolean): void {
  link.isFull = isFull;
  if (isFull) return;
  for (const connection of link.waitingConnections) {
    connection.isParked = false;
    if (!connection.isForgotten) core.pending.add(connection);
  }
  link.waitingConnections.length = 0;
  core.outbox.prepend(link.waitingPackets);
}
