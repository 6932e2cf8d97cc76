/** The smaller parts of lib/host. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { findTool, HostError, mustRun, requireTools, shellQuote } from "../../lib/host/command.ts";
import { neighbourOf, networkOf, overlaps, parseLinks, readCidr } from "../../lib/host/links.ts";
import { LabReport } from "../../lib/host/lab_report.ts";
import { readState, writeState } from "../../lib/host/setup_state.ts";
import { formatBytes, formatDuration, formatRate, makeStyle } from "../../lib/host/style.ts";
import { mayOpen } from "../../lib/host/tun_node.ts";
import { readSize } from "../../lib/cli/lab.ts";

Deno.test("command: words are quoted so that a shell gives them back", async () => {
  const words = ["a", "b c", "it's", "", "$HOME", "x=1", "{ ; }"];
  const script = `printf '%s\\n' ${shellQuote(words)}`;
  assertEquals((await mustRun(["sh", "-c", script])).split("\n"), [...words, ""]);
});

Deno.test("command: a failure is one sentence with the command and its complaint", async () => {
  await assertRejects(
    () => mustRun(["sh", "-c", "echo no such luck >&2; exit 3"]),
    HostError,
    "echo no such luck >&2; exit 3'`: no such luck",
  );
  await assertRejects(() => mustRun(["false"]), HostError, "exit status 1");
  await assertRejects(() => mustRun(["no-such-tool-here"]), HostError, "no-such-tool-here is not installed");
});

Deno.test("command: missing tools are named together, with their packages", () => {
  assertThrows(() => requireTools(["sh", "not-a", "not-b"]), HostError, "not-a and not-b are not installed");
  assertEquals(findTool("not-a"), null);
  assert(findTool("sh"));
});

Deno.test("links: what ip(8) says of a TAP, of a cable, and BusyBox's lack of JSON", () => {
  const [tap, cable] = parseLinks(JSON.stringify([
    {
      ifname: "tap0",
      flags: ["NO-CARRIER", "BROADCAST", "UP"],
      mtu: 1500,
      linkinfo: { info_kind: "tun", info_data: { type: "tap", persist: true, user: 1000 } },
      addr_info: [{ family: "inet", local: "10.0.0.5", prefixlen: 24 }, {
        family: "inet6",
        local: "fe80::1",
        prefixlen: 64,
      }],
    },
    { ifname: "enp0s3", flags: ["UP"], mtu: 1400, addr_info: [] },
    {},
  ]));
  assertEquals([tap.up, tap.carrier, tap.addresses], [true, false, ["10.0.0.5/24"]]);
  assertEquals(tap.tun, { type: "tap", persistent: true, user: "1000" });
  assertEquals([cable.up, cable.carrier, cable.tun], [true, true, null]);
  assertThrows(() => parseLinks("1: lo: <LOOPBACK>"), HostError, "iproute2");
});

Deno.test("links: networks, neighbours and overlaps", () => {
  const gateway = readCidr("10.0.0.5/24", "--gateway");
  assertEquals(networkOf(gateway), "10.0.0.0/24");
  assertEquals(neighbourOf(gateway), "10.0.0.4/24");
  assertEquals(neighbourOf(readCidr("10.0.0.1/24", "")), "10.0.0.2/24");
  assertEquals(readCidr("192.168.1.9", "").text, "192.168.1.9/24");
  assertEquals(overlaps(gateway, readCidr("10.0.0.200/25", "")), true);
  assertEquals(overlaps(gateway, readCidr("10.0.1.5/24", "")), false);
  for (const text of ["10.0.0", "10.0.0.5/33", "10.0.0.5/", "10.0.0.5/24/1", "x"]) {
    assertThrows(() => readCidr(text, "--gateway"), HostError, "--gateway must be");
  }
});

Deno.test("tun node: permission bits decide as the kernel does", () => {
  const node = (mode: number) => ({ mode, uid: 7, gid: 8 });
  assertEquals(mayOpen(node(0), 0, []), true);
  assertEquals(mayOpen(node(0o600), 7, []), true);
  assertEquals(mayOpen(node(0o660), 9, [8]), true);
  assertEquals(mayOpen(node(0o606), 9, [8]), false);
  assertEquals(mayOpen(node(0o666), 9, [1]), true);
  assertEquals(mayOpen(node(0o664), 9, [1]), false);
});

Deno.test("state: kept, emptied, and not believed when another could have written it", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/state.json`;
  assertEquals(await readState(path), []);
  await writeState(path, [{ kind: "nft-table" }]);
  assertEquals(await readState(path), [{ kind: "nft-table" }]);
  await Deno.chmod(path, 0o666);
  await assertRejects(() => readState(path), HostError, "could have been written by another user");
  await Deno.chmod(path, 0o600);
  await Deno.writeTextFile(path, '{"version": 2}');
  await assertRejects(() => readState(path), HostError, "cannot be understood");
  await writeState(path, []);
  await assertRejects(() => Deno.stat(path), Deno.errors.NotFound);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("style: sizes, rates and times for people", () => {
  assertEquals(["999", "1000", "100000000"].map((size) => formatBytes(Number(size))), [
    "999 bytes",
    "1 kB",
    "100 MB",
  ]);
  assertEquals(formatRate(125_000_000, 800), "1,250 Mbit/s");
  assertEquals(formatRate(1000, 1000), "8.0 kbit/s");
  assertEquals(formatRate(1000, 0), "0.0 kbit/s");
  assertEquals([formatDuration(38.4), formatDuration(2410)], ["38 ms", "2.41 s"]);
});

Deno.test("lab: sizes as people write them", () => {
  assertEquals([readSize(5), readSize("100M"), readSize("1.5GB"), readSize("10 kB")], [5, 1e8, 1.5e9, 1e4]);
  for (const text of ["", "0", "-1", "M", "1e9", "2TB"]) {
    assertThrows(() => readSize(text), HostError, "--size must be");
  }
});

function say(json: boolean, tell: (report: LabReport) => void): string {
  let text = "";
  const sink = {
    writeSync(bytes: Uint8Array) {
      text += new TextDecoder().decode(bytes);
      return bytes.length;
    },
  };
  tell(new LabReport(sink, makeStyle(false, false, false), json));
  return text;
}

Deno.test("report: aligned lines for people, and a verdict", () => {
  const text = say(false, (report) => {
    report.progress(1, 2, 3);
    report.result({ name: "one", ok: true, detail: "it works", milliseconds: 12 });
    report.result({ name: "two", ok: false, detail: "it does not", milliseconds: 1234 });
    assertEquals(report.summary(false), false);
  });
  const [one, two, , verdict] = text.split("\n");
  assertEquals(one, `  ok    it works${" ".repeat(57)} 12 ms`);
  assertEquals([one.length, two.length], [79, 79]);
  assertEquals(verdict, "1 of 2 steps failed: two.");
});

Deno.test("report: one JSON object a line", () => {
  const text = say(true, (report) => {
    report.heading("title", []);
    report.command(["x"]);
    report.output("one", "a line");
    report.result({ name: "one", ok: true, detail: "it works", milliseconds: 12.3 });
    assertEquals(report.summary(false), true);
  });
  const events = text.trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(events.map((event) => event.event), ["output", "step", "summary"]);
  assertEquals(events[1].milliseconds, 12);
  assertEquals([events[2].ok, events[2].failed], [true, []]);
});
