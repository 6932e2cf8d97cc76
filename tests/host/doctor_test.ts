import { assertEquals, assertStringIncludes } from "@std/assert";
import { type Check, diagnose, type DoctorFacts } from "../../lib/host/doctor.ts";
import { formatDiagnosis } from "../../lib/cli/doctor.ts";
import type { Link } from "../../lib/host/links.ts";
import { makeStyle } from "../../lib/host/style.ts";

const spell = {
  asRoot: (args: readonly string[]) => `sudo lvl-ip ${args.join(" ")}`,
  own: (args: readonly string[]) => `lvl-ip ${args.join(" ")}`,
  apt: (packages: readonly string[]) => `sudo apt-get install ${packages.join(" ")}`,
  sudo: "sudo ",
};

const tap0: Link = {
  name: "tap0",
  up: true,
  carrier: false,
  mtu: 1500,
  addresses: ["10.0.0.5/24"],
  tun: { type: "tap", persistent: true, user: "alice" },
};
const enp0s3: Link = { ...tap0, name: "enp0s3", addresses: ["10.0.2.15/24"], tun: null };

/** An ordinary user after setup-net, with everything in order. */
function facts(change: Partial<DoctorFacts> = {}): DoctorFacts {
  return {
    user: { uid: 1000, name: "alice" },
    netAdmin: false,
    tun: { access: "ok", detail: "" },
    missingTools: [],
    firewall: "nft",
    namespaces: null,
    ipForward: "1",
    masquerades: [{ network: "10.0.0.0/24", iface: "enp0s3" }],
    tap: "tap0",
    links: [tap0, enp0s3],
    defaultInterface: "enp0s3",
    names: { servers: ["9.9.9.9"], source: "/etc/resolv.conf", unreachable: [] },
    daemon: { pid: 7, address: "10.0.0.4", device: "tap0" },
    ...change,
  };
}

const judge = (change: Partial<DoctorFacts>) => {
  const { possible, checks } = diagnose(facts(change), spell);
  const find = (name: string): Check => checks.find((check) => check.name === name)!;
  return {
    possible,
    find,
    notOk: checks.filter((check) => check.status !== "ok").map((check) => check.name),
  };
};

Deno.test("doctor: nothing to complain of after setup-net", () => {
  const { possible, notOk } = judge({});
  assertEquals(possible, { lab: true, daemon: true });
  assertEquals(notOk, []);
});

Deno.test("doctor: without the TUN device nothing runs", () => {
  for (const access of ["missing", "denied", "no-driver"] as const) {
    const { possible, find } = judge({ tun: { access, detail: "why" } });
    assertEquals(possible, { lab: false, daemon: false });
    assertEquals(find("/dev/net/tun").status, "fail");
    assertStringIncludes(find("/dev/net/tun").mend ?? "", "sudo ");
  }
});

Deno.test("doctor: an ordinary user without a TAP can run the lab, and is told of setup-net", () => {
  const { possible, find } = judge({ links: [enp0s3], masquerades: null });
  assertEquals(possible, { lab: true, daemon: false });
  assertEquals(find("TAP tap0").status, "warn");
  assertEquals(find("privileges").mend, "sudo lvl-ip setup-net --iface enp0s3");
  assertEquals(find("masquerade").mend, "sudo lvl-ip doctor");
});

Deno.test("doctor: neither namespaces nor a TAP is a failure", () => {
  const { possible, find } = judge({
    links: [],
    namespaces: { problem: "denied", mend: "sudo sysctl -w x=1" },
  });
  assertEquals(possible, { lab: false, daemon: false });
  assertEquals([find("namespaces").status, find("namespaces").mend], ["fail", "sudo sysctl -w x=1"]);
  assertEquals(find("privileges").status, "fail");
});

Deno.test("doctor: another's TAP is of no use, a TAP that is down is mended", () => {
  const theirs = { ...tap0, tun: { type: "tap", persistent: true, user: "bob" } };
  assertEquals(judge({ links: [theirs, enp0s3] }).possible, { lab: true, daemon: false });
  const down = judge({ links: [{ ...tap0, up: false }, enp0s3] });
  assertEquals(down.find("TAP tap0").status, "warn");
  assertEquals(down.possible.daemon, true);
});

Deno.test("doctor: packets larger than the way out, no forwarding, no rules, no daemon: warnings with their mends", () => {
  const { find, notOk } = judge({
    links: [tap0, { ...enp0s3, mtu: 1400 }],
    ipForward: "0",
    masquerades: [],
    daemon: { problem: "No lvl-ip daemon answers" },
  });
  assertEquals(notOk, ["MTU", "ip_forward", "masquerade", "daemon"]);
  assertEquals(find("MTU").mend, "sudo ip link set dev tap0 mtu 1400");
  assertEquals(find("daemon").mend, "lvl-ip daemon");
});

Deno.test("doctor: missing tools are named with their packages", () => {
  const { possible, find } = judge({ missingTools: ["nsenter"], firewall: null });
  assertEquals(possible, { lab: false, daemon: true });
  assertEquals(find("tools").detail, "not installed: nsenter, nft or iptables");
  assertStringIncludes(find("tools").mend ?? "", "nftables");
});

Deno.test("doctor: the table is aligned and ends with the verdict", () => {
  const text = formatDiagnosis(diagnose(facts({ ipForward: "0" }), spell), makeStyle(false, false, false));
  const lines = text.split("\n");
  assertEquals(lines[0], "ok    /dev/net/tun  opens");
  assertEquals(lines[6], "warn  ip_forward    off: the stack reaches this host, nothing beyond");
  assertEquals(lines[7], "                    mend: sudo lvl-ip setup-net --iface enp0s3");
  assertEquals(lines.at(-1), "A run is possible: lvl-ip lab, lvl-ip daemon");
});

Deno.test("doctor: name servers that the stack can ask, or how to name one", () => {
  const source = "/etc/resolv.conf";
  const check = (servers: string[], unreachable: string[], change: Partial<DoctorFacts> = {}) => {
    const { status, detail, mend } = judge({ names: { servers, source, unreachable }, ...change }).find(
      "name servers",
    );
    return [status, detail, mend];
  };
  assertEquals(check(["9.9.9.9", "1.1.1.1"], ["::1"]), [
    "ok",
    "9.9.9.9, 1.1.1.1, of /etc/resolv.conf",
    undefined,
  ]);
  assertEquals(check([], []), ["warn", "/etc/resolv.conf names none", "lvl-ip daemon --dns 8.8.8.8"]);
  assertEquals(check([], ["127.0.0.53"], { links: [] }), [
    "warn",
    "the stack cannot reach 127.0.0.53 of /etc/resolv.conf",
    "sudo lvl-ip daemon --dns 8.8.8.8",
  ]);
});
