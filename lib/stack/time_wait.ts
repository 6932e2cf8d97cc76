import { fillTimeWaitAck, type TimeWait } from "../tcp/time_wait.ts";
import { enqueueSegment } from "./bare_segment.ts";
import { Connection, TableEntry } from "./connection.ts";
import type { Core } from "./core.ts";

/** What is left of a connection in TIME-WAIT once no program holds it: 0.5 KB, where all of it has 4. */
export class TimeWaitEntry extends TableEntry {
  constructor(connection: Connection, readonly wait: TimeWait) {
    const { localAddress, localPort, remoteAddress, remotePort } = connection;
    super(localAddress, localPort, remoteAddress, remotePort);
    this.binding = connection.binding;
    this.ttl = connection.ttl;
    this.dscp = connection.dscp;
  }
}

/** What is known of the wait of a connection in TIME-WAIT; null: it is in another state. */
export function timeWaitOf(entry: TableEntry): TimeWait | null {
  if (entry instanceof TimeWaitEntry) return entry.wait;
  return entry instanceof Connection ? entry.tcb.timeWait : null;
}

/**
 * Keeps of a connection only what TIME-WAIT needs. Past `maxTimeWaits` not even that, as on Linux (tcp_max_tw_buckets):
 * the wait is over at once.
 */
export function shrinkToTimeWait(core: Core, connection: Connection, wait: TimeWait): void {
  core.connections.remove(connection);
  core.timers.remove(connection);
  connection.isForgotten = true;
  const entry = new TimeWaitEntry(connection, wait);
  connection.binding = null;
  if (core.timeWaits >= core.tcpSettings.maxTimeWaits) {
    core.counters.tcpTimeWaitOverflows++;
    if (entry.binding !== null) core.tcpPorts.remove(entry.binding);
    return;
  }
  core.timeWaits++;
  core.connections.add(entry);
  core.timers.arm(entry, wait.endsAtUs);
}

/** The wait is over: the four-tuple and the port are free. */
export function endTimeWait(core: Core, entry: TimeWaitEntry): void {
  core.timeWaits--;
  core.connections.remove(entry);
  core.timers.remove(entry);
  if (entry.binding !== null) core.tcpPorts.remove(entry.binding);
}

/** Says once more where the connection ended. */
export function acknowledgeAgain(core: Core, entry: TimeWaitEntry, now: number): void {
  const out = core.timeWaitOut;
  fillTimeWaitAck(entry.wait, out, now);
  out.sourcePort = entry.localPort;
  out.destinationPort = entry.remotePort;
  const { localAddress, remoteAddress, ttl, dscp } = entry;
  enqueueSegment(core, out, localAddress, remoteAddress, ttl, dscp << 2);
}
