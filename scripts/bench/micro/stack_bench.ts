/**
 * What a segment costs in the stack, among 1 and among 10,000 connections: `deno bench scripts/bench/micro`. The device
 * vouches for checksums; without offload a full segment's checksum comes to that (wire_bench.ts).
 */
import { Frame, FRAME_START } from "../../../lib/buffer/frame.ts";
import { Slices } from "../../../lib/buffer/memory.ts";
import { TableEntry } from "../../../lib/stack/connection.ts";
import { ConnectionTable } from "../../../lib/stack/connection_table.ts";
import { Timer, TimerTable } from "../../../lib/stack/timer_table.ts";
import { Bench, expect, OURS, PEER } from "../../../tests/stack/helpers.ts";
import { tcpFrame } from "../../../tests/support/build.ts";

const MSS = 1460;
const MANY = 10_000;
const PORT = 80;
/** Where the sequence and acknowledgement numbers lie in a frame without IP options. */
const SEQ = FRAME_START + 14 + 20 + 4;
const ACK = SEQ + 4;
/** Every result goes here, so that no call can be optimised away. */
let result = 0;

class Entry extends TableEntry {}

/** A peer whose segments are made once; only their numbers change. */
class Peer {
  readonly bench = new Bench();
  readonly stack = this.bench.stack;
  readonly handle: number;
  readonly #data = new Frame();
  readonly #ack = new Frame();
  readonly #out = new Frame();
  readonly #slices = new Slices();
  readonly #chunk = new Uint8Array(MSS);
  #seq = 1000;
  #una: number;

  /** A connection from port 1024, after `others` from the ports that follow. */
  constructor(others: number) {
    this.bench.learnPeer();
    const listener = this.bench.listener(PORT, others + 16);
    for (let port = 1025; port < 1025 + others; port++) this.bench.accepted(listener, port, PORT);
    const { handle, iss } = this.bench.accepted(listener, 1024, PORT);
    this.handle = handle;
    this.#una = iss + 1;
    this.#put(this.#data, MSS);
    this.#put(this.#ack, 0);
  }

  /** A segment comes in and is read; every second one is acknowledged. */
  segmentIn(): void {
    const { stack, handle, bench: { now } } = this;
    this.#data.memory.view.setInt32(SEQ, this.#seq);
    this.#data.memory.view.setInt32(ACK, this.#una);
    this.#seq = (this.#seq + MSS) | 0;
    stack.input(this.#data, now);
    stack.consume(handle, expect(stack.peek(handle, MSS, this.#slices)), now);
    this.#finish();
  }

  /** A segment goes out, and its acknowledgement comes in. */
  segmentOut(): void {
    const { stack, handle, bench: { now } } = this;
    expect(stack.send(handle, this.#chunk, 0, MSS, now));
    this.#finish();
    this.#una = (this.#una + MSS) | 0;
    this.#ack.memory.view.setInt32(SEQ, this.#seq);
    this.#ack.memory.view.setInt32(ACK, this.#una);
    stack.input(this.#ack, now);
    this.#finish();
  }

  /** What the contract of use demands after each call. */
  #finish(): void {
    const { stack, bench: { now } } = this;
    while (stack.transmit(this.#out, now)) result ^= this.#out.length;
    while (stack.nextReady() >= 0);
    this.bench.now++;
  }

  #put(frame: Frame, length: number): void {
    const fields = { source: PEER, destination: OURS, sourcePort: 1024, destinationPort: PORT, flags: "." };
    const bytes = tcpFrame({ ...fields, payload: new Uint8Array(length) });
    frame.memory.bytes.set(bytes, FRAME_START);
    frame.length = bytes.length;
    frame.checksumVerified = true;
  }
}

const alone = new Peer(0);
const amongMany = new Peer(MANY);

Deno.bench(
  "a segment in, read, half an ACK out",
  { group: "segment in", baseline: true },
  () => alone.segmentIn(),
);
Deno.bench(`the same among ${MANY} connections`, { group: "segment in" }, () => amongMany.segmentIn());
Deno.bench("a segment out, its ACK in", { group: "segment out", baseline: true }, () => alone.segmentOut());
Deno.bench(`the same among ${MANY} connections`, { group: "segment out" }, () => amongMany.segmentOut());

const entries = Array.from({ length: MANY }, (_, i) => new Entry(1, PORT, i % 251, 1024 + i));
const table = new ConnectionTable(12345);
entries.forEach((entry) => table.add(entry));
let next = 0;
const turn = () => entries[next = (next + 7919) % MANY];

Deno.bench(`demux: find one of ${MANY} connections`, { group: "demux", baseline: true }, () => {
  const entry = turn();
  if (table.get(1, PORT, entry.remoteAddress, entry.remotePort) === entry) result++;
});
Deno.bench(`demux: find none among ${MANY}`, { group: "demux" }, () => {
  if (table.get(1, PORT + 1, 1, turn().remotePort) === null) result++;
});
Deno.bench("demux: remove one and add it again", { group: "demux" }, () => {
  const entry = turn();
  table.remove(entry);
  table.add(entry);
});

const timers = Array.from({ length: MANY }, () => new Timer());
const due = new TimerTable<Timer>();
timers.forEach((timer, i) => due.arm(timer, 1e6 + i * 1000));
let at = 0;
let now = 1e9;

Deno.bench(`timers: move one of ${MANY} later`, { group: "timers", baseline: true }, () => {
  due.arm(timers[at = (at + 7919) % MANY], now += 10);
});
Deno.bench("timers: the next deadline", { group: "timers" }, () => {
  result ^= due.deadline;
});
Deno.bench("timers: move one earlier and later again", { group: "timers" }, () => {
  const timer = timers[at = (at + 7919) % MANY];
  due.arm(timer, 1e5 + at);
  due.arm(timer, now += 10);
  result ^= due.deadline;
});
