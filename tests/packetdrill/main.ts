/**
 * Runs packetdrill scripts against the stack under virtual time.
 *
 *     deno task packetdrill [--loose] [--json] [--verbose] [--tolerance_usecs=N] FILE...
 *
 * A line a script, `pass FILE`, `fail FILE:LINE: expected ..., got ...` or `unsupported FILE: why`, and last
 * `N passed, N failed, N unsupported`. Directories stand for all `.pkt` files in them. The exit status is 1 when a
 * script failed, 2 for wrong usage.
 */
import type { ScriptOption } from "./ast.ts";
import { isScriptOption } from "./config.ts";
import { type RunResult, runScript } from "./runner.ts";

const USAGE = `Usage: deno task packetdrill [options] FILE...

Runs packetdrill scripts against the stack under virtual time; a directory stands for the .pkt files in it.

  --loose               compare TCP options as a set and outbound windows only where they are zero (FreeBSD's scripts)
  --verbose             show every segment and call
  --notes               show what was ignored in each script
  --json                one JSON object a line instead of text
  --tolerance_usecs=N   how early or late an event may be, where the script does not say (4000)
  --ip_version=ipv6 --mtu=N --local_ip=ADDRESS -D NAME=VALUE ...
                        packetdrill's own options; what the script says comes after them
`;

interface Options {
  loose: boolean;
  verbose: boolean;
  notes: boolean;
  json: boolean;
  toleranceUs: number | undefined;
  /** Options of packetdrill's, as a script could give them. */
  given: ScriptOption[];
  paths: string[];
}

/** The options of a command line, or the sentence that says what is wrong with it. */
export function parseArguments(args: string[]): Options | string {
  const options: Options = {
    loose: false,
    verbose: false,
    notes: false,
    json: false,
    toleranceUs: undefined,
    given: [],
    paths: [],
  };
  const give = (name: string, value: string) => options.given.push({ name, value, line: 0 });
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] === "-D" ? `-D${args[++at] ?? ""}` : args[at];
    const own = /^--([a-z_]+)(?:=(.*))?$/.exec(arg);
    const tolerance = /^--tolerance[_-]usecs=(\d+)$/.exec(arg);
    if (tolerance !== null) options.toleranceUs = Number(tolerance[1]);
    else if (arg === "--loose") options.loose = true;
    else if (arg === "--verbose" || arg === "-v") options.verbose = true;
    else if (arg === "--notes") options.notes = true;
    else if (arg === "--json") options.json = true;
    else if (own !== null && isScriptOption(own[1])) give(own[1], own[2] ?? "");
    else if (/^-D[^=]+=/.test(arg)) give("define", arg.slice(2));
    else if (arg.startsWith("-")) return `Cannot run scripts: unknown option ${arg}`;
    else options.paths.push(arg);
  }
  return options.paths.length === 0 ? "Cannot run scripts: no file was named" : options;
}

/** The files that a path stands for. */
function* filesOf(path: string): Iterable<string> {
  if (!Deno.statSync(path).isDirectory) {
    yield path;
    return;
  }
  const entries = [...Deno.readDirSync(path)].sort((a, b) => a.name < b.name ? -1 : 1);
  for (const { name, isDirectory } of entries) {
    if (isDirectory) yield* filesOf(`${path}/${name}`);
    else if (name.endsWith(".pkt")) yield `${path}/${name}`;
  }
}

/** The line about one script. */
export function formatResult(file: string, { status, line, message }: RunResult): string {
  if (status === "pass") return `pass ${file}`;
  if (status === "fail") return `fail ${file}:${line}: ${message}`;
  return `unsupported ${file}${line > 0 ? `:${line}` : ""}: ${message}`;
}

function report(file: string, result: RunResult, options: Options): void {
  if (options.json) console.log(JSON.stringify({ file, ...result }));
  else {
    console.log(formatResult(file, result));
    if (options.notes) { for (const note of result.notes) console.log(`    ${note}`); }
  }
}

function main(args: string[]): number {
  const options = parseArguments(args);
  if (typeof options === "string") {
    console.error(`${options}\n\n${USAGE}`);
    return 2;
  }
  const counts = { pass: 0, fail: 0, unsupported: 0 };
  let forIpv6 = 0;
  for (const path of options.paths) {
    try {
      for (const file of filesOf(path)) {
        const trace = options.verbose && !options.json ? (line: string) => console.log(line) : undefined;
        const result = runScript(Deno.readTextFileSync(file), { ...options, trace });
        counts[result.status]++;
        if (result.isForIpv6 && result.status === "pass") forIpv6++;
        report(file, result, options);
      }
    } catch (error) {
      console.error(`Cannot read ${path}: ${error instanceof Error ? error.message : error}`);
      return 2;
    }
  }
  const { pass, fail, unsupported } = counts;
  if (forIpv6 > 0 && !options.json) {
    console.log(
      `${forIpv6} that passed are for IPv6, which the stack does not have: their TCP ran over IPv4`,
    );
  }
  if (options.json) console.log(JSON.stringify({ passed: pass, failed: fail, unsupported, forIpv6 }));
  else console.log(`${pass} passed, ${fail} failed, ${unsupported} unsupported`);
  return fail > 0 ? 1 : 0;
}

if (import.meta.main) Deno.exit(main(Deno.args));
