/** Compiling the library that `lvl-ip run` preloads, with the machine's C compiler. */
import { HostError } from "./command.ts";

/** Where its sources are; there are none in a compiled executable, which has the library itself. */
export const PRELOAD_SOURCES = new URL("../../ffi/preload/", import.meta.url);

/** Where it is in an executable: `scripts/compile.ts` puts it there. */
export const PRELOAD_EMBEDDED = new URL("../../dist/preload/liblevelip.so", import.meta.url);

const COMPILERS = ["cc", "gcc", "clang"];

const FLAGS = [
  "-std=c11",
  "-O2",
  "-s",
  "-fPIC",
  "-shared",
  "-fvisibility=hidden",
  "-fno-strict-aliasing",
  // Its checks would call the functions that we stand in front of.
  "-U_FORTIFY_SOURCE",
  "-Wall",
  "-Wextra",
  "-Werror",
  "-Wl,-z,now,-z,relro,-soname,liblevelip.so",
];

/** The library's C files. */
export function preloadSources(): string[] {
  const names = [...Deno.readDirSync(PRELOAD_SOURCES)].map(({ name }) => name);
  return names.filter((name) => /\.[ch]$/.test(name)).sort();
}

/** A text that changes when the library would: its sources and how they are compiled. */
export function preloadRecipe(): string {
  const texts = preloadSources().map((name) =>
    `${name}\n${Deno.readTextFileSync(new URL(name, PRELOAD_SOURCES))}`
  );
  return [...FLAGS, Deno.build.arch, ...texts].join("\n");
}

/** Compiles the library into `output`, in one step for whoever looks. Throws `HostError`. */
export function buildPreload(output: string): void {
  const folder = decodeURIComponent(PRELOAD_SOURCES.pathname);
  const files = preloadSources().filter((name) => name.endsWith(".c")).map((name) => folder + name);
  const unfinished = `${output}.${Deno.pid}`;
  const result = compile([...FLAGS, "-o", unfinished, ...files, "-ldl"]);
  if (!result.success) {
    throw new HostError(`Cannot compile ${folder}: ${new TextDecoder().decode(result.stderr).trim()}`);
  }
  Deno.renameSync(unfinished, output);
}

function compile(args: string[]): Deno.CommandOutput {
  const chosen = Deno.env.get("CC")?.trim();
  for (const compiler of chosen ? [chosen] : COMPILERS) {
    try {
      return new Deno.Command(compiler, { args, stdout: "null", stderr: "piped" }).outputSync();
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  throw new HostError(
    chosen
      ? `Cannot compile the library for programs: there is no ${chosen}, which $CC names`
      : "Cannot compile the library for programs: there is no C compiler",
    "sudo apt-get install gcc libc6-dev",
  );
}
