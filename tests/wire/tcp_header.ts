/** TCP headers for property tests: arbitrary ones, and what of a header is seen on the wire. */
import fc from "fast-check";
import { TcpHeader, tcpHeaderLength } from "../../lib/wire/tcp.ts";

const uint16 = fc.integer({ min: 0, max: 0xffff });
const int32 = fc.integer();

/** Any header that can be sent: all combinations of options whose SACK blocks fit. */
export const anyTcpHeader: fc.Arbitrary<TcpHeader> = fc.record({
  ports: fc.tuple(uint16, uint16),
  seq: int32,
  ack: int32,
  flags: fc.integer({ min: 0, max: 0x1ff }),
  window: uint16,
  urgentPointer: uint16,
  mss: fc.option(fc.integer({ min: 1, max: 0xffff }), { nil: 0 }),
  windowScale: fc.integer({ min: -1, max: 14 }),
  sackPermitted: fc.boolean(),
  timestamps: fc.option(fc.tuple(int32, int32)),
  sack: fc.array(fc.tuple(int32, int32), { maxLength: 4 }),
  cookie: fc.option(fc.uint8Array({ maxLength: 16 }).map((bytes) => evenCookie(bytes))),
}).map((model) => {
  const header = new TcpHeader();
  [header.sourcePort, header.destinationPort] = model.ports;
  const { seq, ack, flags, window, urgentPointer, mss, windowScale, sackPermitted } = model;
  Object.assign(header, { seq, ack, flags, window, urgentPointer, mss, windowScale, sackPermitted });
  if (model.timestamps !== null) {
    header.timestamps = true;
    [header.timestampValue, header.timestampEcho] = model.timestamps;
  }
  if (model.cookie !== null) {
    header.fastOpen = true;
    header.fastOpenLength = model.cookie.length;
    header.fastOpenCookie.set(model.cookie);
  }
  header.sackCount = model.sack.length;
  model.sack.forEach(([left, right], i) => {
    header.sackLeft[i] = left;
    header.sackRight[i] = right;
  });
  return header;
});

/** RFC 7413 4.1.1: no bytes, or 4 to 16 and an even number. */
function evenCookie(bytes: Uint8Array): Uint8Array {
  return bytes.length < 4 ? bytes.subarray(0, 0) : bytes.subarray(0, bytes.length & ~1);
}

/** The fields that the wire carries, as a plain object to compare. */
export function visible(header: TcpHeader) {
  const { sourcePort, destinationPort, seq, ack, flags, window, urgentPointer } = header;
  const { mss, windowScale, sackPermitted, timestamps, timestampValue, timestampEcho, fastOpen } = header;
  return {
    ...{ sourcePort, destinationPort, seq, ack, flags, window, urgentPointer },
    ...{ mss, windowScale, sackPermitted, timestamps, timestampValue, timestampEcho, fastOpen },
    sack: Array.from({ length: header.sackCount }, (_, i) => [header.sackLeft[i], header.sackRight[i]]),
    cookie: Array.from(header.fastOpenCookie.subarray(0, header.fastOpenLength)),
    headerLength: tcpHeaderLength(header),
  };
}
