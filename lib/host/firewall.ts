/**
 * The rules that let the stack's packets through this host: forwarding between the TAP and an interface, and
 * masquerade on that interface. With iptables or with nft, whichever the host has.
 */
import { aptCommand, findTool, HostError, mustRun, type Run, run } from "./command.ts";
import type { Step } from "./setup_plan.ts";

/** Which tool writes the rules. */
export type FirewallKind = "iptables" | "nft";

/** Between what the rules go. */
export interface Passage {
  tap: string;
  iface: string;
  /** The TAP's network, as "10.0.0.0/24". */
  network: string;
}

/** One iptables rule; `words` is what follows the chain's name. */
export interface IptablesRule {
  table: "nat" | "filter";
  chain: string;
  words: string[];
}

/** One rule of our nft table, spelled as nft lists it. */
export interface NftRule {
  chain: "postrouting" | "forward";
  rule: string;
}

export const NFT_TABLE = "lvl_ip";
const COMMENT = ["-m", "comment", "--comment", "lvl-ip"];

/**
 * The tool to use. iptables comes first where it works: a host that has it may have a FORWARD chain that drops
 * (Docker, ufw), which only a rule in that same chain can except us from. `mayTry`: without root nothing can be tried,
 * and what is there is taken to work.
 */
export async function chooseFirewall(mayTry: boolean, runner: Run = run): Promise<FirewallKind> {
  const nft = findTool("nft") !== null;
  if (findTool("iptables") === null) {
    if (nft) return "nft";
    throw new HostError("Neither nft nor iptables is installed", aptCommand(["nftables"]));
  }
  if (!nft || !mayTry) return "iptables";
  const { code } = await runner(["iptables", "-w", "-t", "nat", "-S", "POSTROUTING"]);
  return code === 0 ? "iptables" : "nft";
}

/** The rules a passage needs, for iptables. */
export function iptablesRules({ tap, iface, network }: Passage): IptablesRule[] {
  return [
    { table: "filter", chain: "FORWARD", words: ["-i", tap, "-o", iface, ...COMMENT, "-j", "ACCEPT"] },
    {
      table: "filter",
      chain: "FORWARD",
      words: [
        "-i",
        iface,
        "-o",
        tap,
        "-m",
        "conntrack",
        "--ctstate",
        "RELATED,ESTABLISHED",
        ...COMMENT,
        "-j",
        "ACCEPT",
      ],
    },
    {
      table: "nat",
      chain: "POSTROUTING",
      words: ["-s", network, "-o", iface, ...COMMENT, "-j", "MASQUERADE"],
    },
  ];
}

/** The rules a passage needs, for nft. */
export function nftRules({ tap, iface, network }: Passage): NftRule[] {
  return [
    { chain: "forward", rule: `iifname "${tap}" oifname "${iface}" accept` },
    { chain: "forward", rule: `iifname "${iface}" oifname "${tap}" ct state established,related accept` },
    { chain: "postrouting", rule: `ip saddr ${network} oifname "${iface}" masquerade` },
  ];
}

/** `verb`: -C checks, -D deletes, -I puts in front, -A at the end. */
export function iptablesCommand(verb: "-C" | "-D" | "-I" | "-A", rule: IptablesRule): string[] {
  return ["iptables", "-w", "-t", rule.table, verb, rule.chain, ...rule.words];
}

/** The steps for the rules that are not there yet. `mayRead`: without root the rules cannot be seen. */
export async function firewallSteps(
  kind: FirewallKind,
  passage: Passage,
  mayRead: boolean,
  runner: Run = run,
): Promise<Step[]> {
  return kind === "nft"
    ? nftSteps(nftRules(passage), mayRead ? await listNftTable(runner) : null)
    : await iptablesSteps(iptablesRules(passage), mayRead, runner);
}

/** What a rule does, for a person. */
function purpose(nat: boolean, index: number): string {
  if (nat) return "masquerade towards the interface";
  return index === 0 ? "forward from the TAP to the interface" : "forward the answers back";
}

async function iptablesSteps(rules: IptablesRule[], mayRead: boolean, runner: Run): Promise<Step[]> {
  const steps: Step[] = [];
  for (const [index, rule] of rules.entries()) {
    if (mayRead && (await runner(iptablesCommand("-C", rule))).code === 0) continue;
    steps.push({
      what: purpose(rule.table === "nat", index),
      // In front of FORWARD, because what drops there may stand anywhere; at the end of POSTROUTING, because more
      // particular rules may stand there.
      commands: [iptablesCommand(rule.table === "nat" ? "-A" : "-I", rule)],
      record: { kind: "iptables", rule },
    });
  }
  return steps;
}

/** Our table with its handles as nft prints it, or null if there is none. */
export async function listNftTable(runner: Run = run): Promise<string | null> {
  const { code, stdout, stderr } = await runner(["nft", "-a", "list", "table", "ip", NFT_TABLE]);
  if (code === 0) return stdout;
  if (/No such file or directory/.test(stderr)) return null;
  throw new HostError(`Cannot read the nft rules: ${stderr.trim().split("\n")[0]}`);
}

function nftSteps(rules: NftRule[], table: string | null): Step[] {
  if (table === null) {
    const chain = (name: string, type: string, priority: string) =>
      `add chain ip ${NFT_TABLE} ${name} { type ${type} hook ${name} priority ${priority} ; policy accept ; }`;
    return [{
      what: `nft table ${NFT_TABLE}: forward both ways, masquerade`,
      commands: [
        ["nft", `add table ip ${NFT_TABLE}`],
        ["nft", chain("forward", "filter", "filter")],
        ["nft", chain("postrouting", "nat", "srcnat")],
        ...rules.map(nftAdd),
      ],
      record: { kind: "nft-table" },
    }];
  }
  return rules.filter(({ rule }) => !table.includes(rule)).map((rule, index) => ({
    what: purpose(rule.chain === "postrouting", index),
    commands: [nftAdd(rule)],
    record: { kind: "nft-rule", ...rule },
  }));
}

function nftAdd({ chain, rule }: NftRule): string[] {
  return ["nft", `add rule ip ${NFT_TABLE} ${chain} ${rule}`];
}

/** The commands that take an iptables rule away; none if it is gone already. */
export async function undoIptables(rule: IptablesRule, runner: Run = run): Promise<string[][]> {
  const { code } = await runner(iptablesCommand("-C", rule));
  return code === 0 ? [iptablesCommand("-D", rule)] : [];
}

/** The commands that take an nft rule away; none if it is gone already. */
export async function undoNftRule({ chain, rule }: NftRule, runner: Run = run): Promise<string[][]> {
  const table = await listNftTable(runner) ?? "";
  const line = table.split("\n").find((line) => line.includes(rule));
  const handle = /# handle ([0-9]+)$/.exec(line ?? "");
  return handle ? [["nft", `delete rule ip ${NFT_TABLE} ${chain} handle ${handle[1]}`]] : [];
}

/** The commands that take our nft table away; none if it is gone already. */
export async function undoNftTable(runner: Run = run): Promise<string[][]> {
  return await listNftTable(runner) === null ? [] : [["nft", `delete table ip ${NFT_TABLE}`]];
}

/** A network that is masqueraded, and the interface it goes out by. */
export interface Masquerade {
  network: string;
  iface: string;
}

/** The masquerades that setup-net has set up. Throws a {@linkcode HostError} if the rules cannot be read. */
export async function listMasquerades(kind: FirewallKind, runner: Run = run): Promise<Masquerade[]> {
  if (kind === "nft") return readMasquerades(await listNftTable(runner) ?? "");
  return readMasquerades(await mustRun(["iptables", "-w", "-t", "nat", "-S", "POSTROUTING"], runner));
}

/** Finds our masquerades in what `iptables -S` or `nft list` prints. */
export function readMasquerades(rules: string): Masquerade[] {
  const spellings = [
    /^-A POSTROUTING -s (\S+) -o (\S+) .*--comment "?lvl-ip"? .*-j MASQUERADE/gm,
    /ip saddr (\S+) oifname "([^"]+)" masquerade/g,
  ];
  return spellings.flatMap((spelling) => [...rules.matchAll(spelling)])
    .map(([, network, iface]) => ({ network, iface }));
}
