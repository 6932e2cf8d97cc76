/** `traceroute` and `tracepath`, with their options and examples. */
import type { Command } from "commander";
import { waitTimes, wholeNumber } from "./arguments.ts";
import type { Io } from "./output.ts";
import { command, examples, type Finish, SOCKET } from "./program_parts.ts";

export function addTraceroute(program: Command, io: Io, finish: Finish): void {
  command(
    program,
    "traceroute",
    "show the routers on the way to a host",
    "Show the routers on the way to a host through the stack, as traceroute(8) does.",
  )
    .argument("<host>", "address or name")
    .argument("[bytes]", "size of a packet, header and all (default: 60)", wholeNumber(28, 65535))
    .option("-I, --icmp", "send ICMP echo requests instead of UDP")
    .option("-T, --tcp", "send TCP SYNs; a port that answers is reset, so that no program notices")
    .option("-p, --port <port>", "first UDP port (default: 33434), or TCP port (80)", wholeNumber(1, 65535))
    .option("-f, --first <hop>", "begin with this hop (default: 1)", wholeNumber(1, 255))
    .option("-m, --max-hops <n>", "the last hop to ask (default: 30)", wholeNumber(1, 255))
    .option("-q, --queries <n>", "packets for each hop (default: 3)", wholeNumber(1, 10))
    .option("-N, --sim-queries <n>", "packets under way at once (default: 16)", wholeNumber(1, 1000))
    .option(
      "-w, --wait <max[,here,near]>",
      "seconds to wait for an answer at most, and how many times as long as another of the same hop, and of a " +
        "later one, took; 0: not so (default: 5,3,10)",
      waitTimes,
    )
    .option("-s, --source <address>", "which of the stack's addresses to send from")
    .option("-F, --dont-fragment", "no fragments: who cannot pass a packet on says so (!F)")
    .option("-n, --numeric", "show addresses only, and ask nobody for names")
    .option("--json", "print one JSON object a line: each hop, then the summary")
    .option("--socket <path>", SOCKET)
    .addHelpText(
      "after",
      examples(
        io,
        ["lvl-ip traceroute 8.8.8.8"],
        ["lvl-ip traceroute -nI 8.8.8.8", "with echo requests, no names"],
        ["lvl-ip traceroute -T -p 443 8.8.8.8", "where do connections end?"],
        ["lvl-ip traceroute -q 1 -N 1 8.8.8.8", "gently"],
      ) + "\n\n" + [
        "Marks: * no answer; !H !N !P host, network, protocol unreachable; !X forbidden;",
        "!F-1400 too large for 1400 bytes; !S !V !C !<code> others (RFC 792, RFC 1812).",
        "",
        "Exit status: 0, 1 if nothing could be sent, 2 for wrong usage.",
      ].join("\n"),
    )
    .action(async (host: string, size: number | undefined, options) => {
      finish(await (await import("./traceroute.ts")).traceroute(host, size, options, io));
    });
}

export function addTracepath(program: Command, io: Io, finish: Finish): void {
  command(
    program,
    "tracepath",
    "find the largest packet that a path takes",
    "Show the routers on the way to a host and what size of packet they pass on, as tracepath(8) does.",
  )
    .argument("<host>", "address or name")
    .option("-n, --numeric", "show addresses only, and ask nobody for names")
    .option("-b, --both", "show names and addresses")
    .option(
      "-l, --length <bytes>",
      "size of the first packet (default: the device's MTU)",
      wholeNumber(28, 65535),
    )
    .option("-m, --max-hops <n>", "the last hop to ask (default: 30)", wholeNumber(1, 255))
    .option("-p, --port <port>", "first UDP port (default: 44444)", wholeNumber(1, 65535))
    .option("--json", "print one JSON object a line: each hop, then the summary")
    .option("--socket <path>", SOCKET)
    .addHelpText(
      "after",
      examples(
        io,
        ["lvl-ip tracepath 8.8.8.8"],
        ["lvl-ip tracepath -n 8.8.8.8", "no names"],
      ) + "\n\n" + [
        "pmtu 1400: the next link takes packets of 1400 bytes at most.",
        "asymm 5: answers come back over 5 hops.",
        "",
        "Exit status: 0 if the host was reached, 1 if not, 2 for wrong usage.",
      ].join("\n"),
    )
    .action(async (host: string, options) => {
      finish(await (await import("./tracepath.ts")).tracepath(host, options, io));
    });
}
