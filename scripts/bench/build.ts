/** Compiles what is measured beside us, and what all are measured with, into .cache/bench. */
import { aptCommand, findTool, HostError, messageOf } from "../../lib/host/command.ts";
import { fetchDebianSource } from "./debian_source.ts";

const here = import.meta.dirname!;
/** Debian's, by what they bring. */
const PACKAGES: Record<string, string> = { cc: "gcc", go: "golang-go golang-gvisor-gvisor-dev" };
const cli = `${here}/../../cli.ts`;

/** Paths of what was compiled; what could not be is missing, and `notes` say why. */
export interface Programs {
  /** The kernel-side peer, and the kernel's own side where that is measured. */
  peer: string;
  /** The words that start lvl-ip: the compiled executable, else the sources. */
  lvlIp: readonly string[];
  /** The compiled executable, if there is one. */
  executable?: string;
  lwip?: string;
  gvisor?: string;
  notes: string[];
  /** A folder for CPU profiles of our stack in one process; none: it is not profiled. */
  profiles?: string;
}

/** Runs a compiler; throws a `HostError` with what it said, or with the package that it is missing from. */
async function compile(words: readonly string[], options: Deno.CommandOptions = {}): Promise<void> {
  const [program, ...args] = words;
  // A path, such as this Deno's, needs no looking for.
  if (!program.includes("/") && findTool(program) === null) {
    throw new HostError(`${program} is not installed`, aptCommand([PACKAGES[program] ?? program]));
  }
  const { success, stderr } = await new Deno.Command(program, { args, stdin: "null", ...options }).output();
  if (!success) throw new HostError(`${program} failed: ${new TextDecoder().decode(stderr).trim()}`);
}

/** The folder for what is compiled. */
export async function cacheFolder(): Promise<string> {
  const folder = `${here}/../../.cache/bench`;
  await Deno.mkdir(folder, { recursive: true });
  return await Deno.realPath(folder);
}

/** The files of `folder` that end so, in a fixed order. */
function filesOf(folder: string, ending: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => `${folder}/${name}`)
    .filter((path) => path.endsWith(ending)).sort();
}

async function buildPeer(cache: string): Promise<string> {
  const output = `${cache}/peer`;
  const flags = ["-O2", "-Wall", "-Wextra", "-std=gnu11"];
  await compile(["cc", ...flags, "-o", output, ...filesOf(`${here}/peer`, ".c")]);
  return output;
}

/** lwIP, from Debian's source package: the packaged library has small windows, and overruns a buffer. */
async function buildLwip(cache: string): Promise<string> {
  const output = `${cache}/lwip`;
  const source = `${await fetchDebianSource("lwip", `${cache}/lwip-source`)}/src`;
  const folder = `${here}/peers/lwip`;
  const files = [`${source}/core`, `${source}/core/ipv4`].flatMap((each) => filesOf(each, ".c"));
  await compile([
    ...[
      "cc",
      "-O2",
      "-w",
      "-std=gnu11",
      `-I${folder}`,
      `-I${here}/peer`,
      `-I${source}/include`,
      "-o",
      output,
    ],
    ...filesOf(folder, ".c"),
    ...[`${here}/peer/latencies.c`, ...files, `${source}/netif/ethernet.c`],
  ]);
  return output;
}

/** gVisor's netstack, from Debian's golang-gvisor-gvisor-dev. */
async function buildGvisor(cache: string): Promise<string> {
  const output = `${cache}/gvisor`;
  await compile(["go", "build", "-o", output, "main.go", "connect.go"], {
    cwd: `${here}/peers/gvisor`,
    env: { GO111MODULE: "off", GOPATH: "/usr/share/gocode", GOFLAGS: "", GOCACHE: `${cache}/go` },
  });
  return output;
}

/** lvl-ip as one executable. */
async function buildExecutable(cache: string): Promise<string> {
  const output = `${cache}/lvl-ip`;
  await compile([Deno.execPath(), "run", "-A", "--no-prompt", `${here}/../compile.ts`, output]);
  return output;
}

/** Compiles all of it; `wanted`: which of what may be lacking. Throws when the peer cannot be compiled. */
export async function buildPrograms(wanted: ReadonlySet<string>): Promise<Programs> {
  const cache = await cacheFolder();
  const peer = await buildPeer(cache);
  const programs: Programs = { peer, lvlIp: [Deno.execPath(), "run", "-A", "--no-prompt", cli], notes: [] };
  const optional = { lwip: buildLwip, gvisor: buildGvisor, executable: buildExecutable };
  for (const [name, build] of Object.entries(optional)) {
    if (!wanted.has(name)) continue;
    try {
      programs[name as keyof typeof optional] = await build(cache);
    } catch (error) {
      const why = error instanceof HostError ? error.explain() : messageOf(error);
      programs.notes.push(`${name} is left out, it could not be built: ${why.split("\n")[0]}`);
    }
  }
  if (programs.executable !== undefined) programs.lvlIp = [programs.executable];
  return programs;
}
