/**
 * Tests that need a network of their own: each is a file of Deno tests that runs as a child process in a private network
 * namespace, so that nothing reaches, or is left in, the network of the machine.
 */

/** How to start a program in a new network namespace: as root of the machine, or of a new user namespace. */
const WAYS = [["unshare", "-n"], ["unshare", "-Urn"]];

/** A test may take this long before its process is ended. */
const PATIENCE_MS = 60_000;

let ways: string[][] | undefined;

/** The commands to put in front of a program: both as root, one as an ordinary user, none where nothing is allowed. */
export function namespaceCommands(): string[][] {
  return ways ??= WAYS.filter((words) => succeeds([...words, "true"]));
}

/** Why tests in a namespace with a TAP cannot run here; null if they can. */
export function whyNoTap(): string | null {
  if (namespaceCommands().length === 0) {
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

/**
 * Registers a file of Deno tests as a test that runs in a private network namespace, once for each way of making one
 * (`allWays`), or is skipped with the reason in its name.
 */
export function testInNamespace(name: string, url: URL, flags: string[] = [], allWays = true): void {
  const reason = whyNoTap();
  if (reason !== null) {
    Deno.test({ name: `${name} (skipped: ${reason})`, ignore: true, fn: () => {} });
    return;
  }
  for (const words of namespaceCommands().slice(0, allWays ? undefined : 1)) {
    Deno.test(`${name} (${words.join(" ")})`, async () => {
      const test = [Deno.execPath(), "test", "-A", "--no-check", ...flags, url.pathname];
      const { code, output } = await run([...words, ...test]);
      if (code !== 0) throw new Error(`${url.pathname} failed in its namespace:\n${output}`);
    });
  }
}

function succeeds(words: string[]): boolean {
  try {
    return new Deno.Command(words[0], { args: words.slice(1), stdout: "null", stderr: "null" }).outputSync()
      .success;
  } catch {
    return false;
  }
}
