/** A program that a test started in a world of namespaces: see netns.ts. */

/** How a program is run. */
export interface RunOptions {
  /** Text for stdin; "" for an open stdin to {@linkcode WorldProcess.write} to. Without it stdin is /dev/null. */
  stdin?: string | Uint8Array;
  cwd?: string;
  env?: Record<string, string>;
  /** How long `run` and `exec` wait for the end, in milliseconds; 30,000 without it. */
  timeoutMs?: number;
}

/** What a program said and how it ended. */
export interface Finished {
  code: number;
  signal: Deno.Signal | null;
  stdout: string;
  stderr: string;
}

/** A running program. Its output is gathered all the time, so that it never blocks on a full pipe. */
export class WorldProcess implements AsyncDisposable {
  stdout = "";
  stderr = "";
  /** The program's own number as the host counts (its parent is the nsenter that brought it there). */
  pid = 0;
  readonly status: Promise<Deno.CommandStatus>;
  #child: Deno.ChildProcess;
  #input: WritableStreamDefaultWriter<Uint8Array> | null = null;
  #readers: ReadableStreamDefaultReader<Uint8Array>[] = [];
  #outputRead: Promise<unknown>;
  #ended = false;
  #wake = Promise.withResolvers<void>();

  constructor(child: Deno.ChildProcess, readonly command: readonly string[]) {
    this.#child = child;
    this.status = child.status.then((status) => {
      this.#ended = true;
      this.#notify();
      return status;
    });
    this.#outputRead = Promise.all([
      this.#gather(child.stdout, (text) => this.stdout += text),
      this.#gather(child.stderr, (text) => this.stderr += text),
    ]);
  }

  /** Learns the pid and writes the first input. Called once, by `spawn`. */
  async begin(stdin: string | Uint8Array | undefined): Promise<void> {
    const children = `/proc/${this.#child.pid}/task/${this.#child.pid}/children`;
    for (let tries = 0; this.pid === 0 && !this.#ended && tries < 2000; tries++) {
      this.pid = Number((await Deno.readTextFile(children).catch(() => "")).trim());
      if (this.pid === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    if (stdin === undefined) return;
    this.#input = this.#child.stdin.getWriter();
    if (stdin.length > 0) {
      await this.write(stdin);
      await this.endInput();
    }
  }

  /** Writes to the program's stdin; an early end of the program is no error here. */
  async write(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    await this.#input?.write(bytes).catch(() => {});
  }

  /** Closes the program's stdin. */
  async endInput(): Promise<void> {
    await this.#input?.close().catch(() => {});
    this.#input = null;
  }

  /** Waits until stdout or stderr matches; throws with all output when the program ends or the time is over first. */
  async waitFor(pattern: RegExp | string, timeoutMs = 10_000): Promise<RegExpMatchArray> {
    const wanted = typeof pattern === "string" ? new RegExp(RegExp.escape(pattern)) : pattern;
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#notify();
    }, timeoutMs);
    try {
      while (true) {
        const match = this.stdout.match(wanted) ?? this.stderr.match(wanted);
        if (match) return match;
        if (late || this.#ended) {
          const why = late ? `within ${timeoutMs} ms` : "before it ended";
          throw new Error(
            `${this.command.join(" ")} did not say ${wanted} ${why}:\n${this.stdout}${this.stderr}`,
          );
        }
        await this.#wake.promise;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends a signal to the program itself. */
  kill(signal: Deno.Signal = "SIGTERM"): void {
    try {
      Deno.kill(this.pid || this.#child.pid, signal);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /** Waits for the end; kills and throws when it does not come in time. */
  async finished(timeoutMs = 30_000): Promise<Finished> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.kill("SIGKILL");
    }, timeoutMs);
    const status = await this.status;
    clearTimeout(timer);
    await this.settled();
    if (late) {
      throw new Error(
        `${this.command.join(" ")} did not end within ${timeoutMs} ms:\n${this.stdout}${this.stderr}`,
      );
    }
    return { code: status.code, signal: status.signal, stdout: this.stdout, stderr: this.stderr };
  }

  /** Waits until the program has ended and its output is read. */
  async settled(): Promise<void> {
    await this.endInput();
    await this.status;
    await this.#outputRead;
  }

  /** Kills the program. What it started may live on and hold its output open: that is no longer waited for. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) this.kill("SIGKILL");
    await this.endInput();
    await this.status;
    for (const reader of this.#readers) await reader.cancel();
    await this.#outputRead;
  }

  async #gather(stream: ReadableStream<Uint8Array>, take: (text: string) => void): Promise<void> {
    const decoder = new TextDecoder();
    const reader = stream.getReader();
    this.#readers.push(reader);
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
      take(decoder.decode(chunk.value, { stream: true }));
      this.#notify();
    }
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = Promise.withResolvers();
    wake.resolve();
  }
}

/** Waits for a program within the time its options allow. */
export function finish(process: WorldProcess, options: RunOptions): Promise<Finished> {
  return process.finished(options.timeoutMs);
}
