/** The lab's bulk transfers through the stack. */
import { connect } from "../ipc/client.ts";
import { readDigest, receiveBytes, sendPattern, writeAll } from "./bulk.ts";
import { HostError } from "./command.ts";
import { BULK_PORT } from "./lab_peer.ts";
import { SERVER_ADDRESS } from "./lab_world.ts";

/** What came of a transfer. */
export interface Transferred {
  milliseconds: number;
  /** SHA-256 in hex, as each side found it. */
  ours: string;
  theirs: string;
}

/** `up`: from the stack to the server; `down`: from the server to the stack. */
export type Direction = "up" | "down";

const CONNECT_TIMEOUT_MS = 30_000;
/** Longer than two of TCP's largest retransmission timeouts: what they send again may be lost too. */
const STALL_MS = 250_000;

/** Carries `size` bytes. Throws when the connection breaks, stalls or `signal` says stop. */
export async function transfer(
  direction: Direction,
  size: number,
  onProgress: (bytes: number, milliseconds: number) => void,
  signal: AbortSignal,
): Promise<Transferred> {
  const startedAt = performance.now();
  using connection = await connect({
    hostname: SERVER_ADDRESS,
    port: BULK_PORT,
    timeoutMs: CONNECT_TIMEOUT_MS,
    signal,
  });
  let stalled = false;
  const giveUp = () => connection.close();
  const watch = () =>
    setTimeout(() => {
      stalled = true;
      giveUp();
    }, STALL_MS);
  let timer = watch();
  const progress = (bytes: number) => {
    clearTimeout(timer);
    timer = watch();
    onProgress(bytes, performance.now() - startedAt);
  };
  signal.addEventListener("abort", giveUp);
  try {
    const [ours, theirs] = direction === "up"
      ? await upload(connection, size, progress)
      : await download(connection, size, progress);
    return { milliseconds: performance.now() - startedAt, ours, theirs };
  } catch (error) {
    signal.throwIfAborted();
    throw stalled ? new HostError(`nothing moved for ${STALL_MS / 1000} s`) : error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", giveUp);
  }
}

type Stream = Parameters<typeof writeAll>[0];

async function upload(stream: Stream, size: number, progress: (bytes: number) => void): Promise<string[]> {
  await writeAll(stream, new TextEncoder().encode(`receive ${size}\n`));
  const ours = await sendPattern(stream, size, seed(), progress);
  // The clock stops when the server has all of it, not when our last byte is in a buffer.
  return [ours, await readDigest(stream)];
}

async function download(stream: Stream, size: number, progress: (bytes: number) => void): Promise<string[]> {
  await writeAll(stream, new TextEncoder().encode(`send ${size} ${seed()}\n`));
  const ours = await receiveBytes(stream, size, progress);
  return [ours, await readDigest(stream)];
}

function seed(): number {
  return crypto.getRandomValues(new Int32Array(1))[0];
}
