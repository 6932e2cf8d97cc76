/** The library that programs are run with: where it is, and how it gets there. */
import { createHash } from "node:crypto";
import { HostError } from "./command.ts";
import { buildPreload, PRELOAD_EMBEDDED, preloadRecipe } from "./preload_build.ts";

const NAME = "liblevelip.so";
/** Others may load it too: programs that change their user and then execute themselves anew. */
const FOLDER_MODE = 0o755;
const FILE_MODE = 0o644;
const WRITABLE_BY_OTHERS = 0o022;

/**
 * The path of the library, which is put there first if need be: under the hash of its contents, so that another version
 * does not change it under a running program. Throws `HostError` when it can neither be found nor made.
 */
export function preloadPath(): string {
  return Deno.build.standalone ? installEmbedded() : installCompiled();
}

function installEmbedded(): string {
  const library = Deno.readFileSync(PRELOAD_EMBEDDED);
  return inPrivateFolder(folders(), hashOf(library), (path) => {
    const unfinished = `${path}.${Deno.pid}`;
    Deno.writeFileSync(unfinished, library, { mode: FILE_MODE });
    Deno.chmodSync(unfinished, FILE_MODE);
    Deno.renameSync(unfinished, path);
  });
}

function installCompiled(): string {
  const checkout = decodeURIComponent(new URL("../../.cache/preload", import.meta.url).pathname);
  // Root's programs may become another user's, to whom root's checkout is closed more often than not.
  const wanted = Deno.uid() === 0 ? [...folders(), checkout] : [checkout, ...folders()];
  return inPrivateFolder(wanted.filter(isLoadable), hashOf(preloadRecipe()), buildPreload);
}

function hashOf(data: Uint8Array | string): string {
  return createHash("sha256").update(data).digest("hex").slice(0, 16);
}

/** The library under `name` in the first folder that will do, made by `make` if it is not there. */
function inPrivateFolder(bases: string[], name: string, make: (path: string) => void): string {
  const failures: string[] = [];
  for (const base of bases) {
    const folder = `${base}/${name}`;
    const path = `${folder}/${NAME}`;
    try {
      Deno.mkdirSync(folder, { recursive: true, mode: FOLDER_MODE });
      if (![base, folder].every(isOurs)) throw new Error("others may write there");
      if (!exists(path)) make(path);
      return path;
    } catch (error) {
      if (error instanceof HostError) throw error;
      failures.push(`${base} (${error instanceof Error ? error.message : error})`);
    }
  }
  throw new HostError(`Cannot store the library for programs in ${failures.join(" or ")}`);
}

/** LD_PRELOAD takes no spaces and colons. */
function isLoadable(folder: string): boolean {
  return !/[\s:]/.test(folder);
}

/** A folder in /run would not do, it is mounted noexec at times. */
function folders(): string[] {
  const home = Deno.env.get("HOME");
  const cache = Deno.env.get("XDG_CACHE_HOME") || (home ? `${home}/.cache` : "");
  const wanted = Deno.uid() === 0 ? ["/var/cache/lvl-ip"] : cache ? [`${cache}/lvl-ip`] : [];
  return [...wanted, `/tmp/lvl-ip-${Deno.uid()}`].filter(isLoadable);
}

/** A library that somebody else could have put there would be code of theirs in our programs. */
function isOurs(folder: string): boolean {
  const { uid, mode, isDirectory } = Deno.lstatSync(folder);
  return isDirectory && uid === Deno.uid() && ((mode ?? 0) & WRITABLE_BY_OTHERS) === 0;
}

function exists(path: string): boolean {
  try {
    return Deno.lstatSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
