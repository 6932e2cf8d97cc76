/** Reads little-endian pcapng back, strictly: every length must agree. Independent of the writer. */

export interface ReadPacket {
  interfaceId: number;
  timeUs: number;
  bytes: Uint8Array;
  originalLength: number;
  direction: number;
  comment: string;
}

export interface ReadFile {
  interfaces: { name: string; snapLength: number; resolution: number }[];
  packets: ReadPacket[];
  statistics: { interfaceId: number; received: number; dropped: number }[];
}

type Options = Map<number, Uint8Array>;

export function readPcapng(file: Uint8Array): ReadFile {
  const result: ReadFile = { interfaces: [], packets: [], statistics: [] };
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  let at = 0;
  while (at < file.length) {
    const type = view.getUint32(at, true);
    const length = view.getUint32(at + 4, true);
    if (length % 4 !== 0 || length < 12 || at + length > file.length) {
      throw new Error(`block length ${length}`);
    }
    if (view.getUint32(at + length - 4, true) !== length) throw new Error("block lengths differ");
    readBlock(result, type, view, at + 8, at + length - 4);
    at += length;
  }
  return result;
}

function readBlock(result: ReadFile, type: number, view: DataView, at: number, end: number): void {
  if (type === 0x0a0d0d0a) {
    if (view.getUint32(at, true) !== 0x1a2b3c4d) throw new Error("byte order");
    readOptions(view, at + 16, end);
  } else if (type === 1) {
    const options = readOptions(view, at + 8, end);
    result.interfaces.push({
      name: text(options.get(2)),
      snapLength: view.getUint32(at + 4, true),
      resolution: options.get(9)?.[0] ?? -1,
    });
  } else if (type === 6) {
    const captured = view.getUint32(at + 12, true);
    const options = readOptions(view, at + 20 + ((captured + 3) & ~3), end);
    result.packets.push({
      interfaceId: view.getUint32(at, true),
      timeUs: view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at + 8, true),
      bytes: new Uint8Array(view.buffer, view.byteOffset + at + 20, captured).slice(),
      originalLength: view.getUint32(at + 16, true),
      direction: options.get(2)?.[0] ?? 0,
      comment: text(options.get(1)),
    });
  } else if (type === 5) {
    const options = readOptions(view, at + 12, end);
    const count = (code: number) => Number(new DataView(options.get(code)!.buffer).getBigUint64(0, true));
    result.statistics.push({
      interfaceId: view.getUint32(at, true),
      received: count(4),
      dropped: count(5),
    });
  } else {
    throw new Error(`block type ${type}`);
  }
}

function readOptions(view: DataView, at: number, end: number): Options {
  const options: Options = new Map();
  while (at < end) {
    const code = view.getUint16(at, true);
    const length = view.getUint16(at + 2, true);
    if (code === 0) {
      if (length !== 0 || at + 4 !== end) throw new Error("options go on after their end");
      return options;
    }
    options.set(code, new Uint8Array(view.buffer, view.byteOffset + at + 4, length).slice());
    at += 4 + ((length + 3) & ~3);
  }
  if (at !== end || options.size > 0) throw new Error("options without an end");
  return options;
}

function text(bytes: Uint8Array | undefined): string {
  return new TextDecoder().decode(bytes ?? new Uint8Array());
}
