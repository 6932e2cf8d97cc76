/** `daemon`, and `run` that may start one, with their options and examples; `shim`. */
import { type Command, Option } from "commander";
import { impairment, wholeNumber } from "./arguments.ts";
import type { Io } from "./output.ts";
import { command, examples, type Finish, IMPAIR, SOCKET } from "./program_parts.ts";

const LOG_LEVELS = ["error", "warn", "info", "debug"] as const;

/** A longer sleep is never worth a core. */
const MAX_BUSY_POLL_US = 1000;

/** What any daemon may be told, also the one that `run` starts. */
function daemonOptions(): Option[] {
  return [
    new Option("--addr <cidr>", "address of the stack").default("10.0.0.4/24"),
    new Option("--gateway <address>", "address of the host's side of the TAP, the way out; or none")
      .default("10.0.0.5"),
    new Option("--tap <name>", "TAP device; made if it is not there").default("tap0"),
    new Option("--mac <mac>", "Ethernet address of the stack (default: one made from its IP address)"),
    new Option("--mtu <bytes>", "largest IP packet (default: the device's)")
      .argParser(wholeNumber(576, 65535)),
    new Option(
      "--interface <tap,cidr...>",
      "one more TAP, as tap1,10.1.0.1/24 and perhaps ,gateway=ADDRESS ,peer=ADDRESS (the host's side) ,mtu=BYTES ,mac=MAC",
    ),
    new Option("--forward", "pass packets on between the TAPs: be a router"),
    new Option("--accept-redirects", "heed ICMP redirects of the router in use"),
    new Option("--dns <address...>", "name servers to ask (default: those of /etc/resolv.conf)"),
    new Option(
      "--dns-search <domain...>",
      "where to look for short names (default: as /etc/resolv.conf says)",
    ),
    new Option("--group <name>", "let this group's members use the stack too, not only you and root"),
    new Option("--no-offload", "leave checksums and segmentation to nobody: frames as on a wire"),
    new Option("--pcap <file>", "record all frames as pcapng, for Wireshark"),
    new Option("--impair <spec>", IMPAIR).argParser(impairment),
    new Option(
      "--sysctl <name=value...>",
      "tune TCP as Linux's sysctl does; an unknown name lists those there are",
    ),
    new Option(
      "--busy-poll <us>",
      "while much happens, look for more for up to so many microseconds before sleeping; 0: never (default: 50)",
    ).argParser(wholeNumber(0, MAX_BUSY_POLL_US)),
    new Option("--log-level <level>", "how much to say on stderr").choices([...LOG_LEVELS]).default("info"),
  ];
}

export function addDaemon(program: Command, io: Io, finish: Finish): void {
  const daemon = command(
    program,
    "daemon",
    "run the stack on a TAP device",
    "Run the stack on a TAP device, for every program that asks.",
  );
  for (const option of daemonOptions()) daemon.addOption(option);
  daemon.option("--socket <path>", SOCKET)
    .option("--json", "log JSON lines")
    .addHelpText(
      "after",
      examples(
        io,
        ["sudo lvl-ip daemon", "10.0.0.4 on tap0, until Ctrl-C"],
        ["lvl-ip daemon", "without root, after setup-net"],
        ["sudo lvl-ip daemon --pcap all.pcapng", "record every frame"],
        ["sudo lvl-ip daemon --impair 'loss=1%'", "on a bad line"],
        ["sudo lvl-ip daemon --sysctl tcp_congestion_control=reno"],
        ["sudo lvl-ip daemon --dns 8.8.8.8,1.1.1.1", "ask these name servers"],
        ["sudo lvl-ip daemon --busy-poll 0", "sparing the processor"],
        ["sudo lvl-ip daemon --forward --interface tap1,10.1.0.4/24"],
        ["sudo lvl-ip daemon --group netdev", "netdev's members may use it"],
      ),
    )
    .action(async (options) => finish(await (await import("./daemon.ts")).daemon(options)));
}

export function addRun(program: Command, io: Io, finish: Finish): void {
  const run = command(
    program,
    "run",
    "run a program on the stack",
    "Run a program, unchanged, with the sockets of the stack in place of the kernel's.",
  )
    .argument("<command...>", "after --: the program and its arguments")
    .option("--daemon", "start a daemon for as long as the program runs, if none does")
    .option("--socket <path>", SOCKET)
    .passThroughOptions();
  for (const option of daemonOptions()) {
    // What is not said is the daemon's to choose.
    run.addOption(option.default(undefined).helpGroup("Options of the daemon that --daemon starts:"));
  }
  run
    .addHelpText(
      "after",
      examples(
        io,
        ["lvl-ip run -- curl http://192.168.99.1/"],
        ["lvl-ip run -- python3 -m http.server", "at the stack's address"],
        ["lvl-ip run -- bash", "and all that this shell starts"],
        ["sudo lvl-ip run --daemon -- bash", "starts its own daemon"],
        ["sudo lvl-ip run --daemon --dns 8.8.8.8 -- bash"],
      ) + "\n\n" + [
        "It works for programs that use the C library dynamically; static ones (most of",
        "Go's) go on using the kernel's stack.",
        "",
        "Exit status: the program's; 126 if it cannot be run, 127 if it is not found.",
      ].join("\n"),
    )
    .action(async (words: string[], { daemon, socket }) => {
      const settings = { daemon, socket, daemonWords: wordsOf(run, daemonOptions()) };
      finish(await (await import("./run.ts")).run(words, settings));
    });
}

/** Those of `options` that `command` was given, as words of a command line. */
function wordsOf(command: Command, options: readonly Option[]): string[] {
  const values = command.opts();
  return options.flatMap((option) => {
    const value: unknown = values[option.attributeName()];
    if (option.negate) return value === false ? [option.long!] : [];
    if (value === undefined) return [];
    if (value === true) return [option.long!];
    return [option.long!, ...(Array.isArray(value) ? value : [value]).map(String)];
  });
}

export function addShim(program: Command, io: Io, finish: Finish): void {
  command(
    program,
    "shim",
    "tell where the library for LD_PRELOAD is",
    "Put the library in place that puts programs on the stack, and tell where it is.",
  )
    .requiredOption("--path", "print its path")
    .addHelpText(
      "after",
      examples(io, ["LD_PRELOAD=$(lvl-ip shim --path) curl http://192.168.99.1/"]),
    )
    .action(async () => finish((await import("./shim.ts")).shim(io)));
}
