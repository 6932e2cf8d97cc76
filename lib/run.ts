import { flatten, Frame, FRAME_START } from "./buffer/frame.ts";
import type { Device } from "./device.ts";
import type { Server } from "./ipc/server.ts";
import type { Notice } from "./stack/socket_types.ts";

/** Frames taken in, and given out, before the programs have their turn. */
const INPUT_BUDGET = 64;
const OUTPUT_BUDGET = 256;

/** How long nothing is to happen before the loop counts as idle. */
const IDLE_US = 500_000;

/** When a device that took no frame, although it said it would, is tried again. */
const RETRY_US = 1000;

const EPOLLIN = 1;
const EPOLLOUT = 4;

/** What the loop needs of epoll: the shape of ffi's `Epoll`. */
export interface Poller {
  add(fd: number, events: number): void;
  modify(fd: number, events: number): void;
  /** Sleeps until something happens, at most `timeoutUs`; the number of events. */
  wait(timeoutUs: number): number;
  eventFd(index: number): number;
  eventMask(index: number): number;
}

/** What the loop needs of the stack: the shape of `Stack`. */
export interface LoopStack {
  input(frame: Frame, now: number): void;
  /** What `input` left to be sent is to go before the next frame comes in. */
  readonly isUrgent?: boolean;
  transmit(frame: Frame, now: number): boolean;
  advance(now: number): void;
  readonly deadline: number;
  nextReady(): number;
  takeNotice(): Notice | null;
}

export interface LoopParts {
  device: Device;
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
 * The loop: device, stack and programs in turn, each within a fair budget, then sleep until something happens or is
 * due. Any call into the stack is followed by sending what it left to be sent, and by telling the server who is ready.
 */
class Loop {
  readonly #parts: LoopParts;
  readonly #in = new Frame();
  readonly #out = new Frame();
  /** The device may have frames for us. */
  #readable = true;
  /** `#out` holds a frame that the device did not take. */
  #kept = false;
  /** It is not to be tried before the device reports room, or the clock says so. */
  #blocked = false;
  #waitsForRoom = false;
  #retryAtUs = Infinity;
  /** When something happened last; -1: nothing since `onIdle` was called. */
  #activeAtUs = -1;
  #stopping = false;

  constructor(parts: LoopParts) {
    this.#parts = parts;
    this.#noteActivity(parts.clock());
    if (parts.device.fd >= 0) parts.poller.add(parts.device.fd, EPOLLIN);
    parts.poller.add(parts.wakeUpFd, EPOLLIN);
  }

  run(): void {
    const { clock, server } = this.#parts;
    while (!this.#stopping) {
      this.#advance(clock());
      const moreIn = this.#receive(clock());
      let moreOut = this.#transmit(clock());
      this.#tellReady();
      const moreWork = server.work(clock());
      moreOut = this.#transmit(clock()) || moreOut;
      // A program's turn, or a frame that left, may have made another socket ready.
      const moreReady = this.#tellReady();
      this.#takeNotices();
      this.#sleep(moreIn || moreOut || moreWork || moreReady);
    }
  }

  /** Ends all connections, and gives what is to be sent for that to the device. */
  finish(): void {
    const { server, device, clock, poller, lingerUs = 0 } = this.#parts;
    server.close(clock());
    const giveUpAtUs = clock() + lingerUs;
    for (let now = clock();; now = clock()) {
      this.#advance(now);
      this.#blocked = false;
      while (this.#transmit(now));
      const due = Math.min(device.deadline, this.#retryAtUs);
      if (now >= giveUpAtUs || due === Infinity) return;
      poller.wait(Math.min(due, giveUpAtUs) - now);
    }
  }

  #advance(now: number): void {
    const { device, stack } = this.#parts;
    if (device.deadline <= now) {
      device.advance(now);
      this.#readable = true;
    }
    if (stack.deadline <= now) stack.advance(now);
  }

  /** True when the device may have more. */
  #receive(now: number): boolean {
    if (!this.#readable) return false;
    const { device, stack } = this.#parts;
    for (let left = INPUT_BUDGET; left > 0; left--) {
      if (!device.receive(this.#in, now)) {
        this.#readable = false;
        return false;
      }
      stack.input(this.#in, now);
      if (stack.isUrgent) this.#transmit(now);
    }
    return true;
  }

  /** True when the stack may have more and the device takes it. */
  #transmit(now: number): boolean {
    if (this.#blocked) return false;
    const { device, stack } = this.#parts;
    const frame = this.#out;
    for (let left = OUTPUT_BUDGET; left > 0; left--) {
      if (!this.#kept && !stack.transmit(frame, now)) return false;
      if (!device.send(frame, now)) {
        this.#keep(now);
        return false;
      }
      this.#sent();
    }
    return true;
  }

  /** The device is full. The frame's payload lies in a ring that other calls may move, so it is copied. */
  #keep(now: number): void {
    const { device, poller } = this.#parts;
    const frame = this.#out;
    if (!this.#kept) {
      frame.length = flatten(frame, frame.memory.bytes, FRAME_START);
      frame.payload.clear();
      this.#kept = true;
    }
    this.#blocked = true;
    // A device that reports room and then takes nothing, or has no descriptor, is tried by the clock.
    const byClock = this.#waitsForRoom || device.fd < 0;
    this.#retryAtUs = byClock ? now + RETRY_US : Infinity;
    this.#setWaitsForRoom(poller, !byClock);
  }

  #sent(): void {
    this.#kept = false;
    this.#retryAtUs = Infinity;
    if (this.#waitsForRoom) this.#setWaitsForRoom(this.#parts.poller, false);
  }

  #setWaitsForRoom(poller: Poller, waits: boolean): void {
    if (this.#waitsForRoom === waits) return;
    this.#waitsForRoom = waits;
    poller.modify(this.#parts.device.fd, waits ? EPOLLIN | EPOLLOUT : EPOLLIN);
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

  #sleep(more: boolean): void {
    const { device, stack, server, poller, clock, wakeUpFd } = this.#parts;
    let timeoutUs = 0;
    if (!more) {
      const now = clock();
      // What is overdue in the stack cannot go out while the device is full.
      const stackDue = this.#blocked && stack.deadline <= now ? Infinity : stack.deadline;
      const due = Math.min(device.deadline, stackDue, server.deadline, this.#retryAtUs, this.#idleAtUs);
      timeoutUs = due === Infinity ? Infinity : Math.max(0, due - now);
    }
    const count = poller.wait(timeoutUs);
    if (device.fd < 0) this.#readable = true;
    const now = clock();
    if (this.#retryAtUs <= now) this.#blocked = false;
    if (count > 0 || more) this.#noteActivity(now);
    else if (now >= this.#idleAtUs) this.#idle();
    for (let i = 0; i < count; i++) {
      const fd = poller.eventFd(i);
      if (fd === device.fd) this.#deviceEvent();
      else if (fd === wakeUpFd) this.#stopping = true;
      else server.event(fd, poller.eventMask(i));
    }
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

  #deviceEvent(): void {
    this.#readable = true;
    if (this.#waitsForRoom) this.#blocked = false;
  }
}
