import { Memory, Slices } from "../../lib/buffer/memory.ts";
import { MemoryPool } from "../../lib/buffer/memory_pool.ts";
import { segmentArrives } from "../../lib/tcp/segment_arrives.ts";
import { DEFAULT_SETTINGS, type TcpSettings } from "../../lib/tcp/settings.ts";
import { State } from "../../lib/tcp/state.ts";
import { Tcb } from "../../lib/tcp/tcb.ts";
import { advanceTimers } from "../../lib/tcp/timers.ts";
import { nextSegment } from "../../lib/tcp/transmit.ts";
import { openActive, openPassive } from "../../lib/tcp/user_calls.ts";
import { ACK, FIN, RST, SYN, TcpHeader } from "../../lib/wire/tcp.ts";

/** A segment on its way, with a copy of its payload. */
export interface Flying {
  to: End;
  header: TcpHeader;
  payload: Uint8Array;
  atUs: number;
}

/** One end of a `Pair`. */
export class End {
  readonly tcb: Tcb;
  readonly received: number[] = [];
  constructor(readonly name: string, settings: TcpSettings, pool: MemoryPool) {
    this.tcb = new Tcb(settings, pool);
  }
}

function copyHeader(from: TcpHeader): TcpHeader {
  const to = new TcpHeader();
  Object.assign(to, from, {
    sackLeft: from.sackLeft.slice(),
    sackRight: from.sackRight.slice(),
    accecnCounters: from.accecnCounters.slice(),
  });
  return to;
}

/** "SYN ACK seq 0 ack 1 len 5 win 65535": a segment for assertions, relative to nothing. */
export function describe(flying: Flying): string {
  const { header } = flying;
  const flags = [[SYN, "SYN"], [FIN, "FIN"], [RST, "RST"], [ACK, "ACK"]] as const;
  const names = flags.filter(([bit]) => (header.flags & bit) !== 0).map(([, name]) => name).join(" ");
  return `${names} seq ${header.seq >>> 0} ack ${header.ack >>> 0} len ${flying.payload.length}`;
}

/** Two connections joined by a link in virtual time: what TCP does, with nothing of IP around it. */
export class Pair {
  readonly pool = new MemoryPool();
  readonly client: End;
  readonly server: End;
  now = 1_000_000;
  /** One way, microseconds. */
  delayUs = 10_000;
  /** Every segment that left, in order. */
  readonly log: Flying[] = [];
  private flying: Flying[] = [];
  private readonly header = new TcpHeader();
  private readonly slices = new Slices();
  /** Return true to lose the segment. */
  lose: (flying: Flying) => boolean = () => false;

  constructor(settings: Partial<TcpSettings> = {}, serverSettings: Partial<TcpSettings> = settings) {
    this.client = new End("client", { ...DEFAULT_SETTINGS, ...settings }, this.pool);
    this.server = new End("server", { ...DEFAULT_SETTINGS, ...serverSettings }, this.pool);
  }

  /** The other end. */
  peer(end: End): End {
    return end === this.client ? this.server : this.client;
  }

  /** Lets `end` send all it has to send. */
  flush(end: End): void {
    while (nextSegment(end.tcb, this.header, this.slices, this.now)) {
      const { memory, offset1, length1, offset2, length2 } = this.slices;
      const payload = new Uint8Array(length1 + length2);
      if (memory !== null) {
        payload.set(memory.bytes.subarray(offset1, offset1 + length1));
        payload.set(memory.bytes.subarray(offset2, offset2 + length2), length1);
      }
      const flying = {
        to: this.peer(end),
        header: copyHeader(this.header),
        payload,
        atUs: this.now + this.delayUs,
      };
      this.log.push(flying);
      if (!this.lose(flying)) this.flying.push(flying);
    }
  }

  /** Hands a segment to `end` as if it had come over the wire, now. */
  deliver(end: End, header: TcpHeader, payload: Uint8Array = new Uint8Array()): void {
    const memory = new Memory(Math.max(128, (payload.length + 3) & ~3));
    memory.bytes.set(payload);
    header.memory = memory;
    header.payloadOffset = 0;
    header.payloadLength = payload.length;
    if (end === this.server && end.tcb.state === State.CLOSED && end.tcb.error === 0) {
      if ((header.flags & (SYN | ACK)) === SYN) openPassive(end.tcb, header, 5000, this.now);
      return;
    }
    segmentArrives(end.tcb, header, this.now);
  }

  /** Moves on to the next thing that happens; false when nothing is going to, before `limitUs`. */
  step(limitUs = Infinity): boolean {
    this.flush(this.client);
    this.flush(this.server);
    const arrival = this.flying.reduce((least, { atUs }) => Math.min(least, atUs), Infinity);
    const next = Math.min(arrival, this.client.tcb.deadline, this.server.tcb.deadline);
    if (next === Infinity || next > limitUs) return false;
    this.now = Math.max(this.now, next);
    const due = this.flying.filter(({ atUs }) => atUs <= this.now);
    this.flying = this.flying.filter(({ atUs }) => atUs > this.now);
    for (const { to, header, payload } of due) this.deliver(to, header, payload);
    for (const end of [this.client, this.server]) {
      if (end.tcb.deadline <= this.now) advanceTimers(end.tcb, this.now);
    }
    this.flush(this.client);
    this.flush(this.server);
    return true;
  }

  /** Steps until `condition` holds; false if `limitUs` of virtual time pass first or nothing more happens. */
  runUntil(condition: () => boolean, limitUs = 3600e6): boolean {
    const end = this.now + limitUs;
    while (!condition()) if (!this.step(end)) return condition();
    return true;
  }

  /** Lets `us` of virtual time pass. */
  pass(us: number): void {
    const end = this.now + us;
    while (this.step(end));
    this.now = end;
  }

  /** The three-way handshake. */
  connect(): void {
    openActive(this.client.tcb, 1000, this.now);
    const both = () =>
      this.client.tcb.state === State.ESTABLISHED && this.server.tcb.state === State.ESTABLISHED;
    if (!this.runUntil(both)) throw new Error("Cannot connect the pair");
    this.pass(0);
  }
}
