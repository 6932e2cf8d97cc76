/** Programs that the lab starts and listens to. */
import { HostError } from "./command.ts";

/** Calls `onLine` for every line of a stream, the last one too if it has no line feed. */
export async function eachLine(
  stream: ReadableStream<Uint8Array>,
  onLine: (line: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop()!;
    lines.forEach(onLine);
  }
  if (rest !== "") onLine(rest);
}

/** Runs a program to its end, with each line it prints handed on; `signal` kills it. */
export async function runLines(
  words: readonly string[],
  env: Record<string, string>,
  onLine: (line: string) => void,
  signal: AbortSignal,
): Promise<{ code: number; stdout: string[] }> {
  const [program, ...args] = words;
  const child = new Deno.Command(program, {
    args,
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal,
  })
    .spawn();
  const stdout: string[] = [];
  const [status] = await Promise.all([
    child.status,
    eachLine(child.stdout, (line) => {
      stdout.push(line);
      onLine(line);
    }),
    eachLine(child.stderr, onLine),
  ]);
  return { code: status.code, stdout };
}

/** A program that stays: it says one line when it is ready, and ends on SIGTERM. */
export class Service {
  /** The last lines it said, for when it fails. */
  readonly lastLines: string[] = [];
  readonly #child: Deno.ChildProcess;
  readonly #ready = Promise.withResolvers<string>();
  readonly #readers: Promise<unknown>;
  #status: Deno.CommandStatus | null = null;

  private constructor(private readonly name: string, child: Deno.ChildProcess) {
    this.#child = child;
    // Nobody may be waiting for readiness when the program ends.
    this.#ready.promise.catch(() => {});
    this.#readers = Promise.all([
      eachLine(child.stdout, (line) => {
        this.#remember(line);
        this.#ready.resolve(line);
      }),
      eachLine(child.stderr, (line) => this.#remember(line)),
    ]);
    child.status.then(async (status) => {
      this.#status = status;
      await this.#readers;
      this.#ready.reject(new HostError(`${name} ended with status ${status.code}${this.lastWords()}`));
    });
  }

  /** Starts it, out of reach of the terminal's Ctrl-C: the lab ends it in its own time. */
  static start(name: string, words: readonly string[], env: Record<string, string>): Service {
    const child = new Deno.Command("setsid", {
      args: [...words],
      env,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    return new Service(name, child);
  }

  /** Its first line; throws a {@linkcode HostError} with what it said if it ends or takes too long. */
  async ready(timeoutMs: number): Promise<string> {
    const timer = setTimeout(
      () =>
        this.#ready.reject(
          new HostError(`${this.name} was not ready within ${timeoutMs} ms${this.lastWords()}`),
        ),
      timeoutMs,
    );
    try {
      return await this.#ready.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  /** How it ended, or null while it runs. */
  get status(): Deno.CommandStatus | null {
    return this.#status;
  }

  /** Ends it and waits; its exit status, or null if it had to be killed. */
  async stop(timeoutMs: number): Promise<number | null> {
    if (this.#status === null) {
      this.#child.kill("SIGTERM");
      const timer = setTimeout(() => this.#child.kill("SIGKILL"), timeoutMs);
      await this.#child.status;
      clearTimeout(timer);
    }
    await this.#readers;
    const { code, signal } = await this.#child.status;
    return signal === null ? code : null;
  }

  /** What it last said, as the end of a sentence. */
  lastWords(): string {
    const last = this.lastLines.filter((line) => line.trim() !== "").at(-1);
    return last === undefined ? "" : `: ${last}`;
  }

  #remember(line: string): void {
    this.lastLines.push(line);
    if (this.lastLines.length > 20) this.lastLines.shift();
  }
}
