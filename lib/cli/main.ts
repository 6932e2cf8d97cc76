/** The `lvl-ip` command: runs one command line and turns whatever happens into an exit status. */
import { Command, CommanderError } from "commander";
import { CommandError, EXIT, explain } from "./errors.ts";
import { type Io, OutputClosedError, systemIo } from "./output.ts";
import { createProgram } from "./program.ts";

/** Runs `lvl-ip ARGS`; its exit status. Never throws. */
export async function main(args: readonly string[], io: Io = systemIo): Promise<number> {
  let status: number = EXIT.success;
  const program = createProgram(io, (result) => status = result);
  addComplete(program, args, io);
  configure(program, io);
  try {
    // Help that was asked for by giving no command is a usage error: scripts must notice.
    if (args.length === 0) {
      io.complain(program.helpInformation());
      return EXIT.usage;
    }
    await program.parseAsync(args, { from: "user" });
    return status;
  } catch (error) {
    return statusOf(error, io);
  }
}

function statusOf(error: unknown, io: Io): number {
  // commander has said it already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.success : EXIT.usage;
  if (error instanceof OutputClosedError) return EXIT.outputClosed;
  io.complain(`${io.errorStyle.red("lvl-ip:")} ${explain(error)}\n`);
  if (Deno.env.get("LVLIP_TRACE") && error instanceof Error) io.complain(`${error.stack}\n`);
  return error instanceof CommandError ? error.status : EXIT.failure;
}

/** The commands are walked anew for the completion, so this one is not part of the program it completes. */
function addComplete(program: Command, args: readonly string[], io: Io): void {
  program.command("complete").alias("completion")
    .summary("print the script for completion in a shell")
    .description("Print the script that makes a shell complete lvl-ip's commands and options.")
    .argument("<shell>", "bash, zsh, fish or powershell")
    // The words that the shell's script asks about, after --.
    .allowExcessArguments()
    .helpOption("-h, --help", "show help")
    .showHelpAfterError("See: lvl-ip complete --help")
    .addHelpText("after", COMPLETE_EXAMPLES)
    .action(async (shell: string) => {
      const { complete, printScript } = await import("./completion.ts");
      const separator = args.indexOf("--");
      if (separator === 1) complete(args.slice(2), io);
      else printScript(shell, io);
    });
}

const COMPLETE_EXAMPLES = `
Examples:
  source <(lvl-ip complete bash)                          # this bash, now
  echo 'source <(lvl-ip complete bash)' >> ~/.bashrc      # every bash
  echo 'source <(lvl-ip complete zsh)' >> ~/.zshrc        # zsh, after compinit
  lvl-ip complete fish > ~/.config/fish/completions/lvl-ip.fish
  lvl-ip complete powershell >> $PROFILE`;

/** Settings for the program and all its commands. */
function configure(program: Command, io: Io): void {
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({
      writeOut: (text) => io.print(text),
      writeErr: (text) => io.complain(text),
      outputError: (text, write) => write(`${io.errorStyle.red("lvl-ip:")} ${inOneSentence(text)}\n`),
      getOutHasColors: () => io.stdout.isTerminal(),
    });
  }
}

/** "error: unknown command 'pnig'\n(Did you mean ping?)" without the word "error" and on one line. */
function inOneSentence(text: string): string {
  return text.replace(/^error: /, "").replace(/\n\(Did you mean (.*)\?\)/, "; did you mean $1?")
    .replace(
      /^command-argument value (.*) is invalid for argument '(.*?)'/,
      "argument $1 is invalid for <$2>",
    )
    .trimEnd();
}
