/** Debian's source packages, without touching the machine's own list of sources. */

/** Runs a program in `folder`; throws with the last line it complained with. */
async function run(folder: string, words: readonly string[]): Promise<void> {
  const [program, ...args] = words;
  const { success, stderr } = await new Deno.Command(program, { args, cwd: folder, stdin: "null" }).output();
  if (success) return;
  const complaint = new TextDecoder().decode(stderr).trim().split("\n").at(-1);
  throw new Error(`${program}: ${complaint}`);
}

/** The machine's own sources, for source packages instead of compiled ones. */
function copySources(folder: string): void {
  const copy = (from: string, to: string, change: (text: string) => string) => {
    try {
      Deno.writeTextFileSync(to, change(Deno.readTextFileSync(from)));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  };
  const oneLine = (text: string) => text.replaceAll(/^deb(?=\s)/gm, "deb-src");
  const stanza = (text: string) => text.replaceAll(/^Types:.*$/gm, "Types: deb-src");
  copy("/etc/apt/sources.list", `${folder}/sources.list`, oneLine);
  for (const { name } of Deno.readDirSync("/etc/apt/sources.list.d")) {
    const from = `/etc/apt/sources.list.d/${name}`;
    if (name.endsWith(".list")) copy(from, `${folder}/parts/${name}`, oneLine);
    if (name.endsWith(".sources")) copy(from, `${folder}/parts/${name}`, stanza);
  }
}

/** The folder with the unpacked original source of a package, below `folder`; fetched once. Throws when it cannot be had. */
export async function fetchDebianSource(name: string, folder: string): Promise<string> {
  const unpacked = `${folder}/unpacked`;
  try {
    if (Deno.statSync(`${unpacked}/complete`).isFile) return unpacked;
  } catch {
    // Not fetched yet.
  }
  for (const each of ["parts", "lists/partial", "archives/partial"]) {
    await Deno.mkdir(`${folder}/${each}`, { recursive: true });
  }
  copySources(folder);
  const apt = [
    ["Dir::Etc::sourcelist", `${folder}/sources.list`],
    ["Dir::Etc::sourceparts", `${folder}/parts`],
    ["Dir::State::lists", `${folder}/lists`],
    ["Dir::Cache", folder],
    ["APT::Sandbox::User", "root"],
  ].flatMap(([key, value]) => ["-o", `${key}=${value}`]);
  await run(folder, ["apt-get", ...apt, "update"]);
  await run(folder, ["apt-get", ...apt, "source", "--download-only", name]);
  const archive = [...Deno.readDirSync(folder)].find((entry) => entry.name.includes(".orig.tar"));
  if (archive === undefined) throw new Error(`apt-get brought no source of ${name}`);
  await Deno.mkdir(unpacked, { recursive: true });
  await run(folder, ["tar", "xf", archive.name, "--strip-components=1", "-C", unpacked]);
  await Deno.writeTextFile(`${unpacked}/complete`, "");
  return unpacked;
}
