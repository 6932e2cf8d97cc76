/** The AccECN option of TCP segments (RFC 9768 3.2.3): up to three counters of 24 bits. */
import type { TcpHeader } from "./tcp.ts";

/** The option's kinds: in order 0 the first counter is that of ECT(0), in order 1 that of ECT(1); CE is the second. */
export const ACCECN_ORDER_0 = 172;
export const ACCECN_ORDER_1 = 174;

/** Most counters in one option. */
export const ACCECN_COUNTERS = 3;
const COUNTER_BYTES = 3;
const COUNTER_MASK = 0xffffff;
const NOP = 1;

/** Takes the option of `length` bytes, kind and length included, at `at`; counters that are cut short are not there. */
export function parseAccecn(
  view: DataView,
  at: number,
  kind: number,
  length: number,
  header: TcpHeader,
): void {
  const count = Math.min(ACCECN_COUNTERS, Math.floor((length - 2) / COUNTER_BYTES));
  header.accecnCount = count;
  header.accecnOrder = kind === ACCECN_ORDER_1 ? 1 : 0;
  for (let i = 0; i < count; i++) {
    // One byte before the counter is read too, which is there: kind and length come first.
    header.accecnCounters[i] = view.getUint32(at + 1 + COUNTER_BYTES * i) & COUNTER_MASK;
  }
}

/**
 * Bytes that the option adds to the header. Those of its bytes that fill no word of four take the place of the NOPs
 * before the next option, where there is such a one: so does Linux, and space is short (SACK).
 */
export function accecnLength(header: TcpHeader): number {
  const { accecnCount } = header;
  if (accecnCount < 0) return 0;
  const whole = wholeLength(accecnCount);
  return oddBytes(header) === 0 || fillsPadding(header) ? whole : whole + 4;
}

/** Bytes that `emitAccecn` writes. Three counters are padded: two NOPs have no room for what they leave over. */
function wholeLength(count: number): number {
  return count === 3 ? 12 : count === 2 ? 8 : count === 1 ? 4 : 0;
}

function fillsPadding(header: TcpHeader): boolean {
  return header.sackCount > 0 || (header.sackPermitted && !header.timestamps) ||
    (header.accecnCount === 1 && header.windowScale >= 0);
}

/** Bytes of the option that `emitAccecn` does not write: the next option's padding takes them, see `paddingOf`. */
export function oddBytes(header: TcpHeader): number {
  return header.accecnCount === 0 ? 2 : header.accecnCount === 1 ? 1 : 0;
}

/** The upper half of the word that the next option begins in: what is odd of this option, then NOPs. */
export function paddingOf(header: TcpHeader): number {
  const { accecnCount, accecnCounters } = header;
  if (accecnCount === 0) return (kindOf(header) << 24) | (2 << 16);
  return ((accecnCounters[0] & 0xff) << 24) | (NOP << 16);
}

function kindOf(header: TcpHeader): number {
  return header.accecnOrder === 1 ? ACCECN_ORDER_1 : ACCECN_ORDER_0;
}

/** Writes the whole words of the option and returns where they end. */
export function emitAccecn(view: DataView, at: number, header: TcpHeader): number {
  const { accecnCount, accecnCounters } = header;
  if (accecnCount === 0) return at;
  const [first, second, third] = accecnCounters;
  const length = 2 + COUNTER_BYTES * accecnCount;
  view.setInt32(at, (kindOf(header) << 24) | (length << 16) | ((first >> 8) & 0xffff));
  if (accecnCount >= 2) view.setInt32(at + 4, ((first & 0xff) << 24) | (second & COUNTER_MASK));
  if (accecnCount === 3) view.setInt32(at + 8, ((third & COUNTER_MASK) << 8) | NOP);
  return at + wholeLength(accecnCount);
}
