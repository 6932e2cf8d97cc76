/**
 * Round-trip time and retransmission timeout (RFC 6298), in the form that Linux uses: the variance term never falls
 * below the minimum RTO, and grows at once but shrinks at most once a round trip.
 */
export class RttEstimator {
  /** Smoothed round-trip time; 0 before the first sample. */
  srttUs = 0;
  /** Mean deviation of the samples, RFC 6298's RTTVAR without a floor. */
  mdevUs = 0;
  private mdevMaxUs = 0;
  /** Four times RTTVAR, never less than the minimum RTO. */
  rttVarUs = 0;
  /** The retransmission timeout before backing off. */
  rtoUs: number;
  /** Times the timeout was doubled since the last new acknowledgment (RFC 6298 5.5). */
  backoff = 0;
  /** The least round-trip time seen lately (RFC 8985 asks for a windowed minimum). */
  minRttUs = Infinity;
  private minRttAtUs = 0;
  /** The last sample. */
  latestUs = 0;
  private rttSeq = 0;

  constructor(rtoInitialUs: number, private readonly rtoMinUs: number, private readonly rtoMaxUs: number) {
    this.rtoUs = rtoInitialUs;
  }

  /** One sample. `una` and `nxt` are SND.UNA and SND.NXT: the variance decays once a window. */
  sample(rttUs: number, una: number, nxt: number): void {
    const rtt = Math.max(1, rttUs);
    this.latestUs = rtt;
    if (this.srttUs === 0) {
      // RFC 6298 2.2: SRTT <- R, RTTVAR <- R/2 (four deviations are then 2 R, so RTO is 3 R)
      this.srttUs = rtt;
      this.mdevUs = rtt / 2;
      this.rttVarUs = Math.max(this.mdevUs * 4, this.rtoMinUs);
      this.mdevMaxUs = this.rttVarUs;
      this.rttSeq = nxt;
    } else {
      this.smooth(rtt, una, nxt);
    }
    this.rtoUs = Math.min(Math.round(this.srttUs + this.rttVarUs), this.rtoMaxUs);
    this.backoff = 0;
  }

  /** RFC 6298 2.3; deviations are kept times 4, as RTO needs them. */
  private smooth(rtt: number, una: number, nxt: number): void {
    let error = rtt - this.srttUs;
    this.srttUs += error / 8;
    if (error < 0) {
      error = -error - this.mdevUs;
      // A sudden fall of the RTT must not raise the RTO: the deviation follows it at an eighth of the pace.
      if (error > 0) error /= 8;
    } else {
      error -= this.mdevUs;
    }
    this.mdevUs += error / 4;
    const mdev4 = this.mdevUs * 4;
    if (mdev4 > this.mdevMaxUs) {
      this.mdevMaxUs = mdev4;
      if (this.mdevMaxUs > this.rttVarUs) this.rttVarUs = this.mdevMaxUs;
    }
    if (((una - this.rttSeq) | 0) > 0) {
      if (this.mdevMaxUs < this.rttVarUs) this.rttVarUs -= (this.rttVarUs - this.mdevMaxUs) / 4;
      this.rttSeq = nxt;
      this.mdevMaxUs = this.rtoMinUs;
    }
  }

  /** The windowed minimum of RFC 8985 6.2: the least of some five minutes. */
  updateMin(rttUs: number, now: number): void {
    if (rttUs <= this.minRttUs || now - this.minRttAtUs > 300_000_000) {
      this.minRttUs = Math.max(1, rttUs);
      this.minRttAtUs = now;
    }
  }

  /** RFC 6298 5.5: the timeout as it stands after backing off. */
  get backedOffUs(): number {
    // A power is a call, and mostly there was no timeout.
    return Math.min(this.backoff === 0 ? this.rtoUs : this.rtoUs * 2 ** this.backoff, this.rtoMaxUs);
  }
}
