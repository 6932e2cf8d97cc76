/** A daemon under test in a world of its own, and what tests say to it. */
import { assertEquals } from "@std/assert";
import { connect } from "../../mod.ts";
import { lvlIp, type Namespace, Namespaces, type WorldProcess } from "./netns.ts";

/** A world with a daemon in it, and its socket as seen from this process. */
export class Daemon implements AsyncDisposable {
  private constructor(
    readonly world: Namespaces,
    readonly net: Namespace,
    readonly process: WorldProcess,
    readonly socketPath: string,
  ) {}

  /** A daemon in a world where nothing else is. */
  static async start(...options: string[]): Promise<Daemon> {
    return await Daemon.startIn(await Namespaces.create(), ...options);
  }

  /** A daemon in the first namespace of `world`, which ends with it. */
  static async startIn(world: Namespaces, ...options: string[]): Promise<Daemon> {
    const [net] = world.all;
    const socketPath = `${world.directory}/lvl-ip.sock`;
    try {
      const process = await net.spawn([...lvlIp, "daemon", "--socket", socketPath, ...options]);
      await process.waitFor(/ready/);
      return new Daemon(world, net, process, socketPath);
    } catch (error) {
      await world[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Ends the daemon as Ctrl-C does. */
  async stop(): Promise<number> {
    this.process.kill("SIGINT");
    return (await this.process.finished(5000)).code;
  }

  /** A python program in the world that prints "up" when it listens. */
  async python(code: string): Promise<WorldProcess> {
    const server = await this.net.spawn(["python3", "-uc", `import socket, hashlib, struct, time\n${code}`]);
    await server.waitFor("up");
    return server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]();
  }
}

/** Python that listens on PORT. */
export const SERVER = `
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", PORT)); s.listen(64); print("up")`;

/** Takes one connection: reads until its end, answers with the SHA-256 of what came, and closes. */
export const DIGEST_SERVER = SERVER.replace("PORT", "7001") + `
while True:
  c, _ = s.accept(); h = hashlib.sha256()
  while b := c.recv(1 << 20): h.update(b)
  c.sendall(h.hexdigest().encode()); c.close()`;

/** In hexadecimal. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function randomBytes(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
  return bytes;
}

export async function sendAll(
  connection: { write(bytes: Uint8Array): Promise<number> },
  bytes: Uint8Array,
): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}

/** What comes until the peer closes its side. */
export async function readAll(
  connection: { read(bytes: Uint8Array): Promise<number | null> },
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for (;;) {
    const piece = new Uint8Array(65536);
    const count = await connection.read(piece);
    if (count === null) break;
    pieces.push(piece.subarray(0, count));
  }
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

/** Sends `size` random bytes to the kernel, and compares the digests. */
export async function transferUp(daemon: Daemon, size: number): Promise<void> {
  await using _server = await daemon.python(DIGEST_SERVER);
  const bytes = randomBytes(size);
  using connection = await connect({ hostname: "10.0.0.5", port: 7001, socketPath: daemon.socketPath });
  await sendAll(connection, bytes);
  await connection.closeWrite();
  assertEquals(new TextDecoder().decode(await readAll(connection)), await sha256(bytes));
}

/** Has the kernel send `size` random bytes, and compares the digests. */
export async function transferDown(daemon: Daemon, size: number): Promise<void> {
  const bytes = randomBytes(size);
  const file = `${daemon.world.directory}/data`;
  await Deno.writeFile(file, bytes);
  // It waits for our end: the kernel gives up a closed socket that makes no progress after 100 s, without a word.
  const source = SERVER.replace("PORT", "7002") +
    `\nc, _ = s.accept(); c.sendall(open("${file}", "rb").read()); c.shutdown(1); c.recv(1); c.close()`;
  await using _source = await daemon.python(source);
  using connection = await connect({ hostname: "10.0.0.5", port: 7002, socketPath: daemon.socketPath });
  assertEquals(await sha256(await readAll(connection)), await sha256(bytes));
}

export async function transferBothWays(daemon: Daemon, size: number): Promise<void> {
  await transferUp(daemon, size);
  await transferDown(daemon, size);
}
