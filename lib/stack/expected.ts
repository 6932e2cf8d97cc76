/**
 * Header prediction for where bytes go: in a bulk transfer the next frame is the next piece of the same connection, so
 * the device is given the place in that connection's receive buffer where its payload will be wanted, and nothing is
 * copied afterwards. What comes instead of it is put together in the frame's memory, and all goes on as ever.
 */
import { type Frame, FRAME_START, gather } from "../buffer/frame.ts";
import { State } from "../tcp/state.ts";
import type { Tcb } from "../tcp/tcb.ts";
import { ETHER_TYPE, ETHERNET_HEADER } from "../wire/ethernet.ts";
import { fold, pseudoSum, sum, sumSlices } from "../wire/checksum.ts";
import { IP_PROTOCOL, IPV4_HEADER } from "../wire/ipv4.ts";
import { RST, SYN, URG } from "../wire/tcp.ts";
import type { Arrival } from "./arrival.ts";
import type { Connection } from "./connection.ts";
import type { Core } from "./core.ts";

/** No frame has more behind its headers. */
const LARGEST_PAYLOAD = 65536;
/** Below this a copy costs less than preparing for none. */
const LEAST_PAYLOAD = 512;
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

/** Who is expected to get the next segment, if its payload can be put in its place at once; null: nobody. */
export function receiverOf(core: Core): Tcb | null {
  const { connection } = core.expected;
  if (connection === null) return null;
  const { tcb, isForgotten } = connection;
  // Bytes that wait beyond a gap must not be overwritten.
  if (isForgotten || tcb.state !== State.ESTABLISHED || tcb.outOfOrder.count > 0) return null;
  // Raw sockets want to see whole packets.
  return core.rawSockets.isEmpty ? tcb : null;
}

/** Prepares an empty frame for the segment that is likely to be next, if there is one. */
export function expectNext(core: Core, frame: Frame): void {
  frame.payload.clear();
  frame.headers = 0;
  const { expected, merged } = core;
  merged.isOpen = true;
  const tcb = expected.inARow < ENOUGH_IN_A_ROW ? null : receiverOf(core);
  if (tcb === null) return;
  tcb.receiveBuffer.reserve(LARGEST_PAYLOAD, frame.payload, merged.bytes);
  frame.headers = expected.headers;
}

/** Puts the payload of a frame that is as expected, and lies in its memory, where it belongs. */
export function place(core: Core, frame: Frame): void {
  const { connection, headers } = core.expected;
  const { bytes } = frame.memory;
  const { slices } = core;
  const length = frame.length - headers;
  const from = FRAME_START + headers;
  connection!.tcb.receiveBuffer.reserve(length, slices, core.merged.bytes);
  const { memory, offset1, length1, offset2, length2 } = slices;
  memory!.bytes.set(bytes.subarray(from, from + length1), offset1);
  if (length2 > 0) memory!.bytes.set(bytes.subarray(from + length1, from + length), offset2);
  slices.clear();
}

/** Nothing comes for which `frame` was prepared: a connection that is idle holds no memory. */
export function expectNothing(core: Core, frame: Frame): void {
  core.merged.isOpen = false;
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

/** The frame is the next segment of the expected connection, with the headers that it was thought to have, and whole. */
export function isAsExpected(core: Core, frame: Frame): boolean {
  const { connection, headers } = core.expected;
  if (connection === null || frame.totalLength <= headers) return false;
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
    (flags & (SYN | RST | URG)) === 0 &&
    isSound(frame);
}

/** Whether the checksums of a TCP segment in a plain IP packet are right, wherever its payload lies; noted in the frame. */
export function isSound(frame: Frame): boolean {
  const { memory, payload } = frame;
  if (fold(sum(memory, IP, IPV4_HEADER)) !== 0) return false;
  if (frame.checksumVerified) return true;
  const { view } = memory;
  const length = frame.totalLength - ETHERNET_HEADER - IPV4_HEADER;
  const pseudo = pseudoSum(view.getInt32(IP + 12), view.getInt32(IP + 16), IP_PROTOCOL.tcp, length);
  const headersSum = sum(memory, TCP, length - payload.length, pseudo);
  frame.checksumVerified = fold(sumSlices(payload, headersSum)) === 0;
  return frame.checksumVerified;
}
