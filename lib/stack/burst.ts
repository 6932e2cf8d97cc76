/**
 * Segmentation in software (as Linux's GSO): where the device cannot cut what TCP hands down in one piece, it is cut here,
 * a segment each time the device takes a frame. The headers are made once for all of them, and the payload stays in the
 * send buffer.
 */
import { type Frame, FRAME_START } from "../buffer/frame.ts";
import { Memory } from "../buffer/memory.ts";
import { advance, distance, lt } from "../tcp/seq.ts";
import { add, fold, sum, sumSlices } from "../wire/checksum.ts";
import { ETHERNET_HEADER } from "../wire/ethernet.ts";
import { IP_PROTOCOL, IPV4_CHECKSUM_OFFSET, IPV4_HEADER } from "../wire/ipv4.ts";
import { CWR, FIN, PSH, TCP_CHECKSUM_OFFSET, TCP_HEADER_MAX } from "../wire/tcp.ts";
import type { Connection } from "./connection.ts";
import type { Core } from "./core.ts";
import type { Interface } from "./interface.ts";

// Offsets in the frame's memory
const IP = FRAME_START + ETHERNET_HEADER;
const TCP = IP + IPV4_HEADER;
const TOTAL_LENGTH = IP + 2;
const IDENTIFICATION = IP + 4;
const IP_CHECKSUM = IP + IPV4_CHECKSUM_OFFSET;
const SEQUENCE = TCP + 4;
const FLAGS = TCP + 13;
const TCP_CHECKSUM = TCP + TCP_CHECKSUM_OFFSET;
/** Source and destination address. */
const ADDRESSES = IP + 12;

/** What is left of a burst that a connection sends through one interface. */
export class Burst {
  /** Whose it is; null: there is none. */
  private connection: Connection | null = null;
  /** The headers at their place in a frame, with nothing in what is each segment's own. */
  private readonly headers = new Memory(128);
  /** Bytes of the headers, and of them TCP's. */
  private length = 0;
  private tcpLength = 0;
  /** The partial sums of the IP header; of the TCP header and the pseudo header. */
  private ipSum = 0;
  private tcpSum = 0;
  /** Payload of a segment. */
  private size = 0;
  /** The text that is left: sequence numbers. */
  private next = 0;
  private end = 0;
  /** TCP's flags of the next segment, unless it is the last; and those that the last has besides. */
  private flags = 0;
  private lastFlags = 0;

  constructor(private readonly link: Interface) {}

  get isOver(): boolean {
    return this.connection === null;
  }

  /** Takes over `bytes` of text of which the frame has the headers. */
  begin(frame: Frame, connection: Connection, bytes: number): void {
    const { view, words } = frame.memory;
    const { tcb } = connection;
    this.connection = connection;
    this.size = tcb.gsoSize;
    this.length = frame.length;
    this.tcpLength = frame.length - ETHERNET_HEADER - IPV4_HEADER;
    this.next = view.getInt32(SEQUENCE);
    this.end = advance(this.next, bytes);
    const flags = view.getUint8(FLAGS);
    this.flags = flags & ~(FIN | PSH);
    this.lastFlags = flags & (FIN | PSH);
    this.headers.words.set(words.subarray(0, (TCP + TCP_HEADER_MAX) >> 2));
    this.prepare();
  }

  /** Empties what is each segment's own, and sums the rest. */
  private prepare(): void {
    const { headers } = this;
    const { view } = headers;
    view.setUint16(TOTAL_LENGTH, 0);
    view.setUint16(IDENTIFICATION, 0);
    view.setUint16(IP_CHECKSUM, 0);
    view.setInt32(SEQUENCE, 0);
    view.setUint8(FLAGS, 0);
    view.setUint16(TCP_CHECKSUM, 0);
    this.ipSum = sum(headers, IP, IPV4_HEADER);
    this.tcpSum = sum(headers, TCP, this.tcpLength, sum(headers, ADDRESSES, 8, IP_PROTOCOL.tcp));
  }

  /** Fills `frame` with the next segment; false: nothing is left that is still wanted. */
  fill(core: Core, frame: Frame): boolean {
    const length = this.takeText(frame);
    if (length === 0) return false;
    const { words, view } = frame.memory;
    const from = this.headers.words;
    for (let i = 0; i < (FRAME_START + this.length) >> 2; i++) words[i] = from[i];
    const packetLength = this.length - ETHERNET_HEADER + length;
    const identification = core.nextIdentification();
    view.setUint16(TOTAL_LENGTH, packetLength);
    view.setUint16(IDENTIFICATION, identification);
    view.setUint16(IP_CHECKSUM, fold(this.ipSum + packetLength + identification));
    const seq = advance(this.next, -length);
    const flags = this.next === this.end ? this.flags | this.lastFlags : this.flags;
    view.setInt32(SEQUENCE, seq);
    view.setUint8(FLAGS, flags);
    frame.length = this.length;
    frame.device = this.link.device;
    const own = (seq >>> 16) + (seq & 0xffff) + flags;
    this.finishChecksum(frame, this.tcpLength + length, own);
    // RFC 3168 6.1.2: said once.
    this.flags &= ~CWR;
    if (this.next === this.end) this.connection = null;
    core.counters.ipOut++;
    core.counters.tcpOut++;
    return true;
  }

  /** Points the frame at the text of the next segment; how many bytes. */
  private takeText(frame: Frame): number {
    const { connection } = this;
    if (connection === null) return 0;
    const { snd, sendBuffer } = connection.tcb;
    // While the device was full, some of it may have been acknowledged (it was sent before), or all been given up.
    if (lt(this.next, snd.dataSeq)) this.next = snd.dataSeq;
    const left = distance(this.end, this.next);
    if (left <= 0 || distance(this.end, snd.dataSeq) > sendBuffer.length) {
      this.connection = null;
      return 0;
    }
    const length = Math.min(this.size, left);
    sendBuffer.slices(distance(this.next, snd.dataSeq), length, frame.payload);
    this.next = advance(this.next, length);
    return length;
  }

  /** `length`: of TCP's header and text; `own`: the sum of what is not in the headers' sum. */
  private finishChecksum(frame: Frame, length: number, own: number): void {
    const { view } = frame.memory;
    if (this.link.features.checksum) {
      // The device adds the sum of the segment to that of the pseudo header, and complements it.
      frame.checksumStart = ETHERNET_HEADER + IPV4_HEADER;
      frame.checksumOffset = TCP_CHECKSUM_OFFSET;
      const pseudo = sum(frame.memory, ADDRESSES, 8, add(IP_PROTOCOL.tcp, length));
      view.setUint16(TCP_CHECKSUM, pseudo);
    } else {
      view.setUint16(TCP_CHECKSUM, fold(sumSlices(frame.payload, add(this.tcpSum, own + length))));
    }
  }
}
