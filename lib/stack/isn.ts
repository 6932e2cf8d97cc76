import type { IpAddress } from "../wire/address.ts";
import type { SipHash } from "./siphash.ts";

/** The generator of initial sequence numbers (RFC 6528 3): a 4-microsecond clock plus a keyed hash of the connection. */
export class InitialSequence {
  private readonly words = new Int32Array(3);

  constructor(private readonly hash: SipHash) {}

  /**
   * The ISN of a connection that is opened at `now`, an int32: a stranger cannot guess it, and two incarnations of one
   * connection are as far apart as the clock moved between them.
   */
  next(
    localAddress: IpAddress,
    localPort: number,
    remoteAddress: IpAddress,
    remotePort: number,
    now: number,
  ): number {
    const words = this.words;
    words[0] = localAddress;
    words[1] = remoteAddress;
    words[2] = (localPort << 16) | remotePort;
    // ToInt32 is modulo 2^32, so the clock may be any double.
    return (this.hash.hash(words, 3) + Math.floor(now / 4)) | 0;
  }
}
