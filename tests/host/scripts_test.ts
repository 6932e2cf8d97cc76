/** scripts/common.sh, in a PATH that holds only what each test puts there. */
import { assertEquals, assertMatch } from "@std/assert";

const ROOT = new URL("../../", import.meta.url).pathname;
const REAL = ["id", "sed", "mktemp", "cat", "rm"];
const LAB = ["ip", "unshare", "nsenter", "setpriv", "setsid", "mount", "nft"];

/** Runs a line of shell after common.sh; `tools` maps each program's name to its script. */
async function sh(
  line: string,
  tools: Record<string, string>,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const folder = await Deno.makeTempDir();
  const put = (name: string, script: string) =>
    Deno.writeTextFile(`${folder}/${name}`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  for (const name of REAL) await put(name, `PATH=/usr/bin:/bin exec ${name} "$@"`);
  for (const [name, script] of Object.entries(tools)) await put(name, script.replaceAll("$FOLDER", folder));
  // common.sh looks in Debian's folders for the administrator as well; here they are empty.
  const library = (await Deno.readTextFile(`${ROOT}scripts/common.sh`)).replaceAll(':/usr/sbin:/sbin"', '"');
  await Deno.writeTextFile(`${folder}/common.sh`, library);
  const output = await new Deno.Command("/bin/sh", {
    args: ["-euc", `. ${folder}/common.sh; ${line}`, "demo"],
    env: { PATH: folder },
    clearEnv: true,
  }).output();
  await Deno.remove(folder, { recursive: true });
  const decoder = new TextDecoder();
  return { code: output.code, stdout: decoder.decode(output.stdout), stderr: decoder.decode(output.stderr) };
}

const all = (names: string[]) => Object.fromEntries(names.map((name) => [name, ":"]));
const without = (tools: Record<string, string>, name: string) =>
  Object.fromEntries(Object.entries(tools).filter(([key]) => key !== name));
const asUser = { id: "echo 1000" };
const asRoot = { id: "echo 0" };

Deno.test("scripts: nothing is said where nothing is lacking", async () => {
  assertEquals(await sh("need_network_tools; find_deno", { ...all(LAB), deno: "echo deno 2.7.0" }), {
    code: 0,
    stdout: "",
    stderr: "",
  });
});

Deno.test("scripts: an ordinary user is told what to install", async () => {
  const { code, stderr } = await sh("need_network_tools", { ...asUser, unshare: ":" });
  assertEquals([code, stderr.trim().split("\n").length], [1, 1]);
  assertMatch(stderr, /^demo: .* sudo apt-get install -y iproute2 iptables$/m);
});

Deno.test("scripts: root gets it installed", async () => {
  const lacking = { ...without(all(LAB), "ip"), ...asRoot };
  const done = await sh("need_network_tools", { ...lacking, "apt-get": 'echo "apt-get $*"' });
  assertEquals(done.code, 0);
  assertMatch(done.stderr, /installing iproute2\n[^]*^apt-get .* install iproute2$/m);
  const failing = await sh("need_network_tools", { ...lacking, "apt-get": "exit 100" });
  assertEquals(failing.code, 1);
  assertMatch(failing.stderr, /could not install iproute2$/m);
});

Deno.test("scripts: iptables will do instead of nft", async () => {
  const tools = { ...without(all(LAB), "nft"), ...asUser, iptables: ":" };
  assertEquals((await sh("need_network_tools", tools)).code, 0);
});

Deno.test("scripts: a Deno that is too old, or none, is fetched by npx", async () => {
  const line = "find_deno; echo $PATH; cat ${PATH%%:*}/asked";
  const olds: Record<string, string>[] = [{}, { deno: "echo 'deno 2.6.9 (stable)'" }, {
    deno: "echo 'deno 1.46.3'",
  }];
  for (const old of olds) {
    const found = await sh(line, { ...old, npx: 'echo "$@" > $FOLDER/asked; echo $FOLDER/cat' });
    assertEquals(found.code, 0, found.stderr);
    assertMatch(found.stdout, /-y deno@2\.7\.11 eval/);
    const lost = await sh(line, { ...old, npx: "echo /nowhere/deno" });
    assertEquals([lost.code, lost.stderr.trim().split("\n").length], [1, 1]);
    assertMatch(lost.stderr, /^demo: npx could not fetch Deno 2\.7\.11/);
  }
});

Deno.test("scripts: neither Deno nor npx is one sentence", async () => {
  const { code, stderr } = await sh("find_deno", asUser);
  assertEquals([code, stderr.trim().split("\n").length], [1, 1]);
  assertMatch(stderr, /^demo: there is neither Deno 2\.7 or newer nor npx/);
});

Deno.test("scripts: newer Denos will do", async () => {
  for (const version of ["2.7.11", "2.10.0", "3.0.0-rc.1"]) {
    assertEquals((await sh("find_deno", { deno: `echo 'deno ${version} (stable)'` })).code, 0);
  }
});
