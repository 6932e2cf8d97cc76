/** What ping(8) of iputils counts and how it prints it. Times are whole microseconds. */

/** Counters and round-trip times of one run. */
export class PingStatistics {
  received = 0;
  duplicates = 0;
  /** Replies whose payload is not what was sent. */
  corrupted = 0;
  /** Requests for which an ICMP error came back. */
  errors = 0;
  /** Most requests that were under way at once. */
  pipe = 0;
  minUs = Infinity;
  maxUs = 0;
  #sumUs = 0;
  #squares = 0;
  /** Eight times the smoothed round-trip time, as RFC 6298's SRTT with a gain of 1/8. */
  #smoothed8 = 0;

  /** Counts a reply; `outstanding`: requests sent after the one it answers. */
  addReply(rttUs: number, duplicate: boolean, outstanding: number): void {
    if (duplicate) this.duplicates++;
    else this.received++;
    this.minUs = Math.min(this.minUs, rttUs);
    this.maxUs = Math.max(this.maxUs, rttUs);
    this.#sumUs += rttUs;
    this.#squares += rttUs * rttUs;
    this.#smoothed8 = this.#smoothed8 === 0 ? rttUs * 8 : this.#smoothed8 + rttUs - this.#smoothed8 / 8;
    this.addOutstanding(outstanding);
  }

  addError(outstanding: number): void {
    this.errors++;
    this.addOutstanding(outstanding);
  }

  private addOutstanding(outstanding: number): void {
    this.pipe = Math.max(this.pipe, outstanding + 1);
  }

  get replies(): number {
    return this.received + this.duplicates;
  }

  get averageUs(): number {
    return this.#sumUs / this.replies;
  }

  get smoothedUs(): number {
    return this.#smoothed8 / 8;
  }

  /** Population standard deviation. */
  get deviationUs(): number {
    // Rounding may make the difference of two large numbers negative.
    return Math.sqrt(Math.max(0, this.#squares / this.replies - this.averageUs ** 2));
  }

  lossPercent(transmitted: number): number {
    return transmitted === 0 ? 0 : (transmitted - this.received) * 100 / transmitted;
  }
}

/** One run, for the summary. */
export interface PingRun {
  host: string;
  transmitted: number;
  elapsedUs: number;
  intervalMs: number;
}

/** The last lines: counts, loss, and round-trip times if there are any. */
export function formatSummary(statistics: PingStatistics, run: PingRun): string {
  const { transmitted } = run;
  const counts = [`${transmitted} packets transmitted`, `${statistics.received} received`];
  if (statistics.duplicates > 0) counts.push(`+${statistics.duplicates} duplicates`);
  if (statistics.corrupted > 0) counts.push(`+${statistics.corrupted} corrupted`);
  if (statistics.errors > 0) counts.push(`+${statistics.errors} errors`);
  if (transmitted > 0) {
    // printf's %g: six significant digits, no zeros behind them.
    counts.push(`${Number(statistics.lossPercent(transmitted).toPrecision(6))}% packet loss`);
    counts.push(`time ${Math.floor(run.elapsedUs / 1000)}ms`);
  }
  return `\n--- ${run.host} ping statistics ---\n${counts.join(", ")}\n${formatTimes(statistics, run)}\n`;
}

function formatTimes(statistics: PingStatistics, run: PingRun): string {
  const parts: string[] = [];
  if (statistics.received > 0) {
    const { minUs, averageUs, maxUs, deviationUs } = statistics;
    parts.push(`rtt min/avg/max/mdev = ${[minUs, averageUs, maxUs, deviationUs].map(inMs).join("/")} ms`);
  }
  if (statistics.pipe > 1) parts.push(`pipe ${statistics.pipe}`);
  if (statistics.received > 0 && run.intervalMs === 0 && run.transmitted > 1) {
    const gap = run.elapsedUs / (run.transmitted - 1);
    parts.push(`ipg/ewma ${inMs(gap)}/${inMs(statistics.smoothedUs)} ms`);
  }
  return parts.join(", ");
}

/** What SIGQUIT asks for, in one line. */
export function formatShortStatus(statistics: PingStatistics, transmitted: number): string {
  const loss = Math.floor(statistics.lossPercent(transmitted));
  const counts = `${statistics.received}/${transmitted} packets, ${loss}% loss`;
  if (statistics.received === 0) return counts;
  const { minUs, averageUs, smoothedUs, maxUs } = statistics;
  return `${counts}, min/avg/ewma/max = ${[minUs, averageUs, smoothedUs, maxUs].map(inMs).join("/")} ms`;
}

/** The summary for programs; times in milliseconds, null without replies. */
export function summaryJson(statistics: PingStatistics, run: PingRun): Record<string, unknown> {
  const ms = (us: number) => Math.round(us) / 1000;
  const { minUs, averageUs, maxUs, deviationUs } = statistics;
  return {
    type: "summary",
    host: run.host,
    transmitted: run.transmitted,
    received: statistics.received,
    duplicates: statistics.duplicates,
    corrupted: statistics.corrupted,
    errors: statistics.errors,
    lossPercent: statistics.lossPercent(run.transmitted),
    timeMs: ms(run.elapsedUs),
    rttMs: statistics.received === 0
      ? null
      : { min: ms(minUs), avg: ms(averageUs), max: ms(maxUs), mdev: ms(deviationUs) },
  };
}

/** Microseconds as milliseconds with three decimals, cut off as ping(8) does. */
function inMs(us: number): string {
  return (Math.floor(us) / 1000).toFixed(3);
}

/** A round-trip time with as many decimals as are worth reading: ping(8)'s own steps. */
export function formatRtt(us: number): string {
  if (us >= 100000 - 50) return `${Math.floor((us + 500) / 1000)}`;
  if (us >= 10000 - 5) return (Math.floor((us + 50) / 100) / 10).toFixed(1);
  if (us >= 1000) return (Math.floor((us + 5) / 10) / 100).toFixed(2);
  return (us / 1000).toFixed(3);
}
