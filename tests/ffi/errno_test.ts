import { assert, assertEquals, assertThrows } from "@std/assert";
import * as stackErrnos from "../../lib/errno.ts";
import * as ours from "../../ffi/errno.ts";
import { errnoName, errnoText, SysError, wouldBlock } from "../../ffi/errno.ts";
import { check, closeDescriptor, errno, libc, resultOf } from "../../ffi/libc.ts";
import { run } from "./namespace.ts";
import "./open_libc.ts";

Deno.test("names and texts are the C library's", () => {
  const library = Deno.dlopen("libc.so.6", { strerror: { parameters: ["i32"], result: "pointer" } });
  for (const [name, number] of [...Object.entries(stackErrnos), ...Object.entries(ours)]) {
    if (typeof number !== "number") continue;
    const text = library.symbols.strerror(number);
    assert(text !== null);
    assertEquals(errnoName(number), name);
    assertEquals(errnoText(number), Deno.UnsafePointerView.getCString(text));
  }
  library.close();
});

Deno.test("a number that is not listed is shown as it is", () => {
  assertEquals([errnoName(4000), errnoText(4000)], ["E4000", "Unknown error 4000"]);
});

Deno.test("errno is that of the call that has just failed", () => {
  const result = libc().close(-1);
  assertEquals([result, errno()], [-1, stackErrnos.EBADF]);
  assertEquals(resultOf(-1), -stackErrnos.EBADF);
  assertEquals([resultOf(0), resultOf(7)], [0, 7]);
  assertEquals(closeDescriptor(-1), -stackErrnos.EBADF);
  // also after the call was compiled
  for (let i = 0; i < 20_000; i++) {
    assert(libc().close(-1) === -1 && errno() === stackErrnos.EBADF);
    assert(libc().listen(0x7fff, i) === -1 && errno() === stackErrnos.EBADF);
    assert(libc().socket(-1, 1, 0) === -1 && errno() === stackErrnos.EAFNOSUPPORT);
  }
});

Deno.test("check throws what failed, with number, name and text", () => {
  const error = assertThrows(
    () => check("close", libc().close(-1)),
    SysError,
    "Cannot close: Bad file descriptor",
  );
  assertEquals([error.call, error.errno, error.name], ["close", stackErrnos.EBADF, "EBADF"]);
  assertEquals(String(error), "EBADF: Cannot close: Bad file descriptor");
  assertEquals(check("close", 3), 3);
  assertEquals([wouldBlock(-stackErrnos.EAGAIN), wouldBlock(-1), wouldBlock(0)], [true, false, false]);
});

Deno.test("nothing needs the permission until it is used, and then the runtime says so", async () => {
  const script = `
    import { libc } from "${new URL("../../ffi/libc.ts", import.meta.url)}";
    import { errnoText } from "${new URL("../../ffi/errno.ts", import.meta.url)}";
    import "${new URL("../../ffi/capabilities.ts", import.meta.url)}";
    import "${new URL("../../ffi/handover.ts", import.meta.url)}";
    import "${new URL("../../ffi/tap.ts", import.meta.url)}";
    import "${new URL("../../ffi/unix_listener.ts", import.meta.url)}";
    console.log(errnoText(111));
    try { libc(); } catch (error) { console.log(error.name); }`;
  const file = Deno.makeTempFileSync({ suffix: ".ts" });
  try {
    Deno.writeTextFileSync(file, script);
    const { output } = await run([Deno.execPath(), "run", "--no-prompt", "--no-check", file]);
    assertEquals(output, "Connection refused\nNotCapable\n");
  } finally {
    Deno.removeSync(file);
  }
});
