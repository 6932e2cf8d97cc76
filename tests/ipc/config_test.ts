import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { CommandError } from "../../lib/cli/errors.ts";
import { type DaemonOptions, readConfig } from "../../lib/daemon/config.ts";
import { socketPaths } from "../../lib/ipc/paths.ts";
import { formatIp, formatMac } from "../../lib/wire/address.ts";

Deno.test("the defaults are those of the README", () => {
  const config = readConfig({});
  assertEquals(formatIp(config.address), "10.0.0.4");
  assertEquals(formatIp(config.gateway), "10.0.0.5");
  assertEquals(formatMac(config.mac), "02:00:0a:00:00:04");
  assertEquals([config.prefixLength, config.tap, config.gid, config.mtu], [24, "tap0", -1, undefined]);
});

Deno.test("a gateway may have its prefix length, and 31-bit networks have no broadcast", () => {
  assertEquals(formatIp(readConfig({ gateway: "10.0.0.7/24" }).gateway), "10.0.0.7");
  const config = readConfig({ addr: "10.0.0.4/31", gateway: "10.0.0.5" });
  assertEquals(config.prefixLength, 31);
});

Deno.test("what cannot be is a usage error in one sentence that says what would do", () => {
  const cases: [DaemonOptions, string][] = [
    [{ addr: "10.0.0.4" }, "--addr 10.0.0.4/24"],
    [{ addr: "10.0.0.255/24" }, "--addr 10.0.0.4/24"],
    [{ addr: "224.0.0.1/24" }, "--addr 10.0.0.4/24"],
    [{ gateway: "gw" }, "--gateway 10.0.0.5"],
    [{ gateway: "10.0.1.5" }, "--gateway 10.0.0.5"],
    [{ gateway: "10.0.0.4" }, "--gateway 10.0.0.5"],
    [{ gateway: "10.0.0.255" }, "--gateway 10.0.0.5"],
    [{ addr: "10.1.0.4/24" }, "--gateway 10.1.0.5"],
    [{ addr: "10.0.1.254/24", gateway: "1.1.1.1" }, "--gateway 10.0.1.253"],
    [{ mac: "ff:ff:ff:ff:ff:ff" }, "--mac 02:"],
    [{ mac: "nonsense" }, "--mac 02:"],
    [{ mtu: 100 }, "576 to 65535"],
    [{ logLevel: "loud" as "info" }, "error, warn, info, debug"],
    [{ impair: "loss=200%" }, "loss"],
    [{ group: "no-such-group" }, "groupadd no-such-group"],
  ];
  for (const [options, words] of cases) {
    const error = assertThrows(() => readConfig(options), CommandError);
    assertStringIncludes(`${error.message} ${error.mend}`, words);
    assertEquals(error.status, 2);
  }
});

Deno.test("a group is found by name and by number", () => {
  assertEquals(readConfig({ group: "4711" }).gid, 4711);
  assertEquals(readConfig({ group: "root" }).gid, 0);
});

Deno.test("the socket's places: the one asked for, else the variable's, else the usual two in order", () => {
  const earlier = ["LVLIP_SOCKET", "XDG_RUNTIME_DIR"].map((name) => [name, Deno.env.get(name)] as const);
  try {
    Deno.env.delete("LVLIP_SOCKET");
    Deno.env.set("XDG_RUNTIME_DIR", "/run/user/7");
    assertEquals(socketPaths(), ["/run/lvl-ip/lvl-ip.sock", "/run/user/7/lvl-ip/lvl-ip.sock"]);
    Deno.env.set("LVLIP_SOCKET", "/tmp/a");
    assertEquals(socketPaths(), ["/tmp/a"]);
    assertEquals(socketPaths("/tmp/b"), ["/tmp/b"]);
  } finally {
    for (const [name, value] of earlier) {
      value === undefined ? Deno.env.delete(name) : Deno.env.set(name, value);
    }
  }
});
