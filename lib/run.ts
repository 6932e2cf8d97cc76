import { Frame } from "./buffer/frame.ts";
import type { Device } from "./device.ts";
import type { Server } from "./ipc/server.ts";
import { BusyPoll } from "./run/busy_poll.ts";
import type { Poller } from "./run/poller.ts";
import { Port } from "./run/port.ts";
import type { Notice } from "./stack/socket_types.ts";

export type { Poller } from "./run/poller.ts";

/**
 * Bytes taken in from each device before the programs have their turn: segments that the kernel merged are still in the processor's cache when they are handed on, and the
 * peer has its ACK before its window is used up (0.175 seconds of CPU a GB to a program instead of 0.197).
 */
const INPUT_BYTES = 512 * 1024;
/** Frames given out to all devices. */
const OUTPUT_BUDGET = 256;

/** How long nothing is to happen before the loop counts as idle. */
const IDLE_US = 500_000;

const EPOLLIN = 1;

/** What the loop needs of the stack: the shape of `Stack`. */
export interface LoopStack {
  input(frame: Frame, now: number): void;
  /** Where the payload of the next frame would best lie; and that there is no next frame. */
  expect?(frame: Frame): void;
  expectNothing?(frame: Frame, now: number): void;
  /** What `input` left to be sent is to go before the next frame comes in. */
  readonly isUrgent?: boolean;
  transmit(frame: Frame, now: number): boolean;
  /** A device, by its place, is full: no frame for it is asked for until it is not. */
  setDeviceFull?(device: number, isFull: boolean): void;
  advance(now: number): void;
  readonly deadline: number;
  /** Resets all connections. */
  abortAll(now: number): void;
  nextReady(): number;
  takeNotice(): Notice | null;
}

export interface LoopParts {
  /** In the order of the stack's interfaces. */
  devices: readonly Device[];
  stack: LoopStack;
  server: Pick<Server, "event" | "ready" | "work" | "close" | "deadline">;
  poller: Poller;
  /** Becomes readable when the loop is to end. */
  wakeUpFd: number;
  /** Microseconds on a monotonic clock. */
  clock: () => number;
  /** Told what an operator should see. */
  onNotice?: (notice: Notice) => void;
  /** Called once when nothing has happened for a while after something did: a time to tidy up. */
  onIdle?: () => void;
  /** How long to look for the next event before sleeping, at most; see `BusyPoll`. Microseconds; 0 by default. */
  busyPollUs?: number;
  /** How long a device that delays frames is given to let go of the last ones, microseconds. */
  lingerUs?: number;
}

/** Runs until `wakeUpFd` is readable, then resets all connections. Throws what the device throws when it is gone. */
export function runLoop(parts: LoopParts): void {
  const loop = new Loop(parts);
  loop.run();
  loop.finish();
}

/**
 * The loop: devices, stack and programs in turn, each within a fair budget, then sleep until something happens or is
 * due. Any call into the stack is followed by sending what it left to be sent, and by telling the server who is ready.
 */
class Loop {
  readonly #parts: LoopParts;
  readonly #ports: readonly Port[];
  readonly #in = new Frame();
  /** Filled by the stack; a device that does not take it keeps it and gives another one. */
  #out = new Frame();
  /** Devices that hold a frame which they did not take. */
  #fullPorts = 0;
  /** When something happened last; -1: nothing since `onIdle` was called. */
  #activeAtUs = -1;
  readonly #busyPoll: BusyPoll;
  #stopping = false;

  constructor(parts: LoopParts) {
    this.#parts = parts;
    this.#busyPoll = new BusyPoll(parts.busyPollUs ?? 0);
    this.#noteActivity(parts.clock());
    this.#ports = parts.devices.map((device, index) => new Port(device, index, parts.poller));
    parts.poller.add(parts.wakeUpFd, EPOLLIN);
  }

  run(): void {
    const { clock, server } = this.#parts;
    let now = clock();
    while (!this.#stopping) {
      this.#advance(now);
      const moreIn = this.#receive(now);
      now = clock();
      let moreOut = this.#transmit(now);
      this.#tellReady();
      const moreWork = server.work(now);
      now = clock();
      moreOut = this.#transmit(now) || moreOut;
      // A program's turn, or a frame that left, may have made another socket ready.
      const moreReady = this.#tellReady();
      this.#takeNotices();
      now = this.#sleep(moreIn || moreOut || moreWork || moreReady, now);
    }
  }

  /** Ends all connections, and gives what is to be sent for that to the devices. */
  finish(): void {
    const { stack, server, clock, poller, lingerUs = 0 } = this.#parts;
    server.close(clock());
    // Those too that no program held any more: their peers would wait for what never comes.
    stack.abortAll(clock());
    const giveUpAtUs = clock() + lingerUs;
    for (let now = clock();; now = clock()) {
      this.#advance(now);
      for (const port of this.#ports) port.mayTry = true;
      while (this.#transmit(now));
      const due = this.#portsDue;
      if (now >= giveUpAtUs || due === Infinity) return;
      poller.wait(Math.min(due, giveUpAtUs) - now);
    }
  }

  #advance(now: number): void {
    const { stack } = this.#parts;
    for (const port of this.#ports) {
      if (port.device.deadline > now) continue;
      port.device.advance(now);
      port.readable = true;
    }
    if (stack.deadline <= now) stack.advance(now);
  }

  /** True when a device may have more. */
  #receive(now: number): boolean {
    let more = false;
    for (const port of this.#ports) {
      if (port.readable && this.#receiveFrom(port, now)) more = true;
    }
    return more;
  }

  #receiveFrom(port: Port, now: number): boolean {
    const { stack } = this.#parts;
    const { device, index } = port;
    const frame = this.#in;
    let bytes = INPUT_BYTES;
    for (let left = port.budget; left > 0 && bytes > 0; left--) {
      stack.expect?.(frame);
      if (!device.receive(frame, now)) {
        stack.expectNothing?.(frame, now);
        port.emptied();
        return false;
      }
      port.took();
      bytes -= frame.totalLength;
      frame.device = index;
      stack.input(frame, now);
      if (stack.isUrgent) this.#transmit(now);
    }
    stack.expectNothing?.(frame, now);
    return port.exhausted();
  }

  /** True when the stack may have more and there is a device that takes it. */
  #transmit(now: number): boolean {
    if (this.#fullPorts > 0) this.#retry(now);
    const { stack } = this.#parts;
    const ports = this.#ports;
    for (let left = OUTPUT_BUDGET; left > 0; left--) {
      if (this.#fullPorts === ports.length || !stack.transmit(this.#out, now)) return false;
      const port = ports[this.#out.device];
      if (!port.device.send(this.#out, now)) this.#keep(port, now);
    }
    return true;
  }

  #keep(port: Port, now: number): void {
    this.#out = port.keep(this.#out, now);
    this.#fullPorts++;
    this.#parts.stack.setDeviceFull?.(port.index, true);
  }

  /** Gives the devices that were full what they did not take. */
  #retry(now: number): void {
    for (const port of this.#ports) {
      if (!port.isFull || !port.retry(now)) continue;
      this.#fullPorts--;
      this.#parts.stack.setDeviceFull?.(port.index, false);
    }
  }

  /** When a device is due next; Infinity: never. */
  get #portsDue(): number {
    let due = Infinity;
    for (const port of this.#ports) due = Math.min(due, port.deadline);
    return due;
  }

  /** True when there was somebody to tell. */
  #tellReady(): boolean {
    const { stack, server } = this.#parts;
    let told = false;
    for (let handle = stack.nextReady(); handle >= 0; handle = stack.nextReady()) {
      server.ready(handle);
      told = true;
    }
    return told;
  }

  #takeNotices(): void {
    const { stack, onNotice } = this.#parts;
    for (let notice = stack.takeNotice(); notice !== null; notice = stack.takeNotice()) onNotice?.(notice);
  }

  /** Until something happens or is due; not at all if there is `more` to do. The time afterwards. */
  #sleep(more: boolean, before: number): number {
    const { server, poller, clock, wakeUpFd } = this.#parts;
    const count = more ? poller.wait(0) : this.#wait(before);
    const now = clock();
    for (const port of this.#ports) port.tick(now);
    if (count > 0 || more) this.#noteActivity(now);
    else if (now >= this.#idleAtUs) this.#idle();
    for (let i = 0; i < count; i++) {
      const fd = poller.eventFd(i);
      const port = this.#portOf(fd);
      if (port !== undefined) port.event();
      else if (fd === wakeUpFd) this.#stopping = true;
      else server.event(fd, poller.eventMask(i));
    }
    return now;
  }

  /** How long nothing will be due, as seen at `now`, microseconds. */
  #idleTime(now: number): number {
    const { stack, server } = this.#parts;
    // What is overdue in the stack cannot go out while all devices are full.
    const isStuck = this.#fullPorts === this.#ports.length && stack.deadline <= now;
    const stackDue = isStuck ? Infinity : stack.deadline;
    const due = Math.min(this.#portsDue, stackDue, server.deadline, this.#idleAtUs);
    return due === Infinity ? Infinity : Math.max(0, due - now);
  }

  /** Until something happens or is due, looking for a while before it sleeps; the number of events. */
  #wait(before: number): number {
    const { poller, clock } = this.#parts;
    const due = before + this.#idleTime(before);
    const sleepAt = Math.min(due, before + this.#busyPoll.windowUs);
    let count = 0;
    let now = before;
    for (; count === 0 && now < sleepAt; now = clock()) count = poller.wait(0);
    if (count === 0) {
      count = poller.wait(due - now);
      now = clock();
    }
    this.#busyPoll.waited(now - before, count > 0);
    return count;
  }

  #portOf(fd: number): Port | undefined {
    for (const port of this.#ports) if (port.device.fd === fd) return port;
    return undefined;
  }

  #noteActivity(now: number): void {
    if (this.#parts.onIdle !== undefined) this.#activeAtUs = now;
  }

  get #idleAtUs(): number {
    return this.#activeAtUs < 0 ? Infinity : this.#activeAtUs + IDLE_US;
  }

  #idle(): void {
    this.#activeAtUs = -1;
    this.#parts.onIdle?.();
  }
}
