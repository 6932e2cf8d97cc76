/** How this very program is started again: by the lab, and in the commands that messages propose. */
import { shellQuote } from "./command.ts";

/** The words that start this program; arguments follow. */
export function selfCommand(): string[] {
  if (Deno.build.standalone) return [Deno.execPath()];
  const entry = new URL("../../cli.ts", import.meta.url).pathname;
  return [Deno.execPath(), "run", "-A", "--no-prompt", decodeURIComponent(entry)];
}

/** A command line that a person can paste: as it was typed, with sudo where this process is not root. */
export function asRoot(args: readonly string[]): string {
  return `${Deno.uid() === 0 ? "" : "sudo "}${shellQuote([...selfCommand(), ...args])}`;
}
