import { decodeRecord, encodeRecord, OP, ProtocolRecord, RECORD_SIZE, setPass } from "./protocol.ts";
import { DaemonUnreachableError, errnoError } from "./errors.ts";
import { EACCES, EPROTO } from "../errno.ts";
import { socketPaths } from "./paths.ts";

/** How long a client waits between tries when the daemon's queue of new connections is full, milliseconds. */
const BUSY_WAIT_MS = 5;
const BUSY_TRIES = 400;

/** One connection to the daemon, for records. After a connect or accept it turns into a byte stream. */
export class Channel implements Disposable {
  readonly #view = new DataView(new ArrayBuffer(RECORD_SIZE));

  private constructor(readonly socket: Deno.UnixConn, readonly path: string) {}

  /** Opens a connection to the daemon: the first path on which one answers. Throws `DaemonUnreachableError`. */
  static async open(socketPath?: string): Promise<Channel> {
    const paths = socketPaths(socketPath);
    const reasons: string[] = [];
    for (const path of paths) {
      try {
        return new Channel(await openSocket(path), path);
      } catch (error) {
        reasons.push(whyClosed(error));
      }
    }
    throw new DaemonUnreachableError(paths, [...new Set(reasons)].join(", "));
  }

  /** Sends `record`, and `payload` after it. */
  async send(record: ProtocolRecord, payload?: Uint8Array): Promise<void> {
    const bytes = new Uint8Array(RECORD_SIZE + (payload?.length ?? 0));
    encodeRecord(record, new DataView(bytes.buffer), 0);
    if (payload) bytes.set(payload, RECORD_SIZE);
    for (let sent = 0; sent < bytes.length;) sent += await this.socket.write(bytes.subarray(sent));
  }

  /** Reads one record into `record`; false at the end of the stream. */
  async receive(record: ProtocolRecord): Promise<boolean> {
    if (!await this.readFully(new Uint8Array(this.#view.buffer))) return false;
    if (!decodeRecord(this.#view, 0, record)) throw errnoError(EPROTO, `Cannot talk to ${this.path}`);
    return true;
  }

  /** Fills `bytes`; false if the stream ended first. */
  async readFully(bytes: Uint8Array): Promise<boolean> {
    for (let held = 0; held < bytes.length;) {
      const count = await this.socket.read(bytes.subarray(held));
      if (count === null) return false;
      held += count;
    }
    return true;
  }

  /**
   * Sends the request in `record` and puts the answer into the same record. `what` begins the message of the error
   * that is thrown when the daemon refuses or goes away.
   */
  async exchange(record: ProtocolRecord, what: string, payload?: Uint8Array): Promise<void> {
    setPass(record, environmentPass());
    if (!await this.#roundTrip(record, payload)) {
      throw new DaemonUnreachableError([this.path], "it closed the connection");
    }
    if (record.errno === EACCES && record.op === OP.none) {
      throw errnoError(
        EACCES,
        what,
        `the daemon at ${this.path} serves only its own user, root and the group it was started with; ` +
          "start it with: lvl-ip daemon --group NAME",
      );
    }
    if (record.errno !== 0) throw errnoError(record.errno, what);
  }

  async #roundTrip(record: ProtocolRecord, payload?: Uint8Array): Promise<boolean> {
    try {
      await this.send(record, payload);
    } catch (error) {
      // A daemon that refuses has written its answer and closed: the answer can still be read.
      if (!isClosed(error)) throw error;
    }
    try {
      return await this.receive(record);
    } catch (error) {
      if (isClosed(error)) return false;
      throw error;
    }
  }

  close(): void {
    try {
      this.socket.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

async function openSocket(path: string): Promise<Deno.UnixConn> {
  for (let tries = 1;; tries++) {
    try {
      return await Deno.connect({ transport: "unix", path });
    } catch (error) {
      // A Unix socket whose backlog is full answers EAGAIN to a socket that does not block.
      if (!(error instanceof Deno.errors.WouldBlock) || tries === BUSY_TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, BUSY_WAIT_MS));
    }
  }
}

/** What `lvl-ip run` gives to the programs that it starts; 0n: nothing. */
function environmentPass(): bigint {
  const text = Deno.env.get("LVLIP_PASS");
  return text !== undefined && /^[0-9a-f]{1,16}$/.test(text) ? BigInt(`0x${text}`) : 0n;
}

function isClosed(error: unknown): boolean {
  return error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset;
}

function whyClosed(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "no socket there";
  if (error instanceof Deno.errors.ConnectionRefused) return "the socket is stale";
  if (error instanceof Deno.errors.PermissionDenied) return "permission denied";
  if (error instanceof Deno.errors.NotCapable || isShortOfDescriptors(error)) throw error;
  return error instanceof Error ? error.message : String(error);
}

/** EMFILE, ENFILE: no fault of the daemon's. */
function isShortOfDescriptors(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "EMFILE" || error.code === "ENFILE");
}

export interface AskOptions {
  /** The daemon's socket, if it is not at one of the usual places. */
  socketPath?: string;
  /** Gives up, and lets the promise reject with the signal's reason. */
  signal?: AbortSignal;
}

/** Asks the daemon one thing on a connection of its own; the answer is in `record`, and what follows it is returned. */
export async function ask(
  record: ProtocolRecord,
  what: string,
  { socketPath, signal }: AskOptions = {},
  payload?: Uint8Array,
): Promise<Uint8Array> {
  using channel = await Channel.open(socketPath);
  const giveUp = () => channel.close();
  signal?.addEventListener("abort", giveUp);
  try {
    signal?.throwIfAborted();
    await channel.exchange(record, what, payload);
    const rest = new Uint8Array(record.length);
    if (await channel.readFully(rest)) return rest;
    throw new DaemonUnreachableError([channel.path], "it closed the connection");
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", giveUp);
  }
}
