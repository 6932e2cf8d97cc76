import type { IpAddress } from "../wire/address.ts";

/** RFC 1191 6.3: after so long a larger size is tried again (Linux's mtu_expires). */
const LIFETIME_US = 600_000_000;
/** Linux's min_pmtu: what claims less is more likely a lie that makes us send tiny packets. */
export const MIN_PATH_MTU = 552;
const MAX_ENTRIES = 1024;

/** What is known of the way to one destination. */
export interface PathMtu {
  /** Bytes. */
  mtu: number;
  /** The path takes less than we believe: routers must be allowed to fragment. */
  isLocked: boolean;
  expiresAtUs: number;
}

/** The path MTUs that ICMP told (RFC 1191), for all connections and sockets. Larger than a route's they have no effect. */
export class PathMtuCache {
  /** Grows with every change: who remembers a path MTU, remembers this too and looks again when it differs. */
  generation = 1;
  /** When `advance` is due; Infinity: never. */
  deadline = Infinity;
  /** In the order in which they expire. */
  private readonly entries = new Map<IpAddress, PathMtu>();

  get size(): number {
    return this.entries.size;
  }

  get(destination: IpAddress): PathMtu | undefined {
    return this.entries.get(destination);
  }

  /** A router said what its next hop takes. RFC 1191 6.3: never a reason to send larger packets. */
  lower(destination: IpAddress, mtu: number, now: number): void {
    const known = this.entries.get(destination);
    const believed = Math.max(mtu, MIN_PATH_MTU);
    if (known !== undefined && believed > known.mtu) return;
    const isLocked = mtu < MIN_PATH_MTU || known?.isLocked === true;
    if (known?.mtu !== believed || known.isLocked !== isLocked) this.generation++;
    this.entries.delete(destination);
    if (this.entries.size >= MAX_ENTRIES) {
      const [oldest] = this.entries.keys();
      this.entries.delete(oldest);
    }
    this.entries.set(destination, { mtu: believed, isLocked, expiresAtUs: now + LIFETIME_US });
    this.findDeadline();
  }

  /** Forgets what is too old. */
  advance(now: number): void {
    if (now < this.deadline) return;
    for (const [destination, entry] of this.entries) {
      if (entry.expiresAtUs > now) break;
      this.entries.delete(destination);
      this.generation++;
    }
    this.findDeadline();
  }

  private findDeadline(): void {
    this.deadline = Infinity;
    for (const entry of this.entries.values()) {
      this.deadline = entry.expiresAtUs;
      return;
    }
  }
}
