/**
 * The application of in_process.ts on the Deno API: `deno run -A scripts/bench/deno_api.ts SOCKET` serves on a daemon's
 * stack until stdin ends; `connections HOST PORT PARALLEL WARM-UP SECONDS` on stdin makes it connect.
 */
import { connect, type Connection, listen, type Listener } from "../../mod.ts";
import { PORT } from "./application.ts";
import { type ConnectCommand, ConnectTimes, readCommand } from "./connect_times.ts";

const CHUNK = 256 * 1024;
const BACKLOG = 4096;
const [socketPath] = Deno.args;

type Use = (connection: Connection, buffer: Uint8Array) => Promise<void>;

async function sink(connection: Connection, buffer: Uint8Array): Promise<void> {
  while (await connection.read(buffer) !== null);
}

async function source(connection: Connection, buffer: Uint8Array): Promise<void> {
  for (;;) await connection.write(buffer);
}

async function echo(connection: Connection, buffer: Uint8Array): Promise<void> {
  for (;;) {
    const count = await connection.read(buffer);
    if (count === null) return;
    for (let done = 0; done < count;) done += await connection.write(buffer.subarray(done, count));
  }
}

/** An echo of 10,000 connections needs no more than what one of them says at once. */
async function serve(listener: Listener, use: Use | null, bufferSize: number): Promise<void> {
  for await (const connection of listener) {
    if (use === null) connection.close();
    else {
      use(connection, new Uint8Array(bufferSize))
        // The peer went away: so ends every transfer of a source.
        .catch(() => {})
        .finally(() => connection.close());
    }
  }
}

/** Connects until the time is over, one after the other. */
async function connectAgain({ hostname, port, untilMs }: ConnectCommand, times: ConnectTimes): Promise<void> {
  const buffer = new Uint8Array(16);
  for (let now = performance.now(); now < untilMs;) {
    const began = now;
    const connection = await connect({ hostname, port, socketPath });
    await connection.read(buffer);
    connection.close();
    now = performance.now();
    times.add(began, now);
  }
}

const listenOn = (port: number) => listen({ port, backlog: BACKLOG, socketPath });
serve(await listenOn(PORT.sink), sink, CHUNK);
serve(await listenOn(PORT.source), source, CHUNK);
serve(await listenOn(PORT.echo), echo, 4096);
serve(await listenOn(PORT.close), null, 0);
console.log("ready");
for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  const command = readCommand(text, performance.now());
  const times = new ConnectTimes(command);
  await Promise.all(Array.from({ length: command.parallel }, () => connectAgain(command, times)));
  console.log(times.report());
}
Deno.exit(0);
