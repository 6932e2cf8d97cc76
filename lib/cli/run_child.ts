/** A command that this process starts and waits for, as if it were the command itself. */

/** What is passed on to the command. What a terminal sends (Ctrl-C), it sends to the command itself. */
const FORWARDED = ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"] as const;
const LEFT_TO_COMMAND = ["SIGINT", "SIGQUIT"] as const;

/** Runs `words` from the file `program`; its exit status, or 128 and the number of the signal that ended it. */
export async function waitForCommand(
  program: string,
  words: readonly string[],
  env: Record<string, string>,
): Promise<number> {
  const child = new Deno.Command(program, {
    args: words.slice(1),
    env,
    clearEnv: true,
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  const listeners: [Deno.Signal, () => void][] = [
    ...FORWARDED.map((signal): [Deno.Signal, () => void] => [signal, () => forward(child, signal)]),
    ...LEFT_TO_COMMAND.map((signal): [Deno.Signal, () => void] => [signal, () => {}]),
  ];
  for (const [signal, listener] of listeners) Deno.addSignalListener(signal, listener);
  try {
    const { code } = await child.status;
    return code;
  } finally {
    for (const [signal, listener] of listeners) Deno.removeSignalListener(signal, listener);
  }
}

function forward(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch {
    // It has just ended.
  }
}
