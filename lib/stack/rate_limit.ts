/** A token bucket: `perSecond` on average, `burst` at once. */
export class TokenBucket {
  private tokens: number;
  private refilledAtUs = -Infinity;

  constructor(private readonly perSecond: number, private readonly burst: number) {
    this.tokens = burst;
  }

  /** Takes `cost` tokens, or all there are; false, and takes none, when there is not even one. */
  take(now: number, cost = 1): boolean {
    if (now > this.refilledAtUs) {
      const gained = (now - this.refilledAtUs) * this.perSecond / 1e6;
      this.tokens = Math.min(this.burst, this.tokens + gained);
      this.refilledAtUs = now;
    }
    if (this.tokens < 1) return false;
    this.tokens = Math.max(0, this.tokens - cost);
    return true;
  }
}

/**
 * A token bucket for each of many peers in constant memory: peers whose addresses fall on the same slot share it, which
 * makes the limit stricter, never looser.
 */
export class PeerBuckets {
  private readonly tokens: Float64Array;
  private readonly refilledAtUs: Float64Array;

  /** `slots`: a power of two. */
  constructor(
    private readonly perSecond: number,
    private readonly burst: number,
    private readonly slots = 1024,
  ) {
    this.tokens = new Float64Array(slots).fill(burst);
    this.refilledAtUs = new Float64Array(slots);
  }

  /** Takes one of the peer's tokens; `peer` is any int32. False when there is none. */
  take(peer: number, now: number): boolean {
    const slot = (Math.imul(peer, 0x9e3779b1) >>> 16) & (this.slots - 1);
    const gained = Math.max(0, now - this.refilledAtUs[slot]) * this.perSecond / 1e6;
    const tokens = Math.min(this.burst, this.tokens[slot] + gained);
    this.refilledAtUs[slot] = now;
    if (tokens < 1) {
      this.tokens[slot] = tokens;
      return false;
    }
    this.tokens[slot] = tokens - 1;
    return true;
  }
}
