import "./open_libc.ts";
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { openTap, TapDevice, TapError } from "../../ffi/tap.ts";
import { SysError } from "../../ffi/errno.ts";
import { WakeUp } from "../../ffi/eventfd.ts";
import { run, testInNamespace, whyNoTap } from "./namespace.ts";

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
    const script = `
      import { openTap } from "${new URL("../../ffi/tap.ts", import.meta.url)}";
      try { openTap({ name: "tap0" }); } catch (error) { console.log(error.reason, String(error)); }`;
    // An empty /dev/net in a mount namespace of its own is a machine without the node.
    const shell = `mount -t tmpfs none /dev/net && exec "$0" eval "$1"`;
    const { output } = await run(["unshare", "-Urnm", "sh", "-c", shell, Deno.execPath(), script]);
    assertStringIncludes(output, "no-node ENOENT: Cannot open TAP tap0: /dev/net/tun does not exist");
  },
});

Deno.test({
  name: "a persistent TAP's owner attaches to it without privilege, another user is told that it is not his",
  ignore: Deno.uid() !== 0 || whyNoTap() !== null,
  fn: async () => {
    const ffi = new URL("../../ffi/", import.meta.url).href;
    const script = `
      import { openTap } from "${ffi}tap.ts";
      import { becomeUser } from "${ffi}capabilities.ts";
      const [user] = Deno.args;
      if (user === "root") openTap({ name: "tap0" }).setPersistent(true, 12345);
      else {
        becomeUser(Number(user), 12345);
        try {
          const tap = openTap({ name: "tap0" });
          console.log(user, tap.name, tap.persistent);
        } catch (error) { console.log(user, error.reason, String(error)); }
        try { openTap({ name: "tap1" }); } catch (error) { console.log(user, error.reason); }
      }`;
    // A node that all may open, as ordinary distributions have it.
    const shell = `mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200
      for user in root 12345 12346; do "$0" eval "$1" $user; done`;
    const { output } = await run(["unshare", "-nm", "sh", "-c", shell, Deno.execPath(), script]);
    assertEquals(output.split("\n"), [
      "12345 tap0 true",
      "12345 permission",
      "12346 permission EPERM: Cannot open TAP tap0: it is not this user's, and only root can make one: lvl-ip setup-net " +
      "makes one for you",
      "12346 permission",
      "",
    ]);
  },
});
