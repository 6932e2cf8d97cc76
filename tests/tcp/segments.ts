/**
 * One connection under test, and a peer that is played by hand: segments go in and come out as text in packetdrill's
 * spelling, "P. 1:101(100) ack 1", relative to the initial sequence numbers, in virtual time.
 */
import { assertEquals } from "@std/assert";
import { Memory, Slices } from "../../lib/buffer/memory.ts";
import { MemoryPool } from "../../lib/buffer/memory_pool.ts";
import { segmentArrives } from "../../lib/tcp/segment_arrives.ts";
import { DEFAULT_SETTINGS, type TcpSettings } from "../../lib/tcp/settings.ts";
import { stateName } from "../../lib/tcp/state.ts";
import { Tcb } from "../../lib/tcp/tcb.ts";
import { advanceTimers } from "../../lib/tcp/timers.ts";
import { nextSegment } from "../../lib/tcp/transmit.ts";
import * as user from "../../lib/tcp/user_calls.ts";
import { ACK, AE, CWR, ECE, FIN, PSH, RST, SYN, TcpHeader, URG } from "../../lib/wire/tcp.ts";

const LETTERS = [["S", SYN], ["F", FIN], ["R", RST], ["P", PSH], ["U", URG], [".", ACK], ["E", ECE], [
  "W",
  CWR,
], ["A", AE]] as const;

const SEGMENT =
  /^([SFRPU.EWA-]+) (-?\d+):(-?\d+)\((\d+)\)(?: ack (-?\d+))?(?: win (\d+))?((?: sack(?: -?\d+--?\d+)+)?)$/;

/** What was read, until it is checked. */
const SCRATCH = new Uint8Array(1 << 20);

/** The byte of the stream at `position`, the same in both directions. */
export function byteAt(position: number): number {
  return (position * 31 + (position >> 8) * 7) & 255;
}

/** `length` bytes of the stream from `position` on. */
export function streamBytes(position: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = byteAt(position + i);
  return bytes;
}

/** Throws unless `bytes` are those of the stream from `position` on. */
function checkStream(bytes: Uint8Array, position: number, what: string): void {
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] !== byteAt(position + i)) assertEquals(bytes, streamBytes(position, bytes.length), what);
  }
}

/** What the peer says in its SYN, and how its segments look. */
export interface Peer {
  iss: number;
  mss: number;
  /** Window field of its segments, as on the wire, where the text names none. */
  window: number;
  /** -1: does not offer it. */
  windowScale: number;
  sack: boolean;
  timestamps: boolean;
  /** Its timestamp clock, milliseconds, at time 0. */
  timestampOffset: number;
}

const PEER: Peer = {
  iss: 5000,
  mss: 1000,
  window: 65535,
  windowScale: -1,
  sack: true,
  timestamps: false,
  timestampOffset: 700_000,
};

/** A segment that left. */
export interface Sent {
  text: string;
  header: TcpHeader;
  payload: Uint8Array;
  atUs: number;
}

/** Full segments carry 1,000 bytes here, both ways; without timestamps and window scaling unless asked for. */
const SETTINGS: TcpSettings = { ...DEFAULT_SETTINGS, mss: 1000, timestamps: false, windowScaling: false };

export class Bench {
  readonly pool = new MemoryPool();
  readonly tcb: Tcb;
  readonly peer: Peer;
  now = 10_000_000;
  /** Since the last `expect`. */
  sent: Sent[] = [];
  /** The last segment that ever left. */
  last: Sent | null = null;
  /** Bytes written and read by the application so far. */
  written = 0;
  received = 0;
  private readonly header = new TcpHeader();
  private readonly slices = new Slices();

  constructor(
    settings: Partial<TcpSettings> = {},
    peer: Partial<Peer> = {},
    readonly iss = 1000,
  ) {
    this.tcb = new Tcb({ ...SETTINGS, ...settings }, this.pool);
    this.peer = { ...PEER, ...peer };
  }

  /** An actively opened connection, established, with a first round-trip time of `rttUs`. */
  static open(
    settings: Partial<TcpSettings> = {},
    peer: Partial<Peer> = {},
    rttUs = 100_000,
    iss = 1000,
  ): Bench {
    const bench = new Bench(settings, peer, iss).connect();
    bench.pass(rttUs);
    bench.arrives("S. 0:0(0) ack 1");
    bench.clear();
    return bench;
  }

  /** A passively opened connection, established. */
  static accept(
    settings: Partial<TcpSettings> = {},
    peer: Partial<Peer> = {},
    rttUs = 100_000,
    iss = 1000,
  ): Bench {
    const bench = new Bench(settings, peer, iss).listen();
    bench.pass(rttUs);
    bench.arrives(". 1:1(0) ack 1");
    bench.clear();
    return bench;
  }

  /** SYN-SENT */
  connect(): this {
    user.openActive(this.tcb, this.iss, this.now);
    this.drain();
    return this;
  }

  /** SYN-RECEIVED, from the peer's SYN. */
  listen(syn = "S 0:0(0)", change: (header: TcpHeader) => void = () => {}): this {
    const header = this.parse(syn).header;
    change(header);
    user.openPassive(this.tcb, header, this.iss, this.now);
    this.drain();
    return this;
  }

  get state(): string {
    return stateName(this.tcb.state);
  }

  /** The peer's timestamp now. */
  get peerTimestamp(): number {
    return (Math.floor(this.now / 1000) + this.peer.timestampOffset) | 0;
  }

  /** A segment of the peer arrives; `change` may alter what the text cannot say. */
  arrives(text: string, change: (header: TcpHeader) => void = () => {}): this {
    const { header, payload } = this.parse(text);
    change(header);
    const memory = new Memory(Math.max(128, (payload.length + 3) & ~3));
    memory.bytes.set(payload);
    header.memory = memory;
    header.payloadOffset = 0;
    header.payloadLength = payload.length;
    segmentArrives(this.tcb, header, this.now);
    this.drain();
    return this;
  }

  private parse(text: string): { header: TcpHeader; payload: Uint8Array } {
    const match = SEGMENT.exec(text);
    if (!match) throw new Error(`Cannot read segment ${text}`);
    const [, flags, seq, , length, ack, win, sack] = match;
    const { peer } = this;
    const header = new TcpHeader();
    for (const [letter, bit] of LETTERS) if (flags.includes(letter)) header.flags |= bit;
    header.seq = (peer.iss + Number(seq)) | 0;
    if (ack !== undefined) header.ack = (this.iss + Number(ack)) | 0;
    header.window = win === undefined ? peer.window : Number(win);
    if (flags.includes("S")) {
      header.mss = peer.mss;
      header.windowScale = peer.windowScale;
      header.sackPermitted = peer.sack;
    }
    if (peer.timestamps) {
      header.timestamps = true;
      header.timestampValue = this.peerTimestamp;
      header.timestampEcho = this.last?.header.timestampValue ?? 0;
    }
    for (const [block] of sack.matchAll(/-?\d+--?\d+/g)) {
      const [, left, right] = /^(-?\d+)-(-?\d+)$/.exec(block)!;
      header.sackLeft[header.sackCount] = this.iss + Number(left);
      header.sackRight[header.sackCount++] = this.iss + Number(right);
    }
    const first = Number(seq) - (flags.includes("S") ? 0 : 1);
    return { header, payload: streamBytes(first, Number(length)) };
  }

  /** Takes everything that the connection wants to send now. */
  drain(): void {
    for (let i = 0; nextSegment(this.tcb, this.header, this.slices, this.now); i++) {
      if (i > 10_000) throw new Error("Sends without end");
      const { memory, offset1, length1, offset2, length2 } = this.slices;
      const payload = new Uint8Array(length1 + length2);
      if (memory !== null) {
        payload.set(memory.bytes.subarray(offset1, offset1 + length1));
        payload.set(memory.bytes.subarray(offset2, offset2 + length2), length1);
      }
      const header = new TcpHeader();
      Object.assign(header, this.header, {
        sackLeft: this.header.sackLeft.slice(),
        sackRight: this.header.sackRight.slice(),
        accecnCounters: this.header.accecnCounters.slice(),
      });
      this.last = { header, payload, atUs: this.now, text: this.describe(header, payload.length) };
      const position = (header.seq - this.iss - 1) | 0;
      checkStream(payload, position, "payload sent");
      this.sent.push(this.last);
    }
  }

  private describe(header: TcpHeader, length: number): string {
    let flags = "";
    for (const [letter, bit] of LETTERS) if ((header.flags & bit) !== 0) flags += letter;
    const seq = (header.seq - this.iss) | 0;
    let text = `${flags} ${seq}:${seq + length}(${length})`;
    if ((header.flags & ACK) !== 0) text += ` ack ${(header.ack - this.peer.iss) | 0}`;
    if (header.sackCount > 0) {
      const blocks = Array.from({ length: header.sackCount }, (_, i) => {
        const relative = (n: number) => (n - this.peer.iss) | 0;
        return `${relative(header.sackLeft[i])}-${relative(header.sackRight[i])}`;
      });
      text += ` sack ${blocks.join(" ")}`;
    }
    return text;
  }

  /** What left since the last time, exactly. */
  expect(...texts: string[]): this {
    this.drain();
    assertEquals(this.sent.map(({ text }) => text), texts);
    this.sent = [];
    return this;
  }

  /** Forgets what left. */
  clear(): this {
    this.drain();
    this.sent = [];
    return this;
  }

  /** Lets `us` of virtual time pass; timers fire when they are due. */
  pass(us: number): this {
    const end = this.now + us;
    this.drain();
    for (let i = 0; this.tcb.deadline <= end; i++) {
      if (i > 100_000) throw new Error("Timers without end");
      this.now = Math.max(this.now, this.tcb.deadline);
      advanceTimers(this.tcb, this.now);
      this.drain();
    }
    this.now = end;
    return this;
  }

  /** The application writes `length` bytes of the stream; the number that were taken, or -errno. */
  write(length: number): number {
    const n = user.send(this.tcb, streamBytes(this.written, length), 0, length, this.now);
    if (n > 0) this.written += n;
    this.drain();
    return n;
  }

  /** The application reads up to `length` bytes and finds the stream in them; their number, or -errno. */
  read(length = SCRATCH.length): number {
    const bytes = SCRATCH;
    const n = user.receive(this.tcb, bytes, 0, length, this.now);
    if (n > 0) {
      checkStream(bytes.subarray(0, n), this.received, "stream read");
      this.received += n;
    }
    this.drain();
    return n;
  }

  shutdown(how: number): number {
    const result = user.shutdown(this.tcb, how, this.now);
    this.drain();
    return result;
  }

  close(): this {
    user.close(this.tcb, this.now);
    this.drain();
    return this;
  }

  abort(): this {
    user.abort(this.tcb, this.now);
    this.drain();
    return this;
  }

  option(level: number, name: number, value: number): number {
    const result = user.setOption(this.tcb, level, name, value, this.now);
    this.drain();
    return result;
  }
}
