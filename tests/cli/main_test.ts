import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import config from "../../deno.json" with { type: "json" };
import { main } from "../../lib/cli/main.ts";
import { createProgram } from "../../lib/cli/program.ts";
import { FakeIo } from "./fake_io.ts";

async function run(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  const io = new FakeIo();
  const status = await main(args, io);
  return { status, out: io.out, err: io.err };
}

/** A socket where no daemon is. */
const NOWHERE = ["--socket", "/nonexistent/lvl-ip.sock"];

Deno.test("every command has help with examples", async () => {
  const commands = createProgram(new FakeIo(), () => {}).commands.map((command) => command.name());
  assert(commands.length >= 7);
  for (const command of [...commands.filter((name) => name !== "lab-peer"), "complete"]) {
    const { status, out, err } = await run(command, "--help");
    assertEquals([status, err], [0, ""], command);
    assertStringIncludes(out, `Usage: lvl-ip ${command}`);
    assertMatch(out, /\nExamples:\n {2}\S/, command);
    for (const line of out.split("\n")) assert(line.length <= 80, line);
  }
});

Deno.test("help lists the commands, and not those that the lab starts", async () => {
  const { status, out } = await run("--help");
  assertEquals(status, 0);
  for (const name of ["lab", "daemon", "ping", "connect", "status", "setup-net", "doctor", "complete"]) {
    assertMatch(out, new RegExp(`^  ${name} `, "m"));
  }
  assert(!out.includes("lab-peer"));
  assertStringIncludes((await run("help", "ping")).out, "Usage: lvl-ip ping");
});

Deno.test("the version is deno.json's", async () => {
  assertEquals(await run("--version"), { status: 0, out: `${config.version}\n`, err: "" });
});

Deno.test("no command: the help, as an error", async () => {
  const { status, out, err } = await run();
  assertEquals([status, out], [2, ""]);
  assertMatch(err, /^Usage: lvl-ip/);
});

Deno.test("usage errors exit with 2, name what was meant and where help is", async () => {
  const cases: [string[], string][] = [
    [["pnig"], "lvl-ip: unknown command 'pnig'; did you mean ping?\nSee: lvl-ip --help\n"],
    [["ping", "--cuont", "3", "h"], "lvl-ip: unknown option '--cuont'; did you mean --count?\n"],
    [["ping"], "lvl-ip: missing required argument 'host'\nSee: lvl-ip ping --help\n"],
    [["ping", "a", "b"], "lvl-ip: too many arguments for 'ping'"],
    [["ping", "-c", "0", "h"], "argument '0' is invalid. It must be a whole number of 1 or more."],
    [["ping", "-s", "65508", "h"], "It must be a whole number from 0 to 65507."],
    [["ping", "-t", "256", "h"], "It must be a whole number from 1 to 255."],
    [["ping", "-i", "-1", "h"], "It must be seconds"],
    [["ping", "-W", "1e3", "h"], "It must be seconds"],
    [["connect", "h"], "lvl-ip: argument 'h' is invalid for <host:port>. It must be HOST:PORT"],
    [["connect", "h:0"], "It must be HOST:PORT with a port from 1 to 65535"],
    [["connect", "h:65536"], "It must be HOST:PORT"],
    [["daemon", "--log-level", "loud"], "Allowed choices are error, warn, info, debug."],
    [["daemon", "--addr", "10.0.0.4"], "--addr 10.0.0.4 is no address"],
    [["daemon", "--impair", "los=1%"], "known are loss"],
    [["lab", "--impair", "loss=101%"], "lvl-ip: option '--impair <spec>'"],
    [["lab", "bash", "-l"], "unknown option '-l'"],
    [["complete", "tcsh"], "only for bash, zsh, fish and powershell"],
  ];
  for (const [args, words] of cases) {
    const { status, out, err } = await run(...args);
    assertEquals([status, out], [2, ""], args.join(" "));
    assertStringIncludes(err, words);
    assertMatch(err, /^lvl-ip: /);
  }
});

Deno.test("without a daemon, every client says so and how to start one", async () => {
  for (const args of [["ping", "8.8.8.8"], ["connect", "8.8.8.8:80"], ["status"]]) {
    const { status, out, err } = await run(...args, ...NOWHERE);
    assertEquals([status, out], [args[0] === "ping" ? 2 : 1, ""]);
    assertMatch(
      err,
      /^lvl-ip: No lvl-ip daemon answers at \/nonexistent\/lvl-ip.sock \(no socket there\); start one with `.* daemon --socket \/nonexistent\/lvl-ip\.sock`, or see it all in a private internet with `.* lab`\n$/,
    );
  }
});

Deno.test("a name that is not known is one sentence", async () => {
  const { status, err } = await run("ping", "", ...NOWHERE);
  assertEquals(status, 2);
  assertMatch(err, /^lvl-ip: [^\n]+\n$/);
});
