import type { Frame } from "./buffer/frame.ts";

/** What a device does for the stack. */
export interface DeviceFeatures {
  /** Transmit checksums may be left to the device (`Frame.checksumStart`). */
  checksum: boolean;
  /** TCP segments of up to 64 KB may be left to the device to cut (`Frame.gsoSize`). */
  segmentation: boolean;
  /** The same of UDP datagrams (`Frame.isUdpSegmented`); false if left out. */
  udpSegmentation?: boolean;
}

/**
 * Something that carries Ethernet frames: a TAP, one end of a test link, or a wrapper of another device (impairment,
 * packet capture). Times are microseconds on a monotonic clock, passed in.
 */
export interface Device {
  readonly name: string;
  /** Largest IP packet, bytes. */
  readonly mtu: number;
  readonly features: DeviceFeatures;
  /** A descriptor that becomes readable when a frame came in; -1 if there is none. */
  readonly fd: number;
  /** When the device has something to do or to give although its descriptor is silent; Infinity if never. */
  readonly deadline: number;
  /** Fills `frame` with the next frame that came in; false when there is none now. */
  receive(frame: Frame, now: number): boolean;
  /** Sends `frame`, whose bytes may be reused afterwards; false when the device can take none now (nothing was sent). */
  send(frame: Frame, now: number): boolean;
  /** Does what is due by `now` (a wrapper releases frames it held back). */
  advance(now: number): void;
  close(): void;
}
