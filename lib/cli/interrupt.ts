/** What Ctrl-C and a polite kill do to the commands that hold connections. */
import { EXIT } from "./errors.ts";
import type { Io } from "./output.ts";

/**
 * Runs `work` until SIGINT or SIGTERM come: then its signal is aborted, and the status is 130 or 143 whatever it answers
 * or throws. `status`: the one for SIGINT, for commands that have no other end.
 */
export async function untilInterrupted(
  io: Io,
  work: (signal: AbortSignal) => Promise<number>,
  status: number = EXIT.interrupted,
): Promise<number> {
  const interrupt = new AbortController();
  let interrupted: number | undefined;
  const end = (value: number) => {
    interrupted ??= value;
    interrupt.abort();
  };
  const signals = [
    io.onSignal("SIGINT", () => {
      // The terminal has printed ^C: the shell's prompt goes below.
      if (io.stderr.isTerminal()) io.complain("\n");
      end(status);
    }),
    io.onSignal("SIGTERM", () => end(EXIT.terminated)),
  ];
  try {
    const result = await work(interrupt.signal);
    return interrupted ?? result;
  } catch (error) {
    if (interrupted !== undefined) return interrupted;
    throw error;
  } finally {
    for (const forget of signals) forget();
  }
}
