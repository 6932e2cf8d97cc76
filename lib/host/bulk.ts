/**
 * Bulk transfer with a check, between the lab and its server. The one who connects says one line, then
 * - `send SIZE SEED`: the server sends SIZE bytes, then the SHA-256 of them in hex and a line feed, and closes;
 * - `receive SIZE`: the server takes SIZE bytes, then answers with their SHA-256 in hex and a line feed, and closes.
 */
import { createHash, type Hash } from "node:crypto";
import { Pattern } from "./pattern.ts";

/** What a transfer needs of a connection: Deno's own and lib/ipc's have it. */
export interface ByteStream {
  read(bytes: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
}

/** Told how many bytes have gone so far. */
export type OnProgress = (bytes: number) => void;

const CHUNK = 256 * 1024;
const DIGEST_LINE = 65;

/** Sends `size` bytes of pattern; their SHA-256 in hex. */
export async function sendPattern(
  stream: ByteStream,
  size: number,
  seed: number,
  onProgress?: OnProgress,
): Promise<string> {
  const words = new Uint32Array(CHUNK / 4);
  const bytes = new Uint8Array(words.buffer);
  const pattern = new Pattern(seed);
  const hash = createHash("sha256");
  for (let sent = 0; sent < size;) {
    pattern.fill(words);
    const chunk = bytes.subarray(0, Math.min(CHUNK, size - sent));
    hash.update(chunk);
    await writeAll(stream, chunk);
    sent += chunk.length;
    onProgress?.(sent);
  }
  return hash.digest("hex");
}

/** Reads exactly `size` bytes; their SHA-256 in hex. Throws when the peer closes before. */
export async function receiveBytes(
  stream: ByteStream,
  size: number,
  onProgress?: OnProgress,
): Promise<string> {
  const buffer = new Uint8Array(CHUNK);
  const hash: Hash = createHash("sha256");
  for (let received = 0; received < size;) {
    const count = await stream.read(buffer.subarray(0, Math.min(CHUNK, size - received)));
    if (count === null) throw new Error(`the peer closed after ${received} of ${size} bytes`);
    hash.update(buffer.subarray(0, count));
    received += count;
    onProgress?.(received);
  }
  return hash.digest("hex");
}

/** Writes all of `bytes`. */
export async function writeAll(stream: ByteStream, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await stream.write(bytes.subarray(done));
}

/** Reads the line with the other side's digest. */
export async function readDigest(stream: ByteStream): Promise<string> {
  const line = new Uint8Array(DIGEST_LINE);
  for (let have = 0; have < DIGEST_LINE;) {
    const count = await stream.read(line.subarray(have));
    if (count === null) throw new Error("the peer closed before it sent its SHA-256");
    have += count;
  }
  return new TextDecoder().decode(line).trimEnd();
}

/** Serves one connection. */
export async function serveBulk(stream: ByteStream): Promise<void> {
  const request = await readLine(stream);
  const encoder = new TextEncoder();
  const send = /^send ([0-9]{1,15}) (-?[0-9]{1,10})$/.exec(request);
  const receive = /^receive ([0-9]{1,15})$/.exec(request);
  if (send) {
    const digest = await sendPattern(stream, Number(send[1]), Number(send[2]));
    await writeAll(stream, encoder.encode(`${digest}\n`));
  } else if (receive) {
    const digest = await receiveBytes(stream, Number(receive[1]));
    await writeAll(stream, encoder.encode(`${digest}\n`));
  } else {
    await writeAll(stream, encoder.encode("say `send SIZE SEED` or `receive SIZE`\n"));
  }
}

/** Reads up to a line feed, byte by byte: what follows belongs to the transfer. */
async function readLine(stream: ByteStream): Promise<string> {
  const byte = new Uint8Array(1);
  let line = "";
  while (line.length < 100) {
    if (await stream.read(byte) === null || byte[0] === 10) return line;
    line += String.fromCharCode(byte[0]);
  }
  return line;
}
