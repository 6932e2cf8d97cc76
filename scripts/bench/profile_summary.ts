/** What V8's CPU profiles say, for a reader: self time by kind of work, and the functions that took most of it. */

/** The part of a .cpuprofile that is read here. */
interface CpuProfile {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number } }[];
  samples: number[];
  timeDeltas: number[];
}

interface SelfTime {
  name: string;
  place: string;
  us: number;
}

const SHOWN = 12;

/** Kinds of work, the first that fits: functions whose self time is a system call are named, since FFI calls have no frame. */
const KINDS: [kind: string, fits: (self: SelfTime) => boolean][] = [
  ["garbage collector", ({ name }) => name === "(garbage collector)"],
  ["idle", ({ name }) => name === "(idle)"],
  ["copying", ({ name }) => /^(copy|gather|flatten|set$|subarray$)/.test(name)],
  ["checksums", ({ place }) => place.startsWith("wire/checksum.ts")],
  ["system calls on the TAP", ({ place }) => place.startsWith("ffi/tap_device.ts")],
  ["waiting, and the clock", ({ place }) => /^ffi\/(epoll|clock)\.ts/.test(place)],
  ["headers and protocol", ({ place }) => /^(wire|stack|tcp|buffer|lib)\//.test(place)],
];
const OTHER = "start, the program, and what has no frame";

/** Self time of each function, the largest first. */
function selfTimes({ nodes, samples, timeDeltas }: CpuProfile): SelfTime[] {
  const functions = new Map<string, SelfTime>();
  const ofNode = new Map<number, SelfTime>();
  for (const { id, callFrame: { functionName, url, lineNumber } } of nodes) {
    const place = url === "" ? "native" : `${url.split("/").slice(-2).join("/")}:${lineNumber + 1}`;
    const key = `${functionName} ${place}`;
    const self = functions.get(key) ?? { name: functionName || "(anonymous)", place, us: 0 };
    functions.set(key, self);
    ofNode.set(id, self);
  }
  samples.forEach((id, i) => ofNode.get(id)!.us += timeDeltas[i]);
  return [...functions.values()].sort((a, b) => b.us - a.us);
}

function table(header: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(" | ")} |`;
  return [line(header), line(["---:", ...header.slice(1).map(() => "---")]), ...rows.map(line)].join("\n");
}

/** One profile's section. */
export function summarizeProfile(title: string, profile: CpuProfile): string {
  const times = selfTimes(profile);
  const all = times.reduce((sum, { us }) => sum + us, 0);
  const share = (us: number) => `${(us / all * 100).toFixed(1)} %`;
  const kinds = new Map<string, number>([...KINDS.map(([kind]): [string, number] => [kind, 0]), [OTHER, 0]]);
  for (const self of times) {
    const kind = KINDS.find(([, fits]) => fits(self))?.[0] ?? OTHER;
    kinds.set(kind, kinds.get(kind)! + self.us);
  }
  const byKind = [...kinds].sort(([, a], [, b]) => b - a).map(([kind, us]) => [share(us), kind]);
  const hot = times.slice(0, SHOWN).map(({ name, place, us }) => [share(us), `\`${name}\``, place]);
  return [
    `## ${title}`,
    `${(all / 1e6).toFixed(1)} seconds, ${profile.samples.length} samples; self time.`,
    table(["share", "work"], byKind),
    table(["share", "function", "where"], hot),
  ].join("\n\n");
}

/** Reads all profiles of `folder` and writes its README.md; `heading`: the lines before them. */
export async function summarizeProfiles(folder: string, heading: string): Promise<void> {
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name)
    .filter((name) => name.endsWith(".cpuprofile")).sort();
  const sections = names.map((name) =>
    summarizeProfile(
      name.replace(".cpuprofile", ""),
      JSON.parse(Deno.readTextFileSync(`${folder}/${name}`)),
    )
  );
  await Deno.writeTextFile(`${folder}/README.md`, `${[heading, ...sections].join("\n\n")}\n`);
}
