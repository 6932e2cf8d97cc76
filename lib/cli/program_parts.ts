/** What the descriptions of all commands are made of. */
import type { Command } from "commander";
import type { Io } from "./output.ts";

/** Takes the exit status of the command that was run. */
export type Finish = (status: number) => void;

export const SOCKET = "the daemon's socket (default: $LVLIP_SOCKET, else /run/lvl-ip/lvl-ip.sock)";

export const IMPAIR =
  "worsen the network, e.g. 'loss=5% delay=50ms jitter=5ms duplicate=1% reorder=2% corrupt=0.1% " +
  "rate=10mbit queue=100 seed=1'; in.loss=..., out.loss=... for one direction";

/** Aligned examples: a command line and what it is for. */
export function examples({ style }: Io, ...lines: [command: string, purpose?: string][]): string {
  const width = Math.max(...lines.map(([command, purpose]) => purpose ? command.length : 0));
  const rows = lines.map(([command, purpose]) =>
    purpose ? `  ${command.padEnd(width)}  ${style.dim(`# ${purpose}`)}` : `  ${command}`
  );
  return ["", style.bold("Examples:"), ...rows].join("\n");
}

/** A command with a few words for the list of all, and a sentence for its own help. */
export function command(program: Command, name: string, summary: string, description: string): Command {
  return program.command(name).summary(summary).description(description).helpOption("-h, --help", "show help")
    .showHelpAfterError(`See: lvl-ip ${name} --help`);
}
