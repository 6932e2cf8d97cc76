import { assert, assertEquals, assertLess, assertStringIncludes, assertThrows } from "@std/assert";
import { capabilityNames, hasCapability, readCapabilities } from "../../ffi/capabilities.ts";
import { dropCapabilitiesByExec, setCloseOnExec, takeInherited } from "../../ffi/handover.ts";
import { SysError } from "../../ffi/errno.ts";
import { F_GETFD, FD_CLOEXEC, libc } from "../../ffi/libc.ts";
import { WakeUp } from "../../ffi/eventfd.ts";
import { run, whyNoTap } from "./namespace.ts";
import "./open_libc.ts";

const PROGRAM = new URL("./handover_program.ts", import.meta.url).pathname;
const ROOT = new URL("../../", import.meta.url).pathname;
const WORKER = new URL("./clock_worker.ts", import.meta.url).pathname;
const FFI = new URL("../../ffi/", import.meta.url).href;
const isRoot = Deno.uid() === 0;

/** As root of the machine, and as root of a user namespace, which is all that an ordinary user can be. */
const NAMESPACES: [string, string[], boolean][] = [
  ["root", ["unshare", "-n"], isRoot],
  ["a user namespace", ["unshare", "-Urn"], true],
];

/**
 * What `deno compile` puts programs on where Deno's download server is out of reach: the environment's, or the one that
 * scripts/compile.ts fetched, which is Deno 2.7.11's.
 */
const COMPILE_BASE = Deno.env.get("DENORT_BIN") ??
  (Deno.version.deno === "2.7.11" && exists(`${ROOT}.cache/denort`) ? `${ROOT}.cache/denort` : undefined);

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

async function expectNothingLeft(command: string[]): Promise<void> {
  const folder = Deno.makeTempDirSync();
  try {
    const { code, output } = await run([...command, `${folder}/socket`, "an argument"]);
    assertEquals(code, 0, output);
    const { execMs, name, ...rest } = JSON.parse(output);
    console.log(`the exec cost ${execMs} ms`);
    assertLess(execMs, 5000);
    assert(command.some((word) => word.endsWith(`/${name}`)), `named ${name}`);
    assertEquals(rest, {
      samePid: true,
      wasPrivileged: true,
      argument: "an argument",
      tap: "tap0",
      frames: rest.frames,
      mtu: 1500,
      refused: "EPERM",
      accepted: true,
      manyThreads: true,
      held: "0",
      bounding: "0",
      noNewPrivileges: true,
      forgotten: true,
    });
    assertEquals([...Deno.readDirSync(folder)].length, 0);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

for (const [who, unshare, possible] of NAMESPACES) {
  Deno.test({
    name: `as ${who}: after the exec no thread has any capability, and TAP and socket go on`,
    ignore: !possible || whyNoTap() !== null,
    fn: () => expectNothingLeft([...unshare, Deno.execPath(), "run", "-A", "--no-check", PROGRAM]),
  });
}

Deno.test({
  name: `the same for a compiled program${
    COMPILE_BASE === undefined ? " (skipped: neither DENORT_BIN nor .cache/denort)" : ""
  }`,
  ignore: COMPILE_BASE === undefined || whyNoTap() !== null,
  fn: async () => {
    const folder = Deno.makeTempDirSync();
    try {
      const out = `${folder}/program`;
      const words = ["compile", "-A", "--no-check", "--include", WORKER, "-o", out, PROGRAM];
      const { code, output } = await run(["env", `DENORT_BIN=${COMPILE_BASE}`, Deno.execPath(), ...words]);
      assertEquals(code, 0, output);
      for (const [, unshare, possible] of NAMESPACES) {
        if (possible) await expectNothingLeft([...unshare, out]);
      }
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  },
});

Deno.test("the capabilities of all threads are read, of this process and of another", () => {
  const ours = readCapabilities();
  assert(ours.length > 1);
  assert(ours.some((thread) => thread.thread === Deno.pid));
  assertEquals(readCapabilities(Deno.pid).length > 1, true);
  assertThrows(() => readCapabilities(0x7fff_ffff), Deno.errors.NotFound);
  const effective = ours.find((thread) => thread.thread === Deno.pid)?.effective ?? 0n;
  assertEquals(hasCapability("CAP_NET_ADMIN"), capabilityNames(effective).includes("CAP_NET_ADMIN"));
  assertEquals(capabilityNames(1n << 12n | 1n | 1n << 63n), ["CAP_CHOWN", "CAP_NET_ADMIN", "CAP_63"]);
  assertEquals(capabilityNames(0n), []);
});

Deno.test({
  name: "becoming another user takes the capabilities of all threads without an exec",
  ignore: !isRoot,
  fn: async () => {
    const { output } = await evaluate(`
      import { becomeUser, hasAnyCapability, hasCapability } from "${FFI}capabilities.ts";
      const before = hasCapability("CAP_NET_ADMIN");
      try { becomeUser(0, 0); } catch (error) { console.log(error.name); }
      becomeUser(65534, 65534);
      console.log(before, hasAnyCapability(), Deno.uid(), Deno.gid());`);
    assertEquals(output, "RangeError\ntrue false 65534 65534\n");
  },
});

Deno.test({
  name: "what root could no longer read without capabilities is noticed before the exec",
  ignore: !isRoot,
  fn: async () => {
    const folder = Deno.makeTempDirSync();
    try {
      const script = `${folder}/main.ts`;
      Deno.writeTextFileSync(
        script,
        `
        import { dropCapabilitiesByExec } from "${FFI}handover.ts";
        try { dropCapabilitiesByExec({ descriptors: {} }); } catch (error) { console.log(String(error)); }`,
      );
      Deno.chmodSync(folder, 0o700);
      Deno.chownSync(folder, 12_345, 12_345);
      const { output } = await run([Deno.execPath(), "run", "-A", "--no-check", script]);
      assertEquals(
        output.startsWith(
          `EACCES: Cannot give up privileges: root without CAP_DAC_OVERRIDE may not read ${script}`,
        ),
        true,
        output,
      );
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  },
});

Deno.test("descriptors handed over are named, open, and close-on-exec again", async () => {
  const wake = new WakeUp();
  setCloseOnExec(wake.fd, false);
  Deno.env.set("LVLIP_INHERIT", `tap=${wake.fd},nonsense,x=y`);
  assertEquals(takeInherited(), new Map([["tap", wake.fd]]));
  assert((libc().fcntl(wake.fd, F_GETFD, 0) & FD_CLOEXEC) !== 0);
  assertEquals(takeInherited(), null);
  wake.close();
  Deno.env.set("LVLIP_INHERIT", "tap=32000");
  assertEquals(assertThrows(() => takeInherited(), SysError).name, "EBADF");
  assertThrows(() => dropCapabilitiesByExec({ descriptors: { "a=b": 1 } }), TypeError, '"a=b"');
  const { output } = await evaluate(`
    import { dropCapabilitiesByExec } from "${FFI}handover.ts";
    try { dropCapabilitiesByExec({ descriptors: { tap: 32000 } }); } catch (error) { console.log(error.name); }`);
  assertStringIncludes(output, "EBADF");
});

/** Runs a script in a process of its own. */
function evaluate(script: string): Promise<{ code: number; output: string }> {
  return run([Deno.execPath(), "eval", script]);
}
