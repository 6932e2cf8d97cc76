/**
 * SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash that a stranger cannot predict, for initial sequence numbers
 * (RFC 6528) and ephemeral ports (RFC 6056). 64-bit words are kept as two int32 halves: no BigInt, which would be an
 * allocation per step.
 */
export class SipHash {
  private readonly key: Int32Array;
  /** v0 to v3, each as low and high half. */
  private readonly v: Int32Array = new Int32Array(8);

  /** `key`: at least four random 32-bit words; the first four are used, low half first. */
  constructor(key: ArrayLike<number>) {
    if (key.length < 4) {
      throw new RangeError(
        `Cannot make a SipHash: the key must have 4 words: current length is ${key.length}`,
      );
    }
    this.key = Int32Array.of(key[0], key[1], key[2], key[3]);
  }

  /**
   * The low 32 bits of the hash of the first `count` words, taken as `4 * count` little-endian bytes; an int32. `high` of
   * the same call is the rest.
   */
  hash(words: Int32Array, count: number): number {
    const { v, key } = this;
    v[0] = key[0] ^ 0x70736575; // "somepseudorandomlygeneratedbytes"
    v[1] = key[1] ^ 0x736f6d65;
    v[2] = key[2] ^ 0x6e646f6d;
    v[3] = key[3] ^ 0x646f7261;
    v[4] = key[0] ^ 0x6e657261;
    v[5] = key[1] ^ 0x6c796765;
    v[6] = key[2] ^ 0x79746573;
    v[7] = key[3] ^ 0x74656462;
    let i = 0;
    for (; i + 2 <= count; i += 2) this.compress(words[i], words[i + 1]);
    // The last block: what is left over, and the length in bytes in the highest octet.
    this.compress(i < count ? words[i] : 0, (4 * count) << 24);
    v[4] ^= 0xff;
    for (let round = 0; round < 4; round++) this.round();
    return v[0] ^ v[2] ^ v[4] ^ v[6];
  }

  /** The high 32 bits of the hash that was computed last. */
  get high(): number {
    const v = this.v;
    return v[1] ^ v[3] ^ v[5] ^ v[7];
  }

  private compress(low: number, high: number): void {
    const v = this.v;
    v[6] ^= low;
    v[7] ^= high;
    this.round();
    this.round();
    v[0] ^= low;
    v[1] ^= high;
  }

  /** SipRound, with the rotation by 32 as an exchange of the halves. */
  private round(): void {
    const v = this.v;
    this.mix(0, 2, 13);
    let half = v[0];
    v[0] = v[1];
    v[1] = half;
    this.mix(4, 6, 16);
    this.mix(0, 6, 21);
    this.mix(4, 2, 17);
    half = v[4];
    v[4] = v[5];
    v[5] = half;
  }

  /** a += b; b = (b <<< bits) ^ a, on the words that begin at `a` and `b`. */
  private mix(a: number, b: number, bits: number): void {
    const v = this.v;
    const bLow = v[b];
    const bHigh = v[b + 1];
    const low = (v[a] >>> 0) + (bLow >>> 0);
    v[a] = low;
    v[a + 1] = v[a + 1] + bHigh + (low > 0xffff_ffff ? 1 : 0);
    v[b] = ((bLow << bits) | (bHigh >>> (32 - bits))) ^ v[a];
    v[b + 1] = ((bHigh << bits) | (bLow >>> (32 - bits))) ^ v[a + 1];
  }
}
