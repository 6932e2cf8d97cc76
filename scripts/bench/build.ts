/** Compiles what is measured beside us, and what we are measured with, into .cache/bench. */

const here = import.meta.dirname!;
const cache = `${here}/../../.cache/bench`;

/** Runs a compiler; throws with what it said. */
export async function compile(words: readonly string[], options: Deno.CommandOptions = {}): Promise<void> {
  const [program, ...args] = words;
  const { success, stderr } = await new Deno.Command(program, { args, stdin: "null", ...options }).output();
  if (!success) throw new Error(`${words.join(" ")} failed:\n${new TextDecoder().decode(stderr).trim()}`);
}

/** The folder for what is compiled. */
export async function cacheFolder(): Promise<string> {
  await Deno.mkdir(cache, { recursive: true });
  return await Deno.realPath(cache);
}

/** Compiles the kernel-side peer; its path. Takes less than a second, so it is done every time. */
export async function buildPeer(): Promise<string> {
  const output = `${await cacheFolder()}/peer`;
  const sources = ["main", "serve", "bulk", "requests", "connections", "ping"];
  const files = sources.map((name) => `${here}/peer/${name}.c`);
  await compile(["cc", "-O2", "-Wall", "-Wextra", "-std=gnu11", "-o", output, ...files]);
  return output;
}
