/**
 * What a connection costs the stack from the first segment to the last, no system calls: `deno bench scripts/bench/micro`.
 * For a profile, or the garbage, of nothing else: `deno run -A [--cpu-prof] [--v8-flags=--trace-gc]
 * scripts/bench/micro/connection_bench.ts` makes and ends a million of them.
 */
import { Frame, FRAME_START } from "../../../lib/buffer/frame.ts";
import { Bench, expect, OURS, PEER } from "../../../tests/stack/helpers.ts";
import { type TcpFields, tcpFrame } from "../../../tests/support/build.ts";

const PORT = 80;
/** Where things lie in a frame without IP options; the timestamp of a SYN-ACK lies behind the MSS. */
const TCP = FRAME_START + 14 + 20;
const SEQ = TCP + 4;
const ACK = TCP + 8;
const VALUE = TCP + 24;
const ECHO = TCP + 28;
const VALUE_IN_SYN_ACK = TCP + 28;
const FIRST_PORT = 1024;
const PORTS = 60_000;
/** Each life takes so long. */
const LIFE_US = 20;

/** A client that opens, closes, and is answered with a close: as peer/connections.c does it. */
class Visitor {
  readonly bench = new Bench({ tcp: { maxTimeWaits: 16 } });
  readonly stack = this.bench.stack;
  readonly #listener: number;
  readonly #syn = frame({ flags: "S", seq: 999, mss: 1460, sackPermitted: true, windowScale: 7 });
  readonly #ack = frame({ flags: "." });
  readonly #fin = frame({ flags: "F." });
  readonly #out = new Frame();
  #port = FIRST_PORT;
  /** What the stack sent last. */
  #seq = 0;
  #timestamp = 0;
  /** Frames that it sent in all. */
  sent = 0;

  constructor() {
    this.bench.learnPeer();
    this.#listener = this.bench.listener(PORT, 64);
  }

  live(): void {
    const { stack, bench: { now } } = this;
    this.#port = this.#port === FIRST_PORT + PORTS ? FIRST_PORT : this.#port + 1;
    this.#syn.memory.view.setUint16(TCP, this.#port);
    stack.input(this.#syn, now);
    this.#finish();
    this.#answer(this.#ack, 1000);
    this.#answer(this.#fin, 1000);
    this.#finish();
    const handle = expect(stack.accept(this.#listener));
    while (stack.nextReady() >= 0);
    stack.close(handle, now);
    this.#finish();
    this.#answer(this.#ack, 1001);
    this.#finish();
    this.bench.now += LIFE_US;
  }

  /** A segment that acknowledges what came last. */
  #answer({ memory: { view } }: Frame, seq: number): void {
    view.setUint16(TCP, this.#port);
    view.setInt32(SEQ, seq);
    view.setInt32(ACK, this.#seq + 1);
    view.setInt32(ECHO, this.#timestamp);
    this.stack.input(view === this.#ack.memory.view ? this.#ack : this.#fin, this.bench.now);
  }

  /** What the contract of use demands after each call. */
  #finish(): void {
    const { stack, bench: { now } } = this;
    while (stack.transmit(this.#out, now)) {
      const { view } = this.#out.memory;
      this.#seq = view.getInt32(SEQ);
      this.#timestamp = view.getInt32(this.sent % 2 === 0 ? VALUE_IN_SYN_ACK : VALUE);
      this.sent++;
    }
    while (stack.nextReady() >= 0);
    if (stack.deadline <= now) stack.advance(now);
  }
}

function frame(fields: Partial<TcpFields> & { flags: string }): Frame {
  const made = new Frame();
  const ends = { source: PEER, destination: OURS, sourcePort: FIRST_PORT, destinationPort: PORT };
  const bytes = tcpFrame({ ...ends, timestamps: [1000, 0], ...fields });
  made.memory.bytes.set(bytes, FRAME_START);
  made.length = bytes.length;
  made.checksumVerified = true;
  return made;
}

const visitor = new Visitor();

if (import.meta.main) {
  const from = performance.now();
  for (let i = 0; i < 1e6; i++) visitor.live();
  console.log(`${(performance.now() - from).toFixed(0)} ns a connection, ${visitor.sent / 1e6} frames sent`);
} else {
  Deno.bench("a connection is opened by the peer, accepted and closed", () => visitor.live());
}
