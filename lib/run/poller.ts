/** What the loop needs of epoll: the shape of ffi's `Epoll`. */
export interface Poller {
  add(fd: number, events: number): void;
  modify(fd: number, events: number): void;
  /** Sleeps until something happens, at most `timeoutUs`; the number of events. */
  wait(timeoutUs: number): number;
  eventFd(index: number): number;
  eventMask(index: number): number;
}
