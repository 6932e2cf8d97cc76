import { EVENT_CLOSED, EVENT_CONNECTED } from "../tcp/state.ts";
import type { TimeWait } from "../tcp/time_wait.ts";
import { advanceTimers } from "../tcp/timers.ts";
import { abort } from "../tcp/user_calls.ts";
import { Connection, type TableEntry } from "./connection.ts";
import type { Core } from "./core.ts";
import { noteFastOpen } from "./fast_open_client.ts";
import type { Listener } from "./listener.ts";
import { endTimeWait, shrinkToTimeWait, TimeWaitEntry, timeWaitOf } from "./time_wait.ts";

/** Puts a connection that was opened in the tables. */
export function addConnection(core: Core, connection: Connection): void {
  core.connections.add(connection);
  touch(core, connection);
}

/**
 * To be called after any call into lib/tcp: tells those concerned what happened, sets the timer, and puts the connection
 * in the line of those that may have something to send.
 */
export function touch(core: Core, connection: Connection): void {
  if (settle(core, connection)) core.pending.add(connection);
}

/** The same without the line; false when the connection is over. */
export function settle(core: Core, connection: Connection): boolean {
  const { tcb } = connection;
  const { events } = tcb;
  if (events !== 0) {
    tcb.events = 0;
    report(core, connection, events);
  }
  if (connection.isForgotten) return false;
  if (tcb.timeWait !== null && tcb.orphan && !tcb.ack.now) {
    shrinkToTimeWait(core, connection, tcb.timeWait);
    return false;
  }
  if (tcb.deadline !== connection.dueUs) core.timers.arm(connection, tcb.deadline);
  return true;
}

/** Lets accept(2) have it. */
export function makeAcceptable(core: Core, listener: Listener, connection: Connection): void {
  connection.wasEstablished = true;
  listener.push(connection);
  core.sockets.markReady(listener.socket);
}

function report(core: Core, connection: Connection, events: number): void {
  const { listener, socket } = connection;
  if ((events & EVENT_CONNECTED) !== 0) {
    if (connection.earlyOf !== null) {
      core.counters.tcpPassiveOpens++;
    } else if (listener !== null) {
      core.counters.tcpPassiveOpens++;
      makeAcceptable(core, listener, connection);
    } else {
      core.counters.tcpActiveOpens++;
      noteFastOpen(core, connection);
    }
  }
  if ((events & (EVENT_CONNECTED | EVENT_CLOSED)) !== 0 && connection.earlyOf !== null) {
    connection.earlyOf.earlyCount--;
    connection.earlyOf = null;
  }
  if ((events & EVENT_CLOSED) !== 0) {
    if (listener !== null && !connection.wasEstablished) {
      listener.end(connection);
      connection.listener = null;
    }
    if (connection.tcb.error !== 0) core.counters.tcpFailures++;
    forget(core, connection);
  }
  if (socket !== null) core.sockets.markReady(socket);
}

/** Takes a connection out of all tables and gives back its port, unless its socket asked for that port by name. */
export function forget(core: Core, connection: Connection): void {
  if (connection.isForgotten) return;
  connection.isForgotten = true;
  core.connections.remove(connection);
  core.timers.remove(connection);
  const { binding, socket } = connection;
  connection.binding = null;
  // Without a program, now or later, nobody will read what is left.
  if (socket === null && connection.listener === null) connection.tcb.receiveBuffer.release();
  if (binding === null || (socket !== null && socket.isBound)) return;
  core.tcpPorts.remove(binding);
  if (socket !== null) socket.binding = null;
}

/** Frees the four-tuple of a connection in TIME-WAIT for its successor; what is known of its wait. */
export function giveWay(core: Core, old: TableEntry): TimeWait | null {
  const wait = timeWaitOf(old);
  if (old instanceof TimeWaitEntry) endTimeWait(core, old);
  else if (old instanceof Connection) forget(core, old);
  return wait;
}

/** Fires the timers of all connections that are due, each once: one that is due again at once has to wait for others. */
export function advanceConnections(core: Core, now: number): void {
  for (let left = core.timers.size; left > 0; left--) {
    const due = core.timers.takeDue(now);
    if (due === null) return;
    if (due instanceof Connection) {
      if (!isCrowdedOut(core, due, now)) advanceTimers(due.tcb, now);
      touch(core, due);
    } else if (due instanceof TimeWaitEntry) {
      endTimeWait(core, due);
    }
  }
}

/** A SYN-ACK timed out: its connection may have to make room for younger ones before its time. It ends without a word. */
function isCrowdedOut(core: Core, child: Connection, now: number): boolean {
  const { listener, tcb } = child;
  if (listener === null || child.wasEstablished || tcb.handshakeAcked || tcb.timers.transmitAtUs > now) {
    return false;
  }
  listener.age(child);
  const usual = tcb.user.synRetries > 0 ? tcb.user.synRetries : tcb.settings.synAckRetries;
  const allowed = listener.retries(usual);
  if (allowed === usual || tcb.recovery.retransmits < allowed) return false;
  listener.end(child);
  child.listener = null;
  core.counters.tcpFailures++;
  forget(core, child);
  return true;
}

/** Resets all connections (RFC 9293 3.10.5); those in TIME-WAIT end silently. */
export function abortConnections(core: Core, now: number): void {
  for (const entry of [...core.connections]) {
    if (entry instanceof TimeWaitEntry) {
      endTimeWait(core, entry);
    } else if (entry instanceof Connection) {
      abort(entry.tcb, now);
      touch(core, entry);
    }
  }
}

/** RFC 6191, and Linux's tcp_tw_reuse: how much later than the old connection's last segment its successor may come. */
const REUSE_AFTER_US = 1_000_000;
/** What Linux adds to the old connection's last sequence number for the new one's first. */
const REUSE_DISTANCE = 65535 + 2;

/**
 * Whether an outgoing connection may take the place of one in TIME-WAIT: its timestamps tell old segments from new ones.
 */
export function mayTakeOver(old: TableEntry, now: number): boolean {
  const timestamps = timeWaitOf(old)?.timestamps;
  return timestamps != null && now - timestamps.recentAtUs > REUSE_AFTER_US;
}

/** The initial sequence number of a connection that takes the place of one in TIME-WAIT. */
export function successorSequence(old: TimeWait): number {
  return (old.sendNext + REUSE_DISTANCE) | 0;
}
