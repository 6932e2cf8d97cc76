/**
 * Header prediction for where bytes go: in a bulk transfer the next frame is the next piece of the same connection, so
 * the device is given the place in that connection's receive buffer where its payload will be wanted, and nothing is
 * copied afterwards. What comes instead of it is put together in the frame's memory, and all goes on as ever.
 */
import { type Frame, FRAME_START, gather } from "../buffer/frame.ts";
import { State } from "../tcp/state.ts";
import { ETHER_TYPE, ETHERNET_HEADER } from "../wire/ethernet.ts";
import { IP_PROTOCOL, IPV4_HEADER } from "../wire/ipv4.ts";
import { RST, SYN, URG } from "../wire/tcp.ts";
import type { Arrival } from "./arrival.ts";
import type { Connection } from "./connection.ts";
import type { Core } from "./core.ts";

/** No frame has more behind its headers. */
const LARGEST_PAYLOAD = 65536;
/** Below this a copy costs less than preparing for none. */
const LEAST_PAYLOAD = 8192;
/** So many large segments of one connection in a row let another one be expected: flows that alternate gain nothing. */
const ENOUGH_IN_A_ROW = 2;

// Offsets in the frame's memory
const IP = FRAME_START + ETHERNET_HEADER;
const TCP = IP + IPV4_HEADER;
const ETHER_TYPE_OFFSET = FRAME_START + 12;
/** Version 4, five words of header. */
const PLAIN_IPV4 = 0x45;

/** The bulk transfer that is under way. */
export class Expected {
  /** Whose segments came last; null: none that were large. */
  connection: Connection | null = null;
  inARow = 0;
  /** Bytes of all headers of its last segment. */
  headers = 0;
}

/** A segment for `connection` came in: will another one like it follow? */
export function noteBulk(core: Core, connection: Connection, arrival: Arrival): void {
  const { expected } = core;
  const { headerLength, payloadLength } = core.segmentIn;
  if (payloadLength < LEAST_PAYLOAD) return;
  const headers = ETHERNET_HEADER + arrival.ip.headerLength + headerLength;
  const isLike = expected.connection === connection && expected.headers === headers;
  expected.inARow = isLike ? expected.inARow + 1 : 0;
  if (!isLike) expected.connection?.tcb.receiveBuffer.releaseIfEmpty();
  expected.connection = connection;
  expected.headers = headers;
}

/** Prepares an empty frame for the segment that is likely to be next, if there is one. */
export function expectNext(core: Core, frame: Frame, device: number): void {
  frame.payload.clear();
  frame.headers = 0;
  const { connection, inARow, headers } = core.expected;
  if (connection === null || inARow < ENOUGH_IN_A_ROW) return;
  // Where it does not sum the checksum either, all of the frame is read anyway.
  if (!core.links[device].features.checksum) return;
  const { tcb, isForgotten } = connection;
  // Bytes that wait beyond a gap must not be overwritten.
  if (isForgotten || tcb.state !== State.ESTABLISHED || tcb.outOfOrder.count > 0) return;
  // Raw sockets want to see whole packets.
  if (!core.rawSockets.isEmpty) return;
  tcb.receiveBuffer.reserve(LARGEST_PAYLOAD, frame.payload);
  frame.headers = headers;
}

/** Nothing came for which `frame` was prepared: a connection that is idle holds no memory. */
export function expectNothing(core: Core, frame: Frame): void {
  frame.payload.clear();
  frame.headers = 0;
  const { connection } = core.expected;
  if (connection !== null) connection.tcb.receiveBuffer.releaseIfEmpty();
}

/** Whether the payload of a frame lies where it is wanted. If not, it lies in the frame's memory from then on. */
export function takePrediction(core: Core, frame: Frame): boolean {
  if (frame.payload.length1 === 0) return false;
  if (isAsExpected(core, frame)) return true;
  gather(frame);
  core.expected.inARow = 0;
  return false;
}

/** The frame is the next segment of the expected connection, with the headers that it was thought to have. */
function isAsExpected(core: Core, frame: Frame): boolean {
  const { connection, headers } = core.expected;
  if (connection === null || frame.headers !== headers || !frame.checksumVerified) return false;
  const { view } = frame.memory;
  const flags = view.getUint8(TCP + 13);
  return view.getUint16(ETHER_TYPE_OFFSET) === ETHER_TYPE.ipv4 &&
    view.getUint8(IP) === PLAIN_IPV4 &&
    view.getUint8(IP + 9) === IP_PROTOCOL.tcp &&
    view.getUint16(IP + 2) === frame.totalLength - ETHERNET_HEADER &&
    (view.getUint16(IP + 6) & 0x3fff) === 0 &&
    view.getInt32(IP + 12) === connection.remoteAddress &&
    view.getInt32(IP + 16) === connection.localAddress &&
    view.getUint16(TCP) === connection.remotePort &&
    view.getUint16(TCP + 2) === connection.localPort &&
    view.getInt32(TCP + 4) === connection.tcb.rcv.nxt &&
    TCP - FRAME_START + (view.getUint8(TCP + 12) >> 4) * 4 === headers &&
    (flags & (SYN | RST | URG)) === 0;
}
