import type { IpAddress } from "../wire/address.ts";
import type { SipHash } from "./siphash.ts";

/** Linux's default `net.ipv4.ip_local_port_range`. */
export const EPHEMERAL_FIRST = 32768;
export const EPHEMERAL_LAST = 60999;
const EPHEMERAL_COUNT = EPHEMERAL_LAST - EPHEMERAL_FIRST + 1;

/** RFC 6056 3.3.4 suggests ten; more make what one destination learns say less about the others. */
const TABLE_SIZE = 256;

/** Tells the two hash functions apart from each other and from the ISN's, which has no fourth word. */
const OFFSET = 1;
const INDEX = 2;

/**
 * Chooses ephemeral ports by RFC 6056 3.3.4, "double-hash": to one destination they follow each other, so that a port
 * comes back as late as possible, while a stranger sees neither where they begin nor how many were used elsewhere.
 */
export class EphemeralPorts {
  private readonly table: Int32Array;
  private readonly words = new Int32Array(4);

  /** `random`: a uint32, for where the counters begin. */
  constructor(private readonly hash: SipHash, random: () => number) {
    this.table = Int32Array.from({ length: TABLE_SIZE }, random);
  }

  /**
   * A port for a connection from `localAddress` to the remote end for which `isFree` says yes; 0 when all are taken. A
   * bind to port 0 has no remote end: address and port are then 0.
   */
  choose(
    localAddress: IpAddress,
    remoteAddress: IpAddress,
    remotePort: number,
    isFree: (port: number) => boolean,
  ): number {
    const words = this.words;
    words[0] = localAddress;
    words[1] = remoteAddress;
    words[2] = remotePort;
    words[3] = OFFSET;
    const offset = this.hash.hash(words, 4);
    words[3] = INDEX;
    const index = (this.hash.hash(words, 4) >>> 0) % TABLE_SIZE;
    for (let tries = 0; tries < EPHEMERAL_COUNT; tries++) {
      const step = (offset + this.table[index]) >>> 0;
      this.table[index]++;
      const port = EPHEMERAL_FIRST + step % EPHEMERAL_COUNT;
      if (isFree(port)) return port;
    }
    return 0;
  }
}
