/** What happens to the frames of one direction. The fields at 0 (queue limits: Infinity) impair nothing. */
export interface DirectionSpec {
  /** Share of frames that vanish, 0 to 1. */
  loss: number;
  /** Added to every frame's way, microseconds. */
  delayUs: number;
  /** The delay varies uniformly by up to this much either way, microseconds; frames keep their order. */
  jitterUs: number;
  /** Share of frames that are sent twice, 0 to 1. */
  duplicate: number;
  /** Share of frames that leave out of order, 0 to 1. */
  reorder: number;
  /** Share of frames in which one random bit is flipped, 0 to 1. */
  corrupt: number;
  /** Bottleneck, bits per second (Ethernet header included); 0: none. */
  rateBits: number;
  /** Frames that may wait for the bottleneck (without a rate: that may be held by the delay); more are dropped. */
  queuePackets: number;
  /** The same bound in bytes. */
  queueBytes: number;
}

/** What `parseImpair` answers: both directions as seen from the stack, and the seed of the random decisions. */
export interface ImpairSpec {
  in: DirectionSpec;
  out: DirectionSpec;
  seed: number;
}

/** netem's default `limit`. It holds for a bottleneck only: without one a mere delay would drop at high speed. */
const DEFAULT_QUEUE_PACKETS = 1000;

const TIME_UNITS: Record<string, number> = { us: 1, ms: 1e3, s: 1e6 };
const RATE_UNITS: Record<string, number> = { bit: 1, kbit: 1e3, mbit: 1e6, gbit: 1e9 };
/** As in tc: kb and mb are powers of 1024. */
const SIZE_UNITS: Record<string, number> = { b: 1, kb: 1024, mb: 1024 * 1024 };

const MAX_DELAY_US = 3600e6;
const EXAMPLE = "loss=5% delay=50ms jitter=5ms duplicate=1% reorder=2% corrupt=0.1% rate=10mbit queue=100";

type Setter = (spec: DirectionSpec, text: string, item: string) => void;

const SETTERS: Record<string, Setter> = {
  loss: (spec, text, item) => spec.loss = parsePercent(text, item),
  delay: (spec, text, item) => spec.delayUs = parseTime(text, item),
  jitter: (spec, text, item) => spec.jitterUs = parseTime(text, item),
  duplicate: (spec, text, item) => spec.duplicate = parsePercent(text, item),
  reorder: (spec, text, item) => spec.reorder = parsePercent(text, item),
  corrupt: (spec, text, item) => spec.corrupt = parsePercent(text, item),
  rate: (spec, text, item) => spec.rateBits = parseRate(text, item),
  queue: (spec, text, item) => setQueue(spec, text, item),
};

/**
 * Reads an impairment such as `loss=5% delay=50ms out.rate=10mbit seed=42`: items apart by spaces or commas. Each item
 * holds for both directions, or with `in.` (towards the stack) or `out.` (from it) for one, which goes before the
 * general one. The meanings are those of tc-netem(8), except that jitter keeps the order of frames (as netem does over
 * a pfifo) and that the queue of a `rate` counts only frames that wait for the bottleneck, not those on their way:
 *
 * - `loss`, `duplicate`, `reorder`, `corrupt`: a percentage. A duplicate meets the other impairments by itself. With a
 *   delay, a reordered frame skips it; without one, the three frames after it overtake it (it waits 1 ms at most).
 * - `delay`, `jitter`: us, ms or s. - `rate`: bit, kbit, mbit or gbit (a second).
 * - `queue`: frames, or bytes with b, kb or mb; 1000 frames by default. - `seed`: 0 to 4294967295, 1 by default.
 *
 * Throws a RangeError whose one sentence names the part that cannot be understood.
 */
export function parseImpair(spec: string): ImpairSpec {
  const items = new Map<string, string>();
  for (const item of spec.trim().toLowerCase().split(/[\s,]+/)) {
    if (item === "") throw new RangeError(`Cannot impair by nothing: write for example '${EXAMPLE}'`);
    const [key, value] = splitItem(item);
    if (items.has(key)) throw new RangeError(`Cannot use impairment '${item}': ${key} is given twice`);
    items.set(key, value);
  }
  const result: ImpairSpec = { in: unimpaired(), out: unimpaired(), seed: 1 };
  // The general items first, so that those for one direction go before them wherever they stand.
  for (const [key, value] of items) {
    const item = `${key}=${value}`;
    if (key === "seed") {
      result.seed = parseSeed(value, item);
    } else if (!key.includes(".")) {
      SETTERS[key](result.in, value, item);
      SETTERS[key](result.out, value, item);
    }
  }
  for (const [key, value] of items) {
    const dot = key.indexOf(".");
    if (dot < 0) continue;
    SETTERS[key.slice(dot + 1)](key.startsWith("in.") ? result.in : result.out, value, `${key}=${value}`);
  }
  setDefaultQueue(result.in);
  setDefaultQueue(result.out);
  return result;
}

/** True when some frame of this direction may be treated otherwise than passed on at once. */
export function isImpaired(spec: DirectionSpec): boolean {
  return spec.loss > 0 || spec.delayUs > 0 || spec.jitterUs > 0 || spec.duplicate > 0 || spec.reorder > 0 ||
    spec.corrupt > 0 || spec.rateBits > 0;
}

function unimpaired(): DirectionSpec {
  return {
    loss: 0,
    delayUs: 0,
    jitterUs: 0,
    duplicate: 0,
    reorder: 0,
    corrupt: 0,
    rateBits: 0,
    queuePackets: Infinity,
    queueBytes: Infinity,
  };
}

function splitItem(item: string): [key: string, value: string] {
  const equals = item.indexOf("=");
  const key = equals < 0 ? item : item.slice(0, equals);
  const name = key.replace(/^(in|out)\./, "");
  if (!Object.hasOwn(SETTERS, name) && key !== "seed") {
    const known = [...Object.keys(SETTERS), "seed"].join(", ");
    throw new RangeError(
      name === "seed"
        ? `Cannot use impairment '${item}': seed holds for both directions`
        : `Cannot use impairment '${item}': known are ${known}, also as in.loss or out.loss`,
    );
  }
  if (equals < 0 || equals === item.length - 1) {
    throw new RangeError(`Cannot use impairment '${item}': a value is missing, as in '${EXAMPLE}'`);
  }
  return [key, item.slice(equals + 1)];
}

/** A number with a unit out of `units`, in the base unit; NaN when it is not that. */
function parseUnit(text: string, units: Record<string, number>): number {
  const match = /^(\d+(?:\.\d+)?|\.\d+)([a-z%]+)$/.exec(text);
  return match && Object.hasOwn(units, match[2]) ? Number(match[1]) * units[match[2]] : NaN;
}

function parsePercent(text: string, item: string): number {
  const percent = parseUnit(text, { "%": 1 });
  if (!(percent <= 100)) {
    throw new RangeError(`Cannot use impairment '${item}': it takes a percentage from 0% to 100%`);
  }
  return percent / 100;
}

function parseTime(text: string, item: string): number {
  const us = text === "0" ? 0 : Math.round(parseUnit(text, TIME_UNITS));
  if (!(us <= MAX_DELAY_US)) {
    throw new RangeError(
      `Cannot use impairment '${item}': it takes a time of at most an hour in us, ms or s, as in 50ms`,
    );
  }
  return us;
}

function parseRate(text: string, item: string): number {
  const bits = parseUnit(text, RATE_UNITS);
  if (!(bits > 0 && Number.isFinite(bits))) {
    throw new RangeError(
      `Cannot use impairment '${item}': it takes a rate above 0 in bit, kbit, mbit or gbit, as in 10mbit`,
    );
  }
  return bits;
}

function parseSeed(text: string, item: string): number {
  const seed = /^\d+$/.test(text) ? Number(text) : NaN;
  if (!(seed <= 0xffffffff)) {
    throw new RangeError(`Cannot use impairment '${item}': it takes an integer from 0 to 4294967295`);
  }
  return seed;
}

function setQueue(spec: DirectionSpec, text: string, item: string): void {
  const packets = /^\d+$/.test(text) ? Number(text) : NaN;
  const bytes = Math.floor(parseUnit(text, SIZE_UNITS));
  if (!(packets >= 1) && !(bytes >= 1)) {
    throw new RangeError(
      `Cannot use impairment '${item}': it takes a number of frames of at least 1, or bytes as in 64kb`,
    );
  }
  spec.queuePackets = packets >= 1 ? packets : Infinity;
  spec.queueBytes = bytes >= 1 ? bytes : Infinity;
}

function setDefaultQueue(spec: DirectionSpec): void {
  const unbounded = spec.queuePackets === Infinity && spec.queueBytes === Infinity;
  if (spec.rateBits > 0 && unbounded) spec.queuePackets = DEFAULT_QUEUE_PACKETS;
}
