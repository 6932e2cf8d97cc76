/** How this very program is started again: by the lab, and in the commands that messages propose. */
import { findTool, shellQuote } from "./command.ts";

/** The words that start this program; arguments follow. */
export function selfCommand(): string[] {
  if (Deno.build.standalone) return [Deno.execPath()];
  return [Deno.execPath(), "run", "-A", "--no-prompt", entryPoint()];
}

function entryPoint(): string {
  return decodeURIComponent(new URL("../../cli.ts", import.meta.url).pathname);
}

/** A command line of this program that a person can paste. */
export function ownCommandLine(args: readonly string[]): string {
  return shellQuote([...shortCommand(false), ...args]);
}

/** The same for root: with sudo where this process is not root. */
export function asRoot(args: readonly string[]): string {
  const sudo = Deno.uid() !== 0;
  return `${sudo ? "sudo " : ""}${shellQuote([...shortCommand(sudo), ...args])}`;
}

/** `selfCommand` as short as the person's shell understands it. sudo has a PATH of its own, so full paths for that. */
function shortCommand(sudo: boolean): string[] {
  const program = Deno.execPath();
  const name = program.split("/").at(-1)!;
  // npx adds its folder to the PATH of what it runs, not to that of the person's shell.
  const known = !sudo && !program.includes("/_npx/") && realPath(findTool(name)) === realPath(program);
  const short = known ? name : program;
  if (Deno.build.standalone) return [short];
  const entry = entryPoint();
  const here = `${Deno.cwd()}/`;
  return [short, "run", "-A", entry.startsWith(here) ? entry.slice(here.length) : entry];
}

function realPath(path: string | null): string | null {
  try {
    return path === null ? null : Deno.realPathSync(path);
  } catch {
    return path;
  }
}
