import { AE, CWR, ECE, TCP_HEADER_MAX, type TcpHeader, tcpHeaderLength } from "../wire/tcp.ts";
import { State } from "./state.ts";
import type { Tcb } from "./tcb.ts";
import { updateSendMss } from "./window.ts";

/**
 * Accurate ECN (RFC 9768): the receiver tells how many segments and bytes arrived with CE, where RFC 3168 tells once a
 * round trip that some did. The count of segments goes in three bits of the header, AE, CWR and ECE: the ACE field. The
 * bytes by codepoint go in an option. Here is what a connection remembers, the handshake, and what the receiver counts
 * and sends; what the sender makes of it is in `accurate_ecn_feedback.ts`. Where the RFC leaves a choice, it is Linux's.
 */

/** Codepoints of the IP header (RFC 3168 5). */
export const Codepoint = { NOT_ECT: 0, ECT1: 1, ECT0: 2, CE: 3 } as const;

/** RFC 9768 3.2.1: the counters begin so on the wire, that zeros are known for what a middlebox made of them. */
export const INITIAL_CEP = 5;
/** By codepoint: of Not-ECT nothing is counted. */
export const INITIAL_BYTES: readonly number[] = [0, 1, 1, 0];

/** Whose counters the option has, by its order and in its order (RFC 9768 3.2.3, table 5). */
export const OPTION_FIELDS: readonly (readonly number[])[] = [
  [Codepoint.ECT0, Codepoint.CE, Codepoint.ECT1],
  [Codepoint.ECT1, Codepoint.CE, Codepoint.ECT0],
];

/** What the network or the peer is known to spoil (bits of Linux's `tcpi_accecn_fail_mode`). */
export const Failure = { ACE_SENT: 1, ACE_RECEIVED: 2, OPTION_SENT: 4, OPTION_RECEIVED: 8 } as const;

/** The peer's options so far (Linux's `tcpi_accecn_opt_seen`). */
export const OptionSeen = { NONE: 0, EMPTY: 1, COUNTERS: 2, BROKEN: 3 } as const;

/** When the option is sent (Linux's `tcp_ecn_option`). */
const OptionPolicy = { NEVER: 0, WHEN_NEEDED: 1, ALWAYS: 2, EVEN_IF_IN_VAIN: 3 } as const;

/** What a connection that agreed on Accurate ECN remembers for it. */
export class AccurateEcn {
  /** Codepoint of the peer's latest SYN or SYN-ACK, which is told to it (3.1.5). */
  synCodepoint: number = Codepoint.NOT_ECT;
  /** The next ACK, if it is a pure one, tells that instead of the count: it acknowledges a SYN-ACK (3.2.2.1). */
  reflects = false;
  /** Bits of `Failure`. */
  failures = 0;

  // The receiver's side
  /** r.cep: segments that arrived with CE. */
  receivedCe = 0;
  /** How many of them no segment of ours has told. */
  untoldCe = 0;
  /** r.e1b, r.e0b and r.ceb: bytes of payload, by codepoint. */
  readonly receivedBytes = [0, 0, 0, 0];
  latestCodepoint: number = Codepoint.NOT_ECT;
  /** The ACK that is owed cannot wait (3.2.2.5.1). */
  isUrgent = false;
  /** The option goes with this many segments more, whatever the policy is. */
  optionsDue = 0;
  /** How many counters the option must have to tell what changed since the last one. */
  countersNeeded = 0;
  /** Every full segment leaves room for the option, so that all are of one size. */
  reservesOption = false;
  /** The segment that is being decided on carries it. */
  carriesOption = false;
  optionSentAtUs = 0;
  /** The last segment told of a repetition by D-SACK, and carried the option. */
  optionSentWithDsack = false;

  // The sender's side
  optionSeen: number = OptionSeen.NONE;
  /** s.e1b, s.e0b and s.ceb: bytes of our payload, by the codepoint they arrived with. */
  readonly deliveredBytes = [0, 0, 0, 0];
  /** The only one of these that the last option changed: what is delivered until the next counts for it. 0: none. */
  growing = 0;
  /** Segments that an ACK acknowledges, smoothed. */
  ackedSegments = 0;
}

/** The ACE field (3.2.2). */
export function aceOf(flags: number): number {
  return (flags / ECE) & 7;
}

const ACE = AE | CWR | ECE;
const flagsOf = (ace: number) => (ace & 7) * ECE;

/** Tables 2 and 3: what tells the codepoint of a SYN or SYN-ACK, by codepoint. */
const REFLECTED = [0b010, 0b011, 0b100, 0b110];

/** Linux's `tcp_ecn_fallback`: without it nothing is given up for what a middlebox may have done. */
export function fallsBack(tcb: Tcb): boolean {
  return tcb.settings.ecnSynRetries !== Infinity;
}

/** The flags by which our SYN asks for ECN, accurate (3.1.1) or not (RFC 3168 6.1.1). */
export function flagsOfSyn(tcb: Tcb): number {
  const { settings, recovery } = tcb;
  // 3.1.4.1: the SYN may have got lost for another reason: it asks once more.
  if (settings.ecn === 3) return recovery.retransmits <= settings.ecnSynRetries + 1 ? ACE : 0;
  const asks = settings.ecn === 1 || settings.ecn === 4;
  return asks && recovery.retransmits <= settings.ecnSynRetries ? ECE | CWR : 0;
}

/** A SYN came. 3.1.2: what is neither RFC 3168's offer nor none is one of Accurate ECN. */
export function acceptSyn(tcb: Tcb, syn: TcpHeader): void {
  const ace = aceOf(syn.flags);
  tcb.accurateEcn = null;
  if (tcb.settings.ecn < 3 || ace === 0b000 || ace === 0b011) return;
  const accurate = tcb.accurateEcn = new AccurateEcn();
  accurate.synCodepoint = accurate.latestCodepoint = syn.ecn;
  accurate.optionsDue = 1;
}

/** The answer to our SYN (table 2). */
export function acceptSynAck(tcb: Tcb, synAck: TcpHeader): void {
  const ace = aceOf(synAck.flags);
  // No ECN, RFC 3168's, and a peer that sends our flags back.
  if (tcb.settings.ecn !== 3 || ace === 0b000 || ace === 0b001 || ace === 0b111) return;
  const accurate = tcb.accurateEcn = new AccurateEcn();
  accurate.synCodepoint = synAck.ecn;
  accurate.reflects = true;
  if (synAck.accecnCount >= 0) {
    noteOption(accurate, synAck);
    accurate.optionsDue = 2;
  }
  // 3.2.2.3: our SYN left as Not-ECT; if it arrived as anything else, codepoints mean nothing on this path.
  if (synAck.ecn !== Codepoint.CE) return;
  if (ace !== REFLECTED[Codepoint.NOT_ECT] && fallsBack(tcb)) accurate.failures |= Failure.ACE_RECEIVED;
  else accurate.receivedCe = accurate.untoldCe = 1;
}

/** The first ACK of our SYN-ACK, which left as Not-ECT, tells how that arrived (3.2.2.1, table 4). */
export function thirdAckArrives(tcb: Tcb, accurate: AccurateEcn, ack: TcpHeader): void {
  const ace = aceOf(ack.flags);
  if (ack.accecnCount >= 0) noteOption(accurate, ack);
  if (ace === 0b000) {
    // 3.2.2.4: no count and no codepoint is told so.
    accurate.failures |= Failure.ACE_RECEIVED;
    return;
  }
  const isReflection = REFLECTED.includes(ace) && ack.payloadLength === 0 && ack.sackCount === 0;
  if (!isReflection || ace === REFLECTED[Codepoint.NOT_ECT]) return;
  if (fallsBack(tcb)) accurate.failures |= Failure.ACE_RECEIVED;
  else if (ace === REFLECTED[Codepoint.CE]) tcb.recovery.deliveredCe = 1;
}

/** The peer's SYN came again, or its SYN-ACK: the latest one counts (3.1.5), and the ACK that answers it tells of it. */
export function synArrivesAgain(tcb: Tcb, accurate: AccurateEcn, syn: TcpHeader): void {
  // Only one of this connection is a valid one: others may be anybody's (RFC 5961 4).
  if (syn.seq !== tcb.rcv.irs) return;
  accurate.synCodepoint = syn.ecn;
  if (tcb.state === State.SYN_RECEIVED) {
    // 3.1.5: one without the offer: feedback is given, but nothing of ours is ECN-capable.
    if (aceOf(syn.flags) === 0) accurate.failures |= Failure.ACE_RECEIVED;
    return;
  }
  accurate.reflects = tcb.ack.now || tcb.ack.scheduled;
  if (syn.accecnCount < 0 || accurate.optionSeen >= OptionSeen.COUNTERS) return;
  noteOption(accurate, syn);
  accurate.optionsDue = Math.max(accurate.optionsDue, 1);
}

/** 3.2.3.2.4: the first option tells whether something on the path zeroes it. */
export function noteOption(accurate: AccurateEcn, seg: TcpHeader): void {
  const { accecnCount, accecnCounters } = seg;
  if (accecnCount === 0) accurate.optionSeen = OptionSeen.EMPTY;
  else if (accecnCounters[0] === 0 || (accecnCount === 3 && accecnCounters[2] === 0)) {
    accurate.optionSeen = OptionSeen.BROKEN;
    accurate.failures |= Failure.OPTION_RECEIVED;
  } else accurate.optionSeen = OptionSeen.COUNTERS;
}

/** CE marks that are told at once, with text to acknowledge and without: ACKs of ACKs shall not go on for ever (3.2.2.5.1). */
const MARKS_WITH_TEXT = 2;
const MARKS_WITHOUT = 3;
/** 3.2.3.3: the option is sent at the latest when a counter grew by so much; they have three bytes. */
const BYTES_UNTOLD = 2 ** 22;

/** Counts an acceptable segment (3.2.1), and says when the next ACK is to go at once (3.2.2.5.1, change-triggered). */
export function countArrival(tcb: Tcb, accurate: AccurateEcn, seg: TcpHeader): void {
  const { ecn, payloadLength, gsoSize } = seg;
  if (ecn !== Codepoint.NOT_ECT) tcb.ecnSeen = true;
  if (payloadLength > 0 && ecn !== Codepoint.NOT_ECT) countBytes(accurate, ecn, payloadLength);
  const changed = ecn !== accurate.latestCodepoint;
  if (changed) accurate.isUrgent = true;
  if (changed || ecn === Codepoint.CE) accurate.optionsDue = 2;
  accurate.latestCodepoint = ecn;
  if (ecn !== Codepoint.CE) return;
  const segments = gsoSize > 0 ? Math.max(1, Math.ceil(payloadLength / gsoSize)) : 1;
  accurate.receivedCe += segments;
  accurate.untoldCe += segments;
  if (accurate.untoldCe >= MARKS_WITH_TEXT) accurate.isUrgent = true;
  if (accurate.untoldCe >= MARKS_WITHOUT) tcb.ack.now = true;
}

function countBytes(accurate: AccurateEcn, codepoint: number, bytes: number): void {
  const { receivedBytes } = accurate;
  const before = receivedBytes[codepoint];
  const after = receivedBytes[codepoint] = before + bytes;
  if (Math.floor(before / BYTES_UNTOLD) !== Math.floor(after / BYTES_UNTOLD)) {
    accurate.optionsDue = Math.max(accurate.optionsDue, 1);
  }
  accurate.countersNeeded = Math.max(accurate.countersNeeded, OPTION_FIELDS[1].indexOf(codepoint) + 1);
}

/**
 * Text came that was here before: the peer did not get our ACK of it. If it did not even get the one with the D-SACK that
 * told of the last time, and that one carried the option, then it may be the option that does not get through (3.2.3.2.2).
 */
export function textArrivesAgain(tcb: Tcb, accurate: AccurateEcn, seq: number): void {
  if (accurate.optionSentWithDsack && seq === tcb.dsackLeft) accurate.failures |= Failure.OPTION_SENT;
}

/** What the SYN-ACK says (3.1.2): to the first two the codepoint of the SYN, and to the first the option (3.2.3.2.2). */
export function fillSynAck(tcb: Tcb, accurate: AccurateEcn, out: TcpHeader): void {
  if (tcb.recovery.retransmits >= 2) {
    // The network may drop such segments. Not to set ECT hereafter is 3.1.5.
    accurate.failures |= Failure.ACE_SENT;
    return;
  }
  out.flags |= flagsOf(REFLECTED[accurate.synCodepoint]);
  const isFirst = tcb.queue.head === null;
  if (!isFirst || tcb.settings.ecnOption === OptionPolicy.NEVER) return;
  for (let i = 0; i < 3; i++) out.accecnCounters[i] = INITIAL_BYTES[OPTION_FIELDS[1][i]];
  fitOption(out, 0);
}

/** Decides whether the next segment carries the option (3.2.3.3), and whether full ones leave room for it. */
export function planOption(tcb: Tcb, accurate: AccurateEcn, now: number): void {
  const { ecnOption } = tcb.settings;
  const isUseful = accurate.optionSeen !== OptionSeen.NONE &&
    ((accurate.failures & Failure.OPTION_SENT) === 0 || ecnOption >= OptionPolicy.EVEN_IF_IN_VAIN);
  const reserves = ecnOption !== OptionPolicy.NEVER && isUseful;
  if (reserves !== accurate.reservesOption) {
    accurate.reservesOption = reserves;
    updateSendMss(tcb);
  }
  accurate.carriesOption = reserves &&
    (ecnOption >= OptionPolicy.ALWAYS || accurate.optionsDue > 0 || isBeaconDue(tcb, accurate, now));
}

/** Linux's `tcp_ecn_option_beacon`: so many times a round trip at least. */
function isBeaconDue(tcb: Tcb, accurate: AccurateEcn, now: number): boolean {
  const { ecnOptionBeacon } = tcb.settings;
  return ecnOptionBeacon > 0 && (now - accurate.optionSentAtUs) * ecnOptionBeacon >= tcb.rtt.srttUs;
}

/** Fewer SACK blocks than this are not given up for the option. */
const SACK_BLOCKS_KEPT = 2;

/**
 * Makes as much of the option fit as there is room for, with `needed` counters at least, and for these gives up SACK
 * blocks beyond two (3.2.3.3, as Linux). True if it did.
 */
function fitOption(out: TcpHeader, needed: number): boolean {
  const { sackCount } = out;
  out.accecnOrder = 1;
  do {
    for (out.accecnCount = 3; out.accecnCount >= needed; out.accecnCount--) {
      if (tcpHeaderLengthOfAll(out) <= TCP_HEADER_MAX) return true;
    }
  } while (needed > 0 && out.sackCount > SACK_BLOCKS_KEPT && --out.sackCount > 0);
  out.sackCount = sackCount;
  out.accecnCount = -1;
  return false;
}

/** The header's length with all of its SACK blocks; more than the most there can be if they do not fit. */
function tcpHeaderLengthOfAll(out: TcpHeader): number {
  const { sackCount } = out;
  if (sackCount === 0) return tcpHeaderLength(out);
  // One block always fits beside timestamps and the option.
  out.sackCount = 1;
  const withOne = tcpHeaderLength(out);
  out.sackCount = sackCount;
  return withOne + 8 * (sackCount - 1);
}

/** The flags by which a pure ACK tells the codepoint of a SYN or SYN-ACK (3.2.2.1); 0: it tells the count. */
export function reflection(tcb: Tcb): number {
  const accurate = tcb.accurateEcn;
  return accurate !== null && accurate.reflects ? flagsOf(REFLECTED[accurate.synCodepoint]) : 0;
}

/**
 * Adds to a segment what it tells (3.2.2, 3.2.3), and that it is ECN-capable, as every segment is (3.1.5 excepted).
 * `hasDsack`: its first SACK block is a D-SACK.
 */
export function fillFeedback(
  tcb: Tcb,
  accurate: AccurateEcn,
  out: TcpHeader,
  hasDsack: boolean,
  now: number,
): void {
  if ((accurate.failures & (Failure.ACE_SENT | Failure.ACE_RECEIVED)) === 0) out.ecn = Codepoint.ECT0;
  // Of a connection in TIME-WAIT that no program holds the counters are not kept, as on Linux.
  if (tcb.timeWait !== null && tcb.orphan) return;
  if ((out.flags & ACE) === 0) {
    out.flags |= flagsOf(INITIAL_CEP + accurate.receivedCe);
    accurate.untoldCe = 0;
  }
  accurate.reflects = accurate.isUrgent = false;
  accurate.optionSentWithDsack = false;
  if (!accurate.carriesOption) return;
  for (let i = 0; i < 3; i++) {
    const codepoint = OPTION_FIELDS[1][i];
    out.accecnCounters[i] = (accurate.receivedBytes[codepoint] + INITIAL_BYTES[codepoint]) & 0xffffff;
  }
  if (!fitOption(out, accurate.countersNeeded)) return;
  accurate.countersNeeded = 0;
  accurate.optionSentAtUs = now;
  accurate.optionSentWithDsack = hasDsack;
  if (accurate.optionsDue > 0) accurate.optionsDue--;
}

/**
 * The most segments that one transmission may have. A device that cuts it repeats the flags but for CWR, which for
 * RFC 3168 is said once: while the count has that bit, it is not left to a device.
 */
export function mostSegments(tcb: Tcb): number {
  const accurate = tcb.accurateEcn;
  if (accurate !== null && (flagsOf(INITIAL_CEP + accurate.receivedCe) & CWR) !== 0) return 1;
  return tcb.settings.gsoMaxSegments;
}
