import type { IpAddress } from "../wire/address.ts";
import { AgeingMap } from "./ageing_map.ts";

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
}

/** The path MTUs that ICMP told (RFC 1191), for all connections and sockets. Larger than a route's they have no effect. */
export class PathMtuCache {
  /** Grows with every change: who remembers a path MTU, remembers this too and looks again when it differs. */
  generation = 1;
  private readonly known = new AgeingMap<PathMtu>(LIFETIME_US, MAX_ENTRIES);

  get size(): number {
    return this.known.size;
  }

  /** When `advance` is due; Infinity: never. */
  get deadline(): number {
    return this.known.deadline;
  }

  get(destination: IpAddress): PathMtu | undefined {
    return this.known.get(destination);
  }

  /** A router said what its next hop takes. RFC 1191 6.3: never a reason to send larger packets. */
  lower(destination: IpAddress, mtu: number, now: number): void {
    const old = this.known.get(destination);
    const believed = Math.max(mtu, MIN_PATH_MTU);
    if (old !== undefined && believed > old.mtu) return;
    const isLocked = mtu < MIN_PATH_MTU || old?.isLocked === true;
    if (old?.mtu !== believed || old.isLocked !== isLocked) this.generation++;
    this.known.set(destination, { mtu: believed, isLocked }, now);
  }

  /** Forgets what is too old. */
  advance(now: number): void {
    if (this.known.advance(now)) this.generation++;
  }
}
