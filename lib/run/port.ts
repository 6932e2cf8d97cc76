import { Frame, gather } from "../buffer/frame.ts";
import type { Device } from "../device.ts";
import type { Poller } from "./poller.ts";

/** When a device that took no frame, although it said it would, is tried again. */
const RETRY_US = 1000;

/** Frames taken in from a device before the others, and the programs, have their turn. */
const MOST_FRAMES = 64;
/** So many times in a row there were as many frames as were asked for: there may be more. */
const EXHAUSTED_ENOUGH = 4;

const EPOLLIN = 1;
const EPOLLOUT = 4;

/** A device as the loop sees it: whether it may have frames, and the frame that it did not take. */
export class Port {
  /** The device may have frames for us. */
  readable = true;
  /** Frames to be taken in at once: as many as came the last time, and now and then twice as many. */
  budget = 1;
  private taken = 0;
  private timesExhausted = 0;
  /** It holds a frame that the device did not take: no other may be given to it before. */
  isFull = false;
  /** The device reported room, or its time has come. */
  mayTry = false;
  /** When a device that does not report room is tried again; Infinity: it reports. */
  retryAtUs = Infinity;
  /** Where a frame that was not taken lies; exchanged for the one that the loop fills. */
  private kept: Frame | null = null;
  private waitsForRoom = false;

  constructor(readonly device: Device, readonly index: number, private readonly poller: Poller) {
    if (device.fd >= 0) poller.add(device.fd, EPOLLIN);
  }

  /** The device has, or may have, something to do at this time; Infinity: never. */
  get deadline(): number {
    return Math.min(this.device.deadline, this.retryAtUs);
  }

  /** A frame was taken in. */
  took(): void {
    this.taken++;
  }

  /** There was no further frame. */
  emptied(): void {
    this.readable = false;
    if (this.taken > 0) this.budget = Math.min(this.taken, MOST_FRAMES);
    this.taken = this.timesExhausted = 0;
  }

  /**
   * The budget is used up; true if there may be more that nothing will tell of. Epoll does tell, level-triggered, so the
   * device is not asked for a frame that will mostly not be there.
   */
  exhausted(): boolean {
    if (++this.timesExhausted >= EXHAUSTED_ENOUGH) {
      this.budget = Math.min(this.budget * 2, MOST_FRAMES);
      this.timesExhausted = 0;
    }
    this.taken = 0;
    this.readable = this.device.fd < 0;
    return this.readable;
  }

  /** What epoll reported of the device's descriptor. */
  event(): void {
    this.readable = true;
    if (this.waitsForRoom) this.mayTry = true;
  }

  /** The time is `now`: a device that cannot report room may be tried. */
  tick(now: number): void {
    if (this.retryAtUs <= now) this.mayTry = true;
    if (this.device.fd < 0) this.readable = true;
  }

  /**
   * The device did not take `frame`, which is kept; the answer is another one to be filled meanwhile. The payload lies in
   * a ring that other calls may move, so it is copied.
   */
  keep(frame: Frame, now: number): Frame {
    gather(frame);
    const spare = this.kept ?? new Frame();
    this.kept = frame;
    this.isFull = true;
    this.wait(now);
    return spare;
  }

  /** Gives the kept frame to the device once more; true when it was taken. */
  retry(now: number): boolean {
    if (!this.mayTry || this.kept === null) return false;
    if (!this.device.send(this.kept, now)) {
      this.wait(now);
      return false;
    }
    this.isFull = this.mayTry = false;
    this.retryAtUs = Infinity;
    this.setWaitsForRoom(false);
    return true;
  }

  private wait(now: number): void {
    this.mayTry = false;
    // A device that reports room and then takes nothing, or has no descriptor, is tried by the clock.
    const byClock = this.waitsForRoom || this.device.fd < 0;
    this.retryAtUs = byClock ? now + RETRY_US : Infinity;
    this.setWaitsForRoom(!byClock);
  }

  private setWaitsForRoom(waits: boolean): void {
    if (this.waitsForRoom === waits) return;
    this.waitsForRoom = waits;
    this.poller.modify(this.device.fd, waits ? EPOLLIN | EPOLLOUT : EPOLLIN);
  }
}
