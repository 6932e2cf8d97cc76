/** The program that the stack is measured with where no daemon is between: it serves as peer/serve.c does. */
import { Slices } from "../../lib/buffer/memory.ts";
import { EAGAIN } from "../../lib/errno.ts";
import type { LoopParts } from "../../lib/run.ts";
import { SocketKind, type Stack } from "../../lib/stack/stack.ts";

/** What is done with a connection, by the port that it came to. */
export const PORT = { sink: 7001, source: 7002, echo: 7003, close: 7004 } as const;

const BACKLOG = 4096;
/** Bytes of one call, and calls of one connection before the others have their turn. */
const CHUNK = 256 * 1024;
const BUDGET = 8;

/** Does what can be done for one handle; true if there is more at once. */
export type Turn = (handle: number, now: number) => boolean;

/** Sink, source, echo and close, on the stack's own calls: only the echo copies anything. */
export class Application implements Pick<LoopParts["server"], "event" | "ready" | "work" | "close"> {
  deadline = Infinity;
  /** Told what epoll reported of descriptors that are not the device's. */
  onEvent: (fd: number) => void = () => {};
  /** Told when `deadline` has passed. */
  onDeadline: (now: number) => void = () => {};
  readonly #turns = new Map<number, { turn: Turn; isQueued: boolean }>();
  /** Handles that may be ready: the first `#waiting` places. Swapped, and not made anew, at each turn. */
  #queue: number[] = [];
  #turnsQueue: number[] = [];
  #waiting = 0;
  readonly #slices = new Slices();

  constructor(readonly stack: Stack, address: number) {
    const turns: [number, Turn | null][] = [
      [PORT.sink, this.#sink],
      [PORT.source, this.#source],
      [PORT.echo, this.#echo],
      [PORT.close, null],
    ];
    for (const [port, turn] of turns) {
      const listener = stack.socket(SocketKind.stream);
      stack.bind(listener, address, port);
      stack.listen(listener, BACKLOG);
      this.add(listener, (handle, now) => this.#accept(handle, turn, now));
    }
  }

  /** Calls `turn` from now on whenever the handle may be ready. */
  add(handle: number, turn: Turn): void {
    this.#turns.set(handle, { turn, isQueued: false });
  }

  /** Closes a handle of ours. */
  end(handle: number, now: number): void {
    this.#turns.delete(handle);
    this.stack.close(handle, now);
  }

  event(fd: number): void {
    this.onEvent(fd);
  }

  ready(handle: number): void {
    const entry = this.#turns.get(handle);
    if (entry === undefined || entry.isQueued) return;
    entry.isQueued = true;
    this.#queue[this.#waiting++] = handle;
  }

  work(now: number): boolean {
    if (this.deadline <= now) this.onDeadline(now);
    const queue = this.#queue;
    const count = this.#waiting;
    this.#queue = this.#turnsQueue;
    this.#turnsQueue = queue;
    this.#waiting = 0;
    for (let i = 0; i < count; i++) {
      const handle = queue[i];
      const entry = this.#turns.get(handle);
      if (entry === undefined) continue;
      entry.isQueued = false;
      if (entry.turn(handle, now)) this.ready(handle);
    }
    return this.#waiting > 0;
  }

  close(now: number): void {
    for (const handle of this.#turns.keys()) this.stack.abort(handle, now);
  }

  #accept(listener: number, turn: Turn | null, now: number): boolean {
    for (;;) {
      const handle = this.stack.accept(listener);
      if (handle < 0) return false;
      if (turn === null) {
        this.stack.close(handle, now);
        continue;
      }
      this.add(handle, turn);
      // What came before it was accepted is reported once only.
      this.ready(handle);
    }
  }

  readonly #sink: Turn = (handle, now) => {
    for (let i = 0; i < BUDGET; i++) {
      const count = this.stack.peek(handle, CHUNK, this.#slices);
      if (count <= 0) return this.#over(handle, count, now);
      this.stack.consume(handle, count, now);
    }
    return true;
  };

  readonly #source: Turn = (handle, now) => {
    for (let i = 0; i < BUDGET; i++) {
      // What it makes it makes where it is sent from; here, nothing.
      const room = this.stack.reserve(handle, CHUNK, this.#slices);
      if (room <= 0) return this.#over(handle, room === 0 ? -EAGAIN : room, now);
      this.stack.commit(handle, room, now);
    }
    return true;
  };

  readonly #echo: Turn = (handle, now) => {
    const slices = this.#slices;
    for (let i = 0; i < BUDGET; i++) {
      const count = this.stack.peek(handle, CHUNK, slices);
      if (count <= 0) return this.#over(handle, count, now);
      // The second piece, if there is one, is the first of the next round.
      const sent = this.stack.send(handle, slices.memory!.bytes, slices.offset1, slices.length1, now);
      if (sent < 0) return this.#over(handle, sent, now);
      this.stack.consume(handle, sent, now);
    }
    return true;
  };

  /** `result`: -EAGAIN; 0 at the end of what came; another -errno. */
  #over(handle: number, result: number, now: number): false {
    if (result !== -EAGAIN) this.end(handle, now);
    return false;
  }
}
