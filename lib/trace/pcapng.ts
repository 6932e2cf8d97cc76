/**
 * Writes pcapng (draft-ietf-opsawg-pcapng), the capture format of Wireshark and tcpdump. It does no I/O: bytes go to a
 * sink, in pieces of whole blocks.
 */

/** Takes the next bytes of the file. They are valid during the call only: the memory behind them is used again. */
export type ByteSink = (bytes: Uint8Array) => void;

/** epb_flags, the direction bits. */
export const INBOUND = 1;
export const OUTBOUND = 2;

export interface PcapngInterface {
  /** if_name, as Wireshark shows it. */
  name: string;
  /** Largest number of bytes kept of a packet; 0: all. */
  snapLength?: number;
  /** if_description. */
  description?: string;
}

export interface PcapngOptions {
  /** shb_userappl: the program that writes. */
  application?: string;
  /** shb_os. */
  os?: string;
}

/** One piece of a packet: `bytes[offset .. offset + length]`. */
export interface PacketPart {
  bytes: Uint8Array;
  offset: number;
  length: number;
}

export interface InterfaceStatistics {
  /** When capturing began and ended, microseconds since 1970. */
  startUs: number;
  endUs: number;
  received: number;
  dropped: number;
}

const SECTION_HEADER = 0x0a0d0d0a;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const INTERFACE_DESCRIPTION = 1;
const INTERFACE_STATISTICS = 5;
const ENHANCED_PACKET = 6;
const LINKTYPE_ETHERNET = 1;

const OPTION_END = 0;
const OPTION_COMMENT = 1;
const SHB_OS = 3;
const SHB_APPLICATION = 4;
const IF_NAME = 2;
const IF_DESCRIPTION = 3;
const IF_TSRESOL = 9;
const EPB_FLAGS = 2;
const ISB_STARTTIME = 2;
const ISB_ENDTIME = 3;
const ISB_IFRECV = 4;
const ISB_IFDROP = 5;

/** Microseconds: 10^-6. It is the format's default; written all the same, for readers and people. */
const RESOLUTION = 6;

const BUFFER_BYTES = 256 * 1024;
/** An option's length has 16 bits. */
const MAX_OPTION = 65535;
const TWO_32 = 0x1_0000_0000;

export class PcapngWriter {
  readonly #sink: ByteSink;
  readonly #encoder = new TextEncoder();
  #bytes = new Uint8Array(BUFFER_BYTES);
  #view = new DataView(this.#bytes.buffer);
  /** Bytes in the buffer; they always end with a whole block, but while one is being written. */
  #length = 0;
  #blockStart = 0;
  /** The block that is being written has options, and so needs the mark of their end. */
  #hasOptions = false;
  readonly #snapLengths: number[] = [];

  /** Writes the section header. */
  constructor(sink: ByteSink, options: PcapngOptions = {}) {
    this.#sink = sink;
    this.#begin(SECTION_HEADER, 64 + textRoom(options.os) + textRoom(options.application));
    this.#u32(BYTE_ORDER_MAGIC);
    this.#u16(1);
    this.#u16(0);
    // The section's length is not known: the file is written as it comes.
    this.#u32(0xffffffff);
    this.#u32(0xffffffff);
    this.#textOption(SHB_OS, options.os);
    this.#textOption(SHB_APPLICATION, options.application);
    this.#end();
  }

  /** Bytes that wait for `flush`. */
  get buffered(): number {
    return this.#length;
  }

  /** Describes an Ethernet interface; the number it has in `packet` and `statistics`. */
  addInterface(description: PcapngInterface): number {
    const snapLength = description.snapLength ?? 0;
    this.#begin(INTERFACE_DESCRIPTION, 64 + textRoom(description.name) + textRoom(description.description));
    this.#u16(LINKTYPE_ETHERNET);
    this.#u16(0);
    this.#u32(snapLength);
    this.#textOption(IF_NAME, description.name);
    this.#textOption(IF_DESCRIPTION, description.description);
    this.#option(IF_TSRESOL, 1);
    this.#u32(RESOLUTION);
    this.#end();
    return this.#snapLengths.push(snapLength === 0 ? Infinity : snapLength) - 1;
  }

  /**
   * One packet, put together from `parts`. `timeUs`: microseconds since 1970. `direction`: INBOUND, OUTBOUND or 0.
   * Throws a RangeError for an interface that was not added.
   */
  packet(
    interfaceId: number,
    timeUs: number,
    parts: readonly PacketPart[],
    direction = 0,
    comment = "",
  ): void {
    const snapLength = this.#snapLengths[interfaceId];
    if (snapLength === undefined) {
      throw new RangeError(`Cannot write a packet: there is no interface ${interfaceId}`);
    }
    let original = 0;
    for (const part of parts) original += part.length;
    const captured = Math.min(original, snapLength);
    this.#begin(ENHANCED_PACKET, captured + textRoom(comment) + 128);
    this.#u32(interfaceId);
    this.#time(timeUs);
    this.#u32(captured);
    this.#u32(original);
    let left = captured;
    for (const { bytes, offset, length } of parts) {
      const taken = Math.min(left, length);
      this.#bytes.set(bytes.subarray(offset, offset + taken), this.#length);
      this.#length += taken;
      left -= taken;
    }
    this.#pad();
    this.#textOption(OPTION_COMMENT, comment);
    if (direction !== 0) {
      this.#option(EPB_FLAGS, 4);
      this.#u32(direction);
    }
    this.#end();
  }

  /** What an interface saw, usually at the end of the file. */
  statistics(interfaceId: number, statistics: InterfaceStatistics): void {
    this.#begin(INTERFACE_STATISTICS, 256);
    this.#u32(interfaceId);
    this.#time(statistics.endUs);
    this.#option(ISB_STARTTIME, 8);
    this.#time(statistics.startUs);
    this.#option(ISB_ENDTIME, 8);
    this.#time(statistics.endUs);
    this.#u64Option(ISB_IFRECV, statistics.received);
    this.#u64Option(ISB_IFDROP, statistics.dropped);
    this.#end();
  }

  /** Gives everything written so far to the sink. Happens by itself whenever the buffer is full. */
  flush(): void {
    if (this.#length === 0) return;
    // Emptied first: a sink that throws is not given the same bytes again.
    const bytes = this.#bytes.subarray(0, this.#length);
    this.#length = 0;
    this.#sink(bytes);
  }

  /** Starts a block with room for `body` bytes. */
  #begin(type: number, body: number): void {
    const needed = body + 16;
    if (this.#length + needed > this.#bytes.length) this.flush();
    if (needed > this.#bytes.length) {
      this.#bytes = new Uint8Array(needed);
      this.#view = new DataView(this.#bytes.buffer);
    }
    this.#blockStart = this.#length;
    this.#hasOptions = false;
    this.#u32(type);
    this.#u32(0);
  }

  #end(): void {
    if (this.#hasOptions) this.#option(OPTION_END, 0);
    const total = this.#length + 4 - this.#blockStart;
    this.#view.setUint32(this.#blockStart + 4, total, true);
    this.#u32(total);
  }

  #u16(value: number): void {
    this.#view.setUint16(this.#length, value, true);
    this.#length += 2;
  }

  #u32(value: number): void {
    this.#view.setUint32(this.#length, value, true);
    this.#length += 4;
  }

  /** A timestamp: the high half before the low one. */
  #time(us: number): void {
    const whole = Math.floor(us);
    this.#u32(Math.floor(whole / TWO_32));
    this.#u32(whole % TWO_32);
  }

  #option(code: number, length: number): void {
    this.#u16(code);
    this.#u16(length);
    this.#hasOptions = true;
  }

  #u64Option(code: number, value: number): void {
    this.#option(code, 8);
    this.#u32(value % TWO_32);
    this.#u32(Math.floor(value / TWO_32));
  }

  #textOption(code: number, text: string | undefined): void {
    if (text === undefined || text === "") return;
    const start = this.#length + 4;
    const { written } = this.#encoder.encodeInto(text, this.#bytes.subarray(start, start + MAX_OPTION));
    this.#option(code, written);
    this.#length += written;
    this.#pad();
  }

  /** Everything in a block begins at a multiple of 4. */
  #pad(): void {
    while ((this.#length - this.#blockStart) % 4 !== 0) this.#bytes[this.#length++] = 0;
  }
}

/** What a text option takes at most. */
function textRoom(text = ""): number {
  return Math.min(3 * text.length, MAX_OPTION) + 8;
}
