import type { Tcb } from "./tcb.ts";

/** What one acknowledgment told (bits of `AckFacts.flags`). */
export const Fact = {
  /** SND.UNA moved. */
  UNA_ADVANCED: 1,
  /** Data was acknowledged cumulatively. */
  DATA_ACKED: 2,
  /** Our SYN was. */
  SYN_ACKED: 4,
  /** Something that had been retransmitted was. */
  RETRANS_ACKED: 8,
  /** A SACK block was new. */
  DATA_SACKED: 16,
  /** An original transmission from before the episode was acknowledged: it was not lost. */
  ORIG_ACKED: 32,
  /** A D-SACK (RFC 2883). */
  DSACK: 64,
  /** A D-SACK for a tail loss probe. */
  DSACK_PROBE: 128,
  /** ECN-Echo (RFC 3168), or more CE marks (RFC 9768). */
  ECE: 256,
  /** The window variables were updated. */
  WINDOW_UPDATE: 512,
  /** The segment carried data, SYN or FIN. */
  DATA: 1024,
  /** The retransmission timer is to be set anew. */
  SET_TIMER: 2048,
  /** A retransmission was found to be lost. */
  LOST_RETRANS: 4096,
  /** TS.Recent moved on: it was no ACK that another one overtook. */
  TIMESTAMP_ADVANCED: 8192,
} as const;

/** What one acknowledgment told. One object, reused: an ACK allocates nothing. */
export class AckFacts {
  flags = 0;
  previousUna = 0;
  packetsOutBefore = 0;
  /** End of the highest SACKed segment before this ACK's own blocks; SND.UNA if there was none. */
  highestSackedBefore = 0;
  deliveredBefore = 0;
  lostBefore = 0;
  /** `delivered` as it was when the latest of the newly acknowledged was sent: tells rounds apart. */
  sentAtDelivered = 0;
  newlyDelivered = 0;
  /** Bytes newly acknowledged or SACKed. */
  deliveredBytes = 0;
  newlyLost = 0;
  /** When the first and last of the newly acknowledged were sent; -1: none. */
  firstAckedUs = -1;
  lastAckedUs = -1;
  firstSackedUs = -1;
  lastSackedUs = -1;
  /** When the latest of all that was cumulatively acknowledged, retransmissions too, was sent. */
  lastDeliveredUs = -1;
  /** The lowest sequence number that turned up late. */
  reordered = 0;

  start(tcb: Tcb): void {
    this.flags = 0;
    this.previousUna = tcb.snd.una;
    this.highestSackedBefore = tcb.queue.sackedOut > 0 ? tcb.recovery.highestSacked : tcb.snd.una;
    this.packetsOutBefore = tcb.queue.packetsOut;
    this.deliveredBefore = tcb.recovery.delivered;
    this.lostBefore = tcb.recovery.lost;
    this.sentAtDelivered = 0;
    this.newlyDelivered = this.deliveredBytes = this.newlyLost = 0;
    this.firstAckedUs =
      this.lastAckedUs =
      this.firstSackedUs =
      this.lastSackedUs =
      this.lastDeliveredUs =
        -1;
    this.reordered = tcb.snd.nxt;
  }
}
