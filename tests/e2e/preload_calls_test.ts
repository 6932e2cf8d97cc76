import { assertEquals } from "@std/assert";
import { hasNamespaces } from "../support/netns.ts";
import { hasPrograms, KERNEL, ShimWorld, STACK } from "../support/shim.ts";

/*
 * tests/ffi/preload_calls makes every call that the library stands in front of: on the kernel for reference, on the
 * stack as programs meet it, and with the sanitizers and valgrind looking on.
 */
const ignore = !hasNamespaces() || !hasPrograms("cc", "tcpdump");

const folderOf = (path: string) => decodeURIComponent(new URL(path, import.meta.url).pathname);
const CALLS = folderOf("../ffi/preload_calls/");
const LIBRARY = folderOf("../../ffi/preload/");
const FLAGS = ["-std=c11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread"];
const FORTIFIED = ["-O2", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"];

function cFiles(folder: string): string[] {
  return [...Deno.readDirSync(folder)].filter(({ name }) => name.endsWith(".c")).map(({ name }) =>
    folder + name
  );
}

async function cc(...args: string[]): Promise<void> {
  const { stderr } = await new Deno.Command("cc", { args: [...FLAGS, ...args] }).output();
  assertEquals(new TextDecoder().decode(stderr), "");
}

/** Program and library linked to each other, so that neither sanitizer nor valgrind has to be preloaded around. */
async function buildLinked(folder: string, ...flags: string[]): Promise<string> {
  const library = `${folder}/liblevelip.so`;
  await cc(...flags, "-U_FORTIFY_SOURCE", "-fPIC", "-shared", "-o", library, ...cFiles(LIBRARY), "-ldl");
  await cc(...flags, "-o", `${folder}/calls`, ...cFiles(CALLS), library, `-Wl,-rpath,${folder}`);
  return `${folder}/calls`;
}

/** A world with a name server: getaddrinfo and its like are calls too. */
async function startWithNames(): Promise<ShimWorld> {
  const world = await ShimWorld.start("--dns", KERNEL);
  const server = await world.net.spawn(["python3", folderOf("../support/dns_server.py"), KERNEL]);
  await server.waitFor("up");
  return world;
}

Deno.test({
  name: "preload: the kernel's answers and the stack's are the same",
  ignore,
  async fn() {
    await using world = await startWithNames();
    const program = `${world.directory}/calls`;
    await cc(...FORTIFIED, "-o", program, ...cFiles(CALLS));
    assertEquals(await world.net.exec([program, "kernel", "127.0.0.1"]), "all well\n");
    assertEquals(await world.exec([program, "stack", STACK]), "all well\n");
  },
});

Deno.test({
  name: "preload: address and undefined behaviour sanitizers find nothing",
  ignore,
  async fn() {
    await using world = await startWithNames();
    const program = await buildLinked(
      world.directory,
      "-fsanitize=address,undefined",
      "-fno-sanitize-recover=all",
    );
    const env = { LVLIP_SOCKET: world.socketPath };
    assertEquals(await world.net.exec([program, "stack", STACK], { env }), "all well\n");
  },
});

Deno.test({
  name: "preload: valgrind finds nothing",
  ignore: ignore || !hasPrograms("valgrind"),
  async fn() {
    await using world = await startWithNames();
    const program = await buildLinked(world.directory);
    const env = { LVLIP_SOCKET: world.socketPath, CALLS_UNDER_VALGRIND: "1" };
    const valgrind = ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full"];
    const done = await world.net.run([...valgrind, program, "stack", STACK], { env, timeoutMs: 120_000 });
    assertEquals([done.stdout, done.code], ["all well\n", 0], done.stderr);
  },
});
