/** The commands that hold connections, with their options and examples. */
import { type Command, Option } from "commander";
import { endpoint, forwardRules, seconds, target } from "./arguments.ts";
import type { Io } from "./output.ts";
import { command, examples, type Finish, SOCKET } from "./program_parts.ts";

export function addConnect(program: Command, io: Io, finish: Finish): void {
  command(
    program,
    "connect",
    "open a TCP connection through the stack",
    "Open a TCP connection through the stack: a two-way pipe, or one question and its answer.",
  )
    .argument("<host:port>", "where to", target)
    .option(
      "--send <text>",
      "send this instead of stdin; \\n \\r \\t \\0 \\xHH and \\\\ mean what they do in C",
    )
    .option(
      "-w, --timeout <seconds>",
      "give up connecting, and end when nothing more comes, after this time",
      seconds,
    )
    .option("-N, --shutdown", "end our side right after the last byte")
    .option("--no-shutdown", "never end our side")
    .option("-u, --udp", "send and receive datagrams: each line typed, or 16 KB of a pipe, is one")
    .option("-v, --verbose", "tell on stderr when it is connected")
    .option("--socket <path>", SOCKET)
    .addHelpText(
      "after",
      examples(
        io,
        ["lvl-ip connect 192.168.99.1:2048 --send hello", "ask, print the answer"],
        ["lvl-ip connect 93.184.215.14:80 --send 'GET / HTTP/1.0\\r\\n\\r\\n'"],
        ["lvl-ip connect 192.168.99.1:2048", "type; Ctrl-D to end"],
        ["lvl-ip connect 192.168.99.1:2048 < in.bin > out.bin", "binary, both ways"],
        ["lvl-ip connect -u 10.0.0.5:514 --send '<13>hello'", "a datagram"],
      ) + "\n\n" + [
        "It ends when the peer closes its side. With --send it also ends when nothing",
        "came for --timeout (5 seconds if not given): status 0 if there was an answer,",
        "1 if there was none. From a pipe, bytes that still come on stdin are sent",
        "even after the peer has closed its side, until they pause for a second.",
        "",
        ...SHUTDOWN_HELP,
        "",
        "Exit status: 0 if the connection ended well, 1 if not, 130 after Ctrl-C.",
      ].join("\n"),
    )
    .action(async (where, options) => {
      finish(await (await import("./connect.ts")).connect(where, options, io));
    });
}

/** Why not at once: Deno.serve, among others, hangs up on a client whose side has ended. */
const SHUTDOWN_HELP = [
  "After the last byte our side ends (FIN) once the peer was quiet: for 0.2 seconds",
  "after an answer, for 1 second before it, since some servers hang up on clients",
  "whose side has ended. With -N, and at Ctrl-D, it ends at once.",
];

export function addListen(program: Command, io: Io, finish: Finish): void {
  command(
    program,
    "listen",
    "take a TCP connection to the stack",
    "Listen on a port of the stack and take a connection: a two-way pipe, or a program's stdin and stdout.",
  )
    .argument("<[address:]port>", "where; 0 for any free port", (text) => endpoint(text, "0.0.0.0"))
    .option("-k, --keep-open", "take one connection after the other")
    .option("-e, --exec <command>", "run this by /bin/sh for each connection, several at once with -k")
    .option("-u, --udp", "receive and send datagrams; the peer is who sends first, with -k who sent last")
    .option("-w, --timeout <seconds>", "end when nothing comes or goes for this time", seconds)
    .option("-N, --shutdown", "end our side right after the last byte of stdin")
    .option("--no-shutdown", "never end our side")
    .option("-v, --verbose", "tell on stderr where it listens, and who connects")
    .option("--socket <path>", SOCKET)
    .addHelpText(
      "after",
      examples(
        io,
        ["lvl-ip listen 2048", "type; Ctrl-D to end"],
        ["lvl-ip listen 2048 > in.bin", "what comes, until the peer's end"],
        ["lvl-ip listen -N 2048 < out.bin", "give a file"],
        ["lvl-ip listen -k 7 --exec cat", "an echo server"],
        ["lvl-ip listen -ku 514", "a log of datagrams"],
      ) + "\n\n" + [
        "Programs run by --exec find the peer in $LVLIP_REMOTE and our end in",
        "$LVLIP_LOCAL, both as ADDRESS:PORT.",
        "",
        ...SHUTDOWN_HELP,
        "",
        "Exit status: 0 if the connection ended well, 1 if not, that of the program",
        "with --exec, 130 after Ctrl-C.",
      ].join("\n"),
    )
    .action(async (where, options) => {
      finish(await (await import("./listen.ts")).listen(where, options, io));
    });
}

export function addForward(program: Command, io: Io, finish: Finish): void {
  command(
    program,
    "forward",
    "join ports of the stack and of the host",
    "Forward ports of the stack to sockets of the host, and ports of the host to hosts behind the stack, until Ctrl-C.",
  )
    .argument(
      "[port:host:port...]",
      "[ADDRESS:]PORT of the stack, HOST:PORT of the host; /udp behind it for datagrams",
      forwardRules("0.0.0.0"),
    )
    .option(
      "-L, --reverse <port:host:port>",
      "[ADDRESS:]PORT of the host (127.0.0.1 if not given) to HOST:PORT through the stack; may be repeated",
      forwardRules("127.0.0.1"),
    )
    .option("-v, --verbose", "tell of each connection on stderr")
    .option("--json", "print one JSON object for each port and each connection")
    .option("--socket <path>", SOCKET)
    .addHelpText(
      "after",
      examples(
        io,
        ["lvl-ip forward 80:127.0.0.1:8080", "the stack's port 80"],
        ["lvl-ip forward -L 8080:192.168.99.1:80", "http://127.0.0.1:8080/ is that one"],
        ["lvl-ip forward 22:127.0.0.1:22 53:127.0.0.1:53/udp"],
      ) + "\n\nExit status: 0 after Ctrl-C, 1 if a port cannot be had or the daemon ends.",
    )
    .action(async (rules = [], options) => {
      finish(await (await import("./forward.ts")).forward(rules, options, io));
    });
}

export function addSocks(program: Command, io: Io, finish: Finish): void {
  command(
    program,
    "socks",
    "run a SOCKS proxy that goes through the stack",
    "Run a SOCKS proxy (5, 4 and 4a) on the host whose connections and datagrams go through the stack, until Ctrl-C.",
  )
    .addOption(
      new Option("--listen <[address:]port>", "where, on the host")
        .argParser((text) => endpoint(text, "127.0.0.1"))
        .default({ host: "127.0.0.1", port: 1080 }, "127.0.0.1:1080"),
    )
    .option(
      "--auth <name:password>",
      "let in only who knows it (RFC 1929); @FILE for one on each line of a file",
    )
    .option("-v, --verbose", "tell of each connection, and of each that failed, on stderr")
    .option("--socket <path>", SOCKET)
    .addHelpText(
      "after",
      examples(
        io,
        ["lvl-ip socks"],
        ["curl --socks5-hostname 127.0.0.1:1080 http://example.com/"],
        ["ssh -o ProxyCommand='nc -X 5 -x 127.0.0.1:1080 %h %p' host"],
        ["lvl-ip socks --listen 1081 --auth me:secret"],
      ) + "\n\n" + [
        "CONNECT, BIND and UDP ASSOCIATE; names are resolved through the stack.",
        "",
        "Exit status: 0 after Ctrl-C, 1 if the port cannot be had.",
      ].join("\n"),
    )
    .action(async (options) => finish(await (await import("./socks.ts")).socks(options, io)));
}
