/** Completion by @bomb.sh/tab: `complete SHELL` prints a script, and the script asks `complete -- WORDS`. */
import { script } from "@bomb.sh/tab";
import tab from "@bomb.sh/tab/commander";
import { CommandError, EXIT } from "./errors.ts";
import { type Io, systemIo } from "./output.ts";
import { createProgram } from "./program.ts";

/** Options whose value is a file: the shell knows those best. */
const FILE_OPTIONS = ["--pcap", "--socket"];

/** Tells the shell to complete file names (tab's ShellCompDirectiveDefault), and not to. */
const FILES = ":0\n";

const CHANGES = ["show", "add", "replace", "change", "del", "flush"];
/** What may be done to the stack's network. */
const NETWORK_VERBS: Readonly<Record<string, readonly string[]>> = {
  addr: CHANGES,
  route: [...CHANGES, "get"],
  neigh: CHANGES,
  link: ["show"],
};

type Handler = (complete: (value: string, description: string) => void) => void;

/** Prints the script for `shell`. */
export function printScript(shell: string, io: Io): void {
  if (shell === "bash") return io.print(BASH);
  // The script asks the program as it was typed: by its path, a function or an alias too.
  const callers: Record<string, string> = { zsh: "${words[1]}", fish: "$args[1]", powershell: "lvl-ip" };
  if (!Object.hasOwn(callers, shell)) {
    throw new CommandError(
      `There is no completion for ${shell}, only for bash, zsh, fish and powershell`,
      undefined,
      EXIT.usage,
    );
  }
  io.print(printedBy(() => script(shell, "lvl-ip", callers[shell])));
}

/** Prints what may stand for the last of `words`, which is empty if nothing of it was typed yet. */
export function complete(words: readonly string[], io: Io): void {
  const typed = words.at(-1) ?? "";
  const isFile = FILE_OPTIONS.some((option) => words.at(-2) === option || typed.startsWith(`${option}=`));
  const isInnerCommand = words[0] === "lab" && words.slice(0, -1).includes("--");
  if (isFile || isInnerCommand) return io.print(FILES);
  const program = createProgram(systemIo, () => {});
  const names = program.createHelp().visibleCommands(program).map((each) =>
    [each.name(), each.summary()] as const
  );
  const root = tab(program);
  const offer = (command: string, option: string, handler: Handler) => {
    const found = root.commands.get(command)?.options.get(option);
    if (found) found.handler = handler;
  };
  for (const [command, option] of [["setup-net", "iface"], ["setup-net", "tap"], ["daemon", "tap"]]) {
    offer(command, option, offerInterfaces);
  }
  root.commands.get("help")?.argument(
    "command",
    (add) => names.forEach(([name, summary]) => add(name, summary)),
  );
  for (const [command, verbs] of Object.entries(NETWORK_VERBS)) {
    root.commands.get(command)?.argument("words", (add) => verbs.forEach((verb) => add(verb, "")));
  }
  root.commands.get("complete")?.argument(
    "shell",
    (add) => ["bash", "zsh", "fish", "powershell"].forEach((shell) => add(shell, "")),
  );
  io.print(printedBy(() => root.parse([...words])));
}

function offerInterfaces(add: (value: string, description: string) => void): void {
  try {
    for (const { name } of Deno.readDirSync("/sys/class/net")) add(name, "");
  } catch {
    // No /sys here: then there is nothing to offer.
  }
}

/** What the library says by console.log. */
function printedBy(action: () => void): string {
  let text = "";
  const { log } = console;
  console.log = (line: string) => text += `${line}\n`;
  try {
    action();
  } finally {
    console.log = log;
  }
  return text;
}

/**
 * The library's own script for bash needs the package bash-completion, declares read-only variables, so that reading
 * it twice or beside another program's is an error, and offers nothing after `--option=`.
 */
const BASH = `# bash completion for lvl-ip
__lvl_ip_complete() {
    # readline has split the line at = and : too: put together what stood together.
    local rest=\${COMP_LINE:0:COMP_POINT} i out directive value
    local -a words=()
    for ((i = 0; i < COMP_CWORD; i++)); do
        if ((i == 0)) || [[ $rest == [[:space:]]* ]]; then words+=(""); fi
        rest=\${rest#"\${rest%%[![:space:]]*}"}
        words[-1]+=\${COMP_WORDS[i]}
        rest=\${rest#"\${COMP_WORDS[i]}"}
    done
    if [[ $rest == [[:space:]]* ]]; then words+=(""); fi
    words[-1]+=\${rest#"\${rest%%[![:space:]]*}"}

    # eval: the command may be an alias, or begin with ~.
    out=$(eval "\${words[0]} complete -- \\"\\\${words[@]:1}\\"" 2>/dev/null)
    directive=\${out##*:}
    COMPREPLY=()
    while IFS=$'\\t' read -r value _; do
        # What stands before = is not replaced.
        if [[ -n $value && $value != :* && $value == "\${words[-1]#-*=}"* ]]; then COMPREPLY+=("$value"); fi
    done <<<"$out"
    # 4: nothing else will do; otherwise readline offers files.
    if [[ $directive == 4 ]]; then compopt +o default 2>/dev/null; fi
}
complete -o default -F __lvl_ip_complete lvl-ip
`;
