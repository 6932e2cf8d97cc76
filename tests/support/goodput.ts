/**
 * How much of a bottleneck the stack's TCP gets, in virtual time: two stacks, a link with loss, a delay and a rate, and a
 * tail-drop queue of one bandwidth-delay product before it. The same cell gives the same figures on every machine.
 */
import { AssertionError } from "@std/assert";
import { EAGAIN, EINPROGRESS } from "../../lib/errno.ts";
import { READY_WRITE, SocketKind } from "../../lib/stack/socket_types.ts";
import { Link } from "./link.ts";
import { ok } from "./transfer.ts";

export interface Cell {
  /** Percent of the data segments that the network loses, beside those that find the queue full. */
  loss: number;
  /** Round-trip time without queueing, milliseconds. */
  rttMs: number;
  /** The bottleneck, Mbit/s. */
  rateMbit: number;
  /** Connections that share it; they start 100 ms apart. */
  flows: number;
}

export interface Goodput {
  /** Payload that arrived in order, of all flows, as a share of what the bottleneck could carry (0.956 at most). */
  share: number;
  /** Bytes sent again, as a share of all bytes sent. */
  retransmitted: number;
  /** Jain's index of the flows' shares in the second half of the time: 1 is fair, 1/flows is one flow alone. */
  fairness: number;
}

export const LOSSES = [0, 0.1, 1, 3, 10] as const;
export const RTTS_MS = [1, 20, 100, 300] as const;
export const RATES_MBIT = [10, 100, 1000] as const;
const FAIR_LOSSES = [0, 1] as const;
const FAIR_RTTS_MS = [20, 100] as const;

/** A full frame, and what of it is payload when there are timestamps. */
const FRAME = 1514;
const PAYLOAD = 1448;
/** Less than this is no queue: not even the initial window would pass. */
const LEAST_QUEUE = 10 * FRAME;
const STAGGER_US = 100_000;

/** One flow over the whole table. */
export function singleFlowCells(): Cell[] {
  return LOSSES.flatMap((loss) =>
    RTTS_MS.flatMap((rttMs) => RATES_MBIT.map((rateMbit) => ({ loss, rttMs, rateMbit, flows: 1 })))
  );
}

/** Several flows over some of it. */
export function fairnessCells(): Cell[] {
  return [2, 10].flatMap((flows) =>
    FAIR_LOSSES.flatMap((loss) => FAIR_RTTS_MS.map((rttMs) => ({ loss, rttMs, rateMbit: 100, flows })))
  );
}

/** "1 % 20 ms 100 Mbit/s x 2" */
export function cellName({ loss, rttMs, rateMbit, flows }: Cell): string {
  return `${loss} % ${rttMs} ms ${rateMbit} Mbit/s${flows > 1 ? ` x ${flows}` : ""}`;
}

function bdpBytes({ rttMs, rateMbit }: Cell): number {
  return rateMbit * 1e6 / 8 * rttMs / 1e3;
}

/**
 * What one flow can be expected to get: the larger of CUBIC's response function and Reno's (RFC 9438 5.1 and 4.3, which
 * is Mathis's formula), as a share of the bottleneck and no more than what is payload of it. The queue, where the random
 * losses leave any, makes it a little less by a longer round trip.
 */
export function expectedShare({ loss, rttMs, rateMbit }: Cell): number {
  if (loss === 0) return PAYLOAD / FRAME;
  const p = loss / 100;
  const rtt = rttMs / 1e3;
  const cubic = 1.054 * (rtt / p) ** 0.75;
  const reno = Math.sqrt(3 / 2 / p);
  const bytes = Math.max(cubic, reno) * PAYLOAD / rtt;
  return Math.min(bytes * 8 / (rateMbit * 1e6), PAYLOAD / FRAME);
}

/**
 * Long enough for two hundred losses or two hundred round trips, so that the start is a small part of it; longer for
 * several flows, which take a while to share.
 */
function durationUs(cell: Cell): number {
  const { loss, rttMs, rateMbit, flows } = cell;
  const perSecond = expectedShare(cell) * rateMbit * 1e6 / 8 / PAYLOAD;
  const losses = loss > 0 ? 200 / (perSecond * loss / 100) : 0;
  const seconds = Math.max(5, losses, 0.2 * rttMs) * (flows > 1 ? 4 : 1);
  return Math.ceil(Math.min(seconds, 1200)) * 1e6;
}

function makeLink(cell: Cell, seed: number): Link {
  const { loss, rttMs, rateMbit } = cell;
  const bdp = bdpBytes(cell);
  const queue = Math.round(Math.max(bdp, LEAST_QUEUE));
  const delay = `delay=${rttMs * 500}us`;
  // The window is the network's to limit: as on any long fat path, somebody raised the limits of the buffers.
  const buffer = Math.max(4 << 20, 8 * bdp);
  // Flows of the very same round trip lock into a pattern in which it is always the same ones that find the queue full
  // (Floyd and Jacobson's phase effects). Every real path jitters enough to break it.
  const jitter = cell.flows > 1 ? "in.jitter=1ms " : "";
  return new Link({
    impair: `${jitter}${delay} out.rate=${rateMbit}mbit out.queue=${queue}b out.loss=${loss}% seed=${seed}`,
    latencyUs: 0,
    seed,
    trace: 0,
    tcp: { receiveBufferMax: buffer, sendBufferMax: buffer },
  });
}

/** One bulk connection from a to b. */
class Flow {
  received = 0;
  #server = -1;
  readonly #link: Link;
  readonly #client: number;
  readonly #listener: number;
  static readonly #bytes = new Uint8Array(65536);

  constructor(link: Link, port: number) {
    const { a, b } = link;
    this.#link = link;
    this.#listener = ok(b.stack.socket(SocketKind.stream), "socket");
    ok(b.stack.bind(this.#listener, 0, port), "bind");
    ok(b.stack.listen(this.#listener, 1), "listen");
    this.#client = ok(a.stack.socket(SocketKind.stream), "socket");
    const result = a.stack.connect(this.#client, b.address, port, link.now);
    if (result !== -EINPROGRESS) throw new AssertionError({ message: `connect answered ${result}` });
  }

  /** Reads and writes all that goes now. */
  pump(): void {
    const { a, b, now } = this.#link;
    while ((a.stack.readiness(this.#client) & READY_WRITE) !== 0) {
      const sent = a.stack.send(this.#client, Flow.#bytes, 0, Flow.#bytes.length, now);
      if (sent === -EAGAIN) break;
      ok(sent, "send");
    }
    if (this.#server < 0) this.#server = b.stack.accept(this.#listener);
    if (this.#server < 0) return;
    for (;;) {
      const got = b.stack.receive(this.#server, Flow.#bytes, 0, Flow.#bytes.length, now);
      if (got === -EAGAIN) break;
      this.received += ok(got, "receive");
    }
  }

  /** Bytes sent, and of those bytes sent again. */
  get sent(): { bytes: number; again: number } {
    const info = this.#link.a.stack.info(this.#client);
    return { bytes: info.tcpi_bytes_sent, again: info.tcpi_bytes_retrans };
  }
}

/** Runs one cell. */
export function measure(cell: Cell, seed = 1): Goodput {
  const link = makeLink(cell, seed);
  const start = link.now;
  const duration = durationUs(cell);
  const flows: Flow[] = [];
  run(link, start, start + duration / 2, cell, flows);
  const half = flows.map(({ received }) => received);
  run(link, start, start + duration, cell, flows);
  const later = flows.map(({ received }, index) => received - (half[index] ?? 0));
  const total = flows.reduce((sum, { received }) => sum + received, 0);
  const sent = flows.map((flow) => flow.sent);
  const bytes = sent.reduce((sum, each) => sum + each.bytes, 0);
  return {
    share: round(total * 8e6 / duration / (cell.rateMbit * 1e6)),
    retransmitted: round(sent.reduce((sum, { again }) => sum + again, 0) / bytes),
    fairness: round(jain(later)),
  };
}

function run(link: Link, start: number, end: number, cell: Cell, flows: Flow[]): void {
  const { clock } = link;
  for (;;) {
    while (flows.length < cell.flows && clock.now >= start + flows.length * STAGGER_US) {
      flows.push(new Flow(link, 1000 + flows.length));
    }
    do {
      for (const flow of flows) flow.pump();
    } while (link.settle());
    const nextFlow = flows.length < cell.flows ? start + flows.length * STAGGER_US : Infinity;
    const next = Math.ceil(Math.min(link.deadline, nextFlow));
    if (next > end) break;
    clock.advanceTo(Math.max(next, clock.now));
  }
  clock.advanceTo(end);
}

/** (sum x)^2 / (n sum x^2) */
function jain(values: number[]): number {
  const sum = values.reduce((a, b) => a + b, 0);
  return sum ** 2 / (values.length * values.reduce((a, b) => a + b * b, 0));
}

/** Four digits: what is checked in and compared. */
function round(value: number): number {
  return Number(value.toPrecision(4));
}
