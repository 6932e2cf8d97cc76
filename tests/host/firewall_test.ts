import { assertEquals } from "@std/assert";
import type { Run } from "../../lib/host/command.ts";
import {
  firewallSteps,
  iptablesCommand,
  iptablesRules,
  nftRules,
  readMasquerades,
  undoIptables,
  undoNftRule,
  undoNftTable,
} from "../../lib/host/firewall.ts";

const passage = { tap: "tap0", iface: "enp0s3", network: "10.0.0.0/24" };

/** A host whose tools answer from a table of command lines; anything else fails with `otherwise`. */
function host(answers: Record<string, string>, otherwise = "no"): Run {
  return (words) => {
    const stdout = answers[words.join(" ")];
    return Promise.resolve(
      stdout === undefined ? { code: 1, stdout: "", stderr: otherwise } : { code: 0, stdout, stderr: "" },
    );
  };
}

const NFT_LISTING = `table ip lvl_ip { # handle 3
\tchain forward { # handle 1
\t\ttype filter hook forward priority filter; policy accept;
\t\tiifname "tap0" oifname "enp0s3" accept # handle 7
\t\tiifname "enp0s3" oifname "tap0" ct state established,related accept # handle 8
\t}
\tchain postrouting { # handle 2
\t\ttype nat hook postrouting priority srcnat; policy accept;
\t\tip saddr 10.0.0.0/24 oifname "enp0s3" masquerade # handle 9
\t}
}
`;
const LIST = "nft -a list table ip lvl_ip";
const NONE = "Error: No such file or directory";

Deno.test("iptables: rules that are there are not added, nor looked for without root", async () => {
  const [forward, , masquerade] = iptablesRules(passage);
  const there = host({ [iptablesCommand("-C", forward).join(" ")]: "" });
  const steps = await firewallSteps("iptables", passage, true, there);
  assertEquals(steps.map((step) => step.commands[0].slice(0, 6).join(" ")), [
    "iptables -w -t filter -I FORWARD",
    "iptables -w -t nat -A POSTROUTING",
  ]);
  assertEquals(steps[1].commands[0], iptablesCommand("-A", masquerade));
  assertEquals((await firewallSteps("iptables", passage, false, there)).length, 3);
});

Deno.test("iptables: a rule that is gone needs no undoing", async () => {
  const [rule] = iptablesRules(passage);
  assertEquals(await undoIptables(rule, host({})), []);
  const there = host({ [iptablesCommand("-C", rule).join(" ")]: "" });
  assertEquals(await undoIptables(rule, there), [iptablesCommand("-D", rule)]);
});

Deno.test("nft: a table of our own, then only the rules that it lacks", async () => {
  const [table] = await firewallSteps("nft", passage, true, host({}, NONE));
  assertEquals(table.record, { kind: "nft-table" });
  assertEquals(table.commands.length, 6);
  assertEquals(await firewallSteps("nft", passage, true, host({ [LIST]: NFT_LISTING })), []);
  const other = await firewallSteps(
    "nft",
    { ...passage, iface: "wlan0" },
    true,
    host({ [LIST]: NFT_LISTING }),
  );
  assertEquals(other.map((step) => step.record.kind), ["nft-rule", "nft-rule", "nft-rule"]);
});

Deno.test("nft: a rule is undone by its handle, the table as a whole", async () => {
  const there = host({ [LIST]: NFT_LISTING });
  const [forward, back] = nftRules(passage);
  assertEquals(await undoNftRule(forward, there), [["nft", "delete rule ip lvl_ip forward handle 7"]]);
  assertEquals(await undoNftRule(back, there), [["nft", "delete rule ip lvl_ip forward handle 8"]]);
  assertEquals(await undoNftTable(there), [["nft", "delete table ip lvl_ip"]]);
  assertEquals(await undoNftRule(forward, host({}, NONE)), []);
  assertEquals(await undoNftTable(host({}, NONE)), []);
});

Deno.test("masquerades are found in both tools' listings, and nobody else's are", () => {
  const iptables = [
    "-P POSTROUTING ACCEPT",
    "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
    "-A POSTROUTING -s 10.0.0.0/24 -o enp0s3 -m comment --comment lvl-ip -j MASQUERADE",
    '-A POSTROUTING -s 10.1.0.0/24 -o wlan0 -m comment --comment "lvl-ip" -j MASQUERADE',
  ].join("\n");
  assertEquals(readMasquerades(iptables), [
    { network: "10.0.0.0/24", iface: "enp0s3" },
    { network: "10.1.0.0/24", iface: "wlan0" },
  ]);
  assertEquals(readMasquerades(NFT_LISTING), [{ network: "10.0.0.0/24", iface: "enp0s3" }]);
});
