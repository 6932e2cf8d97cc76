import type { TcpHeader } from "../wire/tcp.ts";
import { type AckFacts, Fact } from "./ack_facts.ts";
import {
  type AccurateEcn,
  aceOf,
  Codepoint,
  Failure,
  INITIAL_BYTES,
  INITIAL_CEP,
  noteOption,
  OPTION_FIELDS,
  OptionSeen,
} from "./accurate_ecn.ts";
import { distance } from "./seq.ts";
import { CaState } from "./state.ts";
import type { Tcb } from "./tcb.ts";

/** The data sender's half of Accurate ECN (RFC 9768 3.2): how many of our segments the peer got with CE. */

/** The largest number that three bits tell. */
const ACE_MASK = 7;
/** More bytes than this without an option, and its counters could have gone around unseen. */
const TOO_LATE_BYTES = 2 ** 23 - 1;
/** Weight of the latest ACK in `ackedSegments`, and how many of them make the path one that thins out ACKs. */
const ACKED_WEIGHT = 1 / 64;
const THINNED_ACKS = 4;

/** Takes what an ACK tells, once it is known what it acknowledges: marks are told as ECN-Echo is (Fact.ECE). */
export function takeFeedback(tcb: Tcb, accurate: AccurateEcn, seg: TcpHeader, facts: AckFacts): void {
  const marks = newMarks(tcb, accurate, seg, facts);
  if (marks === 0) return;
  tcb.recovery.deliveredCe += marks;
  facts.flags |= Fact.ECE;
}

const PROGRESS = Fact.DATA_ACKED | Fact.SYN_ACKED | Fact.DATA_SACKED | Fact.TIMESTAMP_ADVANCED;

function newMarks(tcb: Tcb, accurate: AccurateEcn, seg: TcpHeader, facts: AckFacts): number {
  const { recovery, totals, snd } = tcb;
  // An ACK that shows no progress may be one that was overtaken (3.2.2.5.2): what it tells is old.
  if ((facts.flags & PROGRESS) === 0) return 0;
  const bytesBefore = accurate.deliveredBytes[Codepoint.CE];
  const areBytesKnown = readOption(tcb, accurate, seg, facts.deliveredBytes);
  // The ACK of a SYN tells a codepoint, or nothing.
  if ((facts.flags & Fact.SYN_ACKED) !== 0) return 0;
  const segments = recovery.delivered - facts.deliveredBefore;
  if (segments > 0) {
    const average = accurate.ackedSegments;
    accurate.ackedSegments = average === 0 ? segments : average + (segments - average) * ACKED_WEIGHT;
  }
  const ace = aceOf(seg.flags);
  const ackedBefore = totals.bytesAcked - distance(snd.una, facts.previousUna);
  if (ace === 0 && (facts.flags & Fact.DATA_ACKED) !== 0 && ackedBefore <= snd.mss) {
    // 3.2.2.4: the first count cannot be zero: something clears the field.
    accurate.failures |= Failure.ACE_RECEIVED | Failure.OPTION_RECEIVED;
  }
  if ((accurate.failures & Failure.ACE_RECEIVED) !== 0) return 0;
  const least = (ace - INITIAL_CEP - recovery.deliveredCe) & ACE_MASK;
  if (segments <= ACE_MASK) return least;
  const ceBytes = areBytesKnown ? accurate.deliveredBytes[Codepoint.CE] - bytesBefore : -1;
  return marksOfMany(tcb, accurate, least, segments, facts.deliveredBytes, ceBytes);
}

/**
 * 3.2.2.5.2 and appendix A.2: an ACK of so many segments that the field may have gone around. `least`: the marks if it
 * has not; `ceBytes`: how many bytes the option says arrived with CE, -1: not known.
 */
function marksOfMany(
  tcb: Tcb,
  accurate: AccurateEcn,
  least: number,
  segments: number,
  bytes: number,
  ceBytes: number,
): number {
  const most = segments - ((segments - least) & ACE_MASK);
  // Where ACKs are thinned out all the time, the worst would be believed all the time.
  if (ceBytes < 0) return accurate.ackedSegments > THINNED_ACKS ? least : most;
  if (ceBytes === 0) return least;
  const { caState } = tcb.recovery;
  const isCountExact = tcb.options.sack || caState === CaState.OPEN || caState === CaState.CWR;
  if (segments >= 2 * (ACE_MASK + 1) && isCountExact) {
    // It may have gone around more than once: as often as the bytes make likely.
    if (bytes <= ceBytes) return most;
    const likely = Math.ceil((ceBytes * segments) / bytes);
    return Math.min(most, least + (likely & ~ACE_MASK));
  }
  if (ceBytes > least * tcb.snd.mss) return most;
  return ceBytes < (most * tcb.snd.mss) / 2 ? least : most;
}

/**
 * Takes the option's counters (3.2.3), or where there is none counts the `bytes` just delivered for the one that alone
 * was growing. True if the counter of CE is what it should be.
 */
function readOption(tcb: Tcb, accurate: AccurateEcn, seg: TcpHeader, bytes: number): boolean {
  if ((accurate.failures & Failure.OPTION_RECEIVED) !== 0) return false;
  if (seg.accecnCount < 0) return estimate(tcb, accurate, bytes);
  if (accurate.optionSeen < OptionSeen.COUNTERS) noteOption(accurate, seg);
  const { growing, deliveredBytes } = accurate;
  let isKnown = growing !== 0;
  let isAmbiguous = false;
  let hasChanged = false;
  for (let i = 0; i < seg.accecnCount; i++) {
    const codepoint = OPTION_FIELDS[seg.accecnOrder][i];
    const count = seg.accecnCounters[i] - INITIAL_BYTES[codepoint];
    // Modulo 2^24, with the sign of the nearer way around.
    const change = ((count - deliveredBytes[codepoint]) << 8) >> 8;
    deliveredBytes[codepoint] += change;
    if (change < 0 || (change > 0 && codepoint !== growing && hasChanged)) isAmbiguous = true;
    else if (change > 0 && codepoint !== growing) {
      accurate.growing = codepoint;
      hasChanged = true;
    }
  }
  if (isAmbiguous) {
    isKnown = false;
    accurate.growing = 0;
  }
  return isKnown;
}

function estimate(tcb: Tcb, accurate: AccurateEcn, bytes: number): boolean {
  if (accurate.optionSeen === OptionSeen.NONE) {
    if (tcb.totals.bytesSent >= TOO_LATE_BYTES) {
      accurate.optionSeen = OptionSeen.BROKEN;
      accurate.failures |= Failure.OPTION_RECEIVED;
    }
    return false;
  }
  if (accurate.growing === 0) return false;
  accurate.deliveredBytes[accurate.growing] += bytes;
  return true;
}
