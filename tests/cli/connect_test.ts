import { assert, assertEquals, assertRejects } from "@std/assert";
import { errnoError } from "../../lib/ipc/errors.ts";
import { ECONNREFUSED, ECONNRESET, EHOSTUNREACH, ENETUNREACH, EPIPE, ETIMEDOUT } from "../../lib/errno.ts";
import { connect, type ConnectCommandOptions, type OpenedStream } from "../../lib/cli/connect.ts";
import { CommandError } from "../../lib/cli/errors.ts";
import { OutputClosedError } from "../../lib/cli/output.ts";
import { FakeIo } from "./fake_io.ts";

const TARGET = { host: "192.168.99.1", port: 2048 };
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The peer's side of a connection, as the command sees it. */
class FakeStream implements OpenedStream {
  readonly localAddr: Deno.NetAddr = { transport: "tcp", hostname: "10.0.0.4", port: 49152 };
  readonly remoteAddr: Deno.NetAddr = { transport: "tcp", hostname: TARGET.host, port: TARGET.port };
  sent: number[] = [];
  finSent = false;
  closed = false;
  /** Sends back what comes, and a FIN for a FIN. */
  echoes = false;
  /** The peer's window is closed: write() does not return. */
  stuck = false;
  /** What write() throws. */
  writeError: Error | undefined;
  readonly #arrived: (Uint8Array | null | Error)[] = [];
  #wanted: (() => void) | undefined;

  /** The peer sends; null: FIN; an error: the connection breaks. */
  give(item: string | Uint8Array | null | Error): void {
    this.#arrived.push(typeof item === "string" ? encoder.encode(item) : item);
    this.#wanted?.();
  }

  async read(bytes: Uint8Array): Promise<number | null> {
    while (this.#arrived.length === 0) await new Promise<void>((resolve) => this.#wanted = resolve);
    const item = this.#arrived[0];
    if (item instanceof Error) throw item;
    if (item === null) return null;
    this.#arrived.shift();
    bytes.set(item);
    return item.length;
  }

  write(bytes: Uint8Array): Promise<number> {
    if (this.writeError) return Promise.reject(this.writeError);
    if (this.stuck) return new Promise(() => {});
    const part = bytes.slice(0, 4);
    this.sent.push(...part);
    if (this.echoes) this.give(part);
    return Promise.resolve(part.length);
  }

  closeWrite(): Promise<void> {
    this.finSent = true;
    if (this.echoes) this.give(null);
    return Promise.resolve();
  }

  close(): void {
    this.closed = true;
  }

  get text(): string {
    return decoder.decode(new Uint8Array(this.sent));
  }
}

function begin(options: ConnectCommandOptions, prepare?: (stream: FakeStream, io: FakeIo) => void) {
  const io = new FakeIo();
  const stream = new FakeStream();
  prepare?.(stream, io);
  return { io, stream, ended: connect(TARGET, options, io, () => Promise.resolve(stream)) };
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 2));

Deno.test("connect --send prints the echo and ends with the peer", async () => {
  const { io, stream, ended } = begin({ send: "hello" }, (stream) => stream.echoes = true);
  assertEquals(await ended, 0);
  assertEquals(stream.text, "hello");
  assert(stream.finSent && stream.closed);
  assertEquals(io.text, "hello");
  assertEquals(io.out + io.err, "");
});

Deno.test("connect --send ends a line on a terminal, and only there", async () => {
  const { io, ended } = begin({ send: "hello" }, (stream, io) => {
    stream.echoes = true;
    io.terminal = true;
  });
  assertEquals(await ended, 0);
  assertEquals(io.out, "\n");
});

Deno.test("connect --send ends after --timeout when the peer never closes: well if there was an answer", async () => {
  const { ended } = begin({ send: "hello", timeout: 15 }, (stream) => stream.give("hi"));
  assertEquals(await ended, 0);
  const silent = begin({ send: "hello", timeout: 15 });
  await assertRejects(() => silent.ended, CommandError, "No answer from 192.168.99.1:2048 within 0.015 s");
  assert(silent.stream.closed);
});

Deno.test("connect's silence begins anew with every byte", async () => {
  const { io, stream, ended } = begin({ send: "x", timeout: 60 });
  for (let i = 0; i < 4; i++) {
    await new Promise((resolve) => setTimeout(resolve, 25));
    stream.give(`${i}`);
  }
  stream.give(null);
  assertEquals(await ended, 0);
  assertEquals(io.text, "0123");
});

Deno.test("connect pipes both ways, binary, until both sides have ended", async () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  const { io, stream, ended } = begin({ shutdown: true });
  io.type(bytes);
  stream.give(bytes.toReversed());
  await turn();
  assertEquals(stream.sent, [...bytes]);
  assert(!stream.finSent);
  io.type(null);
  await turn();
  assert(stream.finSent && !stream.closed);
  stream.give("last");
  stream.give(null);
  assertEquals(await ended, 0);
  assertEquals(io.bytes, [...bytes.toReversed(), ...encoder.encode("last")]);
  assertEquals(io.out, "");
});

Deno.test("connect ends its side only when the peer was quiet: some servers hang up on a half-closed client", async () => {
  const { io, stream, ended } = begin({ send: "GET", timeout: 100 });
  await turn();
  assert(!stream.finSent);
  stream.give("a");
  await turn();
  stream.give("nswer");
  assert(!stream.finSent);
  while (!stream.finSent) await turn();
  stream.give(null);
  assertEquals(await ended, 0);
  assertEquals(io.text, "answer");
});

Deno.test("connect --no-shutdown never ends its side, Ctrl-D does at once", async () => {
  const open = begin({ send: "x", shutdown: false, timeout: 20 }, (stream) => stream.give("y"));
  assertEquals(await open.ended, 0);
  assert(!open.stream.finSent);
  const { io, stream, ended } = begin({}, (_, io) => io.terminal = true);
  io.type(null);
  await turn();
  assert(stream.finSent);
  stream.give(null);
  assertEquals(await ended, 0);
});

Deno.test("connect goes on sending from a pipe to a peer that only listens", async () => {
  const { io, stream, ended } = begin({});
  stream.give(null);
  await turn();
  io.type("late");
  io.type(null);
  assertEquals(await ended, 0);
  assertEquals(stream.text, "late");
  assert(stream.finSent);
});

Deno.test("connect ends when the peer has closed and stdin is silent", async () => {
  const { stream, ended } = begin({ timeout: 20 });
  stream.give("bye");
  stream.give(null);
  assertEquals(await ended, 0);
  assert(stream.closed);
});

Deno.test("connect never takes for the end that the peer is slow to take what is sent", async () => {
  const { io, stream, ended } = begin({ timeout: 20 }, (stream) => stream.stuck = true);
  io.type("much");
  stream.give("answer");
  stream.give(null);
  await assertRejects(
    () => ended,
    CommandError,
    "192.168.99.1:2048 took no more of what is sent within 0.02 s",
  );
});

Deno.test("connect at a keyboard says where it is, and ends with the peer at once", async () => {
  const { io, stream, ended } = begin({}, (_, io) => io.terminal = true);
  stream.give("bye\n");
  stream.give(null);
  assertEquals(await ended, 0);
  assertEquals(
    io.err,
    "Connected to 192.168.99.1:2048 from 10.0.0.4:49152. Ctrl-D ends our side, Ctrl-C the connection.\n",
  );
  assertEquals(io.out, "");
});

Deno.test("connect says in words why it could not connect", async () => {
  const cases: [number, string][] = [
    [ECONNREFUSED, "Connection refused"],
    [ETIMEDOUT, "Connection timed out"],
    [EHOSTUNREACH, "No route to host"],
    [ENETUNREACH, "Network is unreachable"],
  ];
  for (const [errno, words] of cases) {
    const open = () => Promise.reject(errnoError(errno, "Cannot connect"));
    const error = await assertRejects(
      () => connect(TARGET, { send: "x" }, new FakeIo(), open),
      CommandError,
      `Cannot connect to 192.168.99.1:2048: ${words}`,
    );
    assertEquals(error.status, 1);
  }
  const open = () => Promise.reject(errnoError(ETIMEDOUT, "Cannot connect"));
  await assertRejects(
    () => connect(TARGET, { timeout: 1500 }, new FakeIo(), open),
    CommandError,
    "Connection timed out (no answer within 1.5 s)",
  );
});

Deno.test("connect hands --timeout and the socket's path on", async () => {
  let seen: unknown;
  const stream = new FakeStream();
  stream.give(null);
  await connect(
    TARGET,
    { send: "", timeout: 3000, socket: "/s" },
    new FakeIo(),
    ({ signal: _, ...options }) => {
      seen = options;
      return Promise.resolve(stream);
    },
  );
  assertEquals(seen, { hostname: "192.168.99.1", port: 2048, timeoutMs: 3000, socketPath: "/s" });
});

Deno.test("connect says that the connection broke, after printing what came before", async () => {
  const reset = begin({ send: "x" });
  reset.stream.give("half");
  reset.stream.give(errnoError(ECONNRESET, "read"));
  await assertRejects(
    () => reset.ended,
    CommandError,
    "The connection to 192.168.99.1:2048 broke: Connection reset by peer",
  );
  assertEquals(reset.io.text, "half");

  const closed = begin({ send: "x" }, (stream) => stream.writeError = errnoError(EPIPE, "write"));
  await turn();
  closed.stream.give("answer");
  closed.stream.give(null);
  await assertRejects(() => closed.ended, CommandError, "Broken pipe");
  assertEquals(closed.io.text, "answer");
});

Deno.test("Ctrl-C ends connect with status 130, connected or not", async () => {
  const { io, stream, ended } = begin({});
  await turn();
  assert(io.signal("SIGINT"));
  assertEquals(await ended, 130);
  assert(stream.closed);

  const waiting = new FakeIo();
  const pending = connect(TARGET, {}, waiting, ({ signal }) =>
    new Promise((_, reject) => {
      signal!.addEventListener("abort", () => reject(signal!.reason));
    }));
  waiting.signal("SIGTERM");
  assertEquals(await pending, 143);
});

Deno.test("connect ends quietly when nobody reads its output any more", async () => {
  const { stream, ended } = begin({ send: "x" }, (_, io) => io.closesAfter = 1);
  stream.give("abcdef");
  await assertRejects(() => ended, OutputClosedError);
  assert(stream.closed);
});
