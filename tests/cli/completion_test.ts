import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { main } from "../../lib/cli/main.ts";
import { FakeIo } from "./fake_io.ts";

/** What the shells' scripts are told about these words, the last of which is being typed. */
async function complete(...words: string[]): Promise<{ values: string[]; directive: string }> {
  const io = new FakeIo();
  assertEquals(await main(["complete", "--", ...words], io), 0);
  const lines = io.out.trimEnd().split("\n");
  return { values: lines.slice(0, -1).map((line) => line.split("\t")[0]), directive: lines.at(-1)! };
}

Deno.test("commands, options and values are completed", async () => {
  assertEquals((await complete("")).values.sort(), [
    "addr",
    "complete",
    "connect",
    "daemon",
    "doctor",
    "forward",
    "help",
    "lab",
    "link",
    "listen",
    "neigh",
    "ping",
    "resolve",
    "route",
    "run",
    "setup-net",
    "shim",
    "socks",
    "status",
    "tracepath",
    "traceroute",
  ]);
  assertEquals(await complete("da"), { values: ["daemon"], directive: ":4" });
  assertEquals((await complete("connect", "--s")).values, ["--send", "--shutdown", "--socket"]);
  assertEquals((await complete("daemon", "--log-level", "")).values, ["error", "warn", "info", "debug"]);
  assertEquals((await complete("daemon", "--log-level=w")).values, ["warn"]);
  assertEquals((await complete("help", "st")).values, ["status"]);
  assertEquals((await complete("complete", "z")).values, ["zsh"]);
  assertEquals((await complete("route", "g")).values, ["get"]);
  assertEquals((await complete("addr", "")).values, ["show", "add", "replace", "change", "del", "flush"]);
  assert((await complete("setup-net", "--iface", "")).values.includes("lo"));
  assertEquals((await complete("ping", "8.8.8.8", "--nothing-like-it")).values, []);
});

Deno.test("files and the lab's inner command are left to the shell", async () => {
  for (const words of [["daemon", "--pcap", ""], ["daemon", "--pcap=x"], ["lab", "--", "ca"]]) {
    assertEquals(await complete(...words), { values: [], directive: ":0" });
  }
});

const CLI = new URL("../../cli.ts", import.meta.url).pathname;

/** Runs `text` in a shell that has `lvl-ip` as a function. */
async function shell(name: string, args: string[], text: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(name, {
    args: [...args, "-c", text],
    env: { LVLIP_CLI: CLI, LVLIP_DENO: Deno.execPath() },
  }).output();
  const decoder = new TextDecoder();
  assert(success, decoder.decode(stderr));
  assertEquals(decoder.decode(stderr), "");
  return decoder.decode(stdout);
}

const FUNCTION = 'lvl-ip() { "$LVLIP_DENO" run -A "$LVLIP_CLI" "$@"; }';

/** What bash offers at the end of `line`, which readline has split into `words`. */
async function bashOffers(line: string, words: string[]): Promise<string[]> {
  const quoted = words.map((word) => `'${word}'`).join(" ");
  const out = await shell(
    "bash",
    ["--norc"],
    `set -u
    ${FUNCTION}
    for twice in 1 2; do source <(lvl-ip complete bash); done
    complete -p lvl-ip > /dev/null
    COMP_LINE='${line}' COMP_POINT=${line.length} COMP_WORDS=(${quoted}) COMP_CWORD=${words.length - 1}
    COMPREPLY=()
    __lvl_ip_complete
    printf '%s\\n' "\${COMPREPLY[@]}"`,
  );
  return out.split("\n").filter((value) => value !== "");
}

Deno.test("bash completes with the script it is given", async () => {
  assertEquals(await bashOffers("lvl-ip pi", ["lvl-ip", "pi"]), ["ping"]);
  assertEquals(await bashOffers("lvl-ip connect --se", ["lvl-ip", "connect", "--se"]), ["--send"]);
});

Deno.test("bash completes a value after =, where readline splits words", async () => {
  const before = ["lvl-ip", "daemon", "--log-level"];
  assertEquals(await bashOffers("lvl-ip daemon --log-level=", [...before, "=", ""]), [
    "error",
    "warn",
    "info",
    "debug",
  ]);
  assertEquals(await bashOffers("lvl-ip daemon --log-level=de", [...before, "=", "de"]), ["debug"]);
  assertEquals(
    await bashOffers("lvl-ip connect 1.2.3.4:5 --se", [
      "lvl-ip",
      "connect",
      "1.2.3.4",
      ":",
      "5",
      "--se",
    ]),
    ["--send"],
  );
});

Deno.test("zsh and fish understand their scripts, where they are installed", async () => {
  for (const name of ["zsh", "fish"]) {
    const io = new FakeIo();
    assertEquals(await main(["complete", name], io), 0);
    assertStringIncludes(io.out, "complete --");
    const check = new Deno.Command(name, { args: ["-n"], stdin: "piped", stderr: "piped" });
    let child;
    try {
      child = check.spawn();
    } catch {
      continue;
    }
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(io.out));
    await writer.close();
    const { success, stderr } = await child.output();
    assert(success, new TextDecoder().decode(stderr));
  }
});

Deno.test("fish completes with the script it is given, where it is installed", async () => {
  try {
    await new Deno.Command("fish", { args: ["--version"] }).output();
  } catch {
    return;
  }
  const out = await shell(
    "fish",
    ["--no-config"],
    `function lvl-ip; $LVLIP_DENO run -A $LVLIP_CLI $argv; end
    lvl-ip complete fish | source
    complete -C 'lvl-ip daemon --log-level w'
    complete -C 'lvl-ip setup'`,
  );
  assertEquals(out.split("\n").map((line) => line.split("\t")[0]), ["warn", "setup-net", ""]);
});

Deno.test("PowerShell has its script", async () => {
  const io = new FakeIo();
  assertEquals(await main(["completion", "powershell"], io), 0);
  assertStringIncludes(io.out, "Register-ArgumentCompleter -CommandName 'lvl-ip'");
});
