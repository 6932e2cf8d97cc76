import { encodeRecord, OP, type ProtocolRecord, RECORD_SIZE } from "./protocol.ts";
import type { ClientSocket } from "./client_socket.ts";
import type { Service } from "./service.ts";

/** One option: level, name, value. */
const OPTION_SIZE = 12;
/** More options than there are to set, in what the preloaded library has room for. */
const MAX_OPTIONS = 40;

/**
 * What a program has set of a socket: a socket that takes its place, be it the kernel's for 127.0.0.1 or a new one after
 * a connect that failed, is to have it too.
 */
export class Settings {
  readonly #options: [level: number, name: number, value: number][] = [];
  congestion = "";
  address = 0;
  port = 0;
  isBound = false;
  /** The program asked for that port by number: it keeps it when it connects anew. */
  isPortChosen = false;

  setOption(level: number, name: number, value: number): void {
    const known = this.#options.find((option) => option[0] === level && option[1] === name);
    if (known !== undefined) known[2] = value;
    else if (this.#options.length < MAX_OPTIONS) this.#options.push([level, name, value]);
  }

  bind(address: number, port: number, isPortChosen: boolean): void {
    this.address = address;
    this.port = port;
    this.isBound = true;
    this.isPortChosen = isPortChosen;
  }

  /** Puts itself into `record`, and what follows that into `bytes`, whose length is the record's. */
  fill(record: ProtocolRecord, bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    this.#options.flat().forEach((word, index) => view.setInt32(4 * index, word, true));
    record.arg0 = this.#options.length;
    const named = record.arg0 * OPTION_SIZE;
    record.length = named + new TextEncoder().encodeInto(this.congestion, bytes.subarray(named)).written;
    record.arg1 = this.isPortChosen ? 1 : 0;
    if (this.isBound) record.local.set(this.address, this.port);
  }
}

/** Answers the op `settings` for the socket `id`. */
export function answerSettings(
  client: ClientSocket,
  service: Service,
  id: bigint,
  settings: Settings | null,
): void {
  const { scratch } = service;
  const record = service.record.reset(OP.settings);
  record.id = id;
  settings?.fill(record, scratch.bytes.subarray(RECORD_SIZE));
  encodeRecord(record, scratch.view, 0);
  service.sendFrom(client, scratch, RECORD_SIZE + record.length);
}
