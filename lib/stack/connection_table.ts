import type { IpAddress } from "../wire/address.ts";
import type { TableEntry } from "./connection.ts";

const MIN_BUCKETS = 256;

/**
 * Finds the connection a segment belongs to by addresses and ports: a chained hash table over numbers. Nothing is
 * allocated to look one up (a Map would want a key made of four numbers: a string per packet).
 */
export class ConnectionTable {
  private buckets: (TableEntry | null)[] = new Array(MIN_BUCKETS).fill(null);
  private count = 0;

  /** `secret`: an int32 that strangers do not know, or they could choose ports that all share a chain. */
  constructor(private readonly secret: number) {}

  get size(): number {
    return this.count;
  }

  get(
    localAddress: IpAddress,
    localPort: number,
    remoteAddress: IpAddress,
    remotePort: number,
  ): TableEntry | null {
    const hash = this.hashOf(localAddress, localPort, remoteAddress, remotePort);
    let entry = this.buckets[hash & (this.buckets.length - 1)];
    while (entry !== null) {
      if (
        entry.remotePort === remotePort && entry.localPort === localPort &&
        entry.remoteAddress === remoteAddress && entry.localAddress === localAddress
      ) return entry;
      entry = entry.nextInBucket;
    }
    return null;
  }

  /** The caller has seen to it that no entry with the same addresses and ports is in the table. */
  add(entry: TableEntry): void {
    if (this.count >= this.buckets.length) this.grow();
    const { localAddress, localPort, remoteAddress, remotePort } = entry;
    entry.hash = this.hashOf(localAddress, localPort, remoteAddress, remotePort);
    this.link(entry);
    this.count++;
  }

  remove(entry: TableEntry): void {
    const index = entry.hash & (this.buckets.length - 1);
    let previous: TableEntry | null = null;
    for (let at = this.buckets[index]; at !== null; at = at.nextInBucket) {
      if (at === entry) {
        if (previous === null) this.buckets[index] = at.nextInBucket;
        else previous.nextInBucket = at.nextInBucket;
        at.nextInBucket = null;
        this.count--;
        return;
      }
      previous = at;
    }
  }

  *[Symbol.iterator](): Iterator<TableEntry> {
    for (const first of this.buckets) {
      for (let at: TableEntry | null = first; at !== null; at = at.nextInBucket) yield at;
    }
  }

  /** Those of one kind. */
  *only<T extends TableEntry>(kind: abstract new (...args: never[]) => T): IterableIterator<T> {
    for (const entry of this) if (entry instanceof kind) yield entry;
  }

  private link(entry: TableEntry): void {
    const index = entry.hash & (this.buckets.length - 1);
    entry.nextInBucket = this.buckets[index];
    this.buckets[index] = entry;
  }

  private grow(): void {
    const all = [...this];
    this.buckets = new Array(this.buckets.length * 2).fill(null);
    for (const entry of all) this.link(entry);
  }

  /** MurmurHash3's mixing, over the secret and three words. */
  private hashOf(a: number, aPort: number, b: number, bPort: number): number {
    let hash = mix(this.secret, a);
    hash = mix(hash, b);
    hash = mix(hash, (aPort << 16) | bPort);
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    return hash ^ (hash >>> 16);
  }
}

function mix(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
  hash ^= k;
  return (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0;
}
