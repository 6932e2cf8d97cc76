import type { EventTime, PacketSpec, ScriptEvent } from "./ast.ts";
import type { RunConfig } from "./config.ts";
import { formatSpec } from "./compare.ts";
import { START_US } from "./machine.ts";
import { formatSeconds } from "./segment.ts";

/** The stack did something else than the script says. */
export class Mismatch extends Error {
  override readonly name = "Mismatch";
  readonly line: number;
  constructor(message: string, line: number) {
    super(message);
    this.line = line;
  }
}

/** An event with its time settled, in microseconds since the script's start. */
export interface TimedEvent {
  event: ScriptEvent;
  startUs: number;
  endUs: number;
  /** Since the event before: what `tolerancePercent` is a share of. */
  sinceLastUs: number;
}

/** Turns the times of events, one after the other, into times since the script's start, as packetdrill does. */
export class Timeline {
  #last: TimedEvent | null = null;

  /** `nowUs`: how far the script has come. */
  settle(event: ScriptEvent, nowUs: number): TimedEvent {
    const { time } = event;
    // Packets in a row count from each other's nominal times, so that they do not drift.
    const anchored = this.#last !== null && isInbound(this.#last.event) && isInbound(event);
    const offset = isAbsolute(time) ? 0 : anchored ? this.#last!.startUs : nowUs;
    const startUs = time.us + offset;
    const timed = {
      event,
      startUs,
      endUs: time.endUs + offset,
      sinceLastUs: startUs - (this.#last?.startUs ?? startUs),
    };
    this.#last = timed;
    return timed;
  }
}

function isAbsolute(time: EventTime): boolean {
  return time.kind === "absolute" || time.kind === "absolute-range";
}

function isInbound({ action }: ScriptEvent): boolean {
  return action.type === "packet" && action.packet.direction === "inbound";
}

/** How far off `actualUs` is allowed to be. */
export function toleranceOf(config: RunConfig, timed: TimedEvent): number {
  return Math.max(config.toleranceUs, config.tolerancePercent / 100 * timed.sinceLastUs);
}

/** Throws Mismatch unless `what` happened when the script says. */
export function checkTime(config: RunConfig, timed: TimedEvent, actualUs: number, what: string): void {
  const { event, startUs, endUs } = timed;
  if (event.time.kind === "any") return;
  const tolerance = toleranceOf(config, timed);
  if (actualUs >= startUs - tolerance && actualUs <= endUs + tolerance) return;
  const expected = endUs === startUs
    ? formatSeconds(startUs)
    : `${formatSeconds(startUs)}~${formatSeconds(endUs)}`;
  throw new Mismatch(
    `expected ${what} at ${expected} s, got it at ${formatSeconds(actualUs)} s (tolerance ${
      formatSeconds(tolerance)
    } s)`,
    event.line,
  );
}

/** Script time of a time on the machine's clock. */
export function scriptTime(liveUs: number): number {
  return liveUs - START_US;
}

/** `> S. 0:0(0) ack 1`. */
export function describe(spec: PacketSpec): string {
  return `${spec.direction === "inbound" ? "<" : ">"} ${formatSpec(spec)}`;
}
