import type { IpAddress } from "../wire/address.ts";
import type { Connection } from "./connection.ts";

const MIN_BUCKETS = 256;

/**
 * Finds the connection a segment belongs to by addresses and ports: a chained hash table over numbers. Nothing is
 * allocated to look one up (a Map would want a key made of four numbers: a string per packet).
 */
export class ConnectionTable {
  private buckets: (Connection | null)[] = new Array(MIN_BUCKETS).fill(null);
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
  ): Connection | null {
    const hash = this.hashOf(localAddress, localPort, remoteAddress, remotePort);
    let connection = this.buckets[hash & (this.buckets.length - 1)];
    while (connection !== null) {
      if (
        connection.remotePort === remotePort && connection.localPort === localPort &&
        connection.remoteAddress === remoteAddress && connection.localAddress === localAddress
      ) return connection;
      connection = connection.nextInBucket;
    }
    return null;
  }

  /** The caller has seen to it that no connection with the same addresses and ports is in the table. */
  add(connection: Connection): void {
    if (this.count >= this.buckets.length) this.grow();
    const { localAddress, localPort, remoteAddress, remotePort } = connection;
    connection.hash = this.hashOf(localAddress, localPort, remoteAddress, remotePort);
    this.link(connection);
    this.count++;
  }

  remove(connection: Connection): void {
    const index = connection.hash & (this.buckets.length - 1);
    let previous: Connection | null = null;
    for (let at = this.buckets[index]; at !== null; at = at.nextInBucket) {
      if (at === connection) {
        if (previous === null) this.buckets[index] = at.nextInBucket;
        else previous.nextInBucket = at.nextInBucket;
        at.nextInBucket = null;
        this.count--;
        return;
      }
      previous = at;
    }
  }

  *[Symbol.iterator](): Iterator<Connection> {
    for (const first of this.buckets) {
      for (let at: Connection | null = first; at !== null; at = at.nextInBucket) yield at;
    }
  }

  private link(connection: Connection): void {
    const index = connection.hash & (this.buckets.length - 1);
    connection.nextInBucket = this.buckets[index];
    this.buckets[index] = connection;
  }

  private grow(): void {
    const all = [...this];
    this.buckets = new Array(this.buckets.length * 2).fill(null);
    for (const connection of all) this.link(connection);
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
