/** How traceroute(8) prints what came of its probes. */
import type { ProbeAnswer } from "../ipc/client.ts";
import type { PlannedProbe } from "./trace_plan.ts";

const TIME_EXCEEDED = 11;
const UNREACHABLE = 3;
const PARAMETER_PROBLEM = 12;

/** traceroute(8)'s mark for each code of "destination unreachable" (RFC 792, RFC 1812 5.2.7.1); a closed port is none. */
const MARKS = [
  ...["!N", "!H", "!P", "", "!F", "!S", "!N", "!H", "!N", "!X", "!X", "!N", "!H", "!X", "!V", "!C"],
];
const FRAGMENTATION_NEEDED = 4;

/** What is wrong with an answer: "!H"; "" for one that is as it should be. */
export function markOf({ errno, icmpType, icmpCode, mtu }: ProbeAnswer): string {
  if (errno === 0) return "";
  if (icmpType === UNREACHABLE) {
    const mark = MARKS[icmpCode] ?? `!<${icmpCode}>`;
    return icmpCode === FRAGMENTATION_NEEDED && mtu > 0 ? `${mark}-${mtu}` : mark;
  }
  if (icmpType === TIME_EXCEEDED) return icmpCode === 0 ? "" : `!<${icmpType}-${icmpCode}>`;
  if (icmpType === PARAMETER_PROBLEM) return `!<${icmpType}-${icmpCode}>`;
  return mtu > 0 ? `!F-${mtu}` : "!";
}

/** `name (address)`, or the address alone. */
export function formatHost(address: string, name: string | null, numeric: boolean): string {
  return numeric ? address : `${name ?? address} (${address})`;
}

/** Prints hop after hop, probe after probe, in lines that grow. */
export class HopPrinter {
  /** Who answered the last probe of this hop that was. */
  #last = "";

  /** The text for one more probe. `host`: who answered, as it is to be shown. */
  text(probe: PlannedProbe, host: string): string {
    let text = "";
    if (probe.try === 0) {
      this.#last = "";
      text = `\n${String(probe.ttl).padStart(2)} `;
    }
    const { answer } = probe;
    if (answer === null) return `${text} *`;
    if (answer.from !== this.#last) text += ` ${host}`;
    this.#last = answer.from;
    const mark = markOf(answer);
    return `${text}  ${(answer.rttUs / 1000).toFixed(3)} ms${mark === "" ? "" : ` ${mark}`}`;
  }
}

/** One probe for programs. */
export function probeJson(answer: ProbeAnswer | null, name: string | null): Record<string, unknown> | null {
  if (answer === null) return null;
  const { from, rttUs, ttl, errno, icmpType, icmpCode, mtu } = answer;
  return {
    address: from,
    ...(name === null ? {} : { name }),
    rttMs: rttUs / 1000,
    ttl,
    ...(errno === 0 ? { reached: true } : { icmpType, icmpCode }),
    ...(markOf(answer) === "" ? {} : { mark: markOf(answer) }),
    ...(mtu > 0 ? { mtu } : {}),
  };
}
