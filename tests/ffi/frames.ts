import { Frame, FRAME_START } from "../../lib/buffer/frame.ts";
import type { Device } from "../../lib/device.ts";
import { libc } from "../../ffi/libc.ts";

/** An EtherType set aside for experiments (IEEE 802 local experimental), which the kernel leaves alone. */
export const ETHER_TYPE_TEST = 0x88b5;

/** A broadcast frame of `size` bytes with the EtherType of tests and a pattern in it. */
export function testFrame(size: number): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(size);
  frame.forEach((_, i) => frame[i] = i * 3 + size);
  frame.fill(0xff, 0, 6);
  frame.set([2, 0, 0, 0, 0, 9], 6);
  new DataView(frame.buffer).setUint16(12, ETHER_TYPE_TEST);
  return frame;
}

/** RFC 826: who has `target`? */
export function arpRequest(mac: number, sender: number, target: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(42));
  const setMac = (at: number) => {
    view.setUint16(at, Math.floor(mac / 4294967296));
    view.setUint32(at + 2, mac % 4294967296);
  };
  for (let i = 0; i < 6; i++) view.setUint8(i, 0xff);
  setMac(6);
  [0x0806, 1, 0x0800, 0x0604, 1].forEach((half, i) => view.setUint16(12 + 2 * i, half));
  setMac(22);
  view.setInt32(28, sender);
  view.setInt32(38, target);
  return new Uint8Array(view.buffer);
}

export interface ReceivedFrame {
  bytes: Uint8Array;
  view: DataView;
  frame: Frame;
}

/** The next frame that passes the filter, waiting up to a second; null if none came. */
export function receiveWhere(
  device: Device,
  filter: (view: DataView) => boolean,
  frame = new Frame(),
): ReceivedFrame | null {
  for (let waited = 0; waited < 1000; waited += 5) {
    while (device.receive(frame, 0)) {
      const bytes = frame.memory.bytes.slice(FRAME_START, FRAME_START + frame.length);
      const view = new DataView(bytes.buffer);
      if (bytes.length >= 14 && filter(view)) return { bytes, view, frame };
    }
    libc().poll(null, 0, 5);
  }
  return null;
}
