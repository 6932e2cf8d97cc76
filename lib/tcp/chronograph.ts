import { distance } from "./seq.ts";
import type { Tcb } from "./tcb.ts";

/** What a sender's time went by: kinds of `Chronograph`. */
export const Limit = { NONE: 0, APPLICATION_OR_NETWORK: 1, WINDOW: 2, BUFFER: 3 } as const;

/**
 * How long there was something to send, and of that how long the peer's window, or our own send buffer, was what held it
 * up (tcpi_busy_time, tcpi_rwnd_limited, tcpi_sndbuf_limited). Microseconds.
 */
export class Chronograph {
  private kind: number = Limit.NONE;
  private sinceUs = 0;
  // Fields and no array: a typed array of four would take 300 bytes of every connection's memory.
  private networkUs = 0;
  private windowUs = 0;
  private bufferUs = 0;

  /** From `now` on, `kind` is what limits the sender. */
  turn(kind: number, now: number): void {
    if (kind === this.kind) return;
    const spent = now - this.sinceUs;
    if (this.kind === Limit.APPLICATION_OR_NETWORK) this.networkUs += spent;
    else if (this.kind === Limit.WINDOW) this.windowUs += spent;
    else if (this.kind === Limit.BUFFER) this.bufferUs += spent;
    this.kind = kind;
    this.sinceUs = now;
  }

  /** Time spent so far with `kind` as the limit; NONE: with any of them. */
  spent(kind: number, now: number): number {
    const running = this.kind === Limit.NONE ? 0 : now - this.sinceUs;
    if (kind === Limit.NONE) return this.networkUs + this.windowUs + this.bufferUs + running;
    const before = kind === Limit.WINDOW
      ? this.windowUs
      : kind === Limit.BUFFER
      ? this.bufferUs
      : this.networkUs;
    return before + (kind === this.kind ? running : 0);
  }
}

/** Looks at what limits `tcb` now; called whenever that may have changed. */
export function noteLimit(tcb: Tcb, now: number): void {
  const { queue, snd, sendBuffer } = tcb;
  const unsent = distance(tcb.dataEnd, snd.nxt);
  let kind: number = Limit.APPLICATION_OR_NETWORK;
  if (sendBuffer.length === 0 && queue.packetsOut === 0) kind = Limit.NONE;
  else if (tcb.isWindowLimited && unsent > 0) kind = Limit.WINDOW;
  else if (tcb.sendBlocked && unsent <= 0) kind = Limit.BUFFER;
  tcb.chronograph.turn(kind, now);
}
