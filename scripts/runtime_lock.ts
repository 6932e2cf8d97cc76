/**
 * The lock file without what only developers need. `deno compile` puts every package that the lock file names into the
 * executable, whether or not the program imports it.
 */

/** Packages that only tests and benchmarks import. */
const DEVELOPMENT = ["fast-check", "echarts"];

interface Lock {
  specifiers?: Record<string, string>;
  npm?: Record<string, { dependencies?: string[]; optionalPeers?: string[] }>;
  [other: string]: unknown;
}

/** "npm:@bomb.sh/tab@^0.0.22" -> "@bomb.sh/tab"; "commander@14.0.3" -> "commander". */
function nameOf(specifier: string): string {
  return /^(?:npm:)?(@?[^@]+)/.exec(specifier)![1];
}

/** `text`: a deno.lock. What the rest of the packages need stays, with its integrity. */
export function runtimeLock(text: string): string {
  const lock: Lock = JSON.parse(text);
  const packages = lock.npm ?? {};
  const specifiers = Object.entries(lock.specifiers ?? {}).filter(([key]) =>
    !DEVELOPMENT.includes(nameOf(key))
  );
  const needed = new Set<string>();
  const add = (name: string) => {
    for (const key of Object.keys(packages)) {
      if (nameOf(key) !== name || needed.has(key)) continue;
      needed.add(key);
      packages[key].dependencies?.forEach((each) => add(nameOf(each)));
    }
  };
  specifiers.forEach(([key]) => add(nameOf(key)));
  const npm = Object.fromEntries(Object.entries(packages).filter(([key]) => needed.has(key)));
  return `${JSON.stringify({ ...lock, specifiers: Object.fromEntries(specifiers), npm }, null, 2)}\n`;
}
