/** RFC 9438: CUBIC against its formula over long virtual runs; RFC 9406: HyStart++. */
import { assert, assertEquals } from "@std/assert";
import {
  type CongestionControl,
  type CongestionView,
  SSTHRESH_INFINITE,
} from "../../lib/tcp/congestion/congestion_control.ts";
import { Cubic } from "../../lib/tcp/congestion/cubic.ts";
import { NewReno } from "../../lib/tcp/congestion/newreno.ts";

const C = 0.4;
const BETA = 0.7;

/** A sender that always has data, on a path without loss: every segment is acknowledged a round trip later. */
class Path implements CongestionView {
  ssthresh: number = SSTHRESH_INFINITE;
  cwndCount = 0;
  isCwndLimited = true;
  una = 0;
  nxt = 0;
  inFlight = 0;
  now = 1e6;
  latestRttUs = 0;
  constructor(public cwnd: number, public rttUs: number, readonly algorithm: CongestionControl) {}
  get srttUs(): number {
    return this.rttUs;
  }
  get minRttUs(): number {
    return this.rttUs;
  }
  /** One round trip: ACKs for a window of segments, evenly spread, one for each `per` segments. */
  round(per = 1, rtt: (i: number) => number = () => this.rttUs): void {
    const window = this.cwnd;
    const start = this.now;
    for (let i = 0; i < window; i += per) {
      const acked = Math.min(per, window - i);
      this.now = start + this.rttUs * (i + acked) / window;
      this.una += acked;
      this.nxt = this.una + this.cwnd;
      this.algorithm.onRtt(this, rtt(i), this.now);
      this.algorithm.onAck(this, acked, this.now);
    }
  }
  /** A loss, recovered from: cwnd is ssthresh. */
  lose(): void {
    this.ssthresh = this.algorithm.ssthresh(this, this.now);
    this.cwnd = this.ssthresh;
    this.cwndCount = 0;
  }
}

for (const [wMax, rttMs, per] of [[1000, 100, 1], [1000, 200, 2], [5000, 100, 8], [300, 300, 1]]) {
  Deno.test(`4.2: window ${wMax}, ${rttMs} ms, an ACK for ${per}: W(t) = C (t - K)^3 + Wmax for a minute`, () => {
    const path = new Path(wMax, rttMs * 1000, new Cubic());
    path.lose();
    assertEquals(path.cwnd, wMax * BETA);
    const start = path.now;
    const k = Math.cbrt((wMax - path.cwnd) / C);
    let worst = 0;
    while (path.now - start < 60e6) {
      path.round(per);
      const t = (path.now - start) / 1e6;
      const expected = C * (t - k) ** 3 + wMax;
      // RFC 9438 4.4: growth is bounded by half a window in a round trip, which the late, steep part meets.
      if (C * 3 * (t - k) ** 2 * path.rttUs / 1e6 > expected * 0.4) break;
      worst = Math.max(worst, Math.abs(path.cwnd - expected) / expected);
    }
    assert(worst < 0.02, `off by ${(worst * 100).toFixed(1)} %`);
  });
}

Deno.test("4.2: K seconds after the loss the window is back at Wmax, and flat there", () => {
  const path = new Path(1000, 50_000, new Cubic());
  path.lose();
  const end = path.now + Math.cbrt(300 / C) * 1e6;
  while (path.now < end - 1e6) path.round();
  const before = path.cwnd;
  while (path.now < end + 1e6) path.round();
  assert(Math.abs(path.cwnd - 1000) < 15, `${path.cwnd}`);
  assert(path.cwnd - before < 15, `${path.cwnd - before} in two seconds`);
});

Deno.test("4.3: on a short path it is never slower than Reno, in the long run", () => {
  const cubic = new Path(40, 10_000, new Cubic());
  cubic.lose();
  const reno = new Path(40, 10_000, new NewReno());
  reno.lose();
  // RFC 9438 4.3: alpha makes the average equal at the same loss rate: compare a whole period of each.
  let sum = 0;
  for (let i = 0; i < 100; i++) {
    cubic.round();
    sum += cubic.cwnd;
  }
  const alpha = (3 * (1 - BETA)) / (1 + BETA);
  // From 28 at alpha a round trip up to 40, then one a round trip.
  const roundsToPrior = (40 - 28) / alpha;
  assert(cubic.cwnd >= 40 + (100 - roundsToPrior) * 0.9, `${cubic.cwnd}`);
  assert(sum / 100 > 40);
});

Deno.test("4.6: a loss multiplies the window by 0.7, and never below two segments", () => {
  for (const [before, after] of [[100, 70], [10, 7], [3, 2], [2, 2], [1, 2]]) {
    const path = new Path(before, 100_000, new Cubic());
    assertEquals(path.algorithm.ssthresh(path, 0), after);
  }
});

Deno.test("4.7: fast convergence: a second loss below the last maximum makes room", () => {
  const path = new Path(1000, 100_000, new Cubic());
  path.lose();
  while (path.cwnd < 900) path.round();
  path.lose();
  // Wmax is 900 (1 + 0.7) / 2 = 765: the plateau is there.
  const k = Math.cbrt((765 - 630) / C);
  const end = path.now + k * 1e6;
  while (path.now < end) path.round();
  assert(Math.abs(path.cwnd - 765) < 20, `${path.cwnd}`);
  // A third loss above that maximum is no sign of a newcomer: the plateau is at the loss.
  path.lose();
  const third = path.ssthresh / BETA;
  const again = path.now + Math.cbrt((third - path.cwnd) / C) * 1e6;
  while (path.now < again) path.round();
  assert(Math.abs(path.cwnd - third) < 20, `${path.cwnd} of ${third}`);
});

Deno.test("4.8: after a timeout the cubic starts flat (K = 0) where slow start ended", () => {
  const path = new Path(1000, 100_000, new Cubic());
  path.ssthresh = path.algorithm.ssthresh(path, path.now);
  path.algorithm.onTimeout(path, path.now);
  path.cwnd = 1;
  while (path.cwnd < path.ssthresh) path.round();
  assertEquals(path.cwnd >= 700 && path.cwnd < 720, true, `${path.cwnd}`);
  const from = path.cwnd;
  const start = path.now;
  while (path.now - start < 5e6) path.round();
  const expected = C * 5 ** 3 + from;
  assert(Math.abs(path.cwnd - expected) < 20, `${path.cwnd}, expected ${expected}`);
});

Deno.test("4.9: a loss that was none gives the window back", () => {
  const path = new Path(1000, 100_000, new Cubic());
  path.lose();
  assertEquals(path.algorithm.undo(path), 1000);
});

Deno.test("5.8: idle time is no time of growth", () => {
  const path = new Path(1000, 100_000, new Cubic());
  path.lose();
  for (let i = 0; i < 20; i++) path.round();
  const before = path.cwnd;
  path.now += 600e6;
  path.algorithm.onRestart(path, 600e6, path.now);
  path.round();
  assert(path.cwnd - before < 20, `${path.cwnd - before}`);
});

Deno.test("a window that is not in use does not grow", () => {
  const path = new Path(100, 100_000, new Cubic());
  path.lose();
  path.isCwndLimited = false;
  for (let i = 0; i < 100; i++) path.round();
  assertEquals(path.cwnd, 70);
});

Deno.test("9406: on a path whose delay does not grow slow start doubles to the end", () => {
  const path = new Path(20, 50_000, new Cubic());
  for (let i = 0; i < 8; i++) path.round(1, (n) => 50_000 + (n % 8) * 400);
  assertEquals([path.cwnd, path.ssthresh], [20 << 8, SSTHRESH_INFINITE]);
});

Deno.test("9406 4.2: when the delay grows, growth slows to a quarter, and after five rounds slow start is over", () => {
  const path = new Path(20, 50_000, new Cubic());
  for (let i = 0; i < 3; i++) path.round();
  const atEntry = path.cwnd;
  assertEquals(atEntry, 160);
  const flights: number[] = [];
  for (let i = 0; i < 7 && path.ssthresh === SSTHRESH_INFINITE; i++) {
    path.round(1, () => 60_000);
    flights.push(path.cwnd);
  }
  // Conservative slow start: a quarter more each round instead of twice as much.
  assert(flights[0] < atEntry * 1.4, flights.join());
  assert(flights[1] / flights[0] > 1.2 && flights[1] / flights[0] < 1.3, flights.join());
  assert(path.ssthresh < SSTHRESH_INFINITE, flights.join());
  assert(flights.length >= 5 && flights.length <= 6, flights.join());
});

Deno.test("9406 4.2: when the delay goes away again, slow start goes on", () => {
  const path = new Path(20, 50_000, new Cubic());
  for (let i = 0; i < 3; i++) path.round();
  path.round(1, () => 60_000);
  const slow = path.cwnd;
  path.round(1, () => 50_000);
  path.round(1, () => 50_000);
  assert(path.cwnd > slow * 3, `${slow} ${path.cwnd}`);
  assertEquals(path.ssthresh, SSTHRESH_INFINITE);
});

Deno.test("9406 4.3: an increase below the threshold (4 to 16 ms, an eighth of the round trip) is no congestion", () => {
  for (
    const [rttMs, moreMs, slows] of [[20, 3, false], [20, 5, true], [80, 9, false], [80, 11, true], [
      400,
      15,
      false,
    ], [
      400,
      17,
      true,
    ]] as [number, number, boolean][]
  ) {
    const path = new Path(20, rttMs * 1000, new Cubic());
    for (let i = 0; i < 3; i++) path.round();
    path.round(1, () => (rttMs + moreMs) * 1000);
    path.round(1, () => (rttMs + moreMs) * 1000);
    assertEquals(path.cwnd < 600, slows, `${rttMs} + ${moreMs} ms: ${path.cwnd}`);
  }
});
