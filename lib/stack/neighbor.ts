import { type IpAddress, MAC_BROADCAST, type MacAddress } from "../wire/address.ts";
import type { Connection } from "./connection.ts";
import { PacketQueue } from "./packet.ts";
import type { Interface } from "./interface.ts";
import { Timer, TimerTable } from "./timer_table.ts";

/** What is known about a neighbor; the states of RFC 4861 7.3.2, which Linux uses for ARP too. */
export const NeighborState = {
  /** Asked for, no answer yet: nothing can be sent. */
  INCOMPLETE: 0,
  /** Heard from within the last half minute or so. */
  REACHABLE: 1,
  /** Not heard from for longer; used all the same until it is asked again. */
  STALE: 2,
  /** Used while stale: asked again soon unless a higher layer hears from it (RFC 1122 2.3.2.1). */
  DELAY: 3,
  /** Being asked again, by unicast. */
  PROBE: 4,
  /** Nobody answered. */
  FAILED: 5,
  /** Said by a person: it holds until it is taken away, whatever the link says. */
  PERMANENT: 6,
} as const;
export type NeighborState = typeof NeighborState[keyof typeof NeighborState];

const NEIGHBOR_STATE_NAMES = Object.keys(NeighborState);

/** "INCOMPLETE", "REACHABLE" ... as ip-neighbour(8) spells them. */
export function neighborStateName(state: number): string {
  return NEIGHBOR_STATE_NAMES[state] ?? `state ${state}`;
}

/** Requests before a neighbor is given up, and the time between them (RFC 1122 2.3.2.1: at most one a second). */
const MAX_REQUESTS = 3;
const RETRANSMIT_US = 1_000_000;
/** RFC 4861 10; the real time is a random share between half and one and a half of it. */
const BASE_REACHABLE_US = 30_000_000;
const DELAY_FIRST_PROBE_US = 5_000_000;
/** An entry nobody used for so long is removed. */
const UNUSED_US = 600_000_000;
/** How long a failure is remembered, so that a flood of packets to a dead neighbor is not a flood of requests. */
const FAILED_HOLD_US = 1_000_000;
const MAX_NEIGHBORS = 1024;
/** Packets that wait for one neighbor (RFC 1122 2.3.2.2 asks for one at least); the oldest goes first. */
export const MAX_PARKED_PACKETS = 16;

/** One line of the ARP cache. */
export class Neighbor extends Timer {
  mac: MacAddress = 0;
  state: NeighborState = NeighborState.INCOMPLETE;
  /** False once it was removed from the table: who kept it looks again. */
  valid = true;
  requests = 0;
  usedAtUs = 0;
  reachableUntilUs = 0;
  reachableForUs = 0;
  /** FAILED: from then on it is asked for anew. */
  retryAtUs = 0;
  /** Connections that wait, linked by `nextParked`. */
  parked: Connection | null = null;
  readonly parkedPackets = new PacketQueue();

  constructor(readonly address: IpAddress, readonly link: Interface) {
    super();
  }

  get isUsable(): boolean {
    return this.state !== NeighborState.INCOMPLETE && this.state !== NeighborState.FAILED;
  }

  /** Has `connection` wait here. */
  park(connection: Connection): void {
    connection.nextParked = this.parked;
    connection.isParked = true;
    this.parked = connection;
  }

  /** The next connection that waited; null when there is none left. */
  unpark(): Connection | null {
    const connection = this.parked;
    if (connection === null) return null;
    this.parked = connection.nextParked;
    connection.nextParked = null;
    connection.isParked = false;
    return connection;
  }
}

/**
 * The ARP cache of one link: who is where on it. It sends nothing: requests become intents in the ArpQueue, and entries that
 * changed for those who wait are left in `settled`.
 */
export class NeighborTable {
  readonly timers = new TimerTable<Neighbor>();
  /** Entries with something parked whose fate is known, in a list that the stack drains. */
  readonly settled: Neighbor[] = [];
  private readonly entries = new Map<IpAddress, Neighbor>();

  constructor(private readonly link: Interface, private readonly random: () => number) {}

  get size(): number {
    return this.entries.size;
  }

  [Symbol.iterator](): Iterator<Neighbor> {
    return this.entries.values();
  }

  get(address: IpAddress): Neighbor | undefined {
    return this.entries.get(address);
  }

  /**
   * The entry to send through, asking for it if need be. Called before a packet is built: only when it `isUsable` may
   * one be. Null: the table is full of entries that others wait for.
   */
  resolve(address: IpAddress, now: number): Neighbor | null {
    const neighbor = this.entries.get(address) ?? this.create(address, now);
    if (neighbor !== null) this.use(neighbor, now);
    return neighbor;
  }

  /** The same for an entry that the caller remembered. */
  use(neighbor: Neighbor, now: number): void {
    neighbor.usedAtUs = now;
    const state = neighbor.state;
    if (state === NeighborState.REACHABLE) {
      if (now < neighbor.reachableUntilUs) return;
      neighbor.state = NeighborState.STALE;
    }
    if (neighbor.state === NeighborState.STALE) {
      neighbor.state = NeighborState.DELAY;
      neighbor.requests = 0;
      this.timers.arm(neighbor, now + DELAY_FIRST_PROBE_US);
    } else if (state === NeighborState.FAILED && now >= neighbor.retryAtUs) {
      neighbor.state = NeighborState.INCOMPLETE;
      neighbor.requests = 0;
    }
    if (neighbor.state === NeighborState.INCOMPLETE && neighbor.requests === 0) {
      this.ask(neighbor, now);
    }
  }

  /** A neighbor told its address. `confirmed`: it answered us, so it hears us too. */
  learn(address: IpAddress, mac: MacAddress, confirmed: boolean, now: number): Neighbor | null {
    const neighbor = this.entries.get(address) ?? this.create(address, now);
    if (neighbor === null || neighbor.state === NeighborState.PERMANENT) return neighbor;
    const waited = !neighbor.isUsable;
    if (!waited && !confirmed && mac === neighbor.mac) return neighbor;
    neighbor.mac = mac;
    neighbor.requests = 0;
    if (confirmed) {
      this.setReachable(neighbor, now);
    } else {
      neighbor.state = NeighborState.STALE;
      this.timers.arm(neighbor, now + UNUSED_US);
    }
    if (waited) this.settle(neighbor);
    return neighbor;
  }

  /** A person says where a neighbor is, and how sure that is. */
  set(address: IpAddress, mac: MacAddress, state: NeighborState, now: number): void {
    const neighbor = this.entries.get(address) ?? this.create(address, now);
    if (neighbor === null) return;
    const waited = !neighbor.isUsable;
    neighbor.mac = mac;
    neighbor.requests = 0;
    neighbor.usedAtUs = now;
    neighbor.state = state;
    if (state === NeighborState.PERMANENT) this.timers.remove(neighbor);
    else if (state === NeighborState.REACHABLE) this.setReachable(neighbor, now);
    else this.timers.arm(neighbor, now + UNUSED_US);
    if (waited) this.settle(neighbor);
  }

  /** A person has an entry forgotten: who waits for it is told that there is no way. False: it is not known. */
  forget(address: IpAddress, now: number): boolean {
    const neighbor = this.entries.get(address);
    if (neighbor === undefined) return false;
    this.fail(neighbor, now, 0);
    this.remove(neighbor);
    return true;
  }

  /** A higher layer heard an answer to what was sent through it (RFC 1122 2.3.2.1, RFC 4861 7.3.1). */
  confirm(neighbor: Neighbor, now: number): void {
    if (neighbor.isUsable && neighbor.state !== NeighborState.PERMANENT) this.setReachable(neighbor, now);
  }

  /** Fires the timers that are due: asks again, gives up, forgets. */
  advance(now: number): void {
    for (let due = this.timers.takeDue(now); due !== null; due = this.timers.takeDue(now)) {
      this.fire(due, now);
    }
  }

  private fire(neighbor: Neighbor, now: number): void {
    switch (neighbor.state) {
      case NeighborState.INCOMPLETE:
        if (neighbor.requests < MAX_REQUESTS) this.ask(neighbor, now);
        else this.fail(neighbor, now, FAILED_HOLD_US);
        return;
      case NeighborState.DELAY:
        neighbor.state = NeighborState.PROBE;
        neighbor.requests = 0;
        this.ask(neighbor, now);
        return;
      case NeighborState.PROBE:
        if (neighbor.requests < MAX_REQUESTS) this.ask(neighbor, now);
        // It may have moved to another machine: the next packet asks everybody, at once.
        else this.fail(neighbor, now, 0);
        return;
      case NeighborState.FAILED:
        this.remove(neighbor);
        return;
      default:
        // The sum is what the timer was armed with: a difference may round the other way, and it would fire forever.
        if (now >= neighbor.usedAtUs + UNUSED_US) this.remove(neighbor);
        else this.timers.arm(neighbor, neighbor.usedAtUs + UNUSED_US);
    }
  }

  /** Leaves a request: to everybody, or in the state PROBE to the machine that had the address. */
  private ask(neighbor: Neighbor, now: number): void {
    neighbor.requests++;
    const { link } = this;
    // As Linux's arp_announce=2: the address of ours that the neighbor is most likely to answer.
    const source = link.sourceFor(neighbor.address);
    const isProbe = neighbor.state === NeighborState.PROBE;
    link.arp.request(source, neighbor.address, isProbe ? neighbor.mac : MAC_BROADCAST);
    this.timers.arm(neighbor, now + RETRANSMIT_US);
  }

  private fail(neighbor: Neighbor, now: number, holdUs: number): void {
    neighbor.state = NeighborState.FAILED;
    neighbor.retryAtUs = now + holdUs;
    this.timers.arm(neighbor, now + 10 * RETRANSMIT_US);
    this.settle(neighbor);
  }

  private setReachable(neighbor: Neighbor, now: number): void {
    // Drawn anew when it was not reachable before, and not for each of a transfer's acknowledgments.
    if (neighbor.state !== NeighborState.REACHABLE) {
      neighbor.state = NeighborState.REACHABLE;
      neighbor.reachableForUs = BASE_REACHABLE_US * (0.5 + this.random() / 2 ** 32);
    }
    neighbor.reachableUntilUs = now + neighbor.reachableForUs;
    this.timers.arm(neighbor, now + UNUSED_US);
  }

  private settle(neighbor: Neighbor): void {
    if (neighbor.parked !== null || neighbor.parkedPackets.count > 0) this.settled.push(neighbor);
  }

  private create(address: IpAddress, now: number): Neighbor | null {
    if (this.entries.size >= MAX_NEIGHBORS && !this.evict()) return null;
    const neighbor = new Neighbor(address, this.link);
    neighbor.usedAtUs = now;
    this.entries.set(address, neighbor);
    return neighbor;
  }

  /** Makes room: the entry that was not used for longest and that nobody waits for. */
  private evict(): boolean {
    let oldest: Neighbor | null = null;
    for (const neighbor of this.entries.values()) {
      if (neighbor.parked !== null || neighbor.parkedPackets.count > 0) continue;
      if (neighbor.state === NeighborState.PERMANENT) continue;
      if (oldest === null || neighbor.usedAtUs < oldest.usedAtUs) oldest = neighbor;
    }
    if (oldest === null) return false;
    this.remove(oldest);
    return true;
  }

  private remove(neighbor: Neighbor): void {
    neighbor.valid = false;
    this.timers.remove(neighbor);
    this.entries.delete(neighbor.address);
  }
}
