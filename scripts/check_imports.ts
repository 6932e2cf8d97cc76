/**
 * Checks that every room of the house imports only what ARCHITECTURE.md lets it, and that the rooms that do no I/O name
 * nothing that would: `deno run --allow-read scripts/check_imports.ts`. Prints `file:line: what is wrong` for each
 * violation; exit status 1 when there is one.
 */
import { dirname, join, normalize, relative } from "node:path";
import { blankStrings, stripComments } from "./source_text.ts";

export interface Violation {
  file: string;
  line: number;
  message: string;
}

interface Rule {
  /** What the rule is about: a file (`lib/device.ts`) or a folder (`lib/wire/`), by the start of its path. */
  room: string;
  /** Starts of the paths it may import, beside its own room; `npm:` and `node:` mean all of them. */
  allows: readonly string[];
  /** Starts of the paths of which it may import types only. */
  allowsTypes?: readonly string[];
  /** The starts of the paths that make the room, where its name does not say it. */
  paths?: readonly string[];
  /** May import anything. */
  free?: boolean;
}

/**
 * The client's half of lib/ipc and what both halves share: a program that only talks to a daemon does not load the
 * stack. The rest of lib/ipc is the server's.
 */
const IPC_CLIENT = [
  "channel",
  "client",
  "connection",
  "datagram_conn",
  "errors",
  "listener",
  "message_stream",
  "packet_conn",
  "network",
  "network_messages",
  "paths",
  "ping",
  "protocol",
  "resolve",
  "trace",
].map((name) => `lib/ipc/${name}.ts`);

const EVERY_ROOM = [
  ...["wire", "buffer", "tcp", "stack", "ipc", "impair", "trace", "run", "host", "daemon", "resolver"].map((
    room,
  ) => `lib/${room}`),
  "lib/device.ts",
  "lib/errno.ts",
  "ffi/",
];

/** The first whose room a path begins with is the one that counts. */
const RULES: readonly Rule[] = [
  { room: "lib/errno.ts", allows: [] },
  { room: "lib/wire/", allows: ["lib/buffer/memory.ts", "lib/errno.ts"] },
  { room: "lib/buffer/", allows: ["lib/errno.ts"] },
  { room: "lib/device.ts", allows: ["lib/buffer/"] },
  { room: "lib/tcp/", allows: ["lib/wire/", "lib/buffer/", "lib/errno.ts"] },
  {
    room: "lib/stack/",
    allows: ["lib/tcp/", "lib/wire/", "lib/buffer/", "lib/errno.ts"],
    allowsTypes: ["lib/device.ts"],
  },
  // Buffer is what dns-packet reads from.
  {
    room: "lib/resolver/",
    allows: ["lib/wire/address.ts", "npm:dns-packet", "node:buffer"],
  },
  { room: "lib/impair", allows: ["lib/device.ts", "lib/buffer/", "lib/errno.ts"] },
  { room: "lib/trace", allows: ["lib/device.ts", "lib/wire/", "lib/buffer/", "lib/errno.ts"] },
  {
    room: "lib/run",
    allows: ["lib/stack/", "lib/device.ts", "lib/buffer/", "lib/ipc/server", "lib/errno.ts"],
  },
  {
    room: "lib/ipc/ (client)",
    paths: IPC_CLIENT,
    allows: ["lib/wire/address.ts", "lib/resolver/types.ts", "lib/errno.ts", "node:"],
    allowsTypes: ["lib/tcp/info.ts"],
  },
  { room: "lib/ipc/", allows: ["lib/stack/", "lib/resolver/", "lib/wire/", "lib/buffer/", "lib/errno.ts"] },
  // The daemon's process, which puts the rooms together: all of them but the command line.
  { room: "lib/daemon", allows: [...EVERY_ROOM, "lib/cli/errors.ts", "deno.json", "node:"] },
  { room: "ffi/", allows: ["lib/device.ts", "lib/buffer/", "lib/errno.ts"] },
  {
    room: "lib/host/",
    // The lab's name server speaks DNS.
    allows: [
      "ffi/",
      "lib/ipc/",
      "lib/wire/",
      "lib/impair",
      "lib/resolver/",
      "lib/errno.ts",
      "node:",
      "npm:dns-packet",
    ],
  },
  { room: "lib/cli/", allows: [], free: true },
  { room: "cli.ts", allows: [], free: true },
  {
    room: "mod.ts",
    allows: [
      "lib/daemon/embedded.ts",
      "ffi/tap.ts",
      "lib/ipc/",
      "lib/stack/",
      "lib/device.ts",
      "lib/buffer/",
      "lib/impair",
      "lib/trace/",
      "lib/errno.ts",
    ],
  },
];

/** The rooms that are given time and randomness, and do no I/O ... */
const PURE_ROOMS = ["lib/wire/", "lib/buffer/", "lib/tcp/", "lib/stack/", "lib/resolver/"];
/** ... and so have no use for these. */
const FORBIDDEN = /\b(?:Deno\.|Math\.random\b|(?:Date|performance|setTimeout|async|console)\b)/g;

/** What file `path` (relative to the root, with `/`) may not do and does. */
export function checkFile(path: string, source: string): Violation[] {
  const violations: Violation[] = [];
  const code = stripComments(source);
  const report = (index: number, message: string) => {
    violations.push({ file: path, line: source.slice(0, index).split("\n").length, message });
  };
  const rule = RULES.find((rule) => isIn(rule, path));
  if (rule === undefined) {
    report(0, "belongs to no room: add its rule to scripts/check_imports.ts");
    return violations;
  }
  for (const { index, specifier, typeOnly } of importsOf(code)) {
    const target = resolve(path, specifier);
    if (!isAllowed(rule, target, typeOnly)) report(index, `${rule.room} may not import ${target}`);
  }
  if (PURE_ROOMS.some((room) => path.startsWith(room))) {
    for (const match of blankStrings(code).matchAll(FORBIDDEN)) {
      report(match.index, `${rule.room} may not use ${match[0].replace(/\.$/, "")}`);
    }
  }
  return violations.sort((a, b) => a.line - b.line);
}

function isIn(rule: Rule, path: string): boolean {
  return (rule.paths ?? [rule.room]).some((start) => path.startsWith(start));
}

function isAllowed(rule: Rule, target: string, typeOnly: boolean): boolean {
  if (rule.free) return true;
  if (isIn(rule, target)) return true;
  const starts = typeOnly ? [...rule.allows, ...rule.allowsTypes ?? []] : rule.allows;
  return starts.some((start) => target.startsWith(start));
}

interface Import {
  index: number;
  specifier: string;
  typeOnly: boolean;
}

/** Static and dynamic imports, re-exports, and files that a Worker is made of. */
function importsOf(code: string): Import[] {
  const found: Import[] = [];
  const blanked = blankStrings(code);
  const patterns = [
    /\b(?:import|export)\s+(type\s)?[^"'`;=]*?\bfrom\s*["']([^"'\n]+)["']/g,
    /\bimport\s*()["']([^"'\n]+)["']/g,
    /\bimport\s*\(\s*()["'`]([^"'`\n]+)["'`]/g,
    /\bnew\s+Worker\s*\(\s*new\s+URL\s*\(\s*()["']([^"'\n]+)["']/g,
  ];
  for (const pattern of patterns) {
    for (const match of code.matchAll(pattern)) {
      // A word inside a string is not an import.
      if (blanked[match.index] === " ") continue;
      found.push({
        index: match.index,
        specifier: match[2],
        typeOnly: match[1] !== undefined && match[1] !== "",
      });
    }
  }
  return found;
}

/** A path from the root for our files, `npm:name` for the packages of the import map, else the specifier itself. */
function resolve(path: string, specifier: string): string {
  if (specifier.startsWith(".")) return normalize(join(dirname(path), specifier)).replaceAll("\\", "/");
  return /^[a-z]+:/.test(specifier) ? specifier : `npm:${specifier}`;
}

/** Every file of lib and ffi, cli.ts and mod.ts. */
export function checkTree(root: string): { files: number; violations: Violation[] } {
  const paths: string[] = [];
  const walk = (folder: string) => {
    for (const entry of Deno.readDirSync(folder)) {
      const path = join(folder, entry.name);
      if (entry.isDirectory) walk(path);
      else if (/\.(ts|js|mjs)$/.test(entry.name)) paths.push(path);
    }
  };
  walk(join(root, "lib"));
  walk(join(root, "ffi"));
  for (const file of ["cli.ts", "mod.ts"]) {
    try {
      if (Deno.statSync(join(root, file)).isFile) paths.push(join(root, file));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  const violations = paths.sort().flatMap((path) =>
    checkFile(relative(root, path).replaceAll("\\", "/"), Deno.readTextFileSync(path))
  );
  return { files: paths.length, violations };
}

if (import.meta.main) {
  const { files, violations } = checkTree(join(import.meta.dirname!, ".."));
  for (const { file, line, message } of violations) console.error(`${file}:${line}: ${message}`);
  if (violations.length > 0) {
    console.error(`${violations.length} violation${violations.length === 1 ? "" : "s"} of the import rules`);
    Deno.exit(1);
  }
  console.log(`${files} files keep the import rules`);
}
