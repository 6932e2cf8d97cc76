/** Running the host's own tools: ip(8), nft(8), iptables(8), sysctl(8). */

/** Something about this host stands in the way; `mend` is the command that removes it, where there is one. */
export class HostError extends Error {
  override name = "HostError";

  constructor(message: string, readonly mend?: string) {
    super(message);
  }

  /** The sentence and the command, for a person. */
  explain(): string {
    return this.mend ? `${this.message}: ${this.mend}` : this.message;
  }
}

export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs `[program, ...arguments]` to its end. The seam by which tests replace the host. */
export type Run = (words: readonly string[]) => Promise<CommandResult>;

/** Debian's tools for the administrator are in folders that an ordinary user's PATH lacks. */
const ADMIN_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin"];

/** The folders in which tools are looked for: PATH, then the administrator's. */
export function searchPath(): string {
  const own = (Deno.env.get("PATH") ?? "").split(":").filter((folder) => folder !== "");
  return [...own, ...ADMIN_FOLDERS.filter((folder) => !own.includes(folder))].join(":");
}

/** The environment for every tool: found wherever it is, and answering in the language that we parse. */
export function toolEnvironment(): Record<string, string> {
  return { PATH: searchPath(), LC_ALL: "C" };
}

/** Where `tool` is, or null. */
export function findTool(tool: string): string | null {
  for (const folder of searchPath().split(":")) {
    try {
      const found = Deno.statSync(`${folder}/${tool}`);
      if (found.isFile && ((found.mode ?? 0) & 0o111) !== 0) return `${folder}/${tool}`;
    } catch {
      // Not in this folder; unreadable folders are as good as empty.
    }
  }
  return null;
}

/** The Debian package that has a tool, for the sentence that says it is missing. */
const PACKAGES: Record<string, string> = {
  ip: "iproute2",
  nft: "nftables",
  iptables: "iptables",
  unshare: "util-linux",
  nsenter: "util-linux",
  setpriv: "util-linux",
  setsid: "util-linux",
  mount: "mount",
};

/** Throws a {@linkcode HostError} that names what is missing of `tools`, and the package. */
export function requireTools(tools: readonly string[]): void {
  const missing = tools.filter((tool) => findTool(tool) === null);
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((tool) => PACKAGES[tool] ?? tool))];
  throw new HostError(
    `${missing.join(" and ")} ${missing.length === 1 ? "is" : "are"} not installed`,
    aptCommand(packages),
  );
}

/** The command that installs Debian packages, with sudo where this process is not root. */
export function aptCommand(packages: readonly string[]): string {
  return `${Deno.uid() === 0 ? "" : "sudo "}apt-get install ${packages.join(" ")}`;
}

/** Runs a tool and gathers what it says. A tool that is not there is a {@linkcode HostError}. */
export const run: Run = async (words) => {
  const [program, ...args] = words;
  try {
    const { code, stdout, stderr } = await new Deno.Command(program, {
      args,
      env: toolEnvironment(),
      stdin: "null",
    }).output();
    const decoder = new TextDecoder();
    return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    requireTools([program]);
    throw error;
  }
};

/** Runs a tool that must succeed; its stdout. Throws a {@linkcode HostError} with the command and its complaint. */
export async function mustRun(words: readonly string[], runner: Run = run): Promise<string> {
  const { code, stdout, stderr } = await runner(words);
  if (code === 0) return stdout;
  const complaint = stderr.trim().split("\n")[0] || `exit status ${code}`;
  throw new HostError(`Cannot run \`${shellQuote(words)}\`: ${complaint}`);
}

/** Words as a shell would need them written. */
export function shellQuote(words: readonly string[]): string {
  return words.map((word) =>
    /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
  )
    .join(" ");
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
