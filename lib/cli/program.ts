/**
 * Every command with its options and examples. What a command does is imported when it is run, by an `import()` that
 * `deno compile` can follow, so that `--help` and completion load nothing else.
 */
import { type Argument, Command, Option } from "commander";
import config from "../../deno.json" with { type: "json" };
import { impairment, seconds, wholeNumber } from "./arguments.ts";
import type { Io } from "./output.ts";
import { command, examples, type Finish, IMPAIR, SOCKET } from "./program_parts.ts";
import { addDaemon, addRun, addShim } from "./program_daemon.ts";
import { addResolve } from "./program_resolve.ts";
import { addTracepath, addTraceroute } from "./program_paths.ts";
import { addConnect, addForward, addListen, addSocks } from "./program_sockets.ts";
import { addNetwork } from "./program_network.ts";
import { addStatus } from "./program_status.ts";

/** The whole command line. `complete` is left out where the completion itself walks the commands. */
export function createProgram(io: Io, finish: Finish): Command {
  const program = new Command("lvl-ip")
    .description("A TCP/IP host in user space, on a TAP device.")
    .version(config.version, "-V, --version", "print the version")
    .helpOption("-h, --help", "show help")
    .helpCommand("help [command]", "show help for a command")
    .configureHelp({
      styleTitle: (title) => io.style.bold(title),
      subcommandTerm: (command) =>
        [command.name(), ...command.registeredArguments.map(argumentTerm)].join(" "),
    })
    .addHelpText(
      "after",
      examples(
        io,
        ["lvl-ip lab", "see it all work, without root"],
        ["sudo lvl-ip setup-net --iface eth0", "a way out, through eth0"],
        ["lvl-ip daemon", "run the stack; then, elsewhere:"],
        ["lvl-ip ping 8.8.8.8"],
        ["lvl-ip connect 192.168.99.1:2048 --send hello"],
        ["lvl-ip ping --help", "more about one command"],
      ),
    );
  // What follows the name of a program that `run` runs belongs to that.
  program.showHelpAfterError("See: lvl-ip --help").enablePositionalOptions();
  addLab(program, io, finish);
  addDaemon(program, io, finish);
  addPing(program, io, finish);
  addTraceroute(program, io, finish);
  addTracepath(program, io, finish);
  addConnect(program, io, finish);
  addListen(program, io, finish);
  addForward(program, io, finish);
  addSocks(program, io, finish);
  addResolve(program, io, finish);
  addRun(program, io, finish);
  addShim(program, io, finish);
  addStatus(program, io, finish);
  addNetwork(program, io, finish);
  addSetupNet(program, io, finish);
  addDoctor(program, io, finish);
  return program;
}

/** As in the usage line; `words` belongs to the shell that completes, not to a person. */
function argumentTerm(argument: Argument): string {
  const name = argument.variadic ? `${argument.name()}...` : argument.name();
  return argument.required ? `<${name}>` : `[${name}]`;
}

function addLab(program: Command, io: Io, finish: Finish): void {
  command(
    program,
    "lab",
    "see the stack at work in a private internet",
    "Build a small internet in private network namespaces and show the stack at work in it.",
  )
    .argument("[command...]", "after --: run this inside instead of the tour")
    .option("--router", "let a second stack be the router in the middle")
    .option("--impair <spec>", IMPAIR, impairment)
    .option("--sysctl <name=value...>", "tune the daemon's TCP, as its own --sysctl")
    .option("--size <bytes>", "bytes of each transfer, like 5M (default: 100M)")
    .option("--json", "print one JSON object a step")
    .addHelpText(
      "after",
      examples(
        io,
        ["lvl-ip lab", "ping, connect, 100 MB each way"],
        ["lvl-ip lab --impair 'loss=5% delay=50ms'", "the same over a bad line"],
        ["lvl-ip lab --router", "with a router in TypeScript, too"],
        ["lvl-ip lab -- bash", "look around inside"],
        ["lvl-ip lab -- ping -c 3 10.0.0.4", "the kernel pings the stack"],
      ),
    )
    .action(async (words: string[], options) => {
      finish(await (await import("./lab.ts")).lab(options, words));
    });
  program.command("lab-peer", { hidden: true }).description("The servers inside the lab.")
    .option("--address <address>", "where to listen")
    .option("--names", "be the name server")
    .action(async (options) => finish(await (await import("./lab_peer.ts")).labPeer(options)));
}

function addPing(program: Command, io: Io, finish: Finish): void {
  command(
    program,
    "ping",
    "ping a host through the stack",
    "Send ICMP echo requests through the stack, and show the answers as ping(8) does.",
  )
    .argument("<host>", "address or name")
    .option("-c, --count <n>", "stop after so many requests", wholeNumber(1, Infinity))
    .option(
      "-i, --interval <seconds>",
      "time between requests, 0: as soon as a reply comes (default: 1)",
      seconds,
    )
    .option("-A, --adaptive", "as fast as replies come, as -i 0")
    .option("-f, --flood", "as fast as replies come, or 100 a second; a dot for each request without one")
    .option("-W, --wait <seconds>", "how long to wait if nothing answers, 0 for ever (default: 10)", seconds)
    .option("-w, --deadline <seconds>", "end after this time, whatever came", seconds)
    .option("-s, --size <bytes>", "payload of a request (default: 56)", wholeNumber(0, 65507))
    .option("-t, --ttl <n>", "time to live (default: 64)", wholeNumber(1, 255))
    .addOption(
      new Option("-M, --pmtudisc <how>", "do: no fragments; want: by the path MTU; dont: routers may, too")
        .choices(["do", "want", "dont", "probe"]),
    )
    .option("-q, --quiet", "print only the first line and the summary")
    .option("-D, --timestamps", "print the time before each line, in seconds since 1970")
    .option("-n, --numeric", "accepted for ping's sake: addresses are never turned into names")
    .option("--json", "print one JSON object a line: each answer, then the summary")
    .option("--socket <path>", SOCKET)
    .addHelpText(
      "after",
      examples(
        io,
        ["lvl-ip ping 8.8.8.8", "until Ctrl-C; Ctrl-\\ asks how it goes"],
        ["lvl-ip ping -c 3 -i 0.2 10.0.0.5", "three, 0.2 s apart"],
        ["lvl-ip ping -c 1 -t 1 8.8.8.8", "who is the first router?"],
        ["lvl-ip ping -M do -s 1472 8.8.8.8", "do 1500 bytes fit the path?"],
        ["lvl-ip ping -q -c 1000 -i 0 10.0.0.5", "how fast does it go?"],
      ) + "\n\nExit status: 0 if something answered, 1 if nothing did, 2 for other errors.",
    )
    .action(async (host: string, options) => {
      finish(await (await import("./ping.ts")).ping(host, options, io));
    });
}

function addSetupNet(program: Command, io: Io, finish: Finish): void {
  command(
    program,
    "setup-net",
    "let the stack out through the host",
    "Make a TAP of yours and let it reach the internet through one of the host's interfaces.",
  )
    .option("--iface <name>", "the interface towards the internet, e.g. enp0s3")
    .option("--tap <name>", "TAP device", "tap0")
    .option("--gateway <cidr>", "the host's address on the TAP", "10.0.0.5/24")
    .option("--owner <user>", "who may use the TAP without root (default: who called sudo)")
    .addOption(new Option("--user <user>", "the same").hideHelp())
    .option("--dry-run", "print the commands and run none")
    .option("--undo", "take back exactly what was added")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      examples(
        io,
        ["lvl-ip setup-net --iface enp0s3 --dry-run", "what would it do?"],
        ["sudo lvl-ip setup-net --iface enp0s3", "do it"],
        ["sudo lvl-ip setup-net --undo", "take it back"],
      ),
    )
    .action(async ({ user, ...options }) => {
      finish(await (await import("./setup_net.ts")).setupNet({ ...options, owner: options.owner ?? user }));
    });
}

function addDoctor(program: Command, io: Io, finish: Finish): void {
  command(
    program,
    "doctor",
    "check what a run needs",
    "Check what a run needs, and name the command that mends each lack.",
  )
    .option("--tap <name>", "TAP device", "tap0")
    .option("--json", "print JSON")
    .option("--socket <path>", SOCKET)
    .addHelpText("after", examples(io, ["lvl-ip doctor"], ["lvl-ip doctor --json", "for scripts"]))
    .action(async (options) => finish(await (await import("./doctor.ts")).doctor(options)));
}
