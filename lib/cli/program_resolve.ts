/** `resolve`, with its options and examples. */
import { type Command, Option } from "commander";
import type { Io } from "./output.ts";
import { command, examples, type Finish, SOCKET } from "./program_parts.ts";

export function addResolve(program: Command, io: Io, finish: Finish): void {
  command(
    program,
    "resolve",
    "turn names into addresses, and back",
    "Ask the stack's resolver for the addresses of names, or the names of addresses.",
  )
    .argument("[names...]", "names, or addresses with -x")
    .addOption(new Option("-t, --type <type>", "type of record").choices(["A", "AAAA", "PTR"]).default("A"))
    .option("-x, --reverse", "ask for the names of addresses, as -t PTR does")
    .option("-v, --verbose", "show aliases, how long it is true, and who said so")
    .option("--flush", "forget all that was learned before")
    .option("--json", "print JSON: an object for each name")
    .option("--socket <path>", SOCKET)
    .addHelpText(
      "after",
      examples(
        io,
        ["lvl-ip resolve example.org"],
        ["lvl-ip resolve -v www.example.org", "with aliases, TTL and server"],
        ["lvl-ip resolve -x 8.8.8.8", "who is that?"],
        ["lvl-ip resolve --flush", "forget all answers"],
      ) + "\n\nIt asks the servers of /etc/resolv.conf, or those of lvl-ip daemon --dns." +
        "\n\nExit status: 0 if all names were found, 1 if not, 2 for wrong usage.",
    )
    .action(async (names: string[], options) => {
      finish(await (await import("./resolve.ts")).resolve(names, options, io));
    });
}
