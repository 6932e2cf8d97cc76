// Run by tap_test.ts in a network namespace of its own.
import "./open_libc.ts";
import { assertEquals, assertThrows } from "@std/assert";
import { ENODEV } from "../../lib/errno.ts";
import { SysError } from "../../ffi/errno.ts";
import { configureInterface, readInterface, readInterfaces, readMtu } from "../../ffi/interface.ts";
import { openTap } from "../../ffi/tap.ts";

const ADDRESS = { address: 0xc0a80905 | 0, prefixLength: 20 };
const MAC = 0x02a1b2c3d4e5;

Deno.test("what is set is what is read back", () => {
  const tap = openTap({ name: "tap3" });
  configureInterface("tap3", { address: ADDRESS, mtu: 1400, mac: MAC, up: true, queueLength: 50 });
  const info = readInterface("tap3");
  assertEquals(info, {
    name: "tap3",
    index: info?.index ?? 0,
    up: true,
    running: true,
    loopback: false,
    mtu: 1400,
    mac: MAC,
    addresses: [ADDRESS],
    tun: { kind: "tap", persistent: false, owner: null, group: null },
  });
  assertEquals(readMtu("tap3"), 1400);
  configureInterface("tap3", { address: { address: 0x0a000005, prefixLength: 32 }, up: false });
  assertEquals(readInterface("tap3")?.addresses, [{ address: 0x0a000005, prefixLength: 32 }]);
  assertEquals(readInterface("tap3")?.up, false);
  tap.close();
});

Deno.test("all interfaces are listed, the loopback among them", () => {
  const lo = readInterfaces().find((link) => link.name === "lo");
  assertEquals([lo?.loopback, lo?.tun, lo?.index], [true, null, 1]);
});

Deno.test("a refused setting names the interface and the reason", () => {
  const missing = assertThrows(
    () => configureInterface("none0", { mtu: 1500 }),
    SysError,
    "none0: No such device",
  );
  assertEquals(missing.errno, ENODEV);
  assertThrows(() => readMtu("none0"), SysError, "Cannot read the MTU of none0");
  const tap = openTap({ name: "tap3" });
  assertThrows(() => configureInterface("tap3", { mtu: 20 }), SysError, "set the MTU of 20 bytes on tap3");
  const outside = { address: 1, prefixLength: 33 };
  assertThrows(() => configureInterface("tap3", { address: outside }), RangeError, "current value is 33");
  assertThrows(() => configureInterface("a name", { up: true }), SysError);
  tap.close();
});

Deno.test("many interfaces need several pieces of an answer", () => {
  const taps = Array.from({ length: 40 }, (_, i) => openTap({ name: `many${i}` }));
  const names = new Set(readInterfaces().map((link) => link.name));
  for (const tap of taps) {
    assertEquals(names.has(tap.name), true);
    tap.close();
  }
});
