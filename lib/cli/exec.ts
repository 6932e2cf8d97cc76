/** A program whose stdin and stdout are a connection. */
import type { Accepted } from "./listen.ts";

const CHUNK = 65536;
/** How long the peer is given to end its side too when the program has ended: what it still sends is read away. */
const PARTING_MS = 1000;

/** Runs `command` by /bin/sh until it ends; its status. Aborting the signal ends it with SIGTERM. */
export async function runFor(connection: Accepted, command: string, signal: AbortSignal): Promise<number> {
  const { localAddr: local, remoteAddr: remote } = connection;
  const child = new Deno.Command("/bin/sh", {
    args: ["-c", command],
    env: {
      LVLIP_LOCAL: `${local.hostname}:${local.port}`,
      LVLIP_REMOTE: `${remote.hostname}:${remote.port}`,
    },
    stdin: "piped",
    stdout: "piped",
    signal,
  }).spawn();
  const giving = give(connection, child.stdin).catch(() => {});
  const taking = take(child.stdout, connection).catch(() => {});
  const { code } = await child.status;
  await taking;
  // A close with bytes unread would be a reset, and the peer might not get what the program said.
  const close = () => connection.close();
  const timer = setTimeout(close, PARTING_MS);
  signal.addEventListener("abort", close);
  await giving;
  clearTimeout(timer);
  signal.removeEventListener("abort", close);
  return code;
}

/** What the peer sends; a program that reads no more does not have to. */
async function give(connection: Accepted, stdin: WritableStream<Uint8Array>): Promise<void> {
  const writer = stdin.getWriter();
  let isRead = true;
  writer.closed.catch(() => isRead = false);
  for (;;) {
    const bytes = new Uint8Array(CHUNK);
    const count = await connection.read(bytes);
    if (count === null) break;
    if (isRead) await writer.write(bytes.subarray(0, count)).catch(() => isRead = false);
  }
  await writer.close().catch(() => {});
}

async function take(stdout: ReadableStream<Uint8Array>, connection: Accepted): Promise<void> {
  for await (const bytes of stdout) {
    for (let done = 0; done < bytes.length;) done += await connection.write(bytes.subarray(done));
  }
  await connection.closeWrite();
}
