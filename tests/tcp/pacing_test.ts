import { assert, assertEquals } from "@std/assert";
import { getOption, info, send, setOption } from "../../lib/tcp/user_calls.ts";
import type { TcpSettings } from "../../lib/tcp/settings.ts";
import { burstSegments } from "../../lib/tcp/pacing.ts";
import { type Flying, Pair } from "./pair.ts";

const SOL_SOCKET = 1;
const SO_MAX_PACING_RATE = 47;
const RTT_US = 100_000;

/** A connected pair, 100 ms apart, whose client has as much to send as its buffer takes. */
function sending(settings: Partial<TcpSettings>, bytes: number, rate = 0): Pair {
  const pair = new Pair({
    sendBuffer: 4 << 20,
    receiveBuffer: 4 << 20,
    receiveBufferMax: 4 << 20,
    ...settings,
  });
  pair.delayUs = RTT_US / 2;
  const { tcb } = pair.client;
  if (rate > 0) assertEquals(setOption(tcb, SOL_SOCKET, SO_MAX_PACING_RATE, rate, pair.now), 0);
  pair.connect();
  pair.log.length = 0;
  assertEquals(send(tcb, new Uint8Array(bytes), 0, bytes, pair.now), bytes);
  return pair;
}

/** The data segments that the client sent, with the time at which each left. */
function departures(pair: Pair): { atUs: number; length: number; flying: Flying }[] {
  return pair.log
    .filter(({ to, payload }) => to === pair.server && payload.length > 0)
    .map((flying) => ({ atUs: flying.atUs - pair.delayUs, length: flying.payload.length, flying }));
}

/** The most segments that left at one moment. */
function largestBurst(times: number[]): number {
  const counts = new Map<number, number>();
  for (const time of times) counts.set(time, (counts.get(time) ?? 0) + 1);
  return Math.max(...counts.values());
}

Deno.test("without pacing a window goes out as fast as the link takes it, as on Linux without fq", () => {
  const pair = sending({}, 500_000);
  pair.pass(10 * RTT_US);
  assert(largestBurst(departures(pair).map(({ atUs }) => atUs)) >= 2);
  assert(!pair.client.tcb.user.paced);
});

Deno.test("pacing: after the initial window segments leave one by one, spread over the round trip", () => {
  const pair = sending({ pacing: true }, 500_000);
  pair.pass(1);
  assertEquals(departures(pair).length, 10, "the initial window is not paced");
  pair.pass(20 * RTT_US);
  const times = departures(pair).slice(10).map(({ atUs }) => atUs);
  assert(times.length > 300);
  assertEquals(largestBurst(times), 1);
});

Deno.test("pacing in slow start goes at twice the window a round trip, later at 1.2 times", () => {
  const pair = sending({ pacing: true }, 100_000);
  const { tcb } = pair.client;
  pair.pass(RTT_US * 1.5);
  assertEquals(tcb.rtt.srttUs, RTT_US);
  const window = tcb.snd.mss * tcb.cwnd;
  assertEquals(info(tcb, pair.now).tcpi_pacing_rate, Math.floor(2 * window * 10));
  tcb.ssthresh = tcb.cwnd;
  pair.pass(RTT_US);
  const rate = 1.2 * tcb.snd.mss * Math.max(tcb.cwnd, tcb.queue.packetsOut) * 1e6 / tcb.rtt.srttUs;
  assert(Math.abs(tcb.pacingRate / rate - 1) < 0.1, `${tcb.pacingRate} for ${rate}`);
});

Deno.test("SO_MAX_PACING_RATE bounds a connection's rate, whatever its window", () => {
  const rate = 200_000;
  const pair = sending({}, 1_500_000, rate);
  pair.pass(5e6);
  const sent = departures(pair).reduce((sum, { length }) => sum + length, 0);
  const window = 10 * 1460;
  assert(sent <= 5 * rate + window, `${sent} bytes in 5 s`);
  assert(sent >= 0.95 * 5 * rate, `${sent} bytes in 5 s`);
  assertEquals(info(pair.client.tcb, pair.now).tcpi_pacing_rate, rate);
  assertEquals(info(pair.client.tcb, pair.now).tcpi_max_pacing_rate, rate);
});

Deno.test("SO_MAX_PACING_RATE is read back; ~0 is no limit", () => {
  const { tcb } = new Pair().client;
  assertEquals(getOption(tcb, SOL_SOCKET, SO_MAX_PACING_RATE), 0xffff_ffff);
  assertEquals(info(tcb, 0).tcpi_max_pacing_rate, 2 ** 64 - 1);
  setOption(tcb, SOL_SOCKET, SO_MAX_PACING_RATE, 1_000_000, 0);
  assertEquals(getOption(tcb, SOL_SOCKET, SO_MAX_PACING_RATE), 1_000_000);
  setOption(tcb, SOL_SOCKET, SO_MAX_PACING_RATE, -1, 0);
  assertEquals(getOption(tcb, SOL_SOCKET, SO_MAX_PACING_RATE), 0xffff_ffff);
});

Deno.test("while data waits for its time the deadline says for how long, and no longer than that", () => {
  const rate = 100_000;
  const pair = sending({}, 100_000, rate);
  pair.pass(RTT_US);
  const { tcb } = pair.client;
  const { mss } = tcb.snd;
  const step = mss * 1e6 / rate;
  assert(tcb.deadline <= pair.now + step + 1, `due in ${tcb.deadline - pair.now} us`);
  pair.pass(3e6);
  assertEquals(pair.server.tcb.receiveBuffer.length, 100_000);
  assertEquals([tcb.pacing.dueUs, tcb.deadline], [Infinity, Infinity]);
});

Deno.test("who is late catches up half a step at most", () => {
  const rate = 100_000;
  const pair = sending({}, 300_000, rate);
  pair.pass(5 * RTT_US);
  const { tcb } = pair.client;
  const step = tcb.snd.mss * 1e6 / rate;
  // The host sleeps for ten steps.
  pair.now += 10 * step;
  pair.log.length = 0;
  pair.pass(2 * step);
  const times = departures(pair).map(({ atUs }) => atUs);
  assert(times.length <= 3, `${times.length} segments in two steps`);
  assert(times[1] - times[0] >= step / 2 - 1);
});

Deno.test("retransmissions are paced as well", () => {
  const pair = sending({ pacing: true }, 400_000);
  pair.pass(4 * RTT_US);
  const sequences = new Set<number>();
  const again: number[] = [];
  let lost = 0;
  pair.lose = ({ to, header, payload, atUs }) => {
    if (to !== pair.server || payload.length === 0) return false;
    if (sequences.has(header.seq)) {
      again.push(atUs);
      return false;
    }
    sequences.add(header.seq);
    return lost++ < 20;
  };
  pair.pass(5e6);
  assertEquals(pair.server.tcb.receiveBuffer.length, 400_000);
  assert(again.length >= 20);
  assertEquals(largestBurst(again), 1);
});

Deno.test("a FIN alone waits behind paced data, and closes the connection all the same", () => {
  const pair = sending({}, 50_000, 50_000);
  pair.client.tcb.finQueued = true;
  assert(pair.runUntil(() => pair.server.tcb.finReceived, 3e6));
});

Deno.test("bursts that the device cuts hold a millisecond's worth, two segments at least, more for near peers", () => {
  const { tcb } = new Pair({ gsoMaxSegments: 44, pacing: true }).client;
  tcb.snd.mss = 1448;
  const burst = (bytesPerSecond: number, minRttUs: number) => {
    tcb.pacingRate = bytesPerSecond;
    tcb.rtt.minRttUs = minRttUs;
    return burstSegments(tcb);
  };
  assertEquals(burst(300_000, RTT_US), 2);
  assertEquals(burst(12_500_000, RTT_US), 8);
  assertEquals(burst(1_250_000_000, RTT_US), 44);
  assertEquals(burst(300_000, 100), 44);
  assertEquals(burst(300_000, 2048), 3);
  assertEquals(burst(300_000, Infinity), 2);
});

Deno.test("TCP_INFO counts the segments of a burst as the wire sees them", () => {
  const pair = sending({ gsoMaxSegments: 44 }, 14_480);
  pair.pass(2 * RTT_US);
  const { tcpi_data_segs_out, tcpi_segs_out } = info(pair.client.tcb, pair.now);
  assertEquals(tcpi_data_segs_out, 10);
  assertEquals(tcpi_segs_out, 12, "and a SYN and an ACK");
});
