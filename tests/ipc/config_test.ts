import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { CommandError } from "../../lib/cli/errors.ts";
import { type DaemonOptions, readConfig } from "../../lib/daemon/config.ts";
import { socketPaths } from "../../lib/ipc/paths.ts";
import { formatIp, formatMac } from "../../lib/wire/address.ts";

Deno.test("the defaults are those of the README", () => {
  const config = readConfig({});
  const [{ address, prefixLength, gateway, hostAddress, mac, mtu, tap }, ...more] = config.interfaces;
  assertEquals(more, []);
  assertEquals([formatIp(address), formatIp(gateway), formatIp(hostAddress)], [
    "10.0.0.4",
    "10.0.0.5",
    "10.0.0.5",
  ]);
  assertEquals(formatMac(mac), "02:00:0a:00:00:04");
  assertEquals([config.busyPollUs, readConfig({ busyPoll: 0 }).busyPollUs], [50, 0]);
  assertEquals([prefixLength, tap, config.gid, mtu], [24, "tap0", -1, undefined]);
  assertEquals([config.forwarding, config.acceptRedirects], [false, false]);
});

Deno.test("name servers and search list, in one word or several; those of resolv.conf without", () => {
  const { dns, dnsSearch } = readConfig({
    dns: ["8.8.8.8,1.1.1.1", "10.0.0.5"],
    dnsSearch: ["Example.org,lan"],
  });
  assertEquals([dns.map(formatIp), dnsSearch], [["8.8.8.8", "1.1.1.1", "10.0.0.5"], ["example.org", "lan"]]);
  assertEquals([readConfig({}).dns, readConfig({}).dnsSearch], [[], null]);
  for (const wrong of [{ dns: ["localhost"] }, { dns: ["127.0.0.53"] }, { dnsSearch: ["a b"] }]) {
    assertThrows(() => readConfig(wrong), CommandError, "--dns");
  }
});

Deno.test("a gateway may have its prefix length, and 31-bit networks have no broadcast", () => {
  assertEquals(formatIp(readConfig({ gateway: "10.0.0.7/24" }).interfaces[0].gateway), "10.0.0.7");
  const config = readConfig({ addr: "10.0.0.4/31", gateway: "10.0.0.5" });
  assertEquals(config.interfaces[0].prefixLength, 31);
  assertEquals(readConfig({ gateway: "none" }).interfaces[0].hostAddress, 0);
});

Deno.test("more interfaces: TAP and address, and what else is said of them", () => {
  const more = ["tap1,10.1.0.1/24", "tap2,10.2.0.1/30,gateway=10.2.0.2,mtu=1400,mac=02:00:00:00:00:09"];
  const [, second, third] = readConfig({ interface: [...more, "tap3,10.3.0.1/24,peer=10.3.0.9"] }).interfaces;
  assertEquals([second.tap, second.gateway, second.hostAddress, second.mtu], ["tap1", 0, 0, undefined]);
  assertEquals([formatIp(third.gateway), formatIp(third.hostAddress), third.mtu, third.mac], [
    "10.2.0.2",
    "10.2.0.2",
    1400,
    0x020000000009,
  ]);
  const cases: [string[], string][] = [
    [["tap1"], "as in --interface tap1,10.1.0.1/24"],
    [["tap1,10.1.0.0/24"], "no address of a host"],
    [["tap1,10.1.0.1/24,speed=9"], "it knows gateway=, peer=, mtu= and mac="],
    [["tap1,10.1.0.1/24,mtu=9"], "576 to 65535"],
    [["tap0,10.1.0.1/24"], "tap0 is named twice"],
    [["tap1,10.0.0.4/24"], "10.0.0.4 is given to two"],
    [["tap1,10.1.0.1/24,gateway=10.2.0.2"], "lies outside"],
  ];
  for (const [words, said] of cases) {
    const error = assertThrows(() => readConfig({ interface: words }), CommandError);
    assertStringIncludes(`${error.message}; ${error.mend}`, said);
  }
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
