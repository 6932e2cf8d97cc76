/** The program under test, run by a user without any privilege. */
import { join } from "node:path";
import { lvlIp, type Namespaces } from "./netns.ts";

/** What of the checkout the program is made of. */
const SOURCES = ["cli.ts", "mod.ts", "deno.json", "deno.lock", "lib", "ffi"];

/** Debian's `nobody`: a user that owns nothing. */
const NOBODY = "65534";

/**
 * The words that run the program as `nobody`, for tests that run as root. Deno, its cache and the sources are copied into
 * the world's folder, because they may lie in root's home, where nobody else can look.
 */
export async function unprivilegedProgram(world: Namespaces): Promise<string[]> {
  const folder = `${world.directory}/unprivileged`;
  await Deno.mkdir(folder);
  await Deno.chmod(world.directory, 0o755);
  const [program, ...args] = lvlIp;
  await Deno.copyFile(program, `${folder}/program`);
  await Deno.chmod(`${folder}/program`, 0o755);
  const root = join(import.meta.dirname!, "..", "..");
  if (args.length > 0) {
    await copyCache(`${folder}/cache`);
    await copySources(root, `${folder}/sources`);
  }
  const { success } = await new Deno.Command("chown", { args: ["-R", `${NOBODY}:${NOBODY}`, folder] })
    .output();
  if (!success) throw new Error(`Cannot give ${folder} to nobody`);
  const drop = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--inh-caps=-all"];
  const environment = ["env", `HOME=${folder}`, `DENO_DIR=${folder}/cache`, `TMPDIR=${folder}`];
  return [
    ...drop,
    "--",
    ...environment,
    `${folder}/program`,
    ...args.map((word) => word.replace(root, `${folder}/sources`)),
  ];
}

async function copySources(root: string, target: string): Promise<void> {
  await Deno.mkdir(target);
  const sources = SOURCES.map((name) => join(root, name));
  const { success } = await new Deno.Command("cp", { args: ["-r", ...sources, target] }).output();
  if (!success) throw new Error(`Cannot copy the sources from ${root}`);
}

/** npm's packages from Deno's cache: there is no network to fetch them from. */
async function copyCache(target: string): Promise<void> {
  const info = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  const { npmCache } = JSON.parse(new TextDecoder().decode(info.stdout));
  await Deno.mkdir(target);
  const { success } = await new Deno.Command("cp", { args: ["-r", npmCache, `${target}/npm`] }).output();
  if (!success) throw new Error(`Cannot copy ${npmCache}`);
}
