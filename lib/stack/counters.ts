import { DROP_COUNT, type DropCode, dropName } from "../wire/drop.ts";

/** What went through the stack since it started: packets by kind, and drops by name. */
export class Counters {
  /** Frames and their bytes, to and from the device. */
  framesIn = 0;
  framesOut = 0;
  bytesIn = 0;
  bytesOut = 0;
  /** Packets that the stack sent to itself. */
  loopback = 0;
  arpIn = 0;
  arpOut = 0;
  ipIn = 0;
  ipOut = 0;
  /** Packets for others that were passed on. */
  ipForwarded = 0;
  /** Fragments, and the datagrams they made up or were made from. */
  ipFragmentsIn = 0;
  ipReassembled = 0;
  ipFragmentsOut = 0;
  ipFragmented = 0;
  icmpIn = 0;
  icmpOut = 0;
  icmpErrorsIn = 0;
  icmpErrorsOut = 0;
  udpIn = 0;
  udpOut = 0;
  tcpIn = 0;
  tcpOut = 0;
  /** Resets for segments that concerned no socket. */
  tcpResetsOut = 0;
  /** Connections that a listener completed, and that we completed. */
  tcpPassiveOpens = 0;
  tcpActiveOpens = 0;
  /** SYNs answered without keeping state, and ACKs of such answers, genuine or not (RFC 4987 3.6). */
  tcpSynCookiesSent = 0;
  tcpSynCookiesReceived = 0;
  tcpSynCookiesFailed = 0;
  /** SYNs whose data was taken for the sake of their cookie, and whose cookie was not good (RFC 7413). */
  tcpFastOpenPassive = 0;
  tcpFastOpenPassiveFailures = 0;
  /** Data of our SYNs that the peer took, and that it did not. */
  tcpFastOpenActive = 0;
  tcpFastOpenActiveFailures = 0;
  /** Connections whose TIME-WAIT was left out because there were too many. */
  tcpTimeWaitOverflows = 0;
  /** Connections that ended with an error. */
  tcpFailures = 0;

  private readonly drops = new Float64Array(DROP_COUNT);

  drop(code: DropCode): void {
    this.drops[code]++;
  }

  /** How often `code` was the reason. */
  dropped(code: DropCode): number {
    return this.drops[code];
  }

  /** All drops together. */
  get totalDropped(): number {
    let total = 0;
    for (const count of this.drops) total += count;
    return total;
  }

  /** The reasons that occurred, by name. */
  namedDrops(): Record<string, number> {
    const named: Record<string, number> = {};
    for (let code = 0; code < DROP_COUNT; code++) {
      if (this.drops[code] > 0) named[dropName(code)] = this.drops[code];
    }
    return named;
  }
}
