import type { IpAddress } from "../wire/address.ts";
import type { Tcb } from "../tcp/tcb.ts";
import type { Listener } from "./listener.ts";
import type { Neighbor } from "./neighbor.ts";
import type { Binding } from "./port_space.ts";
import type { Route } from "./routes.ts";
import type { StreamSocket } from "./socket.ts";
import { Timer } from "./timer_table.ts";

/** Linux's default `net.ipv4.ip_default_ttl`. */
export const DEFAULT_TTL = 64;

/** What the table of connections holds: a connection, or what is left of one in TIME-WAIT. */
export abstract class TableEntry extends Timer {
  /** Holds the local port for as long as the connection lives. */
  binding: Binding | null = null;
  ttl = DEFAULT_TTL;
  /** DSCP; the ECN bits are TCP's. */
  dscp = 0;

  // Place in the table
  hash = 0;
  nextInBucket: TableEntry | null = null;

  constructor(
    readonly localAddress: IpAddress,
    readonly localPort: number,
    readonly remoteAddress: IpAddress,
    readonly remotePort: number,
  ) {
    super();
  }
}

/** What the stack knows of one TCP connection that the connection itself does not: addresses, holder, place in line. */
export class Connection extends TableEntry {
  /** The program's socket; null: not accepted yet, or closed by its program. */
  socket: StreamSocket | null = null;
  /** The listener whose queues it is in. */
  listener: Listener | null = null;
  /** In the listener's accept queue. */
  nextAccepted: Connection | null = null;
  /** The listener that lets it have data before its handshake is complete; null: it is complete, or no such child. */
  earlyOf: Listener | null = null;
  /** Its listener counts it as half open, and as young: the listener's marks. */
  isHalfOpen = false;
  isYoung = false;
  /** A listener has completed its handshake, or let it go before that. */
  wasEstablished = false;

  // Places in the stack's lists
  isPending = false;
  nextPending: Connection | null = null;
  /** Waits for its neighbor's address. */
  isParked = false;
  nextParked: Connection | null = null;
  /** It is over and out of all tables. */
  isForgotten = false;

  // What was found out about the way to the peer
  route: Route | null = null;
  routeGeneration = 0;
  neighbor: Neighbor | null = null;
  /** Of the path MTUs when it looked last. */
  pathMtuGeneration = 0;

  constructor(
    readonly tcb: Tcb,
    localAddress: IpAddress,
    localPort: number,
    remoteAddress: IpAddress,
    remotePort: number,
    /** The peer is this host. */
    readonly isLocal: boolean,
  ) {
    super(localAddress, localPort, remoteAddress, remotePort);
  }
}

/** Connections that may have something to send, each asked in turn for one segment. */
export class PendingList {
  private head: Connection | null = null;
  private tail: Connection | null = null;

  get isEmpty(): boolean {
    return this.head === null;
  }

  /** Puts it at the end, unless it is in the list or parked. */
  add(connection: Connection): void {
    if (connection.isPending || connection.isParked) return;
    connection.isPending = true;
    connection.nextPending = null;
    if (this.tail === null) this.head = connection;
    else this.tail.nextPending = connection;
    this.tail = connection;
  }

  /** Takes the first. */
  shift(): Connection | null {
    const connection = this.head;
    if (connection === null) return null;
    this.head = connection.nextPending;
    if (this.head === null) this.tail = null;
    connection.nextPending = null;
    connection.isPending = false;
    return connection;
  }
}
