/** `status`, with its options and examples. */
import type { Command } from "commander";
import type { Io } from "./output.ts";
import { command, examples, type Finish, SOCKET } from "./program_parts.ts";

export function addStatus(program: Command, io: Io, finish: Finish): void {
  command(
    program,
    "status",
    "show connections, neighbours, routes, packets",
    "Show what the daemon is doing: connections, neighbours, routes, packets.",
  )
    .option("--json", "print everything as JSON")
    .option("--socket <path>", SOCKET)
    .addHelpText(
      "after",
      examples(
        io,
        ["lvl-ip status"],
        ["watch -n1 lvl-ip status", "look again every second"],
        ["lvl-ip status --json | jq .counters"],
      ),
    )
    .action(async (options) => finish(await (await import("./status.ts")).status(options, io)));
}
