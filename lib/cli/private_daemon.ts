/** A daemon for as long as one command runs. */
import { selfCommand } from "../host/self.ts";
import { CommandError } from "./errors.ts";

export class PrivateDaemon {
  readonly #child: Deno.ChildProcess;

  private constructor(child: Deno.ChildProcess, readonly socketPath: string) {
    this.#child = child;
  }

  /** Starts one, told `options` beside the usual settings, and waits until it is ready. Throws `CommandError` with what it said. */
  static async start(socket: string | undefined, options: readonly string[]): Promise<PrivateDaemon> {
    const [program, ...args] = [
      ...selfCommand(),
      "daemon",
      "--json",
      ...(socket ? ["--socket", socket] : []),
      ...options,
    ];
    const child = new Deno.Command(program, {
      args,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      // Ctrl-C is the command's business: the daemon goes when that has gone.
      detached: true,
    }).spawn();
    const ready = await firstLine(child.stdout);
    if (ready === null) {
      const said = (await new Response(child.stderr).text()).trim().replace(/^lvl-ip: /, "");
      throw new CommandError(said || "Cannot start a daemon: it ended without a word");
    }
    void child.stderr.pipeTo(Deno.stderr.writable, { preventClose: true }).catch(() => {});
    return new PrivateDaemon(child, JSON.parse(ready).socket);
  }

  async stop(): Promise<void> {
    try {
      this.#child.kill("SIGTERM");
    } catch {
      // It has ended already.
    }
    await this.#child.status;
  }
}

/** Null at the end; what comes behind it is read away. */
async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string | null> {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { done, value } = await reader.read();
    if (done) return null;
    text += value;
  }
  void (async () => {
    while (!(await reader.read()).done);
  })().catch(() => {});
  return text.slice(0, text.indexOf("\n"));
}
