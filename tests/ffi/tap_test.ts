import "./open_libc.ts";
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { openTap, TapDevice, TapError } from "../../ffi/tap.ts";
import { SysError } from "../../ffi/errno.ts";
import { WakeUp } from "../../ffi/eventfd.ts";
import { runInNamespace, testInNamespace, whyNoTap } from "./namespace.ts";

testInNamespace("TAP: opening, frames both ways, errors", new URL("./tap_cases.ts", import.meta.url));
testInNamespace("TAP: checksum and segmentation offload", new URL("./tap_offload_cases.ts", import.meta.url));
testInNamespace(
  "TAP: the kernel's side by ioctl and netlink",
  new URL("./interface_cases.ts", import.meta.url),
);

Deno.test("a name that no interface can have is refused before anything is opened", () => {
  for (const name of ["", "a-name-of-16-byte", "with space", "a/b", "a:b", "."]) {
    const error = assertThrows(() => openTap({ name }), TapError, "a name has 1 to 15 bytes");
    assertEquals(error.reason, "name");
  }
});

Deno.test("a descriptor that is no TAP's is refused", () => {
  const wake = new WakeUp();
  const error = assertThrows(() => TapDevice.fromFd(wake.fd), SysError, "Cannot use descriptor");
  assertEquals(error.name, "ENOTTY");
  wake.close();
});

Deno.test({
  name: "without /dev/net/tun the error says so",
  ignore: whyNoTap() !== null,
  fn: async () => {
    // An empty /dev in a mount namespace of its own is a machine without the node.
    const script = `
      import { openTap } from "${new URL("../../ffi/tap.ts", import.meta.url)}";
      try { openTap({ name: "tap0" }); } catch (error) { console.log(error.reason, String(error)); }`;
    const { output } = await runInNamespace(["eval", script]);
    assertEquals(output, "");
    const hidden = await runHidden(script);
    assertStringIncludes(hidden, "no-node ENOENT: Cannot open TAP tap0: /dev/net/tun does not exist");
  },
});

async function runHidden(script: string): Promise<string> {
  const shell = `mount -t tmpfs none /dev/net && exec "$0" eval "$1"`;
  const { run } = await import("./namespace.ts");
  const { output } = await run(["unshare", "-Urnm", "sh", "-c", shell, Deno.execPath(), script]);
  return output;
}
