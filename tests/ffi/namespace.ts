/**
 * Tests that need a network of their own: each is a file of Deno tests that runs as a child process in a private network
 * namespace, so that nothing reaches, or is left in, the network of the machine.
 */

/** How to start a program in a new network namespace: as root directly, else inside a new user namespace. */
const WAYS = [["unshare", "-n"], ["unshare", "-Urn"]];

/** A test may take this long before its process is ended. */
const PATIENCE_MS = 60_000;

let way: string[] | null | undefined;

/** The command to put in front of a program, or null where neither root nor user namespaces allow it. */
export function namespaceCommand(): string[] | null {
  if (way === undefined) way = WAYS.find((words) => succeeds([...words, "true"])) ?? null;
  return way;
}

/** Why tests in a namespace with a TAP cannot run here; null if they can. */
export function whyNoTap(): string | null {
  const command = namespaceCommand();
  if (command === null) {
    return "neither root nor user namespaces allow a private network namespace (unshare -n)";
  }
  try {
    // open(2) of the node alone tells: the driver may be missing although the node is there
    Deno.openSync("/dev/net/tun", { read: true, write: true }).close();
    return null;
  } catch (error) {
    return `/dev/net/tun cannot be opened: ${error instanceof Error ? error.message : error}`;
  }
}

/** Runs a file of Deno tests in a private network namespace; throws with its output if one fails. */
export async function runTestsInNamespace(url: URL, flags: string[] = []): Promise<void> {
  const { code, output } = await runInNamespace(["test", "-A", "--no-check", ...flags, url.pathname]);
  if (code !== 0) throw new Error(`${url.pathname} failed in its namespace:\n${output}`);
}

/** Runs `deno` with these arguments in a private network namespace. */
export function runInNamespace(args: string[]): Promise<{ code: number; output: string }> {
  return run([...namespaceCommand() ?? [], Deno.execPath(), ...args]);
}

/** Runs a program to its end, at most a minute. */
export async function run(words: string[]): Promise<{ code: number; output: string }> {
  const child = new Deno.Command(words[0], {
    args: words.slice(1),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  const { code, stdout, stderr } = await child.output();
  const text = new TextDecoder();
  return { code, output: text.decode(stdout) + text.decode(stderr) };
}

/** Registers `file` (beside the caller) as a test that runs in a namespace, or is skipped with the reason in its name. */
export function testInNamespace(name: string, url: URL, flags: string[] = []): void {
  const reason = whyNoTap();
  Deno.test({
    name: reason === null ? name : `${name} (skipped: ${reason})`,
    ignore: reason !== null,
    fn: () => runTestsInNamespace(url, flags),
  });
}

function succeeds(words: string[]): boolean {
  try {
    return new Deno.Command(words[0], { args: words.slice(1), stdout: "null", stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
}
