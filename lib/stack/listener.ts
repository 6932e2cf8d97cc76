import { ANY, type IpAddress } from "../wire/address.ts";
import type { Connection } from "./connection.ts";
import type { StreamSocket } from "./socket.ts";

/** Linux's `net.core.somaxconn`. */
const MAX_BACKLOG = 4096;

/** So few half-open connections are never too many. */
const LEAST_CROWD = 8;
/** So many SYN-ACKs may be lost however crowded it is. */
const LEAST_RETRIES = 2;

/** A socket that accepts connections: those half open are counted, those established wait for `accept`. */
export class Listener {
  /** How many children are in SYN-RECEIVED (counts and marks: two sets took 0.2 us a connection). */
  private halfOpen = 0;
  /** How many of them have not seen their first SYN-ACK time out yet: honest clients have answered by then. */
  private young = 0;
  /** When a SYN was answered with a cookie last, microseconds. */
  cookieSentAtUs = -Infinity;
  /** Children that had data before their handshake was complete, as it is not yet (RFC 7413 5.1). */
  earlyCount = 0;
  private backlog = 0;
  private head: Connection | null = null;
  private tail: Connection | null = null;
  private acceptable = 0;

  constructor(
    readonly socket: StreamSocket,
    readonly address: IpAddress,
    readonly port: number,
    backlog: number,
  ) {
    this.setBacklog(backlog);
  }

  /** As listen(2): negative numbers are read as unsigned. */
  setBacklog(backlog: number): void {
    this.backlog = Math.min(backlog >>> 0, MAX_BACKLOG);
  }

  get length(): number {
    return this.acceptable;
  }

  /** The backlog. */
  get limit(): number {
    return this.backlog;
  }

  /** Linux counts so that a backlog of n takes n + 1 connections. */
  get isFull(): boolean {
    return this.acceptable > this.backlog;
  }

  /** A SYN finds no place: it is answered with a cookie, or dropped. */
  get isHalfOpenFull(): boolean {
    return this.halfOpen > this.backlog;
  }

  /** A child has begun its handshake. */
  begin(child: Connection): void {
    child.isHalfOpen = child.isYoung = true;
    this.halfOpen++;
    this.young++;
  }

  /** Its handshake is over, whether or not it is complete. */
  end(child: Connection): void {
    this.age(child);
    if (child.isHalfOpen) this.halfOpen--;
    child.isHalfOpen = false;
  }

  /** Its SYN-ACK has timed out. */
  age(child: Connection): void {
    if (child.isYoung) this.young--;
    child.isYoung = false;
  }

  /**
   * How many SYN-ACKs may time out before a child is given up, as Linux has it: `usual`, but when more than half of the
   * places are taken, the fewer the more of those half open are old. So half of the places stay for the young.
   */
  retries(usual: number): number {
    const size = this.halfOpen;
    if (size * 2 <= Math.max(LEAST_CROWD, this.backlog)) return usual;
    let allowed = usual;
    for (let young = this.young * 2; allowed > LEAST_RETRIES && size >= young; young *= 2) allowed--;
    return allowed;
  }

  /** The handshake of a child is complete. */
  push(connection: Connection): void {
    this.end(connection);
    connection.nextAccepted = null;
    if (this.tail === null) this.head = connection;
    else this.tail.nextAccepted = connection;
    this.tail = connection;
    this.acceptable++;
  }

  shift(): Connection | null {
    const connection = this.head;
    if (connection === null) return null;
    this.head = connection.nextAccepted;
    if (this.head === null) this.tail = null;
    connection.nextAccepted = null;
    connection.listener = null;
    this.acceptable--;
    return connection;
  }
}

/** Finds the listener for a SYN: of those on its port the one with its address, else one with any. */
export class ListenerTable {
  private readonly ports = new Map<number, Listener[]>();

  add(listener: Listener): void {
    const list = this.ports.get(listener.port);
    if (list === undefined) this.ports.set(listener.port, [listener]);
    else list.push(listener);
  }

  remove(listener: Listener): void {
    const list = this.ports.get(listener.port);
    if (list === undefined) return;
    const at = list.indexOf(listener);
    if (at >= 0) list.splice(at, 1);
    if (list.length === 0) this.ports.delete(listener.port);
  }

  /** `choice`: any number that stays the same for one peer; it picks among those who share the port by SO_REUSEPORT. */
  find(address: IpAddress, port: number, choice: number): Listener | null {
    const list = this.ports.get(port);
    if (list === undefined) return null;
    return pick(list, address, choice) ?? pick(list, ANY, choice);
  }

  *[Symbol.iterator](): Iterator<Listener> {
    for (const list of this.ports.values()) yield* list;
  }
}

function pick(list: readonly Listener[], address: IpAddress, choice: number): Listener | null {
  if (list.length === 1) return list[0].address === address ? list[0] : null;
  let count = 0;
  for (const listener of list) if (listener.address === address) count++;
  if (count === 0) return null;
  let left = (choice >>> 0) % count;
  for (const listener of list) {
    if (listener.address === address && left-- === 0) return listener;
  }
  return null;
}
