/** `doctor`: what a run needs, how this host stands to it, and what mends each lack. */
import type { Masquerade } from "./firewall.ts";
import type { Link } from "./links.ts";
import type { Obstacle } from "./namespaces.ts";
import type { TunAccess } from "./tun_node.ts";

/** `warn`: something is lacking, but a run is possible. `fail`: it stands in the way of every run. */
export type CheckStatus = "ok" | "warn" | "fail";

export interface Check {
  name: string;
  status: CheckStatus;
  detail: string;
  /** The command that mends it. */
  mend?: string;
}

export interface Diagnosis {
  /** What can be run. */
  possible: { lab: boolean; daemon: boolean };
  checks: Check[];
}

/** What doctor knows of the host; a value of `null` could not be found out, for lack of privilege. */
export interface DoctorFacts {
  user: { uid: number; name: string };
  netAdmin: boolean;
  tun: { access: TunAccess; detail: string };
  /** Tools that are not installed, of all that are needed. */
  missingTools: string[];
  firewall: "iptables" | "nft" | null;
  /** Why namespaces cannot be had; null if they can. */
  namespaces: Obstacle | null;
  ipForward: string;
  masquerades: Masquerade[] | null;
  tap: string;
  links: Link[];
  defaultInterface: string | null;
  /** The name servers that a daemon would ask, the file that names them, and those that it names in vain. */
  names: { servers: string[]; source: string; unreachable: string[] };
  daemon: { pid: number; address: string; device: string } | { problem: string };
}

/** How a command is spelled on this host. */
export interface Spelling {
  /** A command of this program, for root. */
  asRoot(args: readonly string[]): string;
  /** The same, for anyone. */
  own(args: readonly string[]): string;
  apt(packages: readonly string[]): string;
  sudo: string;
}

/** Judges: a pure function of the facts. */
export function diagnose(facts: DoctorFacts, spell: Spelling): Diagnosis {
  const opens = facts.tun.access === "ok";
  const ownTap = tapIsOurs(facts);
  const lab = opens && facts.namespaces === null && facts.missingTools.length === 0 &&
    facts.firewall !== null;
  const daemon = opens && (facts.netAdmin || ownTap);
  const lacking: CheckStatus = lab || daemon ? "warn" : "fail";
  const setUp = spell.asRoot(["setup-net", "--iface", facts.defaultInterface ?? "enp0s3"]);
  return {
    possible: { lab, daemon },
    checks: [
      checkTun(facts, spell),
      checkTools(facts, spell, lacking),
      checkPrivileges(facts, ownTap, lacking, setUp),
      checkNamespaces(facts, lacking),
      checkTap(facts, ownTap, lacking, setUp),
      checkMtu(facts, spell),
      checkForwarding(facts, setUp),
      checkMasquerade(facts, setUp, spell),
      checkNames(facts, daemon, spell),
      checkDaemon(facts, daemon, spell),
    ],
  };
}

function tapOf({ links, tap }: DoctorFacts): Link | undefined {
  return links.find((link) => link.name === tap);
}

function tapIsOurs(facts: DoctorFacts): boolean {
  const tun = tapOf(facts)?.tun;
  return tun?.type === "tap" && tun.persistent &&
    [facts.user.name, `${facts.user.uid}`].includes(tun.user ?? "");
}

function checkTun({ tun }: DoctorFacts, { sudo }: Spelling): Check {
  const name = "/dev/net/tun";
  switch (tun.access) {
    case "ok":
      return { name, status: "ok", detail: "opens" };
    case "missing":
      return {
        name,
        status: "fail",
        detail: "is not there",
        mend: `${sudo}sh -c 'mkdir -p /dev/net && mknod -m 666 /dev/net/tun c 10 200'`,
      };
    case "denied":
      return {
        name,
        status: "fail",
        detail: "may not be opened by you",
        mend: `${sudo}chmod 666 /dev/net/tun`,
      };
    case "no-driver":
      return {
        name,
        status: "fail",
        detail: `no driver answers (${tun.detail})`,
        mend: `${sudo}modprobe tun`,
      };
  }
}

function checkTools({ missingTools, firewall }: DoctorFacts, { apt }: Spelling, lacking: CheckStatus): Check {
  const name = "tools";
  const missing = [...missingTools, ...(firewall === null ? ["nft or iptables"] : [])];
  if (missing.length === 0) return { name, status: "ok", detail: `ip, unshare, ${firewall}` };
  return {
    name,
    status: missingTools.includes("ip") ? "fail" : lacking,
    detail: `not installed: ${missing.join(", ")}`,
    mend: apt(["iproute2", "util-linux", ...(firewall === null ? ["nftables"] : [])]),
  };
}

function checkPrivileges(facts: DoctorFacts, ownTap: boolean, lacking: CheckStatus, setUp: string): Check {
  const name = "privileges";
  if (facts.netAdmin) return { name, status: "ok", detail: `${facts.user.name}, with NET_ADMIN` };
  if (ownTap) {
    return { name, status: "ok", detail: `${facts.user.name}; ${facts.tap} is yours, so no more is needed` };
  }
  return {
    name,
    status: lacking,
    detail: `${facts.user.name}, without NET_ADMIN: the daemon needs a TAP of yours`,
    mend: setUp,
  };
}

function checkNamespaces({ namespaces, user }: DoctorFacts, lacking: CheckStatus): Check {
  const name = "namespaces";
  if (namespaces === null) {
    const kinds = user.uid === 0 ? "network, mount and PID" : "user, network, mount and PID";
    return { name, status: "ok", detail: `${kinds} namespaces can be made` };
  }
  return {
    name,
    status: lacking,
    detail: `${namespaces.problem} (only the lab needs them)`,
    mend: namespaces.mend,
  };
}

function checkTap(facts: DoctorFacts, ownTap: boolean, lacking: CheckStatus, setUp: string): Check {
  const name = `TAP ${facts.tap}`;
  const link = tapOf(facts);
  if (link === undefined) {
    if (facts.netAdmin) return { name, status: "ok", detail: "is not there; the daemon makes it" };
    return { name, status: lacking, detail: "is not there", mend: setUp };
  }
  if (link.tun?.type !== "tap") return { name, status: lacking, detail: "is an interface of another kind" };
  const owner = link.tun.user === null ? "no owner" : `user ${link.tun.user}`;
  const kind = link.tun.persistent ? "persistent" : "of a running program";
  const state = `${link.addresses[0] ?? "no address"}, ${link.up ? "up" : "down"}, ${kind}, ${owner}`;
  if (!ownTap && !facts.netAdmin) {
    return { name, status: lacking, detail: `${state}: not yours`, mend: setUp };
  }
  const complete = link.up && link.addresses.length > 0;
  return complete
    ? { name, status: "ok", detail: state }
    : { name, status: "warn", detail: state, mend: setUp };
}

function checkMtu(facts: DoctorFacts, { sudo, asRoot }: Spelling): Check {
  const name = "MTU";
  const out = facts.links.find((link) => link.name === facts.defaultInterface);
  const tap = tapOf(facts);
  const own = tap?.mtu ?? 1500;
  if (out === undefined) {
    return { name, status: "ok", detail: `${own}; there is no default route to compare it with` };
  }
  if (own <= out.mtu) return { name, status: "ok", detail: `${own}, and ${out.mtu} on ${out.name}` };
  return {
    name,
    status: "warn",
    detail: `${own}, but only ${out.mtu} on ${out.name}: large packets may get lost`,
    mend: tap
      ? `${sudo}ip link set dev ${facts.tap} mtu ${out.mtu}`
      : asRoot(["daemon", "--mtu", `${out.mtu}`]),
  };
}

function checkForwarding({ ipForward }: DoctorFacts, setUp: string): Check {
  const name = "ip_forward";
  if (ipForward === "1") return { name, status: "ok", detail: "on" };
  return { name, status: "warn", detail: "off: the stack reaches this host, nothing beyond", mend: setUp };
}

function checkMasquerade({ masquerades, firewall }: DoctorFacts, setUp: string, { asRoot }: Spelling): Check {
  const name = "masquerade";
  if (masquerades === null) {
    return { name, status: "warn", detail: "only root can read the rules", mend: asRoot(["doctor"]) };
  }
  if (masquerades.length === 0) {
    return {
      name,
      status: "warn",
      detail: "no rule of setup-net: nothing beyond this host answers",
      mend: setUp,
    };
  }
  const list = masquerades.map(({ network, iface }) => `${network} through ${iface}`).join(", ");
  return { name, status: "ok", detail: `${list} (${firewall})` };
}

/** Looks at the configuration only: whether they answer can be seen from within the stack alone. */
function checkNames({ names }: DoctorFacts, possible: boolean, spell: Spelling): Check {
  const name = "name servers";
  const { servers, source, unreachable } = names;
  if (servers.length > 0) return { name, status: "ok", detail: `${servers.join(", ")}, of ${source}` };
  const why = unreachable.length === 0
    ? `${source} names none`
    : `the stack cannot reach ${unreachable.join(", ")} of ${source}`;
  const words = ["daemon", "--dns", "8.8.8.8"];
  return { name, status: "warn", detail: why, mend: possible ? spell.own(words) : spell.asRoot(words) };
}

function checkDaemon({ daemon }: DoctorFacts, possible: boolean, spell: Spelling): Check {
  const name = "daemon";
  if ("pid" in daemon) {
    return { name, status: "ok", detail: `${daemon.address} on ${daemon.device}, process ${daemon.pid}` };
  }
  const mend = possible ? spell.own(["daemon"]) : spell.asRoot(["daemon"]);
  return { name, status: "warn", detail: daemon.problem, mend };
}
