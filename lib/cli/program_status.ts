/** `status`, with its options and examples. */
import { type Command, InvalidArgumentError } from "commander";
import { seconds } from "./arguments.ts";
import type { Io } from "./output.ts";
import { command, examples, type Finish, SOCKET } from "./program_parts.ts";

/** Milliseconds between two looks; 1 second if none are given. */
const DEFAULT_INTERVAL_MS = 1000;

export function addStatus(program: Command, io: Io, finish: Finish): void {
  command(
    program,
    "status",
    "show sockets, neighbours, routes, packets",
    "Show what the daemon is doing: sockets, neighbours, routes, packets. With a filter or one of -tuwl, only sockets.",
  )
    .argument("[filter...]", "as of ss: state NAME, sport, dport, src, dst; and, or, not, ( )")
    .option("-t, --tcp", "only TCP")
    .option("-u, --udp", "only UDP")
    .option("-w, --raw", "only raw and ICMP sockets")
    .option("-l, --listening", "only sockets that wait for somebody")
    .option("-i, --info", "what TCP knows of each connection, as ss -i")
    .option("-n, --numeric", "accepted for ss's sake: addresses and ports are never turned into names")
    .option("--watch [seconds]", "look again and again, and show what happens a second", interval)
    .option("--json", "print everything as JSON, in one line a look with --watch")
    .option("--socket <path>", SOCKET)
    .addHelpText(
      "after",
      examples(
        io,
        ["lvl-ip status"],
        ["lvl-ip status -tni", "TCP, with round-trip times, windows and more"],
        ["lvl-ip status -tl", "who listens?"],
        ["lvl-ip status state established dport = :443"],
        ["lvl-ip status 'src 10.0.0.4 and not ( sport = :22 or dport = :22 )'"],
        ["lvl-ip status --watch", "until Ctrl-C"],
        ["lvl-ip status --json | jq .counters"],
        ["lvl-ip status --json --watch 5 | jq .rates.counters.bytesIn"],
      ) + "\n\nIn/s and Out/s are bytes received and bytes that the peer has acknowledged.",
    )
    .action(async (words: string[], { watch, ...options }) => {
      const every = watch === true ? DEFAULT_INTERVAL_MS : watch;
      finish(await (await import("./status.ts")).status(words, { ...options, watch: every }, io));
    });
}

function interval(text: string): number {
  const ms = seconds(text);
  if (ms < 50) throw new InvalidArgumentError("It must be 0.05 seconds or more.");
  return ms;
}
